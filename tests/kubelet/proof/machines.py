"""
Machines at random, as cAdvisor would describe them: from a plain server to those that the kubelet's code trips over.

Zones, sockets, cores, threads, caches, memory, hugepages and distances vary independently, so that also shapes occur
that no vendor sells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from proof.draw import Dice, Weighted
from proof.themes import Theme

Json: TypeAlias = dict[str, Any]

GI, MI, KI = 1 << 30, 1 << 20, 1 << 10
SIZES = {"hugepages-2Mi": 2 * MI, "hugepages-1Gi": GI, "hugepages-64Ki": 64 * KI, "hugepages-32Mi": 32 * MI}

_CORES_OF_MANY = Weighted((1, 8), (2, 44), (3, 32), (4, 16))
_NUMBERINGS = Weighted(
    ("siblings far", 40), ("siblings near", 30), ("zones alternate", 16), ("cores alternate", 8), ("shuffled", 6)
)
_SOCKETS = Weighted(("zone", 46), ("shared", 30), ("one", 12), ("split", 8), ("alternate", 4))
_MEMORY = Weighted((2 * GI, 4), (4 * GI, 14), (8 * GI, 32), (16 * GI, 34), (32 * GI, 12), (6 * GI, 4))
_PAGES = Weighted((("hugepages-2Mi",), 46), (("hugepages-1Gi",), 18), (("hugepages-2Mi", "hugepages-1Gi"), 32),
                  (("hugepages-64Ki", "hugepages-32Mi"), 4))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine and what the other generators want to know of it."""

    json: Json
    zones: tuple[int, ...]
    """Ids, in cAdvisor's order."""
    cores: tuple[tuple[tuple[int, ...], ...], ...]
    """Per zone, per core, its threads."""
    memory: tuple[int, ...]
    """Per zone, bytes without hugepages."""
    hugepages: Mapping[str, tuple[int, ...]]
    """Per type, bytes in each zone."""
    threads: int
    """Of most cores."""

    @property
    def cpus(self) -> list[int]:
        """All CPUs."""
        return [cpu for zone in self.cores for core in zone for cpu in core]


def hardware(dice: Dice, theme: Theme) -> Hardware:
    """Draws a machine."""
    ids = _zone_ids(dice, theme, dice.weighted(theme.zones))
    threads = dice.weighted(theme.threads)
    cores = _threads_of_cores(dice, theme, len(ids), threads)
    memory = _memory(dice, len(ids))
    pages = _hugepages(dice, theme, len(ids))
    sockets = _sockets(dice, theme, cores)
    caches = _caches(dice, theme, cores)
    distances = _distances(dice, theme, ids)
    topology = [
        {
            "node_id": ids[zone],
            "memory": memory[zone] + sum(amounts[zone] for amounts in pages.values()),
            "hugepages": [
                {"page_size": SIZES[type_] // KI, "num_pages": amounts[zone] // SIZES[type_]}
                for type_, amounts in pages.items()
            ],
            "distances": distances[zone],
            "cores": [
                {"core_id": index, "thread_ids": list(core), "socket_id": sockets[zone][index]}
                | ({"uncore_caches": caches[zone][index]} if caches[zone][index] else {})
                for index, core in enumerate(cores[zone])
            ],
        }
        for zone in range(len(ids))
    ]
    json = {
        "num_cores": sum(len(core) for zone in cores for core in zone),
        "num_physical_cores": sum(map(len, cores)),
        "num_sockets": len({socket for zone in sockets for socket in zone}),
        "topology": topology,
    }
    if dice.chance(theme.broken / 4):
        _break(dice, json)
    return Hardware(json, ids, cores, memory, pages, threads)


def _break(dice: Dice, json: Json) -> None:
    """Makes the report of the machine contradict itself."""
    zone = dice.one(json["topology"])
    match dice.below(7):
        case 0:
            json["num_sockets"] = dice.one((0, 1, json["num_sockets"] + 1, 2 * json["num_sockets"]))
        case 1:
            count, cores = json["num_cores"], json["num_physical_cores"]
            json["num_cores"] = dice.one((0, 1, count + 2, count - 1, count // 2, cores - 1, cores - 1))
        case 2 if zone["cores"]:
            zone["cores"][0]["thread_ids"] = []
        case 3 if zone["cores"]:
            zone["cores"][-1]["thread_ids"] *= 2
        case 4 if zone["cores"]:
            zone["cores"][0]["thread_ids"].append(0)
        case 5:
            zone["hugepages"] = zone["hugepages"][1:]
        case _:
            zone["distances"] = zone["distances"][1:]


def _zone_ids(dice: Dice, theme: Theme, count: int) -> tuple[int, ...]:
    if not dice.chance(theme.sparse):
        return tuple(range(count))
    ids = sorted(dice.sample(range(count + 4), count))
    if dice.chance(0.04):
        ids[-1] = dice.one((62, 63, 63, 64, 252))
    if dice.chance(0.2):
        dice.shuffle(ids)
    return tuple(ids)


def _threads_of_cores(dice: Dice, theme: Theme, zones: int, threads: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """Draws how many cores each zone and threads each core has, and numbers them."""
    usual = dice.weighted(theme.cores if zones < 5 else _CORES_OF_MANY)
    counts = [[threads] * usual for _ in range(zones)]
    if dice.chance(theme.odd_cores):
        _make_odd(dice, counts, usual)
    elif zones > 1 and dice.chance(0.06):
        for zone in dice.sample(range(zones), dice.between(1, zones - 1)):
            counts[zone] = []
    slots = [
        (zone, core, thread)
        for zone, cores in enumerate(counts)
        for core, have in enumerate(cores)
        for thread in range(have)
    ]
    _order(dice, slots)
    cores: list[list[list[int]]] = [[[] for _ in zone] for zone in counts]
    for cpu, (zone, core, _) in enumerate(slots):
        cores[zone][core].append(cpu)
    if dice.chance(theme.odd_cores / 3):
        _take_offline(dice, cores)
    return tuple(tuple(tuple(core) for core in zone) for zone in cores)


def _make_odd(dice: Dice, counts: list[list[int]], usual: int) -> None:
    """Cores of one thread among cores of two, or zones with more and less cores."""
    for zone, cores in enumerate(counts):
        if dice.chance(0.5):
            counts[zone] = [1 if dice.chance(0.4) else have for have in cores]
        elif dice.chance(0.5):
            counts[zone] = cores[:1] * dice.between(1, usual + 2)


def _order(dice: Dice, slots: list[tuple[int, int, int]]) -> None:
    """Puts the threads into the order in which the firmware numbers them."""
    match dice.weighted(_NUMBERINGS):
        case "siblings far":
            slots.sort(key=lambda slot: (slot[2], slot[0], slot[1]))
        case "zones alternate":
            slots.sort(key=lambda slot: (slot[2], slot[1], slot[0]))
        case "cores alternate":
            slots.sort(key=lambda slot: (slot[1], slot[0], slot[2]))
        case "shuffled":
            dice.shuffle(slots)


def _take_offline(dice: Dice, cores: list[list[list[int]]]) -> None:
    """Removes some threads: the kernel knows them no more, and cAdvisor neither."""
    for zone in cores:
        for core in zone:
            if len(core) > 1 and dice.chance(0.2):
                core.pop(dice.below(len(core)))
    for zone in cores:
        if len(zone) > 1 and dice.chance(0.15):
            zone.pop(dice.below(len(zone)))


def _sockets(dice: Dice, theme: Theme, cores: Sequence[Sequence[Sequence[int]]]) -> list[list[int]]:
    """Draws the socket of each core: a socket for a zone, for several, or several for a zone."""
    zones, how = len(cores), dice.weighted(_SOCKETS)
    if dice.chance(theme.mixed_sockets):
        return [[dice.below(max(2, zones - 1)) for _ in each] for each in cores]
    match how:
        case "zone":
            of_zone = list(range(zones))
        case "shared":
            count = max(1, zones // dice.one((2, 2, 2, 3, 4)))
            of_zone = [zone * count // zones for zone in range(zones)]
        case "alternate":
            of_zone = [zone % max(1, zones // 2) for zone in range(zones)]
        case "split":
            parts = dice.one((2, 2, 4))
            return [[zone * parts + core * parts // len(each) for core in range(len(each))]
                    for zone, each in enumerate(cores)]  # fmt: skip
        case _:
            of_zone = [0] * zones
    return [[of_zone[zone]] * len(each) for zone, each in enumerate(cores)]


def _caches(dice: Dice, theme: Theme, cores: Sequence[Sequence[Sequence[int]]]) -> list[list[list[Json]]]:
    """Draws the uncore cache of each core: none known, one for a zone or for several, or several for a zone."""
    if not dice.chance(theme.caches):
        return [[[] for _ in zone] for zone in cores]
    parts = dice.one((1, 2, 2, 2, 3, 4))
    span = 2 if dice.chance(0.1) else 1
    known = 0.8 if dice.chance(0.08) else 1.0
    uneven = dice.chance(0.15)

    def cache(zone: int, core: int, count: int) -> list[Json]:
        if known < 1.0 and dice.chance(1 - known):
            return []
        part = dice.below(parts) if uneven else core * parts // count
        return [{"id": zone // span * parts + part, "level": 3, "type": "Unified", "size": 1 << 25}]

    return [[cache(zone, core, len(each)) for core in range(len(each))] for zone, each in enumerate(cores)]


def _memory(dice: Dice, zones: int) -> tuple[int, ...]:
    usual = dice.weighted(_MEMORY)
    ragged = dice.chance(0.25)  # what the firmware kept is missing
    uneven = dice.chance(0.12)
    bare = dice.chance(0.05)
    amounts = []
    for _ in range(zones):
        amount = dice.weighted(_MEMORY) if uneven else usual
        if ragged:
            amount -= dice.between(1, 100_000) * 4 * KI
        amounts.append(0 if bare and dice.chance(0.4) else amount)
    return tuple(amounts)


def _hugepages(dice: Dice, theme: Theme, zones: int) -> dict[str, tuple[int, ...]]:
    """Draws bytes of each size in each zone; whole gibibytes, so that both sizes compete for none."""
    if not dice.chance(theme.hugepages):
        return {}
    alike = dice.chance(0.7)
    pages = {}
    for type_ in dice.weighted(_PAGES):
        usual = dice.between(1, 4) * GI // (1 if type_ == "hugepages-1Gi" else dice.one((1, 2, 4)))
        pages[type_] = tuple(usual if alike else usual * dice.below(3) for _ in range(zones))
    return pages


def _distances(dice: Dice, theme: Theme, ids: Sequence[int]) -> list[list[int]]:
    """Draws the distance table, by position as the kernel lists it, or as long as the largest id."""
    if dice.chance(0.04):
        return [[] for _ in ids]
    matters = theme.prefer_closest > 0
    how = dice.below(4) if matters else 0
    long = max(ids) < 16 and dice.chance(0.5)
    columns = range(max(ids) + 1) if long else range(len(ids))
    rows = []
    for row, id_ in enumerate(ids):
        own = id_ if long else row
        if how == 0:
            rows.append([10 if column == own else 20 for column in columns])
        elif how == 1:
            rows.append([10 if column == own else 12 if column // 2 == own // 2 else 32 for column in columns])
        elif how == 2:
            rows.append([10 + 2 * abs(column - own) for column in columns])
        else:
            rows.append([10 if column == own else dice.one((11, 16, 20, 21, 21, 255)) for column in columns])
    return rows
