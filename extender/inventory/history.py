"""
What may have happened on a node since its report, moment by moment, each worked out by the twin once.

Pods of one shape are interchangeable, so a history names arrivals by shape and rank and not by uid; two ways to the
same holdings are one moment. A history therefore stands as long as its report does, whichever pods come and go.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from extender.inventory.course import Stage
from extender.kubelet import admission
from extender.kubelet.admission import Kubelet
from extender.kubelet.errors import KubeletCrash
from extender.model.pod import Pod
from extender.model.state import NodeState
from extender.model.verdict import Refusal

MOST_MOMENTS = 2048
"""A history that has grown to this many moments forgets them; they are a few kilobytes each."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An arrival that the kubelet refuses, or would not survive."""

    refusal: Refusal | None = None
    crash: str = ""


class Moment:
    """One state that a node may be in."""

    __slots__ = ("_next", "state")

    def __init__(self, state: NodeState) -> None:
        self.state = state
        self._next: dict[tuple[str, Stage], Moment | Refused] = {}


class History:
    """The moments that may follow one state; threads may share it, as what it remembers only saves work."""

    def __init__(self, kubelet: Kubelet, state: NodeState, loose: frozenset[str]) -> None:
        """
        Begins a history.

        Args:
            kubelet: the node's.
            state: what the report says.
            loose: uids of pods whose own place matters because it may become free before others do.
        """
        self.kubelet, self.loose = kubelet, loose
        self._state = state
        self.origin = Moment(state)
        self._moments: dict[Hashable, Moment] = {}

    def step(self, moment: Moment, uid: str, stage: Stage, pod: Pod, came: Hashable) -> Moment | Refused:
        """
        Returns the moment after a pod has reached a stage, or why the kubelet does not let it.

        Args:
            moment: before.
            uid: the pod's name in this history.
            stage: the stage that it reaches.
            pod: under that uid.
            came: which pods have reached which stage afterwards.
        """
        known = moment._next.get((uid, stage))  # noqa: SLF001 - the history is made of moments
        if known is None:
            known = moment._next[uid, stage] = self._work_out(moment, uid, stage, pod, came)  # noqa: SLF001
        return known

    def trim(self) -> None:
        """Forgets everything if it has become much."""
        if len(self._moments) > MOST_MOMENTS:
            self.origin, self._moments = Moment(self._state), {}

    def _work_out(self, moment: Moment, uid: str, stage: Stage, pod: Pod, came: Hashable) -> Moment | Refused:
        kubelet, state = self.kubelet, moment.state
        if stage is Stage.ADMITTED:
            try:
                verdict, after = admission.admit(kubelet, state, pod)
            except KubeletCrash as crash:
                return Refused(crash=str(crash))
            if isinstance(verdict, Refusal):
                return Refused(verdict)
        elif stage is Stage.STARTED:
            after = admission.started(kubelet, state, uid)
        else:
            after = admission.remove(kubelet, state, uid)
        return self._moments.setdefault((came, _holdings(after, self.loose)), Moment(after))


def _holdings(state: NodeState, loose: frozenset[str]) -> Hashable:
    """
    All that later admissions can depend on: what is free, and who holds what as far as it may become free.

    What pods hold that stay counts as not free, whoever holds it.
    """
    cpu, memory, device = state.cpu, state.memory, state.device
    holders = dict.fromkeys(chain(cpu.entries, cpu.pod_entries, memory.entries, memory.pod_entries, device.entries))
    return (
        cpu.default,
        tuple((zone, held.assignments, held.cells, tuple(held.free.items())) for zone, held in memory.zones.items()),
        frozenset(_devices(device.entries)),
        tuple(_held(state, uid) for uid in sorted(holders) if uid in loose or uid not in state.active),
    )


def _devices(entries: Mapping[str, Mapping[str, Mapping[str, frozenset[str]]]]) -> Iterator[tuple[str, str]]:
    for containers in entries.values():
        for held in containers.values():
            for resource, ids in held.items():
                for id_ in ids:
                    yield resource, id_


def _held(state: NodeState, uid: str) -> Hashable:
    cpu, memory, device = state.cpu, state.memory, state.device
    devices = device.entries.get(uid, {})
    return (
        uid,
        frozenset(cpu.entries.get(uid, {}).items()),
        cpu.pod_entries.get(uid),
        frozenset(memory.entries.get(uid, {}).items()),
        memory.pod_entries.get(uid),
        frozenset((name, frozenset(held.items())) for name, held in devices.items()),
    )
