"""
From what is known of a node to the courses of its pods: which stages are certain, and which are possible.

The kubelet hears of bindings and deletions in the order in which the API server made them; of those that are made
before a pod is bound it hears before it hears of that pod. So whoever asks comes after everything that we know to have
happened, while pods that are bound and not reported may have come before or after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from extender.fleet import Snapshot
from extender.inventory.ample import pins
from extender.inventory.course import Course, Stage, may_start
from extender.inventory.ground import Ground
from extender.inventory.node import Held, Node, in_report
from extender.inventory.outlook import Outlook
from extender.model.pod import Kind, Pod
from extender.model.report import Missing, Report

ABSENT, ADMITTED, STARTED, GONE = Stage


def looked_out(ground: Ground, node: Node, report: Report) -> tuple[Outlook, Snapshot]:
    """
    Returns what may become of a node, and the node if pods come in the order in which we learned of them.

    Args:
        ground: of the report.
        node: what is known of the node.
        report: its report.

    Raises:
        KubeletCrash: the kubelet would not survive a pod that is bound to it.
    """
    arriving = {uid: held for uid, held in node.held.items() if not _is_there(ground, report, uid, held)}
    arrivals = [_arrival(ground, held) for held in arriving.values()]
    residents = list(_residents(ground, node, report, arriving.keys()))
    certain = [(course.pod, stage) for course in residents for stage in course.now if len(course.now) == 1]
    waiting = [course for course in arrivals if not course.over]
    if not waiting:
        # Nobody may have come in between: what is certain has happened, and pods that are over were in nobody's way.
        after = ground.then(certain)
        return Outlook(after, [course for course in residents if len(course.now) > 1]), after.snapshot
    likely = ground.after([*certain, *(step for course in waiting for step in _usual_steps(course))])
    return Outlook(ground, [*residents, *arrivals]), likely


def _is_there(ground: Ground, report: Report, uid: str, held: Held) -> bool:
    """
    Whether the report's state counts a pod.

    A kubelet that has lost its checkpoints admits its pods anew: until then they hold nothing, but they will.
    """
    if not in_report(report, uid, held):
        return False
    if held.over is not None or not report.exact or _holds(ground, uid):
        return True
    return not pins(ground.snapshot, held.pod, held.shape)


def _holds(ground: Ground, uid: str) -> bool:
    cpu, memory, device = ground.state.cpu, ground.state.memory, ground.state.device
    tables = cpu.entries, cpu.pod_entries, memory.entries, memory.pod_entries, device.entries
    return any(uid in table for table in tables)


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
        stages = {STARTED} if held.seen.started else {ADMITTED, STARTED}
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
