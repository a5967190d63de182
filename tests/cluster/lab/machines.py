"""Imagined machines, as the JSON of a cAdvisor MachineInfo: what a kubelet of the lab believes to run on."""

from collections.abc import Mapping, Sequence
from typing import Any

Machine = dict[str, Any]

GIB = 1 << 30
LOCAL, REMOTE = 10, 20
CACHE_BYTES = 32 << 20


def machine(
    *,
    zones: int = 2,
    cores_per_zone: int = 8,
    threads: int = 2,
    memory_gib: int = 64,
    ids: Sequence[int] | None = None,
    sockets: Sequence[int] | None = None,
    hugepages: Mapping[int, int] | None = None,
    memory_only: Mapping[int, int] | None = None,
    distances: Sequence[Sequence[int]] | None = None,
    caches_per_zone: int = 1,
) -> Machine:
    """
    Builds a machine; CPUs are numbered as Linux does on most servers: first one thread of every core, then the
    siblings.

    - `zones`, `cores_per_zone`, `threads` (per core), `memory_gib` (per zone): of the zones with cores.
    - `ids`: their ids; 0, 1, ... when absent.
    - `sockets`: the socket of each of them; one per zone when absent.
    - `hugepages`: page size in KiB → pages in each of them.
    - `memory_only`: id → GiB of further zones, which have no cores.
    - `distances`: a row per zone, rows and columns in ascending order of id; 10 and 20 when absent.
    - `caches_per_zone`: how many last-level caches the cores of a zone share out among them.

    Zones are listed as cAdvisor does, in the alphabetical order of their folders: 0, 10, 2. A cache that all cores of
    a zone share is a cache of the zone, else it is an uncore cache of its cores, also as in cAdvisor.
    """
    with_cores = list(ids) if ids is not None else list(range(zones))
    memory = dict.fromkeys(with_cores, memory_gib) | dict(memory_only or {})
    ascending = sorted(memory)
    topology = []
    for zone in sorted(memory, key=str):
        row = ascending.index(zone)
        topology.append(
            {
                "node_id": zone,
                "memory": memory[zone] * GIB,
                "hugepages": _hugepages(hugepages) if zone in with_cores else [],
                "distances": list(distances[row]) if distances else [LOCAL if z == zone else REMOTE for z in ascending],
                "cores": [],
                "caches": [],
            }
        )
    total = len(with_cores) * cores_per_zone
    for place, zone in enumerate(with_cores):
        entry = next(entry for entry in topology if entry["node_id"] == zone)
        socket = sockets[place] if sockets is not None else place
        first = place * cores_per_zone
        entry["cores"] = [_core(number, total, threads, socket) for number in range(first, first + cores_per_zone)]
        _share_caches(entry, place * caches_per_zone, caches_per_zone)
    return {
        "num_cores": total * threads,
        "num_physical_cores": total,
        "num_sockets": len(set(sockets if sockets is not None else with_cores)),
        "topology": topology,
    }


def _hugepages(pages: Mapping[int, int] | None) -> list[dict[str, int]]:
    return [{"page_size": size, "num_pages": count} for size, count in sorted((pages or {}).items(), key=str)]


def _core(number: int, cores: int, threads: int, socket: int) -> dict[str, Any]:
    siblings = [number + cores * thread for thread in range(threads)]
    return {"core_id": number, "thread_ids": siblings, "socket_id": socket, "uncore_caches": []}


def _share_caches(zone: dict[str, Any], first: int, count: int) -> None:
    if count == 1:
        zone["caches"] = [_cache(first)]
        return
    cores = zone["cores"]
    for place, core in enumerate(cores):
        core["uncore_caches"] = [_cache(first + place * count // len(cores))]


def _cache(number: int) -> dict[str, Any]:
    return {"id": number, "size": CACHE_BYTES, "type": "Unified", "level": 3}
