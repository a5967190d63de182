"""
What the API server makes of a pod before a kubelet sees it: canonical amounts, defaults, checks, the QoS class.

Follows an API server of 1.37 with its default gates (PodLevelResources, PodLevelResourcesFixDefaulting). Admission
plugins of a cluster (LimitRanger, webhooks) may change more; they are not known here.

Source: pkg/apis/core/v1/defaults.go (SetDefaults_ResourceList, SetDefaults_Pod), pkg/api/pod/util.go
(DefaultPodLevelResources), pkg/apis/core/validation/validation.go (validateResourceRequirements,
validatePodResourceConsistency), pkg/registry/core/pod/strategy.go (PrepareForCreate).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from extender.kubelet.features import gates
from extender.kubelet.requests import CPU, HUGEPAGES, MEMORY, is_memory, qos
from extender.model.configuration import Amounts, Version
from extender.model.pod import Container, Kind, Pod, Resources
from extender.quantity import MAX_INT64, NANO, Quantity, QuantityError, parse, parse_canonical

SERVER = Version.V1_37
THOUSANDTH = NANO // 1000
_STANDARD = frozenset({CPU, MEMORY, "ephemeral-storage"})
"""Resources of containers without a domain, besides hugepages (standardContainerResources)."""


class InvalidPodError(ValueError):
    """An API server would not take the pod; the message is one sentence that names the field and the value."""


def as_stored(pod: Pod) -> Pod:
    """
    Returns the pod as a kubelet would get it.

    Raises:
        InvalidPodError: an API server would not take it.
    """
    containers = tuple(
        replace(one, resources=_requests_from_limits(_canonical(one.resources))) for one in pod.containers
    )
    pod = replace(pod, containers=containers, resources=pod.resources and _canonical(pod.resources))
    if pod.resources is not None and (pod.resources.requests or pod.resources.limits):
        pod = replace(pod, resources=_budget_defaults(pod, pod.resources))
    _check(pod)
    return replace(pod, qos=qos(pod, gates(SERVER, {}), SERVER))


def _canonical(resources: Resources) -> Resources:
    return Resources(_stored(resources.requests), _stored(resources.limits))


def _stored(amounts: Amounts) -> Amounts:
    """Amounts in thousandths, rounded up, written as the API server writes them."""
    return {name: parse_canonical(str(_in_thousandths(amount))) for name, amount in amounts.items()}


def _in_thousandths(amount: Quantity) -> Quantity:
    rest = amount.nanos % THOUSANDTH
    return replace(amount, nanos=amount.nanos - rest + THOUSANDTH) if rest else amount


def _requests_from_limits(resources: Resources) -> Resources:
    return Resources({**resources.limits, **resources.requests}, resources.limits)


def _budget_defaults(pod: Pod, budget: Resources) -> Resources:
    """
    Fills in a pod-level budget (DefaultPodLevelResources).

    Steps: 1. limits of hugepages are those of the containers together; 2. requests are those of the containers
    together, else the limits; 3. limits are the larger of requests and the containers' limits together, of resources
    that every container limits.
    """
    requests, limits = dict(budget.requests), dict(budget.limits)
    inside = aggregate(pod, lambda resources: resources.limits)
    for name, amount in inside.items():
        if _is_hugepages(name) and name not in requests:
            limits.setdefault(name, amount)
    for name, amount in aggregate(pod, lambda resources: resources.requests).items():
        if name in {CPU, MEMORY}:
            requests.setdefault(name, amount)
    for name, amount in limits.items():
        if _is_pod_level(name):
            requests.setdefault(name, amount)
    for name, amount in requests.items():
        limited = all(name in container.resources.limits for container in pod.containers)
        if _is_pod_level(name) and name not in limits and limited:
            limits[name] = max(amount, inside[name], key=lambda one: one.nanos)
    return Resources(requests, limits)


def aggregate(pod: Pod, of: Callable[[Resources], Amounts]) -> dict[str, Quantity]:
    """Adds the containers' amounts up in the order in which they run (AggregateContainerRequests, …Limits)."""
    init: dict[str, Quantity] = {}
    sidecars: dict[str, Quantity] = {}
    total: dict[str, Quantity] = {}
    for container in pod.containers:
        amounts = of(container.resources)
        if container.kind is Kind.INIT:
            init = _largest(init, _sum(sidecars, amounts))
            continue
        total = _sum(total, amounts)
        if container.kind is Kind.SIDECAR:
            sidecars = _sum(sidecars, amounts)
            init = _largest(init, sidecars)
    return _largest(total, init)


def _sum(one: Amounts, other: Amounts) -> dict[str, Quantity]:
    added = dict(one)
    for name, amount in other.items():
        have = added.get(name)
        added[name] = amount if have is None else _plus(have, amount)
    return added


def _plus(one: Quantity, other: Quantity) -> Quantity:
    return parse_canonical(str(replace(one, nanos=one.nanos + other.nanos)))


def _largest(one: Amounts, other: Amounts) -> dict[str, Quantity]:
    largest = dict(one)
    for name, amount in other.items():
        if name not in largest or amount.nanos > largest[name].nanos:
            largest[name] = amount
    return largest


# What the API server would refuse


def _check(pod: Pod) -> None:
    for container in pod.containers:
        _check_resources(container.resources, f"resources of container {container.name!r}")
    for section in (lambda resources: resources.requests, lambda resources: resources.limits):
        for name, amount in aggregate(pod, section).items():
            _check_amount(name, amount, f"the sum of the containers' {name}")
    if pod.resources is None:
        return
    _check_resources(pod.resources, "spec.resources")
    for name in {**pod.resources.requests, **pod.resources.limits}:
        if not _is_pod_level(name):
            raise InvalidPodError(
                f"spec.resources: {name!r} is not one of cpu, memory and hugepages, which pods can have"
            )
    _check_budget(pod, pod.resources)


def _check_resources(resources: Resources, where: str) -> None:
    for section, amounts in (("limits", resources.limits), ("requests", resources.requests)):
        for name, amount in amounts.items():
            _check_amount(name, amount, f"{where}: {section}.{name}")
    for name, request in resources.requests.items():
        limit = resources.limits.get(name)
        if limit is None and not _is_overcommitted(name):
            raise InvalidPodError(f"{where}: requests.{name} of {request} needs a limit of the same amount")
        if limit is not None and request.nanos != limit.nanos and not _is_overcommitted(name):
            raise InvalidPodError(f"{where}: requests.{name} of {request} must equal its limit of {limit}")
        if limit is not None and request.nanos > limit.nanos:
            raise InvalidPodError(f"{where}: requests.{name} of {request} is more than its limit of {limit}")
    names = {**resources.requests, **resources.limits}
    if any(map(_is_hugepages, names)) and not names.keys() & {CPU, MEMORY}:
        raise InvalidPodError(f"{where}: hugepages need cpu or memory beside them")


def _check_amount(name: str, amount: Quantity, where: str) -> None:
    if "/" not in name and name not in _STANDARD and not _is_hugepages(name):
        raise InvalidPodError(f"{where}: {name!r} is not a resource that containers have")
    if _is_hugepages(name):
        _check_pages(name, amount, where)
    if not 0 <= amount.nanos <= MAX_INT64 * NANO:
        raise InvalidPodError(f"{where} of {amount} is below zero or more than a kubelet can count")
    if not _is_native(name) and amount.nanos % NANO:
        raise InvalidPodError(f"{where} of {amount} must be a whole number")


def _check_pages(name: str, amount: Quantity, where: str) -> None:
    try:
        page = parse(name.removeprefix(HUGEPAGES)).value
    except QuantityError:
        page = 0
    if page <= 0:
        raise InvalidPodError(f"{where}: {name!r} names no size of pages such as 2Mi")
    if amount.value % page:
        raise InvalidPodError(f"{where} of {amount} is no multiple of the size of a page")


def _check_budget(pod: Pod, budget: Resources) -> None:
    inside: Mapping[str, Quantity] = aggregate(pod, lambda resources: resources.requests)
    for name, amount in inside.items():
        have = budget.requests.get(name)
        if have is not None and amount.nanos > have.nanos:
            raise InvalidPodError(
                f"spec.resources: requests.{name} of {have} is less than the {amount} of its containers together"
            )
    for container in (one for one in pod.containers if one.kind is Kind.APP):
        _check_inside(container, budget)


def _check_inside(container: Container, budget: Resources) -> None:
    for name, limit in container.resources.limits.items():
        have = budget.limits.get(name)
        if have is not None and limit.nanos > have.nanos:
            raise InvalidPodError(
                f"resources of container {container.name!r}: limits.{name} of {limit} is more than the pod's {have}"
            )


def _is_pod_level(name: str) -> bool:
    return name == CPU or is_memory(name)


def _is_hugepages(name: str) -> bool:
    return is_memory(name) and name != MEMORY


def _is_native(name: str) -> bool:
    """Says whether a resource is one of Kubernetes' own (IsNativeResource)."""
    return "/" not in name or "kubernetes.io/" in name


def _is_overcommitted(name: str) -> bool:
    return _is_native(name) and not _is_hugepages(name)
