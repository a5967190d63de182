"""What the exporter counts about itself, in a registry of its own; the only place where its metrics are named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from extender.exporter.build import Pair
from extender.exporter.observation import CheckpointFault
from extender.model.report import Missing

PREFIX = "numa_exporter_"
LATENCY_SECONDS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 15.0, 60.0)


class Metrics:
    """All metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.scans = self._counter("scans", "Readings of all sources.")
        self.writes = self._counter(
            "writes",
            "Calls that write to the API server, by object (report, node), why (change, heartbeat, growth) and result.",
            "object",
            "why",
            "result",
        )
        self.latency = Histogram(
            f"{PREFIX}publish_seconds",
            "Time from the first sign of a change to the object in the API server.",
            buckets=LATENCY_SECONDS,
            registry=self.registry,
        )
        self.unanswered = self._counter("source_failures", "Readings of a source that failed, by source.", "source")
        self.interruptions = self._counter("watch_failures", "Watches of the API server that broke, by path.", "path")
        self.published = self._gauge("published_timestamp_seconds", "When the object was last written.")
        self._disagreements = self._gauge("disagreements", "Whether two sources disagree now, by pair.", "pair")
        self._checkpoints = self._gauge(
            "checkpoint_faults", "Whether a checkpoint file of the kubelet cannot be used now, by why.", "file", "fault"
        )
        self._missing = self._gauge("estimates", "Whether a part of the report is an estimate now, by part.", "part")
        self._warnings = self._gauge("warnings", "What the node's owner should look at; the object has the sentences.")

    def show(self, disagreements: Iterable[Pair], estimates: Iterable[Missing], warnings: int) -> None:
        """Shows what a report says of its own quality."""
        for pair in Pair:
            self._disagreements.labels(pair).set(pair in disagreements)
        for part in Missing:
            self._missing.labels(part).set(part in estimates)
        self._warnings.set(warnings)

    def show_checkpoints(self, faults: Mapping[str, CheckpointFault | None]) -> None:
        """Shows, by file name, which checkpoints cannot be used."""
        for file, now in faults.items():
            for fault in CheckpointFault:
                self._checkpoints.labels(file, fault).set(now is fault)

    def text(self) -> bytes:
        """Returns all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, what, labels, registry=self.registry)
