"""
Nodes that are alike to a new pod: equal kubelets that have the same left.

Who holds the rest does not matter to a pod that holds nothing yet. Idle and full nodes of one kind are many in a
large cluster, and each kind is asked once.
"""

from __future__ import annotations

from collections.abc import Hashable

from extender.fleet import Snapshot
from extender.kubelet.admission import settled
from extender.model.state import DeviceState


def standing(snapshot: Snapshot) -> Hashable:
    """
    Returns all that a kubelet's answer to a new pod, and its figures, depend on.

    Kubelets are told apart by the identity of what they were made of, which is one object where it is equal.
    """
    kubelet = snapshot.kubelet
    state = settled(kubelet, snapshot.state)
    memory = tuple(
        (zone, held.assignments, held.cells, tuple(held.free.items())) for zone, held in state.memory.zones.items()
    )
    made_of = id(kubelet.machine), id(kubelet.configuration), kubelet.version
    return made_of, state.cpu.default, memory, _devices(state.device)


def _devices(state: DeviceState) -> Hashable:
    used: dict[str, set[str]] = {}
    for containers in state.entries.values():
        for held in containers.values():
            for resource, ids in held.items():
                used.setdefault(resource, set()).update(ids)
    return tuple(
        (resource, devices, frozenset(used.get(resource, ()))) for resource, devices in sorted(state.reported.items())
    ), frozenset(used)
