"""What may become of a node, for whoever asks whether another pod may be let through to it."""

from __future__ import annotations

from collections.abc import Sequence

from extender.fleet import Shape
from extender.inventory import ample
from extender.inventory.course import Course, may_start, on_its_way
from extender.inventory.ground import MOST_REMEMBERED, Ground, bound
from extender.inventory.orders import Hazard, actors, hazard, loose
from extender.model.pod import Pod

MOST_WIDER = 16
"""Outlooks with pods that are possibly on their way, of one node."""


class Outlook:
    """A node's ground, and the pods whose stage it does not tell for certain."""

    def __init__(self, ground: Ground, courses: Sequence[Course] = ()) -> None:
        self.ground, self.courses = ground, tuple(courses)
        self._hazards: dict[Shape, Hazard | None] = {}
        self._wider: dict[tuple[str, ...], Outlook] = {}

    def with_possible(self, pods: Sequence[tuple[Pod, Shape]]) -> Outlook:
        """Returns the outlook if these pods may be on their way as well."""
        if not pods:
            return self
        uids = tuple(pod.uid for pod, _ in pods)
        bound(self._wider, MOST_WIDER)
        wider = self._wider.get(uids)
        if wider is None:
            more = [on_its_way(pod, shape, starts=self._starts(pod)) for pod, shape in pods]
            wider = self._wider[uids] = Outlook(self.ground, (*self.courses, *more))
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
        if self.ground.counts and ample.for_all(self.ground.snapshot, self.courses, asker):
            return None
        *others, last = actors((*self.courses, asker), self.ground.numbers)
        return hazard(self.ground.history(loose((*others, last))), others, last)

    def _starts(self, pod: Pod) -> bool:
        return self.ground.kubelet.memory is not None and may_start(pod)
