"""The kubelet's checkpoint files, in every form that a kubelet has written and in forms that none has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_kubelet import cpu_v4, memory_block, memory_v3, memory_zone

from extender import cpuset
from extender.exporter.checkpoints import cpu_checkpoint, device_checkpoint, memory_checkpoint, read
from extender.exporter.observation import CheckpointFault, CpuCheckpoint, DeviceCheckpoint, MemoryCheckpoint
from extender.model.state import Block, ZoneMemory

ENTRIES = {"uid-1": {"app": "2-3", "init": "2-5"}}
CPUS = CpuCheckpoint(
    "static", cpuset.parse("0-1,6-7"), {"uid-1": {"app": cpuset.parse("2-3"), "init": cpuset.parse("2-5")}}, {}
)
WITH_POD = CpuCheckpoint(CPUS.policy, CPUS.default, CPUS.entries, {"uid-1": cpuset.parse("2-5")})
POD_ENTRIES = {"uid-1": {"cpuSet": "2-5"}}

CPU_FORMS = [
    pytest.param(
        {"policyName": "static", "defaultCpuSet": "0-1,6-7", "entries": ENTRIES, "checksum": 7}, CPUS, id="V2"
    ),
    pytest.param(
        {
            "policyName": "static",
            "defaultCpuSet": "0-1,6-7",
            "entries": ENTRIES,
            "podEntries": POD_ENTRIES,
            "checksum": 7,
        },
        WITH_POD,
        id="V3 with a pod-level allocation",
    ),
    pytest.param(cpu_v4("0-1,6-7", ENTRIES), CPUS, id="V4"),
    pytest.param(
        cpu_v4("0-1,6-7", ENTRIES, {"uid-1": "2-5"}),
        WITH_POD,
        id="V4, whose pod-level allocations are in the data string alone",
    ),
    pytest.param(
        {"policyName": "none", "defaultCpuSet": "", "checksum": 7}, CpuCheckpoint("none", 0, {}, {}), id="policy none"
    ),
    pytest.param(
        {"policyName": "static", "defaultCpuSet": "0", "entries": {}, "checksum": 7},
        CpuCheckpoint("static", 1, {}, {}),
        id="V1 without containers, which cannot be told from V2",
    ),
]


@pytest.mark.parametrize(("document", "expected"), CPU_FORMS)
def test_every_form_of_the_cpu_managers_file_is_read(document: dict[str, Any], expected: CpuCheckpoint) -> None:
    """Policy, shared pool, entries and pod entries are the same whatever form holds them."""
    assert expected == cpu_checkpoint(json.dumps(document).encode())


ZONE = ZoneMemory(2, 0b11, {"memory": 3 << 30, "hugepages-2Mi": 1 << 20})
MACHINE_STATE = {
    "0": {
        "numberOfAssignments": 2,
        "memoryMap": {
            "memory": {
                "total": 8 << 30,
                "systemReserved": 1 << 30,
                "allocatable": 7 << 30,
                "reserved": 4 << 30,
                "free": 3 << 30,
            },
            "hugepages-2Mi": {
                "total": 4 << 20,
                "systemReserved": 0,
                "allocatable": 4 << 20,
                "reserved": 3 << 20,
                "free": 1 << 20,
            },
        },
        "cells": [0, 1],
    }
}
MEMORY_ENTRIES = {"uid-1": {"app": [memory_block(1 << 30, 0, 1)]}}
BLOCK = Block(0b11, "memory", 1 << 30)
TOTALS = {0: {"memory": 8 << 30, "hugepages-2Mi": 4 << 20}}
ALLOCATABLE = {0: {"memory": 7 << 30, "hugepages-2Mi": 4 << 20}}
MEMORY = MemoryCheckpoint("Static", {0: ZONE}, TOTALS, ALLOCATABLE, {"uid-1": {"app": (BLOCK,)}}, {})
FLAT = {"policyName": "Static", "machineState": MACHINE_STATE, "entries": MEMORY_ENTRIES}

MEMORY_FORMS = [
    pytest.param({**FLAT, "checksum": 7}, MEMORY, id="V1"),
    pytest.param(
        {**FLAT, "podEntries": {"uid-1": {"memoryBlocks": [memory_block(1 << 30, 0, 1)]}}, "checksum": 7},
        MemoryCheckpoint("Static", {0: ZONE}, TOTALS, ALLOCATABLE, MEMORY.entries, {"uid-1": (BLOCK,)}),
        id="V2 with a pod-level allocation",
    ),
    pytest.param(memory_v3(MACHINE_STATE, MEMORY_ENTRIES), MEMORY, id="V3"),
    pytest.param(
        {"policyName": "None", "machineState": None, "entries": None, "checksum": 7},
        MemoryCheckpoint("None", {}, {}, {}, {}, {}),
        id="policy None",
    ),
]


@pytest.mark.parametrize(("document", "expected"), MEMORY_FORMS)
def test_every_form_of_the_memory_managers_file_is_read(document: dict[str, Any], expected: MemoryCheckpoint) -> None:
    """Zones with their groups and free amounts, totals and entries are the same whatever form holds them."""
    assert expected == memory_checkpoint(json.dumps(document).encode())


def test_an_amount_that_the_kubelet_let_wrap_around_is_read() -> None:
    """A zone that reserves more than it has wraps around in the kubelet's unsigned numbers, and is kept as it is."""
    zone = memory_zone(1 << 30, 2**64 - (1 << 30), 2**64 - (1 << 30))
    zone["memoryMap"]["memory"]["systemReserved"] = 2 << 30
    content = json.dumps({"policyName": "Static", "machineState": {"0": zone}}).encode()

    assert 2**64 - (1 << 30) == memory_checkpoint(content).zones[0].free["memory"]


def test_the_device_managers_file_is_read() -> None:
    """Devices by pod, container and resource, of every zone and of none, and the names that plugins registered."""
    entry = {"PodUID": "uid-1", "ContainerName": "app", "ResourceName": "vendor.com/nic"}
    document = {
        "Data": {
            "PodDeviceEntries": [{**entry, "DeviceIDs": {"-1": ["c"], "0": ["a"], "1": ["a", "b"]}, "AllocResp": ""}],
            "RegisteredDevices": {"vendor.com/nic": ["a"], "vendor.com/gpu": None},
        },
        "Checksum": 7,
    }

    assert DeviceCheckpoint(
        {"uid-1": {"app": {"vendor.com/nic": frozenset("abc")}}}, frozenset({"vendor.com/nic", "vendor.com/gpu"})
    ) == device_checkpoint(json.dumps(document).encode())


UNKNOWN = [
    pytest.param(cpu_checkpoint, b"{", "has a form that is not known: ", id="no JSON"),
    pytest.param(cpu_checkpoint, b"[]", "has a form that is not known: the file: [] is not an object", id="a list"),
    pytest.param(
        cpu_checkpoint,
        b'{"policyName":"static","defaultCpuSet":"0-3","entries":{"container-id":"1"},"checksum":7}',
        "has a form that is not known: entries.container-id: '1' is not an object",
        id="V1, which names runtime ids in place of pods",
    ),
    pytest.param(
        cpu_checkpoint,
        b'{"policyName":"static","cpus":[0,1]}',
        "has a form that is not known: defaultCpuSet: None is not a text",
        id="a form of the future",
    ),
    pytest.param(
        memory_checkpoint,
        b'{"policyName":"Static","machineState":{"0":{"cells":[0]}}}',
        "has a form that is not known: machineState.0.numberOfAssignments: None is not a whole number of at least",
        id="a zone without its counter",
    ),
    pytest.param(
        device_checkpoint, b'{"V3":{}}', "has a form that is not known: Data: None is not there", id="devices elsewhere"
    ),
]


@pytest.mark.parametrize(("parse", "content", "sentence"), UNKNOWN)
def test_an_unknown_form_is_a_fault_and_a_sentence(tmp_path: Path, parse: Any, content: bytes, sentence: str) -> None:
    """What is in no known form is not guessed at: the sentence names file, field and value."""
    file = tmp_path / "state"
    file.write_bytes(content)
    found, why = read(file, parse)

    assert CheckpointFault.UNKNOWN_FORM is found
    assert why.startswith(f"{file} {sentence}")


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    """A kubelet that has not written its file yet is nothing unusual."""
    file = tmp_path / "cpu_manager_state"

    assert (CheckpointFault.MISSING, f"{file} is not there") == read(file, cpu_checkpoint)


def test_an_unreadable_file_is_a_fault(tmp_path: Path) -> None:
    """What cannot be read says why."""
    assert (CheckpointFault.UNREADABLE, f"{tmp_path} cannot be read: Is a directory") == read(tmp_path, cpu_checkpoint)
