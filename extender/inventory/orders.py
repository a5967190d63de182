"""
Every order in which a kubelet may come to the pods that are on their way to its node.

A pod may be let through only if it is admitted wherever it stands in that order, and if no other pod is refused
because of it. Other pods arrive, start, end or never come; each of them has a course (``course``), and all states
that their courses lead to are gone through, those that are equal once (``history``). Where that would take more than
``MOST_STEPS`` steps nobody can say so in time: the node is busy, until its next report makes an end of the doubt.

What is not considered: a pod that its report shows and that ends by itself, unheard of, in the moment in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from extender.fleet import Shape
from extender.inventory.course import Course, Stage
from extender.inventory.history import History, Moment, Refused
from extender.model.pod import Pod

MOST_STEPS = 256
"""Steps of the twin for one answer: at most about 25 ms, and next to nothing when they were taken before."""

Stages = tuple[Stage, ...]


class Why(StrEnum):
    """Why pods on their way keep another one from being let through."""

    TAKEN = "place-may-be-taken"
    """There is an order in which it would find no place."""
    DISPLACES = "may-displace-another"
    """There is an order in which one of them would find no place because of it."""
    BUSY = "too-many-orders"
    """There are too many orders to tell."""
    UNHEARD = "unheard-of"
    """Something that nobody told us may have been in their way, so that their places are anybody's guess."""


@dataclass(frozen=True, slots=True)
class Hazard:
    """What keeps a pod from being let through although its kubelet would admit it if it came next."""

    why: Why
    refused: Refused | None = None
    """What the kubelet would say, to the pod itself or to another one; None where nobody knows."""
    others: int = 0
    """How many pods are not known for certain."""


class TooManyOrdersError(Exception):
    """More than ``MOST_STEPS`` steps."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A course under the name that its pod has in histories of its node."""

    course: Course
    uid: str
    pod: Pod
    twin: int | None = None
    """Place of the actor that is alike in every respect and is taken to arrive before this one."""


def actors(courses: Sequence[Course], number: Callable[[Shape], int]) -> tuple[Actor, ...]:
    """Names arrivals by their shape and rank; pods that the report has keep their uid."""
    ranks: Counter[Shape] = Counter()
    alike: dict[Course, int] = {}
    found: list[Actor] = []
    for place, course in enumerate(courses):
        pod, twin = course.pod, None
        if course.arrives:
            pod = replace(pod, uid=f"{number(course.shape)}#{ranks[course.shape]}")
            ranks[course.shape] += 1
            if not course.loose:
                likeness = replace(course, pod=_NOBODY)
                twin = alike.get(likeness)
                alike[likeness] = place
        found.append(Actor(course, pod.uid, pod, twin))
    return tuple(found)


_NOBODY = Pod("", "", ())


def loose(actors: Iterable[Actor]) -> frozenset[str]:
    """Names those whose own place matters."""
    return frozenset(actor.uid for actor in actors if actor.course.loose)


class Walk:
    """All moments that courses lead to, from one or several on."""

    def __init__(self, history: History, actors: Sequence[Actor], steps: int = MOST_STEPS) -> None:
        self._history, self._actors = history, actors
        self.steps = steps
        """How many may still be taken."""
        self.reached: dict[Moment, Stages] = {}
        self.refused: dict[int, Refused] = {}
        """Place of an actor to how it may be refused."""

    def go(self, starts: Iterable[tuple[Moment, Stages]], *, without: frozenset[int] = frozenset()) -> Walk:
        """
        Follows all courses but those of some actors to their ends.

        Raises:
            TooManyOrdersError: it would take too many steps.
        """
        ahead = dict(starts)
        while ahead:
            moment, stages = ahead.popitem()
            self.reached[moment] = stages
            for place, stage in self._possible(stages, without):
                then, after = self._step(moment, stages, place, stage)
                if isinstance(then, Refused):
                    self.refused.setdefault(place, then)
                elif then not in self.reached:
                    ahead[then] = after
        return self

    def step(self, moment: Moment, stages: Stages, place: int, stage: Stage) -> Moment | Refused:
        """Takes one step."""
        return self._step(moment, stages, place, stage)[0]

    def _step(self, moment: Moment, stages: Stages, place: int, stage: Stage) -> tuple[Moment | Refused, Stages]:
        if self.steps == 0:
            raise TooManyOrdersError
        self.steps -= 1
        actor = self._actors[place]
        after = (*stages[:place], stage, *stages[place + 1 :])
        came = tuple((one.uid, at) for one, at in zip(self._actors, after, strict=True) if at is not one.course.origin)
        return self._history.step(moment, actor.uid, stage, actor.pod, frozenset(came)), after

    def _possible(self, stages: Stages, without: frozenset[int]) -> Iterator[tuple[int, Stage]]:
        for place, actor in enumerate(self._actors):
            if place in without:
                continue
            waits = actor.twin is not None and stages[actor.twin] is Stage.ABSENT
            if not (waits and stages[place] is Stage.ABSENT):
                for stage in actor.course.next(stages[place]):
                    yield place, stage

    def now(self) -> list[tuple[Moment, Stages]]:
        """
        Returns the moments in which the node may be when a pod that is not bound yet gets there.

        If none agrees with what is known, because the kubelet did what the twin would not: those in which a pod that
        may have been refused is absent, or all.
        """
        courses = [actor.course for actor in self._actors]
        every = list(self.reached.items())
        sure = [(moment, stages) for moment, stages in every if _agree(courses, stages, ())]
        return sure or [(moment, stages) for moment, stages in every if _agree(courses, stages, self.refused)] or every


def _agree(courses: Sequence[Course], stages: Stages, refused: Iterable[int]) -> bool:
    return all(
        stage in course.now or (stage is Stage.ABSENT and place in refused)
        for place, (course, stage) in enumerate(zip(courses, stages, strict=True))
    )


def hazard(history: History, others: Sequence[Actor], asker: Actor) -> Hazard | None:
    """
    Returns what keeps a pod from being let through; None if nothing does.

    Args:
        history: of the node, with the asker loose if it starts.
        others: the pods that are not known for certain.
        asker: the pod, absent so far.
    """
    everyone = (*others, asker)
    origins = tuple(actor.course.origin for actor in everyone)
    last, unsaid = len(others), Hazard(Why.BUSY, others=len(others))
    try:
        before = Walk(history, everyone).go([(history.origin, origins)], without=frozenset({last}))
        now = before.now()
        # Pods that are over by now do not come any more.
        over = frozenset(place for place, actor in enumerate(others) if actor.course.over)
        after = Walk(history, everyone, before.steps)
        starts: list[tuple[Moment, Stages]] = []
        for moment, stages in now:
            then = after.step(moment, stages, last, Stage.ADMITTED)
            if isinstance(then, Refused):
                return replace(unsaid, why=Why.TAKEN, refused=then)
            starts.append((then, (*stages[:last], Stage.ADMITTED)))
        refused = after.go(starts, without=over).refused
        # The steps of this walk were all taken before.
        anyway = Walk(history, everyone).go(now, without=over | {last}).refused if refused else {}
    except TooManyOrdersError:
        return unsaid
    # Who may be refused without this pod, from now on, is not its business. Who would have been refused before is: it was
    # let through once pods were over that had been in its way.
    displaced = [how for place, how in refused.items() if place not in anyway]
    return replace(unsaid, why=Why.DISPLACES, refused=displaced[0]) if displaced else None
