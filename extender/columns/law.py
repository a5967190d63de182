"""
What nodes must have in common to be judged together, and which of a node's features the arrays can follow.

A law is a key: nodes of one law share zones, policy, scope, managers, options and gates, and differ in quantities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from extender.fleet import distance
from extender.kubelet.admission import Kubelet
from extender.kubelet.features import Gates
from extender.kubelet.hints import LARGEST_ZONE_ID, narrowest_first
from extender.kubelet.topology import MOST_REMEMBERED, CpuTopology
from extender.model.configuration import Scope, TopologyPolicy, Version

_NESTED: dict[int, tuple[CpuTopology, bool, bool]] = {}
"""What ``countable`` has found of topologies, by identity: whether all units nest, and whether caches lie in zones."""


@dataclass(frozen=True, slots=True)
class Law:
    """One set of rules."""

    version: Version
    gates: Gates
    policy: TopologyPolicy
    scope: Scope | None
    """None under policy none."""
    zones: tuple[int, ...]
    """Zone ids, ascending."""
    distances: tuple[tuple[int, ...], ...]
    """Between zones by position, as the distance table has them or as firmware without one would."""
    singles: tuple[int, ...]
    """Positions of zones in the order in which the Topology Manager prefers them."""
    cpus: bool
    """Whether the CPU manager's policy is static."""
    whole_cores: bool
    """full-pcpus-only."""
    distributed: bool
    """distribute-cpus-across-numa: a request on several zones is for the twin."""
    memory: frozenset[str] | None
    """Types of memory that every zone has; None under the memory manager's policy None."""
    even_memory: bool
    """Whether no zone has a type that others lack."""


def law_of(kubelet: Kubelet) -> Law | None:
    """Returns the law of a kubelet, or None where the arrays cannot follow it at all."""
    manager = kubelet.topology_manager
    zones = tuple(sorted(zone.id for zone in kubelet.machine.zones))
    if not zones or zones[-1] > LARGEST_ZONE_ID or len(set(zones)) != len(zones):
        return None
    closest = manager.options.prefer_closest and manager.policy in {
        TopologyPolicy.RESTRICTED,
        TopologyPolicy.BEST_EFFORT,
    }
    if closest and any(len(row) <= zones[-1] for row in manager.distances.values()):
        return None  # whether such a kubelet crashes depends on which distances it happens to read
    rank = manager._closest_first if closest else narrowest_first  # noqa: SLF001 - the law's own order
    options = kubelet.cpu.options if kubelet.cpu else None
    return Law(
        version=kubelet.version,
        gates=kubelet.gates,
        policy=manager.policy,
        scope=kubelet.scope,
        zones=zones,
        distances=tuple(tuple(distance(kubelet.machine, one, other) for other in zones) for one in zones),
        singles=tuple(sorted(range(len(zones)), key=lambda position: rank(1 << zones[position]))),
        cpus=kubelet.cpu is not None,
        whole_cores=options is not None and options.full_pcpus_only,
        distributed=options is not None and options.distribute_across_numa,
        memory=_types(kubelet.memory.allocatable) if kubelet.memory else None,
        even_memory=kubelet.memory is None or len(set(map(frozenset, kubelet.memory.allocatable.values()))) == 1,
    )


def _types(allocatable: Mapping[int, Mapping[str, int]]) -> frozenset[str]:
    return frozenset.intersection(*map(frozenset, allocatable.values()))


def countable(kubelet: Kubelet) -> bool:
    """
    Says whether taking CPUs is a matter of counts: any free CPUs, as many as asked for, can be taken.

    So it is if every core has the same number of CPUs and lies in one zone, socket and cache, every socket has the
    average number, and of zones and sockets the finer ones lie within the coarser: then no unit that the kubelet
    takes as a whole can have a busy CPU, and none is counted twice.
    """
    if kubelet.cpu is None:
        return True
    options, topology = kubelet.cpu.options, kubelet.topology
    nested = _NESTED.get(id(topology))
    if nested is None or nested[0] is not topology:
        if len(_NESTED) >= MOST_REMEMBERED:
            _NESTED.clear()
        caches = all(_within_one(cache, topology.zones) for cache in topology.uncores.values())
        nested = _NESTED[id(topology)] = topology, _nested(topology), caches
    return not options.align_by_socket and nested[1] and (nested[2] or not options.prefer_uncore)


def _nested(topology: CpuTopology) -> bool:
    levels = topology.zones, topology.sockets, topology.uncores
    whole_cores = all(
        core.bit_count() == topology.cpus_per_core and all(_within_one(core, level) for level in levels)
        for core in topology.cores.values()
    )
    even_sockets = all(socket.bit_count() == topology.cpus_per_socket for socket in topology.sockets.values())
    zones_first = topology.reported_sockets >= len(topology.zones)
    inner = topology.socket_zones if zones_first else topology.zone_sockets
    return whole_cores and even_sockets and all(len(outer) == 1 for outer in inner.values())


def _within_one(cpus: int, units: dict[int, int]) -> bool:
    return any(cpus & ~unit == 0 for unit in units.values())
