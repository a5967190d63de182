"""NodeResourceTopology objects: what is reported of each node."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable

from extender.feeds import hindsight
from extender.feeds.objects import Object, name_of, owner_of
from extender.inventory.live import Inventory
from extender.metrics import Metrics
from extender.wire.fields import WireError
from extender.wire.nrt import PATH, report_from_nrt

log = logging.getLogger(__name__)


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
        give_way: Callable[[], object] = lambda: None,
    ) -> None:
        """
        Takes in reports that go on coming, or, not ``live``, ones from files, which have no heart to beat.

        ``give_way`` is called between reading one and working out what follows from it.
        """
        self._inventory, self._metrics = inventory, metrics
        self._monotonic, self._clock, self._live = monotonic, clock, live
        self._give_way = give_way

    def replace(self, objects: Iterable[Object]) -> None:
        """Takes these as all reports."""
        names = []
        for item in objects:
            names.append(name_of(item))
            self.put(item)
        self._inventory.only_reports_of(names)

    def put(self, item: Object) -> None:
        """Takes a report that is new or changed; one that cannot be read makes its node unknown."""
        name = name_of(item)
        try:
            report, owner = report_from_nrt(item), owner_of(item, "Node")
        except WireError as error:
            self._metrics.unreadable.labels(self.resource).inc()
            log.warning("report cannot be read, its node is unknown", extra={"node": name, "why": str(error)})
            self._inventory.unreported(name, f"its report cannot be read: {error}")
            return
        if not self._live:
            report = dataclasses.replace(report, heartbeat=None)
        age = 0.0 if report.heartbeat is None else self._clock() - report.heartbeat
        self._give_way()
        before, after = self._inventory.reported(report, self._monotonic(), age, owner)
        hindsight.placed(self._metrics, before, after)

    def remove(self, item: Object) -> None:
        """Takes note that a report is gone."""
        self._inventory.unreported(name_of(item))
