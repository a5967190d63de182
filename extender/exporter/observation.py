"""
What each source says of the node, as values: the nouns between reading and reporting.

Every source may be missing (None): the exporter may have no permission, the kubelet may be away, an internal file may
have a form that is not known. ``extender.exporter.build`` makes the best true report of what there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from extender.exporter.sysfs import Hardware
from extender.model.configuration import KubeletConfiguration
from extender.model.pod import Kind
from extender.model.state import Block, Device, Devices, ZoneMemory

Held = Mapping[str, Mapping[str, frozenset[str]]]
"""Container name to resource name to device ids."""


class Source(StrEnum):
    """Where a fact comes from."""

    SYSFS = "sysfs"
    CONFIGZ = "configz"
    CONFIGURATION_FILE = "configuration file"
    STAND_IN = "configuration file in place of configz"
    """The kubelet does not tell; its file lacks what flags and drop-in files change."""
    NODE = "node"
    CHECKPOINT = "checkpoint"
    POD_RESOURCES = "podresources"
    PODS = "pods"
    NONE = "none"


class CheckpointFault(StrEnum):
    """Why a checkpoint file cannot be used."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    UNKNOWN_FORM = "unknown-form"


# --- PodResources


@dataclass(frozen=True, slots=True)
class ListedContainer:
    """One running container of PodResources List."""

    cpus: int = 0
    """Bit set of its exclusive CPUs."""
    memory: tuple[Block, ...] = ()
    devices: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Resource name to device ids."""
    near: int = 0
    """Bit set of the zones that its devices are near."""


@dataclass(frozen=True, slots=True)
class ListedPod:
    """One pod of PodResources List: the kubelet runs it, or is about to admit it."""

    namespace: str
    name: str
    containers: Mapping[str, ListedContainer]
    cpus: int = 0
    """Bit set of its pod-level allocation, which includes what its containers have."""
    memory: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Allocatable:
    """GetAllocatableResources."""

    cpus: int
    """Bit set of the CPUs that can become exclusive; empty under policy none."""
    memory: Mapping[int, Mapping[str, int]]
    """Zone id to memory type to bytes; empty under policy None."""
    devices: Devices
    """Healthy devices, taken or not."""


# --- Checkpoints


@dataclass(frozen=True, slots=True)
class CpuCheckpoint:
    """cpu_manager_state."""

    policy: str
    default: int
    entries: Mapping[str, Mapping[str, int]]
    """Pod uid to container name to CPUs."""
    pod_entries: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class MemoryCheckpoint:
    """memory_manager_state."""

    policy: str
    zones: Mapping[int, ZoneMemory]
    totals: Mapping[int, Mapping[str, int]]
    """Zone id to memory type to all bytes, as the kubelet found them when it started; of memory, hugepages included."""
    allocatable: Mapping[int, Mapping[str, int]]
    entries: Mapping[str, Mapping[str, tuple[Block, ...]]]
    pod_entries: Mapping[str, tuple[Block, ...]]


@dataclass(frozen=True, slots=True)
class DeviceCheckpoint:
    """device-plugins/kubelet_internal_checkpoint."""

    entries: Mapping[str, Held]
    """By pod uid."""
    resources: frozenset[str]
    """Names that plugins have registered."""


# --- API server


@dataclass(frozen=True, slots=True)
class ApiPod:
    """One pod bound to the node."""

    uid: str
    """Of the API server."""
    kubelet_uid: str
    """Of the kubelet: for the mirror of a static pod it is the static pod's own."""
    namespace: str
    name: str
    kinds: Mapping[str, Kind]
    """Container name to kind, in the kubelet's order."""
    terminal: bool = False
    """Succeeded or Failed: the kubelet frees what it held at the next admission."""
    acknowledged: bool = False
    """The kubelet has reported a status of it."""
    created: str = ""
    """metadata.creationTimestamp; as text it sorts by time."""


@dataclass(frozen=True, slots=True)
class ApiNode:
    """The Node object."""

    uid: str
    kubelet_version: str
    capacity: Mapping[str, int]
    """Extended resource to how many devices its plugin reports, unhealthy ones included."""


@dataclass(frozen=True, slots=True)
class Observation:
    """All sources at one moment."""

    node: str
    hardware: Hardware
    configuration: KubeletConfiguration | None = None
    configuration_source: Source = Source.NONE
    api_node: ApiNode | None = None
    pods: Mapping[str, ApiPod] | None = None
    """By the API server's uid."""
    departed: Mapping[str, ApiPod] = field(default_factory=dict)
    """Pods that were seen and are no longer in the API server, by its uid."""
    recent: frozenset[str] = frozenset()
    """Kubelet uids in checkpoints for so short a time that the API server's news of them may be on its way."""
    listed: tuple[ListedPod, ...] | None = None
    fresh: bool = False
    """Whether the kubelet started so short a time ago that it may not have looked at all its pods again."""
    allocatable: Allocatable | None = None
    cpu: CpuCheckpoint | CheckpointFault = CheckpointFault.MISSING
    memory: MemoryCheckpoint | CheckpointFault = CheckpointFault.MISSING
    device: DeviceCheckpoint | CheckpointFault = CheckpointFault.MISSING
    remembered: Mapping[str, Mapping[str, Device]] = field(default_factory=dict)
    """Resource name to devices by id that were healthy at some time."""
