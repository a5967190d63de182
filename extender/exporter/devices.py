"""
The state of the device manager: which devices there are, and who has which.

The rule for the pair: PodResources is right about running containers, the checkpoint adds uids, init containers and
the names that plugins have registered. Unhealthy devices are told by neither; those that were healthy once are
remembered for as long as the Node's capacity counts them.

Source: kubelet cm/devicemanager/manager.go (GetCapacity, writeCheckpoint, GetAllocatableDevices).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from extender.exporter.identity import Identities
from extender.exporter.managers import Known
from extender.exporter.observation import DeviceCheckpoint, Held, Observation, Source
from extender.model.state import Device, DeviceState


def device_state(observation: Observation, identities: Identities) -> tuple[DeviceState, Known]:
    """Returns what the device manager has and holds, and how well that is known."""
    reported, counted = _reported(observation)
    entries, contradicted = _entries(observation, identities)
    checkpoint = isinstance(observation.device, DeviceCheckpoint)
    there_are_devices = bool(reported or entries)
    exact = not there_are_devices or (counted and checkpoint and observation.allocatable is not None)
    source = (
        Source.POD_RESOURCES if observation.allocatable is not None or observation.listed is not None else Source.NONE
    )
    if source is Source.NONE and checkpoint:
        source = Source.CHECKPOINT
    return DeviceState(reported, entries), Known(source, exact, contradicted)


def _reported(observation: Observation) -> tuple[dict[str, tuple[Device, ...]], bool]:
    """All devices by resource, and whether the Node counts no more than those."""
    healthy = dict(observation.allocatable.devices) if observation.allocatable else {}
    registered = observation.device.resources if isinstance(observation.device, DeviceCheckpoint) else frozenset()
    capacity = observation.api_node.capacity if observation.api_node else {}
    devices, counted = {}, True
    for resource in sorted({*healthy, *registered, *observation.remembered}):
        present = {device.id: device for device in healthy.get(resource, ())}
        absent = {
            id_: replace(device, healthy=False)
            for id_, device in observation.remembered.get(resource, {}).items()
            if id_ not in present
        }
        total = capacity.get(resource)
        if total is not None and total <= len(present):
            absent = {}  # the plugin no longer has them
        if resource not in healthy and resource not in registered and not absent:
            continue
        # Fewer than are known means that the Node's status is late, more that some have been ill all along.
        counted = counted and (total is None or total <= len(present) + len(absent))
        devices[resource] = tuple(sorted([*present.values(), *absent.values()], key=lambda device: device.id))
    return devices, counted


def _entries(observation: Observation, identities: Identities) -> tuple[dict[str, Held], bool]:
    """Pod uid to container to devices, and whether the checkpoint contradicts PodResources."""
    written: dict[str, Held] = {}
    if isinstance(observation.device, DeviceCheckpoint):
        written = {identities.uid(uid): held for uid, held in observation.device.entries.items()}
    contradicted = False
    for uid, pod in identities.listed.items():
        before = written.get(uid, {})
        live = {name: container.devices for name, container in pod.containers.items()}
        merged = {**{name: held for name, held in before.items() if name not in live}, **_not_empty(live)}
        contradicted |= bool(before) and dict(before) != merged
        if merged:
            written[uid] = merged
        else:
            written.pop(uid, None)
    return written, contradicted


def _not_empty(held: Held) -> Mapping[str, Mapping[str, frozenset[str]]]:
    return {name: devices for name, devices in held.items() if devices}
