"""
The CPU topology as the kubelet's CPU manager sees it: which CPU lies in which core, cache, zone and socket.

Sets are bit sets of CPU ids. Sizes of a core, socket or cache are the kubelet's averages (integer division of
what cAdvisor reports), which differ from the real ones on machines of mixed cores or with CPUs offline; the law
follows the averages where the kubelet does.

Source: cm/cpumanager/topology/topology.go (Discover, CPUsPerCore, CPUsPerSocket, CPUsPerUncore).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from extender import cpuset
from extender.kubelet.errors import StartError
from extender.model.machine import Core, Machine

MOST_REMEMBERED = 128
"""Topologies; kinds of machines in a cluster are fewer."""


@dataclass(frozen=True, slots=True)
class CpuTopology:
    """The whole machine's CPUs."""

    all: int
    """Every CPU of the topology."""
    zones: dict[int, int]
    """Zone id to its CPUs, for the zones that have any, ascending."""
    sockets: dict[int, int]
    cores: dict[int, int]
    """Core id (its lowest CPU) to its CPUs."""
    uncores: dict[int, int]
    """Cache id (or socket id where the machine reports no cache) to its CPUs."""
    zone_sockets: dict[int, tuple[int, ...]]
    """Zone id to the sockets of its CPUs, ascending."""
    socket_zones: dict[int, tuple[int, ...]]
    zone_uncores: dict[int, tuple[int, ...]]
    zone_cores: dict[int, tuple[tuple[int, int], ...]]
    """Zone id to the cores of its CPUs as (id, CPUs), ascending."""
    socket_cores: dict[int, tuple[tuple[int, int], ...]]
    uncore_cores: dict[int, tuple[tuple[int, int], ...]]
    cpu_core: dict[int, int]
    """CPU to the CPUs of its core."""
    cpus_per_core: int
    cpus_per_socket: int
    cpus_per_uncore: int
    reported_sockets: int


def discover(machine: Machine) -> CpuTopology:
    """
    Builds the topology of a machine.

    Raises:
        StartError: cAdvisor counts no CPUs, or a core lists none or one twice.
        ZeroDivisionError: never on a machine that a kubelet starts on; see ``extender.kubelet.admission``.
    """
    return _discovered(machine.cpus, machine.sockets, tuple((zone.id, zone.cores) for zone in machine.zones))


@lru_cache(maxsize=MOST_REMEMBERED)
def _discovered(count: int, reported_sockets: int, zones: tuple[tuple[int, tuple[Core, ...]], ...]) -> CpuTopology:
    """Builds a topology once for all machines that differ in nothing but memory, as a fleet's do."""
    if count == 0:
        raise StartError("could not detect number of cpus")
    where: dict[int, tuple[int, int, int, int]] = {}
    cores = 0
    for zone, members in zones:
        cores += len(members)
        for core in members:
            place = (_core_id(core), core.socket, zone, core.socket if core.uncore is None else core.uncore)
            for cpu in core.threads:
                where[cpu] = place
    by_core, by_socket, by_zone, by_uncore = (_group(where, level) for level in range(4))
    uncores = len(by_uncore)
    return CpuTopology(
        all=cpuset.of(where),
        zones=by_zone,
        sockets=by_socket,
        cores=by_core,
        uncores=by_uncore,
        zone_sockets=_within(by_zone, by_socket),
        socket_zones=_within(by_socket, by_zone),
        zone_uncores=_within(by_zone, by_uncore),
        zone_cores=_members(by_zone, by_core),
        socket_cores=_members(by_socket, by_core),
        uncore_cores=_members(by_uncore, by_core),
        cpu_core={cpu: by_core[core] for cpu, (core, _, _, _) in where.items()},
        cpus_per_core=count // cores if cores else 0,
        cpus_per_socket=count // reported_sockets if reported_sockets else 0,
        cpus_per_uncore=count // uncores if uncores else 0,
        reported_sockets=reported_sockets,
    )


def _core_id(core: Core) -> int:
    """The kubelet names a core by its lowest CPU, as core ids repeat across sockets (getUniqueCoreID)."""
    if not core.threads:
        raise StartError("no cpus provided")
    if len(set(core.threads)) != len(core.threads):
        raise StartError("cpus provided are not unique")
    return min(core.threads)


def _group(where: dict[int, tuple[int, int, int, int]], level: int) -> dict[int, int]:
    groups: dict[int, int] = {}
    for cpu, place in where.items():
        groups[place[level]] = groups.get(place[level], 0) | 1 << cpu
    return dict(sorted(groups.items()))


def _within(outer: dict[int, int], inner: dict[int, int]) -> dict[int, tuple[int, ...]]:
    """Outer id to the inner ids that share a CPU with it."""
    return {key: tuple(id_ for id_, cpus in inner.items() if cpus & mask) for key, mask in outer.items()}


def _members(outer: dict[int, int], inner: dict[int, int]) -> dict[int, tuple[tuple[int, int], ...]]:
    return {key: tuple((id_, cpus) for id_, cpus in inner.items() if cpus & mask) for key, mask in outer.items()}
