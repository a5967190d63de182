"""Reading /sys: what is there is read as it is, what is broken becomes a sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from machines import machines
from trees import folder, write

from extender.exporter.sysfs import read_hardware
from extender.model.machine import Core, HugePages, Machine, Zone

TWO_ZONES = Machine(
    zones=tuple(
        Zone(
            id=zone,
            memory=8 << 30,
            cores=(Core((2 * zone, 2 * zone + 4), zone), Core((2 * zone + 1, 2 * zone + 5), zone)),
            distances=(10, 21) if zone == 0 else (21, 10),
        )
        for zone in range(2)
    ),
    cpus=8,
    sockets=2,
)


@settings(max_examples=40, deadline=None)
@given(machine=machines())
def test_any_machine_is_read_back(machine: Machine) -> None:
    """A machine written as a kernel shows it is read back equal, and there is nothing to warn of."""
    with folder() as root:
        hardware = read_hardware(write(machine, root))

    assert (machine, ()) == (hardware.machine, hardware.warnings)


@settings(max_examples=20, deadline=None)
@given(machine=machines())
def test_lists_serve_where_no_links_are(machine: Machine) -> None:
    """A copy of /sys without the links from zones to CPUs is read by cpulist, and without that by cpumap."""
    with folder() as root:
        write(machine, root, links=False)
        by_list = read_hardware(root).machine
        for listing in root.glob("devices/system/node/node*/cpulist"):
            listing.unlink()
        by_map = read_hardware(root).machine

    assert machine == by_list == by_map


def test_offline_cpus_are_not_seen(tmp_path: Path) -> None:
    """A CPU that is linked from its zone and offline is no CPU."""
    assert TWO_ZONES == read_hardware(write(TWO_ZONES, tmp_path, offline=[9])).machine


def test_without_a_list_each_cpu_is_asked_whether_it_is_online(tmp_path: Path) -> None:
    """Where cpu/online is missing, cpuN/online decides, and a CPU without that file is online."""
    root = write(TWO_ZONES, tmp_path, offline=[9])
    (root / "devices/system/cpu/online").unlink()

    assert TWO_ZONES == read_hardware(root).machine


def test_bytes_of_zero_are_white_space(tmp_path: Path) -> None:
    """NUL bytes behind the newline, which some kernels write, change nothing."""
    root = write(TWO_ZONES, tmp_path)
    for file in root.rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes() + b"\0")

    assert TWO_ZONES == read_hardware(root).machine


def test_hugepages_are_counted_by_size(tmp_path: Path) -> None:
    """Sizes are listed by name, 1 GiB before 2 MiB, as cAdvisor lists them."""
    pages = (HugePages(1048576, 2), HugePages(2048, 512))
    machine = Machine((Zone(0, 8 << 30, (Core((0,), 0),), pages),), 1, 1)

    assert machine == read_hardware(write(machine, tmp_path)).machine


def test_a_machine_without_node_directories_is_one_zone(tmp_path: Path) -> None:
    """Zone 0 has all CPUs and the memory of /proc/meminfo, and a warning says so."""
    root = write(Machine((Zone(0, 0, (Core((0,), 3), Core((1,), 3))),), 2, 1), tmp_path / "sys")
    shutil.rmtree(root / "devices/system/node")
    (tmp_path / "meminfo").write_text("MemTotal:        2048 kB\n")
    hardware = read_hardware(root, tmp_path / "meminfo")

    assert Machine((Zone(0, 2048 << 10, (Core((0,), 3), Core((1,), 3))),), 2, 1) == hardware.machine
    assert (
        f"there is no NUMA node directory below {root}/devices/system: all CPUs are taken as zone 0",
    ) == hardware.warnings


def test_packages_are_zones_where_there_are_several(tmp_path: Path) -> None:
    """Without node directories, two packages are two zones without memory, as for the kubelet."""
    root = write(TWO_ZONES, tmp_path)
    shutil.rmtree(root / "devices/system/node")

    assert tuple(Zone(zone.id, 0, zone.cores) for zone in TWO_ZONES.zones) == read_hardware(root).machine.zones


def test_nothing_at_all_is_one_sentence(tmp_path: Path) -> None:
    """A root that is no /sys tree gives an empty zone and says that no CPU can be seen."""
    hardware = read_hardware(tmp_path, tmp_path / "meminfo")

    assert Machine((Zone(0, 0),), 0, 0) == hardware.machine
    assert (
        f"no CPU can be seen below {tmp_path}/devices/system: is it readable, and is it a /sys tree?"
        == hardware.warnings[-1]
    )


BREAKAGES = [
    pytest.param(
        "node/node0/cpulist",
        "0-7",
        "the kernel contradicts itself about NUMA node 0: its cpulist is 0-7, its links name CPUs 0-1,4-5; "
        "the kubelet follows the links",
        id="a zone that claims every CPU in its list",
    ),
    pytest.param(
        "node/node1/cpulist",
        "all of them",
        "{root}/node/node1/cpulist: 'all of them' is not a CPU list such as 0-3,8",
        id="a list that is none",
    ),
    pytest.param(
        "node/node0/meminfo",
        "garbage",
        "the memory of node 0 is unknown: {root}/node/node0/meminfo has no MemTotal",
        id="memory that is not told",
    ),
    pytest.param(
        "node/node0/distance",
        "10 far",
        "the distances of NUMA node 0 are not numbers: '10 far'",
        id="a distance that is no number",
    ),
    pytest.param(
        "node/node1/distance", "21 10 31", "NUMA node 1 lists 3 distances for 2 nodes", id="a distance too many"
    ),
    pytest.param(
        "node/node0/hugepages/hugepages-2048kB/nr_hugepages",
        "many",
        "NUMA node 0 does not tell how many hugepages of 2048 kB it has",
        id="hugepages that are not counted",
    ),
    pytest.param(
        "cpu/cpu7/topology/core_id",
        "?",
        "CPU 7 has no core_id or physical_package_id, so the kubelet does not see it",
        id="a CPU without a core",
    ),
]


@pytest.mark.parametrize(("file", "content", "warning"), BREAKAGES)
def test_a_broken_report_is_a_warning(tmp_path: Path, file: str, content: str, warning: str) -> None:
    """Each way in which a kernel's report can be broken is one sentence, and reading goes on."""
    root = write(TWO_ZONES, tmp_path) / "devices/system"
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(content)
    hardware = read_hardware(tmp_path)

    assert warning.format(root=root) in hardware.warnings
    assert 2 == len(hardware.machine.zones)


def test_cpus_in_two_zones_or_none_are_warnings(tmp_path: Path) -> None:
    """A CPU that two zones link, and one that is online and in no zone, are named."""
    root = write(TWO_ZONES, tmp_path) / "devices/system"
    (root / "node/node1/cpu0").symlink_to("../../cpu/cpu0")
    (root / "node/node0/cpu5").unlink()
    (root / "cpu/online").write_text("0-7")

    warnings = read_hardware(tmp_path).warnings

    assert "CPUs 0 are in more than one NUMA node" in warnings
    assert "CPUs 5 are online and in no NUMA node" in warnings


def test_an_id_above_63_is_a_warning(tmp_path: Path) -> None:
    """A zone that no bit mask of the kubelet can hold is named before it makes the kubelet panic."""
    machine = Machine((Zone(0, 1 << 30, (Core((0,), 0),)), Zone(250, 1 << 30)), 1, 1)

    assert ("NUMA node 250 has an id above 63: a kubelet with a static policy panics",) == read_hardware(
        write(machine, tmp_path)
    ).warnings


def test_cores_of_s390_are_told_apart_by_book_and_drawer(tmp_path: Path) -> None:
    """Two CPUs with equal core and package ids in different books are two cores, and caches need no ids there."""
    root = write(Machine((Zone(0, 1 << 30, (Core((0,), 0), Core((1,), 0))),), 2, 1), tmp_path)
    for cpu in (0, 1):
        topology = root / f"devices/system/cpu/cpu{cpu}/topology"
        (topology / "core_id").write_text("0")
        (topology / "book_id").write_text(str(cpu))
        (topology / "drawer_id").write_text("0")

    assert (Core((0,), 0), Core((1,), 0)) == read_hardware(root).machine.zones[0].cores
