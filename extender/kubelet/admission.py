"""
The kubelet as a whole: whether it starts, and what it answers to pods, one after the other.

Decides scope and order: which manager is asked when, what the first failure makes of the pod, and what a refused
pod leaves behind until the next admission clears it. States are values: every function returns a new one.

Source: cm/topologymanager/scope*.go, cm/container_manager_linux.go (NewContainerManager), cmd/kubelet/app/server.go,
cm/*/…_manager.go (removeStaleState).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from extender import cpuset
from extender.kubelet import device_manager as devices_of
from extender.kubelet.cpu_assignment import Assignment
from extender.kubelet.cpu_manager import CpuManager, cpu_manager
from extender.kubelet.device_manager import DeviceManager
from extender.kubelet.errors import KubeletCrash, StartError
from extender.kubelet.features import Gates, gates
from extender.kubelet.hints import Hints
from extender.kubelet.memory_manager import MemoryManager, memory_manager
from extender.kubelet.options import TopologyOptions, check_topology_options, cpu_options, topology_options
from extender.kubelet.requests import ContainerRequest, PodRequest, pod_request
from extender.kubelet.reservation import check_capacity, check_reserved_memory, reservation
from extender.kubelet.topology import CpuTopology, discover
from extender.kubelet.topology_manager import UNDECIDED, Affinity, TopologyManager, topology_manager
from extender.model.configuration import (
    CpuPolicy,
    KubeletConfiguration,
    MemoryPolicy,
    Scope,
    TopologyPolicy,
    Version,
)
from extender.model.machine import Machine
from extender.model.pod import Kind, Pod
from extender.model.state import CpuState, Devices, DeviceState, MemoryState, NodeState
from extender.model.verdict import Admission, Cause, Reason, Refusal, Shortage, Verdict

__all__ = ["Kubelet", "KubeletCrash", "StartError", "admit", "initial", "remove", "start", "started"]


@dataclass(frozen=True, slots=True)
class Kubelet:
    """A kubelet that has started: machine, configuration and managers, nothing that admission changes."""

    machine: Machine
    configuration: KubeletConfiguration
    version: Version
    gates: Gates
    topology: CpuTopology
    topology_manager: TopologyManager
    device: DeviceManager
    cpu: CpuManager | None
    """None under policy none."""
    memory: MemoryManager | None
    """None under policy None."""

    @property
    def scope(self) -> Scope | None:
        """The scope in force; None under policy none, which knows no scope."""
        if self.topology_manager.policy is TopologyPolicy.NONE:
            return None
        return self.configuration.topology_scope


def start(machine: Machine, configuration: KubeletConfiguration, version: Version) -> Kubelet:
    """
    Starts a kubelet.

    Raises:
        StartError: it would refuse to start with this machine and configuration.
    """
    resolved = gates(version, configuration.feature_gates)
    check_reserved_memory(configuration.reserved_memory)
    reserved = reservation(machine, configuration, version)
    check_topology_options(configuration.topology_options, resolved)
    policy = configuration.topology_policy
    # Policy none returns before options and zones are looked at, so broken options pass with it.
    options = TopologyOptions() if policy is TopologyPolicy.NONE else topology_options(configuration.topology_options)
    manager = topology_manager(machine, policy, options)
    topology = discover(machine)
    memory = None
    cpu = _start_cpu_manager(topology, configuration, resolved, version, reserved.cpus)
    if configuration.memory_policy is MemoryPolicy.STATIC:
        memory = memory_manager(
            machine,
            reserved.amounts,
            configuration.reserved_memory,
            version,
            pod_level=resolved.pod_level_resource_managers,
        )
    check_capacity(machine, reserved.amounts)
    zones = tuple(zone.id for zone in machine.zones)
    return Kubelet(
        machine, configuration, version, resolved, topology, manager, DeviceManager(zones, version), cpu, memory
    )


def _start_cpu_manager(
    topology: CpuTopology, configuration: KubeletConfiguration, resolved: Gates, version: Version, count: int | None
) -> CpuManager | None:
    if configuration.cpu_policy is CpuPolicy.NONE:
        if configuration.cpu_options:
            raise StartError("new none policy error: None policy: received unsupported options")
        return None
    if count is None:
        raise StartError("[cpumanager] unable to determine reserved CPU resources for static policy")
    try:
        options = cpu_options(configuration.cpu_options, resolved, version)
        if options.align_by_socket and configuration.topology_policy is TopologyPolicy.SINGLE_NUMA_NODE:
            raise StartError(
                "Topolgy manager single-numa-node policy is incompatible with CPUManager align-by-socket policy option"
            )
        return cpu_manager(
            topology,
            Assignment(topology, options, version),
            count,
            cpuset.parse(configuration.reserved_system_cpus),
            pod_level=resolved.pod_level_resource_managers,
        )
    except (StartError, KubeletCrash) as error:
        raise StartError(f"new static policy error: {error}") from error
    except ZeroDivisionError as crash:
        raise StartError("panic: runtime error: integer divide by zero") from crash


def initial(kubelet: Kubelet, devices: Devices | None = None) -> NodeState:
    """Returns the state of a kubelet that has admitted nothing yet, with the given devices registered."""
    return NodeState(
        cpu=kubelet.cpu.initial() if kubelet.cpu else CpuState(),
        memory=kubelet.memory.initial() if kubelet.memory else MemoryState(),
        device=DeviceState(dict(devices or {})),
    )


def admit(kubelet: Kubelet, state: NodeState, pod: Pod) -> tuple[Verdict, NodeState]:
    """
    Answers as the kubelet answers a pod that has come to its node.

    A pod whose uid is active already is admitted again, as after a restart of the kubelet.

    Args:
        kubelet: the node's.
        state: before; not changed.
        pod: with API server defaults applied.

    Returns:
        The verdict, and the state after it. What a refused pod has taken stays taken until the next admission.

    Raises:
        KubeletCrash: the kubelet would panic or hang.
    """
    request = pod_request(pod, kubelet.gates, kubelet.version)
    after = state.copy()
    after.active[pod.uid] = pod
    if kubelet.scope is not None:
        _remove_stale(kubelet, after)  # every manager does so when it is first asked for hints
    try:
        outcome = _Admitting(kubelet, after, request).run()
    except ZeroDivisionError as crash:
        raise KubeletCrash("panic: runtime error: integer divide by zero") from crash
    if isinstance(outcome, Refusal):
        del after.active[pod.uid]
        return outcome, after
    return _admission(after, request, outcome), after


def remove(kubelet: Kubelet, state: NodeState, uid: str) -> NodeState:  # noqa: ARG001 - the face of the twin is uniform
    """Returns the state once a pod is gone; what it holds is freed by the next admission, as in the kubelet."""
    after = state.copy()
    after.active.pop(uid, None)
    return after


def started(kubelet: Kubelet, state: NodeState, uid: str) -> NodeState:
    """Returns the state once a pod's ordinary init containers are done: their memory is free (AddContainer)."""
    after = state.copy()
    pod = after.active.get(uid)
    if pod is not None and kubelet.memory:
        for container in pod.containers:
            if container.kind is Kind.INIT:
                kubelet.memory.remove(after.memory, uid, container.name)
    return after


def settled(kubelet: Kubelet, state: NodeState) -> NodeState:
    """Returns the state as the next admission will find it: what no active pod holds is free (removeStaleState)."""
    if _is_settled(state):
        return state
    after = state.copy()
    _remove_stale(kubelet, after)
    return after


def _is_settled(state: NodeState) -> bool:
    held = state.device.entries.keys() | state.cpu.entries.keys() | state.memory.entries.keys()
    return (
        held <= state.active.keys() and not _stale(state, state.cpu.entries) and not _stale(state, state.memory.entries)
    )


def _remove_stale(kubelet: Kubelet, state: NodeState) -> None:
    """Frees what is held by pods that are not active or containers that are not in them, in every manager."""
    _remove_stale_devices(state)
    _remove_stale_cpus(kubelet, state)
    _remove_stale_memory(kubelet, state)


def _remove_stale_devices(state: NodeState) -> None:
    for uid in [uid for uid in state.device.entries if uid not in state.active]:
        devices_of.remove(state.device, uid)


def _remove_stale_cpus(kubelet: Kubelet, state: NodeState) -> None:
    if kubelet.cpu:
        for uid, name in _stale(state, state.cpu.entries):
            kubelet.cpu.remove(state.cpu, uid, name)


def _remove_stale_memory(kubelet: Kubelet, state: NodeState) -> None:
    if kubelet.memory:
        for uid, name in _stale(state, state.memory.entries):
            kubelet.memory.remove(state.memory, uid, name)


def _stale(state: NodeState, entries: Mapping[str, Mapping[str, object]]) -> list[tuple[str, str]]:
    """Lists the entries, container by container, that no active pod's container holds."""
    stale = []
    for uid, held in entries.items():
        pod = state.active.get(uid)
        names = {container.name for container in pod.containers} if pod else set()
        stale += [(uid, name) for name in held if name not in names]
    return stale


@dataclass(slots=True)
class _Admitting:
    """One admission under way; changes the state it holds."""

    kubelet: Kubelet
    state: NodeState
    pod: PodRequest

    def run(self) -> Mapping[str, Affinity] | Refusal:
        """Returns the affinity stored for each container, or the refusal that ended the admission."""
        scope = self.kubelet.scope
        if scope is None:
            return self._allocate_each({container.name: UNDECIDED for container in self.pod.containers})
        if scope is Scope.CONTAINER:
            return self._admit_each()
        affinity = self._merge(self._pod_hints(), None)
        if isinstance(affinity, Refusal):
            return affinity
        stored = {container.name: affinity for container in self.pod.containers}
        if not self.pod.managed:
            return self._allocate_each(stored)
        return self._allocate_pod(affinity) or stored

    def _admit_each(self) -> Mapping[str, Affinity] | Refusal:
        stored = {}
        for container in self.pod.containers:
            affinity = self._merge(self._container_hints(container), container)
            if isinstance(affinity, Refusal):
                return affinity
            stored[container.name] = affinity
            refusal = self._allocate(container, affinity)
            if refusal is not None:
                return refusal
        return stored

    def _allocate_each(self, stored: Mapping[str, Affinity]) -> Mapping[str, Affinity] | Refusal:
        for container in self.pod.containers:
            refusal = self._allocate(container, stored[container.name])
            if refusal is not None:
                return refusal
        return stored

    def _container_hints(self, container: ContainerRequest) -> list[Hints]:
        kubelet, state = self.kubelet, self.state
        lists = kubelet.device.container_hints(state.device, self.pod, container) if container.devices else []
        if kubelet.cpu:
            hints = kubelet.cpu.container_hints(state.cpu, self.pod, container)
            lists += [] if hints is None else [hints]
        if kubelet.memory:
            lists += kubelet.memory.container_hints(state.memory, self.pod, container)
        return lists

    def _pod_hints(self) -> list[Hints]:
        kubelet, state = self.kubelet, self.state
        lists = kubelet.device.pod_hints(state.device, self.pod) if self.pod.devices else []
        if kubelet.cpu:
            hints = kubelet.cpu.pod_hints(state.cpu, self.pod)
            lists += [] if hints is None else [hints]
        if kubelet.memory:
            lists += kubelet.memory.pod_hints(state.memory, self.pod)
        return lists

    def _merge(self, lists: list[Hints], container: ContainerRequest | None) -> Affinity | Refusal:
        affinity, admitted = self.kubelet.topology_manager.merge(lists)
        if admitted:
            return affinity
        return Refusal(
            Reason.TOPOLOGY_AFFINITY,
            Cause.NO_ALIGNMENT,
            container=container.name if container else None,
            pod_level=self.pod.managed,
            shortages=self._shortages(container),
        )

    def _allocate(self, container: ContainerRequest, affinity: Affinity) -> Refusal | None:
        """
        Device, CPU and memory manager in this order; the first failure ends the admission.

        Each frees first what no active pod holds. Under policy none nobody has asked it for hints before, so that a
        manager that is not reached frees nothing.
        """
        kubelet, state = self.kubelet, self.state
        stale = kubelet.scope is None
        if container.devices:
            if stale and kubelet.device.concerned(state.device, container):
                _remove_stale_devices(state)
            refusal = kubelet.device.allocate(state.device, self.pod, container, affinity)
            if refusal is not None:
                return refusal
        if kubelet.cpu:
            if stale:
                _remove_stale_cpus(kubelet, state)
            refusal = kubelet.cpu.allocate(state.cpu, self.pod, container, affinity)
            if refusal is not None:
                return refusal
        if kubelet.memory:
            if stale:
                _remove_stale_memory(kubelet, state)
            return kubelet.memory.allocate(state.memory, self.pod, container, affinity)
        return None

    def _allocate_pod(self, affinity: Affinity) -> Refusal | None:
        """CPU and memory manager; the device manager gives a pod nothing before its containers are created."""
        refusal = self.kubelet.cpu.allocate_pod(self.state.cpu, self.pod, affinity) if self.kubelet.cpu else None
        if refusal is None and self.kubelet.memory:
            refusal = self.kubelet.memory.allocate_pod(self.state.memory, self.pod, affinity)
        return refusal

    def _shortages(self, container: ContainerRequest | None) -> tuple[Shortage, ...]:
        """What was asked for and what each zone had, for everything that took part in the merge."""
        kubelet, state = self.kubelet, self.state
        asked = container or self.pod
        found = []
        if kubelet.cpu and asked.cpus and not self.pod.skipped:
            found.append(Shortage("cpu", asked.cpus, kubelet.cpu.available_by_zone(state.cpu)))
        if kubelet.memory and self.pod.guaranteed and not self.pod.skipped:
            for type_, amount in (asked.memory or {}).items():
                free = {zone: memory.free.get(type_, 0) for zone, memory in state.memory.zones.items()}
                found.append(Shortage(type_, amount, free))
        for resource, amount in asked.devices.items():
            if resource in state.device.reported:
                zones = kubelet.device.zones
                found.append(Shortage(resource, amount, devices_of.available_by_zone(state.device, resource, zones)))
        return tuple(found)


def _admission(state: NodeState, pod: PodRequest, stored: Mapping[str, Affinity]) -> Admission:
    """Collects what the managers hold for the pod now."""
    names = {container.name for container in pod.containers}
    cpus = state.cpu.entries.get(pod.uid, {})
    bubble = state.cpu.pod_entries.get(pod.uid)
    exclusive = frozenset(container.name for container in pod.containers if container.cpus and container.name in cpus)
    pool = bubble
    if pool is not None:
        for container in pod.containers:
            if container.name in exclusive and container.kind is not Kind.INIT:
                pool &= ~cpus[container.name]
    return Admission(
        affinity={name: affinity.mask for name, affinity in stored.items()},
        pod_cpus=bubble,
        pod_memory=state.memory.pod_entries.get(pod.uid, ()),
        cpus=cpus,
        memory=state.memory.entries.get(pod.uid, {}),
        # Devices of a container that is no longer in the pod stay booked, and are nobody's.
        devices={name: held for name, held in state.device.entries.get(pod.uid, {}).items() if name in names},
        exclusive=exclusive,
        shared_pool=pool,
    )


def with_devices(state: NodeState, devices: Devices) -> NodeState:
    """Returns the state once the plugins report these devices instead."""
    return replace(state, device=replace(state.device, reported=devices))
