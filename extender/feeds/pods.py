"""Pods: every scheduler's, static ones too."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from operator import itemgetter

from extender.feeds import hindsight
from extender.feeds.objects import Object, name_of
from extender.inventory.live import Inventory
from extender.metrics import Metrics
from extender.model.observed import ObservedPod
from extender.wire.fields import WireError
from extender.wire.observed import observed_from_json

log = logging.getLogger(__name__)


class PodReader:
    """Takes in Pods."""

    resource = "pods"
    path = "/api/v1/pods"

    def __init__(self, inventory: Inventory, metrics: Metrics, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._inventory, self._metrics, self._monotonic = inventory, metrics, monotonic

    def replace(self, objects: Iterable[Object]) -> None:
        """Takes these as all Pods; the order of creation is the best there is to tell in which they were bound."""
        read = ((str(item["metadata"].get("creationTimestamp", "")), self._read(item)) for item in objects)
        seen = sorted(((when, one) for when, one in read if one is not None), key=itemgetter(0))
        for disappointment in self._inventory.pods_observed((one for _, one in seen), self._monotonic()):
            hindsight.refused(self._metrics, disappointment)

    def put(self, item: Object) -> None:
        """Takes a Pod that is new or changed."""
        seen = self._read(item)
        disappointment = self._inventory.pod_observed(seen, self._monotonic()) if seen is not None else None
        if disappointment is not None:
            hindsight.refused(self._metrics, disappointment)

    def remove(self, item: Object) -> None:
        """Takes note that a Pod was deleted, after what its last state says."""
        self.put(item)
        self._inventory.pod_departed(item["metadata"]["uid"], self._monotonic())

    def _read(self, item: Object) -> ObservedPod | None:
        try:
            return observed_from_json(item)
        except WireError as error:
            self._metrics.unreadable.labels(self.resource).inc()
            log.warning("pod cannot be read", extra={"pod": name_of(item), "why": str(error)})
            return None
