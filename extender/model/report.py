"""
The report: what is known of one node at one moment, exact where its exporter saw everything.

Every part is always there, so that the law can run on it. Where a source was missing the part is the best true
answer that the other sources allow, and ``estimates`` names it: a verdict on such a node is an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from extender.model.configuration import KubeletConfiguration, Version
from extender.model.machine import Machine
from extender.model.state import NodeState


class Missing(StrEnum):
    """A part of a report that rests on something else than its proper source."""

    MACHINE = "machine"
    """Cores, sockets and CPU ids are invented to match quantities; only the amounts per zone are true."""
    CONFIGURATION = "configuration"
    """The kubelet's configuration is guessed: reservations from quantities, what nothing tells has its default."""
    VERSION = "version"
    """The kubelet's minor is unknown, or none whose law is known; the nearest known one stands in for it."""
    CPU_STATE = "cpu-state"
    """Exclusive CPUs are known from running containers or quantities only: what init containers hold is unseen."""
    MEMORY_STATE = "memory-state"
    """Memory is known from running containers or quantities only: leftovers and groups of zones may be unseen."""
    DEVICES = "devices"
    """Devices or their holders are not all known."""
    PODS = "pods"
    """Which pods the state contains is not told by uid; ``state.active`` then says nothing about real pods."""


@dataclass(frozen=True, slots=True)
class Amount:
    """One resource in one zone: CPUs, bytes or devices, as NodeResourceTopology defines the three."""

    capacity: int
    allocatable: int
    available: int


@dataclass(frozen=True, slots=True)
class ZoneQuantities:
    """What the standard part of the object says of one zone."""

    zone: int
    """The kernel's id."""
    resources: Mapping[str, Amount]
    costs: Mapping[int, int]
    """Zone id to distance; 10 is local."""


@dataclass(frozen=True, slots=True)
class Report:
    """One node at one moment."""

    node: str
    machine: Machine
    configuration: KubeletConfiguration
    version: Version
    """The minor whose law is applied."""
    state: NodeState
    """
    What the kubelet's managers hold. ``active`` has the pods that the kubelet has seen and that still run, by the
    uid of the API server; their containers are only those that hold something. Entries of other uids are leftovers.
    """
    estimates: tuple[Missing, ...] = ()
    """What is missing, ascending; empty where the report is exact."""
    kubelet_version: str = ""
    """As the Node says it, e.g. ``v1.37.2``; empty where unknown."""
    reserved: int | None = None
    """Bit set of the reserved CPUs as the kubelet tells it; None where it does not."""
    zones: tuple[ZoneQuantities, ...] = ()
    """The standard quantities, ascending by zone id."""
    fingerprint: str = ""
    """Which pods the quantities count (``pfp0v001…``), for consumers that know pods by name only."""
    fingerprint_method: str = ""
    """``all`` or ``with-exclusive-resources``; empty where the exporter names none, which means ``all``."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Part to what it is based on, e.g. ``cpus`` to ``checkpoint``."""
    warnings: tuple[str, ...] = ()
    """What the node's owner should look at, one sentence each."""
    heartbeat: int | None = None
    """When the exporter was last known to be alive, in seconds since 1970; None where it does not tell."""
    resource_version: str = field(default="", compare=False)
    """metadata.resourceVersion of the object that this was read from."""

    @property
    def exact(self) -> bool:
        """Whether a verdict on this report is the kubelet's."""
        return not self.estimates
