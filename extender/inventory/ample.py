"""
A short cut past the orders: where there is room for all in any case, none of them has to be gone through.

Where a kubelet prefers one zone, and any so many free CPUs of a zone do, a request is admitted if one zone has
enough of everything; which zone it gets does not matter if some zone has enough for it whatever all the others take
there. Whether that is so is a matter of counts. Where it is not, or the counts do not tell, the orders decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from extender.columns.law import countable
from extender.fleet import Shape, Snapshot, rooms
from extender.inventory.course import Course
from extender.kubelet import admission
from extender.kubelet.admission import Kubelet
from extender.kubelet.features import Gates
from extender.kubelet.requests import CPU, ContainerRequest, PodRequest, pod_request
from extender.model.configuration import Scope, TopologyPolicy, Version
from extender.model.pod import Kind, Pod
from extender.model.room import Room
from extender.model.state import NodeState

Amounts = Mapping[str, int]
Units = tuple[Amounts, ...]
"""What must lie in one zone each: resource to CPUs, bytes or devices."""


def counts(kubelet: Kubelet, state: NodeState) -> bool:
    """Says whether a node is one where free amounts per zone decide, and none of its memory is grouped."""
    if kubelet.topology_manager.policy is TopologyPolicy.NONE or not countable(kubelet):
        return False
    if kubelet.cpu is not None and kubelet.cpu.options.full_pcpus_only:
        return False
    if kubelet.memory is not None:
        types = {frozenset(table) for table in kubelet.memory.allocatable.values()}
        grouped = any(memory.cells & (memory.cells - 1) for memory in state.memory.zones.values())
        if grouped or len(types) != 1:
            return False
    return all(
        device.located and device.zones.bit_count() == 1
        for devices in state.device.reported.values()
        for device in devices
    )


def for_all(ground: Snapshot, courses: Sequence[Course], asker: Course) -> bool:
    """
    Says whether a node that counts has room for a pod and for all that may arrive, whoever comes first.

    Two times matter: until the asker comes, when pods that are over may still have been there; and after it.
    """
    kubelet, state = ground.kubelet, ground.state
    arrivals = [course for course in courses if course.arrives]
    before = _units(ground, arrivals)
    after = _units(ground, [*(course for course in arrivals if not course.over), asker])
    if before is None or after is None:
        return False
    for course in courses:
        if course.over and not course.arrives:
            state = admission.remove(kubelet, state, course.pod.uid)
    later = ground.rooms if state is ground.state else rooms(kubelet, state)
    return _fit(ground.rooms, before) and _fit(later, after)


def _fit(rooms: Sequence[Room], units: Units) -> bool:
    """Says whether each unit has a zone with enough of what it asks for, for it and for all other units together."""
    everything: dict[str, int] = {}
    for unit in units:
        for resource, amount in unit.items():
            everything[resource] = everything.get(resource, 0) + amount
    return all(
        any(all(room.free.get(resource, 0) >= everything[resource] for resource in kind) for room in rooms)
        for kind in {frozenset(unit) for unit in units}
    )


def _units(ground: Snapshot, courses: Iterable[Course]) -> Units | None:
    """The units of all these pods, as far as this kubelet pins them; None where amounts do not tell."""
    kubelet, found = ground.kubelet, []
    types = next(iter(kubelet.memory.allocatable.values())) if kubelet.memory else {}
    assert kubelet.scope is not None
    for course in courses:
        units = _units_of(_Asked(course.shape, kubelet.gates, kubelet.version, kubelet.scope, course.pod))
        if not units.apart:
            return None
        for unit in units.each:
            if kubelet.memory and not unit.memory.keys() <= types.keys():
                return None
            devices = {name: amount for name, amount in unit.devices.items() if name in ground.state.device.reported}
            cpus = {CPU: unit.cpus} if kubelet.cpu and unit.cpus else {}
            found.append({**devices, **cpus, **(unit.memory if kubelet.memory else {})})
    return tuple(filter(None, found))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What decides on the units of a pod."""

    shape: Shape
    gates: Gates
    version: Version
    scope: Scope
    pod: Pod = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Unit:
    """What must lie in one zone, whatever the managers of a node."""

    cpus: int
    memory: Amounts
    devices: Amounts


@dataclass(frozen=True, slots=True)
class _Units:
    each: tuple[_Unit, ...]
    apart: bool
    """Whether they do not depend on each other: no init container hands anything on, and all amounts are numbers."""


@lru_cache(maxsize=4096)
def _units_of(asked: _Asked) -> _Units:
    pod = pod_request(asked.pod, asked.gates, asked.version)
    requests: Sequence[PodRequest | ContainerRequest] = (pod,) if asked.scope is Scope.POD else pod.containers
    pinned = pod.guaranteed and not pod.skipped
    return _Units(
        tuple(
            _Unit(
                cpus=0 if pod.skipped else request.cpus,
                memory={type_: amount for type_, amount in (request.memory or {}).items() if amount and pinned},
                devices=request.devices,
            )
            for request in requests
        ),
        all(container.kind is Kind.APP for container in pod.containers)
        and all(request.memory is not None for request in requests),
    )
