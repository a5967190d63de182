"""Drives pods through a cluster: all at once, then coming and going, and says in figures what became of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from random import Random
from typing import Any

import orjson
import urllib3
from burst_knowledge import serial
from burst_nodes import Nodes
from burst_pods import draw
from burst_record import Record
from lab.api import Api, ApiError, Object, pod_path, pods_path
from lab.control_plane import TOPOLOGIES
from lab.errors import LabError
from lab.installation import NAMESPACE
from lab.picture import Picture
from lab.pods import is_running
from lab.product import metric
from lab.waiting import eventually

QUIET_SECONDS = 3.0
MAKERS = 8
"""Pods that are made at the same time."""
CHURN_PAUSE_SECONDS = 0.25


@dataclass
class Run:
    """One burst in one namespace."""

    api: Api
    namespace: str
    seed: str
    specs: Sequence[dict[str, Any]] = ({},)
    """Of the pods, in turn."""
    record: Record = field(default_factory=Record)
    picture: Picture = field(init=False)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    dice: Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = Random(self.seed)
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        self.picture = Picture(self.api, path, listener=self.record.hear)

    def draw(self, number: int) -> list[Object]:
        """Draws pods; the same seed draws the same."""
        return [self._draw(next(self.numbers)) for _ in range(number)]

    def _draw(self, number: int) -> Object:
        return draw(self.dice, f"pod-{number}", self.namespace, **self.specs[number % len(self.specs)])

    def burst(self, pods: list[Object], limit: float, midway: Callable[[], None] = lambda: None) -> float:
        """
        Creates pods as fast as the API takes them and waits until all have a word; returns the seconds that took.

        While they are made, and once some of them are bound, `midway` is called; the API server may be away then.
        """
        begin = time.monotonic()
        with ThreadPoolExecutor(MAKERS) as makers:
            making = [makers.submit(eventually, "a pod to be made", limit, partial(self._make, pod)) for pod in pods]
            eventually("some pods to be bound", limit, lambda: self.record.placed() >= len(pods) // 16)
            midway()
            for made in making:
                made.result()
        self.settle(limit)
        return self.record.changed - begin

    def _make(self, pod: Object) -> bool:
        """Creates a pod; whether it is there now."""
        try:
            self.api.create(pods_path(pod), pod)
        except ApiError as error:
            if error.status < HTTPStatus.INTERNAL_SERVER_ERROR and error.status != HTTPStatus.CONFLICT:
                raise
            return error.status == HTTPStatus.CONFLICT  # it was made by an attempt without an answer
        except urllib3.exceptions.HTTPError:
            return False
        return True

    def settle(self, limit: float) -> None:
        """Waits until nothing happens any more."""
        if not self.record.wait_quiet(QUIET_SECONDS, limit):
            waiting = [fate.name for fate in self.record.all() if fate.waits and not fate.waits_with_a_word]
            raise LabError(f"After {limit:g} s pods still come and go, or wait without a word: {waiting}.")

    def churn(self, seconds: float) -> None:
        """Deletes a running pod and creates another one, again and again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            running = sorted(key for key, item in self.picture.objects.items() if is_running(item))
            if running:
                self.api.delete(pod_path(self.picture.objects[self.dice.choice(running)]))
            self.api.create_pods(self.draw(1))
            time.sleep(CHURN_PAUSE_SECONDS)


@contextmanager
def following(run: Run) -> Iterator[Run]:
    """Follows a run's pods while it goes on, and clears its namespace afterwards."""
    run.picture.start()
    try:
        yield run
    finally:
        run.api.delete_pods(run.api.items(f"/api/v1/namespaces/{run.namespace}/pods"))
        run.picture.wait("the namespace to be empty", 60, lambda objects: not objects)
        run.picture.stop()


def wait_idle(api: Api, nodes: Nodes, seconds: float = 60) -> list[Object]:
    """Waits until no report has a pod any more, but the product's own, and returns the reports."""

    def idle() -> list[Object]:
        items = [item for item in api.items(TOPOLOGIES) if item["metadata"]["name"] in nodes.kubelets]
        # What is over stays in the managers' files until the kubelet's next admission; it has no name any more.
        held = [orjson.loads(_attribute(item, "numa-extender/pods")) for item in items]
        names = [pod["name"] for pods in held for pod in pods.values() if "name" in pod]
        busy = any(not name.startswith(f"{NAMESPACE}/") for name in names)
        return [] if busy or len(items) < len(nodes.kubelets) else items

    return eventually("all nodes to be idle", seconds, idle, pause=0.5)


def _attribute(item: Object, name: str) -> str:
    return next((entry["value"] for entry in item["attributes"] if entry["name"] == name), "")


def share(run: Run, reports: list[Object], pods: list[Object]) -> tuple[int, int]:
    """How many of the first pods have a place, and how many a serial placement finds one for."""
    return run.record.placed(), serial(reports, pods)


def placements(url: str) -> dict[str, int]:
    """Outcome to placements that the extender has compared."""
    outcomes = ("equal", "reordered", "different", "untold")
    return {name: int(metric(url, "numa_extender_placements_total", outcome=name)) for name in outcomes}


def told(run: Run) -> str:
    """What became of the pods, in a line."""
    waits = run.record.waits()
    fates = run.record.all()
    median, last = (waits[len(waits) // 2], waits[-1]) if waits else (0.0, 0.0)
    return (
        f"{len(fates)} pods, {run.record.placed()} placed, {sum(fate.waits for fate in fates)} without a place, "
        f"refused {dict(run.record.refusals()) or 0}, refused again after a restart {dict(run.record.refused_again()) or 0}, "
        f"bound after {median:.1f} s (median), {last:.1f} s (last)"
    )
