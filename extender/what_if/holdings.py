"""
A pod's spec rebuilt from what the pod holds, for nodes whose report is all that is known of them.

Only what is pinned can be seen: a container without exclusive CPUs, pinned memory or devices asks for nothing here,
and holds nothing that another kubelet would have to find room for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from extender.model.pod import Container, Pod, QoS, Resources
from extender.model.state import Block, NodeState
from extender.quantity import Format, Quantity, of

CPU = "cpu"


def rebuilt(state: NodeState, uid: str) -> Pod:
    """Returns a pod that asks for what the pod ``uid``, one of the active ones, holds."""
    active = state.active[uid]
    budget = _budget(state, uid)
    sharing = _sharing(state.cpu.entries.get(uid, {})) if uid in state.cpu.pod_entries else frozenset()
    containers = tuple(
        Container(container.name, container.kind, _held(state, uid, container, shares=container.name in sharing))
        for container in active.containers
    ) or (Container("unseen"),)
    pinned = budget is not None or uid in state.cpu.entries or uid in state.memory.entries
    qos = QoS.GUARANTEED if pinned else QoS.BURSTABLE
    return Pod(uid, active.name, containers, active.namespace, budget, qos)


def _budget(state: NodeState, uid: str) -> Resources | None:
    """The pod-level budget of a pod-level allocation."""
    cpus, blocks = state.cpu.pod_entries.get(uid), state.memory.pod_entries.get(uid)
    if cpus is None and blocks is None:
        return None
    return _equal({**({CPU: of(cpus.bit_count())} if cpus else {}), **_sizes(blocks or ())})


def _sharing(entries: Mapping[str, int]) -> frozenset[str]:
    """The containers of a pod-level allocation that have the same CPUs as another one: the pod shared pool's."""
    counted = Counter(entries.values())
    return frozenset(name for name, cpus in entries.items() if counted[cpus] > 1)


def _held(state: NodeState, uid: str, container: Container, *, shares: bool) -> Resources:
    amounts: dict[str, Quantity] = {}
    if not shares:
        cpus = state.cpu.entries.get(uid, {}).get(container.name)
        amounts |= {CPU: of(cpus.bit_count())} if cpus else {}
        amounts |= _sizes(state.memory.entries.get(uid, {}).get(container.name, ()))
    devices = state.device.entries.get(uid, {}).get(container.name, {})
    return _equal({**amounts, **{resource: of(len(ids)) for resource, ids in devices.items()}})


def _sizes(blocks: Iterable[Block]) -> dict[str, Quantity]:
    sums: Counter[str] = Counter()
    for block in blocks:
        sums[block.type] += block.size
    return {type_: of(size, Format.BINARY_SI) for type_, size in sums.items() if size}


def _equal(amounts: Mapping[str, Quantity]) -> Resources:
    return Resources(amounts, amounts)
