"""
What people are told, per node and for all nodes together: values with quantities, no prose.

The sentences are made from them in ``extender.wire.answers``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from extender.model.configuration import KubeletConfiguration
from extender.model.pod import Pod
from extender.model.question import Asked
from extender.model.room import Room
from extender.model.verdict import Refusal, Verdict


class Outcome(StrEnum):
    """What becomes of a pod on a node."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    CRASH = "crash"
    """The kubelet would panic or hang."""
    UNKNOWN = "unknown"
    """The node cannot be judged: there is no report of it, or its kubelet would not start."""


@dataclass(frozen=True, slots=True)
class Overfull:
    """The node as a whole has not enough left, whatever its zones have; amounts in billionths of the unit."""

    resource: str
    requested: int
    used: int
    """What the node's pods request together."""
    allocatable: int

    @property
    def left(self) -> int:
        """What is not requested yet."""
        return max(0, self.allocatable - self.used)


@dataclass(frozen=True, slots=True)
class Finding:
    """One pod on one node."""

    node: str
    outcome: Outcome
    verdict: Verdict | None = None
    """Of the resource managers."""
    overfull: Overfull | None = None
    """Why the kubelet refuses the pod all the same."""
    why: str = ""
    """How the kubelet would crash, or why the node cannot be judged."""
    before: tuple[Room, ...] = ()
    """The node's zones without the pod."""
    after: tuple[Room, ...] = ()
    """The same with it, where it is admitted."""
    score: int = 0
    """What prioritize gives the placement, 0 to 10."""
    configuration: KubeletConfiguration | None = None
    """Of the kubelet, which sentences about a refusal speak of."""
    knowledge: str = "unknown"
    """How well the node is known, as the live inventory has it."""
    estimates: tuple[str, ...] = ()
    """What its report does not tell."""

    @property
    def fits(self) -> bool:
        """Whether the kubelet will admit the pod."""
        return self.outcome is Outcome.ADMITTED


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many equal pods one node admits, one after the other."""

    node: str
    fits: int
    """Until the first refusal, or until counting ended."""
    beyond: int = 0
    """Admitted after that, of the pods that still came."""
    refusal: Finding | None = None
    """The first refusal; None where counting ended before one."""
    pinned: bool = True
    """Whether the pod takes anything that runs out; if not, ``fits`` is only where counting ended."""
    before: tuple[Room, ...] = ()
    """The node's zones without any of them."""
    after: tuple[Room, ...] = ()
    """The same with all that were admitted."""
    knowledge: str = "unknown"
    why: str = ""
    """Why the node cannot be judged."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one of several pods went."""

    pod: Pod
    finding: Finding | None = None
    """The node it went to; None where no node admits it."""
    refusals: Mapping[str, Finding] = field(default_factory=dict)
    """By node, where it went nowhere."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One field that gets another value."""

    subject: str
    """``pod``, ``kubelet`` or ``cluster``."""
    path: str
    """Of the field: in the object that was asked about, in the KubeletConfiguration; or ``pods`` of the cluster."""
    before: str | None
    after: str | None
    """None where the field, or the pod, is taken away."""
    what: str = ""
    """The same in words: ``cpu of db``; empty where the path is as clear."""


class Way(StrEnum):
    """How a change makes a pod fit."""

    LESS = "ask-for-less"
    """Smaller amounts."""
    ROUND = "round"
    """An amount becomes a whole number, or a multiple of the threads of a core."""
    ROOM = "leave-room-in-the-budget"
    """A larger budget, so that containers without an exclusive slice have something to share."""
    SHARE = "give-up-exclusive-resources"
    """The pod is not pinned any more."""
    GUARANTEE = "make-it-guaranteed"
    """Limits equal to requests and whole CPUs, so that a pod that fits anyway is pinned."""
    REMOVE = "remove-pods"
    """Pods that run on the node make room."""
    KUBELET = "configure-the-kubelet"
    """Another scope, policy, option or gate."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A change after which the kubelet admits the pod; it has been tried."""

    way: Way
    node: str
    edits: tuple[Edit, ...]
    cost: int
    """How much is given up, in thousandths: of the amount that shrinks or grows most; 1000 and more is not an amount."""
    lost: tuple[str, ...] = ()
    """Running pods (namespace/name) that the node would not admit again afterwards."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A running pod that its node, changed, would not admit again."""

    node: str
    pod: Pod
    refusal: Refusal | None
    why: str = ""
    """How the kubelet would crash, where it would."""
    rooms: tuple[Room, ...] = ()
    """What the zones had left at that moment."""
    configuration: KubeletConfiguration | None = None
    rebuilt: bool = False
    """Its spec was rebuilt from what it holds."""


class Trend(StrEnum):
    """What a change does to a node for a pod."""

    GAINS = "gains"
    LOSES = "loses"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Beside:
    """One pod on one node, today and after the change."""

    node: str
    today: Finding | None
    """None where the node is not there today."""
    then: Finding | None
    """None where the node is not there any more."""

    @property
    def trend(self) -> Trend:
        """Whether the node is gained or lost for the pod."""
        today, then = bool(self.today and self.today.fits), bool(self.then and self.then.fits)
        return Trend.SAME if today is then else Trend.GAINS if then else Trend.LOSES


@dataclass(frozen=True, slots=True)
class PodAnswer:
    """What is said about one pod."""

    asked: Asked
    today: tuple[Finding, ...] = ()
    then: tuple[Finding, ...] | None = None
    """After the change; None where none was asked about."""
    suggestions: tuple[Suggestion, ...] = ()
    """The smallest change first; looked for where it was asked for, after the change if there is one."""

    @property
    def latest(self) -> tuple[Finding, ...]:
        """The answer that counts: after the change, where there is one."""
        return self.today if self.then is None else self.then

    @property
    def beside(self) -> tuple[Beside, ...]:
        """Both answers, node by node."""
        before = {one.node: one for one in self.today}
        after = {one.node: one for one in self.then or ()}
        return tuple(Beside(name, before.get(name), after.get(name)) for name in dict.fromkeys([*before, *after]))


@dataclass(frozen=True, slots=True)
class PodCount:
    """How many copies of one pod fit."""

    asked: Asked
    today: tuple[Capacity, ...] = ()
    then: tuple[Capacity, ...] | None = None

    @property
    def latest(self) -> tuple[Capacity, ...]:
        """The count that matters: after the change, where there is one."""
        return self.today if self.then is None else self.then


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question."""

    pods: tuple[PodAnswer, ...] = ()
    together: tuple[Place, ...] | None = None
    """Where the pods went, one after the other; None where each was asked for itself."""
    counts: tuple[PodCount, ...] = ()
    lost: tuple[Lost, ...] = ()
    """Running pods that their own node, changed, would not admit again."""
    displaced: tuple[Place, ...] = ()
    """Pods of drained nodes, and where they would go."""
    changed: bool = False
    """Whether a change was asked about."""

    @property
    def fits(self) -> bool:
        """Whether every pod asked about has a place, and no running pod loses its own."""
        if self.lost or any(place.finding is None for place in self.displaced):
            return False
        if self.together is not None:
            return all(place.finding for place in self.together)
        if self.counts:
            return all(any(one.fits for one in count.latest) for count in self.counts)
        return all(any(one.fits for one in answer.latest) for answer in self.pods)
