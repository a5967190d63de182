"""
What a kubelet was told: the fields of KubeletConfiguration that decide admission, and its minor version.

The values are as configured, not yet judged: whether a kubelet would start with them is for
``extender.kubelet.admission`` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from extender.quantity import Quantity

Amounts = Mapping[str, Quantity]
"""Resource name to quantity."""


class Version(StrEnum):
    """Kubelet minors whose law is known."""

    V1_35 = "1.35"
    V1_36 = "1.36"
    V1_37 = "1.37"


class TopologyPolicy(StrEnum):
    """topologyManagerPolicy."""

    NONE = "none"
    BEST_EFFORT = "best-effort"
    RESTRICTED = "restricted"
    SINGLE_NUMA_NODE = "single-numa-node"


class Scope(StrEnum):
    """topologyManagerScope."""

    CONTAINER = "container"
    POD = "pod"


class CpuPolicy(StrEnum):
    """cpuManagerPolicy."""

    NONE = "none"
    STATIC = "static"


class MemoryPolicy(StrEnum):
    """memoryManagerPolicy."""

    NONE = "None"
    STATIC = "Static"


@dataclass(frozen=True, slots=True)
class ReservedMemory:
    """One entry of reservedMemory."""

    zone: int
    limits: Amounts


@dataclass(frozen=True, slots=True)
class KubeletConfiguration:
    """The fields of a KubeletConfiguration that decide admission, with the kubelet's defaults."""

    topology_policy: TopologyPolicy = TopologyPolicy.NONE
    topology_scope: Scope = Scope.CONTAINER
    topology_options: Mapping[str, str] = field(default_factory=dict)
    cpu_policy: CpuPolicy = CpuPolicy.NONE
    cpu_options: Mapping[str, str] = field(default_factory=dict)
    reserved_system_cpus: str = ""
    system_reserved: Amounts = field(default_factory=dict)
    kube_reserved: Amounts = field(default_factory=dict)
    eviction_hard: Mapping[str, str] | None = None
    """Thresholds by signal; None is the Linux default, which reserves 100Mi of memory."""
    memory_policy: MemoryPolicy = MemoryPolicy.NONE
    reserved_memory: tuple[ReservedMemory, ...] = ()
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
