"""
What the operator decided about incomplete knowledge: values, read from the settings by the shell.

Every default is the careful choice that keeps a cluster working while the exporters are being rolled out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class UnknownNodes(StrEnum):
    """What becomes of a node that has no readable report."""

    PASS = "pass"  # noqa: S105 - no password
    """The node passes, marked unknown: as if the extender were not there."""
    REFUSE = "refuse"


class StaleReports(StrEnum):
    """What becomes of a node whose exporter has fallen silent."""

    PESSIMISTIC = "pessimistic"
    """The node is judged by its last report, of which nothing counts as freed since."""
    PASS = "pass"  # noqa: S105 - no password
    REFUSE = "refuse"


class Assume(StrEnum):
    """From when on a pod counts as being on a node."""

    FILTER = "filter"
    """From filter's answer on, on every node that was let through: for a scheduler without our bindVerb."""
    BIND = "bind"
    """From bind on, on the one node, exactly: for a scheduler whose configuration has our bindVerb."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How the inventory treats what it does not know for certain."""

    unknown_nodes: UnknownNodes = UnknownNodes.PASS
    """A node without a report passes or is refused; either way it is counted and named as unknown."""
    stale_reports: StaleReports = StaleReports.PESSIMISTIC
    """What is done with a node whose report is stale."""
    stale_seconds: int = field(default=180, metadata={"from": 5, "to": 86_400})
    """Seconds without a heartbeat of the exporter after which its report is stale."""
    assume: Assume = Assume.FILTER
    """When a pod starts to count as being on a node: at filter, or at bind (needs bindVerb)."""
    answered_seconds: int = field(default=10, metadata={"from": 1, "to": 600})
    """Seconds for which a pod that was let through and is not bound yet counts as possibly on each of its nodes."""
    preemption: bool = False
    """Whether refused nodes that evictions would open are told apart: for a scheduler that hands them to preemptVerb."""
    assumed_seconds: int = field(default=60, metadata={"from": 5, "to": 3600})
    """Seconds for which a pod that was bound here counts before the API server has shown it bound."""
