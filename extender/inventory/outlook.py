"""What may become of a node, for whoever asks whether another pod may be let through to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from extender.fleet import Shape
from extender.inventory import ample
from extender.inventory.course import Course, may_start, on_its_way
from extender.inventory.ground import MOST_REMEMBERED, Ground, bound
from extender.inventory.orders import Hazard, Why, actors, hazard, loose
from extender.model.configuration import TopologyPolicy
from extender.model.pod import Pod

MOST_WIDER = 16
"""Outlooks with pods that are possibly on their way, of one node."""


class Outlook:
    """A node's ground, and the pods whose stage it does not tell for certain."""

    def __init__(self, ground: Ground, courses: Sequence[Course] = (), *, unheard: bool = False) -> None:
        """
        Looks out from a ground.

        Args:
            ground: what is certain.
            courses: of pods whose stage it does not tell for certain.
            unheard: whether they may have met others of whom we have never heard: then no order tells their places.
        """
        self.ground, self.courses, self.unheard = ground, tuple(courses), unheard
        self._hazards: dict[Shape, Hazard | None] = {}
        self._wider: dict[frozenset[tuple[Shape, int]], Outlook] = {}

    def with_possible(self, pods: Sequence[tuple[Pod, Shape]]) -> Outlook:
        """
        Returns the outlook if these pods may be on their way as well.

        Pods of one shape are as good as each other: histories name arrivals by shape and rank.
        """
        if not pods:
            return self
        kinds = frozenset(Counter(shape for _, shape in pods).items())
        wider = self._wider.get(kinds)
        if wider is None:
            bound(self._wider, MOST_WIDER)
            more = [on_its_way(pod, shape, starts=self._starts(pod)) for pod, shape in pods]
            wider = self._wider[kinds] = Outlook(self.ground, (*self.courses, *more), unheard=self.unheard)
        return wider

    def hazard(self, pod: Pod, shape: Shape) -> Hazard | None:
        """Returns what keeps a pod, which would be admitted if it came next, from being let through."""
        if not self.courses:
            return None
        if shape not in self._hazards:
            bound(self._hazards, MOST_REMEMBERED)
            self._hazards[shape] = self._worked_out(pod, shape)
        return self._hazards[shape]

    def _worked_out(self, pod: Pod, shape: Shape) -> Hazard | None:
        asker = on_its_way(pod, shape, starts=self._starts(pod))
        if self._counts and ample.for_all(self.ground.snapshot, self.courses, asker):
            return None
        if self.unheard:
            return Hazard(Why.UNHEARD, others=len(self.courses))
        book = self.ground.book
        *others, last = actors((*self.courses, asker), book.number)
        return hazard(book.history(loose((*others, last))), others, last)

    @property
    def _counts(self) -> bool:
        """Whether counts decide: with others in the way, a kubelet that does not insist on one zone takes several."""
        insists = self.ground.kubelet.topology_manager.policy is not TopologyPolicy.BEST_EFFORT
        return self.ground.counts and (insists or not self.unheard)

    def _starts(self, pod: Pod) -> bool:
        return self.ground.kubelet.memory is not None and may_start(pod)
