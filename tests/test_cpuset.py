"""CPU sets as bit sets and as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extender import cpuset
from extender.cpuset import CpuSetError

SETS = st.frozensets(st.integers(0, 300))


@given(SETS)
def test_a_set_survives_its_text(members: frozenset[int]) -> None:
    """Rendering a set and parsing the text gives the set."""
    assert members == frozenset(cpuset.members(cpuset.parse(cpuset.render(cpuset.of(members)))))


@given(SETS, st.integers(0, 400))
def test_the_lowest_members_are_the_first_of_the_sorted_ones(members: frozenset[int], count: int) -> None:
    """``lowest`` takes as many as there are, in ascending order."""
    assert sorted(members)[:count] == list(cpuset.members(cpuset.lowest(cpuset.of(members), count)))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("", ""), ("5", "5"), ("0,1", "0-1"), ("3,1,2", "1-3"), ("0-3,8", "0-3,8"), (" 4 , 6-7", "4,6-7"), ("2-2", "2")],
)
def test_a_text_is_written_as_kubernetes_writes_it(text: str, canonical: str) -> None:
    """Members ascend, and two or more in a row are a range."""
    assert canonical == cpuset.render(cpuset.parse(text))


@pytest.mark.parametrize("text", ["a", "1-", "-1", "3-1", "1,,2", "1-2-3", "70000", "1;2", "٣"])
def test_what_is_no_cpu_list_is_named(text: str) -> None:
    """A text that is no CPU list is refused with a sentence."""
    with pytest.raises(CpuSetError, match="CPU list"):
        cpuset.parse(text)
