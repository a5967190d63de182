"""Thirty machines as sysfs trees, read and compared with what other programs say of them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from trees import folder

from extender import cpuset
from extender.exporter.sysfs import read_hardware
from extender.model.machine import Machine, Zone

ROOT = Path(__file__).resolve().parents[2]
MACHINES = Path(os.environ.get("NUMA_EXTENDER_MACHINES", ROOT.parent / "shared" / "machines"))
FILES = sorted(MACHINES.glob("*.json"))

pytestmark = pytest.mark.skipif(
    not FILES, reason=f"there are no recorded machines in {MACHINES} (NUMA_EXTENDER_MACHINES names another folder)"
)


@dataclass(frozen=True)
class Recorded:
    """One machine: its record, and what was read of its tree."""

    name: str
    expected: dict[str, Any]
    machine: Machine
    warnings: tuple[str, ...]


@pytest.fixture(params=FILES, ids=lambda file: file.stem, scope="module")
def recorded(request: pytest.FixtureRequest) -> Recorded:
    record = json.loads(request.param.read_text())
    with folder() as root:
        hardware = read_hardware(written(record, root), root / "no-meminfo")
    return Recorded(record["name"], record["expected"], hardware.machine, hardware.warnings)


def written(record: dict[str, Any], root: Path) -> Path:
    """Writes a recorded tree and returns what stands for /sys."""
    nodes, cpus = root / "devices/system/node", root / "devices/system/cpu"
    for cpu in cpuset.members(cpuset.parse(record["cpu_dirs"])):
        (cpus / f"cpu{cpu}").mkdir(parents=True)
    for node in record["node_dirs"]:
        (nodes / f"node{node}").mkdir(parents=True)
    for node, linked in record.get("node_cpu_links", {}).items():
        for cpu in linked:
            (nodes / node / f"cpu{cpu}").symlink_to(f"../../cpu/cpu{cpu}")
    for path, content in record["files"].items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


def cpus(zone: Zone) -> list[int]:
    return sorted(cpu for core in zone.cores for cpu in core.threads)


def test_zones_are_read_as_expected(recorded: Recorded) -> None:
    """Ids, online CPUs, memory and distances of every zone are those that lscpu, hwloc or the kernel's archive give."""
    machine, expected = recorded.machine, recorded.expected
    if "ambiguous" in expected:
        pytest.skip(f"the record is ambiguous: {expected['ambiguous']}")
    nodes = expected["nodes"] or {"0": {"cpus": expected["synthesised_node0"]["cpus"]}}

    assert {int(id_): node["cpus"] for id_, node in nodes.items()} == {zone.id: cpus(zone) for zone in machine.zones}
    if expected["nodes"]:
        assert {int(id_): node["memory_bytes"] for id_, node in nodes.items()} == {
            zone.id: zone.memory for zone in machine.zones
        }
        ascending = sorted(int(id_) for id_ in nodes)
        assert {int(id_): node["distances"] for id_, node in nodes.items()} == {
            zone.id: (
                {str(id_): cost for id_, cost in zip(ascending, zone.distances, strict=True)}
                if len(zone.distances) == len(nodes)
                else None
            )
            for zone in machine.zones
        }


@pytest.mark.parametrize(
    "recorded", [file for file in FILES if file.stem.startswith("nto-")], ids=lambda file: file.stem, indirect=True
)
def test_cores_are_those_of_cadvisor(recorded: Recorded) -> None:
    """Where cAdvisor's own record of the machine is known, counts and every core with its socket and threads agree."""
    machine, info = recorded.machine, recorded.expected["machineinfo"]

    assert (info["num_cores"], info["num_sockets"]) == (machine.cpus, machine.sockets)
    assert {
        node["node_id"]: sorted((socket, tuple(sorted(threads))) for socket, _, threads in node["cores"])
        for node in info["nodes"]
    } == {zone.id: sorted((core.socket, tuple(sorted(core.threads))) for core in zone.cores) for zone in machine.zones}


def test_only_broken_reports_are_warned_of(recorded: Recorded) -> None:
    """Warnings come from the machines that have something wrong with them, and from no other."""
    wrong = {
        "hwloc-20s390-2g6s4c": "no NUMA node directory",
        "hwloc-2arm-2c": "no NUMA node directory",
        "hwloc-48amd64-4pa2n6c-sparse": "id above 63",
        "hwloc-8em64t-2s2ca2c-buggynuma": "the kernel contradicts itself",
        "hwloc-fakeheterocpunuma": "more than one NUMA node",
    }.get(recorded.name)

    assert (wrong is not None) == bool(recorded.warnings)
    assert wrong is None or wrong in recorded.warnings[0]
