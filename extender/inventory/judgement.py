"""One pod on one node: the kubelet's verdict where the node is known, the operator's rule where it is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from extender.fleet import Fit, Shape
from extender.inventory.news import forgotten
from extender.inventory.node import Knowledge, Node
from extender.inventory.orders import Hazard
from extender.inventory.rules import Rules, StaleReports, UnknownNodes
from extender.inventory.totals import allocatable, overfull, requested, together
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


def lack(node: Node, pod: Pod, possibly: Iterable[Pod] = ()) -> Overfull | None:
    """
    Returns what a node as a whole lacks for a pod, as its kubelet's general predicates will find.

    Args:
        node: what is known of the node; of one that is not known exactly nothing is said.
        pod: the pod.
        possibly: pods that may be on their way there besides those that the node has.
    """
    if node.kubelet is None or node.report is None or not node.report.exact:
        return None
    there = [held.pod for uid, held in node.held.items() if held.over is None and uid != pod.uid]
    return overfull(allocatable(node.kubelet), together([*there, *possibly]), requested(pod))
