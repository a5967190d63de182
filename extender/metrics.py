"""
What the extender counts about itself, in a registry of its own; README.md explains every metric.

The only place where metrics are named. Whoever does the work counts it: the verbs in ``calls``, the watches in ``kube``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

PREFIX = "numa_extender_"
LATENCY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Up to the scheduler's own time-out of 5 s."""

disable_created_metrics()  # type: ignore[no-untyped-call]  # times of creation would double the number of series


class Metrics:
    """All metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Calls of a verb, by result (ok, error).", "verb", "result")
        self.latency = Histogram(
            f"{PREFIX}request_seconds",
            "Time from a verb's call to its answer.",
            ["verb"],
            buckets=LATENCY_SECONDS,
            registry=self.registry,
        )
        self.answers = self._counter(
            "node_answers",
            "Nodes answered about by filter, by what we know of them and the verdict.",
            "knowledge",
            "fits",
        )
        self.refusals = self._counter(
            "refusals",
            "Nodes that filter, bind or guard refused, by the kubelet's reason, our cause and the scarce resource.",
            "reason",
            "cause",
            "resource",
        )
        self.twins = self._counter(
            "twin_answers",
            "Nodes that filter had to judge one by one: columns could not decide, or only one or two had changed.",
        )
        self.bindings = self._counter(
            "bindings", "Pods that bind was asked to bind, by result (bound, conflict, failed).", "result"
        )
        self.guarded = self._counter(
            "guarded_bindings",
            "Bindings that the API server asked about, by result (allowed, denied, unknown, dry-run).",
            "result",
        )
        self.placements = self._counter(
            "placements",
            "Pods that a report has for the first time, by where they are (equal, reordered, different, untold).",
            "outcome",
        )
        self.kubelet_refusals = self._counter(
            "kubelet_refusals",
            "Pods that their kubelet refused, by its reason and whether we had let them through.",
            "reason",
            "passed",
        )
        self.watch_events = self._counter(
            "watch_events", "Objects received from the API server or from files, by resource.", "resource", "event"
        )
        self.watch_restarts = self._counter(
            "watch_restarts", "Watches begun anew, by why (closed, expired, failed).", "resource", "why"
        )
        self.unreadable = self._counter(
            "unreadable_objects", "Objects that could not be understood; the log names them.", "resource"
        )

        self.dropped = self._counter(
            "dropped_connections",
            "Connections that were closed on a client, by why (slow, handshake, malformed, crowd).",
            "why",
        )
        self.certificates = self._counter(
            "certificate_readings",
            "Readings of the certificate's files after a change, by result (ok, failed).",
            "result",
        )

    def show_nodes(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Makes the gauge of nodes by knowledge read ``count`` at each scrape."""
        self._gauge("nodes", "Nodes, by what we know of them (exact, estimated, stale, unknown).", "knowledge", count)

    def show_pods(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Makes the gauge of pods by standing read ``count`` at each scrape."""
        self._gauge("pods", "Pods, by how we know them (reported, pending, assumed, answered).", "standing", count)

    def text(self) -> bytes:
        """Returns all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, label: str, count: Callable[[], Mapping[str, int]]) -> None:
        self.registry.register(_Counted(PREFIX + name, what, label, count))


class _Counted(Collector):
    """A gauge with one label whose values are counted when somebody asks."""

    def __init__(self, name: str, what: str, label: str, count: Callable[[], Mapping[str, int]]) -> None:
        self._name, self._what, self._label, self._count = name, what, label, count

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._what, labels=[self._label])
        for value, amount in self._count().items():
            family.add_metric([value], amount)
        yield family
