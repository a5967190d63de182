"""
The scheduler's verbs as functions of the inventory: filter, prioritize, preempt, bind; and guard, which the API server asks.

Each is asked of many nodes and answers from what is known at this moment; none waits for the API server except bind,
whose business that is. filter is asked again and again, also for pods that are never bound: it changes nothing that
its own answer depends on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from extender.columns.answers import NO_REASON
from extender.columns.fleet import Way
from extender.fleet import Shape, shape_of
from extender.inventory.history import Refused
from extender.inventory.judgement import Judgement
from extender.inventory.live import Inventory
from extender.inventory.node import Knowledge, Node
from extender.inventory.orders import Why
from extender.inventory.preemption import helps, is_coming, victims
from extender.inventory.rules import Assume, UnknownNodes
from extender.inventory.survey import Footing, Survey, footing
from extender.model.pod import Pod
from extender.model.report import Missing
from extender.model.verdict import Refusal
from extender.score import Strategy
from extender.wire.answers import overfull_sentence
from extender.wire.explanation import refusal_sentence, scarce, summary_sentence
from extender.wire.preemption import Preemption, Victims
from extender.wire.scheduler import Binding

PREFIX = "numa: "
"""Begins each reason, so that whoever reads a pod's events knows who speaks."""


MOST_FIGURES = 8
"""
Nodes of one answer whose refusal is told with figures; an event has room for about as many.

The scheduler counts equal reasons, and keeps a text of all different ones with the pod: thousands must not differ.
"""


MOST_EVICTABLE = 100
"""minCandidateNodesAbsolute of the scheduler's preemption."""


def filter_nodes(
    inventory: Inventory,
    pod: Pod,
    names: Sequence[str],
    now: float,
    strategy: Strategy = Strategy.PACK,
    scheduler: str = "",
) -> Survey:
    """Judges a pod on each node, and notes where it was let through to."""
    shape = shape_of(pod)
    with inventory.turn():
        survey = inventory.survey(names, pod, shape, strategy, scheduler=scheduler)
        inventory.expect(survey)
        if inventory.rules.assume is Assume.FILTER:
            inventory.answered(pod, shape, survey.passed, now, scheduler)
    return survey


def score_nodes(
    inventory: Inventory, pod: Pod, names: Sequence[str], strategy: Strategy = Strategy.PACK
) -> dict[int, Sequence[str]]:
    """
    Scores the placement that the kubelet would choose on each node; nodes that are not known score 0.

    The scheduler adds what it is told to other scores and takes the best, so that only differences count: it is told by
    how much each node is better than the least good ones, which are left out, and so are all where none is better. For
    each node that it is told about it spends as much time as for all else that it does with that node.

    Returns:
        Score above the least to the names of all nodes that have it.

    Source: pkg/scheduler/schedule_one.go prioritizeNodes.
    """
    scores = inventory.scored(names, pod, shape_of(pod), strategy)
    if not len(scores):
        return {}
    places = np.argsort(scores, kind="stable").tolist()
    numbers = np.bincount(scores)
    least, *better = np.flatnonzero(numbers).tolist()
    ends = np.cumsum(numbers).tolist()
    return {score - least: [names[place] for place in places[ends[score - 1] : ends[score]]] for score in better}


def refusals(inventory: Inventory, pod: Pod, survey: Survey) -> dict[str, str]:
    """Returns the reason of each node that was refused: of the first ones with figures, of all others without."""
    refused = survey.refused()
    if not len(refused):
        return {}
    told, shape = survey.told, shape_of(pod)
    first = refused[np.argsort(told.slots[refused], kind="stable")[:MOST_FIGURES]].tolist()
    summaries: dict[tuple[int, int, int], str] = {}
    found = {}
    keys = zip(told.why[refused].tolist(), told.label[refused].tolist(), told.way[refused].tolist(), strict=True)
    for place, key in zip(refused.tolist(), keys, strict=True):
        text = summaries.get(key)
        if text is None:
            text = summaries[key] = _summary(survey, *key)
        found[survey.names[place]] = text
    for place in {*first, *survey.alone} & set(refused.tolist()):
        found[survey.names[place]] = _with_figures(inventory, pod, shape, survey, place)
    return found


def _with_figures(inventory: Inventory, pod: Pod, shape: Shape, survey: Survey, place: int) -> str:
    """The reason of one node, remembered for the next time that the same question is asked."""
    judgement = survey.alone.get(place)
    if judgement is not None:
        return reason(judgement)
    told = survey.told
    slot, notes = int(told.slots[place]), told.answers.notes
    seen = int(told.answers.seen[slot])
    known = notes.get(slot)
    if known is not None and known[0] == seen and told.why[place] >= 0:
        return known[1]
    judgement = inventory.judge(survey.names[place], pod, shape)
    if judgement.fits:  # it has changed in between
        return _summary(survey, int(told.why[place]), int(told.label[place]), int(told.way[place]))
    text = reason(judgement)
    if len(notes) >= 4 * MOST_FIGURES:
        notes.clear()
    notes[slot] = seen, text
    return text


def _summary(survey: Survey, why: int, label: int, way: int) -> str:
    """A reason without figures."""
    footing = survey.footings[label]
    if why == NO_REASON:
        what = "its report is stale" if way == Way.REFUSED and footing.stale else "the node is not known"
        return f"{PREFIX}{what} and the extender is set to refuse such nodes"
    given = survey.told.reasons[why]
    if given.because is not None:
        return f"{PREFIX}{_HAZARDS[Why(str(given.because))]}{provisos(footing)}"
    if given.refusal is None:
        return f"{PREFIX}this pod would crash or hang the kubelet: {given.crash}"
    return f"{PREFIX}{summary_sentence(given.refusal, given.configuration)}{provisos(footing)}"


def resolvable(inventory: Inventory, pod: Pod, priority: int, refused: Iterable[str]) -> frozenset[str]:
    """
    Returns those of some refused nodes that evicting pods would open, if it is told apart at all.

    Only the first ``MOST_EVICTABLE`` are looked at: the scheduler tries no more of them either.
    """
    if not inventory.rules.preemption:
        return frozenset()
    nodes = map(inventory.node, refused)
    known = [node for node in nodes if node.snapshot is not None and _has_less_important(node, priority)]
    return frozenset(node.name for node in known[:MOST_EVICTABLE] if helps(node, pod, priority))


def _has_less_important(node: Node, priority: int) -> bool:
    return any(held.seen.priority < priority for held in node.held.values())


def preempt(inventory: Inventory, asked: Preemption) -> dict[str, Victims]:
    """
    Returns who should leave each node for a pod; a node that is left out is one where evicting would not help.

    A pod for which others are leaving already has nobody else evicted. An unknown node is left to the scheduler.
    """
    if asked.nominated and is_coming(inventory.node(asked.nominated), asked.pod):
        return {}
    found = {}
    for name, given in asked.candidates.items():
        node = inventory.node(name)
        if node.snapshot is not None:
            leaving = victims(node, asked.pod, asked.priority, given.uids, plain=asked.plain)
            if leaving:
                found[name] = Victims(leaving, given.violations)
        elif given.uids and inventory.rules.unknown_nodes is UnknownNodes.PASS:
            found[name] = given
    return found


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


def guard(inventory: Inventory, binding: Binding, now: float, *, dry: bool = False) -> Bound | None:
    """
    Judges a Binding that somebody posts, and counts the pod as being there in the same step, as bind does.

    What counts there already, as bind is just posting it or as it is tried again, is let through at once.

    Args:
        inventory: what is known.
        binding: which pod, by uid or, where that is empty, by name; and where.
        now: our own clock.
        dry: whether nothing is going to come of it, so that nothing may be counted.

    Returns:
        What becomes of it; None where the pod is not known.
    """
    pod = _to_bind(inventory, binding)
    if not dry and inventory.counts(binding.node, binding.uid if pod is None else pod.uid, now):
        return Bound()
    if pod is None:
        return None
    judgement = inventory.assume(binding.node, pod, shape_of(pod), now, dry=dry)
    return Bound("" if judgement.fits else reason(judgement), judgement)


def is_known(inventory: Inventory, binding: Binding) -> bool:
    """Whether guard has something to say of a Binding; looks without a lock."""
    return _to_bind(inventory, binding) is not None or binding.uid in inventory.node(binding.node).held


def _to_bind(inventory: Inventory, binding: Binding) -> Pod | None:
    if binding.uid:
        return inventory.waiting(binding.uid)
    return inventory.waiting_named(binding.namespace, binding.name)


def reason(judgement: Judgement) -> str:
    """Returns why a node was refused, in one sentence for the pod's events."""
    node, fit, hazard = judgement.node, judgement.fit, judgement.hazard
    if judgement.overfull is not None:
        return f"{PREFIX}pods of other schedulers have taken what was left: {overfull_sentence(judgement.overfull)}"
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
    Why.TAKEN: "it would fit, but pods that are on their way here could take its place",
    Why.DISPLACES: "it would fit, but could take the place of a pod that is on its way here",
    Why.UNHEARD: "where the pods that came last are is known only with the node's next report",
    Why.BUSY: "so many pods are on their way here that their places are known only with the node's next report",
}


def _provisos(judgement: Judgement) -> str:
    """What else the reader should know, in brackets."""
    taken = judgement.hazard is not None and judgement.hazard.why is Why.TAKEN
    return provisos(footing(judgement.node), *(["if pods that are on their way here get there first"] if taken else []))


def provisos(footing: Footing, *said: str) -> str:
    """What a reader should know about what a verdict rests on, in brackets."""
    about = list(said)
    if footing.stale:
        about.append("the report is stale")
    if footing.estimates:
        lacks = (
            "tells quantities only" if Missing.MACHINE in footing.estimates else "lacks " + ", ".join(footing.estimates)
        )
        about.append(f"estimated, the report {lacks}")
    return f" ({'; '.join(about)})" if about else ""


def counts(survey: Survey) -> tuple[Counter[tuple[Knowledge, bool]], Counter[tuple[str, str, str]]]:
    """Counts a survey's nodes by knowledge and verdict, and the refused ones by their grounds (see ``grounds``)."""
    told, known = survey.told, [footing.knowledge for footing in survey.footings]
    answers: Counter[tuple[Knowledge, bool]] = Counter()
    if survey.passed is survey.names:
        for label, number in enumerate(np.bincount(told.label).tolist()):
            answers[known[label], True] += number
        return +answers, Counter()
    for label in np.flatnonzero(np.bincount(told.label)).tolist():
        of_this = told.label == label
        passed = int(np.count_nonzero(of_this & survey.fits))
        answers[known[label], True] += passed
        answers[known[label], False] += int(np.count_nonzero(of_this)) - passed
    refused: Counter[tuple[str, str, str]] = Counter()
    bulk = survey.refused()
    if survey.alone:
        refused.update(grounds(one) for one in survey.alone.values() if not one.fits)
        bulk = bulk[~np.isin(bulk, list(survey.alone))]
    for (why, label), number in Counter(zip(told.why[bulk].tolist(), told.label[bulk].tolist(), strict=True)).items():
        refused[_grounds_of(survey, why, label)] += number
    return +answers, refused


def _grounds_of(survey: Survey, why: int, label: int) -> tuple[str, str, str]:
    if why == NO_REASON:
        return "", f"{survey.footings[label].knowledge}-node", ""
    given = survey.told.reasons[why]
    if given.because is not None:
        return "", str(given.because), ""
    if given.refusal is None:
        return "", "kubelet-crash", ""
    return str(given.refusal.reason), str(given.refusal.cause), given.refusal.resource or ",".join(given.scarce)


def grounds(judgement: Judgement) -> tuple[str, str, str]:
    """Returns the kubelet's reason, our cause and the scarce resource of a refusal, each empty where there is none."""
    fit = judgement.fit
    if judgement.overfull is not None:
        return f"OutOf{judgement.overfull.resource}", "node-as-a-whole", judgement.overfull.resource
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
