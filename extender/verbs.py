"""
The scheduler's verbs as functions of the inventory: filter, prioritize, bind.

Each is asked of many nodes and answers from what is known at this moment; none waits for the API server except bind,
whose business that is. filter is asked again and again, also for pods that are never bound: it changes nothing that
its own answer depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from extender.fleet import Shape, shape_of
from extender.inventory.history import Refused
from extender.inventory.judgement import Judgement
from extender.inventory.live import Inventory
from extender.inventory.node import Node
from extender.inventory.orders import Why
from extender.model.pod import Pod
from extender.model.report import Missing
from extender.model.verdict import Refusal
from extender.wire.explanation import refusal_sentence, scarce
from extender.wire.scheduler import Binding

PREFIX = "numa: "
"""Begins each reason, so that whoever reads a pod's events knows who speaks."""


def filter_nodes(inventory: Inventory, pod: Pod, names: Sequence[str], now: float) -> list[Judgement]:
    """Judges a pod on each node, and notes where it was let through to."""
    shape = shape_of(pod)
    judgements = [inventory.judge(name, pod, shape) for name in names]
    inventory.answered(pod, shape, [one.node.name for one in judgements if one.fits], now)
    return judgements


def score_nodes(inventory: Inventory, pod: Pod, names: Sequence[str]) -> dict[str, int]:
    """Scores the placement that the kubelet would choose on each node; nodes that are not known score 0."""
    shape = shape_of(pod)
    return {name: _score(inventory.node(name), pod, shape) for name in names}


def _score(node: Node, pod: Pod, shape: Shape) -> int:
    return 0 if node.snapshot is None or pod.uid in node.held else node.snapshot.score(pod, shape)


@dataclass(frozen=True, slots=True)
class Bound:
    """What became of a binding."""

    error: str = ""
    """Why the pod is not bound; the scheduler tries it again."""
    judgement: Judgement | None = None
    """The second look at the node; None where the pod was not known."""


class OutcomeUnknownError(Exception):
    """It is not known whether a Binding took effect; the message says why."""


def bind(inventory: Inventory, binding: Binding, post: Callable[[Binding], str], now: float) -> Bound:
    """
    Binds a pod: looks at the node once more, counts the pod as being there in the same step, and posts the Binding.

    Args:
        inventory: what is known.
        binding: which pod, and where.
        post: posts it; returns why it was refused, or the empty text. Where it raises ``OutcomeUnknownError`` the
            pod stays assumed until the API server has shown it or the time is up.
        now: our own clock.
    """
    pod = inventory.waiting(binding.uid)
    if pod is None:
        return Bound(f"{PREFIX}pod {binding.namespace}/{binding.name} ({binding.uid}) is not waiting to be bound")
    judgement = inventory.assume(binding.node, pod, shape_of(pod), now)
    if not judgement.fits:
        return Bound(reason(judgement), judgement)
    try:
        error = post(binding)
    except OutcomeUnknownError as unknown:
        return Bound(f"{PREFIX}{unknown}", judgement)
    if error:
        inventory.forget(binding.node, pod.uid)
    return Bound(error and f"{PREFIX}{error}", judgement)


def reason(judgement: Judgement) -> str:
    """Returns why a node was refused, in one sentence for the pod's events."""
    node, fit, hazard = judgement.node, judgement.fit, judgement.hazard
    if fit is None or node.snapshot is None:
        what = "its report is stale" if node.stale else f"the node is not known ({node.fault})"
        return f"{PREFIX}{what} and the extender is set to refuse such nodes"
    refused = Refused(fit.verdict if isinstance(fit.verdict, Refusal) else None, fit.crash)
    if hazard is not None:
        if hazard.why is not Why.TAKEN or hazard.refused is None:
            return f"{PREFIX}{_HAZARDS[hazard.why]}{_provisos(judgement)}"
        refused = hazard.refused
    if refused.refusal is None:
        return f"{PREFIX}this pod would crash or hang the kubelet: {refused.crash}"
    sentence = refusal_sentence(refused.refusal, node.snapshot.kubelet.configuration, node.snapshot.rooms)
    return f"{PREFIX}{sentence}{_provisos(judgement)}"


_HAZARDS = {
    Why.DISPLACES: "it would fit, but could take the place of a pod that is on its way here",
    Why.BUSY: "so many pods are on their way here that their places are known only with the node's next report",
}


def _provisos(judgement: Judgement) -> str:
    """What else the reader should know, in brackets."""
    said = []
    report = judgement.node.report
    if judgement.hazard is not None and judgement.hazard.why is Why.TAKEN:
        said.append("if pods that are on their way here get there first")
    if judgement.node.stale:
        said.append("the report is stale")
    if report is not None and not report.exact:
        lacks = (
            "tells quantities only" if Missing.MACHINE in report.estimates else "lacks " + ", ".join(report.estimates)
        )
        said.append(f"estimated, the report {lacks}")
    return f" ({'; '.join(said)})" if said else ""


def grounds(judgement: Judgement) -> tuple[str, str, str]:
    """Returns the kubelet's reason, our cause and the scarce resource of a refusal, each empty where there is none."""
    fit = judgement.fit
    if judgement.hazard is not None:
        return "", str(judgement.hazard.why), ""
    if fit is None:
        return "", f"{judgement.knowledge}-node", ""
    if not isinstance(fit.verdict, Refusal):
        return "", "kubelet-crash", ""
    refusal = fit.verdict
    assert judgement.node.snapshot is not None
    short = scarce(refusal.shortages, judgement.node.snapshot.kubelet.configuration)
    resource = refusal.resource or ",".join(shortage.resource for shortage in short)
    return str(refusal.reason), str(refusal.cause), resource
