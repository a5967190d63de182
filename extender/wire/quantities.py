"""
A kubelet that matches the quantities of a foreign object: machine, configuration and state as far as they tell.

Decides nothing about pods; it makes the same law applicable to an object that names no CPUs. CPU ids are invented,
zone by zone; what is capacity but not allocatable is reserved; what is allocatable but not available is held by one
pod that nobody has seen. Whatever is guessed is named in ``estimates``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from extender import cpuset, quantity
from extender.model.configuration import (
    CpuPolicy,
    KubeletConfiguration,
    MemoryPolicy,
    ReservedMemory,
    Scope,
    TopologyPolicy,
    Version,
)
from extender.model.machine import Core, HugePages, Machine, Zone
from extender.model.pod import Container, Pod
from extender.model.report import Amount, Missing, ZoneQuantities
from extender.model.state import Block, CpuState, Device, Devices, DeviceState, MemoryState, NodeState, ZoneMemory

ANONYMOUS = "held-by-pods-not-named"
"""Uid of the pod that holds what is not available."""

CPU, MEMORY, HUGEPAGES = "cpu", "memory", "hugepages-"
_NONE = Amount(0, 0, 0)
_DEPRECATED = {
    "SingleNUMANode": TopologyPolicy.SINGLE_NUMA_NODE,
    "Restricted": TopologyPolicy.RESTRICTED,
    "BestEffort": TopologyPolicy.BEST_EFFORT,
}
_LEAST_RESERVED_BYTES = 1 << 20
_DEFAULT_MOST_ZONES = 8


@dataclass(frozen=True, slots=True)
class TopologyManagerAttributes:
    """What an object says of the topology manager, with the defaults of other consumers."""

    policy: TopologyPolicy = TopologyPolicy.NONE
    scope: Scope = Scope.CONTAINER
    most_zones: int | None = None


def from_deprecated(name: str) -> TopologyManagerAttributes | None:
    """Reads an entry of the deprecated topologyPolicies; bare names are not mapped, as in scheduler-plugins."""
    for suffix, scope in (("PodLevel", Scope.POD), ("ContainerLevel", Scope.CONTAINER)):
        policy = _DEPRECATED.get(name.removesuffix(suffix))
        if name.endswith(suffix) and policy is not None:
            return TopologyManagerAttributes(policy, scope)
    return None


def reconstruct(zones: Sequence[ZoneQuantities], manager: TopologyManagerAttributes) -> Mapping[str, object]:
    """Returns the parts of a report that the quantities stand for, by field name."""
    cpus = _Cpus.of(zones)
    memory = _Memory.of(zones)
    devices = _devices(zones)
    machine = Machine(
        zones=tuple(_zone(zone, zones, cpus, memory) for zone in zones),
        cpus=cpus.all.bit_count(),
        sockets=sum(1 for owned in cpus.capacity.values() if owned),
    )
    state = NodeState(cpus.state(), memory.state(), _device_state(zones, devices))
    if state.cpu.entries or state.memory.entries or state.device.entries:
        state.active[ANONYMOUS] = Pod(ANONYMOUS, ANONYMOUS, tuple(Container(_holder(zone)) for zone in zones), "")
    return {
        "machine": machine,
        "configuration": _configuration(manager, zones, cpus, memory),
        "version": max(Version),
        "state": state,
        "estimates": tuple(sorted(Missing)),
        "reserved": cpus.reserved if cpus.managed else None,
        "sources": {"machine": "quantities", "state": "quantities"},
    }


@dataclass(frozen=True, slots=True)
class _Cpus:
    """Invented CPUs, as bit sets."""

    capacity: Mapping[int, int]
    reserved: int
    held: Mapping[int, int]
    managed: bool
    """Whether the kubelet has the static policy: without it no CPU is ever allocatable exclusively."""

    @classmethod
    def of(cls, zones: Sequence[ZoneQuantities]) -> _Cpus:
        amounts = {zone.zone: zone.resources.get(CPU, _NONE) for zone in zones}
        managed = any(amount.allocatable for amount in amounts.values())
        capacity, reserved, held = {}, 0, {}
        first = 0
        for zone, amount in amounts.items():
            count = max(amount.capacity, amount.allocatable)
            spare = count - amount.allocatable
            if managed and not reserved and not spare and zone == next(reversed(amounts)):
                # The static policy starts only with a reserved CPU; no zone has shown one.
                count, spare = count + 1, 1
            capacity[zone] = ((1 << count) - 1) << first
            reserved |= ((1 << spare) - 1) << first
            taken = max(0, amount.allocatable - amount.available) if managed else 0
            held[zone] = ((1 << taken) - 1) << (first + spare)
            first += count
        return cls(capacity, reserved if managed else 0, held, managed)

    @property
    def all(self) -> int:
        return sum(self.capacity.values())  # disjoint sets

    def state(self) -> CpuState:
        if not self.managed:
            return CpuState()
        entry = {_holder_of(zone): cpus for zone, cpus in self.held.items() if cpus}
        return CpuState(self.all & ~sum(entry.values()), {ANONYMOUS: entry} if entry else {})


@dataclass(frozen=True, slots=True)
class _Memory:
    """Bytes by zone and type."""

    amounts: Mapping[int, Mapping[str, Amount]]
    reserved: Mapping[int, int]
    managed: bool
    """Whether the kubelet has the Static policy; without it the zones of most exporters list no memory."""

    @classmethod
    def of(cls, zones: Sequence[ZoneQuantities]) -> _Memory:
        amounts = {
            zone.zone: {name: amount for name, amount in zone.resources.items() if is_memory(name)} for zone in zones
        }
        managed = any(types.get(MEMORY, _NONE).allocatable for types in amounts.values())
        reserved = {
            zone: max(0, types.get(MEMORY, _NONE).capacity - types.get(MEMORY, _NONE).allocatable - _pages(types))
            for zone, types in amounts.items()
        }
        if managed and not any(reserved.values()):
            # The Static policy starts only with reserved memory; no zone has shown any.
            reserved[next(iter(reserved))] = _LEAST_RESERVED_BYTES
        return cls(amounts, reserved if managed else {}, managed)

    def capacity(self, zone: int) -> int:
        """Bytes of a zone as cAdvisor counts them, hugepages included."""
        types = self.amounts[zone]
        if not self.managed:
            return max(types.get(MEMORY, _NONE).capacity, _pages(types))
        return types.get(MEMORY, _NONE).allocatable + self.reserved[zone] + _pages(types)

    def state(self) -> MemoryState:
        if not self.managed:
            return MemoryState()
        held = {
            _holder_of(zone): blocks
            for zone, types in self.amounts.items()
            if (blocks := tuple(Block(1 << zone, type_, _taken(each)) for type_, each in types.items() if _taken(each)))
        }
        sizes = {type_ for types in self.amounts.values() for type_ in types} | {MEMORY}
        return MemoryState(
            zones={
                zone: ZoneMemory(
                    assignments=len(held.get(_holder_of(zone), ())),
                    cells=1 << zone,
                    free={
                        type_: min(types.get(type_, _NONE).allocatable, types.get(type_, _NONE).available)
                        for type_ in sorted(sizes)
                    },
                )
                for zone, types in self.amounts.items()
            },
            entries={ANONYMOUS: held} if held else {},
        )


def _zone(zone: ZoneQuantities, zones: Sequence[ZoneQuantities], cpus: _Cpus, memory: _Memory) -> Zone:
    sizes = sorted({(name, kib) for each in zones for name in each.resources if (kib := _page_kib(name))})
    costs = tuple(zone.costs.get(other.zone, 0) for other in zones)
    return Zone(
        id=zone.zone,
        memory=memory.capacity(zone.zone),
        cores=tuple(Core((cpu,), zone.zone) for cpu in cpuset.members(cpus.capacity[zone.zone])),
        hugepages=tuple(
            HugePages(kib, memory.amounts[zone.zone].get(name, _NONE).allocatable // (kib * 1024))
            for name, kib in sizes
        ),
        distances=costs if all(costs) else (),
    )


def _configuration(
    manager: TopologyManagerAttributes, zones: Sequence[ZoneQuantities], cpus: _Cpus, memory: _Memory
) -> KubeletConfiguration:
    # A kubelet that runs with more zones than the default limit must have been told so.
    most = manager.most_zones or (len(zones) if len(zones) > _DEFAULT_MOST_ZONES else None)
    reserved = sum(memory.reserved.values())
    return KubeletConfiguration(
        topology_policy=manager.policy,
        topology_scope=manager.scope,
        topology_options={} if most is None else {"max-allowable-numa-nodes": str(max(most, _DEFAULT_MOST_ZONES))},
        cpu_policy=CpuPolicy.STATIC if cpus.managed else CpuPolicy.NONE,
        reserved_system_cpus=cpuset.render(cpus.reserved),
        system_reserved={MEMORY: _bytes(reserved)} if reserved else {},
        eviction_hard={},
        memory_policy=MemoryPolicy.STATIC if memory.managed else MemoryPolicy.NONE,
        reserved_memory=tuple(
            ReservedMemory(zone, {MEMORY: _bytes(amount)}) for zone, amount in memory.reserved.items() if amount
        ),
    )


def _devices(zones: Sequence[ZoneQuantities]) -> Devices:
    """As many devices as each zone has; those beyond allocatable are taken for unhealthy."""
    resources = sorted({name for zone in zones for name in zone.resources if name != CPU and not is_memory(name)})
    return {
        resource: tuple(
            Device(_device(zone.zone, index), 1 << zone.zone, healthy=index < amount.allocatable)
            for zone, amount in ((zone, zone.resources.get(resource, _NONE)) for zone in zones)
            for index in range(max(amount.capacity, amount.allocatable))
        )
        for resource in resources
    }


def _device_state(zones: Sequence[ZoneQuantities], devices: Devices) -> DeviceState:
    entry = {}
    for zone in zones:
        held = {
            resource: frozenset(_device(zone.zone, index) for index in range(_taken(zone.resources[resource])))
            for resource in devices
            if _taken(zone.resources.get(resource, _NONE))
        }
        if held:
            entry[_holder(zone)] = held
    return DeviceState(devices, {ANONYMOUS: entry} if entry else {})


def _device(zone: int, index: int) -> str:
    return f"{zone}-{index:04d}"


def _holder(zone: ZoneQuantities) -> str:
    return _holder_of(zone.zone)


def _holder_of(zone: int) -> str:
    return f"zone-{zone}"


def _taken(amount: Amount) -> int:
    return max(0, amount.allocatable - amount.available)


def is_memory(name: str) -> bool:
    """Says whether amounts of a resource are bytes of a zone's memory."""
    return name == MEMORY or _page_kib(name) > 0


def _pages(types: Mapping[str, Amount]) -> int:
    """Bytes in allocatable hugepages."""
    return sum(amount.allocatable for name, amount in types.items() if _page_kib(name))


def _page_kib(name: str) -> int:
    """Size of a resource's pages; 0 where the name does not tell or it is none of hugepages."""
    if not name.startswith(HUGEPAGES):
        return 0
    try:
        return quantity.parse(name.removeprefix(HUGEPAGES)).value // 1024
    except quantity.QuantityError:
        return 0


def _bytes(amount: int) -> quantity.Quantity:
    return quantity.of(amount, quantity.Format.BINARY_SI)
