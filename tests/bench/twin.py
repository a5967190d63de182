"""
How long one admission takes the twin, and how long it takes the kubelet's own code, in the same run.

The node is half full, and one pod after the other comes and goes. The judge is timed over many steps, less what it
needs for the case without them; where it has not been built its column is empty.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from bench.figures import Figures
from bench.serving import TESTS

sys.path.append(str(TESTS / "kubelet"))  # the judge

from proof import judge

from extender.kubelet import admission
from extender.wire.replay import case_from_json

Json = dict[str, Any]
TITLE = "One admission, microseconds"
GI = 1 << 30
VERSION = "1.37"
REPEATS = 15
"""Of each figure; the best of the judge's and the median of the twin's count."""

MACHINES = {"2 zones, 64 CPUs": (2, 16), "8 zones, 256 CPUs": (8, 16)}
"""Zones, and cores of two threads in each."""
SETUPS: dict[str, Json] = {
    "single-numa-node, pod": {"topologyManagerPolicy": "single-numa-node", "topologyManagerScope": "pod"},
    "single-numa-node, container": {"topologyManagerPolicy": "single-numa-node"},
    "restricted, container": {"topologyManagerPolicy": "restricted"},
    "best-effort, container": {"topologyManagerPolicy": "best-effort"},
    "none": {"topologyManagerPolicy": "none"},
}
PODS: dict[str, Json] = {
    "one container": {"containers": [("main", "4", "4Gi")]},
    "init, sidecar, two apps": {
        "initContainers": [("init", "2", "1Gi"), ("sidecar", "1", "1Gi")],
        "containers": [("main", "3", "4Gi"), ("second", "1", "1Gi")],
    },
    "budget with a shared pool": {
        "resources": ("6", "8Gi"),
        "containers": [("db", "4", "6Gi"), ("metrics", "", ""), ("backup", "", "")],
    },
}


@dataclass(frozen=True, slots=True)
class Figure:
    """Microseconds of one admission."""

    machine: str
    setup: str
    pod: str
    twin: float
    judge: float | None

    @property
    def ratio(self) -> float | None:
        """How many times the judge's time the twin takes."""
        return None if self.judge is None else self.twin / self.judge


def machine(zones: int, cores: int) -> Json:
    """A machine with a socket for each zone, whose siblings are far apart."""
    count = zones * cores
    return {
        "num_cores": 2 * count,
        "num_physical_cores": count,
        "num_sockets": zones,
        "topology": [
            {
                "node_id": zone,
                "memory": 128 * GI,
                "hugepages": [],
                "distances": [10 if zone == other else 21 for other in range(zones)],
                "cores": [
                    {"core_id": core, "thread_ids": [core, core + count], "socket_id": zone}
                    for core in range(zone * cores, (zone + 1) * cores)
                ],
            }
            for zone in range(zones)
        ],
    }


def kubelet(setup: Json) -> Json:
    """Both static managers, pod-level resources managed."""
    return {
        **setup,
        "cpuManagerPolicy": "static",
        "memoryManagerPolicy": "Static",
        "reservedSystemCPUs": "0",
        "systemReserved": {"memory": "924Mi"},
        "reservedMemory": [{"numaNode": 0, "limits": {"memory": "1Gi"}}],
        "featureGates": {"PodLevelResourceManagers": True},
    }


def pod(uid: str, shape: Json) -> Json:
    """A Guaranteed pod."""
    spec: Json = {
        field: [_container(*member) for member in members] for field, members in shape.items() if field != "resources"
    }
    if "resources" in shape:
        spec["resources"] = _both(*shape["resources"])
    return {"metadata": {"name": uid, "uid": uid}, "spec": spec, "status": {"qosClass": "Guaranteed"}}


def _container(name: str, cpu: str, memory: str) -> Json:
    container: Json = {"name": name, "resources": _both(cpu, memory) if cpu else {}}
    return container | ({"restartPolicy": "Always"} if name == "sidecar" else {})


def _both(cpu: str, memory: str) -> Json:
    amounts = {"cpu": cpu, "memory": memory}
    return {"requests": amounts, "limits": amounts}


def case(hardware: Json, setup: Json, shape: Json, steps: int) -> Json:
    """A half full node and a pod that comes and goes."""
    filling = [pod(f"f{number}", PODS["one container"]) for number in range(hardware["num_cores"] // 8)]
    listed: list[Json] = [{"op": "admit", "pod": one} for one in filling]
    for number in range(steps):
        listed += [{"op": "admit", "pod": pod(f"p{number}", shape)}, {"op": "remove", "uid": f"p{number}"}]
    return {"id": "", "version": VERSION, "machine": hardware, "kubelet": kubelet(setup), "steps": listed}


def time_twin(given: Json) -> float:
    """Microseconds of one admission of the last pod, the median."""
    read = case_from_json(given)
    started = admission.start(read.machine, read.configuration, read.version)
    state = admission.initial(started)
    pods = [step.pod for step in read.steps if step.pod is not None]
    for one in pods[:-1]:
        _, state = admission.admit(started, state, one)
    taken: list[float] = []
    deadline = time.perf_counter() + 0.4
    while len(taken) < REPEATS or time.perf_counter() < deadline:
        begun = time.perf_counter_ns()
        admission.admit(started, state, pods[-1])
        taken.append((time.perf_counter_ns() - begun) / 1000)
    return statistics.median(taken)


def time_judge(asked: judge.Conversation, hardware: Json, setup: Json, shape: Json) -> float:
    """Microseconds of one admission and removal, on average over as many as take a while."""
    steps = 8
    while True:
        without, whole = (_best(asked, case(hardware, setup, shape, count)) for count in (0, steps))
        if whole - without > 0.05 or steps >= 2000:
            return (whole - without) / steps * 1e6
        steps *= 4


def _best(asked: judge.Conversation, given: Json) -> float:
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        answer = asked.ask(given)
        times.append(time.perf_counter() - begun)
        assert "verdicts" in answer, answer
    return min(times)


def measure() -> Figures:
    """Times the twin, and the judge where it has been built."""
    try:
        judge.program(VERSION)
    except judge.JudgeError as absent:
        rows = [_row(figure) for figure in _figures(None)]
        return Figures("twin", f"{TITLE}; {absent}", rows)
    with judge.Conversation(VERSION, "60s") as asked:
        return Figures("twin", TITLE, [_row(figure) for figure in _figures(asked)])


def _row(figure: Figure) -> dict[str, object]:
    return asdict(figure) | {"ratio": figure.ratio}


def _figures(asked: judge.Conversation | None) -> Iterator[Figure]:
    for machine_name, (zones, cores) in MACHINES.items():
        hardware = machine(zones, cores)
        for setup_name, setup in SETUPS.items():
            for pod_name, shape in PODS.items():
                twin = time_twin(case(hardware, setup, shape, 1))
                other = None if asked is None else time_judge(asked, hardware, setup, shape)
                yield Figure(machine_name, setup_name, pod_name, round(twin, 1), other and round(other, 1))
