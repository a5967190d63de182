"""
cAdvisor's MachineInfo as JSON: what a kubelet knows of its hardware.

Source: cAdvisor lib/model MachineInfo, Node, Core, Cache, HugePagesInfo.
"""

from __future__ import annotations

from collections.abc import Mapping

from extender.model.machine import Core, HugePages, Machine, Zone
from extender.wire import fields
from extender.wire.fields import LARGEST_INTEGER, WireError


def machine_from_json(value: object, field: str = "machine") -> Machine:
    """
    Reads a machine.

    Raises:
        WireError: it is no MachineInfo, or a zone id occurs twice.
    """
    info = fields.mapping(value, field)
    zones = tuple(
        _zone(zone, f"{field}.topology[{index}]")
        for index, zone in enumerate(fields.sequence(info.get("topology"), f"{field}.topology"))
    )
    ids = [zone.id for zone in zones]
    if len(set(ids)) != len(ids):
        raise WireError(f"{field}.topology", ids, "a list of zones with different node_id")
    return Machine(
        zones=zones,
        cpus=fields.integer(info.get("num_cores"), f"{field}.num_cores", default=0),
        sockets=fields.integer(info.get("num_sockets"), f"{field}.num_sockets", default=0),
    )


def _zone(value: object, field: str) -> Zone:
    zone = fields.mapping(value, field)
    return Zone(
        id=fields.member(zone.get("node_id", 0), f"{field}.node_id"),
        memory=fields.integer(zone.get("memory"), f"{field}.memory", default=0, most=2**64 - 1),
        cores=tuple(
            _core(core, f"{field}.cores[{index}]")
            for index, core in enumerate(fields.sequence(zone.get("cores"), f"{field}.cores"))
        ),
        hugepages=tuple(
            _hugepages(pages, f"{field}.hugepages[{index}]")
            for index, pages in enumerate(fields.sequence(zone.get("hugepages"), f"{field}.hugepages"))
        ),
        distances=tuple(
            fields.integer(distance, f"{field}.distances[{index}]")
            for index, distance in enumerate(fields.sequence(zone.get("distances"), f"{field}.distances"))
        ),
    )


def _core(value: object, field: str) -> Core:
    core = fields.mapping(value, field)
    uncores = fields.sequence(core.get("uncore_caches"), f"{field}.uncore_caches")
    first = fields.mapping(uncores[0], f"{field}.uncore_caches[0]") if uncores else None
    return Core(
        threads=tuple(
            fields.member(thread, f"{field}.thread_ids[{index}]")
            for index, thread in enumerate(fields.sequence(core.get("thread_ids"), f"{field}.thread_ids"))
        ),
        socket=fields.integer(core.get("socket_id"), f"{field}.socket_id", default=0, least=-(2**31)),
        uncore=None if first is None else fields.integer(first.get("id"), f"{field}.uncore_caches[0].id", default=0),
    )


def _hugepages(value: object, field: str) -> HugePages:
    pages = fields.mapping(value, field)
    return HugePages(
        page_kib=fields.integer(pages.get("page_size"), f"{field}.page_size", least=1, most=LARGEST_INTEGER >> 12),
        pages=fields.integer(pages.get("num_pages"), f"{field}.num_pages", default=0),
    )


def machine_to_json(machine: Machine) -> Mapping[str, object]:
    """Writes a machine; core ids, which admission does not read, are numbered."""
    return {
        "num_cores": machine.cpus,
        "num_physical_cores": sum(len(zone.cores) for zone in machine.zones),
        "num_sockets": machine.sockets,
        "topology": [_zone_to_json(zone) for zone in machine.zones],
    }


def _zone_to_json(zone: Zone) -> Mapping[str, object]:
    return {
        "node_id": zone.id,
        "memory": zone.memory,
        "hugepages": [{"page_size": pages.page_kib, "num_pages": pages.pages} for pages in zone.hugepages],
        "distances": list(zone.distances),
        "cores": [_core_to_json(index, core) for index, core in enumerate(zone.cores)],
    }


def _core_to_json(index: int, core: Core) -> Mapping[str, object]:
    caches = [] if core.uncore is None else [{"id": core.uncore, "level": 3, "type": "Unified", "size": 0}]
    return {"core_id": index, "thread_ids": list(core.threads), "socket_id": core.socket, "uncore_caches": caches}
