"""
What the kubelet's managers hold at one moment: the part of their state that the next admission reads.

The classes are mutable for the twin's own work; whoever holds a state treats it as a value and takes ``copy()``
before changing it. Inner mappings are replaced, never changed, so a copy is shallow and cheap.

Source: kubelet cm/cpumanager/state, cm/memorymanager/state, cm/devicemanager (allocated and booked devices).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from extender.model.pod import Pod


@dataclass(frozen=True, slots=True)
class Block:
    """An amount of one kind of memory held on one group of zones."""

    zones: int
    """Bit set of zone ids; a block on several zones is not split further."""
    type: str
    """``memory`` or ``hugepages-<size>``."""
    size: int
    """Bytes."""


@dataclass(slots=True)
class CpuState:
    """State of the CPU manager; all sets are bit sets of CPU ids."""

    default: int = 0
    """The node's shared pool, defaultCpuSet (reserved CPUs included unless strict-cpu-reservation is on)."""
    entries: dict[str, Mapping[str, int]] = field(default_factory=dict)
    """Pod uid to container name to its CPUs."""
    pod_entries: dict[str, int] = field(default_factory=dict)
    """Pod uid to all CPUs of its pod-level allocation."""
    reusable: tuple[str, int] = ("", 0)
    """The last admitted pod and the CPUs of its init containers that a later container of it may take over."""

    def copy(self) -> CpuState:
        """Returns a state that can be changed without changing this one."""
        return CpuState(self.default, dict(self.entries), dict(self.pod_entries), self.reusable)


@dataclass(frozen=True, slots=True)
class ZoneMemory:
    """One zone in the memory manager's machine state."""

    assignments: int
    """How many blocks touch the zone (numberOfAssignments)."""
    cells: int
    """Bit set of the zones that it forms a group with, itself included."""
    free: Mapping[str, int]
    """Memory type to bytes; allocatable and reserved follow from the kubelet's start and this."""


@dataclass(slots=True)
class MemoryState:
    """State of the memory manager."""

    zones: dict[int, ZoneMemory] = field(default_factory=dict)
    """By zone id."""
    entries: dict[str, Mapping[str, tuple[Block, ...]]] = field(default_factory=dict)
    """Pod uid to container name to blocks."""
    pod_entries: dict[str, tuple[Block, ...]] = field(default_factory=dict)
    """Pod uid to the blocks of its pod-level allocation."""
    reusable: tuple[str, Mapping[tuple[int, str], int]] = ("", {})
    """The last admitted pod and, per exact mask and type, the bytes that a later container of it may take over."""

    def copy(self) -> MemoryState:
        """Returns a state that can be changed without changing this one."""
        return MemoryState(dict(self.zones), dict(self.entries), dict(self.pod_entries), self.reusable)


@dataclass(frozen=True, slots=True)
class Device:
    """One device as its plugin reports it."""

    id: str
    zones: int = 0
    """Bit set of the zones it is near; empty together with ``located`` False where the plugin names none."""
    located: bool = True
    """Whether the plugin gave a topology at all."""
    healthy: bool = True


Devices = Mapping[str, tuple[Device, ...]]
"""Resource name to the devices that its plugin reports."""


@dataclass(slots=True)
class DeviceState:
    """State of the device manager."""

    reported: Devices = field(default_factory=dict)
    """What the plugins report now."""
    entries: dict[str, Mapping[str, Mapping[str, frozenset[str]]]] = field(default_factory=dict)
    """Pod uid to container name to resource name to device ids."""
    reusable: tuple[str, Mapping[str, frozenset[str]]] = ("", {})
    """The last admitted pod and, per resource, the devices of its init containers not yet taken over."""

    def copy(self) -> DeviceState:
        """Returns a state that can be changed without changing this one."""
        return DeviceState(self.reported, dict(self.entries), self.reusable)


@dataclass(slots=True)
class NodeState:
    """Everything that admission reads and changes on one node."""

    cpu: CpuState = field(default_factory=CpuState)
    memory: MemoryState = field(default_factory=MemoryState)
    device: DeviceState = field(default_factory=DeviceState)
    active: dict[str, Pod] = field(default_factory=dict)
    """The kubelet's active pods by uid, in order of admission; what others hold is stale and freed at the next admission."""

    def copy(self) -> NodeState:
        """Returns a state that can be changed without changing this one."""
        return NodeState(self.cpu.copy(), self.memory.copy(), self.device.copy(), dict(self.active))
