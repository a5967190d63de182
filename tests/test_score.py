"""The score's formula, row by row."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from score_picture import FILE, PLACES, picture

from extender.model.room import Room
from extender.score import Strategy, score


def zones(*free: int, resource: str = "cpu", allocatable: int = 32) -> list[Room]:
    return [Room(zone * 8, {resource: allocatable}, {resource: amount}) for zone, amount in enumerate(free)]


def distance(one: int, other: int) -> int:
    return 10 if one == other else 10 + abs(one - other) // 8 * 10


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param([8, 32], [0, 32], 10, id="a hole filled exactly is the best there is"),
        pytest.param([9, 32], [1, 32], 8, id="a hole filled nearly is nearly as good"),
        pytest.param([32, 32], [24, 32], 2, id="a large hole is not broken for a small pod"),
        pytest.param([8, 8], [0, 0], 6, id="two neighbouring zones cost a third"),
        pytest.param([8, 8, 8], [0, 8, 0], 5, id="two distant zones cost half"),
        pytest.param([32, 32], [32, 32], 0, id="who takes nothing exclusively has no preference"),
    ],
)
def test_the_formula(before: list[int], after: list[int], expected: int) -> None:
    """A placement scores by how full it makes the holes that it uses, and by how near they lie."""
    assert expected == score(zones(*before), zones(*after), distance)


def test_memory_decides_where_no_cpu_is_pinned() -> None:
    """Where only memory is taken, memory is scored."""
    assert score(zones(2**34, resource="memory"), zones(2**33, resource="memory"), distance) == 5


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 512), st.integers(0, 512)), min_size=1, max_size=8),
    st.integers(-1, 255),
)
def test_a_score_is_never_out_of_bounds(amounts: list[tuple[int, int]], far: int) -> None:
    """Whatever the zones and distances, the score is a whole number that the scheduler takes: 0 to 10."""
    before, after = (zones(*(pick(pair) for pair in amounts)) for pick in (max, min))

    assert score(before, after, lambda _one, _other: far) in range(11)


def test_the_examples_of_the_page_are_so() -> None:
    """docs/score.md tells the scores that the code gives."""
    page = (FILE.parent / "score.md").read_text(encoding="utf-8")
    rows = [f"| {place.name} | {' | '.join(str(place.score(each)) for each in Strategy)} |" for place in PLACES]

    assert f"| place | {' | '.join(Strategy)} |\n|---|---|---|---|\n" + "\n".join(rows) in page


def test_the_picture_of_the_page_is_up_to_date() -> None:
    """docs/score.svg is what ``python tests/score_picture.py`` makes."""
    assert picture() == FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("strategy", Strategy)
def test_a_node_without_a_live_shared_pool_is_worth_half(strategy: Strategy) -> None:
    """Taking the last CPU of the shared pool halves the score, whatever the strategy."""
    before, after = zones(16, 32), zones(4, 32)
    whole, half = (score(before, after, distance, strategy, alive=alive) for alive in (True, False))

    assert whole // 2 == half
    assert whole > 0


@pytest.mark.parametrize(
    ("strategy", "better", "worse"),
    [
        pytest.param(Strategy.PACK, 10, 20, id="pack takes the smaller hole"),
        pytest.param(Strategy.SPREAD, 30, 20, id="spread takes the emptier zone"),
    ],
)
def test_strategies_choose_the_place(strategy: Strategy, better: int, worse: int) -> None:
    """Of two places for the same pod each strategy prefers its own."""
    scores = [score(zones(free), zones(free - 8), distance, strategy) for free in (better, worse)]

    assert scores[0] > scores[1]
