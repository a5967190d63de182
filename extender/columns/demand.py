"""
What one pod asks of every node of one law: its admission as a short list of steps, the same on all those nodes.

A pod whose steps themselves depend on more than quantities has no demand; it is for the twin on every node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from extender.columns.law import Law
from extender.kubelet import cpu_manager, memory_manager
from extender.kubelet.requests import Bytes, ContainerRequest, PodRequest, pod_request
from extender.model.configuration import Scope, TopologyPolicy
from extender.model.pod import Kind, Pod

LARGEST_AMOUNT = 1 << 58
"""Bytes; sums over 16 zones stay below 63 bits."""

POD = -1
"""The stage at which the pod is judged as a whole; other stages are containers by index."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked in one step."""

    stage: int
    cpus: int = 0
    memory: tuple[tuple[str, int], ...] = ()
    devices: tuple[tuple[str, int], ...] = ()
    """Every limit; which of them are devices, each node's plugins tell."""
    init: bool = False
    """What is taken may be taken over by later steps."""
    reusing: bool = False
    """CPUs of an init container are certainly left to take over, so that its zone must be part of any other."""
    pinned: bool = False
    """The memory manager looks at it, even if it asks for no memory."""


@dataclass(frozen=True, slots=True)
class Demand:
    """The steps of one pod's admission under one law."""

    whole: Ask | None
    """What the hints of the pod as a whole ask; None where each step is hinted by itself."""
    steps: tuple[Ask, ...]
    impossible: bool = False
    """The pod's budget leaves containers nothing to share: no hint can be given, whatever the node has."""
    reuses_cpus: bool = False
    """Which CPUs are free afterwards depends on which of an init container's were taken over."""
    reuses_devices: frozenset[str] = frozenset()
    """Resources, devices or not, that init containers ask for."""

    @property
    def resources(self) -> frozenset[str]:
        """Every limit's name; which of them are devices, each node's plugins tell."""
        asks = [*self.steps, *([self.whole] if self.whole else [])]
        return frozenset(resource for ask in asks for resource, _ in ask.devices)


def demand(pod: Pod, law: Law) -> Demand | None:
    """Returns what a pod that is not on the node yet asks under a law; None where only the twin can tell."""
    request = pod_request(pod, law.gates, law.version)
    pinned = law.memory is not None and request.guaranteed and not request.skipped
    if not _plain(request, law, pinned=pinned):
        return None
    if request.managed and law.scope is Scope.POD:
        return _budget(request, law, pinned=pinned)
    steps = _steps(request, law, pinned=pinned)
    if steps is None:
        return None
    init_cpus = any(step.init and step.cpus for step in steps)
    init_devices = frozenset(resource for step in steps if step.init for resource, amount in step.devices if amount)
    whole = None
    if law.scope is Scope.POD:
        whole = Ask(
            POD,
            cpus=_exclusive(request, request.cpus, law),
            memory=_memory(request.memory, pinned=pinned),
            devices=_devices(request.devices),
        )
    return Demand(whole, steps, reuses_cpus=init_cpus, reuses_devices=init_devices)


def _plain(request: PodRequest, law: Law, *, pinned: bool) -> bool:
    """Whether all amounts are what arrays can hold, and all types of memory what every zone has."""
    asked: Sequence[ContainerRequest | PodRequest] = (request, *request.containers)
    if any(not 0 <= one.cpus <= LARGEST_AMOUNT for one in asked):
        return False
    if any(not 0 <= amount <= LARGEST_AMOUNT for one in asked for amount in one.devices.values()):
        return False
    if not pinned:
        return True
    assert law.memory is not None
    for one in asked:
        if one.memory is None or not one.memory.keys() <= law.memory:
            return False
        if any(not 0 <= amount <= LARGEST_AMOUNT for amount in one.memory.values()):
            return False
    return True


def _steps(request: PodRequest, law: Law, *, pinned: bool) -> tuple[Ask, ...] | None:
    """The containers in order; None where a hint would depend on which CPUs an init container was given."""
    steps = []
    least, most = 0, 0  # CPUs of init containers that are left to take over
    for stage, container in enumerate(request.containers):
        cpus = _exclusive(request, container.cpus, law)
        init = container.kind is Kind.INIT
        if cpus and most and not least and law.scope is Scope.CONTAINER:
            return None
        steps.append(
            Ask(
                stage,
                cpus=cpus,
                memory=_memory(container.memory, pinned=pinned),
                devices=_devices(container.devices),
                init=init,
                reusing=least > 0,
                pinned=pinned,
            )
        )
        if init:
            least, most = max(least, cpus), most + cpus
        else:
            least = max(0, least - cpus)
    return tuple(steps)


def _budget(request: PodRequest, law: Law, *, pinned: bool) -> Demand | None:
    """A managed budget in pod scope: one step for all, then shares of it that depend on nothing but amounts."""
    cpus, memory = _exclusive(request, request.cpus, law), _memory(request.memory, pinned=pinned)
    whole = Ask(POD, cpus=cpus, memory=memory, devices=_devices(request.devices), pinned=pinned)
    # The managers' own tests for a budget that leaves nothing to share.
    nothing_left = (cpus and cpu_manager._empty_pool(request)) or (memory and memory_manager._empty_pool(request))  # noqa: SLF001
    if nothing_left:
        rejects = law.policy in {TopologyPolicy.RESTRICTED, TopologyPolicy.SINGLE_NUMA_NODE}
        return Demand(whole, (), impossible=True) if rejects else None
    if (pinned and not memory) or (cpus and not _shares_exist(request)):
        return None
    return Demand(whole, (Ask(POD, cpus=cpus, memory=memory, pinned=pinned),))


def _shares_exist(request: PodRequest) -> bool:
    """Whether each exclusive slice can be cut from what the slices before it leave of the budget."""
    pool = request.cpus
    for container in request.containers:
        if container.cpus > pool:
            return False
        if container.kind is not Kind.INIT:
            pool -= container.cpus
    return True


def _exclusive(request: PodRequest, cpus: int, law: Law) -> int:
    return cpus if law.cpus and not request.skipped else 0


def _memory(amounts: Bytes | None, *, pinned: bool) -> tuple[tuple[str, int], ...]:
    return tuple((amounts or {}).items()) if pinned else ()


def _devices(limits: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(limits.items())
