"""
How many equal pods a node admits, one after the other: until the first refusal, and beyond it.

A refused pod leaves things behind until the next admission, and some kubelets never clear all of it. So counting
goes on after the first refusal for as long as a refusal still changes what the next pod finds.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from extender.fleet import Fit, Snapshot, rooms
from extender.inventory.totals import Allocatable, copies, overfull, requested
from extender.kubelet.admission import Kubelet, admit, settled
from extender.kubelet.errors import KubeletCrash
from extender.model.answer import Capacity, Finding, Outcome
from extender.model.pod import Pod
from extender.model.state import CpuState, DeviceState, MemoryState, NodeState
from extender.what_if.alike import standing
from extender.what_if.fit import explained
from extender.what_if.site import Site
from extender.what_if.work import Progress, Work, each

REFUSALS = 8
"""Refusals after which counting ends in any case."""


def capacities(sites: Sequence[Site], pod: Pod, most: int, what: str = "count") -> Work[list[Capacity]]:
    """
    Counts on each node for itself, of nodes that are alike on one.

    The total is the sum, as no node's answer depends on another's.
    """
    counting = _Counting(pod)
    counted = []
    for progress, site in each(what, sites, len(sites)):
        own = yield from counting.on(site, most, progress)
        counted.append(_named(own, site))
        yield progress
    return counted


class _Counting:
    """One pod counted on many nodes."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        self._asked = requested(pod)
        self._there = Allocatable()
        self._known: dict[tuple[Hashable, int], Capacity] = {}
        """What the managers admit of so many, by what is alike."""

    def on(self, site: Site, most: int, progress: Progress) -> Work[Capacity]:
        """Counts on one node: what the managers admit, and no more than the node as a whole has room for."""
        if site.snapshot is None:
            return Capacity(site.name, 0, why=site.fault, knowledge=site.knowledge)
        like = standing(site.snapshot)
        counted = yield from self._managers(site, like, most, progress)
        there, used = self._there.of(site.snapshot.kubelet), site.pods.requested
        room = copies(there, used, self._asked)
        if room is None or room >= counted.fits:
            return counted
        some = yield from self._managers(site, like, room, progress)
        full = {name: used.get(name, 0) + room * nanos for name, nanos in self._asked.items()}
        refusal = Finding(
            site.name,
            Outcome.REFUSED,
            overfull=overfull(there, {**used, **full}, self._asked),
            before=some.after,
            configuration=site.snapshot.kubelet.configuration,
        )
        return replace(some, fits=room, beyond=0, pinned=True, refusal=refusal)

    def _managers(self, site: Site, like: Hashable, most: int, progress: Progress) -> Work[Capacity]:
        if (like, most) not in self._known:
            self._known[like, most] = yield from capacity(site, self._pod, most, progress)
        return self._known[like, most]


def _named(counted: Capacity, site: Site) -> Capacity:
    """What was counted on a node that is alike, as this node's own."""
    refusal = counted.refusal
    if refusal is not None:
        refusal = replace(refusal, node=site.name, knowledge=site.knowledge, estimates=site.estimates)
    return replace(counted, node=site.name, knowledge=site.knowledge, refusal=refusal)


def capacity(site: Site, pod: Pod, most: int, progress: Progress) -> Work[Capacity]:
    """
    Counts on one node what its resource managers admit.

    Args:
        site: the node.
        pod: the pod of which the others are copies.
        most: pods after which counting ends.
        progress: what to report at each pause.
    """
    if site.snapshot is None:
        yield progress
        return Capacity(site.name, 0, why=site.fault, knowledge=site.knowledge)
    count = _Count(site, site.snapshot)
    for number in range(most + REFUSALS):
        if count.over or count.fits + count.beyond >= most:
            break
        count.admit(replace(pod, uid=f"{pod.uid}-{number}", name=f"{pod.name}-{number}"))
        yield progress
    return count.result(most)


@dataclass(slots=True)
class _Count:
    """A count under way."""

    site: Site
    snapshot: Snapshot
    fits: int = 0
    beyond: int = 0
    refusals: int = 0
    over: bool = False
    unpinned: bool = False
    refusal: Fit | None = None
    full: Snapshot | None = None
    """The node as the first refused pod found it."""

    def admit(self, pod: Pod) -> None:
        """Asks about one more pod."""
        kubelet, state = self.snapshot.kubelet, self.snapshot.state
        try:
            fit = Fit(*admit(kubelet, state, pod))
        except KubeletCrash as crash:
            fit = Fit(None, state, str(crash))
        if fit.admit:
            self.fits += not self.refusals
            self.beyond += bool(self.refusals)
            # A pod that takes nothing leaves the node as it was, and so will all others.
            self.over = self.fits == 1 and rooms(kubelet, fit.state) == rooms(kubelet, state)
            self.unpinned = self.over
        else:
            self._refused(kubelet, state, fit)
        self.snapshot = Snapshot(kubelet, fit.state)

    def _refused(self, kubelet: Kubelet, state: NodeState, fit: Fit) -> None:
        self.refusals += 1
        if self.refusal is None:
            self.refusal, self.full = fit, Snapshot(kubelet, state)
        unchanged = _found(settled(kubelet, fit.state)) == _found(settled(kubelet, state))
        self.over = unchanged or fit.verdict is None or self.refusals >= REFUSALS

    def result(self, most: int) -> Capacity:
        """Returns what was counted."""
        assert self.site.snapshot is not None
        kubelet = self.snapshot.kubelet
        finding = None
        if self.refusal is not None and self.full is not None:
            finding = explained(self.site, self.full, self.refusal)
        return Capacity(
            self.site.name,
            most if self.unpinned else self.fits,
            self.beyond,
            finding,
            pinned=not self.unpinned,
            before=self.site.snapshot.rooms,
            after=rooms(kubelet, self.snapshot.state),
            knowledge=self.site.knowledge,
        )


def _found(state: NodeState) -> NodeState:
    """What the next pod finds: all but what only the last one could have taken over."""
    cpu, memory, device = state.cpu, state.memory, state.device
    return NodeState(
        CpuState(cpu.default, cpu.entries, cpu.pod_entries),
        MemoryState(memory.zones, memory.entries, memory.pod_entries),
        DeviceState(device.reported, device.entries),
        state.active,
    )
