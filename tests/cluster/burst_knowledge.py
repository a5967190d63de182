"""
Full knowledge: what a scheduler could do that saw everything and took one pod at a time.

The twin says what kubelets admit; the sums of requests, which the scheduler's own plugins look at, are looked at as well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from lab.api import Api, Object
from lab.control_plane import TOPOLOGIES
from lab.waiting import eventually

from extender.feeds import NodeReader, PodReader, ReportReader
from extender.fleet import Snapshot, placement_score, shape_of
from extender.inventory.live import Inventory
from extender.inventory.node import Node
from extender.inventory.totals import Allocatable, allocatable, overfull, requested, together
from extender.kube import Watch, connect
from extender.kubelet import admission
from extender.metrics import Metrics
from extender.model.pod import Pod
from extender.wire.nrt import report_from_nrt
from extender.wire.pod import pod_from_json


def serial(reports: Iterable[Object], pods: Sequence[Object]) -> int:
    """
    Places pods on nodes one at a time, each where the product's score is best, and returns how many find a place.

    Args:
        reports: of all nodes, before any of the pods is there.
        pods: in the order in which they come; the API server has made them, or they have no uid yet.
    """
    nodes: dict[str, Snapshot] = {}
    used: dict[str, dict[str, int]] = {}
    there = {}
    for item in reports:
        report = report_from_nrt(item)
        kubelet = admission.start(report.machine, report.configuration, report.version)
        nodes[report.node], used[report.node], there[report.node] = (
            Snapshot(kubelet, report.state),
            {},
            allocatable(kubelet),
        )
    placed = 0
    for number, item in enumerate(pods):
        pod = pod_from_json(item | {"metadata": item["metadata"] | {"uid": f"serial-{number}"}})
        shape, asked = shape_of(pod), requested(pod)
        fits = []
        for name, snapshot in nodes.items():
            if overfull(there[name], used[name], asked) is None and not _lacks_devices(snapshot, pod):
                fit = snapshot.fit(pod, shape)
                if fit.admit:
                    fits.append((placement_score(snapshot, fit), name, fit))
        if fits:
            _, name, fit = max(fits, key=lambda one: one[:2])
            nodes[name] = Snapshot(nodes[name].kubelet, nodes[name].ask(pod).state)
            used[name] = {key: used[name].get(key, 0) + asked.get(key, 0) for key in {*used[name], *asked}}
            placed += 1
    return placed


def _lacks_devices(snapshot: Snapshot, pod: Pod) -> bool:
    """Whether the pod wants devices that the node has not: the scheduler sees that by itself."""
    wanted = {name for container in pod.containers for name in container.resources.limits if "/" in name}
    return not wanted <= snapshot.state.device.reported.keys()


def reports(api: Api) -> list[Object]:
    """Returns all reports."""
    return api.items(TOPOLOGIES)


class Observer:
    """Watches the cluster as the product does, and measures how long pods wait while a node would admit them."""

    EVERY_SECONDS = 1.0

    def __init__(self, kubeconfig: Path, minds: Callable[[str], bool] = lambda _uid: True) -> None:
        """Prepares it; ``minds`` says of a pod's uid whether anybody knew where to put it."""
        self._minds = minds
        self.inventory, metrics = Inventory(), Metrics()
        cluster = connect(str(kubeconfig))
        readers: list[Any] = [
            NodeReader(self.inventory),
            ReportReader(self.inventory, metrics),
            PodReader(self.inventory, metrics),
        ]
        self._watches = [Watch(cluster, reader.path, reader, metrics) for reader in readers]
        self.longest: tuple[float, str] = (0.0, "")
        """Seconds, and which pod."""
        self._since: dict[str, float] = {}
        self._looked = 0
        """How often it has looked."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)

    def __enter__(self) -> Self:
        for watch in self._watches:
            watch.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for watch in self._watches:
            watch.stop()
        self._thread.join(30)

    def nobody_waits_in_vain(self) -> bool:
        """Looks twice; whether no pod waits while a node would admit it."""
        before = self._looked
        eventually("the observer to look", 60, lambda: self._looked >= before + 2)
        return not self._since

    def _run(self) -> None:
        while not self._stop.wait(self.EVERY_SECONDS):
            now = time.monotonic()
            waiting = {uid: pod for uid, pod in dict(self.inventory._waiting).items() if self._minds(uid)}
            nodes = self.inventory.all_nodes()
            verdicts: dict[object, bool] = {}
            for uid, pod in waiting.items():
                shape = shape_of(pod)
                if shape not in verdicts:
                    verdicts[shape] = any(_would_admit(node, pod, shape) for node in nodes)
                if verdicts[shape]:
                    since = self._since.setdefault(uid, now)
                    self.longest = max(self.longest, (now - since, f"{pod.namespace}/{pod.name}"))
                else:
                    self._since.pop(uid, None)
            for uid in self._since.keys() - waiting.keys():
                del self._since[uid]
            self._looked += 1


ALLOCATABLE = Allocatable()


def _would_admit(node: Node, pod: Pod, shape: object) -> bool:
    if node.snapshot is None or not node.listed or _lacks_devices(node.snapshot, pod):
        return False
    used = together(held.pod for held in node.held.values() if held.over is None)
    if overfull(ALLOCATABLE.of(node.snapshot.kubelet), used, requested(pod)) is not None:
        return False
    return node.snapshot.fit(pod, shape).admit
