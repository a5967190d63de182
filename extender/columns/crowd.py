"""
Room for a pod and for all who may be on their way, whoever comes first: ``extender.inventory.ample`` on columns.

Where a kubelet prefers one zone and counts decide, all are admitted in any order if each has a zone with enough for
it and for all others together. Where that is not so, their orders must be gone through, node by node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from extender.columns.demand import Ask, Demand
from extender.columns.standing import Rows
from extender.columns.table import Bools, Table
from extender.kubelet.requests import CPU
from extender.model.configuration import TopologyPolicy
from extender.model.pod import Kind, Pod


def ample(table: Table, rows: Rows, pods: Sequence[tuple[Pod, Demand | None]]) -> Bools:
    """
    Says which nodes have room for all pods, whatever their order; elsewhere nothing is said.

    Args:
        table: the nodes.
        rows: which of them.
        pods: with what each asks under the table's law.
    """
    room = table.countable[rows] if table.law.cpus else np.ones_like(table.countable[rows])
    units = _units(pods)
    law = table.law
    if units is None or law.policy is TopologyPolicy.NONE or law.whole_cores or not law.even_memory:
        return np.zeros_like(room)
    room = room & (table.ungrouped[rows] if law.memory is not None else True)
    for devices in table.devices.values():
        room &= ~devices.present[rows] | devices.placed[rows]
    wants = [_wants(unit, table) for unit in units]
    everything: Counter[str] = Counter()
    for want in wants:
        everything.update(want)
    for kind in {frozenset(want) for want in wants}:
        fits = np.ones((len(law.zones), len(room)), np.bool_)
        for resource in kind:
            if resource == CPU:
                fits &= table.cpu[:, rows] >= everything[resource]
            elif resource in table.memory:
                fits &= table.memory[resource][:, rows] >= everything[resource]
            else:
                devices = table.devices[resource]
                fits &= (devices.free[:, rows] >= everything[resource]) | ~devices.present[rows]
        room &= np.logical_or.reduce(fits)
    return room


def _units(pods: Sequence[tuple[Pod, Demand | None]]) -> list[Ask] | None:
    """What must lie in one zone each; None where amounts do not tell."""
    units: list[Ask] = []
    for pod, asked in pods:
        if asked is None or asked.impossible or any(container.kind is not Kind.APP for container in pod.containers):
            return None
        units += asked.steps if asked.whole is None else [asked.whole]
    return units


def _wants(unit: Ask, table: Table) -> dict[str, int]:
    """Resource to amount, of what these nodes have; a unit's devices are all its limits, CPUs and memory included."""
    devices = {resource: amount for resource, amount in unit.devices if amount and resource in table.devices}
    memory = {type_: amount for type_, amount in unit.memory if type_ in table.memory}
    return {**devices, **memory, **({CPU: unit.cpus} if unit.cpus else {})}
