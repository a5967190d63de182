"""
The uncore caches of cores: last-level caches that a part of a zone shares, by which the kubelet can align CPUs.

Source: cAdvisor lib/utils/sysinfo (addCacheInfo, GetCacheInfo), lib/utils/sysfs (GetCacheInfo).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from extender.exporter.kernel_files import bits_of_groups, number, text

_SIZE = re.compile(r"([0-9]+)K")
_CORE_CACHES = 2
"""Caches up to this level belong to a core."""


@dataclass(frozen=True, slots=True)
class _Cache:
    id: int
    level: int
    cpus: int
    """How many CPUs share it."""


def uncore_caches(root: Path, cores: Sequence[Sequence[int]]) -> list[int | None]:
    """
    Returns the id of each core's first uncore cache.

    It is a cache above level 2 that does not span the whole zone. The first core whose caches cannot be read ends the
    search: cores after it have none.

    Args:
        root: folder of the CPUs.
        cores: threads of each core of one zone, in order.
    """
    found: list[int | None] = []
    for threads in cores:
        caches = _caches(root / f"cpu{threads[0]}")
        if caches is None:
            break
        zone = len(cores) * len(threads)
        found.append(next((cache.id for cache in caches if cache.level > _CORE_CACHES and cache.cpus != zone), None))
    return found + [None] * (len(cores) - len(found))


def _caches(cpu: Path) -> list[_Cache] | None:
    try:
        names = sorted(entry.name for entry in (cpu / "cache").iterdir() if entry.name.startswith("index"))
    except OSError:
        return None
    numbered = not text(cpu / "topology/book_id")  # s390 gives its caches no ids, and cAdvisor asks for none
    caches = [_cache(cpu / "cache" / name, numbered=numbered) for name in names]
    return [cache for cache in caches if cache] if all(caches) else None


def _cache(directory: Path, *, numbered: bool) -> _Cache | None:
    """One cache; None where a file that cAdvisor reads is missing or not as it expects."""
    id_ = number(text(directory / "id")) if numbered else 0
    level, type_, size = number(text(directory / "level")), text(directory / "type"), text(directory / "size")
    cpus = bits_of_groups(text(directory / "shared_cpu_map") or "")
    if id_ is None or level is None or type_ is None or cpus is None or not _SIZE.match(size or ""):
        return None
    return _Cache(id_, level, cpus.bit_count())
