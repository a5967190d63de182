"""What a node's report says for certain, and what was worked out from it."""

from __future__ import annotations

from collections.abc import Iterable

from extender.fleet import Shape, Snapshot
from extender.inventory import ample
from extender.inventory.course import Stage
from extender.inventory.history import History
from extender.kubelet import admission
from extender.kubelet.admission import Kubelet
from extender.model.pod import Pod
from extender.model.state import NodeState

MOST_REMEMBERED = 128
"""Histories and snapshots of one ground; what exceeds it is worked out again."""

Steps = tuple[tuple[str, Stage], ...]
_NONE: Steps = ()


class Ground:
    """A state to stand on; threads may share it, as what it remembers only saves work."""

    def __init__(self, kubelet: Kubelet, state: NodeState) -> None:
        self.kubelet, self.state = kubelet, state
        self.snapshot = Snapshot(kubelet, state)
        self.numbers: dict[Shape, int] = {}
        """Shapes of arrivals by the number that names them in histories."""
        self._counts: bool | None = None
        self._histories: dict[frozenset[str], History] = {}
        self._after: dict[Steps, Snapshot] = {}
        self._then: dict[Steps, Ground] = {}

    @property
    def counts(self) -> bool:
        """Whether free amounts per zone decide here."""
        if self._counts is None:
            self._counts = ample.counts(self.kubelet, self.state)
        return self._counts

    def history(self, loose: frozenset[str]) -> History:
        """Returns the history in which the places of these pods are told apart."""
        bound(self._histories, MOST_REMEMBERED)
        history = self._histories.setdefault(loose, History(self.kubelet, self.state, loose))
        history.trim()
        return history

    def after(self, steps: Iterable[tuple[Pod, Stage]]) -> Snapshot:
        """
        Returns the node after pods have reached stages, in this order; one that is refused leaves what it leaves.

        Raises:
            KubeletCrash: the kubelet would not survive one of them.
        """
        bound(self._after, MOST_REMEMBERED)
        snapshot, came = self.snapshot, _NONE
        for pod, stage in steps:
            came = (*came, (pod.uid, stage))
            known = self._after.get(came)
            if known is None:
                known = self._after[came] = Snapshot(self.kubelet, _reach(self.kubelet, snapshot.state, pod, stage))
            snapshot = known
        return snapshot

    def then(self, steps: Iterable[tuple[Pod, Stage]]) -> Ground:
        """Returns the ground once that has happened for certain."""
        steps = list(steps)
        came = tuple((pod.uid, stage) for pod, stage in steps)
        if not came:
            return self
        bound(self._then, 4)
        return self._then.setdefault(came, Ground(self.kubelet, self.after(steps).state))


def _reach(kubelet: Kubelet, state: NodeState, pod: Pod, stage: Stage) -> NodeState:
    if stage is Stage.ADMITTED:
        return admission.admit(kubelet, state, pod)[1]
    change = admission.started if stage is Stage.STARTED else admission.remove
    return change(kubelet, state, pod.uid)


def bound(remembered: dict, most: int) -> None:  # type: ignore[type-arg] # whatever is remembered
    """Forgets everything once there are ``most`` things to remember."""
    if len(remembered) >= most:
        remembered.clear()
