"""
The kubelet's checkpoint files: the only place that shows what init containers hold, groups of zones and pod uids.

They are internal to the kubelet, so nothing is taken for granted: a form that is not known is a fault, a value that the
rest of the exporter reports and lives with. Checksums are not verified; a file is replaced as a whole (rename), and a
kubelet would not start with a wrong one.

Source: kubelet cm/cpumanager/state/checkpoint.go (V1 to V4), cm/memorymanager/state/checkpoint.go (V1 to V3),
cm/devicemanager/checkpoint/checkpoint.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import orjson

from extender import cpuset
from extender.exporter.observation import CheckpointFault, CpuCheckpoint, DeviceCheckpoint, MemoryCheckpoint
from extender.model.state import Block, ZoneMemory
from extender.wire import fields
from extender.wire.fields import WireError

CPU_FILE, MEMORY_FILE, DEVICE_FILE = "cpu_manager_state", "memory_manager_state", "kubelet_internal_checkpoint"
DEVICE_FOLDER = "device-plugins"

LARGEST_UINT64 = 2**64 - 1
Checkpoint = TypeVar("Checkpoint")


def read(path: Path, parse: Callable[[bytes], Checkpoint]) -> tuple[Checkpoint | CheckpointFault, str]:
    """Reads a file: what is in it, or the fault and a sentence about it."""
    try:
        return parse(path.read_bytes()), ""
    except FileNotFoundError:
        return CheckpointFault.MISSING, f"{path} is not there"
    except OSError as error:
        return CheckpointFault.UNREADABLE, f"{path} cannot be read: {error.strerror}"
    except (WireError, orjson.JSONDecodeError) as error:
        return CheckpointFault.UNKNOWN_FORM, f"{path} has a form that is not known: {error}"


def cpu_checkpoint(content: bytes) -> CpuCheckpoint:
    """
    Reads cpu_manager_state in any of its forms.

    Raises:
        WireError: it has none of them, or it is V1, which names containers by runtime ids only and has any.
    """
    document = _authoritative(content)
    policy = fields.text(document.get("policyName"), "policyName")
    entries = fields.mapping(document.get("entries"), "entries")
    pod_entries = fields.mapping(document.get("podEntries"), "podEntries")
    return CpuCheckpoint(
        policy=policy,
        default=_cpus(document.get("defaultCpuSet"), "defaultCpuSet"),
        entries={
            uid: {
                name: _cpus(cpus, f"entries.{uid}.{name}")
                for name, cpus in fields.mapping(containers, f"entries.{uid}").items()
            }
            for uid, containers in entries.items()
        },
        pod_entries={
            uid: _cpus(fields.mapping(entry, f"podEntries.{uid}").get("cpuSet"), f"podEntries.{uid}.cpuSet")
            for uid, entry in pod_entries.items()
        },
    )


def memory_checkpoint(content: bytes) -> MemoryCheckpoint:
    """
    Reads memory_manager_state in any of its forms.

    Raises:
        WireError: it has none of them.
    """
    document = _authoritative(content)
    machine = {
        _zone_id(id_): fields.mapping(zone, f"machineState.{id_}")
        for id_, zone in fields.mapping(document.get("machineState"), "machineState").items()
    }
    return MemoryCheckpoint(
        policy=fields.text(document.get("policyName"), "policyName"),
        zones={id_: _zone(zone, f"machineState.{id_}") for id_, zone in sorted(machine.items())},
        totals=_tables(machine, "total"),
        allocatable=_tables(machine, "allocatable"),
        entries={
            uid: {
                name: _blocks(blocks, f"entries.{uid}.{name}")
                for name, blocks in fields.mapping(containers, f"entries.{uid}").items()
            }
            for uid, containers in fields.mapping(document.get("entries"), "entries").items()
        },
        pod_entries={
            uid: _blocks(
                fields.mapping(entry, f"podEntries.{uid}").get("memoryBlocks"), f"podEntries.{uid}.memoryBlocks"
            )
            for uid, entry in fields.mapping(document.get("podEntries"), "podEntries").items()
        },
    )


def device_checkpoint(content: bytes) -> DeviceCheckpoint:
    """
    Reads the device manager's file; it has had one form since 1.20.

    Raises:
        WireError: it has another one.
    """
    document = fields.mapping(orjson.loads(content), "the file")
    if "Data" not in document:
        raise WireError("Data", None, "there, as in every form that is known")
    data = fields.mapping(document["Data"], "Data")
    held: dict[str, dict[str, dict[str, frozenset[str]]]] = {}
    for index, value in enumerate(fields.sequence(data.get("PodDeviceEntries"), "Data.PodDeviceEntries")):
        at = f"Data.PodDeviceEntries[{index}]"
        entry = fields.mapping(value, at)
        container = held.setdefault(fields.text(entry.get("PodUID"), f"{at}.PodUID"), {}).setdefault(
            fields.text(entry.get("ContainerName"), f"{at}.ContainerName"), {}
        )
        container[fields.text(entry.get("ResourceName"), f"{at}.ResourceName")] = frozenset(
            fields.text(id_, f"{at}.DeviceIDs")
            for ids in fields.mapping(entry.get("DeviceIDs"), f"{at}.DeviceIDs").values()
            for id_ in fields.sequence(ids, f"{at}.DeviceIDs")
        )
    resources = fields.mapping(data.get("RegisteredDevices"), "Data.RegisteredDevices")
    return DeviceCheckpoint(held, frozenset(resources))


def _authoritative(content: bytes) -> Mapping[str, object]:
    """The payload: the ``data`` string where there is one (1.37), which the flat fields beside it only imitate."""
    document = fields.mapping(orjson.loads(content), "the file")
    if document.get("data"):
        return fields.mapping(orjson.loads(fields.text(document["data"], "data")), "data")
    return document


def _cpus(value: object, field: str) -> int:
    listed = fields.text(value, field)
    try:
        return cpuset.parse(listed)
    except cpuset.CpuSetError as error:
        raise WireError(field, listed, "a CPU list such as 0-3,8") from error


def _zone_id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise WireError("machineState", text, "an object whose fields are zone ids")
    return fields.member(int(text), "machineState")


def _zone(zone: Mapping[str, object], field: str) -> ZoneMemory:
    # Files of old alpha kubelets say "nodes" for what became "cells".
    cells = fields.sequence(zone.get("cells", zone.get("nodes")), f"{field}.cells")
    table = fields.mapping(zone.get("memoryMap"), f"{field}.memoryMap")
    return ZoneMemory(
        assignments=fields.integer(zone.get("numberOfAssignments"), f"{field}.numberOfAssignments", least=-(2**63)),
        cells=cpuset.of(fields.member(cell, f"{field}.cells") for cell in cells),
        free={type_: _bytes(row, "free", f"{field}.memoryMap.{type_}") for type_, row in table.items()},
    )


def _tables(machine: Mapping[int, Mapping[str, object]], column: str) -> dict[int, dict[str, int]]:
    return {
        id_: {
            type_: _bytes(row, column, f"machineState.{id_}.memoryMap.{type_}")
            for type_, row in fields.mapping(zone.get("memoryMap"), f"machineState.{id_}.memoryMap").items()
        }
        for id_, zone in sorted(machine.items())
    }


def _bytes(row: object, column: str, field: str) -> int:
    value = fields.mapping(row, field).get(column)
    return fields.integer(value, f"{field}.{column}", most=LARGEST_UINT64)


def _blocks(value: object, field: str) -> tuple[Block, ...]:
    """Blocks by type and zones; the kubelet writes them in the order of a Go map."""
    blocks = []
    for index, entry in enumerate(fields.sequence(value, field)):
        at = f"{field}[{index}]"
        block = fields.mapping(entry, at)
        zones = fields.sequence(block.get("numaAffinity"), f"{at}.numaAffinity")
        blocks.append(
            Block(
                zones=cpuset.of(fields.member(zone, f"{at}.numaAffinity") for zone in zones),
                type=fields.text(block.get("type"), f"{at}.type"),
                size=fields.integer(block.get("size"), f"{at}.size", most=LARGEST_UINT64),
            )
        )
    return tuple(sorted(blocks, key=lambda block: (block.type, block.zones, block.size)))
