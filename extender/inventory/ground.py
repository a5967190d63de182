"""What a node's report says for certain, and what was worked out from it."""

from __future__ import annotations

from collections.abc import Iterable

from extender.fleet import Shape, Snapshot
from extender.inventory import ample
from extender.inventory.course import Stage
from extender.inventory.history import History
from extender.kubelet import admission
from extender.kubelet.admission import Kubelet
from extender.kubelet.errors import KubeletCrash
from extender.model.pod import Kind, Pod, QoS
from extender.model.state import NodeState

MOST_REMEMBERED = 128
"""Histories and snapshots of one ground; what exceeds it is worked out again."""

Outline = frozenset[tuple[str, ...]]
"""What kinds of things a pod's containers hold, and the pod as a whole."""
Steps = tuple[tuple[str, Stage], ...]
_NONE: Steps = ()


class Ground:
    """A state to stand on; threads may share it, as what it remembers only saves work."""

    def __init__(self, kubelet: Kubelet, state: NodeState, outlines: dict[Shape, Outline] | None = None) -> None:
        """
        Begins on a state.

        Args:
            kubelet: the node's.
            state: to stand on.
            outlines: of pods, as an earlier ground of the same kubelet has found them.
        """
        self.kubelet, self.state = kubelet, state
        self.outlines = {} if outlines is None else outlines
        self.snapshot = Snapshot(kubelet, state)
        self.numbers: dict[Shape, int] = {}
        """Shapes of arrivals by the number that names them in histories."""
        self._whole: dict[str, Shape] = {}
        """Pods by uid, and their very shapes, of which ``has_all`` is known."""
        self._counts: bool | None = None
        self._histories: dict[frozenset[str], History] = {}
        self._after: dict[Steps, Snapshot] = {}
        self._then: dict[Steps, Ground] = {}
        self._without: dict[tuple[str, ...], Ground] = {}

    @property
    def counts(self) -> bool:
        """Whether free amounts per zone decide here."""
        if self._counts is None:
            self._counts = ample.counts(self.kubelet, self.state)
        return self._counts

    def history(self, loose: frozenset[str]) -> History:
        """Returns the history in which the places of these pods are told apart."""
        bound(self._histories, MOST_REMEMBERED)
        history = self._histories.setdefault(loose, History(self.kubelet, self.state, loose))
        history.trim()
        return history

    def after(self, steps: Iterable[tuple[Pod, Stage]]) -> Snapshot:
        """
        Returns the node after pods have reached stages, in this order; one that is refused leaves what it leaves.

        Raises:
            KubeletCrash: the kubelet would not survive one of them.
        """
        bound(self._after, MOST_REMEMBERED)
        snapshot, came = self.snapshot, _NONE
        for pod, stage in steps:
            came = (*came, (pod.uid, stage))
            known = self._after.get(came)
            if known is None:
                known = self._after[came] = Snapshot(self.kubelet, _reach(self.kubelet, snapshot.state, pod, stage))
            snapshot = known
        return snapshot

    def has_all(self, pod: Pod, shape: Shape) -> bool:
        """Says whether a pod holds something of every kind that the kubelet gives it."""
        if self._whole.get(pod.uid) is shape:
            return True
        held = outline(self.state, pod)
        if self._most(pod) <= held:  # true of nearly every pod, and known without asking the twin
            self._whole[pod.uid] = shape
            return True
        bound(self.outlines, MOST_REMEMBERED)
        expected = self.outlines.get(shape)
        if expected is None:
            expected = self.outlines[shape] = self._outline(pod)
        return expected <= held

    def _most(self, pod: Pod) -> Outline:
        """Every kind of thing that a kubelet may give a pod, whatever it asks for."""
        members = [container for container in pod.containers if container.kind is not Kind.INIT]
        reported = self.state.device.reported
        found: set[tuple[str, ...]] = {
            ("device", one.name, resource)
            for one in members
            for resource in one.resources.limits
            if resource in reported
        }
        if pod.qos not in {None, QoS.GUARANTEED}:
            return frozenset(found)
        for what, manager in (("cpu", self.kubelet.cpu), ("memory", self.kubelet.memory)):
            if manager is not None:
                found |= {(what, one.name) for one in members}
                found |= {(what,)} if pod.resources is not None else set()
        return frozenset(found)

    def _outline(self, pod: Pod) -> Outline:
        """What an idle node gives the pod; nothing where it would not admit it, so that nothing is expected."""
        idle = admission.initial(self.kubelet, self.state.device.reported)
        try:
            verdict, state = admission.admit(self.kubelet, idle, pod)
        except KubeletCrash:
            return frozenset()
        return outline(state, pod) if verdict.admit else frozenset()

    def without(self, uids: Iterable[str]) -> Ground:
        """Returns the ground as it was before some pods were admitted; the last ones, or ones that hold nothing."""
        uids = tuple(sorted(uids))
        if not uids:
            return self
        bound(self._without, 4)
        if uids not in self._without:
            state = self.state
            for uid in uids:
                state = admission.remove(self.kubelet, state, uid)
            self._without[uids] = Ground(self.kubelet, admission.settled(self.kubelet, state), self.outlines)
        return self._without[uids]

    def then(self, steps: Iterable[tuple[Pod, Stage]]) -> Ground:
        """Returns the ground once that has happened for certain."""
        steps = list(steps)
        came = tuple((pod.uid, stage) for pod, stage in steps)
        if not came:
            return self
        bound(self._then, 4)
        return self._then.setdefault(came, Ground(self.kubelet, self.after(steps).state, self.outlines))


def outline(state: NodeState, pod: Pod) -> Outline:
    """Returns of which kinds a pod holds something; what its ordinary init containers hold comes and goes."""
    uid, names = pod.uid, {container.name for container in pod.containers if container.kind is not Kind.INIT}
    found: set[tuple[str, ...]] = set()
    if uid in state.cpu.pod_entries:
        found.add(("cpu",))
    if uid in state.memory.pod_entries:
        found.add(("memory",))
    found |= {("cpu", name) for name in state.cpu.entries.get(uid, {}) if name in names}
    found |= {
        ("memory", name) for name, blocks in state.memory.entries.get(uid, {}).items() if name in names and blocks
    }
    for name, held in state.device.entries.get(uid, {}).items():
        if name in names:
            found |= {("device", name, resource) for resource, ids in held.items() if ids}
    return frozenset(found)


def _reach(kubelet: Kubelet, state: NodeState, pod: Pod, stage: Stage) -> NodeState:
    if stage is Stage.ADMITTED:
        return admission.admit(kubelet, state, pod)[1]
    change = admission.started if stage is Stage.STARTED else admission.remove
    return change(kubelet, state, pod.uid)


def bound(remembered: dict, most: int) -> None:  # type: ignore[type-arg] # whatever is remembered
    """Forgets everything once there are ``most`` things to remember."""
    if len(remembered) >= most:
        remembered.clear()
