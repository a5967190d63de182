"""
A configuration for a kubelet that does not tell its own: what its checkpoints and its answers imply.

The topology manager leaves no traces, so its policy stays at the default; the report calls the whole an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping

from extender import cpuset
from extender.exporter.managers import MEMORY, machine_cpus
from extender.exporter.observation import CpuCheckpoint, MemoryCheckpoint, Observation
from extender.model.configuration import CpuPolicy, KubeletConfiguration, MemoryPolicy, ReservedMemory
from extender.quantity import Format, Quantity, of


def guessed_configuration(observation: Observation) -> KubeletConfiguration:
    """Returns the least surprising configuration with which the kubelet could be in its state."""
    static_cpu = isinstance(observation.cpu, CpuCheckpoint) and observation.cpu.policy == CpuPolicy.STATIC
    allocatable = observation.allocatable.cpus if observation.allocatable else 0
    reserved = machine_cpus(observation.hardware.machine) & ~allocatable if allocatable else 0
    memory = _reserved_memory(observation.memory) if isinstance(observation.memory, MemoryCheckpoint) else {}
    return KubeletConfiguration(
        cpu_policy=CpuPolicy.STATIC if static_cpu or allocatable else CpuPolicy.NONE,
        reserved_system_cpus=cpuset.render(reserved),
        system_reserved={MEMORY: _bytes(sum(memory.values()))} if memory else {},
        eviction_hard={} if memory else None,
        memory_policy=MemoryPolicy.STATIC if memory else MemoryPolicy.NONE,
        reserved_memory=tuple(ReservedMemory(zone, {MEMORY: _bytes(amount)}) for zone, amount in memory.items()),
    )


def _reserved_memory(checkpoint: MemoryCheckpoint) -> Mapping[int, int]:
    """Zone id to bytes that are neither allocatable nor hugepages; empty under policy None."""
    found = {}
    for zone, totals in checkpoint.totals.items():
        pages = sum(size for type_, size in totals.items() if type_ != MEMORY)
        reserved = totals.get(MEMORY, 0) - pages - checkpoint.allocatable[zone].get(MEMORY, 0)
        if reserved > 0:
            found[zone] = reserved
    return found


def _bytes(amount: int) -> Quantity:
    return of(amount, Format.BINARY_SI)
