"""
Groups of zones for a request that no zone could ever hold, under policy restricted: masks as matrices.

Only which nodes have such a group is found here; how the kubelet spreads the request inside it is its twin's to say.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from operator import and_

import numpy as np

from extender.columns.demand import Ask
from extender.columns.standing import Rows, Standing
from extender.columns.table import Bools, Ints, Table
from extender.model.configuration import Version

MOST_ZONES = 8
"""Zones up to which groups are walked (255 of them): the kubelet's own default limit."""


def preferred_groups(table: Table, rows: Rows, left: Standing, ask: Ask, places: Ints, listed: Bools | None) -> Bools:
    """
    Says on which nodes there is an affinity that every hint list of a request prefers.

    Args:
        table: the nodes.
        rows: which of them.
        left: what those rows have left.
        ask: the request.
        places: the nodes in question, by their place among ``rows``.
        listed: (N,) on which of the rows the memory manager has a list, if any memory is asked for.

    Returns:
        (len(places),)
    """
    masks = _masks(len(table.law.zones))
    width = masks.sum(axis=1)
    lists = []
    if ask.cpus:
        lists.append(_of_cpus(table.cpu_total[:, rows][:, places], left.cpu[:, places], ask.cpus, masks, width))
    if listed is not None:
        able = reduce(
            and_, [masks @ table.allocatable[type_][:, rows][:, places] >= amount for type_, amount in ask.memory]
        )
        free = reduce(and_, [masks @ left.memory[type_][:, places] >= amount for type_, amount in ask.memory])
        allowed = (masks @ left.used[:, places].astype(np.int64) == 0) | (width == 1)[:, None]
        hints = able & free & allowed & _narrowest(able, width, len(table.law.zones))
        lists.append(hints | ~listed[places])
    for resource, amount in ask.devices:
        if resource in table.devices:
            lists.append(_of_devices(table, rows, left, resource, amount, places, masks, width))
    found: Bools = np.logical_or.reduce(reduce(and_, lists), axis=0)
    return found


def _of_cpus(total: Ints, free: Ints, count: int, masks: Ints, width: Ints) -> Bools:
    """(M, N) preferred hints of the CPU manager, whose groups have no zone without CPUs."""
    bare = masks @ (total == 0).astype(np.int64) > 0
    able = (masks @ total >= count) & ~bare
    most: Ints = (total > 0).sum(axis=0)
    hints: Bools = (masks @ free >= count) & ~bare & _narrowest(able, width, most)
    return hints


def _of_devices(
    table: Table, rows: Rows, left: Standing, resource: str, amount: int, places: Ints, masks: Ints, width: Ints
) -> Bools:
    """(M, N) preferred hints of one device resource; every group where it has no list."""
    devices, available = table.devices[resource], left.devices[resource]
    total = devices.total[:, rows][:, places]
    near = total > 0
    if table.law.version < Version.V1_36:
        near = np.ones_like(near)
    near |= ~near.any(axis=0)
    outside = masks @ (~near).astype(np.int64) > 0
    able = (masks @ total >= amount) & ~outside
    fits = (masks @ available.free[:, places] >= amount) & ~outside & (available.available[places] >= amount)
    hints = fits & _narrowest(able, width, near.sum(axis=0))
    listed = (devices.present[rows] & devices.located[rows])[places]
    either: Bools = hints | ~listed
    return either


def _narrowest(able: Bools, width: Ints, otherwise: Ints | int) -> Bools:
    """(M, N) whether a group is as narrow as the narrowest that an idle node could do with."""
    widths = np.where(able, width[:, None], np.iinfo(np.int64).max)
    least = np.minimum(widths.min(axis=0), otherwise)
    as_narrow: Bools = width[:, None] == least
    return as_narrow


@lru_cache(maxsize=16)
def _masks(zones: int) -> Ints:
    """(M, Z) of zeros and ones: all groups of so many zones."""
    numbers = np.arange(1, 1 << zones, dtype=np.int64)
    return (numbers[:, None] >> np.arange(zones, dtype=np.int64)) & 1
