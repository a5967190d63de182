"""
How nodes are ranked for a pod: our strategies, and those of scheduler-plugins' NodeResourceTopologyMatch.

The latter are written from their formulas (its README and pkg/noderesourcetopology): 0 to 100, of what each zone has
available, the least of the zones' scores; where a node's policy is not single-numa-node only LeastNUMANodes has an
opinion. All rank the same nodes: those that the kubelet admits the pod on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from extender.columns.demand import Demand
from extender.columns.kernel import Outcome
from extender.columns.standing import Rows
from extender.columns.table import Ints, Table
from extender.columns.worth import worth
from extender.model.configuration import TopologyPolicy
from extender.score import Strategy

BEST = 100
MOST_ZONES = 8
"""topologyManagerMaxNUMANodes, by which LeastNUMANodes divides."""


@dataclass(frozen=True)
class Question:
    """One pod asked of the nodes of a table."""

    table: Table
    rows: Rows
    asked: Demand
    outcome: Outcome

    @property
    def requests(self) -> Mapping[str, int]:
        """What the pod asks as a whole: the effective request of its containers, or its budget."""
        assert self.asked.whole is not None
        return {"cpu": self.asked.whole.cpus, **dict(self.asked.whole.memory)}

    def available(self, resource: str) -> Ints:
        """(Z, N) what is available of a resource before the pod."""
        return self.table.cpu[:, self.rows] if resource == "cpu" else self.table.memory[resource][:, self.rows]


Rank = Callable[[Question], Ints]
"""Ranks (N,), higher is better."""


def ours(strategy: Strategy) -> Rank:
    """Our own score, 0 to 10."""

    def rank(question: Question) -> Ints:
        scored: Ints = worth(question.table, question.rows, question.outcome, question.asked, strategy).astype(np.int64)
        return scored

    return rank


def least_allocated(question: Question) -> Ints:
    """The part of each resource that stays available, in the mean."""
    return _least_of_zones(question, lambda free, request: (free - request) * BEST // np.maximum(free, 1))


def most_allocated(question: Question) -> Ints:
    """The part of each resource that is taken, in the mean."""
    return _least_of_zones(question, lambda free, request: request * BEST // np.maximum(free, 1))


def balanced_allocation(question: Question) -> Ints:
    """One less the variance of the parts that are taken of the resources."""
    parts = []
    fits = np.ones_like(question.available("cpu"), dtype=np.bool_)
    for resource, request in question.requests.items():
        free = question.available(resource)
        parts.append(np.where(free == 0, 1.0, request / np.maximum(free, 1)))
        fits &= parts[-1] <= 1
    variance = np.var(parts, axis=0, ddof=1)
    return _least(question, np.where(fits, ((1 - variance) * BEST).astype(np.int64), 0))


def least_numa_nodes(question: Question) -> Ints:
    """Fewer zones are better, near ones by half a step more."""
    fits = np.ones_like(question.available("cpu"), dtype=np.bool_)
    for resource, request in question.requests.items():
        fits &= question.available(resource) >= request
    step = BEST // MOST_ZONES
    # Two zones are as near as any two of these nodes are.
    return np.where(np.logical_or.reduce(fits), BEST - step + step // 2, BEST - 2 * step + step // 2)


def _least_of_zones(question: Question, part: Callable[[Ints, int], Ints]) -> Ints:
    scores = []
    for resource, request in question.requests.items():
        free = question.available(resource)
        scores.append(np.where(request > free, 0, part(free, request)))
    return _least(question, np.add.reduce(scores) // len(scores))


def _least(question: Question, scores: Ints) -> Ints:
    """The least of the zones' scores; a zone of score 0 does not count."""
    if question.table.law.policy is not TopologyPolicy.SINGLE_NUMA_NODE:
        return np.zeros(scores.shape[1], np.int64)
    counted = np.where(scores == 0, np.iinfo(np.int64).max, scores)
    least = np.minimum.reduce(counted)
    ranks: Ints = np.where(least == np.iinfo(np.int64).max, 0, least)
    return ranks


RANKS: Mapping[str, Rank] = {
    "pack": ours(Strategy.PACK),
    "balanced": ours(Strategy.BALANCED),
    "spread": ours(Strategy.SPREAD),
    "LeastAllocated": least_allocated,
    "MostAllocated": most_allocated,
    "BalancedAllocation": balanced_allocation,
    "LeastNUMANodes": least_numa_nodes,
}
DEFAULT, OTHERS = "pack", ("LeastAllocated", "MostAllocated", "BalancedAllocation", "LeastNUMANodes")
