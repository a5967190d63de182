"""
The nodes of one law as columns: what each zone has and has left, and whether a node can be followed by quantities.

A row is written from a node's state as its kubelet's next admission will find it. Arrays grow by doubling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extender.columns.demand import LARGEST_AMOUNT
from extender.columns.law import Law, countable
from extender.kubelet.admission import Kubelet
from extender.kubelet.cpu_manager import CpuManager
from extender.kubelet.device_manager import available_ids, healthy_ids
from extender.model.state import DeviceState, MemoryState, NodeState

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Scores = NDArray[np.int8]

FEWEST_ROWS = 8


@dataclass(slots=True)
class Devices:
    """One resource of device plugins on all nodes of a table."""

    present: Bools
    """(N,) whether the node's plugins report it."""
    plain: Bools
    """(N,) whether each device is near one zone at most, and none is known only by who holds it."""
    located: Bools
    """(N,) whether any device names a zone."""
    placed: Bools
    """(N,) whether each device is near exactly one zone."""
    healthy: Ints
    """(N,) how many are healthy."""
    available: Ints
    """(N,) how many are healthy and not held."""
    total: Ints
    """(Z, N) how many there are in each zone."""
    free: Ints
    """(Z, N) how many of them are available."""


class Table:
    """All nodes of one law."""

    def __init__(self, law: Law) -> None:
        self.law = law
        self.rows = 0
        self._capacity = FEWEST_ROWS
        zones = len(law.zones)
        self.countable = self._flags()
        self.cpu = self._amounts(zones)
        """(Z, N) CPUs that can become exclusive."""
        self.cpu_able = self._amounts(zones)
        """(Z, N) the same of an idle node."""
        self.cpu_total = self._amounts(zones)
        """(Z, N) CPUs of the zone, reserved and busy ones too."""
        self.cpu_most = self._amounts()
        """(N,) CPUs of the largest zone."""
        self.per_core = self._amounts()
        self.shared = self._amounts()
        """(N,) CPUs of the node's shared pool."""
        self.whole = self._amounts()
        """(N,) CPUs that full-pcpus-only counts as free: those on cores without a reserved CPU."""
        self.whole_exact = self._flags()
        """(N,) whether all CPUs that can become exclusive are on such cores."""
        self.ungrouped = self._flags()
        """(N,) whether no zones form a group, and the amounts of memory are known."""
        self.memory_known = self._flags()
        """(N,) whether no amount has run below zero, as the kubelet lets it when a zone reserves more than it has."""
        self.used = self._flags(zones)
        """(Z, N) whether any block of memory lies on the zone."""
        self.allocatable = {type_: self._amounts(zones) for type_ in sorted(law.memory or ())}
        """Type of memory to (Z, N) bytes that pods can have."""
        self.memory = {type_: self._amounts(zones) for type_ in sorted(law.memory or ())}
        """Type of memory to (Z, N) bytes free."""
        self.devices: dict[str, Devices] = {}
        self.distances = np.array(law.distances, np.int64)
        """(Z, Z)"""
        self._kubelets: list[Kubelet | None] = [None] * self._capacity

    def _amounts(self, *zones: int) -> Ints:
        return np.zeros((*zones, self._capacity), np.int64)

    def _flags(self, *zones: int) -> Bools:
        return np.zeros((*zones, self._capacity), np.bool_)

    def add(self) -> int:
        """Returns a new row; ``put`` fills it."""
        if self.rows == self._capacity:
            self._grow()
        self._kubelets[self.rows] = None
        self.rows += 1
        return self.rows - 1

    def _grow(self) -> None:
        self._kubelets += [None] * self._capacity
        self._capacity *= 2
        for holder in (self, *self.devices.values()):
            for name in _arrays_of(holder):
                setattr(holder, name, _wider(getattr(holder, name), self._capacity))
        for by_type in (self.allocatable, self.memory):
            for type_, array in by_type.items():
                by_type[type_] = _wider(array, self._capacity)

    def copy(self, source: int, target: int) -> None:
        """Copies a row over another."""
        arrays: list[NDArray[Any]] = [*self.allocatable.values(), *self.memory.values()]
        for holder in (self, *self.devices.values()):
            arrays += [getattr(holder, name) for name in _arrays_of(holder)]
        for array in arrays:
            array[..., target] = array[..., source]
        self._kubelets[target] = self._kubelets[source]

    def put(self, row: int, kubelet: Kubelet, state: NodeState) -> None:
        """Writes a node's row; ``state`` holds nothing stale."""
        if self._kubelets[row] is not kubelet:
            self._kubelets[row] = kubelet
            if kubelet.cpu:
                self._put_topology(row, kubelet, kubelet.cpu)
        if kubelet.cpu:
            self._put_cpus(row, kubelet.cpu, state)
        if kubelet.memory:
            self._put_memory(row, kubelet.memory.allocatable, state.memory)
        self._put_devices(row, state.device)

    def _put_topology(self, row: int, kubelet: Kubelet, cpu: CpuManager) -> None:
        """What stays as long as the kubelet does."""
        self.countable[row] = countable(kubelet)
        able = cpu.available_by_zone(cpu.initial())
        totals = dict(zip(cpu.table.zones, cpu.totals, strict=True))
        self.cpu_able[:, row] = [able.get(zone, 0) for zone in self.law.zones]
        self.cpu_total[:, row] = [totals.get(zone, 0) for zone in self.law.zones]
        self.cpu_most[row] = max(cpu.totals)
        self.per_core[row] = cpu.topology.cpus_per_core

    def _put_cpus(self, row: int, cpu: CpuManager, state: NodeState) -> None:
        free = cpu.available_by_zone(state.cpu)
        self.cpu[:, row] = [free.get(zone, 0) for zone in self.law.zones]
        self.shared[row] = state.cpu.default.bit_count()
        self.whole[row] = (state.cpu.default & ~cpu.reserved_physical).bit_count()
        self.whole_exact[row] = state.cpu.default & ~cpu.reserved_physical == cpu.available(state.cpu)

    def _put_memory(self, row: int, allocatable: Mapping[int, Mapping[str, int]], state: MemoryState) -> None:
        zones = [state.zones[zone] for zone in self.law.zones]
        known = True
        self.used[:, row] = [zone.assignments > 0 for zone in zones]
        for type_ in self.memory:
            most = [allocatable[zone][type_] for zone in self.law.zones]
            free = [zone.free[type_] for zone in zones]
            if any(not 0 <= have <= there <= LARGEST_AMOUNT for have, there in zip(free, most, strict=True)):
                known, most, free = False, [0] * len(most), [0] * len(free)
            self.allocatable[type_][:, row] = most
            self.memory[type_][:, row] = free
        self.memory_known[row] = known
        self.ungrouped[row] = known and all(zone.cells & (zone.cells - 1) == 0 for zone in zones)

    def _put_devices(self, row: int, state: DeviceState) -> None:
        held = {resource for entries in state.entries.values() for ids in entries.values() for resource in ids}
        for resource in (state.reported.keys() | held) - self.devices.keys():
            self.devices[resource] = self._no_devices()
        for resource, devices in self.devices.items():
            _put_resource(devices, row, resource, state, self.law.zones)
            if resource in held and resource not in state.reported:
                devices.present[row], devices.plain[row] = True, False

    def _no_devices(self) -> Devices:
        zones = len(self.law.zones)
        return Devices(
            present=self._flags(),
            plain=self._flags(),
            located=self._flags(),
            placed=self._flags(),
            healthy=self._amounts(),
            available=self._amounts(),
            total=self._amounts(zones),
            free=self._amounts(zones),
        )


def _put_resource(devices: Devices, row: int, resource: str, state: DeviceState, zones: tuple[int, ...]) -> None:
    reported = state.reported.get(resource)
    devices.present[row] = reported is not None
    if reported is None:
        return
    free = available_ids(state, resource)
    one_zone = all(device.zones & (device.zones - 1) == 0 for device in reported)
    devices.plain[row] = one_zone and len({device.id for device in reported}) == len(reported)
    devices.located[row] = any(device.located for device in reported)
    devices.placed[row] = all(device.located and device.zones.bit_count() == 1 for device in reported)
    devices.healthy[row] = len(healthy_ids(state, resource))
    devices.available[row] = len(free)
    devices.total[:, row] = [sum(device.zones >> zone & 1 for device in reported) for zone in zones]
    devices.free[:, row] = [sum(device.zones >> zone & 1 for device in reported if device.id in free) for zone in zones]


def _arrays_of(holder: object) -> list[str]:
    names = holder.__slots__ if isinstance(holder, Devices) else vars(holder)
    return [name for name in names if name != "distances" and isinstance(getattr(holder, name), np.ndarray)]


def _wider(array: NDArray[Any], capacity: int) -> NDArray[Any]:
    wide = np.zeros((*array.shape[:-1], capacity), array.dtype)
    wide[..., : array.shape[-1]] = array
    return wide
