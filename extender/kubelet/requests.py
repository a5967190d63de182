"""
What a pod asks of the managers: its QoS class, exclusive CPUs, memory and devices, per container and as a whole.

A pure function of the pod, the gates and the minor, computed once per pod and not per node.

Source: pkg/apis/core/v1/helper/qos/qos.go, component-helpers resource/helpers.go, cm/cpumanager/policy_static.go
(guaranteedCPUs, podGuaranteedCPUs), cm/memorymanager/policy_static.go (getContainerRequestedResources,
getPodRequestedResources), cm/devicemanager/topology_hints.go (getContainerDeviceRequest, getPodDeviceRequest).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from extender.kubelet.features import Gates
from extender.model.configuration import Amounts, Version
from extender.model.pod import Container, Kind, Pod, QoS, Resources
from extender.quantity import NANO, ZERO, Quantity

CPU = "cpu"
MEMORY = "memory"
HUGEPAGES = "hugepages-"

Bytes = Mapping[str, int]
"""Memory type to bytes."""


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    """What one container asks of the managers."""

    name: str
    kind: Kind
    cpus: int
    """Exclusive CPUs (guaranteedCPUs); 0 puts it into a shared pool."""
    memory: Bytes | None
    """Bytes to pin, zero amounts included; None where an amount is no 64-bit integer for the kubelet."""
    devices: Mapping[str, int]
    """Every limit in whole units: which of them are devices depends on the node's plugins."""


@dataclass(frozen=True, slots=True)
class PodRequest:
    """What one pod asks of the managers."""

    uid: str
    guaranteed: bool
    managed: bool
    """Its pod-level budget is managed (PodLevelResourceManagers)."""
    skipped: bool
    """It has a pod-level budget that this kubelet's CPU and memory managers leave alone."""
    containers: tuple[ContainerRequest, ...]
    cpus: int
    """Exclusive CPUs of the pod as a whole (podGuaranteedCPUs)."""
    memory: Bytes | None
    """Bytes of the pod as a whole; None where an amount is no 64-bit integer for the kubelet."""
    devices: Mapping[str, int]
    """Limits of the pod as a whole."""


def pod_request(pod: Pod, gates: Gates, version: Version) -> PodRequest:
    """Returns what the pod asks of the managers of a kubelet with these gates."""
    budgeted = has_pod_level_resources(pod)
    managed = gates.pod_level_resource_managers and budgeted
    skipped = budgeted and (
        not (gates.pod_level_resource_managers and gates.pod_level_resources)
        if version >= Version.V1_36
        else gates.pod_level_resources
    )
    guaranteed = (pod.qos or qos(pod, gates, version)) is QoS.GUARANTEED
    containers = tuple(_container_request(container, guaranteed, managed) for container in pod.containers)
    budget = pod.resources.requests if managed and pod.resources is not None else None
    return PodRequest(
        uid=pod.uid,
        guaranteed=guaranteed,
        managed=managed,
        skipped=skipped,
        containers=containers,
        cpus=_pod_cpus(containers) if budget is None else _budget_cpus(budget, guaranteed),
        memory=_pod_memory(containers) if budget is None else _budget_memory(budget),
        devices=_pod_limits(pod),
    )


def is_memory(resource: str) -> bool:
    """Says whether the memory manager looks after the resource."""
    return resource == MEMORY or resource.startswith(HUGEPAGES)


def has_pod_level_resources(pod: Pod) -> bool:
    """Says whether spec.resources names cpu, memory or hugepages, whatever the amount (IsPodLevelResourcesSet)."""
    if pod.resources is None:
        return False
    names = [*pod.resources.requests, *pod.resources.limits]
    return any(name == CPU or is_memory(name) for name in names)


def qos(pod: Pod, gates: Gates, version: Version) -> QoS:
    """Computes the QoS class of a pod whose status does not tell it (ComputePodQOS)."""
    if gates.pod_level_resources and pod.resources is not None:
        if version < Version.V1_37:
            return _qos_of_sums((pod.resources,))
        if not gates.fix_kubelet_qos_class or has_pod_level_resources(pod):
            return _qos_of(pod.resources)
    every = tuple(container.resources for container in pod.containers)
    if version < Version.V1_37:
        return _qos_of_sums(every)
    classes = {_qos_of(resources) for resources in every} or {QoS.BEST_EFFORT}
    return classes.pop() if len(classes) == 1 else QoS.BURSTABLE


def _qos_of(resources: Resources) -> QoS:
    """1.37: the class of one requirement (requirementsQOS)."""
    classes = set()
    for name in (CPU, MEMORY):
        request, limit = resources.requests.get(name, ZERO).nanos, resources.limits.get(name, ZERO).nanos
        if request != limit:
            return QoS.BURSTABLE
        classes.add(QoS.GUARANTEED if request else QoS.BEST_EFFORT)
    if not resources.requests and not resources.limits:
        return QoS.BEST_EFFORT
    return classes.pop() if len(classes) == 1 else QoS.BURSTABLE


def _qos_of_sums(requirements: Iterable[Resources]) -> QoS:
    """1.36 and before: the class of the sums, if every single requirement limits both cpu and memory."""
    requests: dict[str, int] = {}
    limits: dict[str, int] = {}
    all_limited = True
    for resources in requirements:
        _add_positive(requests, resources.requests)
        _add_positive(limits, resources.limits)
        if any(resources.limits.get(name, ZERO).nanos <= 0 for name in (CPU, MEMORY)):
            all_limited = False
    if not requests and not limits:
        return QoS.BEST_EFFORT
    return QoS.GUARANTEED if all_limited and requests == limits else QoS.BURSTABLE


def _add_positive(sums: dict[str, int], amounts: Amounts) -> None:
    for name in (CPU, MEMORY):
        nanos = amounts.get(name, ZERO).nanos
        if nanos > 0:
            sums[name] = sums.get(name, 0) + nanos


def _container_request(container: Container, guaranteed: bool, managed: bool) -> ContainerRequest:
    resources = container.resources
    shared = managed and not _container_equivalent_guaranteed(resources)
    cpus = 0 if shared or not guaranteed else _integral(resources.requests.get(CPU, ZERO))
    return ContainerRequest(
        name=container.name,
        kind=container.kind,
        cpus=cpus,
        memory={} if shared else _int64_memory(resources.requests),
        devices={name: limit.value for name, limit in resources.limits.items()},
    )


def _container_equivalent_guaranteed(resources: Resources) -> bool:
    """Says whether cpu and memory are both set and equal to their limits (IsContainerEquivalentQOSGuaranteed)."""
    for name in (CPU, MEMORY):
        request = resources.requests.get(name, ZERO).nanos
        if request == 0 or request != resources.limits.get(name, ZERO).nanos:
            return False
    return True


def _integral(cpu: Quantity) -> int:
    """The amount if it is a whole number of CPUs, to the kubelet's rounded eye, else 0 (isIntegralCPUAmount)."""
    return cpu.value if cpu.value * 1000 == cpu.milli else 0


def _int64_memory(requests: Amounts) -> Bytes | None:
    memory = {}
    for name, amount in requests.items():
        if is_memory(name):
            if amount.as_int64 is None:
                return None
            memory[name] = amount.as_int64
    return memory


def _budget_cpus(budget: Amounts, guaranteed: bool) -> int:
    return _integral(budget.get(CPU, ZERO)) if guaranteed else 0


def _budget_memory(budget: Amounts) -> Bytes | None:
    memory = _int64_memory(budget)
    return None if memory is None else {name: amount for name, amount in memory.items() if amount > 0}


def _pod_cpus(containers: Iterable[ContainerRequest]) -> int:
    """Init containers run one by one beside the sidecars started before them; app containers run together."""
    init, sidecars, apps = 0, 0, 0
    for container in containers:
        if container.kind is Kind.SIDECAR:
            sidecars += container.cpus
        elif container.kind is Kind.INIT:
            init = max(init, sidecars + container.cpus)
        else:
            apps += container.cpus
    return max(init, apps + sidecars)


def _pod_memory(containers: Iterable[ContainerRequest]) -> Bytes | None:
    """The same for memory, but a type that no app container requests is left out of the total."""
    init: dict[str, int] = {}
    sidecars: dict[str, int] = {}
    apps: dict[str, int] = {}
    for container in containers:
        if container.memory is None:
            return None
        for name, amount in container.memory.items():
            if container.kind is Kind.SIDECAR:
                sidecars[name] = sidecars.get(name, 0) + amount
            elif container.kind is Kind.INIT:
                init[name] = max(init.get(name, 0), sidecars.get(name, 0) + amount)
            else:
                apps[name] = apps.get(name, 0) + amount
    return {name: max(init.get(name, 0), amount + sidecars.get(name, 0)) for name, amount in apps.items()}


def _pod_limits(pod: Pod) -> Mapping[str, int]:
    """Limits of the pod as a whole, without overhead (PodLimits), rounded up to whole units."""
    init: dict[str, int] = {}
    sidecars: dict[str, int] = {}
    total: dict[str, int] = {}
    for container in pod.containers:
        if container.kind is not Kind.INIT:
            _add(total, container.resources.limits)
        if container.kind is Kind.SIDECAR:
            _add(sidecars, container.resources.limits)
        elif container.kind is Kind.INIT:
            beside = dict(sidecars)
            _add(beside, container.resources.limits)
            init = {name: max(init.get(name, 0), beside.get(name, 0)) for name in init.keys() | beside.keys()}
    return {name: -(-max(total.get(name, 0), init.get(name, 0)) // NANO) for name in total.keys() | init.keys()}


def _add(sums: dict[str, int], amounts: Amounts) -> None:
    for name, amount in amounts.items():
        sums[name] = sums.get(name, 0) + amount.nanos
