"""
Which pods would have to leave a node so that its kubelet admits another one.

The scheduler chooses victims by sums, and does not see zones: its choice may free the wrong ones. Where evicting its
victims is enough they stay as they are, as it has spared all that it could. Where not, pods of lower priority are
added until the pod fits and then spared again, the most important first, so that none leaves in vain. A victim of the
scheduler is spared only if the others free as much of everything and nothing but amounts can have made it one.

Source: scheduler framework/plugins/defaultpreemption (SelectVictimsOnNode), framework/preemption (MoreImportantVictim).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from extender.fleet import Snapshot
from extender.inventory.node import Held, Node
from extender.kubelet import admission
from extender.kubelet.errors import KubeletCrash
from extender.model.pod import Kind, Pod
from extender.model.state import NodeState


def victims(node: Node, pod: Pod, priority: int, given: Sequence[str], *, plain: bool) -> tuple[str, ...] | None:
    """
    Returns who would have to leave, the most important first; None where no eviction would help, and nobody where the
    pod fits as soon as those are gone that are about to go.

    Args:
        node: a known one.
        pod: that is to get there.
        priority: its own; only pods below it may leave.
        given: uids of the scheduler's victims, the most important first; none where it leaves the choice to us.
        plain: whether nothing but amounts decides where the pod may be.
    """
    assert node.snapshot is not None
    room = _Room(node.snapshot, node, pod)
    if room.fits(given):
        return tuple(given)
    ours = _less_important(node, priority, room)
    leaving = [*dict.fromkeys((*given, *ours))]
    if not room.fits(leaving):
        return None
    ranked = _ranked(node, leaving)
    for uid in ranked:
        rest = [other for other in leaving if other != uid]
        if room.fits(rest) and (uid not in given or (plain and _as_good(node, rest, given))):
            leaving = rest
    return tuple(uid for uid in ranked if uid in leaving)


def helps(node: Node, pod: Pod, priority: int) -> bool:
    """Whether a pod would be admitted on a known node if all pods of lower priority left it."""
    assert node.snapshot is not None
    room = _Room(node.snapshot, node, pod)
    ours = _less_important(node, priority, room)
    return bool(ours) and room.fits(ours)


def is_coming(node: Node, pod: Pod) -> bool:
    """Whether a pod will be admitted on a node as soon as those are gone that are about to go."""
    if node.snapshot is None:
        return False
    room = _Room(node.snapshot, node, pod)
    return room.going and room.fits(())


class _Room:
    """A node without the pods that are about to leave it anyway, and whether a pod fits once others have left too."""

    def __init__(self, snapshot: Snapshot, node: Node, pod: Pod) -> None:
        self._kubelet, self._pod = snapshot.kubelet, pod
        going = [uid for uid, held in node.held.items() if held.over is not None or held.seen.deleting]
        self.going = bool(going)
        self.state = self._without(snapshot.state, going)

    def fits(self, leaving: Iterable[str]) -> bool:
        try:
            return admission.admit(self._kubelet, self._without(self.state, leaving), self._pod)[0].admit
        except KubeletCrash:
            return False

    def _without(self, state: NodeState, leaving: Iterable[str]) -> NodeState:
        for uid in leaving:
            state = admission.remove(self._kubelet, state, uid)
        return state


def _less_important(node: Node, priority: int, room: _Room) -> list[str]:
    """Pods below a priority that hold something of their own, and that the scheduler knows to be there."""
    tables = (
        room.state.cpu.entries,
        room.state.cpu.pod_entries,
        room.state.memory.entries,
        room.state.memory.pod_entries,
        room.state.device.entries,
    )
    return [
        uid
        for uid, held in node.held.items()
        if _may_leave(held) and held.seen.priority < priority and any(uid in table for table in tables)
    ]


def _may_leave(held: Held) -> bool:
    return held.until is None and held.over is None and not held.seen.deleting


def _ranked(node: Node, uids: Collection[str]) -> list[str]:
    """The most important first: by priority, then those that have been there for longer."""
    age = {uid: place for place, uid in enumerate(node.held)}
    known = [uid for uid in uids if uid in node.held]
    ranked = sorted(known, key=lambda uid: (-node.held[uid].seen.priority, age[uid]))
    return [*(uid for uid in uids if uid not in node.held), *ranked]


def _as_good(node: Node, leaving: Iterable[str], given: Iterable[str]) -> bool:
    """Whether some pods free as much of everything as others, and none of these can be in the way for another reason."""
    given = list(given)
    if any(uid not in node.held or not node.held[uid].seen.plain for uid in given):
        return False
    freed = _together(node.held[uid].pod for uid in leaving if uid in node.held)
    return all(freed.get(name, 0) >= nanos for name, nanos in _together(node.held[uid].pod for uid in given).items())


def _together(pods: Iterable[Pod]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for pod in pods:
        for name, nanos in requested(pod).items():
            sums[name] = sums.get(name, 0) + nanos
    return sums


def requested(pod: Pod) -> dict[str, int]:
    """Returns what a pod requests of its node, in billionths: its containers' requests as they run, or its budget's."""
    total: dict[str, int] = {}
    sidecars: dict[str, int] = {}
    first: dict[str, int] = {}
    for container in pod.containers:
        for name, amount in container.resources.requests.items():
            if container.kind is Kind.INIT:
                first[name] = max(first.get(name, 0), sidecars.get(name, 0) + amount.nanos)
                continue
            total[name] = total.get(name, 0) + amount.nanos
            if container.kind is Kind.SIDECAR:
                sidecars[name] = sidecars.get(name, 0) + amount.nanos
    total |= {name: max(total.get(name, 0), nanos) for name, nanos in first.items()}
    return total | ({name: amount.nanos for name, amount in pod.resources.requests.items()} if pod.resources else {})
