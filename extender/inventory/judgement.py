"""One pod on one node: the kubelet's verdict where the node is known, the operator's rule where it is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from extender.fleet import Fit, Shape
from extender.inventory.news import forgotten
from extender.inventory.node import Knowledge, Node
from extender.inventory.orders import Hazard
from extender.inventory.rules import Rules, StaleReports, UnknownNodes
from extender.inventory.totals import Sums, allocatable, overfull, requested, together
from extender.model.answer import Overfull
from extender.model.pod import Pod


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a node is let through for a pod, and on what ground."""

    node: Node
    """The node as it was known when it was judged."""
    fits: bool
    fit: Fit | None = None
    """The law's answer if pods come in the order in which we learned of them; None where a rule decided."""
    hazard: Hazard | None = None
    """Why another order could end badly, where one could."""
    overfull: Overfull | None = None
    """What the node as a whole lacks, where it was looked at and lacks something."""

    @property
    def knowledge(self) -> Knowledge:
        """How well the node was known."""
        return self.node.knowledge


def judge(node: Node, pod: Pod, shape: Shape, rules: Rules, possibly: Sequence[tuple[Pod, Shape]] = ()) -> Judgement:
    """
    Judges a pod on a node.

    Args:
        node: what is known of the node.
        pod: the pod; an earlier assumption of itself does not count against it.
        shape: the pod's shape.
        rules: what to do where knowledge is missing.
        possibly: other pods that may be on their way to the node.
    """
    if pod.uid in node.held:
        node = forgotten(node, pod.uid)
    if node.snapshot is None or node.outlook is None:
        return Judgement(node, fits=rules.unknown_nodes is UnknownNodes.PASS)
    if node.stale and rules.stale_reports is not StaleReports.PESSIMISTIC:
        return Judgement(node, fits=rules.stale_reports is StaleReports.PASS)
    answer = node.snapshot.fit(pod, shape)
    if not answer.admit:
        return Judgement(node, fits=False, fit=answer)
    hazard = node.outlook.with_possible(possibly).hazard(pod, shape)
    return Judgement(node, fits=hazard is None, fit=answer, hazard=hazard)


@dataclass(frozen=True, slots=True)
class Whole:
    """One node as a whole, as its kubelet's general predicates see it."""

    node: Node
    there: Sums
    """What its kubelet leaves to pods; nothing where the node is not known exactly."""
    used: Sums
    """What its pods request together."""

    def lacks(self, pod: Pod, possibly: Iterable[Pod] = ()) -> Overfull | None:
        """Returns what is not enough for a pod, and for others that may be on their way there, if anything is."""
        others = [*possibly]
        if pod.uid in self.node.held:
            return whole(forgotten(self.node, pod.uid)).lacks(pod, others)
        used = together(others)
        return overfull(
            self.there,
            {name: used.get(name, 0) + self.used.get(name, 0) for name in {*used, *self.used}},
            requested(pod),
        )


def whole(node: Node, before: Whole | None = None) -> Whole:
    """Looks at a node as a whole; what it looked like before saves work."""
    if node.kubelet is None or node.report is None or not node.report.exact:
        return Whole(node, {}, {})
    same = before is not None and before.there and before.node.kubelet is node.kubelet
    there = before.there if before is not None and same else allocatable(node.kubelet)
    return Whole(node, there, together(held.pod for held in node.held.values() if held.over is None))
