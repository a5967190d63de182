"""
A node as a map for people: zones, cores with their siblings, who holds which CPUs, memory and devices.

In brief form it is what a list of thousands of nodes shows: policies and what each zone has and has left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from extender import cpuset
from extender.model.configuration import KubeletConfiguration, Version
from extender.model.machine import Machine, Zone
from extender.model.pod import Pod
from extender.model.room import Room
from extender.model.state import DeviceState, NodeState
from extender.wire.answers import rooms_to_json
from extender.wire.kubelet_configuration import configuration_to_json
from extender.wire.replay import blocks_to_json

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a map shows of a node that can be judged."""

    machine: Machine
    configuration: KubeletConfiguration
    version: Version
    state: NodeState
    """As the kubelet's next admission finds it."""
    reserved: int
    """CPUs that are reserved for the system."""
    rooms: Sequence[Room]


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a node, whether or not it can be judged."""

    name: str
    knowledge: str
    estimates: Sequence[str] = ()
    fault: str = ""
    kubelet_version: str = ""


def brief_to_json(head: Head, mapped: Mapped | None) -> Json:
    """Writes a node for a list."""
    written: Json = {"name": head.name, "knowledge": head.knowledge}
    if head.estimates:
        written["estimates"] = list(head.estimates)
    if mapped is None:
        return {**written, "fault": head.fault}
    configuration = mapped.configuration
    return {
        **written,
        "version": str(mapped.version),
        "policy": str(configuration.topology_policy),
        "scope": str(configuration.topology_scope),
        "cpuPolicy": str(configuration.cpu_policy),
        "memoryPolicy": str(configuration.memory_policy),
        "cpus": mapped.machine.cpus,
        "pods": len(mapped.state.active),
        "zones": rooms_to_json(mapped.rooms),
    }


def map_to_json(head: Head, mapped: Mapped | None, rebuilt: Iterable[str] = ()) -> Json:
    """
    Writes a node as a map.

    Args:
        head: what is known of it.
        mapped: what the map shows; None where the node cannot be judged.
        rebuilt: uids of the pods whose spec was rebuilt from what they hold.
    """
    written = brief_to_json(head, mapped)
    if mapped is None:
        return written
    state = mapped.state
    guessed = set(rebuilt)
    return {
        **written,
        "kubeletVersion": head.kubelet_version,
        "configuration": configuration_to_json(mapped.configuration),
        "zones": [_zone(zone, room) for zone, room in zip(mapped.machine.zones, mapped.rooms, strict=True)],
        "reserved": cpuset.render(mapped.reserved),
        "shared": cpuset.render(state.cpu.default),
        "holders": [_holder(state, uid, pod, rebuilt=uid in guessed) for uid, pod in state.active.items()],
        "devices": devices_to_json(state.device, state.active),
    }


def _zone(zone: Zone, room: Room) -> Json:
    return {
        **rooms_to_json([room])[0],
        "memory": zone.memory,
        "distances": list(zone.distances),
        "cores": [
            {
                "cpus": list(core.threads),
                "socket": core.socket,
                **({} if core.uncore is None else {"cache": core.uncore}),
            }
            for core in zone.cores
        ],
    }


def _holder(state: NodeState, uid: str, pod: Pod, *, rebuilt: bool) -> Json:
    """One pod and what it holds; containers that hold nothing are left out."""
    written: Json = {"uid": uid, "namespace": pod.namespace, "name": pod.name}
    if rebuilt:
        written["rebuilt"] = True
    whole = state.cpu.pod_entries.get(uid)
    if whole is not None:
        written["cpus"] = cpuset.render(whole)
        written["pool"] = cpuset.render(_pool(whole, state.cpu.entries.get(uid, {})))
    if uid in state.memory.pod_entries:
        written["memory"] = blocks_to_json(state.memory.pod_entries[uid])
    held = [_container(state, uid, container.name) for container in pod.containers]
    written["containers"] = [one for one in held if len(one) > 1]
    return written


def _pool(whole: int, entries: Mapping[str, int]) -> int:
    """The pod shared pool: what several containers, or none, have of a pod-level allocation."""
    values = list(entries.values())
    alone = 0
    for cpus in values:
        if values.count(cpus) == 1:
            alone |= cpus
    return whole & ~alone


def _container(state: NodeState, uid: str, name: str) -> Json:
    written: Json = {"name": name}
    cpus = state.cpu.entries.get(uid, {}).get(name)
    if cpus:
        written["cpus"] = cpuset.render(cpus)
    blocks = state.memory.entries.get(uid, {}).get(name)
    if blocks:
        written["memory"] = blocks_to_json(blocks)
    devices = state.device.entries.get(uid, {}).get(name)
    if devices:
        written["devices"] = {resource: sorted(ids) for resource, ids in devices.items()}
    return written


def devices_to_json(state: DeviceState, active: Mapping[str, Pod]) -> Json:
    """Writes every device with its zones and its holder."""
    holders = {
        (resource, id_): uid
        for uid, containers in state.entries.items()
        for held in containers.values()
        for resource, ids in held.items()
        for id_ in ids
    }
    return {
        resource: [
            {
                "id": device.id,
                "zones": list(cpuset.members(device.zones)),
                "healthy": device.healthy,
                **(
                    {"holder": _title(holders[resource, device.id], active)} if (resource, device.id) in holders else {}
                ),
            }
            for device in devices
        ]
        for resource, devices in state.reported.items()
    }


def _title(uid: str, active: Mapping[str, Pod]) -> str:
    pod = active.get(uid)
    return f"{pod.namespace}/{pod.name}" if pod else uid
