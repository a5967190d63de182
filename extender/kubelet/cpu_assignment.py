"""
Which CPUs a request gets: the static policy's best fit over the CPU topology.

Rule 1: the steps, their order and their roundings are the kubelet's, its accidents included; a comment names each
accident. Rule 2: nothing here knows pods, hints or state, only sets of CPUs.

All sets are bit sets of CPU ids. A failure is a value.

Source: cm/cpumanager/cpu_assignment.go (takeByTopologyNUMAPacked, takeByTopologyNUMADistributed),
cm/cpumanager/policy_static.go (takeByTopology).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from extender import cpuset
from extender.kubelet.errors import KubeletCrash
from extender.kubelet.options import CpuOptions
from extender.kubelet.topology import CpuTopology
from extender.model.configuration import Version
from extender.model.verdict import Cause


@dataclass(frozen=True, slots=True)
class AllocationFailure:
    """The request cannot be served."""

    cause: Cause
    requested: int = 0
    available: int = 0


@dataclass(frozen=True, slots=True)
class Assignment:
    """How one kubelet assigns CPUs."""

    topology: CpuTopology
    options: CpuOptions
    version: Version

    def take(self, available: int, count: int) -> int | AllocationFailure:
        """Takes ``count`` of the available CPUs as the policy's options say (takeByTopology)."""
        options = self.options
        if not options.distribute_across_numa:
            return take_packed(
                self.topology,
                available,
                count,
                spread=options.distribute_across_cores,
                uncore=options.prefer_uncore,
            )
        group = self.topology.cpus_per_core if options.full_pcpus_only else 1
        # 1.37 made the choice of zones aware of align-by-socket; before, the option did not reach this far.
        aware = self.version >= Version.V1_37
        return _take_distributed(
            self.topology, available, count, group, align=options.align_by_socket and aware, clamp=aware
        )


def take_packed(
    topology: CpuTopology, available: int, count: int, *, spread: bool = False, uncore: bool = False
) -> int | AllocationFailure:
    """
    Takes whole zones and sockets, then (option) whole caches, then whole cores, then single CPUs.

    Args:
        topology: of the machine.
        available: what may be taken.
        count: how many CPUs.
        spread: distribute-cpus-across-cores: no whole cores, CPUs of a socket in order of their id.
        uncore: prefer-align-cpus-by-uncorecache.
    """
    free = available & topology.all
    if count < 1:
        return 0
    if count > free.bit_count():
        return AllocationFailure(Cause.NOT_ENOUGH_CPUS, count, available.bit_count())
    accumulator = _Accumulator(topology, free, count)
    steps = accumulator.steps(spread=spread, uncore=uncore)
    while accumulator.need > 0:  # the last step takes single CPUs, of which there are enough
        next(steps)()
    return accumulator.result


class _Accumulator:
    """The kubelet's cpuAccumulator: free CPUs, CPUs taken, CPUs still needed."""

    __slots__ = ("free", "need", "numa_first", "result", "topology")

    def __init__(self, topology: CpuTopology, free: int, need: int) -> None:
        self.topology = topology
        self.free = free
        self.need = need
        self.result = 0
        self.numa_first = topology.reported_sockets >= len(topology.zones)

    def steps(self, *, spread: bool, uncore: bool) -> Iterator[Callable[[], None]]:
        """Yields the steps in order; the caller stops when nothing is needed any more."""
        levels = (self._full_zones, self._full_sockets)
        yield from levels if self.numa_first else reversed(levels)
        if uncore:
            yield self._uncores
        if not spread:
            yield self._full_cores
        yield self._spread_cpus if spread else self._packed_cpus

    def _take(self, cpus: int) -> None:
        self.result |= cpus
        self.free &= ~self.result
        # Counted even if a CPU was taken before: a socket listed under two zones is subtracted twice.
        self.need -= cpus.bit_count()

    def _by_free(self, units: Iterable[int], cpus: dict[int, int]) -> list[int]:
        """Units with free CPUs, fewest first, then by id."""
        free = self.free
        return [unit for _, unit in sorted(((free & cpus[unit]).bit_count(), unit) for unit in units)]

    def zones(self) -> list[int]:
        topology = self.topology
        if self.numa_first:
            return self._by_free(self._live(topology.zones), topology.zones)
        return [
            zone
            for socket in self.sockets()
            for zone in self._by_free(self._part(topology.socket_zones[socket], socket, nested=False), topology.zones)
        ]

    def sockets(self) -> list[int]:
        topology = self.topology
        if not self.numa_first:
            return self._by_free(self._live(topology.sockets), topology.sockets)
        return [
            socket
            for zone in self.zones()
            for socket in self._by_free(self._part(topology.zone_sockets[zone], zone, nested=True), topology.sockets)
        ]

    def _live(self, units: dict[int, int]) -> list[int]:
        free = self.free
        return [unit for unit, cpus in units.items() if cpus & free]

    def _part(self, units: Sequence[int], outer: int, *, nested: bool) -> list[int]:
        """Those sockets of a zone (zones of a socket) of which a CPU inside it is free."""
        topology = self.topology
        here = self.free & (topology.zones if nested else topology.sockets)[outer]
        cpus = topology.sockets if nested else topology.zones
        return [unit for unit in units if cpus[unit] & here]

    def _core_groups(self) -> Iterator[list[tuple[int, int]]]:
        """
        Cores with free CPUs as (id, CPUs), ascending, of the innermost level above the cores, in its order.

        A core counts where one of its own CPUs there is free: cAdvisor may list a CPU in two cores, and then
        cores reach across sockets.
        """
        topology, free = self.topology, self.free
        if self.numa_first:
            for socket in self.sockets():
                here = free & topology.sockets[socket]
                yield [(core, cpus) for core, cpus in topology.socket_cores[socket] if cpus & here]
        else:
            for zone in self.zones():
                here = free & topology.zones[zone]
                yield [(core, cpus) for core, cpus in topology.zone_cores[zone] if cpus & here]

    def _full_zones(self) -> None:
        zones = self.topology.zones
        if self.need < min(map(int.bit_count, zones.values())):
            return
        for zone in [zone for zone in self.zones() if not zones[zone] & ~self.free]:
            if self.need >= zones[zone].bit_count():
                self._take(zones[zone])

    def _full_sockets(self) -> None:
        sockets, average = self.topology.sockets, self.topology.cpus_per_socket
        if self.need < min(map(int.bit_count, sockets.values())):
            return
        # A socket counts as free by the average size: with sockets of different sizes a partly used one can.
        for socket in [socket for socket in self.sockets() if (self.free & sockets[socket]).bit_count() == average]:
            if self.need >= sockets[socket].bit_count():
                self._take(sockets[socket])

    def _sorted_uncores(self) -> list[int]:
        topology = self.topology
        ordered: list[int] = []
        for zone in self.zones():
            here = self.free & topology.zones[zone]
            live = [uncore for uncore in topology.zone_uncores[zone] if topology.uncores[uncore] & here]
            ordered += self._by_free(live, topology.uncores)
        return ordered

    def _uncores(self) -> None:
        uncores = self.topology.uncores
        for uncore in self._sorted_uncores():
            if self.need >= self.topology.cpus_per_uncore:
                for whole in [whole for whole in self._sorted_uncores() if not uncores[whole] & ~self.free]:
                    if self.need >= uncores[whole].bit_count():
                        self._take(uncores[whole])
            if self.need >= 1:
                self._partial_uncore(uncore)
            if self.need < 1:
                return

    def _partial_uncore(self, uncore: int) -> None:
        """Takes the rest from one cache if the free CPUs of its lowest cores are exactly as many."""
        topology, per_core = self.topology, self.topology.cpus_per_core
        cache = self.free & topology.uncores[uncore]
        live = [cpus for _, cpus in topology.uncore_cores[uncore] if cpus & cache]
        wanted = (self.need + per_core - 1) // per_core
        cpus = 0
        for core in live[:wanted]:
            cpus |= core & self.free
        if self.need % 2 and per_core > 1 and cpus.bit_count() > self.need:
            cpus ^= 1 << (cpus.bit_length() - 1)
        if cpus.bit_count() == self.need:
            self._take(cpus)

    def _full_cores(self) -> None:
        average, free = self.topology.cpus_per_core, self.free
        # All candidates have the same number of free CPUs, so inside a group the order is that of their ids.
        for group in self._core_groups():
            for _, cpus in group:
                if self.need < average:
                    return  # no candidate is smaller
                if 0 < (free & cpus).bit_count() == average and self.need >= cpus.bit_count():
                    self._take(cpus)

    def _packed_cpus(self) -> None:
        free = self.free
        self._single_cpus(
            free & cpus
            for group in self._core_groups()
            for _, _, cpus in sorted(((free & cpus).bit_count(), core, cpus) for core, cpus in group)
        )

    def _spread_cpus(self) -> None:
        self._single_cpus([self.free & self.topology.sockets[socket] for socket in self.sockets()])

    def _single_cpus(self, groups: Iterable[int]) -> None:
        cpus = (cpu for group in groups for cpu in cpuset.members(group))
        while self.need > 0:
            self._take(1 << next(cpus))


class _Combination:
    """
    A combination in the kubelet's own memory: a slice of an array that later combinations may overwrite.

    Go's ``append`` writes in place while the array has room (capacities 1, 2, 4, 8, ...), and the kubelet keeps
    the slice without copying it; what it then reads is the last combination written into the same array.
    """

    __slots__ = ("array", "length")

    def __init__(self, array: list[int], length: int) -> None:
        self.array = array
        self.length = length

    def items(self) -> list[int]:
        return self.array[: self.length]


def _combinations(items: Sequence[int], size: int) -> Iterator[_Combination]:
    """Yields the combinations of one item or more in lexicographic order of position, sharing memory as Go does."""

    def extend(start: int, left: int, array: list[int], length: int) -> Iterator[_Combination]:
        if left == 0:
            yield _Combination(array, length)
            return
        for index in range(start, len(items) - left + 1):
            grows = length & (length - 1) == 0  # 0 or a power of two: the array is full
            target = array[:length] + [0] * max(length, 1) if grows else array
            target[length] = items[index]
            yield from extend(index + 1, left - 1, target, length + 1)

    yield from extend(0, size, [], 0)


@dataclass(slots=True)
class _Best:
    """The best combination so far and how it leaves the machine."""

    balance: float = math.inf
    combination: _Combination | None = None
    remainder: _Combination | None = None
    one_socket: bool = False


def _take_distributed(
    topology: CpuTopology, available: int, count: int, group: int, *, align: bool, clamp: bool
) -> int | AllocationFailure:
    """Spreads the request evenly over as few zones as can hold it, in groups of ``group`` CPUs."""
    if count % group:
        return take_packed(topology, available, count)
    free = available & topology.all
    if count < 1:
        return 0
    if count > free.bit_count():
        return AllocationFailure(Cause.NOT_ENOUGH_CPUS, count, available.bit_count())
    accumulator = _Accumulator(topology, free, count)
    zones = accumulator.zones()
    frees = {zone: (free & topology.zones[zone]).bit_count() for zone in zones}
    least, most = _zones_needed(topology, count, group, len(set(zones)))
    for size in range(least, most + 1):
        best = _best_combination(topology, zones, frees, size, count, group, align)
        if best.combination is not None:
            return _hand_out(accumulator, best, count, group, clamp=clamp)
    return take_packed(topology, available, count)


def _zones_needed(topology: CpuTopology, count: int, group: int, live: int) -> tuple[int, int]:
    """Fewest and most zones over which the groups can be spread (rangeNUMANodesNeededToSatisfy)."""
    groups = (topology.all.bit_count() - 1) // group + 1
    per_zone = (groups - 1) // len(topology.zones) + 1
    needed = (count - 1) // group + 1
    return (needed - 1) // per_zone + 1, min(needed, live)


def _best_combination(
    topology: CpuTopology,
    zones: list[int],
    frees: dict[int, int],
    size: int,
    count: int,
    group: int,
    align: bool,
) -> _Best:
    best = _Best()
    for combination in _combinations(zones, size):
        if best.balance == 0 and (not align or best.one_socket):
            break
        members = combination.items()
        if sum(frees[zone] for zone in set(members)) < count:
            continue
        if sum(frees[zone] // group for zone in members) * group < count:
            continue
        share = count // size // group * group
        if align:
            share = min(share, *(frees[zone] // group * group for zone in members))
        if any(frees[zone] < share for zone in members):
            continue
        after = dict(frees)
        for zone in members:
            after[zone] -= share
        balance, remainder = _best_remainder(members, after, count - share * size, group)
        one_socket = align and len({socket for zone in members for socket in topology.zone_sockets[zone]}) <= 1
        better = one_socket if align and one_socket != best.one_socket else balance < best.balance
        if better:
            best = _Best(balance, combination, remainder, one_socket)
    return best


def _best_remainder(
    members: list[int], after: dict[int, int], remainder: int, group: int
) -> tuple[float, _Combination | None]:
    """Finds the zones that the rest comes from, so that what is left everywhere differs least."""
    if remainder == 0:
        return _deviation(after.values()), None
    best, chosen = math.inf, None
    candidates = [zone for zone in members if after[zone] >= group]
    for size in range(len(candidates), 0, -1):
        for subset in _combinations(candidates, size):
            zones = subset.items()
            if sum(after[zone] for zone in zones) < remainder:
                continue
            left = dict(after)
            _drain(left, zones, remainder, group)
            balance = _deviation(left.values())
            if balance < best:
                best, chosen = balance, subset
    return best, chosen


def _drain(left: dict[int, int], zones: list[int], remainder: int, group: int) -> None:
    """Takes the rest in groups, round and round the zones."""
    while remainder > 0:
        before = remainder
        for zone in zones:
            if remainder == 0:
                break
            if left[zone] < group:
                continue
            left[zone] -= group
            remainder -= group
        if remainder == before:
            raise KubeletCrash(
                "timeout: distribute-cpus-across-numa never finishes: the CPUs left are in no whole group"
            )


def _hand_out(
    accumulator: _Accumulator, best: _Best, count: int, group: int, *, clamp: bool
) -> int | AllocationFailure:
    """Takes the even shares, then the rest, from the zones chosen."""
    topology = accumulator.topology
    members = best.combination.items() if best.combination is not None else []
    share = count // len(members) // group * group
    if clamp:
        sizes = [(accumulator.free & topology.zones[zone]).bit_count() for zone in members]
        share = min(share, *(free // group * group for free in sizes))
    for zone in members:
        _take_from(accumulator, zone, share)
    remainder = count - share * len(members)
    zones = best.remainder.items() if best.remainder is not None else []
    while remainder > 0:
        before = remainder
        for zone in zones:
            if remainder == 0:
                break
            if (accumulator.free & topology.zones[zone]).bit_count() < group:
                continue
            _take_from(accumulator, zone, group)
            remainder -= group
        if remainder == before:
            raise KubeletCrash("timeout: distribute-cpus-across-numa never finishes: no zone is left for the rest")
    if accumulator.need:
        return AllocationFailure(Cause.CPU_ACCOUNTING, count, accumulator.need)
    return accumulator.result


def _take_from(accumulator: _Accumulator, zone: int, count: int) -> None:
    """Takes CPUs of one zone; the kubelet ignores a failure and takes nothing."""
    taken = take_packed(accumulator.topology, accumulator.free & accumulator.topology.zones[zone], count)
    accumulator._take(taken if isinstance(taken, int) else 0)  # noqa: SLF001 - same module


def _deviation(values: Iterable[int]) -> float:
    """Standard deviation, mean and result rounded to thousandths as Go rounds (half away from zero)."""
    numbers = list(values)
    mean = _round(sum(numbers) / len(numbers))
    total = 0.0
    for number in numbers:
        total += (number - mean) * (number - mean)
    return _round(math.sqrt(total / len(numbers)))


def _round(value: float) -> float:
    """To thousandths, halves away from zero; the values here are never negative."""
    thousandths = value * 1000
    whole = math.floor(thousandths)
    return (whole + 1 if thousandths - whole >= 0.5 else whole) / 1000
