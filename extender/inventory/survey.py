"""
One pod on many nodes: the fleet's answers, and what is to be added to them because the pods of others may be on their way.

Nodes are told apart by footing: how well they are known and what a reader should know about that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from extender.columns.fleet import Entry, Told, Way
from extender.columns.kernel import Fate
from extender.columns.names import UNHEARD
from extender.columns.table import Bools
from extender.inventory.judgement import Judgement
from extender.inventory.node import Knowledge, Node
from extender.inventory.rules import Rules, StaleReports, UnknownNodes
from extender.model.report import Missing


@dataclass(frozen=True, slots=True)
class Footing:
    """What a verdict on a node rests on."""

    knowledge: Knowledge
    stale: bool = False
    estimates: tuple[Missing, ...] = ()


UNKNOWN = Footing(Knowledge.UNKNOWN)


@dataclass(slots=True)
class Footings:
    """Every footing that there was, by the number that the fleet labels nodes with; there are few."""

    known: list[Footing] = field(default_factory=lambda: [UNKNOWN])
    numbers: dict[Footing, int] = field(default_factory=lambda: {UNKNOWN: 0})

    def number(self, footing: Footing) -> int:
        """Returns the number of a footing."""
        if footing not in self.numbers:
            self.known.append(footing)
            self.numbers[footing] = len(self.known) - 1
        return self.numbers[footing]


def footing(node: Node) -> Footing:
    """Returns the footing of a node."""
    return Footing(node.knowledge, node.stale, node.report.estimates if node.report else ())


def entry(node: Node, rules: Rules, label: int) -> Entry:
    """Returns what the fleet is to know of a node; the same distinctions as in ``judgement.judge``."""
    if node.snapshot is None or node.outlook is None:
        passes = rules.unknown_nodes is UnknownNodes.PASS
        return Entry(Way.PASSES if passes else Way.REFUSED, label=label)
    if node.stale and rules.stale_reports is not StaleReports.PESSIMISTIC:
        passes = rules.stale_reports is StaleReports.PASS
        return Entry(Way.PASSES if passes else Way.REFUSED, label=label)
    return Entry(Way.DOUBT if node.outlook.courses else Way.LAW, node.snapshot, label, about=node.outlook)


@dataclass(frozen=True)
class Survey:
    """Whether each node is let through for a pod, and on what ground; nodes are in the order of the question."""

    names: Sequence[str]
    told: Told
    fits: Bools
    """(N,)"""
    footings: Sequence[Footing]
    """By the numbers in ``told.label``."""
    alone: Mapping[int, Judgement] = field(default_factory=dict)
    """Place to judgement, of nodes that were judged by themselves."""

    @cached_property
    def passed(self) -> Sequence[str]:
        """Names of the nodes that are let through."""
        return self.names if self.fits.all() else list(compress(self.names, self.fits.tolist()))

    def refused(self) -> NDArray[np.int64]:
        """Places of the nodes that are not."""
        return np.flatnonzero(~self.fits)


def fits_by(told: Told, rules: Rules) -> Bools:
    """Says which nodes are let through, before anything else is considered."""
    fits: Bools = told.fate == Fate.ADMITTED
    if told.ruled:
        heard = told.slots != UNHEARD
        fits |= heard & (told.way == Way.PASSES)
        fits |= ~heard & (rules.unknown_nodes is UnknownNodes.PASS)
    return fits
