"""The kubelet's own message for a refusal, made from its figures."""

from __future__ import annotations

from collections.abc import Callable

from extender.model.verdict import Cause, Reason, Refusal

_MEMORY = "[memorymanager] "


def _no_alignment(refusal: Refusal) -> str:
    if not refusal.pod_level:
        return "Resources cannot be allocated with Topology locality"
    where = "with a container-level" if refusal.container else "under pod-scope"
    return f"Pod Scope pod with pod-level resources failed admission {where} topology manager"


def _plural(refusal: Refusal) -> str:
    return "cpus" if refusal.resource == "cpu" else str(refusal.resource)


_CAUSES: dict[Cause, Callable[[Refusal], str]] = {
    Cause.NO_ALIGNMENT: _no_alignment,
    Cause.SMT_NOT_MULTIPLE: lambda refusal: (
        f"SMT Alignment Error: requested {refusal.requested} cpus not multiple "
        f"cpus per core = {refusal.detail['cpusPerCore']}"
    ),
    Cause.SMT_NOT_ENOUGH: lambda refusal: (
        "SMT Alignment Error: not enough free physical CPUs: "
        f"available physical CPUs = {refusal.available}, requested CPUs = {refusal.requested}, "
        f"CPUs per core = {refusal.detail['cpusPerCore']}"
    ),
    Cause.EMPTY_POOL_INIT: lambda refusal: (
        f"pod rejected, pod has shared init containers but no {_plural(refusal)} available for them"
    ),
    Cause.EMPTY_POOL_SUM: lambda refusal: (
        f"pod rejected, sum of exclusive container {refusal.resource} requests equals pod budget, "
        f"leaving no {'cpus' if refusal.resource == 'cpu' else 'memory'} for shared containers"
    ),
    Cause.NOT_ENOUGH_CPUS: lambda refusal: (
        f"not enough cpus available to satisfy request: requested={refusal.requested}, available={refusal.available}"
    ),
    Cause.CPU_ACCOUNTING: lambda refusal: (
        f"accounting error, {'not enough' if (refusal.available or 0) > 0 else 'too many'} CPUs allocated, "
        f"remaining: {refusal.available}"
    ),
    Cause.AMOUNT_NOT_AN_INTEGER: lambda _: f"{_MEMORY}failed to represent quantity as int64",
    Cause.NO_DEFAULT_HINT: lambda _: (
        f"{_MEMORY}failed to get the default NUMA affinity, no NUMA nodes with enough memory is available"
    ),
    Cause.NO_PREFERRED_DEFAULT_HINT: lambda _: f"{_MEMORY}failed to find the default preferred hint",
    Cause.NO_EXTENDED_HINT: lambda _: f"{_MEMORY}failed to find NUMA nodes to extend the current topology hint",
    Cause.NO_PREFERRED_EXTENDED_HINT: lambda _: f"{_MEMORY}failed to find the extended preferred hint",
    Cause.GROUP_VIOLATION: lambda _: f"{_MEMORY}preferred hint violates NUMA node allocation",
    Cause.DEVICE_REQUEST_CHANGED: lambda refusal: (
        f'container "{refusal.container}" changed request for resource "{refusal.resource}" '
        f"from {refusal.available} to {refusal.requested}"
    ),
    Cause.DEVICE_UNREGISTERED: lambda refusal: f"cannot allocate unregistered device {refusal.resource}",
    Cause.DEVICE_NONE_HEALTHY: lambda refusal: (
        f"no healthy devices present; cannot allocate unhealthy devices {refusal.resource}"
    ),
    Cause.DEVICE_ALLOCATED_UNHEALTHY: lambda refusal: (
        f"previously allocated devices are no longer healthy; cannot allocate unhealthy devices {refusal.resource}"
    ),
    Cause.DEVICE_NOT_ENOUGH: lambda refusal: (
        f"requested number of devices unavailable for {refusal.resource}. "
        f"Requested: {refusal.requested}, Available: {refusal.available}"
    ),
}


def kubelet_message(refusal: Refusal, uid: str = "") -> str:
    """
    Returns the message that the kubelet puts into the pod's status, without its ``Pod was rejected: ``.

    Args:
        refusal: the verdict.
        uid: of the pod, which one of the sentences names.
    """
    sentence = _CAUSES[refusal.cause](refusal)
    if refusal.cause is Cause.DEVICE_REQUEST_CHANGED:
        sentence = f'pod "{uid}" {sentence}'
    if refusal.reason is Reason.UNEXPECTED:
        return f"Allocate failed due to {sentence}, which is unexpected"
    return sentence
