"""
What the nodes of one table have left while pods are admitted to them, one after the other.

Starts as a copy of the table's rows and is changed by the steps of an admission. Where a quantity is no longer known
(CPUs spread over zones by the kubelet's own best fit, say), a flag says so, and whoever needs it must ask the twin.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from extender.columns.table import Bools, Ints, Table

Rows = slice | Ints
"""Which rows of a table: all of them as a slice (no copy of what does not change), or some by index."""


@dataclass(slots=True)
class DevicesLeft:
    """One resource of device plugins."""

    available: Ints
    """(N,)"""
    free: Ints
    """(Z, N)"""
    sure: Bools
    """(N,) whether ``free`` is known."""
    reusable: Ints | None = None
    """(N,) how many of the pod's init containers' devices are left to take over."""


@dataclass(slots=True)
class Standing:
    """What is left. For the pod under way, what its own init containers may hand on counts as left."""

    cpu: Ints
    """(Z, N) CPUs that can become exclusive."""
    cpu_sum: Ints
    """(N,) the same of the whole node; known also where ``cpu`` is not."""
    cpu_sure: Bools
    """(N,) whether ``cpu`` is known."""
    whole: Ints
    """(N,) CPUs that full-pcpus-only counts."""
    whole_sure: Bools
    memory: dict[str, Ints]
    """Type to (Z, N) bytes."""
    reusable: dict[str, Ints]
    """Type to (Z, N) bytes of ``memory`` that are booked, by the pod's init containers."""
    used: Bools
    """(Z, N) whether a block of memory lies on the zone."""
    memory_sure: Bools
    """(N,) whether ``memory`` and ``used`` are known."""
    devices: dict[str, DevicesLeft]

    def copy(self) -> Standing:
        """Returns a standing that can be changed without changing this one."""
        copied = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in copied.items():
            if isinstance(value, np.ndarray):
                copied[name] = value.copy()
        for name in ("memory", "reusable"):
            copied[name] = {type_: amounts.copy() for type_, amounts in copied[name].items()}
        copied["devices"] = {
            resource: DevicesLeft(left.available.copy(), left.free.copy(), left.sure.copy())
            for resource, left in self.devices.items()
        }
        return Standing(**copied)


def standing(table: Table, rows: Rows, resources: Iterable[str] = ()) -> Standing:
    """Returns what the rows have left before anything is admitted; of devices, the ``resources`` named."""
    cpu = table.cpu[:, rows].copy()
    sure = np.ones(cpu.shape[1], np.bool_)
    wanted = set(resources)
    return Standing(
        cpu=cpu,
        cpu_sum=cpu.sum(axis=0),
        cpu_sure=sure,
        whole=table.whole[rows].copy(),
        whole_sure=sure.copy(),
        memory={type_: free[:, rows].copy() for type_, free in table.memory.items()},
        reusable={},
        used=table.used[:, rows].copy(),
        memory_sure=table.memory_known[rows].copy(),
        devices={
            resource: DevicesLeft(devices.available[rows].copy(), devices.free[:, rows].copy(), sure.copy())
            for resource, devices in table.devices.items()
            if resource in wanted
        },
    )
