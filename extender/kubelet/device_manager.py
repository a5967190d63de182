"""
The Device Manager: which devices of a plugin a container gets, and near which zones.

Works on a ``DeviceState`` that it may change. Which of several equally good devices is taken is chance in the
kubelet (or the plugin's preference); here it is the one with the lowest id, so zones and counts are the kubelet's
and ids need not be.

Source: cm/devicemanager/topology_hints.go, cm/devicemanager/manager.go (Allocate, devicesToAllocate).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from extender.kubelet.errors import KubeletCrash
from extender.kubelet.hints import IMPOSSIBLE, LARGEST_ZONE_ID, Hints, mask_table
from extender.kubelet.requests import ContainerRequest, PodRequest
from extender.kubelet.topology_manager import Affinity
from extender.model.configuration import Version
from extender.model.pod import Kind
from extender.model.state import Device, DeviceState
from extender.model.verdict import Cause, Reason, Refusal

Ids = frozenset[str]
NO_IDS: Ids = frozenset()


@dataclass(frozen=True, slots=True)
class DeviceManager:
    """The device manager of one kubelet."""

    zones: tuple[int, ...]
    """All zones, in cAdvisor's order."""
    version: Version

    # Hints

    def container_hints(self, state: DeviceState, pod: PodRequest, container: ContainerRequest) -> list[Hints]:
        """Hints of one container, one list for each resource whose devices name zones (GetTopologyHints)."""
        lists = []
        for resource, requested in container.devices.items():
            if self._located(state, resource):
                held = _held(state, pod.uid, container.name, resource)
                lists.append(self._list(state, resource, requested, held, _reusable(state, pod.uid, resource)))
        return lists

    def pod_hints(self, state: DeviceState, pod: PodRequest) -> list[Hints]:
        """Hints of the pod as a whole (GetPodTopologyHints)."""
        lists = []
        for resource, requested in pod.devices.items():
            if self._located(state, resource):
                entries = state.entries.get(pod.uid, {})
                held = NO_IDS.union(*(held.get(resource, NO_IDS) for held in entries.values()))
                lists.append(self._list(state, resource, requested, held, NO_IDS))
        return lists

    @staticmethod
    def _located(state: DeviceState, resource: str) -> bool:
        """Says whether the resource is a plugin's and any of its devices names a zone."""
        return any(device.located for device in state.reported.get(resource, ()))

    def _list(self, state: DeviceState, resource: str, requested: int, held: Ids, reusable: Ids) -> Hints:
        if held:
            return IMPOSSIBLE if len(held) != requested else self._hints(state, resource, held, NO_IDS, requested)
        available = available_ids(state, resource)
        if len(available | reusable) < requested:
            return IMPOSSIBLE
        return self._hints(state, resource, available, reusable, requested)

    def _hints(self, state: DeviceState, resource: str, ids: Ids, reusable: Ids, requested: int) -> Hints:
        """
        The affinities that can hold a request (generateDeviceTopologyHints).

        A device counts for an affinity that holds any of its zones; one that names no zone never counts, unless
        it is reusable: then it is no obstacle.
        """
        devices = {device.id: device for device in state.reported[resource]}
        if not ids | reusable <= devices.keys():
            raise KubeletCrash(f"panic: nil pointer dereference: an allocated device of {resource} has vanished")
        table = mask_table(self._zones_of(devices.values()))
        if max(table.zones) > LARGEST_ZONE_ID:
            raise KubeletCrash("panic: a NUMA node id above 63 does not fit the bit mask")
        every, matching = _by_zones(devices.values()), _by_zones(devices[id_] for id_ in ids)
        reused = [devices[id_].zones for id_ in reusable if devices[id_].located]
        narrowest, masks = len(table.zones), []
        for mask in table.masks:
            if mask.bit_count() < narrowest and _count(every, mask) >= requested:
                narrowest = mask.bit_count()
            if all(zones & mask for zones in reused) and len(reused) + _count(matching, mask) >= requested:
                masks.append(mask)
        return Hints(tuple(masks), frozenset(mask for mask in masks if mask.bit_count() == narrowest))

    def _zones_of(self, devices: Iterable[Device]) -> tuple[int, ...]:
        """The zones that have devices of the resource (1.36 on), else all zones."""
        if self.version >= Version.V1_36:
            near = 0
            for device in devices:
                near |= device.zones
            some = tuple(zone for zone in sorted(self.zones) if near >> zone & 1)
            if some:
                return some
        return self.zones

    # Allocation

    def allocate(
        self, state: DeviceState, pod: PodRequest, container: ContainerRequest, affinity: Affinity
    ) -> Refusal | None:
        """Gives one container its devices (Allocate)."""
        if state.reusable[0] != pod.uid:
            state.reusable = (pod.uid, {})
        for resource, requested in container.devices.items():
            if self._known(state, resource):
                taken = self._take(state, pod.uid, container.name, resource, requested, affinity.mask)
                if isinstance(taken, Refusal):
                    return taken
                if taken:
                    entries = state.entries.get(pod.uid, {})
                    held = {**entries.get(container.name, {}), resource: taken}
                    state.entries[pod.uid] = {**entries, container.name: held}
        self._update_reusable(state, pod.uid, container)
        return None

    def concerned(self, state: DeviceState, container: ContainerRequest) -> bool:
        """Says whether the container asks for any plugin's resource."""
        return any(self._known(state, resource) for resource in container.devices)

    @staticmethod
    def _known(state: DeviceState, resource: str) -> bool:
        """Says whether a plugin has registered the resource or devices of it are allocated (isDevicePluginResource)."""
        if resource in state.reported:
            return True
        return any(resource in held for entries in state.entries.values() for held in entries.values())

    def _take(
        self, state: DeviceState, uid: str, container: str, resource: str, requested: int, mask: int | None
    ) -> Ids | Refusal:
        """Chooses devices, those of init containers first, then those near the affinity (devicesToAllocate)."""
        held = _held(state, uid, container, resource)

        def refusal(cause: Cause, wanted: int, available: int) -> Refusal:
            return Refusal(
                Reason.UNEXPECTED, cause, container=container, resource=resource, requested=wanted, available=available
            )

        if held and len(held) != requested:
            return refusal(Cause.DEVICE_REQUEST_CHANGED, requested, len(held))
        if resource not in state.reported:
            return refusal(Cause.DEVICE_UNREGISTERED, requested, 0)
        healthy = healthy_ids(state, resource)
        if not healthy:
            return refusal(Cause.DEVICE_NONE_HEALTHY, requested, 0)
        if not held <= healthy:
            return refusal(Cause.DEVICE_ALLOCATED_UNHEALTHY, requested, len(held & healthy))
        if held or requested == 0:
            return NO_IDS
        chosen = sorted(_reusable(state, uid, resource))[:requested]
        needed = requested - len(chosen)
        if needed == 0:
            return frozenset(chosen)
        available = available_ids(state, resource)
        if len(available) < needed:
            return refusal(Cause.DEVICE_NOT_ENOUGH, needed, len(available))
        return frozenset([*chosen, *self._nearest(state, resource, available, mask)[:needed]])

    @staticmethod
    def _nearest(state: DeviceState, resource: str, available: Ids, mask: int | None) -> list[str]:
        """Available devices: near the affinity, then near other zones, then near none (filterByAffinity)."""
        near = mask or 0
        zones = {device.id: device.zones for device in state.reported[resource] if device.id in available}
        return sorted(available, key=lambda id_: (0 if zones[id_] & near else 1 if zones[id_] else 2, id_))

    @staticmethod
    def _update_reusable(state: DeviceState, uid: str, container: ContainerRequest) -> None:
        """Plain init containers give their devices on, others keep theirs."""
        table = dict(state.reusable[1])
        for resource, ids in state.entries.get(uid, {}).get(container.name, {}).items():
            have = table.get(resource, NO_IDS)
            table[resource] = have | ids if container.kind is Kind.INIT else have - ids
        state.reusable = (uid, table)


def healthy_ids(state: DeviceState, resource: str) -> Ids:
    """Ids of the devices that the plugin calls healthy."""
    return frozenset(device.id for device in state.reported.get(resource, ()) if device.healthy)


def available_ids(state: DeviceState, resource: str) -> Ids:
    """Ids of the healthy devices that no container holds (getAvailableDevices)."""
    taken = NO_IDS.union(
        *(held.get(resource, NO_IDS) for entries in state.entries.values() for held in entries.values())
    )
    return healthy_ids(state, resource) - taken


def available_by_zone(state: DeviceState, resource: str, zones: Iterable[int]) -> dict[int, int]:
    """Zone id to how many available devices are near it; one near two zones counts in both."""
    free = available_ids(state, resource)
    near = [device.zones for device in state.reported.get(resource, ()) if device.id in free]
    return {zone: sum(mask >> zone & 1 for mask in near) for zone in zones}


def remove(state: DeviceState, uid: str) -> None:
    """Releases what a pod holds (UpdateAllocatedDevices)."""
    state.entries.pop(uid, None)


def _held(state: DeviceState, uid: str, container: str, resource: str) -> Ids:
    return state.entries.get(uid, {}).get(container, {}).get(resource, NO_IDS)


def _reusable(state: DeviceState, uid: str, resource: str) -> Ids:
    owner, table = state.reusable
    return table.get(resource, NO_IDS) if owner == uid else NO_IDS


def _by_zones(devices: Iterable[Device]) -> Counter[int]:
    return Counter(device.zones for device in devices if device.zones)


def _count(devices: Counter[int], mask: int) -> int:
    return sum(count for zones, count in devices.items() if zones & mask)
