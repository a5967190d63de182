"""
The managers' state as JSON, compact: what the node has, and what each pod holds of it.

The two are separate texts because they change at different times. State::

    {"cpus": "0-7,16", "memory": {"0": [assignments, "0", {"memory": bytes free}]},
     "devices": {"vendor.com/nic": {"healthy": {"0": ["a", "b"], "0-1": ["c"], "none": ["d"]}, "unhealthy": {…}}}}

Devices are grouped by the zones they are near; ``none`` are those whose plugin names no topology. Pods, by uid::

    {"name": "namespace/name", "cpus": "4-7", "memory": [["memory", "0", bytes]], "containers": {"db":
     {"kind": "init", "cpus": "4-5", "memory": [["memory", "0", bytes]], "devices": {"vendor.com/nic": ["a"]}}}}

``cpus`` and ``memory`` of the pod are its pod-level allocation, ``kind`` is written where it is not ``app``, and a pod
without a name is not active: what it holds is a leftover.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from extender import cpuset
from extender.model.pod import Container, Kind, Pod
from extender.model.state import Block, CpuState, Device, DeviceState, MemoryState, NodeState, ZoneMemory
from extender.wire import fields
from extender.wire.fields import WireError

_UNLOCATED = "none"


def state_to_json(state: NodeState) -> dict[str, object]:
    """Writes what the node has, without what pods hold."""
    written: dict[str, object] = {"cpus": cpuset.render(state.cpu.default)}
    if state.memory.zones:
        written["memory"] = {
            str(id_): [zone.assignments, cpuset.render(zone.cells), dict(zone.free)]
            for id_, zone in state.memory.zones.items()
        }
    if state.device.reported:
        written["devices"] = {
            resource: {
                health: _by_zones(device for device in devices if device.healthy is (health == "healthy"))
                for health in ("healthy", "unhealthy")
                if health == "healthy" or not all(device.healthy for device in devices)
            }
            for resource, devices in state.device.reported.items()
        }
    return written


def pods_to_json(state: NodeState) -> dict[str, object]:
    """Writes what each pod holds: active pods in order of admission, then leftovers."""
    cpu, memory, device = state.cpu, state.memory, state.device
    uids = dict.fromkeys(
        chain(state.active, cpu.entries, cpu.pod_entries, memory.entries, memory.pod_entries, device.entries)
    )
    return {uid: _pod_to_json(state, uid) for uid in uids}


def state_from_json(value: object, field: str) -> NodeState:
    """
    Reads what the node has.

    Raises:
        WireError: it is not in this form.
    """
    state = fields.mapping(value, field)
    memory = fields.mapping(state.get("memory"), f"{field}.memory")
    devices = fields.mapping(state.get("devices"), f"{field}.devices")
    return NodeState(
        cpu=CpuState(cpus(state.get("cpus"), f"{field}.cpus")),
        memory=MemoryState(
            {_zone_id(id_, f"{field}.memory"): _zone(zone, f"{field}.memory.{id_}") for id_, zone in memory.items()}
        ),
        device=DeviceState(
            {resource: _devices(by_health, f"{field}.devices.{resource}") for resource, by_health in devices.items()}
        ),
    )


def with_pods(state: NodeState, value: object, field: str) -> NodeState:
    """
    Reads what pods hold into a state that was just read.

    Raises:
        WireError: it is not in this form.
    """
    for uid, entry in fields.mapping(value, field).items():
        _read_pod(state, uid, fields.mapping(entry, f"{field}.{uid}"), f"{field}.{uid}")
    return state


def cpus(value: object, field: str) -> int:
    """Reads a CPU list or a list of zone ids as a bit set."""
    text = fields.text(value, field)
    try:
        return cpuset.parse(text)
    except cpuset.CpuSetError as error:
        raise WireError(field, text, "a list such as 0-3,8") from error


def _pod_to_json(state: NodeState, uid: str) -> dict[str, object]:
    cpu, memory, device = state.cpu, state.memory, state.device
    written: dict[str, object] = {}
    pod = state.active.get(uid)
    if pod is not None:
        written["name"] = f"{pod.namespace}/{pod.name}"
    if uid in cpu.pod_entries:
        written["cpus"] = cpuset.render(cpu.pod_entries[uid])
    if uid in memory.pod_entries:
        written["memory"] = _blocks_to_json(memory.pod_entries[uid])
    kinds = {container.name: container.kind for container in pod.containers} if pod else {}
    entries = [cpu.entries.get(uid, {}), memory.entries.get(uid, {}), device.entries.get(uid, {})]
    names = dict.fromkeys([*kinds, *(name for held in entries for name in held)])
    if names:
        written["containers"] = {
            name: _container_to_json(state, uid, name, kinds.get(name, Kind.APP)) for name in names
        }
    return written


def _container_to_json(state: NodeState, uid: str, name: str, kind: Kind) -> dict[str, object]:
    written: dict[str, object] = {}
    if kind is not Kind.APP:
        written["kind"] = str(kind)
    held = state.cpu.entries.get(uid, {}).get(name)
    if held is not None:
        written["cpus"] = cpuset.render(held)
    blocks = state.memory.entries.get(uid, {}).get(name)
    if blocks is not None:
        written["memory"] = _blocks_to_json(blocks)
    devices = state.device.entries.get(uid, {}).get(name)
    if devices is not None:
        written["devices"] = {resource: sorted(ids) for resource, ids in devices.items()}
    return written


def _read_pod(state: NodeState, uid: str, entry: Mapping[str, object], field: str) -> None:
    if "cpus" in entry:
        state.cpu.pod_entries[uid] = cpus(entry["cpus"], f"{field}.cpus")
    if "memory" in entry:
        state.memory.pod_entries[uid] = _blocks(entry["memory"], f"{field}.memory")
    containers = []
    held_cpus, held_blocks, held_devices = {}, {}, {}
    for name, value in fields.mapping(entry.get("containers"), f"{field}.containers").items():
        at = f"{field}.containers.{name}"
        container = fields.mapping(value, at)
        containers.append(Container(name, fields.choice(container.get("kind"), f"{at}.kind", Kind, Kind.APP)))
        if "cpus" in container:
            held_cpus[name] = cpus(container["cpus"], f"{at}.cpus")
        if "memory" in container:
            held_blocks[name] = _blocks(container["memory"], f"{at}.memory")
        if "devices" in container:
            held_devices[name] = {
                resource: frozenset(_texts(ids, f"{at}.devices.{resource}"))
                for resource, ids in fields.mapping(container["devices"], f"{at}.devices").items()
            }
    if held_cpus:
        state.cpu.entries[uid] = held_cpus
    if held_blocks:
        state.memory.entries[uid] = held_blocks
    if held_devices:
        state.device.entries[uid] = held_devices
    if "name" in entry:
        namespace, _, pod = fields.text(entry["name"], f"{field}.name").partition("/")
        state.active[uid] = Pod(uid, pod, tuple(containers), namespace)


def _blocks_to_json(blocks: Iterable[Block]) -> list[object]:
    return [[block.type, cpuset.render(block.zones), block.size] for block in blocks]


def _blocks(value: object, field: str) -> tuple[Block, ...]:
    blocks = []
    for index, entry in enumerate(fields.sequence(value, field)):
        block, at = fields.sequence(entry, f"{field}[{index}]"), f"{field}[{index}]"
        if len(block) != 3:
            raise WireError(at, entry, "a list of type, zones and bytes")
        blocks.append(
            Block(
                zones=cpus(block[1], f"{at}[1]"),
                type=fields.text(block[0], f"{at}[0]"),
                size=fields.integer(block[2], f"{at}[2]", most=2**64 - 1),
            )
        )
    return tuple(blocks)


def _zone(value: object, field: str) -> ZoneMemory:
    zone = fields.sequence(value, field)
    if len(zone) != 3:
        raise WireError(field, value, "a list of assignments, zones and free bytes")
    return ZoneMemory(
        assignments=fields.integer(zone[0], f"{field}[0]", least=-(2**63)),
        cells=cpus(zone[1], f"{field}[1]"),
        free={
            type_: fields.integer(amount, f"{field}[2].{type_}", most=2**64 - 1)
            for type_, amount in fields.mapping(zone[2], f"{field}[2]").items()
        },
    )


def _by_zones(devices: Iterable[Device]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for device in devices:
        groups.setdefault(cpuset.render(device.zones) if device.located else _UNLOCATED, []).append(device.id)
    return groups


def _devices(value: object, field: str) -> tuple[Device, ...]:
    """Ascending by id, healthy or not."""
    found = []
    for health, groups in fields.mapping(value, field).items():
        for zones, ids in fields.mapping(groups, f"{field}.{health}").items():
            located = zones != _UNLOCATED
            near = cpus(zones, f"{field}.{health}") if located else 0
            found += [
                Device(id_, near, located, healthy=health == "healthy")
                for id_ in _texts(ids, f"{field}.{health}.{zones}")
            ]
    return tuple(sorted(found, key=lambda device: device.id))


def _texts(value: object, field: str) -> list[str]:
    return [fields.text(entry, f"{field}[{index}]") for index, entry in enumerate(fields.sequence(value, field))]


def _zone_id(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= cpuset.LARGEST_MEMBER):
        raise WireError(field, text, "an object whose fields are zone ids")
    return int(text)
