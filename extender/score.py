"""
How good a placement is, 0 to 10, from the zones before and after it.

    score = 10 x fit x closeness, halved where the node's shared pool is left without a CPU

    pack      fit = c - |c - m| / 2,  c and m the parts of the free CPUs and memory of the zones used that are taken
    spread    fit = the part of their CPUs and memory that stays free, in the mean
    balanced  fit = 1 - |the part of the CPUs that stays free - the part of the memory|
    closeness = local distance / mean distance between the zones used

Only zones that a pod uses exclusively count; a pod that uses none scores 0 everywhere: the other plugins of the
scheduler decide. What only init containers hold counts as free. ``docs/score.md`` explains the formula with a picture.

One formula for many nodes, as columns of arrays of shape (Z, N), and for one, where arrays would take most of the time;
integers throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import compress
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from extender.model.room import Room

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Parts = TypeVar("Parts", int, Ints)

BEST = 10
"""MaxExtenderPriority."""
LOCAL = 10
"""Distance of a zone to itself in every ACPI table."""
WHOLE = 1000
"""Parts of one in which fits are reckoned."""

CPU, MEMORY = "cpu", "memory"


class Strategy(StrEnum):
    """What a good placement is."""

    PACK = "pack"
    """One that fills the zones it uses, so that the largest holes stay whole."""
    SPREAD = "spread"
    """One in the emptiest zones."""
    BALANCED = "balanced"
    """One that leaves CPUs and memory in proportion."""


@dataclass(frozen=True, slots=True)
class Take:
    """What placements take of one resource; arrays (Z, N), of amounts below 2 ** 53."""

    able: Ints
    """What exclusive allocations may have of an idle zone."""
    free: Ints
    """What is left of it before."""
    taken: Ints


def scores(
    strategy: Strategy, cpu: Take | None, memory: Sequence[Take], distances: Ints, alive: Bools | bool = True
) -> Ints:
    """
    Scores one placement on each node.

    Args:
        strategy: what is good.
        cpu: CPUs, where they are pinned.
        memory: each type of memory, where it is pinned.
        distances: (Z, Z).
        alive: (N,) whether a CPU is left to the node's shared pool.

    Returns:
        (N,) 0 to 10.
    """
    takes = [*([cpu] if cpu else []), *memory]
    if not takes:
        raise ValueError("a placement is scored by CPUs or memory")
    used: Bools = np.logical_or.reduce([take.taken > 0 for take in takes])
    cpus = _part(strategy, cpu, used) if cpu else np.full(used.shape[1], -1)
    bytes_ = np.maximum.reduce([_part(strategy, take, used) for take in memory]) if memory else np.full_like(cpus, -1)
    first = np.where(cpus < 0, bytes_, cpus)
    second = np.where(bytes_ < 0, cpus, bytes_)
    score = BEST * _fit(strategy, first, second) * _closeness(used, distances) // WHOLE**2
    whole: Ints = np.where(alive, score, score // 2)
    scored: Ints = np.where(np.logical_or.reduce(used), np.clip(whole, 0, BEST), 0)
    return scored


def _fit(strategy: Strategy, first: Parts, second: Parts) -> Parts:
    """What the strategy makes of the parts of CPUs and memory, of one placement or of many."""
    apart = abs(first - second)
    if strategy is Strategy.PACK:
        return first - apart // 2
    if strategy is Strategy.SPREAD:
        return (first + second) // 2
    return WHOLE - apart


def _part(strategy: Strategy, take: Take, used: Bools) -> Ints:
    """(N,) the part of the zones used that is taken of what is free, or left of all; -1 where nothing is taken."""
    taken = np.add.reduce(take.taken)
    free = np.add.reduce(take.free * used)
    if strategy is Strategy.PACK:
        part = WHOLE * taken // np.maximum(free, 1)
    else:
        part = WHOLE * (free - taken) // np.maximum(np.add.reduce(take.able * used), 1)
    parts: Ints = np.where(taken > 0, part, -1)
    return parts


def _closeness(used: Bools, distances: Ints) -> Ints:
    """(N,) in parts of ``WHOLE``: the local distance by the mean over all ordered pairs of zones used."""
    count = np.add.reduce(used, dtype=np.int64)
    apart = np.einsum("yn,yz,zn->n", used.astype(np.int64), np.maximum(distances, LOCAL), used.astype(np.int64))
    closeness: Ints = WHOLE * LOCAL * count**2 // np.maximum(apart, 1)
    return closeness


def score(
    before: Sequence[Room],
    after: Sequence[Room],
    distance: Callable[[int, int], int],
    strategy: Strategy = Strategy.PACK,
    *,
    alive: bool = True,
) -> int:
    """
    Scores one placement on one node.

    Args:
        before: the node's zones without it.
        after: the same zones with it.
        distance: between two zones by id, as the distance table has it.
        strategy: what is good.
        alive: whether a CPU is left to the node's shared pool.
    """
    types = sorted({type_ for room in before for type_ in room.allocatable if _is_memory(type_)})
    takes = [_take(before, after, resource) for resource in ([CPU, *types] if CPU in _resources(before) else types)]
    used = [any(take.taken[zone] > 0 for take in takes) for zone in range(len(before))]
    if not any(used):
        return 0
    parts = [_part_of_one(strategy, take, used) for take in takes]
    bytes_ = max(parts[-len(types) :]) if types else -1
    cpus = parts[0] if len(parts) > len(types) else -1
    first, second = bytes_ if cpus < 0 else cpus, cpus if bytes_ < 0 else bytes_
    zones = [room.zone for room, is_used in zip(before, used, strict=True) if is_used]
    far = sum(max(distance(one, other), LOCAL) for one in zones for other in zones)
    scored = BEST * _fit(strategy, first, second) * (WHOLE * LOCAL * len(zones) ** 2 // max(far, 1)) // WHOLE**2
    return min(max(scored if alive else scored // 2, 0), BEST)


@dataclass(frozen=True, slots=True)
class _Taken:
    """What one placement takes of one resource; a list each, by zone."""

    able: list[int]
    free: list[int]
    taken: list[int]


def _resources(rooms: Sequence[Room]) -> set[str]:
    return {resource for room in rooms for resource in room.allocatable}


def _take(before: Sequence[Room], after: Sequence[Room], resource: str) -> _Taken:
    unit = 0 if resource == CPU else KIB
    able = [_plain(room.allocatable.get(resource, 0)) >> unit for room in before]
    free = [_plain(room.free.get(resource, 0)) for room in before]
    left = [_plain(room.free.get(resource, 0)) for room in after]
    return _Taken(able, [amount >> unit for amount in free], [(f - r) >> unit for f, r in zip(free, left, strict=True)])


def _part_of_one(strategy: Strategy, take: _Taken, used: Sequence[bool]) -> int:
    """``_part`` of one placement."""
    taken, free = sum(take.taken), sum(compress(take.free, used))
    if taken <= 0:
        return -1
    if strategy is Strategy.PACK:
        return WHOLE * taken // max(free, 1)
    return WHOLE * (free - taken) // max(sum(compress(take.able, used)), 1)


KIB = 10
"""Memory is reckoned in KiB, so that a thousand times the memory of any machine is a 64-bit number."""


def _plain(amount: int) -> int:
    """What has run below zero, as the kubelet lets unsigned amounts do, is nothing."""
    return amount if amount < 1 << 63 else 0


def _is_memory(resource: str) -> bool:
    return resource == MEMORY or resource.startswith("hugepages-")
