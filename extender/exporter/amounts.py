"""
The standard quantities of each zone: capacity, allocatable and available, as other consumers read them.

Capacity is what the machine has, allocatable what the managers may pin, available what is left of that; where a manager
pins nothing (policy none), allocatable is the capacity without what is reserved. Amounts of active pods alone are taken
off: what a pod that is over still holds will be free by the next admission. A pod-level allocation stands for its
containers; a block on several zones is taken from each by what the kubelet took there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from extender import cpuset
from extender.exporter.managers import MEMORY, allocatable_memory, hugepages_type, machine_cpus
from extender.exporter.observation import MemoryCheckpoint, Observation
from extender.model.configuration import CpuPolicy, KubeletConfiguration, MemoryPolicy
from extender.model.machine import Machine, Zone
from extender.model.report import Amount, ZoneQuantities
from extender.model.state import CpuState, DeviceState, MemoryState, NodeState

CPU = "cpu"


def quantities(
    observation: Observation, machine: Machine, configuration: KubeletConfiguration, state: NodeState
) -> tuple[ZoneQuantities, ...]:
    """Returns the quantities, ascending by zone id."""
    cpus = zone_cpus(machine)
    exclusive = _exclusive(observation, machine, configuration)
    taken = _taken_cpus(state.cpu, state.active) if configuration.cpu_policy is CpuPolicy.STATIC else 0
    memory = _memory(observation, machine, configuration, state)
    found = []
    for zone in sorted(machine.zones, key=lambda zone: zone.id):
        mine = cpus[zone.id]
        found.append(
            ZoneQuantities(
                zone=zone.id,
                resources={
                    CPU: _amount(
                        mine.bit_count(), (mine & exclusive).bit_count(), (mine & exclusive & ~taken).bit_count()
                    ),
                    **memory[zone.id],
                    **_devices(zone, state.device, state.active),
                },
                costs=_costs(zone, machine),
            )
        )
    return tuple(found)


def zone_cpus(machine: Machine) -> dict[int, int]:
    """Returns the CPUs of each zone; one that two zones claim is in the later one, as for the kubelet."""
    owner = {cpu: zone.id for zone in machine.zones for core in zone.cores for cpu in core.threads}
    owned = {zone.id: 0 for zone in machine.zones}
    for cpu, zone in owner.items():
        owned[zone] |= 1 << cpu
    return owned


def _exclusive(observation: Observation, machine: Machine, configuration: KubeletConfiguration) -> int:
    """The CPUs that pods may have: as the kubelet tells them, else all but the reserved ones."""
    if observation.allocatable is not None and observation.allocatable.cpus:
        return observation.allocatable.cpus
    everything = machine_cpus(machine)
    listed = cpuset.parse(configuration.reserved_system_cpus)
    if listed:
        return everything & ~listed
    amounts = [*_amounts_of(CPU, configuration)]
    count = -(-sum(amounts) // 1000)
    return everything & ~cpuset.lowest(everything, count)


def _amounts_of(resource: str, configuration: KubeletConfiguration) -> Iterable[int]:
    """Thousandths that are reserved for the system and for Kubernetes."""
    for reserved in (configuration.system_reserved, configuration.kube_reserved):
        if resource in reserved:
            yield reserved[resource].milli


def _taken_cpus(cpu: CpuState, active: Iterable[str]) -> int:
    taken = 0
    for uid in active:
        held = [cpu.pod_entries[uid]] if uid in cpu.pod_entries else cpu.entries.get(uid, {}).values()
        for cpus in held:
            taken |= cpus
    return taken


def _memory(
    observation: Observation, machine: Machine, configuration: KubeletConfiguration, state: NodeState
) -> Mapping[int, Mapping[str, Amount]]:
    allocatable: Mapping[int, Mapping[str, int]] = allocatable_memory(observation, configuration)
    if configuration.memory_policy is MemoryPolicy.STATIC and isinstance(observation.memory, MemoryCheckpoint):
        allocatable = observation.memory.allocatable
    free = _free_memory(state.memory, state.active)
    return {
        zone.id: {
            type_: _amount(
                capacity,
                allocatable.get(zone.id, {}).get(type_, 0),
                free.get(zone.id, allocatable.get(zone.id, {})).get(type_, 0),
            )
            for type_, capacity in _capacities(zone).items()
        }
        for zone in machine.zones
    }


def _capacities(zone: Zone) -> dict[str, int]:
    pages = {hugepages_type(huge.page_kib): huge.pages * huge.page_kib * 1024 for huge in zone.hugepages}
    return {MEMORY: zone.memory, **pages}


def _free_memory(memory: MemoryState, active: Iterable[str]) -> Mapping[int, Mapping[str, int]]:
    """What is free per zone and type once leftovers are; those on several zones stay counted, as their split is not told."""
    free = {id_: dict(zone.free) for id_, zone in memory.zones.items()}
    for uid in ({*memory.entries, *memory.pod_entries}) - set(active):
        held = memory.entries.get(uid, {}).values()
        blocks = memory.pod_entries.get(uid) or [block for each in held for block in each]
        for block in blocks:
            if block.zones.bit_count() == 1:
                zone = block.zones.bit_length() - 1
                if block.type in free.get(zone, {}):
                    free[zone][block.type] += block.size
    return free


def _devices(zone: Zone, device: DeviceState, active: Iterable[str]) -> dict[str, Amount]:
    """Devices near the zone, for the resources that have any such; one near two zones counts in both."""
    held = {
        (resource, id_)
        for uid in active
        for by_resource in device.entries.get(uid, {}).values()
        for resource, ids in by_resource.items()
        for id_ in ids
    }
    found = {}
    for resource, devices in device.reported.items():
        near = [each for each in devices if each.zones >> zone.id & 1]
        healthy = [each for each in near if each.healthy]
        free = [each for each in healthy if (resource, each.id) not in held]
        if any(each.zones for each in devices):
            found[resource] = _amount(len(near), len(healthy), len(free))
    return found


def _amount(capacity: int, allocatable: int, available: int) -> Amount:
    """Three amounts of which none exceeds the one before it, whatever a source says."""
    allocatable = max(0, min(allocatable, capacity))
    return Amount(capacity, allocatable, max(0, min(available, allocatable)))


def _costs(zone: Zone, machine: Machine) -> dict[int, int]:
    """The row belongs to the online zones in ascending order; a row of another length says nothing."""
    ascending = sorted(each.id for each in machine.zones)
    if len(zone.distances) != len(ascending):
        return {}
    return dict(zip(ascending, zone.distances, strict=True))
