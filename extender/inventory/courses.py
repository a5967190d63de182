"""
From what is known of a node to the courses of its pods: which stages are certain, and which are possible.

The kubelet hears of bindings and deletions in the order in which the API server made them; of those that are made
before a pod is bound it hears before it hears of that pod. So whoever asks comes after everything that we know to have
happened, while pods that are bound and not reported may have come before or after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from extender.fleet import Snapshot
from extender.inventory.course import Course, Stage, may_start
from extender.inventory.ground import Ground
from extender.inventory.node import Held, Node, in_report
from extender.inventory.outlook import Outlook
from extender.model.pod import Kind, Pod
from extender.model.report import Missing, Report

ABSENT, ADMITTED, STARTED, GONE = Stage


@dataclass(frozen=True, slots=True)
class View:
    """What is made of all that is known of a node."""

    ground: Ground
    """To stand on the next time as well, as long as the report stands."""
    outlook: Outlook
    """What may become of the node."""
    likely: Snapshot
    """The node if pods come in the order in which we learned of them."""
    there: frozenset[str]
    """Uids of the pods that the report counts."""


def looked_out(report_ground: Ground, node: Node, report: Report) -> View:
    """
    Returns what may become of a node.

    Args:
        report_ground: of the report's state as it is.
        node: what is known of the node.
        report: its report.

    Raises:
        KubeletCrash: the kubelet would not survive a pod that is bound to it.
    """
    seen = {uid for uid, held in node.held.items() if in_report(report, uid, held)}
    half = _half_admitted(report_ground, node, report, seen)
    ground, there = report_ground.without(half), frozenset(seen.difference(half))
    outlook, likely = _looked_out(ground, node, report, there)
    return View(report_ground, outlook, likely, there)


def _looked_out(ground: Ground, node: Node, report: Report, there: Collection[str]) -> tuple[Outlook, Snapshot]:
    arriving = {uid: held for uid, held in node.held.items() if uid not in there}
    arrivals = [_arrival(ground, held) for held in arriving.values()]
    residents = list(_residents(ground, node, report, arriving.keys()))
    certain = [(course.pod, stage) for course in residents for stage in course.now if len(course.now) == 1]
    waiting = [course for course in arrivals if not course.over]
    if not waiting:
        # Nobody may have come in between: what is certain has happened, and pods that are over were in nobody's way.
        after = ground.then(certain)
        return Outlook(after, [course for course in residents if len(course.now) > 1]), after.snapshot
    likely = ground.after([*certain, *(step for course in waiting for step in _usual_steps(course))])
    unheard = report.exact and (not ground.adds_up or any(held.late for held in arriving.values()))
    return Outlook(ground, [*residents, *arrivals], unheard=unheard), likely


def _half_admitted(ground: Ground, node: Node, report: Report, seen: Collection[str]) -> tuple[str, ...]:
    """
    The pods of a report that do not hold all that their kubelet gives them.

    A report may be of a moment in the middle of an admission: the CPU manager has written its file, the memory manager
    has not. And a kubelet that has lost its checkpoints admits its pods anew, which until then hold nothing.
    """
    if not report.exact:
        return ()
    held = {uid: node.held[uid] for uid in seen if node.held[uid].over is None}
    return tuple(uid for uid, one in held.items() if not ground.has_all(one.pod, one.shape))


def _residents(ground: Ground, node: Node, report: Report, arriving: Collection[str]) -> Iterator[Course]:
    """Pods that the report has and that do not stay as they are; on a stale node they may as well."""
    if Missing.PODS in report.estimates:
        return
    for uid, pod in report.state.active.items():
        held = node.held.get(uid)
        if uid in arriving or (held is None and not node.told):
            continue
        now = {ADMITTED, GONE} if held is None else _resident_stages(ground, held)
        if node.stale:
            now.add(ADMITTED)
        if now != {ADMITTED}:
            yield Course(held.pod if held else pod, (), ADMITTED, frozenset(now), starts=STARTED in now)


def _resident_stages(ground: Ground, held: Held) -> set[Stage]:
    if held.over is not None:
        return {GONE}
    stages = {ADMITTED}
    entries = ground.state.memory.entries.get(held.pod.uid, {})
    if any(container.kind is Kind.INIT and container.name in entries for container in held.pod.containers):
        # Also of a pod that runs: a kubelet that has been restarted admits it again, and its init containers get memory anew,
        # which nothing frees before the pod ends. Where that is not so the next report has it no more.
        stages = {ADMITTED, STARTED}
    return stages | {GONE} if held.seen.deleting else stages


def _arrival(ground: Ground, held: Held) -> Course:
    starts = ground.kubelet.memory is not None and may_start(held.pod)
    if held.over is not None:
        return Course(held.pod, held.shape, ABSENT, frozenset({ABSENT, GONE}), starts)
    # What a pod had shown before its kubelet lost it says nothing about its second admission.
    evident = held.seen.admitted and not held.reported
    stages = {STARTED} if starts and evident and held.seen.started else {ADMITTED, STARTED} if starts else {ADMITTED}
    if not evident:
        stages.add(ABSENT)
    if held.seen.deleting:
        stages.add(GONE)
    return Course(held.pod, held.shape, ABSENT, frozenset(stages), starts)


def _usual_steps(course: Course) -> list[tuple[Pod, Stage]]:
    first = [(course.pod, ADMITTED)]
    return first if ADMITTED in course.now else [*first, (course.pod, STARTED)]
