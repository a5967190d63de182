"""The merge of hints in closed form, against the kubelet's own walk over every combination of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extender import cpuset
from extender.kubelet.errors import KubeletCrash
from extender.kubelet.hints import Hints
from extender.kubelet.options import TopologyOptions
from extender.kubelet.topology_manager import Affinity, TopologyManager, topology_manager
from extender.model.configuration import TopologyPolicy
from extender.model.machine import Machine, Zone

Hint = tuple[int | None, bool]
"""What the kubelet's managers return: a mask (None: any zone will do) and whether it is preferred."""

ANY_ZONE: Hint = (None, True)
NO_ZONE: Hint = (None, False)


@st.composite
def managers(draw: st.DrawFn, policy: TopologyPolicy | None = None, shortest_row: int = 7) -> TopologyManager:
    """A topology manager of up to four zones, whose ids may have holes, and any distances between them."""
    ids = sorted(draw(st.sets(st.integers(0, 6), min_size=1, max_size=4)))
    row = st.lists(st.sampled_from((10, 11, 12, 20, 21)), min_size=shortest_row, max_size=7)
    zones = tuple(Zone(id_, 0, distances=tuple(draw(row))) for id_ in ids)
    chosen = policy or draw(st.sampled_from([policy for policy in TopologyPolicy if policy is not TopologyPolicy.NONE]))
    options = TopologyOptions(prefer_closest=draw(st.booleans()))
    return topology_manager(Machine(zones, cpus=1, sockets=1), chosen, options)


@st.composite
def hint_lists(draw: st.DrawFn, manager: TopologyManager) -> list[list[Hint]]:
    """Up to four lists: hints with masks, an empty list (impossible), or a single hint without a mask (no preference)."""
    masks = [mask for mask in range(1, manager.full + 1) if mask & ~manager.full == 0]
    some = st.lists(st.sampled_from(masks), unique=True, max_size=6).flatmap(
        lambda chosen: st.tuples(*(st.tuples(st.just(mask), st.booleans()) for mask in chosen)).map(list)
    )
    return draw(st.lists(st.one_of(some, st.just([ANY_ZONE])), max_size=4))


def as_hints(lists: Sequence[Sequence[Hint]]) -> list[Hints]:
    """The same lists in the twin's form, in which a manager without a preference has no list."""
    return [
        Hints(
            tuple(mask for mask, _ in hints if mask is not None),
            frozenset(mask for mask, preferred in hints if preferred and mask is not None),
        )
        for hints in lists
        if list(hints) != [ANY_ZONE]
    ]


def walk(manager: TopologyManager, lists: Sequence[Sequence[Hint]]) -> Affinity:
    """The kubelet's way: merge every combination of hints, and keep the better one of two after the other."""
    everything = [list(hints) or [NO_ZONE] for hints in lists]
    if manager.policy is TopologyPolicy.SINGLE_NUMA_NODE:
        everything = [[hint for hint in hints if _single(hint)] for hints in everything]
    need = max((_narrowest(hints) for hints in everything), default=0)
    best: Affinity | None = None
    for combination in product(*everything):
        merged = _merged(manager, combination)
        if merged.mask:
            best = merged if best is None else _better(manager, best, merged, need)
    best = best or Affinity(manager.full, preferred=False)
    if manager.policy is TopologyPolicy.SINGLE_NUMA_NODE and best.mask == manager.full:
        return Affinity(None, preferred=best.preferred)
    return best


def _single(hint: Hint) -> bool:
    mask, preferred = hint
    return preferred and (mask is None or mask.bit_count() == 1)


def _narrowest(hints: Sequence[Hint]) -> int:
    return min((mask.bit_count() for mask, _ in hints if mask is not None), default=0)


def _merged(manager: TopologyManager, combination: Sequence[Hint]) -> Affinity:
    masks = [mask for mask, _ in combination if mask is not None]
    merged = manager.full
    for mask in masks:
        merged &= mask
    alike = all(mask == masks[0] for mask in masks)
    return Affinity(merged, preferred=alike and all(preferred for _, preferred in combination))


def _better(manager: TopologyManager, current: Affinity, candidate: Affinity, need: int) -> Affinity:
    """Which of two affinities the kubelet keeps; ``need`` is the widest of the lists' narrowest masks."""
    assert current.mask is not None
    assert candidate.mask is not None
    if candidate.preferred != current.preferred:
        return candidate if candidate.preferred else current
    closer = candidate if _closer(manager, candidate.mask, current.mask) else current
    have, offered = current.mask.bit_count(), candidate.mask.bit_count()
    if current.preferred or have > need:
        return closer
    if have == need:
        return closer if offered == need else current
    if offered > need:
        return current
    if offered == have:
        return closer
    return candidate if offered > have else current


def _closer(manager: TopologyManager, left: int, right: int) -> bool:
    if left == right:
        return False
    if left.bit_count() != right.bit_count():
        return left.bit_count() < right.bit_count()
    closest = manager.options.prefer_closest and manager.policy is not TopologyPolicy.SINGLE_NUMA_NODE
    if closest and _distance(manager, left) != _distance(manager, right):
        return _distance(manager, left) < _distance(manager, right)
    return left < right


def _distance(manager: TopologyManager, mask: int) -> float:
    pairs = list(_pairs(manager, mask))
    return sum(pairs) / len(pairs)


def _pairs(manager: TopologyManager, mask: int) -> Iterator[int]:
    for zone in cpuset.members(mask):
        for other in cpuset.members(mask):
            yield manager.distances[zone][other]


@settings(max_examples=3000, deadline=None)
@given(st.data())
def test_closed_form_gives_the_affinity_of_the_walk(data: st.DataObject) -> None:
    """Whatever the lists, the policy admits as it would after the walk, and with the same affinity."""
    manager = data.draw(managers())
    lists = data.draw(hint_lists(manager))
    expected = walk(manager, lists)

    affinity, admitted = manager.merge(as_hints(lists))

    assert (expected.preferred or manager.policy is TopologyPolicy.BEST_EFFORT) == admitted
    if admitted:
        assert expected == affinity


@settings(max_examples=2000, deadline=None)
@given(st.data())
def test_missing_distances_crash_where_the_walk_needs_them(data: st.DataObject) -> None:
    """Where the table has no distance for a zone, the twin crashes if and only if the walk has to look it up."""
    manager = data.draw(managers(shortest_row=1))
    lists = data.draw(hint_lists(manager))
    try:
        expected = walk(manager, lists)
    except IndexError:
        with pytest.raises(KubeletCrash, match="lists no distance"):
            manager.merge(as_hints(lists))
        return

    affinity, admitted = manager.merge(as_hints(lists))

    assert (expected.preferred or manager.policy is TopologyPolicy.BEST_EFFORT) == admitted
    if admitted:
        assert expected == affinity


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_order_of_lists_changes_nothing(data: st.DataObject) -> None:
    """The managers' lists come out of a Go map in any order, and the affinity is the same."""
    manager = data.draw(managers(TopologyPolicy.BEST_EFFORT))
    lists = as_hints(data.draw(hint_lists(manager)))
    shuffled = data.draw(st.permutations(lists))

    assert manager.merge(lists) == manager.merge(shuffled)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_where_distances_are_missing_the_walk_is_walked(data: st.DataObject) -> None:
    """On full rows the twin's own walk, meant for short ones, finds what the closed form finds."""
    drawn = data.draw(managers(policy=TopologyPolicy.BEST_EFFORT))
    manager = replace(drawn, options=TopologyOptions(prefer_closest=True))  # without it no distance is looked at
    lists = as_hints(data.draw(hint_lists(manager)))

    assert manager._best(lists) == manager._walk(lists)


def test_a_narrow_affinity_is_not_given_up_for_one_that_is_too_wide() -> None:
    """While the one kept is narrower than the widest need, one that is wider than that does not replace it."""
    zones = tuple(Zone(id_, 0, distances=(10, 10, 10)) for id_ in range(3))
    options = TopologyOptions(prefer_closest=True)
    manager = topology_manager(Machine(zones, cpus=1, sockets=1), TopologyPolicy.BEST_EFFORT, options)
    lists = [Hints((0b001, 0b111), frozenset()), Hints((0b111, 0b011), frozenset())]

    assert Affinity(0b011, preferred=False) == manager._walk(lists) == manager._best(lists)
