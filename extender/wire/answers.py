"""
Answers as JSON: per node what the kubelet would say and why, in figures and in one sentence for people.

Nodes on which a pod fits come first, the best placement at the top. In brief form, for thousands of nodes, a finding
has no figures but those that a list shows. Amounts are whole numbers of CPUs, bytes or devices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from extender import cpuset
from extender.model.answer import (
    Answer,
    Capacity,
    Edit,
    Finding,
    Lost,
    Outcome,
    Overfull,
    Place,
    PodAnswer,
    PodCount,
    Suggestion,
    Trend,
    Way,
)
from extender.model.pod import Pod
from extender.model.question import Asked
from extender.model.room import Room
from extender.model.verdict import Admission, Refusal
from extender.quantity import NANO, Format, Quantity
from extender.wire.explanation import admission_sentence, refusal_sentence
from extender.wire.replay import verdict_to_json
from extender.wire.sentences import kubelet_message

Json = dict[str, object]

MOST_REASONS = 5
"""Different reasons that are told of a pod that goes nowhere."""


def answer_to_json(answer: Answer, *, brief: bool = False) -> Json:
    """Writes the answer to a question."""
    written: Json = {"fits": answer.fits, "changed": answer.changed}
    if answer.together is not None:
        written["together"] = [_place(place, brief=brief) for place in answer.together]
        written["placed"] = sum(place.finding is not None for place in answer.together)
    elif answer.counts:
        written["pods"] = [_count(count, brief=brief) for count in answer.counts]
    else:
        written["pods"] = [_pod_answer(one, brief=brief) for one in answer.pods]
    if answer.changed:
        written["lost"] = [_lost(one) for one in answer.lost]
        written["displaced"] = [_place(place, brief=brief) for place in answer.displaced]
    return written


def asked_to_json(asked: Asked) -> Json:
    """Writes what was asked about, as a kubelet would get it."""
    pod = asked.pod
    written: Json = {
        "kind": asked.kind,
        "namespace": pod.namespace,
        "name": pod.name,
        "replicas": asked.replicas,
        "qosClass": str(pod.qos or ""),
        "amounts": dict(asked.amounts),
        "containers": [
            {
                "name": container.name,
                "kind": str(container.kind),
                "requests": {name: str(amount) for name, amount in container.resources.requests.items()},
            }
            for container in pod.containers
        ],
    }
    if pod.resources is not None:
        written["requests"] = {name: str(amount) for name, amount in pod.resources.requests.items()}
    return written


def finding_to_json(finding: Finding, *, brief: bool = False) -> Json:
    """Writes what one node says."""
    written: Json = {
        "node": finding.node,
        "fits": finding.fits,
        "outcome": str(finding.outcome),
        "sentence": sentence(finding),
        "score": finding.score,
        "knowledge": finding.knowledge,
    }
    if finding.fits:
        written["zones"] = used_zones(finding.before, finding.after)
    if brief:
        return written
    written["estimates"] = list(finding.estimates)
    written["rooms"] = rooms_to_json(finding.before)
    if finding.fits:
        written["left"] = rooms_to_json(finding.after)
    if finding.overfull is not None:
        written["refusal"] = _overfull(finding.overfull)
    elif isinstance(finding.verdict, Refusal):
        written["refusal"] = _refusal(finding.verdict)
    if isinstance(finding.verdict, Admission) and finding.fits:
        written["admission"] = _admission(finding.verdict)
    return written


def sentence(finding: Finding) -> str:
    """Returns what is said of a node, in one sentence."""
    if finding.outcome is Outcome.UNKNOWN:
        return f"the node cannot be judged: {finding.why}"
    if finding.outcome is Outcome.CRASH:
        return f"this pod would crash or hang the kubelet: {finding.why}"
    if finding.overfull is not None:
        return overfull_sentence(finding.overfull)
    if isinstance(finding.verdict, Admission):
        return admission_sentence(finding.verdict, finding.before, finding.after)
    assert isinstance(finding.verdict, Refusal)
    assert finding.configuration is not None
    return refusal_sentence(finding.verdict, finding.configuration, finding.before)


def overfull_sentence(overfull: Overfull) -> str:
    """Returns why a node as a whole has not enough left."""
    asked, left, there = (
        str(Quantity(nanos, None, _form(overfull.resource)))
        for nanos in (overfull.requested, overfull.left, overfull.allocatable)
    )
    what = "CPU" if overfull.resource == "cpu" else f"of {overfull.resource}"
    return f"the pod requests {asked} {what}; all pods together leave {left} of {there} on the node"


def _form(resource: str) -> Format:
    return Format.DECIMAL_SI if resource == "cpu" else Format.BINARY_SI


def _overfull(overfull: Overfull) -> Json:
    """The kubelet's words; it counts CPUs in thousandths."""
    unit = NANO // 1000 if overfull.resource == "cpu" else NANO
    asked, used, there = (nanos // unit for nanos in (overfull.requested, overfull.used, overfull.allocatable))
    message = f"requested: {asked}, used: {used}, capacity: {there}"
    return {
        "reason": f"OutOf{overfull.resource}",
        "message": f"Node didn't have enough resource: {overfull.resource}, {message}",
        "cause": "node-as-a-whole",
        "shortages": [],
        "resource": overfull.resource,
        "requested": -(-overfull.requested // NANO),
        "available": overfull.left // NANO,
    }


def used_zones(before: Sequence[Room], after: Sequence[Room]) -> list[int]:
    """Returns the zones of which something was taken."""
    return [was.zone for was, now in zip(before, after, strict=True) if was.free != now.free]


def rooms_to_json(rooms: Iterable[Room]) -> list[Json]:
    """Writes what each zone has and has left for exclusive use."""
    return [{"zone": room.zone, "allocatable": dict(room.allocatable), "free": dict(room.free)} for room in rooms]


def by_fit(findings: Iterable[Finding]) -> list[Finding]:
    """Sorts nodes: those on which the pod fits first, the best placement at the top; those not known last."""
    rank = {Outcome.ADMITTED: 0, Outcome.REFUSED: 1, Outcome.CRASH: 2, Outcome.UNKNOWN: 3}
    return sorted(findings, key=lambda one: (rank[one.outcome], -one.score, one.node))


def _refusal(refusal: Refusal) -> Json:
    written: Json = {
        "reason": str(refusal.reason),
        "message": kubelet_message(refusal),
        "cause": str(refusal.cause),
        "shortages": [
            {
                "resource": one.resource,
                "requested": one.requested,
                "available": {str(zone): amount for zone, amount in one.available.items()},
            }
            for one in refusal.shortages
        ],
    }
    if refusal.container is not None:
        written["container"] = refusal.container
    if refusal.resource is not None:
        written |= {"resource": refusal.resource, "requested": refusal.requested, "available": refusal.available}
    return written


def _admission(admission: Admission) -> Json:
    """The judge's form of a verdict, and what it does not say: slices, the pod shared pool, affinities."""
    written = verdict_to_json(admission)
    del written["admit"]
    if admission.exclusive:
        written["exclusive"] = sorted(admission.exclusive)
    if admission.shared_pool is not None:
        written["podSharedPool"] = cpuset.render(admission.shared_pool)
    return written


def _pod_answer(answer: PodAnswer, *, brief: bool) -> Json:
    latest = answer.latest
    counted = Counter(one.outcome for one in latest)
    written: Json = {
        **asked_to_json(answer.asked),
        "fits": counted[Outcome.ADMITTED] > 0,
        "summary": {str(outcome): counted[outcome] for outcome in Outcome},
        "nodes": [finding_to_json(one, brief=brief) for one in by_fit(latest)],
        "suggestions": [suggestion_to_json(one) for one in answer.suggestions],
    }
    if answer.then is not None:
        trends = {one.node: one.trend for one in answer.beside}
        written["before"] = [finding_to_json(one, brief=brief) for one in by_fit(answer.today)]
        written["gains"] = sorted(node for node, trend in trends.items() if trend is Trend.GAINS)
        written["loses"] = sorted(node for node, trend in trends.items() if trend is Trend.LOSES)
    return written


def _count(count: PodCount, *, brief: bool) -> Json:
    latest = count.latest
    written: Json = {
        **asked_to_json(count.asked),
        "fits": any(one.fits for one in latest),
        "total": total(latest),
        "limited": not any(one.fits and not one.pinned for one in latest),
        "nodes": [_capacity(one, brief=brief) for one in _by_capacity(latest)],
    }
    if count.then is not None:
        written["before"] = [_capacity(one, brief=brief) for one in _by_capacity(count.today)]
        written["totalBefore"] = total(count.today)
    return written


def total(counted: Iterable[Capacity]) -> int:
    """Returns how many pods fit on all nodes together, those after a first refusal not counted."""
    return sum(one.fits for one in counted)


def _by_capacity(counted: Iterable[Capacity]) -> list[Capacity]:
    return sorted(counted, key=lambda one: (-one.fits, one.node))


def _capacity(capacity: Capacity, *, brief: bool) -> Json:
    written: Json = {
        "node": capacity.node,
        "fits": capacity.fits,
        "beyond": capacity.beyond,
        "limited": capacity.pinned,
        "knowledge": capacity.knowledge,
        "sentence": _capacity_sentence(capacity),
    }
    if not brief:
        written["rooms"] = rooms_to_json(capacity.before)
        written["left"] = rooms_to_json(capacity.after)
    return written


def _capacity_sentence(capacity: Capacity) -> str:
    if capacity.why:
        return f"the node cannot be judged: {capacity.why}"
    if not capacity.pinned:
        return "nothing of it is pinned, so that NUMA sets no limit"
    if capacity.refusal is None:
        return "counting ended before the first refusal"
    text = sentence(capacity.refusal)
    return f"{text}; after that {capacity.beyond} more" if capacity.beyond else text


def _place(place: Place, *, brief: bool) -> Json:
    written: Json = {**_named(place.pod), "fits": place.finding is not None}
    if place.finding is not None:
        return {**written, **finding_to_json(place.finding, brief=brief)}
    reasons = Counter(sentence(one) for one in place.refusals.values())
    return {
        **written,
        "reasons": [{"sentence": text, "nodes": nodes} for text, nodes in reasons.most_common(MOST_REASONS)],
    }


def _named(pod: Pod) -> Json:
    return {"namespace": pod.namespace, "name": pod.name}


def _lost(lost: Lost) -> Json:
    if lost.refusal is not None and lost.configuration is not None:
        text = refusal_sentence(lost.refusal, lost.configuration, lost.rooms)
    else:
        text = lost.why
    written: Json = {**_named(lost.pod), "node": lost.node, "sentence": text, "rebuilt": lost.rebuilt}
    if lost.refusal is not None:
        written["reason"] = str(lost.refusal.reason)
    return written


def suggestion_to_json(suggestion: Suggestion) -> Json:
    """Writes a change that was tried and works."""
    return {
        "way": str(suggestion.way),
        "node": suggestion.node,
        "sentence": suggestion_sentence(suggestion),
        "edits": [_edit(edit) for edit in suggestion.edits],
        "cost": suggestion.cost,
        "lost": list(suggestion.lost),
    }


def _edit(edit: Edit) -> Json:
    return {"subject": edit.subject, "path": edit.path, "before": edit.before, "after": edit.after}


_LEADS: Mapping[Way, str] = {
    Way.LESS: "ask for less",
    Way.ROUND: "round up",
    Way.ROOM: "leave room in the budget for the containers that share it",
    Way.SHARE: "give up exclusive CPUs",
    Way.GUARANTEE: "be pinned as well",
    Way.REMOVE: "remove",
    Way.KUBELET: "configure the kubelet",
}


def suggestion_sentence(suggestion: Suggestion) -> str:
    """Returns a change in words: ``ask for less: cpu of the pod 8 → 6``."""
    told = dict.fromkeys(map(_edit_words, suggestion.edits))
    text = f"{_LEADS[suggestion.way]}{' ' if suggestion.way is Way.REMOVE else ': '}{', '.join(told)}"
    if suggestion.lost:
        text += f"; it would not admit {', '.join(suggestion.lost)} again"
    return text


def _edit_words(edit: Edit) -> str:
    """Requests and limits of one amount that change alike read alike, and are told once."""
    if edit.subject == "cluster":
        return edit.before or ""
    what = edit.what or edit.path
    if edit.after is None:
        return f"no limit on {what}" if edit.subject == "pod" else f"no {what}"
    return f"{what} {edit.before} → {edit.after}" if edit.before is not None else f"{what} {edit.after}"
