"""
From the API's objects to the inventory's news: one reader for each resource, for watches and for files alike.

Here the clock is read, and here what cannot be understood is logged, once, with the object's name and what is wrong.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from typing import Any

from extender.inventory.live import Inventory
from extender.metrics import Metrics
from extender.model.observed import ObservedPod
from extender.wire import fields
from extender.wire.fields import WireError
from extender.wire.nrt import PATH, report_from_nrt
from extender.wire.observed import observed_from_json

log = logging.getLogger(__name__)

Object = dict[str, Any]


class NodeReader:
    """Takes in Node objects, of which only names and uids matter."""

    resource = "nodes"
    path = "/api/v1/nodes"

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def replace(self, objects: list[Object]) -> None:
        """Takes these as all Nodes."""
        self._inventory.nodes_listed({_name(item): _uid(item) for item in objects})

    def put(self, item: Object) -> None:
        """Takes a Node that is new or changed."""
        self._inventory.node_listed(_name(item), known=True, uid=_uid(item))

    def remove(self, item: Object) -> None:
        """Takes note that a Node is gone."""
        self._inventory.node_listed(_name(item), known=False)


class ReportReader:
    """Takes in NodeResourceTopology objects."""

    resource = "noderesourcetopologies"
    path = PATH

    def __init__(
        self,
        inventory: Inventory,
        metrics: Metrics,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
        *,
        live: bool = True,
    ) -> None:
        """Takes in reports that go on coming, or, not ``live``, ones from files, which have no heart to beat."""
        self._inventory, self._metrics = inventory, metrics
        self._monotonic, self._clock, self._live = monotonic, clock, live

    def replace(self, objects: list[Object]) -> None:
        """Takes these as all reports."""
        self._inventory.only_reports_of(_name(item) for item in objects)
        for item in objects:
            self.put(item)

    def put(self, item: Object) -> None:
        """Takes a report that is new or changed; one that cannot be read makes its node unknown."""
        name = _name(item)
        try:
            report = report_from_nrt(item)
        except WireError as error:
            self._metrics.unreadable.labels(self.resource).inc()
            log.warning("report cannot be read, its node is unknown", extra={"node": name, "why": str(error)})
            self._inventory.unreported(name, f"its report cannot be read: {error}")
            return
        if not self._live:
            report = dataclasses.replace(report, heartbeat=None)
        age = 0.0 if report.heartbeat is None else self._clock() - report.heartbeat
        self._inventory.reported(report, self._monotonic(), age)

    def remove(self, item: Object) -> None:
        """Takes note that a report is gone."""
        self._inventory.unreported(_name(item))


class PodReader:
    """Takes in Pods: every scheduler's, static ones too."""

    resource = "pods"
    path = "/api/v1/pods"

    def __init__(self, inventory: Inventory, metrics: Metrics, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._inventory, self._metrics, self._monotonic = inventory, metrics, monotonic

    def replace(self, objects: list[Object]) -> None:
        """Takes these as all Pods; the order of creation is the best there is to tell in which they were bound."""
        objects = sorted(objects, key=lambda item: str(item["metadata"].get("creationTimestamp", "")))
        self._inventory.pods_observed(filter(None, map(self._read, objects)), self._monotonic())

    def put(self, item: Object) -> None:
        """Takes a Pod that is new or changed."""
        seen = self._read(item)
        if seen is not None:
            self._inventory.pod_observed(seen, self._monotonic())

    def remove(self, item: Object) -> None:
        """Takes note that a Pod was deleted, after what its last state says."""
        self.put(item)
        self._inventory.pod_departed(item["metadata"]["uid"], self._monotonic())

    def _read(self, item: Object) -> ObservedPod | None:
        try:
            return observed_from_json(item)
        except WireError as error:
            self._metrics.unreadable.labels(self.resource).inc()
            log.warning("pod cannot be read", extra={"pod": _name(item), "why": str(error)})
            return None


def _name(item: Object) -> str:
    metadata = fields.mapping(item.get("metadata"), "metadata")
    return fields.text(metadata.get("name"), "metadata.name")


def _uid(item: Object) -> str:
    metadata = fields.mapping(item.get("metadata"), "metadata")
    return fields.text(metadata.get("uid"), "metadata.uid", default="")
