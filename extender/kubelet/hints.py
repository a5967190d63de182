"""
Topology hints: which groups of zones (affinities) a manager could serve a request from, and which it prefers.

An affinity is a bit set of zone ids. A manager answers with a list per resource; None stands for "no preference"
(the kubelet's nil list), an empty ``Hints`` for "cannot be satisfied". The kubelet walks all affinities of a list
of zones by size; ``MaskTable`` holds that walk once, with what is needed to sum per-zone amounts along it.

Source: cm/topologymanager (TopologyHint), cm/topologymanager/bitmask (IterateBitMasks).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

UINT64 = (1 << 64) - 1
LARGEST_ZONE_ID = 63
"""The kubelet's bit mask is one 64-bit word."""


@dataclass(frozen=True, slots=True)
class Hints:
    """The affinities that can hold one resource of one request."""

    masks: tuple[int, ...]
    preferred: frozenset[int]
    """Those of ``masks`` that are preferred."""


IMPOSSIBLE = Hints((), frozenset())


@dataclass(frozen=True, slots=True)
class MaskTable:
    """All non-empty affinities over some zones, by size, inside a size in the order of the zones."""

    zones: tuple[int, ...]
    masks: tuple[int, ...]
    steps: tuple[tuple[int, int], ...]
    """For each mask: index of the mask without its last zone (-1 for none), and that zone's position."""

    def sums(self, amounts: Sequence[int]) -> list[int]:
        """Returns for each mask the sum of the amounts of its zones; ``amounts`` is in the order of ``zones``."""
        totals: list[int] = []
        for before, position in self.steps:
            totals.append(totals[before] + amounts[position] if before >= 0 else amounts[position])
        return totals


@functools.lru_cache(maxsize=256)
def mask_table(zones: tuple[int, ...]) -> MaskTable:
    """Returns the table for these zones; tables are shared, as many nodes are alike."""
    masks: list[int] = []
    steps: list[tuple[int, int]] = []
    index: dict[tuple[int, ...], int] = {(): -1}
    for size in range(1, len(zones) + 1):
        for positions in combinations(range(len(zones)), size):
            index[positions] = len(masks)
            masks.append(sum(1 << zones[position] for position in positions))
            steps.append((index[positions[:-1]], positions[-1]))
    return MaskTable(zones, tuple(masks), tuple(steps))


def narrowest_first(mask: int) -> tuple[int, int]:
    """Sort key: a narrower affinity first, among equals the one with the lower zones (IsNarrowerThan)."""
    return mask.bit_count(), mask
