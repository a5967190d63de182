"""
The answer to "will this kubelet admit this pod": a value, with quantities, either way.

The kubelet's own sentence is made from it in ``extender.wire.sentences``; nothing here is prose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, TypeAlias

from extender.model.state import Block


class Reason(StrEnum):
    """status.reason of a refused pod."""

    TOPOLOGY_AFFINITY = "TopologyAffinityError"
    SMT_ALIGNMENT = "SMTAlignmentError"
    EMPTY_POD_SHARED_POOL = "EmptyPodSharedPoolError"
    UNEXPECTED = "UnexpectedAdmissionError"


class Cause(StrEnum):
    """What exactly went wrong; several causes share one reason."""

    NO_ALIGNMENT = "no-alignment"
    """The merged hint is not admitted by the policy."""
    SMT_NOT_MULTIPLE = "smt-not-multiple"
    SMT_NOT_ENOUGH = "smt-not-enough-physical-cpus"
    EMPTY_POOL_INIT = "empty-pool-for-shared-init-container"
    EMPTY_POOL_SUM = "exclusive-sum-equals-budget"
    NOT_ENOUGH_CPUS = "not-enough-cpus"
    CPU_ACCOUNTING = "cpu-accounting"
    AMOUNT_NOT_AN_INTEGER = "amount-not-an-int64"
    """M0 of the memory manager."""
    NO_DEFAULT_HINT = "no-default-hint"
    """M1: nowhere enough memory."""
    NO_PREFERRED_DEFAULT_HINT = "no-preferred-default-hint"
    """M2."""
    NO_EXTENDED_HINT = "no-extended-hint"
    """M3: the chosen zones and no wider group have enough memory."""
    NO_PREFERRED_EXTENDED_HINT = "no-preferred-extended-hint"
    """M4."""
    GROUP_VIOLATION = "group-violation"
    """M5: the zones are held singly or in another group."""
    DEVICE_REQUEST_CHANGED = "device-request-changed"
    DEVICE_UNREGISTERED = "device-unregistered"
    DEVICE_NONE_HEALTHY = "device-none-healthy"
    DEVICE_ALLOCATED_UNHEALTHY = "device-allocated-unhealthy"
    DEVICE_NOT_ENOUGH = "device-not-enough"


@dataclass(frozen=True, slots=True)
class Shortage:
    """One resource that no admissible group of zones had enough of, as the hints saw it."""

    resource: str
    requested: int
    """CPUs, bytes or devices."""
    available: Mapping[int, int]
    """Zone id to what was available there."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The kubelet refuses the pod."""

    reason: Reason
    cause: Cause
    container: str | None = None
    """The container at which admission ended; None where the pod was judged as a whole."""
    resource: str | None = None
    requested: int | None = None
    available: int | None = None
    detail: Mapping[str, int] = field(default_factory=dict)
    """Further figures of the kubelet's message, by name."""
    pod_level: bool = False
    """Whether the pod-level budget was judged (it changes the kubelet's sentence)."""
    shortages: tuple[Shortage, ...] = ()

    admit: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Admission:
    """The kubelet admits the pod, and this is what it gives."""

    affinity: Mapping[str, int | None] = field(default_factory=dict)
    """Container name to the zones of its stored hint; None where any zone will do."""
    pod_cpus: int | None = None
    """All CPUs of a pod-level allocation; None where the pod has none."""
    pod_memory: tuple[Block, ...] = ()
    cpus: Mapping[str, int] = field(default_factory=dict)
    """Container name to CPUs: its exclusive ones, or its pod's shared pool."""
    memory: Mapping[str, tuple[Block, ...]] = field(default_factory=dict)
    devices: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    exclusive: frozenset[str] = frozenset()
    """Names of the containers whose CPUs are an exclusive slice."""
    shared_pool: int | None = None
    """CPUs of the pod shared pool that its containers end with; None without a pod-level allocation of CPUs."""

    admit: ClassVar[bool] = True


Verdict: TypeAlias = Admission | Refusal
