"""
What is known of one node, as a value, and how each piece of news changes it.

The state that a verdict is made on is the last report, then every pod known to be bound here and not in the report,
admitted by the twin in the order in which we learned of them, bindings on their way included. What a pod held is
given back only when it is certain that the kubelet will: when the pod has ended, or a later report lacks it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from extender.fleet import Snapshot
from extender.kubelet import admission
from extender.kubelet.admission import Kubelet
from extender.kubelet.errors import KubeletCrash, StartError
from extender.model.observed import ObservedPod
from extender.model.pod import Pod
from extender.model.report import Missing, Report
from extender.model.state import NodeState

NO_REPORT = "no report"
REPORT_DELAY_SECONDS = 10.0
"""Longest time from a look at a node to the arrival of the report of it; measured ones are below a second."""


class Knowledge(StrEnum):
    """How well a node is known."""

    EXACT = "exact"
    """The verdict is the kubelet's."""
    ESTIMATED = "estimated"
    """The report does not tell everything, or the kubelet's minor is not one whose law is known."""
    STALE = "stale"
    """The exporter has fallen silent."""
    UNKNOWN = "unknown"
    """There is no report, or none that can be used."""


@dataclass(frozen=True, slots=True)
class Held:
    """A pod that holds something on a node, or may."""

    pod: Pod
    terminal: bool = False
    started: bool = False
    included: bool = False
    """It ran before the last change of the report, which therefore counts it even if it tells no uids."""
    gone: float | None = None
    """When it was deleted from the API, by our own clock; its kubelet may still be ending it."""
    until: float | None = None
    """When an assumed binding is given up; None once the API server has shown the pod bound."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node."""

    name: str
    listed: bool = False
    """Whether the API server has a Node of this name."""
    report: Report | None = None
    fault: str = NO_REPORT
    """Why the node is unknown, where it is."""
    heard: float = 0.0
    """When the exporter was last heard of, by our own clock."""
    stale: bool = False
    held: Mapping[str, Held] = field(default_factory=dict)
    """Pod uid to what is known of it, in the order of first knowledge."""
    kubelet: Kubelet | None = None
    snapshot: Snapshot | None = None

    @property
    def knowledge(self) -> Knowledge:
        """How well the node is known now."""
        if self.snapshot is None or self.report is None:
            return Knowledge.UNKNOWN
        if self.stale:
            return Knowledge.STALE
        return Knowledge.EXACT if self.report.exact else Knowledge.ESTIMATED


def listed(node: Node, *, known: bool) -> Node:
    """Takes note whether the API server has a Node of this name."""
    return node if node.listed == known else replace(node, listed=known)


def standings(node: Node) -> Counter[str]:
    """Counts the node's pods by how we know them: in its report, bound since, or assumed bound."""
    found: Counter[str] = Counter()
    for uid, held in node.held.items():
        if node.report is not None and in_report(node.report, uid, held):
            found["reported"] += 1
        elif not held.terminal:
            found["pending" if held.until is None else "assumed"] += 1
    return found


def reported(node: Node, report: Report, now: float, age: float) -> Node:
    """
    Takes a report in.

    Args:
        node: what was known.
        report: the news.
        now: our own clock.
        age: seconds since the report's heartbeat by the clocks of node and extender. They are trusted only for the
            first report of a node; from then on a new heartbeat is news, whatever its time.
    """
    old = node.report
    if old is None or report.heartbeat is None:
        heard = now - max(0.0, age)
    else:
        heard = node.heard if report.heartbeat == old.heartbeat else now
    fresh = replace(node, report=report, heard=heard, fault="")
    if old is not None and node.snapshot is not None and replace(old, heartbeat=report.heartbeat) == report:
        held = {uid: pod for uid, pod in node.held.items() if not _over(pod, uid, report, old, now)}
        return fresh if len(held) == len(node.held) else _settled(replace(fresh, held=held))
    kept = {uid: pod for uid, pod in node.held.items() if not _over(pod, uid, report, old, now)}
    held = {uid: replace(pod, included=pod.started) for uid, pod in kept.items()}
    return _settled(replace(fresh, held=held, kubelet=_kubelet(node, report)))


def unreported(node: Node, fault: str = NO_REPORT) -> Node:
    """Takes note that the node has no report any more, or one that cannot be used, and why."""
    return replace(node, report=None, fault=fault, kubelet=None, snapshot=None, stale=False)


def observed(node: Node, seen: ObservedPod) -> Node:
    """Takes in a pod that is bound to the node."""
    before = node.held.get(seen.pod.uid)
    included = before is not None and before.included
    held = Held(seen.pod, terminal=seen.terminal, started=seen.started, included=included)
    if before == held:
        return node
    return _settled(replace(node, held={**node.held, seen.pod.uid: held}))


def departed(node: Node, uid: str, now: float) -> Node:
    """Takes note that a pod was deleted; what it holds waits for a report that lacks it unless it had ended."""
    held = node.held.get(uid)
    if held is None:
        return node
    after = _settled(replace(node, held={**node.held, uid: replace(held, gone=now)}))
    return after if after.snapshot is not None and _holds(after.snapshot.state, uid) else forgotten(node, uid)


def assumed(node: Node, pod: Pod, until: float) -> Node:
    """Counts a pod as being on the node although the API server has not shown it there yet."""
    return _settled(replace(node, held={**node.held, pod.uid: Held(pod, until=until)}))


def forgotten(node: Node, uid: str) -> Node:
    """Takes an assumed pod back."""
    return _settled(replace(node, held={other: held for other, held in node.held.items() if other != uid}))


def aged(node: Node, now: float, stale_seconds: float) -> Node:
    """Takes the time into account: silence of the exporter, and assumed bindings that never came true."""
    overdue = [uid for uid, held in node.held.items() if held.until is not None and held.until <= now]
    heartbeat = node.report.heartbeat if node.report else None
    stale = heartbeat is not None and now - node.heard > stale_seconds
    if stale == node.stale and not overdue:
        return node
    held = {uid: held for uid, held in node.held.items() if uid not in overdue}
    return _settled(replace(node, stale=stale, held=held))


def _holds(state: NodeState, uid: str) -> bool:
    managers = state.cpu, state.memory
    pinned = any(uid in manager.entries or uid in manager.pod_entries for manager in managers)
    return pinned or uid in state.device.entries


def _over(held: Held, uid: str, report: Report, old: Report | None, now: float) -> bool:
    """
    Whether a deleted pod is over now that a report has come that lacks it.

    A pod that no report ever had may have been admitted after this one was made: it is over once the report is
    certain to be younger than the deletion.
    """
    if held.gone is None or uid in report.state.active:
        return False
    return (old is not None and uid in old.state.active) or now - held.gone >= REPORT_DELAY_SECONDS


def _kubelet(node: Node, report: Report) -> Kubelet | None:
    """The kubelet of a report; the old one serves where nothing that makes it has changed."""
    old = node.report
    if old is None:
        return None
    same = (old.machine, old.configuration, old.version) == (report.machine, report.configuration, report.version)
    return node.kubelet if same else None


def _settled(node: Node) -> Node:
    """The node with the snapshot that follows from everything known of it."""
    if node.report is None:
        return node
    try:
        kubelet = node.kubelet or admission.start(node.report.machine, node.report.configuration, node.report.version)
        snapshot = Snapshot(kubelet, _state(kubelet, node))
    except StartError as error:
        return replace(node, kubelet=None, snapshot=None, fault=f"its kubelet would not start: {error}")
    except KubeletCrash as crash:
        return replace(node, snapshot=None, fault=f"its kubelet would crash or hang on a pod bound to it: {crash}")
    return replace(node, kubelet=kubelet, snapshot=snapshot, fault="")


def _state(kubelet: Kubelet, node: Node) -> NodeState:
    assert node.report is not None
    state = node.report.state
    for uid, held in node.held.items():
        if in_report(node.report, uid, held):
            state = _updated(kubelet, state, held, frees=not node.stale)
        elif not held.terminal:
            _, state = admission.admit(kubelet, state, held.pod)
            state = _updated(kubelet, state, held, frees=True)
    return state


def in_report(report: Report, uid: str, held: Held) -> bool:
    """Whether what a pod holds is part of a report's state."""
    return held.included if Missing.PODS in report.estimates else uid in report.state.active


def _updated(kubelet: Kubelet, state: NodeState, held: Held, *, frees: bool) -> NodeState:
    if held.terminal and frees:
        return admission.remove(kubelet, state, held.pod.uid)
    return admission.started(kubelet, state, held.pod.uid) if held.started and frees else state
