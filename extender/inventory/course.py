"""
A pod's course on its node, where it is not known for certain: how far it may have come, and how far it may come.

A kubelet comes to the pods bound to it in an order that nobody else knows, and what they hold changes without our
hearing of it at once. This module has the nouns; which orders there are is the business of ``orders``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from extender.fleet import Shape
from extender.model.pod import Kind, Pod


class Stage(IntEnum):
    """How far a pod has come in the eyes of its kubelet's managers; a pod goes forward only, and may leave any time."""

    ABSENT = 0
    """Its kubelet has not admitted it: not yet, or never."""
    ADMITTED = 1
    STARTED = 2
    """Its ordinary init containers are done: their memory is free (AddContainer)."""
    GONE = 3
    """It is over: what it held is freed by the next admission."""


@dataclass(frozen=True, slots=True)
class Course:
    """One pod whose stage is not what the ground says, or not for certain."""

    pod: Pod
    shape: Shape
    origin: Stage
    """Where the state begins that everything is worked out from: absent, or admitted if the report has it."""
    now: frozenset[Stage]
    """Where it may be when a pod that is not bound yet gets to the node."""
    starts: bool = False
    """Whether becoming STARTED changes what it holds."""

    @property
    def most(self) -> Stage:
        """The last stage that it may reach."""
        return max(self.now)

    @property
    def arrives(self) -> bool:
        """Whether the report lacks it."""
        return self.origin is Stage.ABSENT

    @property
    def over(self) -> bool:
        """Whether it is certain not to be there when a pod that is not bound yet gets to the node."""
        return self.now <= {Stage.ABSENT, Stage.GONE}

    @property
    def loose(self) -> bool:
        """Whether what it holds may change after its admission, so that it matters which place is its own."""
        return self.most is not Stage.ADMITTED

    def next(self, stage: Stage) -> tuple[Stage, ...]:
        """Returns the stages that may follow one."""
        if stage is Stage.ABSENT:
            return (Stage.ADMITTED,)
        following = (Stage.STARTED,) if stage is Stage.ADMITTED and self.starts else ()
        return tuple(later for later in (*following, Stage.GONE) if stage < later <= self.most)


def may_start(pod: Pod) -> bool:
    """Says whether a pod has ordinary init containers, whose memory is free before the pod ends."""
    return any(container.kind is Kind.INIT for container in pod.containers)


def on_its_way(pod: Pod, shape: Shape, *, starts: bool) -> Course:
    """Returns the course of a pod that may or may not have got to the node."""
    stages = {Stage.ABSENT, Stage.ADMITTED} | ({Stage.STARTED} if starts else set())
    return Course(pod, shape, Stage.ABSENT, frozenset(stages), starts)
