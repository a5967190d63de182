"""What all nodes of a run under churn have seen together, and the lines that are printed of it."""

import math
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class Figures:
    """What all nodes have seen together."""

    answers: Counter[str] = field(default_factory=Counter)
    """The answer, `admitted` or the kubelet's reason, to how often it was given."""
    kinds: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    """Node, kind of pod, and whether it was admitted."""
    differences: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """What else happened, by its words in the printed line."""
    latencies: list[float] = field(default_factory=list)
    """Seconds from the kubelet's last write of a checkpoint for a pod to the object with that pod, seen by a watch."""
    published: list[tuple[float, float]] = field(default_factory=list)
    """Sum (seconds) and count of numa_exporter_publish_seconds, of each life of each exporter."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def lacks(self, wanted: Mapping[str, Sequence[str]]) -> list[str]:
        """Which kinds of pods no node of a setup has admitted, of those that are wanted of it."""
        admitted = {(node.rpartition("-")[0], kind) for node, kind, yes in self.kinds if yes}
        return [
            f"{kind} on {setup}" for setup, kinds in wanted.items() for kind in kinds if (setup, kind) not in admitted
        ]

    def count(self, what: str, number: int = 1) -> None:
        with self.lock:
            self.counts[what] += number

    def lines(self, nodes: int, seed: str) -> Iterator[str]:
        total = self.answers.total()
        yield f"churn: {total} admissions on {nodes} nodes, seed {seed}, {len(self.differences)} wrong predictions"
        yield "  " + ", ".join(f"{answer} {number}" for answer, number in self.answers.most_common())
        kinds: Counter[tuple[str, bool]] = Counter()
        for (_, kind, admitted), number in self.kinds.items():
            kinds[kind, admitted] += number
        names = sorted({kind for kind, _ in kinds})
        yield "  admitted/refused: " + ", ".join(f"{name} {kinds[name, True]}/{kinds[name, False]}" for name in names)
        yield "  " + ", ".join(f"{what} {number}" for what, number in sorted(self.counts.items()))
        marks = ", ".join(f"{share:.0%} {_quantile(self.latencies, share) * 1000:.0f} ms" for share in (0.5, 0.9, 0.99))
        yield f"  change on disk to object seen: {marks}, longest {max(self.latencies) * 1000:.0f} ms ({len(self.latencies)})"
        seconds, number = (sum(column) for column in zip(*self.published, strict=True))
        yield f"  first sign of change to object, by the exporters: mean {seconds / number * 1000:.0f} ms ({number:.0f})"


def _quantile(values: Sequence[float], share: float) -> float:
    """The least value that at least such a share of them does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]
