"""
Prediction and placement: when a report has a pod for the first time, whether it is where the twin had put it.

A pod that is elsewhere is no fault if events in another order lead there, as the kubelet's order is not ours to know.
What no order explains is a difference between the twin and the kubelet, or something that we have not heard of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from extender.inventory.course import Course, Stage, may_start
from extender.inventory.ground import Ground
from extender.inventory.history import History
from extender.inventory.node import Node
from extender.inventory.orders import Actor, TooManyOrdersError, Walk
from extender.model.pod import Kind, Pod
from extender.model.state import NodeState

MOST_STEPS = 1024
ABSENT, ADMITTED, STARTED, GONE = Stage


class Outcome(StrEnum):
    """How a placement compares."""

    EQUAL = "equal"
    """It is where the twin had put it, the pods coming in the order in which we learned of them."""
    REORDERED = "reordered"
    """It is where another order of the same events leads."""
    DIFFERENT = "different"
    """No order leads there."""
    UNTOLD = "untold"
    """It could not be told: too many orders, or pods that we did not know."""


@dataclass(frozen=True, slots=True)
class Placement:
    """One pod that a report has for the first time."""

    pod: Pod
    outcome: Outcome


def compare(before: Node, after: Node) -> list[Placement]:
    """
    Compares the pods that a report brings with where they were expected.

    Args:
        before: the node as it was known when the report came.
        after: the node with the report.
    """
    old, new = before.report, after.report
    if old is None or new is None or before.snapshot is None or before.kubelet is not after.kubelet:
        return []
    if before.owner != after.owner or not (old.exact and new.exact):
        return []
    fresh = [uid for uid, held in after.held.items() if held.reported and not _was_reported(before, uid)]
    if not fresh:
        return []
    expected, found = before.snapshot.state, new.state
    unlike = [uid for uid in fresh if place(expected, after.held[uid].pod) != place(found, after.held[uid].pod)]
    outcome = _explained(before, after, fresh) if unlike else Outcome.EQUAL
    return [Placement(after.held[uid].pod, outcome if uid in unlike else Outcome.EQUAL) for uid in fresh]


def _was_reported(node: Node, uid: str) -> bool:
    return uid in node.held and node.held[uid].reported


def place(state: NodeState, pod: Pod) -> Hashable:
    """
    Returns where a pod is, as far as the kubelet does not leave it to chance.

    Left out are what its ordinary init containers hold, which is freed in the meantime, and which of several devices
    near the same zones it has.
    """
    uid = pod.uid
    passing = {container.name for container in pod.containers if container.kind is Kind.INIT}
    return (
        state.cpu.pod_entries.get(uid),
        frozenset((name, cpus) for name, cpus in state.cpu.entries.get(uid, {}).items() if name not in passing),
        frozenset(state.memory.pod_entries.get(uid, ())),
        frozenset(
            (name, frozenset(blocks))
            for name, blocks in state.memory.entries.get(uid, {}).items()
            if name not in passing and blocks
        ),
        frozenset(_devices(state, uid, passing)),
    )


def _devices(state: NodeState, uid: str, passing: Iterable[str]) -> Iterator[Hashable]:
    for name, held in state.device.entries.get(uid, {}).items():
        for resource, ids in held.items() if name not in passing else ():
            near = Counter(device.zones for device in state.device.reported.get(resource, ()) if device.id in ids)
            yield name, resource, frozenset(near.items())


def _explained(before: Node, after: Node, fresh: Iterable[str]) -> Outcome:
    """Whether some order of what may have happened between two reports leads to the second."""
    assert before.ground is not None
    assert after.report is not None
    found, ground = after.report.state, _ground(before)
    courses = list(_courses(ground, before, after))
    strangers = any(uid not in after.held for uid in found.active if uid not in before.ground.state.active)
    if strangers or before.outlook is None or before.outlook.unheard or _in_the_midst(ground.state, fresh):
        return Outcome.UNTOLD
    actors = [Actor(course, course.pod.uid, course.pod) for course in courses]
    history = History(ground.kubelet, ground.state, frozenset(actor.uid for actor in actors))
    walk = Walk(history, actors, MOST_STEPS)
    try:
        walk.go([(history.origin, tuple(course.origin for course in courses))])
    except TooManyOrdersError:
        return Outcome.UNTOLD
    pods = [after.held[uid].pod for uid in fresh]
    wanted = [place(found, pod) for pod in pods]
    for moment in walk.reached:
        if wanted == [place(moment.state, pod) for pod in pods]:
            return Outcome.REORDERED
    return Outcome.DIFFERENT


def _ground(before: Node) -> Ground:
    """What the earlier report says, without pods that it has and that do not hold yet what their kubelet gives them."""
    assert before.ground is not None
    if before.outlook is None:
        return before.ground
    counted = before.outlook.ground.state.active
    missing = [before.held.get(uid) for uid in before.ground.state.active if uid not in counted]
    return before.outlook.ground if any(held and held.over is None for held in missing) else before.ground


def _in_the_midst(state: NodeState, fresh: Iterable[str]) -> bool:
    """Whether a report is of a moment in the midst of an admission: some of what a pod gets is its, and it is not there."""
    tables = (state.cpu.pod_entries, state.cpu.entries, state.memory.pod_entries, state.memory.entries)
    return any(uid in table for uid in fresh if uid not in state.active for table in tables)


def _courses(ground: Ground, before: Node, after: Node) -> Iterator[Course]:
    """Everything that may have happened to the pods of a node from one report to the next."""
    assert after.report is not None
    state, active = ground.state, after.report.state.active
    memory = ground.kubelet.memory is not None
    for uid, held in {**before.held, **after.held}.items():
        starts = memory and may_start(held.pod)
        gone = uid not in active
        resident = uid in state.active
        if resident and not gone and not starts:
            continue
        now = {ADMITTED, *((STARTED,) if starts else ()), *((GONE,) if gone else ())}
        yield Course(held.pod, held.shape, ADMITTED if resident else ABSENT, frozenset(now), starts)
    for uid, pod in state.active.items():
        if uid not in active and uid not in before.held and uid not in after.held:
            yield Course(pod, (), ADMITTED, frozenset({ADMITTED, GONE}))
