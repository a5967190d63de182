"""Slots of many names at once are those that a dictionary has."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from extender.columns.names import FEWEST, UNHEARD, Names

ODD = ("", "\x00", "a", "a\x00", "a" * 7, "a" * 8, "a" * 9, "a" * 253, "ä", "\ud800", "\n", "a\nb", "\x00" * 8)
"""What is no name of a node, and what ends at the border of a word."""
TEXTS = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(ODD)


def expected(known: dict[str, int], asked: list[str]) -> list[int]:
    return [known.get(name, UNHEARD) for name in asked]


def found(names: Names, asked: list[str]) -> list[int]:
    slots: list[int] = names.find(asked, "\n".join(asked)).tolist()
    return slots


@settings(deadline=None)
@given(
    known=st.dictionaries(TEXTS, st.integers(0, 500), max_size=30),
    strangers=st.lists(TEXTS, max_size=30),
    many=st.integers(0, 3 * FEWEST),
    dice=st.randoms(use_true_random=False),
)
def test_any_texts_are_found(known: dict[str, int], strangers: list[str], many: int, dice: random.Random) -> None:
    """Whatever texts are known and asked about, few or many, each has its slot, and strangers have none."""
    names = Names()
    for name, slot in known.items():
        names.add(name, slot)
    asked = dice.choices([*known, *strangers], k=many) if known or strangers else []

    assert expected(known, asked) == found(names, asked)


def test_names_come_and_go_between_questions() -> None:
    """A slot given to another name is not found by the old one."""
    dice, names, known = random.Random(7), Names(), dict[str, int]()
    free = list(range(400))
    for _ in range(30):
        for _ in range(dice.randrange(20)):
            name = f"ip-10-0-{dice.randrange(400)}.compute.internal"
            if name in known:
                names.remove(name)
                free.append(known.pop(name))
            else:
                known[name] = free.pop(dice.randrange(len(free)))
                names.add(name, known[name])
        asked = [f"ip-10-0-{number}.compute.internal" for number in dice.sample(range(400), dice.randrange(400))]

        assert expected(known, asked) == found(names, asked)


def test_names_that_share_a_place_are_found() -> None:
    """With very many names some have the same place in the table; none is lost for that."""
    names = Names()
    listed = [f"node-{number}" for number in range(20_000)]
    for slot, name in enumerate(listed):
        names.add(name, slot)

    assert list(range(20_000)) == found(names, listed)
