"""What is known of one node, as a value; how it changes with each piece of news is the matter of ``news``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from extender.fleet import Shape, Snapshot
from extender.inventory.ground import Ground
from extender.inventory.outlook import Outlook
from extender.kubelet.admission import Kubelet
from extender.model.observed import ObservedPod
from extender.model.pod import Pod
from extender.model.report import Missing, Report

NO_REPORT = "no report"


class Knowledge(StrEnum):
    """How well a node is known."""

    EXACT = "exact"
    """The verdict is the kubelet's."""
    ESTIMATED = "estimated"
    """The report does not tell everything, or the kubelet's minor is not one whose law is known."""
    STALE = "stale"
    """The exporter has fallen silent."""
    UNKNOWN = "unknown"
    """There is no report, or none that can be used."""


@dataclass(frozen=True, slots=True)
class Held:
    """A pod that holds something on a node, or may."""

    seen: ObservedPod
    """As the API server shows it, or as it was when we bound it."""
    shape: Shape
    included: bool = False
    """It ran before the last change of the report, which therefore counts it even if it tells no uids."""
    reported: bool = False
    """A report had it once."""
    late: bool = False
    """Others of whom we have never heard may have been there when it came, so that nobody can tell its place."""
    passed: bool = False
    """We let it through to this node."""
    over: float | None = None
    """When we learned that it has ended or was deleted, by our own clock."""
    until: float | None = None
    """When an assumed binding is given up; None once the API server has shown the pod bound."""

    @property
    def pod(self) -> Pod:
        """The pod itself."""
        return self.seen.pod

    @property
    def started(self) -> bool:
        """Whether its ordinary init containers are done."""
        return self.seen.started


@dataclass(frozen=True, slots=True)
class Node:
    """One node."""

    name: str
    listed: bool = False
    """Whether the API server has a Node of this name."""
    uid: str = ""
    """Of that Node: one that is made anew under an old name is another one. Empty where it is not known."""
    owner: str = ""
    """Uid of the Node that the report is about; empty where the report does not tell."""
    told: bool = False
    """Whether the API server has told which pods there are."""
    report: Report | None = None
    fault: str = NO_REPORT
    """Why the node is unknown, where it is."""
    heard: float = 0.0
    """When the exporter was last heard of, by our own clock."""
    stale: bool = False
    held: Mapping[str, Held] = field(default_factory=dict)
    """Pod uid to what is known of it, in the order of first knowledge."""
    kubelet: Kubelet | None = None
    ground: Ground | None = None
    """Of the report, for as long as it stands."""
    snapshot: Snapshot | None = None
    """As the kubelet's next admission will find it if pods come in the order in which we learned of them."""
    outlook: Outlook | None = None
    """What else may become of it; there is one where there is a snapshot."""

    @property
    def knowledge(self) -> Knowledge:
        """How well the node is known now."""
        if self.snapshot is None or self.report is None:
            return Knowledge.UNKNOWN
        if self.stale:
            return Knowledge.STALE
        return Knowledge.EXACT if self.report.exact else Knowledge.ESTIMATED


def standings(node: Node) -> Counter[str]:
    """Counts the node's pods by how we know them: in its report, bound since, or assumed bound."""
    found: Counter[str] = Counter()
    for uid, held in node.held.items():
        if node.report is not None and in_report(node.report, uid, held):
            found["reported"] += 1
        elif held.over is None:
            found["pending" if held.until is None else "assumed"] += 1
    return found


def in_report(report: Report, uid: str, held: Held) -> bool:
    """Whether what a pod holds is part of a report's state."""
    return held.included if Missing.PODS in report.estimates else uid in report.state.active
