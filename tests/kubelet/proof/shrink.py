"""Making a case small that shows something: whatever can be left out is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import orjson

from proof.machines import Json

Path: TypeAlias = tuple[str | int, ...]

_NEEDED = {
    "id",
    "version",
    "machine",
    "kubelet",
    "steps",
    "op",
    "metadata",
    "uid",
    "name",
    "spec",
    "node_id",
    "healthy",
    "numa",
}
MOST_TRIALS = 4000


def shrink(case: Json, shows: Callable[[Json], bool]) -> Json:
    """
    Returns a small case that still shows what this one shows.

    Args:
        case: the case; it is not changed.
        shows: says whether a case shows it; it must say so of this one.
    """
    trials = 0
    small, shrunk = _own_copy(case), True
    while shrunk and trials < MOST_TRIALS:
        shrunk = False
        for path in _removable(small):
            trials += 1
            candidate = _without(small, path)
            if candidate is not None and shows(candidate):
                small, shrunk = candidate, True
    return small


def _removable(case: Json) -> Iterator[Path]:
    """
    Yields what could be left out, the large parts first, last elements before first ones.

    The paths are of the case as it was at the start; one that leads nowhere any more is passed over.
    """
    paths = sorted(_paths(case, ()), key=lambda path: (len(path), _depth_order(path)))
    yield from paths


def _depth_order(path: Path) -> tuple[int, ...]:
    return tuple(-part if isinstance(part, int) else 0 for part in path)


def _paths(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict):
        for key, member in value.items():
            if key not in _NEEDED:
                yield (*path, key)
            yield from _paths(member, (*path, key))
    elif isinstance(value, list):
        for index in reversed(range(len(value))):
            yield (*path, index)
            yield from _paths(value[index], (*path, index))


def _without(case: Json, path: Path) -> Json | None:
    """Returns the case without the member; None where it is gone already. Counts of a machine follow its zones."""
    candidate = _own_copy(case)
    holder: Any = candidate
    try:
        for part in path[:-1]:
            holder = holder[part]
        del holder[path[-1]]
    except (KeyError, IndexError, TypeError):
        return None
    if path[0] == "machine" and "topology" in case["machine"] and "topology" in candidate["machine"]:
        before, after = _counts(case["machine"]), _counts(candidate["machine"])
        for name, count in before.items():
            if case["machine"].get(name) == count:
                candidate["machine"][name] = after[name]
    return candidate


def _counts(machine: Json) -> dict[str, int]:
    cores = [core for zone in machine["topology"] for core in zone.get("cores") or ()]
    return {
        "num_cores": sum(len(core.get("thread_ids") or ()) for core in cores),
        "num_physical_cores": len(cores),
        "num_sockets": len({core.get("socket_id", 0) for core in cores}),
    }


def _own_copy(case: Json) -> Json:
    """Returns a copy in which no two members are one object."""
    copied: Json = orjson.loads(orjson.dumps(case))
    return copied
