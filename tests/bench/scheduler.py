"""
The real scheduler on thousands of nodes: etcd, API server and kube-scheduler as they are, nodes as objects only.

Pods wait until the scheduler starts and are bound by it alone; no kubelet runs them. Per pod counts what the scheduler
itself says it took to find a node; pods a second are from the first binding to the last. Each variant gets pods of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from bench.figures import Figures, MissingError
from bench.nodes import NODES, Node, Object, cluster, pod
from bench.serving import noop

sys.path.append(str(Path(__file__).parent.parent / "cluster"))  # the lab

from lab.control_plane import TOPOLOGIES, ControlPlane
from lab.process import Process
from lab.product import Product
from lab.scheduler import CONFIGURATION_FILE, scheduler
from lab.waiting import eventually
from lab.workspace import Workspace, missing_binaries

PROFILE = "numa-scheduler"
NAMESPACE = "bench"
WORKERS = 16
UNLIMITED = {"qps": 5000, "burst": 5000}
"""By default a scheduler sends no more than 50 requests a second, and so binds no more pods, with or without extender."""
BOUND = "Successfully bound pod to node"
BOUND_SECONDS = 300
_numbers = count()


@dataclass(frozen=True)
class Variant:
    """One way to schedule."""

    name: str
    extender: str
    """``none``, ``noop``, ``noop-bind``, ``bind`` (ours as config/scheduler.yaml has it) or ``filter`` (without bindVerb)."""
    percentage: int
    """percentageOfNodesToScore; 0 lets the scheduler choose."""


VARIANTS = tuple(
    Variant(f"{name}, {percentage or 'default'}", extender, percentage)
    for percentage in (0, 100)
    for name, extender in (
        ("scheduler alone", "none"),
        ("no-op extender", "noop"),
        ("no-op extender that binds", "noop-bind"),
        ("ours", "bind"),
        ("ours without bindVerb", "filter"),
    )
)


class Lab:
    """A control plane with nodes."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.workspace = Workspace()
        self.control_plane = ControlPlane(self.workspace)
        self.control_plane.start()
        self.api = self.control_plane.api
        self.product = Product(self.control_plane)
        self.api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        with ThreadPoolExecutor(WORKERS) as workers:
            list(workers.map(self._add, nodes))

    def _add(self, one: Node) -> None:
        machine = one.report.machine
        amounts = {
            "cpu": str(machine.cpus),
            "memory": str(sum(zone.memory for zone in machine.zones)),
            "pods": "110",
        }
        allocatable = amounts | {"cpu": str(machine.cpus - 2)}
        ready = {"type": "Ready", "status": "True", "reason": "Bench", "message": ""}
        status = {"capacity": amounts, "allocatable": allocatable, "conditions": [ready]}
        self.api.create(NODES, {"metadata": {"name": one.name}, "status": status})
        self.api.merge(f"{NODES}/{one.name}", {"spec": {"taints": []}})
        self.api.create(TOPOLOGIES, one.topology)

    def close(self) -> None:
        """Stops everything."""
        self.control_plane.stop()
        self.workspace.close(keep=False)


def measure(count_nodes: int, count_pods: int, rounds: int, names: Sequence[str]) -> Figures:
    """
    Measures each variant in turn, or those whose name contains one of the names, for some rounds; medians are told.

    Raises:
        MissingError: the lab's programs are not there.
    """
    if missing_binaries():
        raise MissingError("the lab is not built: tests/cluster/build.sh builds it")
    variants = [one for one in VARIANTS if not names or any(name in one.name for name in names)]
    lab = Lab(list(cluster(count_nodes, most_pods=0)))
    try:
        measured = [_compared([_measured(lab, variant, count_pods) for variant in variants]) for _ in range(rounds)]
    finally:
        lab.close()
    rows = [_median(of_one) for of_one in zip(*measured, strict=True)]
    return Figures("scheduler", f"The real scheduler, {count_nodes} nodes, {count_pods} pods, {rounds} rounds", rows)


def _median(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One row of several of the same variant."""
    return {
        name: median(row[name] for row in rows) if isinstance(value, float) else value
        for name, value in rows[0].items()
    }


def _compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds each variant's speed relative to the extenders that do nothing, at the same percentage of the same round."""
    speeds = {(row["extender"], row["percentage"]): row["pods/s"] for row in rows}
    for row in rows:
        for title, idle in (("to no-op", "noop"), ("to one that binds", "noop-bind")):
            speed = speeds.get((idle, row["percentage"]))
            if speed:
                row[title] = row["pods/s"] / speed
    return rows


def _measured(lab: Lab, variant: Variant, count_pods: int) -> dict[str, Any]:
    batch = next(_numbers)
    created = lab.api.create_pods([_pod(f"p{batch}-{number}") for number in range(count_pods)])
    with _extender(lab, variant) as url:
        process = scheduler(
            lab.control_plane,
            _configuration(lab, variant),
            extender_url=url,
            name=f"scheduler-{batch}",
            changes={"percentageOfNodesToScore": variant.percentage},
        )
        process.start()
        try:
            eventually(
                f"{count_pods} pods to be bound",
                BOUND_SECONDS,
                lambda: process.log.read_text().count(BOUND) >= count_pods,
            )
            seconds = _algorithm_seconds(lab, process)
        finally:
            process.stop()
    times = _bound(process.log)
    lab.api.delete_pods(created)
    return {
        "variant": variant.name,
        "extender": variant.extender,
        "percentage": variant.percentage,
        "pods/s": (count_pods - 1) / (max(times) - min(times)),
        "ms a pod": 1e3 * seconds,
    }


def _pod(name: str) -> Object:
    """Two guaranteed containers, for the profile that asks extenders."""
    asked = pod(name, ("3", "4Gi"), ("1", "2Gi"), namespace=NAMESPACE)
    del asked["status"], asked["metadata"]["uid"]
    asked["spec"] |= {"schedulerName": PROFILE, "automountServiceAccountToken": False}
    return asked


def _configuration(lab: Lab, variant: Variant) -> Path:
    """The configuration that users take, without a limit on requests; only ours in bind mode has a bindVerb."""
    document = yaml.safe_load(CONFIGURATION_FILE.read_text())
    document["clientConnection"] |= UNLIMITED
    if variant.extender not in {"bind", "noop-bind"}:
        for extender in document["extenders"]:
            del extender["bindVerb"]
    path = lab.workspace.folder / f"{variant.extender}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


@contextmanager
def _extender(lab: Lab, variant: Variant) -> Iterator[str | None]:
    if variant.extender == "none":
        yield None
    elif variant.extender in {"noop", "noop-bind"}:
        kubeconfig = lab.control_plane.kubeconfig("noop", "system:masters") if variant.extender == "noop-bind" else None
        with noop(kubeconfig) as port:
            yield f"http://127.0.0.1:{port}"
    else:
        changes = {
            "rules": {"assume": variant.extender, "staleSeconds": 86_400},
            "log": {"level": "warning"},
        }
        process, url = lab.product.extender(changes, name=f"extender-{variant.extender}-{variant.percentage}")
        process.start()
        try:
            yield url
        finally:
            process.stop()


def _bound(log: Path) -> list[float]:
    """When pods were bound, in seconds of the day, as the scheduler's log tells."""
    clocks = [line.split()[1].split(":") for line in log.read_text().splitlines() if BOUND in line]
    return [3600 * int(hours) + 60 * int(minutes) + float(seconds) for hours, minutes, seconds in clocks]


def _algorithm_seconds(lab: Lab, process: Process) -> float:
    """Seconds that finding a node takes, filters, scores and extenders, in the mean, as the scheduler measures it."""
    port = next(word for word in process.command if word.startswith("--secure-port=")).partition("=")[2]
    text = lab.control_plane.pool.request("GET", f"https://127.0.0.1:{port}/metrics").data.decode()
    name = "scheduler_scheduling_algorithm_duration_seconds"
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        if family.name == name
        for sample in family.samples
    }
    return found[f"{name}_sum"] / found[f"{name}_count"]
