"""
One pod's admission on all nodes of a table together: the steps of ``extender.kubelet.admission`` on arrays.

Each node is open until its fate is known: refused with the kubelet's cause, or undecided, from the step on at which
it became so; what is still open at the end is admitted. The merged affinity of a step is, on each node, one zone, or
none in particular, or all zones, or a known group, or something that these arrays do not know.

Source: as in ``extender.kubelet``: topology_manager, cpu_manager, memory_manager, device_manager.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from operator import and_

import numpy as np
from numpy.typing import NDArray

from extender.columns.demand import POD, Ask, Demand
from extender.columns.groups import MOST_ZONES, preferred_groups
from extender.columns.standing import Rows, Standing
from extender.columns.table import Bools, Table
from extender.kubelet.requests import MEMORY
from extender.model.configuration import TopologyPolicy, Version
from extender.model.verdict import Cause

CAUSES = tuple(Cause)
_NUMBER = {cause: number for number, cause in enumerate(CAUSES)}


class Fate(IntEnum):
    """What becomes of a pod on a node."""

    UNDECIDED = 0
    ADMITTED = 1
    REFUSED = 2


@dataclass(slots=True)
class Outcome:
    """What the kubelets of all nodes say."""

    fate: NDArray[np.int8]
    """(N,) a ``Fate`` each."""
    cause: NDArray[np.int8]
    """(N,) of a refusal, by its place in ``CAUSES``."""
    stage: NDArray[np.int16]
    """(N,) of a refusal: the index of the container at which it happened, or ``POD``."""
    which: NDArray[np.int16]
    """(N,) of a refusal for want of devices: which of the step's resources."""
    standing: Standing
    """What is left; of no meaning where the pod is not admitted."""


@dataclass(slots=True)
class Lists:
    """What the hint lists of one step have in common."""

    common: Bools
    """(Z, N) single zones that every list prefers."""
    any: Bools
    """(N,) whether there is a list at all."""
    all_single: Bools
    """(N,) whether for every list the narrowest affinity that an idle node needs is one zone."""
    none_single: Bools
    """(N,) whether for none of them."""


@dataclass(slots=True)
class Merged:
    """The affinity stored for a step: of the five, exactly one holds on each open node."""

    at: Bools
    """(Z, N) one zone."""
    anywhere: Bools
    """(N,) no affinity."""
    everywhere: Bools
    """(N,) all zones, of which there are several."""
    group: Bools
    """(N,) a known, preferred group of zones."""
    unknown: Bools
    """(N,) an affinity that is not preferred; which one is not known here."""


def admit(table: Table, rows: Rows, standing: Standing, demand: Demand) -> Outcome:
    """
    Judges a pod.

    Args:
        table: the nodes.
        rows: which of them.
        standing: what those rows have left; changed.
        demand: the pod's, under the table's law.
    """
    return _Admitting(table, rows, standing, demand).run()


class _Admitting:
    def __init__(self, table: Table, rows: Rows, standing: Standing, demand: Demand) -> None:
        self.table, self.rows, self.law = table, rows, table.law
        self.left, self.demand = standing, demand
        self.zones, self.count = standing.cpu.shape
        self.open = np.ones(self.count, np.bool_)
        self.fate = np.full(self.count, Fate.ADMITTED, np.int8)
        self.cause = np.zeros(self.count, np.int8)
        self.stage = np.zeros(self.count, np.int16)
        self.which = np.zeros(self.count, np.int16)
        self.reused_zone: Bools | None = None
        """(Z, N) the zone of CPUs that init containers hand on."""

    def run(self) -> Outcome:
        if self.demand.impossible:
            self._doubt(~self.left.memory_sure & (self.law.memory is not None))
            self._refuse(self.open, Cause.NO_ALIGNMENT, POD)
        else:
            self._set_aside()
            self._admit()
        return Outcome(self.fate, self.cause, self.stage, self.which, self.left)

    def _admit(self) -> None:
        steps, whole = self.demand.steps, self.demand.whole
        if whole is not None:
            merged = self._merge(whole, steps)
            for ask in steps:
                self._allocate(ask, merged)
        elif self.law.policy is TopologyPolicy.NONE:
            for ask in steps:
                self._allocate(ask, self._merged(anywhere=self.open))
        else:
            for index, ask in enumerate(steps):
                self._allocate(ask, self._merge(ask, steps[index + 1 :]))

    # --- fates

    def _refuse(self, where: Bools, cause: Cause, stage: int, which: int = 0) -> None:
        where = where & self.open
        self.fate[where] = Fate.REFUSED
        self.cause[where] = _NUMBER[cause]
        self.stage[where] = stage
        self.which[where] = which
        self.open &= ~where

    def _doubt(self, where: Bools) -> None:
        where = where & self.open
        self.fate[where] = Fate.UNDECIDED
        self.open &= ~where

    def _set_aside(self) -> None:
        """Leaves to the twin what these arrays cannot follow: see ``extender.columns.table``."""
        asks = [*self.demand.steps, *([self.demand.whole] if self.demand.whole else [])]
        if any(ask.cpus for ask in asks):
            self._doubt(~self.table.countable[self.rows])
        if any(ask.memory for ask in asks):
            self._doubt(~self.table.ungrouped[self.rows])
        for resource in {resource for ask in asks for resource, _ in ask.devices} & self.table.devices.keys():
            devices = self.table.devices[resource]
            self._doubt(devices.present[self.rows] & ~devices.plain[self.rows])

    # --- hints and their merge

    def _merged(self, **known: Bools) -> Merged:
        """The affinities of nodes that are still open; what is decided stands as it was when it was."""
        nowhere = np.zeros(self.count, np.bool_)
        at = known.pop("at", None)
        return Merged(
            at=np.zeros((self.zones, self.count), np.bool_) if at is None else at & self.open,
            **{name: known.get(name, nowhere) & self.open for name in ("anywhere", "everywhere", "group", "unknown")},
        )

    def _merge(self, ask: Ask, later: Sequence[Ask]) -> Merged:
        """The Topology Manager's merge and its policy's decision (``topology_manager.merge``)."""
        policy = self.law.policy
        lists = self._lists(ask)
        if policy is TopologyPolicy.RESTRICTED:
            self._refuse(lists.any & ~lists.all_single & ~lists.none_single, Cause.NO_ALIGNMENT, ask.stage)
            single = lists.all_single
        else:
            single = lists.any
        at = first_of(lists.common & single & lists.any, self.law.singles)
        found = some(at)
        others = ~lists.any
        if policy is TopologyPolicy.BEST_EFFORT:
            unknown = lists.any & ~found
            if self.zones == 1:
                return self._merged(at=np.ones_like(at))
            return self._merged(at=at, everywhere=others, unknown=unknown)
        self._refuse(lists.any & single & ~found, Cause.NO_ALIGNMENT, ask.stage)
        if policy is TopologyPolicy.SINGLE_NUMA_NODE:
            if self.zones == 1:  # an affinity to every zone is dropped
                return self._merged(anywhere=np.ones(self.count, np.bool_))
            return self._merged(at=at, anywhere=others)
        group = self._groups(ask, later, lists)
        if self.zones == 1:
            return self._merged(at=np.ones_like(at))
        return self._merged(at=at, everywhere=others, group=group)

    def _lists(self, ask: Ask) -> Lists:
        lists = Lists(
            common=np.ones((self.zones, self.count), np.bool_),
            any=np.zeros(self.count, np.bool_),
            all_single=np.ones(self.count, np.bool_),
            none_single=np.ones(self.count, np.bool_),
        )
        if ask.cpus:
            self._add_cpus(lists, ask)
        if ask.memory:
            self._add_memory(lists, ask)
        for resource, amount in ask.devices:
            if resource in self.table.devices:
                self._add_devices(lists, resource, amount)
        return lists

    @staticmethod
    def _add(lists: Lists, zones: Bools, single: Bools, listed: Bools | None = None) -> None:
        """Takes a list in; ``listed`` says on which nodes there is one, if not on all."""
        if listed is None:
            lists.common &= zones
            lists.any[:] = True
            lists.all_single &= single
            lists.none_single &= ~single
        else:
            lists.common &= zones | ~listed
            lists.any |= listed
            lists.all_single &= single | ~listed
            lists.none_single &= ~(single & listed)

    def _add_cpus(self, lists: Lists, ask: Ask) -> None:
        """generateCPUTopologyHints: every CPU counts for what is narrowest, free ones for what fits."""
        single = self.table.cpu_most[self.rows] >= ask.cpus
        zones = (self.left.cpu >= ask.cpus) & single
        if ask.reusing:
            assert self.reused_zone is not None
            zones &= self.reused_zone
        if self.law.policy is TopologyPolicy.BEST_EFFORT:
            zones &= self.left.cpu_sure
        else:
            self._doubt(~self.left.cpu_sure)
        self._add(lists, zones, single)

    def _add_memory(self, lists: Lists, ask: Ask) -> None:
        """calculateHints; where nothing fits there is no list, rather than an empty one."""
        self._doubt(~self.left.memory_sure)
        fits = self._fits(ask.memory)
        listed = some(fits) | self._fits_unused(ask.memory)
        self._add(lists, fits, some(self._able(ask.memory)), listed)

    def _add_devices(self, lists: Lists, resource: str, amount: int) -> None:
        """GenerateDeviceTopologyHints."""
        devices, left = self.table.devices[resource], self.left.devices[resource]
        listed = devices.present[self.rows] & devices.located[self.rows]
        self._doubt(listed & ~left.sure)
        total = devices.total[:, self.rows]
        zones = (left.free >= amount) & (left.available >= amount)
        if self.law.version >= Version.V1_36:
            near = total > 0
            zones &= near | ~some(near)
        self._add(lists, zones, some(total >= amount), listed)

    def _groups(self, ask: Ask, later: Sequence[Ask], lists: Lists) -> Bools:
        """Policy restricted where no list could do with one zone: the preferred group of zones that all agree on."""
        wide = lists.any & lists.none_single & self.open
        if not wide.any():
            return wide
        if not self._groups_can_tell(ask, later):
            self._doubt(wide)
            return wide
        places = np.flatnonzero(wide)
        group = np.zeros(self.count, np.bool_)
        listed = None
        if ask.memory:
            listed = some(self._fits(ask.memory)) | self._fits_unused(ask.memory)
        group[places] = preferred_groups(self.table, self.rows, self.left, ask, places, listed)
        self._refuse(wide & ~group, Cause.NO_ALIGNMENT, ask.stage)
        if listed is not None:
            self._doubt(group & ~listed)
        return group

    def _groups_can_tell(self, ask: Ask, later: Sequence[Ask]) -> bool:
        """Whether nothing after a step on a group of zones depends on how much it took of which zone."""
        if self.zones > MOST_ZONES or ask.reusing or (ask.cpus and self.law.distributed):
            return False
        if ask.stage != POD:
            resources = self.table.devices.keys()
            return not any(
                step.cpus or step.pinned or any(name in resources for name, _ in step.devices) for step in later
            )
        # A later, smaller request may not prefer the group any more if its memory is not free but handed on.
        types = {type_ for type_, _ in ask.memory}
        return all(
            {type_ for type_, _ in step.memory} == types and not (step.init and step.memory)
            for step in later
            if step.pinned
        )

    # --- allocation

    def _allocate(self, ask: Ask, merged: Merged) -> None:
        """Device, CPU and memory manager in this order; the first failure ends the admission."""
        for which, (resource, amount) in enumerate(ask.devices):
            if resource in self.table.devices:
                self._take_devices(ask, which, resource, amount, merged)
        if ask.cpus:
            self._take_cpus(ask, merged)
        if ask.memory:
            self._take_memory(ask, merged)
        elif ask.pinned and self.law.version < Version.V1_37:
            self._take_no_memory(ask, merged)

    def _take_devices(self, ask: Ask, which: int, resource: str, amount: int, merged: Merged) -> None:
        """devicesToAllocate: near the affinity first, but never for want of nearness refused."""
        devices, left = self.table.devices[resource], self.left.devices[resource]
        present = devices.present[self.rows] & self.open
        self._refuse(present & (devices.healthy[self.rows] == 0), Cause.DEVICE_NONE_HEALTHY, ask.stage, which)
        if amount == 0:
            return
        if resource in self.demand.reuses_devices:
            self._take_reusable_devices(ask, which, resource, amount)
            return
        self._refuse(present & (left.available < amount), Cause.DEVICE_NOT_ENOUGH, ask.stage, which)
        near = merged.at & present & (left.free >= amount)
        left.available -= amount * present
        left.free -= amount * near
        left.sure &= some(near) | ~present

    def _take_reusable_devices(self, ask: Ask, which: int, resource: str, amount: int) -> None:
        """Devices of the pod's own init containers come first, wherever they are."""
        devices, left = self.table.devices[resource], self.left.devices[resource]
        present = devices.present[self.rows] & self.open
        have = np.zeros_like(left.available) if left.reusable is None else left.reusable
        again = np.minimum(have, amount) * present
        self._refuse(present & (left.available < amount - again), Cause.DEVICE_NOT_ENOUGH, ask.stage, which)
        new = (amount - again) * present
        left.available -= new
        left.reusable = have + new if ask.init else have - again
        left.sure &= ~present

    def _take_cpus(self, ask: Ask, merged: Merged) -> None:
        """allocateCPUs: those of the affinity first, then any; counts decide, as the nodes are countable."""
        left, count = self.left, ask.cpus
        if self.law.whole_cores:
            self._enforce_smt(ask)
        at = some(merged.at)
        if self.zones > 1 and self.law.distributed:
            self._doubt(~at)
        self._refuse(left.cpu_sum < count, Cause.NOT_ENOUGH_CPUS, ask.stage)
        places = merged.at if self.zones > 1 else merged.at | merged.anywhere
        if self.zones > 1:
            left.cpu_sure &= at
        if ask.init:
            self.reused_zone = places
        else:
            left.cpu -= count * places
            left.cpu_sum -= count
        left.whole -= count

    def _enforce_smt(self, ask: Ask) -> None:
        """enforceSMTAlignment, which does not count what init containers hand on."""
        per_core = np.maximum(self.table.per_core[self.rows], 1)
        self._refuse(ask.cpus % per_core != 0, Cause.SMT_NOT_MULTIPLE, ask.stage)
        self._doubt(~self.left.whole_sure)
        self._refuse(self.left.whole < ask.cpus, Cause.SMT_NOT_ENOUGH, ask.stage)
        self.left.whole_sure &= self.table.whole_exact[self.rows] & (not self.demand.reuses_cpus)

    def _take_no_memory(self, ask: Ask, merged: Merged) -> None:
        """Until 1.36 a request of nothing goes through the same motions."""
        self._refuse(merged.anywhere, Cause.NO_DEFAULT_HINT, ask.stage)
        self._doubt(merged.unknown | merged.group | (merged.everywhere & ~self.table.ungrouped[self.rows]))
        self._doubt(merged.everywhere & ~self.left.memory_sure)
        self._refuse(merged.everywhere & some(self.left.used), Cause.GROUP_VIOLATION, ask.stage)

    def _take_memory(self, ask: Ask, merged: Merged) -> None:
        """Allocate of the memory manager, by what the affinity is."""
        self._doubt(merged.unknown | (~self.left.memory_sure & ~merged.group))
        fits = self._fits(ask.memory)
        fits_unused = self._fits_unused(ask.memory)
        able = some(self._able(ask.memory))
        regular = any(type_ == MEMORY for type_, _ in ask.memory)
        self._extend(ask, merged, fits, fits_unused & regular, able)
        put = self._default(ask, merged, fits, fits_unused, able, regular=regular)
        self._use_all_zones(ask, merged)
        self._book(ask, (merged.at & fits) | put)
        self.left.memory_sure &= ~merged.group

    def _extend(self, ask: Ask, merged: Merged, fits: Bools, wider: Bools, able: Bools) -> None:
        """The zone has too little: a group that contains it is looked for, which must be preferred as it was."""
        short = some(merged.at) & ~some(merged.at & fits)
        wider = wider & some(merged.at & ~self.left.used)
        self._refuse(short & ~wider, Cause.NO_EXTENDED_HINT, ask.stage)
        self._refuse(short & able, Cause.NO_PREFERRED_EXTENDED_HINT, ask.stage)
        self._doubt(short)

    def _default(
        self, ask: Ask, merged: Merged, fits: Bools, fits_unused: Bools, able: Bools, *, regular: bool
    ) -> Bools:
        """Without an affinity the manager takes the best of its own hints; returns where that is one zone."""
        nowhere = merged.anywhere & ~some(fits)
        preferred = self.law.policy is not TopologyPolicy.NONE
        self._refuse(nowhere & ~fits_unused, Cause.NO_DEFAULT_HINT, ask.stage)
        if not regular:  # hugepages alone have no list to choose from
            if preferred:
                self._refuse(merged.anywhere, Cause.NO_PREFERRED_DEFAULT_HINT, ask.stage)
            self._doubt(merged.anywhere)
        elif preferred:
            self._refuse(nowhere & able, Cause.NO_PREFERRED_DEFAULT_HINT, ask.stage)
            self._doubt(nowhere)
        else:
            self.left.memory_sure &= ~nowhere  # a group of zones that nobody uses yet
        return first_of(fits & merged.anywhere, range(self.zones))

    def _use_all_zones(self, ask: Ask, merged: Merged) -> None:
        """An affinity to all zones, as without any hint."""
        if not merged.everywhere.any():
            return
        enough = reduce(and_, [self.left.memory[type_].sum(axis=0) >= amount for type_, amount in ask.memory])
        if self.left.reusable:
            self._doubt(merged.everywhere)
        self._refuse(merged.everywhere & ~enough, Cause.NO_EXTENDED_HINT, ask.stage)
        self._refuse(merged.everywhere & some(self.left.used), Cause.GROUP_VIOLATION, ask.stage)
        self._doubt(merged.everywhere)

    def _book(self, ask: Ask, put: Bools) -> None:
        left = self.left
        for type_, amount in ask.memory:
            if ask.init:
                have = left.reusable.get(type_, 0)
                left.reusable[type_] = np.maximum(have, amount * put)
            else:
                left.memory[type_] -= amount * put
                if type_ in left.reusable:
                    left.reusable[type_] = np.maximum(left.reusable[type_] - amount * put, 0)
        left.used |= put

    # --- zones that fit

    def _able(self, amounts: Iterable[tuple[str, int]]) -> Bools:
        """(Z, N) whether an idle zone could hold the amounts."""
        return reduce(and_, [self.table.allocatable[type_][:, self.rows] >= amount for type_, amount in amounts])

    def _fits(self, amounts: Iterable[tuple[str, int]]) -> Bools:
        """(Z, N) whether the zone alone can hold the amounts now."""
        return reduce(and_, [self.left.memory[type_] >= amount for type_, amount in amounts])

    def _fits_unused(self, amounts: Iterable[tuple[str, int]]) -> Bools:
        """(N,) whether some group of zones can: only unused zones can form one, and all of them have the most."""
        unused = ~self.left.used
        enough: Bools = np.add.reduce(unused, axis=0) > 1
        for type_, amount in amounts:
            # What is free of an unused zone is what can be had of it: nothing is booked there.
            enough &= np.add.reduce(self.left.memory[type_] * unused, axis=0) >= amount
        return enough


def some(zones: Bools) -> Bools:
    """(N,) whether any zone of (Z, N) is set."""
    found: Bools = np.logical_or.reduce(zones, axis=0)
    return found


def first_of(zones: Bools, order: Iterable[int]) -> Bools:
    """Keeps of each node's zones (Z, N) the first in the order."""
    kept = np.zeros_like(zones)
    taken = np.zeros(zones.shape[1], np.bool_)
    for zone in order:
        kept[zone] = zones[zone] & ~taken
        taken |= zones[zone]
    return kept
