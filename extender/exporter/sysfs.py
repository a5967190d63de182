"""
The hardware as the kernel shows it below /sys, read as the kubelet reads it.

Follows cAdvisor step by step, because what it reports is what the kubelet's managers work with: zones and CPUs in the
order of their names (node10 before node2), cores by core id and package, last-level caches. Where the kernel says
less or contradicts itself, the best true answer is given and a warning says what is wrong; nothing here fails.

Source: cAdvisor lib/utils/sysinfo (GetNodesInfo, getCPUTopology, getCoresInfo), lib/utils/sysfs, lib/machine
(GetSockets); kernel Documentation/ABI/stable/sysfs-devices-node.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from extender import cpuset
from extender.exporter.caches import uncore_caches
from extender.exporter.kernel_files import bits_of_groups, entries, number, text
from extender.model.machine import Core, HugePages, Machine, Zone

LARGEST_ZONE_ID = 63
"""The kubelet's bit masks hold no zone beyond (topologymanager/bitmask)."""

_MEMORY = re.compile(r"MemTotal:\s*([0-9]+) kB")


@dataclass(frozen=True, slots=True)
class Hardware:
    """What was read."""

    machine: Machine
    warnings: tuple[str, ...] = ()
    """What the node's owner should look at, one sentence each."""


def read_hardware(root: Path = Path("/sys"), meminfo: Path = Path("/proc/meminfo")) -> Hardware:
    """
    Reads a machine.

    Args:
        root: what stands for /sys.
        meminfo: the whole machine's memory, for machines without NUMA directories.
    """
    reader = _Reader(root / "devices/system")
    zones = reader.zones() or reader.packages(meminfo)
    reader.check(zones)
    return Hardware(Machine(zones, reader.count(zones), reader.sockets()), tuple(reader.warnings))


@dataclass(slots=True)
class _Reader:
    """One reading; collects warnings."""

    root: Path
    warnings: list[str] = field(default_factory=list)
    has_nodes: bool = False
    online: int | None = None
    """The list of online CPUs; None where there is none that can be read."""

    def __post_init__(self) -> None:
        self.online = self._list(self.root / "cpu/online")

    # Zones

    def zones(self) -> tuple[Zone, ...]:
        """Zones of the node directories, by directory name; empty where there are none."""
        ids = entries(self.root / "node", "node")
        self.has_nodes = bool(ids)
        linked = {id_: entries(self.root / f"node/node{id_}", "cpu") for id_ in ids}
        cpus_of: Callable[[int], Iterable[int]] = linked.__getitem__ if any(linked.values()) else self._listed
        for id_ in ids if any(linked.values()) else ():
            self._compare(id_, linked[id_])
        return tuple(self._zone(id_, cpus_of(id_)) for id_ in ids)

    def _zone(self, id_: int, cpus: Iterable[int]) -> Zone:
        directory = self.root / f"node/node{id_}"
        return Zone(
            id=id_,
            memory=self._memory(directory / "meminfo", f"node {id_}"),
            cores=self._cores(cpus),
            hugepages=self._hugepages(directory / "hugepages", id_),
            distances=self._distances(directory / "distance", id_),
        )

    def _listed(self, id_: int) -> Sequence[int]:
        """A zone's CPUs where no zone has links to them, as in copies of a /sys tree."""
        directory = self.root / f"node/node{id_}"
        listed = self._list(directory / "cpulist")
        if listed is None:
            groups = text(directory / "cpumap")
            listed = bits_of_groups(groups) if groups else None
        if listed is None:
            self.warnings.append(f"NUMA node {id_} names no CPUs: links, cpulist and cpumap are missing or unreadable")
        return sorted(cpuset.members(listed or 0), key=str)

    def _compare(self, id_: int, linked: Iterable[int]) -> None:
        """The kubelet follows the links; a list that says something else about online CPUs is a broken report."""
        listed = self._list(self.root / f"node/node{id_}/cpulist")
        links = cpuset.of(cpu for cpu in linked if self._online(cpu))
        if listed is not None and cpuset.of(cpu for cpu in cpuset.members(listed) if self._online(cpu)) != links:
            self.warnings.append(
                f"the kernel contradicts itself about NUMA node {id_}: its cpulist is {cpuset.render(listed)}, "
                f"its links name CPUs {cpuset.render(links) or 'none'}; the kubelet follows the links"
            )

    def packages(self, meminfo: Path) -> tuple[Zone, ...]:
        """
        The zones of a machine without node directories: its packages, as for the kubelet (getCPUTopology).

        A single one is zone 0, whatever its package's id: the id of an only zone decides nothing. It is given the
        machine's memory, of which cAdvisor says nothing here.
        """
        by_package: dict[int, list[int]] = {}
        for cpu in self._present():
            by_package.setdefault(self._topology(cpu, "physical_package_id") or 0, []).append(cpu)
        if len(by_package) > 1:
            self.warnings.append(f"there is no NUMA node directory below {self.root}: each package is taken as a zone")
            return tuple(Zone(max(0, id_), 0, self._cores(cpus)) for id_, cpus in sorted(by_package.items()))
        self.warnings.append(f"there is no NUMA node directory below {self.root}: all CPUs are taken as zone 0")
        cpus = next(iter(by_package.values()), [])
        return (Zone(0, self._memory(meminfo, "the machine"), self._cores(cpus)),)

    # CPUs

    def _cores(self, cpus: Iterable[int]) -> tuple[Core, ...]:
        """Groups online CPUs by core, in order of first appearance (getCoresInfo)."""
        cores: dict[_Place, list[int]] = {}
        for cpu in cpus:
            place = self._place(cpu)
            if place is not None:
                cores.setdefault(place, []).append(cpu)
        uncores = uncore_caches(self.root / "cpu", list(cores.values()))
        return tuple(
            Core(tuple(threads), place.package, uncore)
            for (place, threads), uncore in zip(cores.items(), uncores, strict=True)
        )

    def _place(self, cpu: int) -> _Place | None:
        """Where an online CPU is; without core id and package the kubelet does not see it."""
        if not self._online(cpu):
            return None
        core, package = self._topology(cpu, "core_id"), self._topology(cpu, "physical_package_id")
        if core is None or package is None:
            self.warnings.append(f"CPU {cpu} has no core_id or physical_package_id, so the kubelet does not see it")
            return None
        return _Place(core, package, self._level(cpu, "book_id"), self._level(cpu, "drawer_id"))

    def _level(self, cpu: int, name: str) -> str:
        """A level above the package, which only s390 has."""
        return text(self.root / f"cpu/cpu{cpu}/topology/{name}") or ""

    def _topology(self, cpu: int, name: str) -> int | None:
        return number(text(self.root / f"cpu/cpu{cpu}/topology/{name}"))

    def _online(self, cpu: int) -> bool:
        """The list of online CPUs decides, as for the kubelet; only a tree without one is asked CPU by CPU."""
        if self.online is not None:
            return bool(self.online >> cpu & 1)
        return text(self.root / f"cpu/cpu{cpu}/online") != "0"

    def _present(self) -> Sequence[int]:
        return entries(self.root / "cpu", "cpu")

    def count(self, zones: Sequence[Zone]) -> int:
        """Logical CPUs as cAdvisor counts them: those of the zones, or every directory where there are no zones."""
        if self.has_nodes:
            return sum(len(core.threads) for zone in zones for core in zone.cores)
        return len(self._present())

    def sockets(self) -> int:
        """Different packages of the online CPUs (GetUniqueCPUPropertyCount); a missing id counts as 0."""
        ids = (
            text(self.root / f"cpu/cpu{cpu}/topology/physical_package_id")
            for cpu in self._present()
            if self._online(cpu)
        )
        return len({id_ or "0" for id_ in ids})

    # Memory

    def _memory(self, path: Path, whose: str) -> int:
        """Bytes; 0 without the file, as for the kubelet."""
        content = text(path)
        match = _MEMORY.search(content or "")
        if content is not None and match is None:
            self.warnings.append(f"the memory of {whose} is unknown: {path} has no MemTotal")
        return int(match[1]) * 1024 if match else 0

    def _hugepages(self, directory: Path, id_: int) -> tuple[HugePages, ...]:
        found = []
        for size in sorted(_sizes(directory), key=lambda size: f"hugepages-{size}kB"):
            pages = number(text(directory / f"hugepages-{size}kB/nr_hugepages"))
            if pages is None:
                self.warnings.append(f"NUMA node {id_} does not tell how many hugepages of {size} kB it has")
            else:
                found.append(HugePages(size, pages))
        return tuple(found)

    def _distances(self, path: Path, id_: int) -> tuple[int, ...]:
        content = text(path)
        if content is None:
            return ()
        row = [number(part) for part in content.split(" ")]
        if None in row:
            self.warnings.append(f"the distances of NUMA node {id_} are not numbers: {content[:80]!r}")
            return ()
        return tuple(distance for distance in row if distance is not None)

    def _list(self, path: Path) -> int | None:
        """A list of CPUs; None where it is missing, empty or no list."""
        content = text(path)
        if not content and path.name != "cpulist":
            return None
        try:
            return None if content is None else cpuset.parse(content)
        except cpuset.CpuSetError as error:
            self.warnings.append(f"{path}: {error}")
            return None

    # What is wrong with the whole

    def check(self, zones: Sequence[Zone]) -> None:
        """Warns of what makes a kubelet crash or see another machine than its owner thinks."""
        for zone in zones:
            if zone.id > LARGEST_ZONE_ID:
                self.warnings.append(
                    f"NUMA node {zone.id} has an id above {LARGEST_ZONE_ID}: a kubelet with a static policy panics"
                )
            if zone.distances and len(zone.distances) != len(zones):
                self.warnings.append(
                    f"NUMA node {zone.id} lists {len(zone.distances)} distances for {len(zones)} nodes"
                )
        self._check_cpus({zone.id: cpuset.of(cpu for core in zone.cores for cpu in core.threads) for zone in zones})

    def _check_cpus(self, cpus: Mapping[int, int]) -> None:
        seen = twice = 0
        for owned in cpus.values():
            twice |= seen & owned
            seen |= owned
        if twice:
            self.warnings.append(f"CPUs {cpuset.render(twice)} are in more than one NUMA node")
        online = cpuset.of(cpu for cpu in self._present() if self._online(cpu))
        if online & ~seen and self.has_nodes:
            self.warnings.append(f"CPUs {cpuset.render(online & ~seen)} are online and in no NUMA node")
        if not seen:
            self.warnings.append(f"no CPU can be seen below {self.root}: is it readable, and is it a /sys tree?")


class _Place(NamedTuple):
    """What tells one core from another within a zone."""

    core: int
    package: int
    book: str = ""
    drawer: str = ""


def _sizes(directory: Path) -> list[int]:
    """Page sizes in KiB, of the directories hugepages-<size>kB."""
    try:
        names = [entry.name for entry in directory.iterdir()]
    except OSError:
        return []
    return [int(match[1]) for name in names if (match := re.fullmatch(r"hugepages-(\d+)kB", name))]
