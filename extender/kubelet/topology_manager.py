"""
The Topology Manager: merges the managers' hints into one affinity and decides by policy whether it is admitted.

The kubelet walks every permutation of the hint lists. The outcome has a closed form, which is followed here:

1. A permutation is preferred only if all its hints are preferred and equal, so the preferred candidates are the
   affinities preferred by *every* list, and the best of them is their minimum.
2. Only without a preferred candidate do the others count, and only best-effort admits them: their affinities are
   all intersections of one member of each list, and the best is again a minimum.

Source: cm/topologymanager/policy.go (mergePermutation, HintMerger.compare, Merge), policy_*.go, numa_info.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from extender import cpuset
from extender.kubelet.errors import KubeletCrash, StartError
from extender.kubelet.hints import LARGEST_ZONE_ID, Hints, narrowest_first
from extender.kubelet.options import TopologyOptions
from extender.model.configuration import TopologyPolicy
from extender.model.machine import Machine

Rank: TypeAlias = tuple[int, float, int]


@dataclass(frozen=True, slots=True)
class Affinity:
    """The merged hint that is stored for a container."""

    mask: int | None
    """Bit set of zone ids; None where any zone will do."""
    preferred: bool


UNDECIDED = Affinity(None, preferred=False)
"""What policy none stores."""


@dataclass(frozen=True, slots=True)
class TopologyManager:
    """Policy, options and zones of one kubelet."""

    policy: TopologyPolicy
    options: TopologyOptions
    full: int
    """All zones."""
    distances: dict[int, tuple[int, ...]]
    """Zone id to its row of the distance table."""

    def merge(self, lists: Sequence[Hints]) -> tuple[Affinity, bool]:
        """
        Merges hint lists and decides.

        Args:
            lists: one for each resource with a preference; a resource without one changes nothing.

        Returns:
            The affinity to store and whether the policy admits it.

        Raises:
            KubeletCrash: an affinity cannot be formed, or a distance is missing.
        """
        if self.full.bit_length() > LARGEST_ZONE_ID + 1:
            raise KubeletCrash("panic: a NUMA node id above 63 does not fit the bit mask")
        if self.policy is TopologyPolicy.SINGLE_NUMA_NODE:
            return self._merge_single(lists)
        walk = self.options.prefer_closest and self._rows_too_short()
        best = self._walk(lists) if walk else self._best(lists)
        return best, best.preferred or self.policy is TopologyPolicy.BEST_EFFORT

    def _merge_single(self, lists: Sequence[Hints]) -> tuple[Affinity, bool]:
        """Single-numa-node looks at preferred hints of one zone only, and drops an affinity to every zone."""
        if not lists:
            return Affinity(None, preferred=True), True
        common = frozenset.intersection(*(hints.preferred for hints in lists))
        single = min((mask for mask in common if mask.bit_count() == 1), default=None)
        if single is None:
            return UNDECIDED, False
        return Affinity(None if single == self.full else single, preferred=True), True

    def _best(self, lists: Sequence[Hints]) -> Affinity:
        if not lists:
            return Affinity(self.full, preferred=True)
        common = frozenset.intersection(*(hints.preferred for hints in lists))
        if common:
            return Affinity(self._minimum(common), preferred=True)
        if self.policy is TopologyPolicy.RESTRICTED:
            return UNDECIDED  # not admitted, so the kubelet stores nothing
        return Affinity(self._best_intersection(lists), preferred=False)

    def _best_intersection(self, lists: Sequence[Hints]) -> int:
        """
        The best affinity that is not preferred (HintMerger.compare, cases 1 to 3).

        As wide as the widest of the lists' narrowest hints; else narrower than that but as wide as possible;
        else the narrowest wider one.
        """
        candidates = {self.full}
        for hints in lists:
            if hints.masks:
                candidates = {have & mask for have in candidates for mask in hints.masks}
        candidates.discard(0)
        if not candidates:
            return self.full
        widest = _widest_need(lists)
        upto = [mask for mask in candidates if mask.bit_count() <= widest]
        if not upto:
            return self._minimum(candidates)
        width = max(map(int.bit_count, upto))
        return self._minimum(mask for mask in upto if mask.bit_count() == width)

    def _minimum(self, masks: Iterable[int]) -> int:
        return min(masks, key=self._closest_first if self.options.prefer_closest else narrowest_first)

    def _closest_first(self, mask: int) -> Rank:
        """Sort key of prefer-closest-numa-nodes (NUMAInfo.Closest)."""
        return mask.bit_count(), self._average_distance(mask), mask

    def _average_distance(self, mask: int) -> float:
        """Mean over all ordered pairs, each zone with itself included; rows are indexed by zone *id*."""
        zones = list(cpuset.members(mask))
        total = 0.0
        for zone in zones:
            row = self.distances[zone]
            for other in zones:
                if other >= len(row):
                    raise KubeletCrash(f"panic: index out of range: zone {zone} lists no distance to zone {other}")
                total += row[other]
        return total / (len(zones) * len(zones))

    def _rows_too_short(self) -> bool:
        return any(len(row) < self.full.bit_length() for row in self.distances.values())

    def _walk(self, lists: Sequence[Hints]) -> Affinity:
        """
        The kubelet's own walk over all permutations, comparison by comparison.

        Where a distance is missing, whether the kubelet crashes depends on which affinities it happens to
        compare. Such a machine has zone ids with holes and asks for prefer-closest; no other takes this way.
        """
        widest = _widest_need(lists)
        current: Affinity | None = None
        impossible: list[tuple[int | None, bool]] = [(None, False)]
        choices = [[(mask, mask in hints.preferred) for mask in hints.masks] or impossible for hints in lists]
        for permutation in product(*choices):
            masks = [mask for mask, _ in permutation if mask is not None]
            merged = self.full
            for mask in masks:
                merged &= mask
            preferred = all(flag for _, flag in permutation) and len(set(masks)) <= 1
            if merged:
                candidate = Affinity(merged, preferred=preferred)
                current = candidate if current is None else _fitter(current, candidate, widest, self._closer)
        return current or Affinity(self.full, preferred=False)

    def _closer(self, current: int, candidate: int) -> bool:
        """Says whether the candidate replaces the current affinity, reading distances only where Go does."""
        if current == candidate:
            return False
        if current.bit_count() != candidate.bit_count():
            return candidate.bit_count() < current.bit_count()
        return self._closest_first(candidate) < self._closest_first(current)


def _widest_need(lists: Sequence[Hints]) -> int:
    """The widest of the lists' narrowest affinities (maxOfMinAffinityCounts)."""
    return max((min(map(int.bit_count, hints.masks)) for hints in lists if hints.masks), default=0)


def _fitter(current: Affinity, candidate: Affinity, widest: int, closer: Callable[[int, int], bool]) -> Affinity:
    """HintMerger.compare, its numbered cases in order."""
    assert current.mask is not None
    assert candidate.mask is not None
    if current.preferred != candidate.preferred:
        return candidate if candidate.preferred else current
    have, offer = current.mask.bit_count(), candidate.mask.bit_count()
    if not current.preferred and have <= widest:
        if have == widest and offer != widest:
            return current
        if have < widest and offer > widest:
            return current
        if have < widest and offer != have:
            return candidate if offer > have else current
    return candidate if closer(current.mask, candidate.mask) else current


def topology_manager(machine: Machine, policy: TopologyPolicy, options: TopologyOptions) -> TopologyManager:
    """
    Sets the Topology Manager up as a kubelet does (NewManager).

    Raises:
        StartError: too many zones, or distances are wanted and unknown.
    """
    if policy is not TopologyPolicy.NONE:
        if options.prefer_closest and not all(zone.distances for zone in machine.zones):
            raise StartError("cannot discover NUMA topology: error getting NUMA distances from cadvisor")
        if len(machine.zones) > options.max_allowable_numa_nodes:
            raise StartError(f"unsupported on machines with more than {options.max_allowable_numa_nodes} NUMA Nodes")
    return TopologyManager(
        policy=policy,
        options=options,
        full=cpuset.of(zone.id for zone in machine.zones),
        distances={zone.id: zone.distances for zone in machine.zones},
    )
