"""What a node's report says for certain, and what was worked out from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain, count

from extender import cpuset
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
MOST_NUMBERED = 512
"""Shapes of arrivals that have a number; with more a new book is begun."""

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
        self._whole: dict[str, Shape] = {}
        """Pods by uid, and their very shapes, of which ``has_all`` is known."""
        self._counts: bool | None = None
        self._adds_up: bool | None = None
        self._book = Book(kubelet, state)
        self._after: dict[Steps, Snapshot] = {}
        self._then: dict[Steps, Ground] = {}
        self._without: dict[tuple[str, ...], Ground] = {}

    @property
    def counts(self) -> bool:
        """Whether free amounts per zone decide here."""
        if self._counts is None:
            self._counts = ample.counts(self.kubelet, self.state)
        return self._counts

    @property
    def adds_up(self) -> bool:
        """
        Whether all that nobody has is free.

        A manager writes that something is not free any more before it writes whose it is, and that it is nobody's before
        it writes that it is free (policy_static.go of both: allocateCPUs, RemoveContainer, releaseMemory). A report from
        in between is soon followed by another one. Kubelets up to 1.37.2 also lose CPUs or memory for good.
        """
        if self._adds_up is None:
            self._adds_up = adds_up(self.kubelet, self.state)
        return self._adds_up

    @property
    def book(self) -> Book:
        """The histories, in which arrivals have names that mean nothing in another book."""
        book = self._book
        if len(book) >= MOST_NUMBERED:
            book = self._book = Book(self.kubelet, self.state)
        return book

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
                known = self._after[came] = Snapshot(self.kubelet, _reach(snapshot, pod, stage))
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


class Book:
    """Histories of one state, and the numbers of the shapes that name arrivals in them; threads may share it."""

    def __init__(self, kubelet: Kubelet, state: NodeState) -> None:
        self._kubelet, self._state = kubelet, state
        self._histories: dict[frozenset[str], History] = {}
        self._numbers: dict[Shape, int] = {}
        self._next = count()

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, shape: Shape) -> int:
        """Returns the number of a shape, which no other one has."""
        known = self._numbers.get(shape)
        return self._numbers.setdefault(shape, next(self._next)) if known is None else known

    def history(self, loose: frozenset[str]) -> History:
        """Returns the history in which the places of these pods are told apart."""
        bound(self._histories, MOST_REMEMBERED)
        history = self._histories.setdefault(loose, History(self._kubelet, self._state, loose))
        history.trim()
        return history


def adds_up(kubelet: Kubelet, state: NodeState) -> bool:
    """Says whether all CPUs and all memory that no entry names are free."""
    if kubelet.cpu is not None:
        cpus = state.cpu.default
        for held in chain(state.cpu.pod_entries.values(), *(held.values() for held in state.cpu.entries.values())):
            cpus |= held
        if kubelet.cpu.initial().default & ~cpus:
            return False
    if kubelet.memory is not None:
        most = _most_held(state)
        for zone, table in kubelet.memory.allocatable.items():
            free = state.memory.zones[zone].free
            if any(amount - free.get(type_, 0) > most[zone, type_] for type_, amount in table.items()):
                return False
    return True


def _most_held(state: NodeState) -> Counter[tuple[int, str]]:
    """Zone and type to bytes of all blocks that touch the zone; those of init containers lie under others."""
    found: Counter[tuple[int, str]] = Counter()
    entries = state.memory.entries.values()
    for blocks in chain(state.memory.pod_entries.values(), *(held.values() for held in entries)):
        for block in blocks:
            for zone in cpuset.members(block.zones):
                found[zone, block.type] += block.size
    return found


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


def _reach(snapshot: Snapshot, pod: Pod, stage: Stage) -> NodeState:
    if stage is Stage.ADMITTED:
        fit = snapshot.ask(pod)
        if fit.verdict is None:
            raise KubeletCrash(fit.crash)
        return fit.state
    change = admission.started if stage is Stage.STARTED else admission.remove
    return change(snapshot.kubelet, snapshot.state, pod.uid)


def bound(remembered: dict, most: int) -> None:  # type: ignore[type-arg] # whatever is remembered
    """Forgets everything once there are ``most`` things to remember."""
    if len(remembered) >= most:
        remembered.clear()
