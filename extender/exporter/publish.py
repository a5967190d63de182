"""
Publishes reports: one object per node, written when it changes, with a heartbeat that shows that somebody watches.

Nothing is lost while the API server is away: only the last report counts, it is owed until it is written, and so is
the touch of the Node that lets the scheduler try refused pods again. Attempts are spaced out, with jitter, so that
thousands of exporters do not greet a returning API server at once.

Source: noderesourcetopology-api (name and owner), kube-scheduler scheduling_queue.go and eventhandlers.go (a changed
Node annotation moves pods that an extender refused, a changed NodeResourceTopology does not).
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus

from extender.exporter.api import Api, ApiError
from extender.exporter.growth import has_grown
from extender.exporter.metrics import Metrics
from extender.exporter.observation import ApiNode
from extender.model.report import Report
from extender.wire.fields import WireError
from extender.wire.nrt import PATH, report_from_nrt, report_to_nrt
from extender.wire.own_attributes import PREFIX

log = logging.getLogger(__name__)

AVAILABILITY = f"{PREFIX}availability"
"""Annotation of the Node: when pods that were refused became worth another try last, in seconds since 1970."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 15.0


@dataclass(slots=True)
class Attempts:
    """When something that fails may be tried again."""

    not_before: float = -math.inf
    pause: float = FIRST_PAUSE_SECONDS

    def failed(self, now: float) -> None:
        """Makes the next attempt wait, twice as long each time."""
        self.not_before = now + self.pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        self.pause = min(2 * self.pause, LONGEST_PAUSE_SECONDS)

    def succeeded(self) -> None:
        """Forgets earlier failures."""
        self.not_before, self.pause = -math.inf, FIRST_PAUSE_SECONDS


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the object should say, and whose it is."""

    report: Report
    owner: str
    """Uid of the Node; empty where it is not known."""


class Publisher:
    """Writes the reports of one node."""

    def __init__(
        self,
        api: Api,
        node: str,
        metrics: Metrics,
        heartbeat_seconds: float,
        *,
        touch_node: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._node, self._metrics, self._clock = api, node, metrics, clock
        self._heartbeat_seconds, self._touch_node = heartbeat_seconds, touch_node
        self._wanted: Wanted | None = None
        self._written: Wanted | None = None
        self._earlier: Report | None = None
        """What an earlier exporter wrote, or this one, last: growth is measured against it."""
        self._changed_at = math.inf
        self._heartbeat_due = math.inf
        self._touch_owed = False
        self._writing, self._touching = Attempts(), Attempts()

    def resume(self) -> Report | None:
        """Takes up where an earlier exporter ended; returns its report, None where there is none that can be read."""
        try:
            self._earlier = report_from_nrt(self._api.get(f"{PATH}/{self._node}"))
        except (ApiError, WireError) as error:
            log.info("no earlier report: %s", error)
        return self._earlier

    @property
    def has_published(self) -> bool:
        """Whether a report has been written by this process."""
        return self._written is not None

    def want(self, report: Report, owner: ApiNode | None, changed_at: float) -> None:
        """
        Takes a report as what the object should say.

        Args:
            report: without a heartbeat.
            owner: the Node, if it is known.
            changed_at: when the first sign of the change was seen, by the clock.
        """
        self._wanted = Wanted(report, owner.uid if owner else "")
        if self._wanted != self._written:
            self._changed_at = min(self._changed_at, changed_at)

    def want_nothing(self) -> None:
        """
        Takes note that there is no Node.

        Its object goes, or has gone, with it; written now it would have no owner and stay for ever. A Node that comes
        under the same name gets an object of its own.
        """
        if self._wanted is not None:
            log.info("there is no Node %s, so nothing is published", self._node)
        self._wanted = self._written = self._earlier = None
        self._changed_at, self._touch_owed = math.inf, False

    def due_seconds(self) -> float:
        """Returns in how many seconds ``publish`` has something to do; infinity where nothing is wanted."""
        if self._wanted is None:
            return math.inf
        write = (
            self._writing.not_before
            if self._wanted != self._written
            else max(self._heartbeat_due, self._writing.not_before)
        )
        touch = self._touching.not_before if self._touch_owed else math.inf
        return max(0.0, min(write, touch) - self._clock())

    def publish(self) -> None:
        """Writes what is owed and due: the object first, then the touch of the Node."""
        now = self._clock()
        changed = self._wanted != self._written
        if self._wanted is not None and (changed or self._heartbeat_due <= now) and self._writing.not_before <= now:
            self._attempt(self._writing, lambda: self._write("change" if changed else "heartbeat"))
        if self._touch_owed and self._wanted == self._written and self._touching.not_before <= self._clock():
            self._attempt(self._touching, self._touch)

    def _attempt(self, attempts: Attempts, write: Callable[[], None]) -> None:
        try:
            write()
        except ApiError as error:
            attempts.failed(self._clock())
            log.warning("not published: %s", error)
        else:
            attempts.succeeded()

    def _write(self, why: str) -> None:
        assert self._wanted is not None
        wanted, report = self._wanted, self._wanted.report
        body = report_to_nrt(replace(report, heartbeat=int(time.time())), owner=wanted.owner)
        with self._counted("report", why):
            self._api.apply(f"{PATH}/{self._node}", body)
        now = self._clock()
        self._heartbeat_due = now + self._heartbeat_seconds
        self._metrics.published.set_to_current_time()
        if wanted != self._written:
            self._metrics.latency.observe(max(0.0, now - self._changed_at))
            self._changed_at = math.inf
            log.info("published", extra={"estimates": ",".join(report.estimates)})
        grown = self._earlier is None or has_grown(self._earlier, report)
        self._touch_owed = self._touch_node and (self._touch_owed or grown)
        self._written, self._earlier = wanted, report

    def _touch(self) -> None:
        """Changes an annotation of the Node, after the object: whoever is tried again finds the new state."""
        body = {"metadata": {"annotations": {AVAILABILITY: f"{time.time():.3f}"}}}
        try:
            with self._counted("node", "growth"):
                self._api.merge(f"/api/v1/nodes/{self._node}", body)
        except ApiError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            self._touch_node = False
            log.warning("refused pods are tried again late, as the Node may not be annotated: %s", error)
        self._touch_owed = False

    @contextmanager
    def _counted(self, what: str, why: str) -> Iterator[None]:
        """Counts a write by how it ends."""
        result = "failed"
        try:
            yield
            result = "ok"
        finally:
            self._metrics.writes.labels(what, why, result).inc()
