"""
Verdicts in sentences for people: short, with quantities, the same words for the same case.

The scheduler puts a refusal into the pod's event and counts equal ones, so a sentence names zones and amounts and
nothing that differs without need. What the kubelet itself would say is in ``extender.wire.sentences``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from extender import cpuset
from extender.model.configuration import KubeletConfiguration, Scope, TopologyPolicy
from extender.model.room import Room
from extender.model.verdict import Admission, Cause, Reason, Refusal, Shortage

MOST_ZONES = 4
"""Zones named one by one in a sentence; more are counted."""

_WHERE = {
    TopologyPolicy.SINGLE_NUMA_NODE: "in one zone",
    TopologyPolicy.RESTRICTED: "in the fewest zones that could ever hold it",
    TopologyPolicy.BEST_EFFORT: "on the node",
    TopologyPolicy.NONE: "on the node",
}
_MEMORY = "the memory manager finds no group of zones that may hold it"
_CAUSES = {
    Cause.SMT_NOT_MULTIPLE: "full-pcpus-only gives whole cores only",
    Cause.SMT_NOT_ENOUGH: "full-pcpus-only finds too few whole cores",
    Cause.EMPTY_POOL_INIT: "nothing of the pod's budget is left for init containers that share",
    Cause.EMPTY_POOL_SUM: "exclusive containers use the whole budget of the pod and others need a share",
    Cause.CPU_ACCOUNTING: "the kubelet miscounts while it distributes CPUs",
    Cause.AMOUNT_NOT_AN_INTEGER: "the memory manager cannot use an amount that is no whole number of bytes",
    Cause.NO_DEFAULT_HINT: _MEMORY,
    Cause.NO_PREFERRED_DEFAULT_HINT: _MEMORY,
    Cause.NO_EXTENDED_HINT: _MEMORY,
    Cause.NO_PREFERRED_EXTENDED_HINT: _MEMORY,
    Cause.GROUP_VIOLATION: "zones of the group are in use singly or in another group",
    Cause.DEVICE_REQUEST_CHANGED: "it holds another number of devices already",
    Cause.DEVICE_UNREGISTERED: "no plugin offers the device now",
    Cause.DEVICE_NONE_HEALTHY: "no device is healthy",
    Cause.DEVICE_ALLOCATED_UNHEALTHY: "a device that it holds is no longer healthy",
}
_ABOUT_ROOM = frozenset(cause for cause, why in _CAUSES.items() if why is _MEMORY) | {
    Cause.GROUP_VIOLATION,
    Cause.SMT_NOT_ENOUGH,
}
"""Causes that what the zones have left helps to understand."""


def refusal_sentence(refusal: Refusal, configuration: KubeletConfiguration, rooms: Sequence[Room] = ()) -> str:
    """
    Returns why a node is refused, in one sentence.

    Args:
        refusal: the kubelet's.
        configuration: of that kubelet.
        rooms: the node's zones, for a refusal that brings no figures per zone of its own.
    """
    if refusal.reason is Reason.TOPOLOGY_AFFINITY:
        return _no_alignment(refusal, configuration)
    wants = _named(refusal, configuration)
    if refusal.resource and refusal.requested:
        wants += f" wants {amount(refusal.resource, refusal.requested)}"
    if refusal.cause in {Cause.NOT_ENOUGH_CPUS, Cause.DEVICE_NOT_ENOUGH}:
        return f"{wants}; the node has {refusal.available} left"
    sentence = f"{wants}: {_CAUSES.get(refusal.cause, str(refusal.cause))}"
    zones = _zones({room.zone: _some(room.free, [refusal.resource or ""]) for room in rooms})
    return f"{sentence}; {zones}" if zones and refusal.cause in _ABOUT_ROOM else sentence


def summary_sentence(refusal: Refusal, configuration: KubeletConfiguration) -> str:
    """
    Returns why nodes are refused, in one sentence without a node's figures, which many nodes can have in common.

    Args:
        refusal: any of theirs; of its figures only the amounts asked for are read.
        configuration: of one of the kubelets.
    """
    if refusal.cause not in {Cause.NOT_ENOUGH_CPUS, Cause.DEVICE_NOT_ENOUGH}:
        bare = tuple(replace(shortage, available={}) for shortage in refusal.shortages)
        return refusal_sentence(replace(refusal, shortages=bare), configuration)
    wants = _named(refusal, configuration)
    if refusal.resource and refusal.requested:
        wants += f" wants {amount(refusal.resource, refusal.requested)}"
    return f"{wants}; the node has less left"


def _no_alignment(refusal: Refusal, configuration: KubeletConfiguration) -> str:
    policy = configuration.topology_policy
    wanted = {shortage.resource: shortage.requested for shortage in refusal.shortages}
    zones: dict[int, dict[str, int]] = {}
    for shortage in scarce(refusal.shortages, configuration):
        for zone, available in shortage.available.items():
            zones.setdefault(zone, {})[shortage.resource] = available
    head = f"{_named(refusal, configuration)} wants {amounts(wanted)} {_WHERE[policy]} ({policy})"
    held = f" ({_HELD})" if refusal.container and _enough_somewhere(refusal.shortages) else ""
    return f"{head}; {_zones(zones)}{held}" if zones else head


_HELD = "what the pod's init containers have must be used again"


def _enough_somewhere(shortages: Sequence[Shortage]) -> bool:
    """Whether a single zone has enough of everything, so that something else stands in the way."""
    zones = set().union(*(one.available for one in shortages))
    return any(all(one.available.get(zone, 0) >= one.requested for one in shortages) for zone in zones)


def scarce(shortages: Sequence[Shortage], configuration: KubeletConfiguration) -> Sequence[Shortage]:
    """
    Returns the resources that stand in the way: those of which no zone has enough, or, where the policy allows
    several zones, not even all together. All of them where none does so alone.
    """
    reach = max if configuration.topology_policy is TopologyPolicy.SINGLE_NUMA_NODE else sum
    short = [one for one in shortages if reach(one.available.values() or [0]) < one.requested]
    return short or shortages


def _named(refusal: Refusal, configuration: KubeletConfiguration) -> str:
    if refusal.container is not None:
        return f"container {refusal.container}"
    return "pod scope" if configuration.topology_scope is Scope.POD else "the pod"


def _zones(zones: Mapping[int, Mapping[str, int]]) -> str:
    """``zone 0 has 3 CPU free, zone 1 has 6``; of many zones the ones with most, and how many others there are."""
    ranked = sorted(zones, key=lambda zone: [-value for value in zones[zone].values()])
    named = sorted(ranked[:MOST_ZONES])
    parts = [f"zone {zone} has {amounts(zones[zone], bare=place > 0)}" for place, zone in enumerate(named)]
    if not parts:
        return ""
    parts[0] += " free"
    rest = len(zones) - len(named)
    return ", ".join(parts) + (f", {rest} more zones have no more" if rest else "")


def _some(amounts_: Mapping[str, int], resources: Iterable[str]) -> dict[str, int]:
    return {resource: amounts_[resource] for resource in resources if resource in amounts_}


def admission_sentence(admission: Admission, before: Sequence[Room], after: Sequence[Room]) -> str:
    """
    Returns what a pod gets and where, in one sentence.

    Args:
        admission: the kubelet's.
        before: the node's zones without the pod.
        after: the same zones with it.
    """
    used = [was.zone for was, now in zip(before, after, strict=True) if was.free != now.free]
    if not used:
        return "nothing is pinned, it runs in the node's shared pool"
    parts = [_cpus(admission), _memory(admission, cpuset.of(used)), _devices(admission)]
    return f"{'zone' if len(used) == 1 else 'zones'} {', '.join(map(str, used))}: " + "; ".join(filter(None, parts))


def _cpus(admission: Admission) -> str:
    slices = [f"{name} has CPUs {cpuset.render(admission.cpus[name])} alone" for name in sorted(admission.exclusive)]
    if admission.pod_cpus is None:
        return ", ".join(slices)
    shared = [name for name in admission.cpus if name not in admission.exclusive]
    if shared:
        pool = cpuset.render(admission.shared_pool or 0) or "none"
        slices.append(f"{_listed(shared)} share{'s' if len(shared) == 1 else ''} {pool} (pod shared pool)")
    return f"CPUs {cpuset.render(admission.pod_cpus)}, of which " + ", ".join(slices)


def _memory(admission: Admission, used: int) -> str:
    blocks = admission.pod_memory or [block for held in admission.memory.values() for block in held]
    sums: dict[tuple[int, str], int] = {}
    for block in blocks:
        sums[block.zones, block.type] = sums.get((block.zones, block.type), 0) + block.size
    return ", ".join(_block(*key, size, used) for key, size in sums.items() if size)


def _block(zones: int, type_: str, size: int, used: int) -> str:
    return f"{type_} {binary(size)}" + ("" if zones == used else f" of zone {cpuset.render(zones)}")


def _devices(admission: Admission) -> str:
    found = [
        f"{resource} {', '.join(sorted(ids))}"
        for held in admission.devices.values()
        for resource, ids in held.items()
        if ids
    ]
    return ", ".join(found)


def room_sentence(rooms: Sequence[Room]) -> str:
    """Returns what is left for exclusive use: ``7 CPU and 38Gi in zone 0, 15 CPU and 62Gi in zone 1``."""
    return ", ".join(f"{amounts(_had(room))} in zone {room.zone}" for room in rooms if _had(room))


def _had(room: Room) -> dict[str, int]:
    """What is left of what there was at all."""
    return {resource: room.free[resource] for resource, allocatable in room.allocatable.items() if allocatable}


def amounts(wanted: Mapping[str, int], *, bare: bool = False) -> str:
    """``8 CPU and 16Gi``; ``bare`` leaves the unit of a single count of CPUs to the sentence before."""
    if bare and list(wanted) == ["cpu"]:
        return str(wanted["cpu"])
    return _listed([amount(resource, value) for resource, value in wanted.items()]) or "nothing"


def _listed(texts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


def amount(resource: str, value: int) -> str:
    """``8 CPU``, ``16Gi``, ``2Gi of hugepages-1Gi`` or ``2 nvidia.com/gpu``."""
    if resource == "cpu":
        return f"{value} CPU"
    if resource == "memory":
        return binary(value)
    return f"{binary(value)} of {resource}" if resource.startswith("hugepages-") else f"{value} {resource}"


def binary(size: int) -> str:
    """Bytes in the largest binary unit that tells them with one digit after the point; beyond Mi rounded down."""
    for exponent, suffix in ((40, "Ti"), (30, "Gi"), (20, "Mi")):
        tenths, rest = divmod(size * 10, 1 << exponent)
        if tenths >= 10 and not rest:
            return f"{tenths // 10}{suffix}" if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10}{suffix}"
    return f"{size >> 20}Mi" if size >= 1 << 20 else f"{size >> 10}Ki" if size >= 1 << 10 else str(size)
