"""
What is remembered of one question: the answer of each node, and as of which change of the node it stands.

Why a node refuses is remembered without figures, so that a fleet has few such reasons however many nodes it has.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from extender.columns.demand import Demand
from extender.columns.kernel import Fate
from extender.columns.law import Law
from extender.columns.table import Ints
from extender.model.configuration import KubeletConfiguration
from extender.model.verdict import Refusal

NO_SCORE = -1
NO_REASON = -1
BYTES_A_NODE = 8 + 1 + 1 + 1 + 2


@dataclass(frozen=True)
class Why:
    """Why kubelets of one law refuse a pod; equal for all nodes to which the same applies."""

    refusal: Refusal | None
    """With the amounts asked for and no figures of a node; None where the kubelet would crash or hang."""
    configuration: KubeletConfiguration
    """Of one of the kubelets."""
    scarce: tuple[str, ...] = ()
    """The resources that stand in the way, where no zone or group had enough for all."""
    crash: str = ""
    because: Hashable | None = None
    """The inventory's own reason, where the kubelet would admit the pod if it came next."""


@dataclass
class Answers:
    """The answers to one question; arrays are by slot, shape (N,)."""

    seen: Ints
    """The change of the node that the answer knows; 0 where there is none."""
    fate: NDArray[np.int8]
    """A ``Fate`` each."""
    doubted: NDArray[np.bool_]
    """Whether the inventory has had a look at it."""
    score: NDArray[np.int8]
    """0 to 10, or ``NO_SCORE`` where it is not worked out yet."""
    why: NDArray[np.int16]
    """Of a refusal, its place in ``reasons``."""
    asked: str = ""
    """Uid of the pod that was asked about last."""
    reasons: list[Why] = field(default_factory=list)
    places: dict[object, int] = field(default_factory=dict)
    """Key of a reason to its place."""
    demands: dict[Law, Demand | None] = field(default_factory=dict)
    notes: dict[int, tuple[int, str]] = field(default_factory=dict)
    """By slot, the change of the node and a text: for whoever asks."""

    @classmethod
    def of_none(cls, capacity: int) -> Answers:
        """Returns answers of which none is known."""
        return cls(
            seen=np.zeros(capacity, np.int64),
            fate=np.zeros(capacity, np.int8),
            doubted=np.zeros(capacity, np.bool_),
            score=np.full(capacity, NO_SCORE, np.int8),
            why=np.full(capacity, NO_REASON, np.int16),
        )

    def grow(self, capacity: int) -> None:
        """Makes place for more nodes."""
        more = capacity - len(self.seen)
        if more > 0:
            new = Answers.of_none(more)
            for name in ("seen", "fate", "doubted", "score", "why"):
                setattr(self, name, np.concatenate([getattr(self, name), getattr(new, name)]))

    def renew(self, slots: Ints, changes: Ints) -> None:
        """Takes note that some nodes have changed, so that nothing is known of them."""
        self.seen[slots] = changes
        self.fate[slots] = Fate.UNDECIDED
        self.doubted[slots] = False

    def place(self, key: object, why: Why) -> int:
        """Returns the place of a reason, taken in if it is new."""
        known = self.places.get(key)
        if known is None:
            known = self.places[key] = len(self.reasons)
            self.reasons.append(why)
        return known
