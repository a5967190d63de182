"""
The machine as cAdvisor describes it to the kubelet: zones, cores, threads, sockets, caches, memory, distances.

Source: cAdvisor MachineInfo (lib/model in 1.37, info/v1 before), of which only what admission reads is kept.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HugePages:
    """The pages of one size in one zone."""

    page_kib: int
    pages: int


@dataclass(frozen=True, slots=True)
class Core:
    """One physical core."""

    threads: tuple[int, ...]
    """CPU ids of its hardware threads."""
    socket: int
    uncore: int | None = None
    """Id of its first uncore (last-level) cache, None where the machine reports none."""


@dataclass(frozen=True, slots=True)
class Zone:
    """One NUMA zone; it may have no cores or no memory."""

    id: int
    memory: int
    """Bytes, hugepages included."""
    cores: tuple[Core, ...] = ()
    hugepages: tuple[HugePages, ...] = ()
    distances: tuple[int, ...] = ()
    """Row of the distance table, as the kernel lists it; empty where unknown."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A whole node's hardware."""

    zones: tuple[Zone, ...]
    """In cAdvisor's order."""
    cpus: int
    """Logical CPUs as reported (num_cores); the kubelet does not recount them."""
    sockets: int
    """Sockets as reported (num_sockets)."""
