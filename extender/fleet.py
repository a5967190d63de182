"""
One pod asked of many nodes: the kubelet's law on each node's snapshot, remembered while the snapshot stands.

A snapshot is a value; what it remembers only saves repeating the law, so threads may share it without a lock.
Pods that differ in nothing that admission reads have one shape, and one answer on one snapshot.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace

from extender.kubelet.admission import Kubelet, admit, settled
from extender.kubelet.device_manager import available_by_zone, healthy_ids
from extender.kubelet.errors import KubeletCrash
from extender.model.configuration import Amounts
from extender.model.machine import Machine
from extender.model.pod import Pod, Resources
from extender.model.room import Room
from extender.model.state import NodeState
from extender.model.verdict import Verdict
from extender.score import Strategy, score

MOST_SHAPES = 256
"""Shapes whose answers one snapshot remembers: clusters have fewer, and memory is bounded where they have not."""

Shape = Hashable
"""All of a pod that admission reads, apart from its name and uid."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What one kubelet would say to one pod."""

    verdict: Verdict | None
    """None where the kubelet would not answer at all."""
    state: NodeState
    """The node's state afterwards."""
    crash: str = ""
    """How the kubelet would panic or hang, where it would."""

    @property
    def admit(self) -> bool:
        """Whether the kubelet will admit the pod."""
        return self.verdict is not None and self.verdict.admit


class Snapshot:
    """One node as its kubelet's next admission will find it."""

    __slots__ = ("_after", "_asked", "_fits", "_rooms", "_scores", "_settled", "kubelet", "state")

    def __init__(self, kubelet: Kubelet, state: NodeState) -> None:
        self.kubelet = kubelet
        self.state = state
        self._asked: tuple[Pod, Fit] | None = None
        """The last question, for whoever judges a pod and then counts it as being here."""
        self._fits: dict[Shape, Fit] = {}
        self._after: dict[str, Snapshot] = {}
        self._scores: dict[Shape, int] = {}
        self._rooms: tuple[Room, ...] | None = None
        self._settled: NodeState | None = None

    @property
    def settled(self) -> NodeState:
        """The state without what the kubelet's next admission frees first."""
        if self._settled is None:
            self._settled = settled(self.kubelet, self.state)
        return self._settled

    @property
    def rooms(self) -> tuple[Room, ...]:
        """What each zone has left."""
        if self._rooms is None:
            self._rooms = rooms(self.kubelet, self.state)
        return self._rooms

    def fit(self, pod: Pod, shape: Shape) -> Fit:
        """Returns what the kubelet would say to a pod that is not on the node yet."""
        known = self._fits.get(shape)
        if known is None:
            if len(self._fits) >= MOST_SHAPES:
                self._fits.clear()
                self._scores.clear()
            known = self._fits[shape] = self.ask(pod)
        return known

    def score(self, pod: Pod, shape: Shape) -> int:
        """Returns how good the place is that a pod would get, 0 to 10; 0 for one that gets none."""
        known = self._scores.get(shape)
        if known is None:
            answer = self.fit(pod, shape)
            known = self._scores[shape] = placement_score(self, answer) if answer.admit else 0
        return known

    def after(self, pod: Pod) -> Snapshot:
        """Returns the snapshot that the admission of a pod, or its refusal, leaves behind."""
        known = self._after.get(pod.uid)
        if known is None:
            known = self._after[pod.uid] = Snapshot(self.kubelet, self.ask(pod).state)
        return known

    def ask(self, pod: Pod) -> Fit:
        """Asks the law about this very pod."""
        asked = self._asked
        if asked is None or (asked[0] is not pod and asked[0] != pod):
            asked = self._asked = pod, self._answer(pod)
        return asked[1]

    def _answer(self, pod: Pod) -> Fit:
        try:
            return Fit(*admit(self.kubelet, self.state, pod))
        except KubeletCrash as crash:
            return Fit(None, self.state, str(crash))


def placement_score(snapshot: Snapshot, fit: Fit, strategy: Strategy = Strategy.PACK) -> int:
    """Scores what a pod that fits would get on a node, 0 to 10; what only its init containers hold counts as free."""
    kubelet, state = snapshot.kubelet, _without_reusable(snapshot.state, fit.state)
    alive = state.cpu.default != 0 or snapshot.settled.cpu.default == 0
    return score(
        snapshot.rooms,
        rooms(kubelet, state),
        lambda one, other: distance(kubelet.machine, one, other),
        strategy,
        alive=alive,
    )


def _without_reusable(before: NodeState, after: NodeState) -> NodeState:
    """The state as if what the admitted pod's init containers hold were free; for looking at amounts only."""
    (_, cpus), (_, table) = after.cpu.reusable, after.memory.reusable
    freed = after.copy()
    if after.cpu.reusable != before.cpu.reusable:
        freed.cpu.default |= cpus
    if after.memory.reusable != before.memory.reusable:
        for (zones, type_), size in table.items():
            if zones & (zones - 1) == 0:  # of a group nobody knows which zone it lies in
                memory = freed.memory.zones[zones.bit_length() - 1]
                free = {**memory.free, type_: memory.free[type_] + size}
                freed.memory.zones[zones.bit_length() - 1] = replace(memory, free=free)
    return freed


def distance(machine: Machine, one: int, other: int) -> int:
    """Distance between two zones, as the table has it; where it says nothing, 10 and 20 as firmware without one."""
    ids = [zone.id for zone in machine.zones]
    row = machine.zones[ids.index(one)].distances
    place = sorted(ids).index(other)
    return row[place] if place < len(row) else 10 if one == other else 20


def rooms(kubelet: Kubelet, state: NodeState) -> tuple[Room, ...]:
    """Returns what each zone of a node has and has left for exclusive use, as its kubelet's next admission finds it."""
    state = settled(kubelet, state)
    tables: dict[str, tuple[Mapping[int, int], Mapping[int, int]]] = {}
    if kubelet.cpu:
        tables["cpu"] = kubelet.cpu.available_by_zone(kubelet.cpu.initial()), kubelet.cpu.available_by_zone(state.cpu)
    if kubelet.memory:
        for type_ in sorted({type_ for table in kubelet.memory.allocatable.values() for type_ in table}):
            tables[type_] = (
                {zone: table.get(type_, 0) for zone, table in kubelet.memory.allocatable.items()},
                {zone: memory.free.get(type_, 0) for zone, memory in state.memory.zones.items()},
            )
    for resource in state.device.reported:
        healthy = _near(state, resource, kubelet.device.zones)
        tables[resource] = healthy, available_by_zone(state.device, resource, kubelet.device.zones)
    return tuple(
        Room(
            zone.id,
            {resource: every[zone.id] for resource, (every, _) in tables.items() if zone.id in every},
            {resource: free[zone.id] for resource, (_, free) in tables.items() if zone.id in free},
        )
        for zone in kubelet.machine.zones
    )


def _near(state: NodeState, resource: str, zones: Iterable[int]) -> dict[int, int]:
    """Zone id to how many healthy devices are near it."""
    healthy = healthy_ids(state.device, resource)
    near = [device.zones for device in state.device.reported[resource] if device.id in healthy]
    return {zone: sum(mask >> zone & 1 for mask in near) for zone in zones}


_recent: dict[int, tuple[Pod, Shape]] = {}
"""Pods whose shape was asked for a moment ago, by identity."""
MOST_RECENT = 64


def shape_of(pod: Pod) -> Shape:
    """Returns a pod's shape."""
    known = _recent.get(id(pod))
    if known is not None and known[0] is pod:
        return known[1]
    if len(_recent) >= MOST_RECENT:
        _recent.clear()
    shape = Hashed(
        (
            pod.qos,
            pod.resources and _resources(pod.resources),
            tuple((container.name, container.kind, _resources(container.resources)) for container in pod.containers),
        )
    )
    _recent[id(pod)] = pod, shape
    return shape


class Hashed:
    """A value that is looked up so often that its hash is worked out once."""

    __slots__ = ("_hash", "_value")

    def __init__(self, value: Hashable) -> None:
        self._value, self._hash = value, hash(value)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Hashed) and self._hash == other._hash and self._value == other._value
        )

    def __repr__(self) -> str:
        return f"Hashed({self._value!r})"


def _resources(resources: Resources) -> Hashable:
    return _amounts(resources.requests), _amounts(resources.limits)


def _amounts(amounts: Amounts) -> Hashable:
    return tuple(sorted(amounts.items(), key=lambda item: item[0]))
