"""Writes a machine as the kernel shows it below /sys: the other direction of what the exporter reads."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from extender import cpuset
from extender.model.machine import Core, Machine, Zone


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder, in memory where that is possible: a tree has thousands of files, and a disk is slow at those."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


def cpu_map(cpus: int, width: int) -> str:
    """The kernel's map format: groups of 32 bits, the highest first."""
    groups = [f"{cpus >> shift & 0xFFFFFFFF:08x}" for shift in range(0, max(32, width), 32)]
    return ",".join(reversed(groups))


def write(machine: Machine, root: Path, *, links: bool = True, offline: Iterable[int] = ()) -> Path:
    """
    Writes a machine and returns the root that stands for /sys.

    Args:
        machine: whose cores share a last-level cache where their ``uncore`` is equal.
        root: an empty folder.
        links: whether zones have links to their CPUs, as real kernels make them, or only lists.
        offline: further CPUs of the first zone that are there and offline.
    """
    system = root / "devices/system"
    for zone in machine.zones:
        _write_zone(zone, system, links=links)
        for number, core in enumerate(zone.cores):
            _write_core(core, number, _sharing(machine, core), system)
    online = cpuset.of(cpu for zone in machine.zones for core in zone.cores for cpu in core.threads)
    for cpu in offline:
        _file(system / f"cpu/cpu{cpu}/online", "0")
        _link(system, machine.zones[0].id, cpu)
    _file(system / "cpu/online", cpuset.render(online))
    return root


def _write_zone(zone: Zone, system: Path, *, links: bool) -> None:
    directory = system / f"node/node{zone.id}"
    cpus = cpuset.of(cpu for core in zone.cores for cpu in core.threads)
    _file(directory / "cpulist", cpuset.render(cpus))
    _file(directory / "cpumap", cpu_map(cpus, cpus.bit_length()))
    _file(
        directory / "meminfo", f"Node {zone.id} MemTotal:       {zone.memory // 1024} kB\nNode {zone.id} MemFree: 1 kB"
    )
    if zone.distances:
        _file(directory / "distance", " ".join(map(str, zone.distances)))
    for pages in zone.hugepages:
        _file(directory / f"hugepages/hugepages-{pages.page_kib}kB/nr_hugepages", str(pages.pages))
    for cpu in cpuset.members(cpus) if links else ():
        _link(system, zone.id, cpu)


def _link(system: Path, zone: int, cpu: int) -> None:
    (system / f"node/node{zone}").mkdir(parents=True, exist_ok=True)
    (system / f"node/node{zone}/cpu{cpu}").symlink_to(f"../../cpu/cpu{cpu}")


def _write_core(core: Core, number: int, sharing: int, system: Path) -> None:
    for cpu in core.threads:
        directory = system / f"cpu/cpu{cpu}"
        _file(directory / "topology/core_id", str(number))
        _file(directory / "topology/physical_package_id", str(core.socket))
        _cache(directory / "cache/index0", number, 1, cpuset.of(core.threads))
        if core.uncore is not None:
            _cache(directory / "cache/index3", core.uncore, 3, sharing)


def _sharing(machine: Machine, core: Core) -> int:
    """The CPUs that share a core's last-level cache."""
    return cpuset.of(
        cpu for zone in machine.zones for other in zone.cores if other.uncore == core.uncore for cpu in other.threads
    )


def _cache(directory: Path, id_: int, level: int, cpus: int) -> None:
    for name, content in (
        ("id", str(id_)),
        ("level", str(level)),
        ("type", "Unified"),
        ("size", "32768K"),
        ("shared_cpu_map", cpu_map(cpus, cpus.bit_length())),
    ):
        _file(directory / name, content)


def _file(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{content}\n")
