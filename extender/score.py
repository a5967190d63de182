"""
How good a placement is, 0 to 10, from the zones before and after it.

    score = 10 x (taken / free before, over the zones that it uses) x (local distance / mean distance between them)

A placement that fills a hole exactly scores 10; one that bites 8 CPUs out of a hole of 32 scores 2. So small holes
are filled first and the largest stay whole for the pods that need them. Zones that lie apart cost what the distance
table says: two zones at distance 20 score two thirds of one. A pod that uses no zone exclusively scores 0
everywhere: the other plugins of the scheduler decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from extender.model.room import Room

BEST = 10
"""MaxExtenderPriority."""
LOCAL = 10
"""Distance of a zone to itself in every ACPI table."""

CPU, MEMORY = "cpu", "memory"


def score(before: Sequence[Room], after: Sequence[Room], distance: Callable[[int, int], int]) -> int:
    """
    Scores a placement.

    Args:
        before: the node's zones without it.
        after: the same zones with it.
        distance: between two zones by id, as the distance table has it.
    """
    for resource in (CPU, MEMORY):
        takes = [(was, now) for was, now in zip(before, after, strict=True) if _taken(was, now, resource)]
        if takes:
            break
    else:
        return 0
    taken = sum(_taken(was, now, resource) for was, now in takes)
    free = sum(was.free[resource] for was, _ in takes)
    used = [was.zone for was, _ in takes]
    apart = sum(max(LOCAL, distance(one, other)) for one in used for other in used)
    return BEST * taken * LOCAL * len(used) ** 2 // (free * apart)


def _taken(was: Room, now: Room, resource: str) -> int:
    return was.free.get(resource, 0) - now.free.get(resource, 0)
