"""
A machine in the fewest letters: cores are grouped by socket and cache and listed as their threads.

A zone of two cores with two threads each is ``{"id":0,"memory":…,"cores":[[0,null,"0,8 1,9"]]}``; a machine of 256
CPUs takes about 2 KB, where cAdvisor's own JSON takes 60. The order of zones and cores is cAdvisor's and is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

from extender import cpuset
from extender.model.machine import Core, HugePages, Machine, Zone
from extender.wire import fields
from extender.wire.fields import LARGEST_INTEGER, WireError


def compact_machine_to_json(machine: Machine) -> dict[str, object]:
    """Writes a machine."""
    return {"cpus": machine.cpus, "sockets": machine.sockets, "zones": [_zone_to_json(zone) for zone in machine.zones]}


def compact_machine_from_json(value: object, field: str = "machine") -> Machine:
    """
    Reads a machine.

    Raises:
        WireError: it is not in this form, or a zone id occurs twice.
    """
    machine = fields.mapping(value, field)
    zones = tuple(
        _zone(zone, f"{field}.zones[{index}]")
        for index, zone in enumerate(fields.sequence(machine.get("zones"), f"{field}.zones"))
    )
    ids = [zone.id for zone in zones]
    if len(set(ids)) != len(ids):
        raise WireError(f"{field}.zones", ids, "a list of zones with different id")
    return Machine(
        zones,
        fields.member(machine.get("cpus"), f"{field}.cpus"),
        fields.member(machine.get("sockets"), f"{field}.sockets"),
    )


def _zone_to_json(zone: Zone) -> dict[str, object]:
    written: dict[str, object] = {"id": zone.id, "memory": zone.memory}
    if zone.hugepages:
        written["hugepages"] = [[pages.page_kib, pages.pages] for pages in zone.hugepages]
    if zone.distances:
        written["distances"] = list(zone.distances)
    if zone.cores:
        written["cores"] = [
            [socket, uncore, " ".join(",".join(map(str, core.threads)) for core in cores)]
            for (socket, uncore), cores in groupby(zone.cores, lambda core: (core.socket, core.uncore))
        ]
    return written


def _zone(value: object, field: str) -> Zone:
    zone = fields.mapping(value, field)
    return Zone(
        id=fields.member(zone.get("id"), f"{field}.id"),
        memory=fields.integer(zone.get("memory"), f"{field}.memory", most=2**64 - 1),
        cores=tuple(
            core
            for index, group in enumerate(fields.sequence(zone.get("cores"), f"{field}.cores"))
            for core in _cores(_exactly(3, group, f"{field}.cores[{index}]"), f"{field}.cores[{index}]")
        ),
        hugepages=tuple(
            _hugepages(_exactly(2, pages, f"{field}.hugepages[{index}]"), f"{field}.hugepages[{index}]")
            for index, pages in enumerate(fields.sequence(zone.get("hugepages"), f"{field}.hugepages"))
        ),
        distances=tuple(
            fields.integer(distance, f"{field}.distances[{index}]")
            for index, distance in enumerate(fields.sequence(zone.get("distances"), f"{field}.distances"))
        ),
    )


def _cores(group: Sequence[object], field: str) -> tuple[Core, ...]:
    socket = fields.integer(group[0], f"{field}[0]", least=-(2**31))
    uncore = None if group[1] is None else fields.integer(group[1], f"{field}[1]", least=-(2**31))
    return _listed(socket, uncore, fields.text(group[2], f"{field}[2]"), f"{field}[2]")


@lru_cache(maxsize=1024)
def _listed(socket: int, uncore: int | None, cores: str, field: str) -> tuple[Core, ...]:
    """The cores of a text; a fleet has thousands of zones with few different ones."""
    return tuple(
        Core(tuple(_cpu(thread, field) for thread in threads.split(",")), socket, uncore) for threads in cores.split()
    )


def _cpu(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= cpuset.LARGEST_MEMBER):
        raise WireError(field, text, "a CPU number")
    return int(text)


def _hugepages(pages: Sequence[object], field: str) -> HugePages:
    return HugePages(
        page_kib=fields.integer(pages[0], f"{field}[0]", least=1, most=LARGEST_INTEGER >> 12),
        pages=fields.integer(pages[1], f"{field}[1]"),
    )


def _exactly(count: int, value: object, field: str) -> Sequence[object]:
    items = fields.sequence(value, field)
    if len(items) != count:
        raise WireError(field, value, f"a list of {count}")
    return items
