"""
The twin against real kubelets: random pods come to six nodes and go again, and after each of them verdict, reason,
message and the managers' files on disk are what the twin says.

Nodes work in parallel, each on one pod at a time. COUNT (all nodes together) and SEED in the environment ask for more
and for others.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from lab.api import Api, Object, pod_path
from lab.control_plane import ControlPlane
from lab.devices import Device, DevicePlugin
from lab.kubelet import NEWEST, OLDER, Kubelet, remove_all
from lab.machines import Machine, machine
from lab.picture import Picture, key
from lab.pods import is_running, phase
from lab.process import start_together
from lab.workspace import BINARIES, Workspace
from twin_node import Pair
from twin_pods import PodMaker, cpus_of, sizes

from extender.model.configuration import Version
from extender.model.verdict import Reason

COUNT, SEED = int(os.environ.get("COUNT", "540")), os.environ.get("SEED", "1")
SECONDS = 240

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900 + 3 * COUNT)]

NIC, GPU = "example.com/nic", "example.com/gpu"
GATES = {"PodLevelResources": True, "PodLevelResourceManagers": True}
ALPHA = {"CPUManagerPolicyAlphaOptions": True}
STATIC = {
    "cpuManagerPolicy": "static",
    "memoryManagerPolicy": "Static",
    "systemReserved": {"memory": "512Mi"},
    "featureGates": GATES,
    # Else the CPU manager frees what is stale at a moment of its own choice, and not only at the next admission.
    "cpuManagerReconcilePeriod": "1000h",
    # Each pod is waited for; the kubelet's own brake on requests would be all that is measured.
    "kubeAPIQPS": 100,
    "kubeAPIBurst": 100,
}


@dataclass(frozen=True)
class Setup:
    """A machine, the kubelet on it, and its devices."""

    machine: Machine
    configuration: Mapping[str, Any]
    version: Version = Version.V1_37
    devices: Mapping[str, Sequence[Device]] = field(default_factory=dict)


SETUPS = {
    "two-zones": Setup(
        machine(memory_gib=16),
        STATIC
        | {"topologyManagerPolicy": "single-numa-node", "topologyManagerScope": "pod", "reservedSystemCPUs": "0,16"},
        devices={NIC: [Device("n0", [0]), Device("n1", [0]), Device("n2", [1]), Device("n3", [1])]},
    ),
    "four-zones": Setup(
        machine(
            zones=4,
            cores_per_zone=4,
            memory_gib=8,
            sockets=[0, 0, 1, 1],
            hugepages={2048: 512, 1048576: 2},
            distances=[[10, 12, 20, 32], [12, 10, 32, 20], [20, 32, 10, 12], [32, 20, 12, 10]],
        ),
        STATIC
        | {
            "topologyManagerPolicy": "restricted",
            "topologyManagerScope": "container",
            "topologyManagerPolicyOptions": {"prefer-closest-numa-nodes": "true"},
            "cpuManagerPolicyOptions": {"align-by-socket": "true"},
            "featureGates": GATES | ALPHA,
            "systemReserved": {"cpu": "2", "memory": "512Mi"},
        },
    ),
    "sparse-ids": Setup(
        machine(zones=3, ids=[0, 8, 10], cores_per_zone=4, memory_gib=8),
        STATIC
        | {
            "topologyManagerPolicy": "restricted",
            "topologyManagerScope": "pod",
            "reservedSystemCPUs": "0,12",
            "cpuManagerPolicyOptions": {"full-pcpus-only": "true", "strict-cpu-reservation": "true"},
        },
        devices={GPU: [Device("g0", [8]), Device("g1", [8]), Device("g2", [10]), Device("g3"), Device("g4", [0, 8])]},
    ),
    "split-caches": Setup(
        machine(memory_gib=16, caches_per_zone=4, hugepages={2048: 1024}),
        STATIC
        | {
            "topologyManagerPolicy": "single-numa-node",
            "topologyManagerScope": "container",
            "reservedSystemCPUs": "0,8",
            "cpuManagerPolicyOptions": {"full-pcpus-only": "true", "prefer-align-cpus-by-uncorecache": "true"},
        },
    ),
    "memory-only-zone": Setup(
        machine(cores_per_zone=6, memory_gib=8, memory_only={2: 32}),
        STATIC
        | {
            "topologyManagerPolicy": "best-effort",
            "topologyManagerScope": "pod",
            "reservedSystemCPUs": "0",
            "cpuManagerPolicyOptions": {"distribute-cpus-across-numa": "true"},
        },
        devices={NIC: [Device("n0", [0]), Device("n1", [1]), Device("n2", healthy=False)]},
    ),
    "older": Setup(
        machine(threads=1, cores_per_zone=12, memory_gib=16, hugepages={2048: 512}),
        STATIC
        | {
            "topologyManagerPolicy": "restricted",
            "topologyManagerScope": "pod",
            "reservedSystemCPUs": "3",
            "cpuManagerPolicyOptions": {"distribute-cpus-across-cores": "true"},
            "featureGates": GATES | ALPHA,
        },
        Version.V1_36,
        devices={NIC: [Device("n0", [0]), Device("n1", [1]), Device("n2", [1])]},
    ),
}


@dataclass
class Figures:
    """What all nodes have seen together."""

    admissions: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Node and answer ("admitted" or the kubelet's reason)."""
    kinds: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """Kind of pod, and whether it was admitted."""
    skipped: int = 0
    """Pods that would crash or hang the kubelet, by the word of the twin; they are not sent."""
    chances: int = 0
    """Admissions at which the kubelet had given memory back in another order than the twin does by itself."""
    differences: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def lacks(self) -> list[str]:
        """What a long run should have seen and this one has not."""
        kinds = {kind for kind, _ in self.kinds}
        answers = {answer for _, answer in self.admissions}
        reasons = {str(reason) for reason in Reason} | {"OutOfcpu"}
        return [
            *(f"an admitted pod of kind {kind}" for kind in kinds if not self.kinds[kind, True]),
            *(f"a refusal with {reason}" for reason in reasons - answers),
            *(f"an admitted pod on {name}" for name in SETUPS if not self.admissions[name, "admitted"]),
        ]

    def lines(self) -> Iterator[str]:
        answers: Counter[str] = Counter()
        for (_, answer), number in self.admissions.items():
            answers[answer] += number
        total = self.admissions.total()
        yield f"twin and real kubelets: {total} admissions on {len(SETUPS)} nodes, seed {SEED}, {len(self.differences)} differences"
        yield "  " + ", ".join(f"{answer} {number}" for answer, number in answers.most_common())
        for node in SETUPS:
            told = ", ".join(f"{a} {n}" for (name, a), n in sorted(self.admissions.items()) if name == node)
            yield f"  {node}: {told}"
        kinds = sorted({kind for kind, _ in self.kinds})
        yield "  admitted/refused: " + ", ".join(f"{k} {self.kinds[k, True]}/{self.kinds[k, False]}" for k in kinds)
        yield f"  memory given back in another order of the kubelet's map: {self.chances}"
        yield f"  not sent, as they would crash or hang the kubelet: {self.skipped}"


@pytest.fixture
def pairs(control_plane: ControlPlane) -> Iterator[list[Pair]]:
    """Six kubelets with their devices, and the twins of them."""
    if not (BINARIES / OLDER).exists():
        pytest.skip("The kubelet of 1.36 is not built: run tests/cluster/build.sh 1.36.")
    kubelets = {
        name: Kubelet(
            control_plane,
            name,
            setup.machine,
            setup.configuration,
            binary=OLDER if setup.version is Version.V1_36 else NEWEST,
        )
        for name, setup in SETUPS.items()
    }
    plugins = [
        DevicePlugin(control_plane, kubelets[name], resource, devices)
        for name, setup in SETUPS.items()
        for resource, devices in setup.devices.items()
    ]
    try:
        start_together(kubelets.values())
        for plugin in plugins:
            plugin.start()
        yield [Pair(kubelets[name], setup.version, setup.devices) for name, setup in SETUPS.items()]
    finally:
        for plugin in plugins:
            plugin.stop()
        remove_all(kubelets.values())


def test_kubelets_and_their_twins_agree(
    workspace: Workspace, pairs: list[Pair], api: Api, namespace: str, pods: Picture, figures: list[str]
) -> None:
    """
    On six nodes of different machines, policies, scopes, options and minors every admission has the twin's verdict,
    reason, message, CPUs and memory, and pods of every kind are admitted and refused on the way.
    """
    seen = Figures()
    quota = -(-COUNT // len(pairs))
    with ThreadPoolExecutor(len(pairs)) as threads:
        for future in [threads.submit(Node(pair, api, pods, namespace, seen).run, quota) for pair in pairs]:
            future.result()
    seen.chances = sum(pair.chances for pair in pairs)
    figures += seen.lines()
    cases = [pair.write_case(workspace.folder / f"{pair.kubelet.name}.case.json") for pair in pairs]

    assert [] == seen.differences, f"the cases are {cases}"
    assert COUNT <= seen.admissions.total()
    if COUNT >= 500:
        assert seen.lacks() == []


class Node:
    """One node's sequence."""

    def __init__(self, pair: Pair, api: Api, pods: Picture, namespace: str, seen: Figures) -> None:
        self._pair, self._api, self._pods, self._seen = pair, api, pods, seen
        name = pair.kubelet.name
        self._name, self._dice = name, Random(f"{SEED}/{name}")
        devices = {resource: len(listed) for resource, listed in SETUPS[name].devices.items()}
        options = SETUPS[name].configuration.get("cpuManagerPolicyOptions", {})
        step = 2 if "full-pcpus-only" in options else 1
        self._maker = PodMaker(self._dice, sizes(pair.kubelet.machine, devices, step), name, namespace)
        self._running: list[Object] = []

    def run(self, quota: int) -> None:
        """Admits so many pods, and ends at the first difference: what follows would only follow from it."""
        self._note(self._pair.differences(self._pair.state))
        number = 0
        while number < quota and not self._seen.differences:
            if self._running and self._dice.random() < min(0.9, 0.12 + 0.05 * len(self._running)):
                self._delete(self._dice.choice(self._running))
                continue
            kind, body = self._maker.draw(f"{self._name}-{number}")
            number += 1
            if self._pair.survives(body):
                self._admit(kind, body)
            else:
                self._seen.skipped += 1
                quota += 1

    def _admit(self, kind: str, body: Object) -> None:
        (created,) = self._api.create_pods([body])
        place = key(created)
        waits = bool(body["spec"].get("initContainers")) or kind == "devices"
        item = self._pods.wait(
            f"{place[1]} to be decided about",
            SECONDS,
            lambda objects: _decided(objects.get(place, {}), running=waits),
        )
        _, differences = self._pair.admitted(item)
        self._note(f"{place[1]}, {kind}: {difference}" for difference in differences)
        refused = phase(item) == "Failed"
        with self._seen.lock:
            self._seen.admissions[self._name, item["status"].get("reason", "none") if refused else "admitted"] += 1
            self._seen.kinds[kind, not refused] += 1
        if refused:
            self._api.delete(pod_path(item), grace_seconds=0)
        else:
            self._running.append(item)
            self._maker.taken[place[1]] = cpus_of(item)

    def _delete(self, item: Object) -> None:
        self._running.remove(item)
        self._maker.taken.pop(item["metadata"]["name"])
        self._api.delete(pod_path(item))
        place = key(item)
        self._pods.wait(f"{place[1]} to be gone", SECONDS, lambda objects: place not in objects)
        self._pair.removed(item["metadata"]["uid"])

    def _note(self, differences: Iterator[str]) -> None:
        found = [f"{self._name}: {difference}" for difference in differences]
        with self._seen.lock:
            self._seen.differences += found


def _decided(item: Object, *, running: bool) -> Object:
    """
    The pod, once its kubelet has refused it or begun to run it; nothing until then.

    With `running`, once all its containers run: until then init containers and devices are still on their way.
    """
    if phase(item) == "Failed" or is_running(item):
        return item
    return item if not running and item.get("status", {}).get("startTime") else {}
