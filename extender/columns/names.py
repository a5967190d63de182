"""
The slots of thousands of names at once: a hash table on arrays, with a dictionary behind it for what the table misses.

A name is compared as its UTF-8 bytes in words of eight, filled up with 0xFF, which no text contains: equal words are
equal names. The table has one place for each hash; names that share one, and names that are not known, are looked up
one by one. Made because thousands of scattered texts cost a dictionary more than all else costs that filter does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from extender.columns.table import Ints

UNHEARD = -1
"""The slot of a name that is not known."""
FEWEST = 64
"""Names below which the dictionary is quicker."""
SPARSE = 16
"""Places of the table for each name, so that few names share one."""
BYTES = 8
"""Of a word."""

Words = NDArray[np.uint64]

_END = ord("\n")
_FILL = np.array([(1 << 64) - (1 << 8 * kept) for kept in range(BYTES + 1)], np.uint64)
"""What fills a word up of which so many bytes belong to the name."""
_NOBODY = np.uint64(0xFF)
"""A word that no text has: 0xFF first, and then something else."""
_ODD, _OTHER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
"""Odd numbers whose products spread the bits of a word: 2**64 by the golden ratio, and a prime of xxHash."""
_HALF = np.uint64(32)


class Names:
    """Slots by name; arrays are made anew when names have come or gone."""

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._table: NDArray[np.int32] | None = None
        self._words: Words = np.zeros((0, 0), np.uint64)
        """(W, N) by slot."""

    def get(self, name: str) -> int | None:
        """Returns the slot of a name."""
        return self._slots.get(name)

    def add(self, name: str, slot: int) -> None:
        """Takes a name in."""
        self._slots[name] = slot
        self._table = None

    def remove(self, name: str) -> None:
        """Forgets a name."""
        del self._slots[name]
        self._table = None

    def find(self, names: Sequence[str], text: str) -> Ints:
        """
        Finds many names.

        Args:
            names: any texts.
            text: the same as lines.

        Returns:
            (N,) slots; ``UNHEARD`` where there is none.
        """
        if len(names) < FEWEST or not self._slots or text.count("\n") != len(names) - 1:
            return np.array([self._slots.get(name, UNHEARD) for name in names], np.int64)
        if self._table is None:
            self._table = self._tabled()
        words = _words(text, len(self._words))
        slots = self._table.take(_places(words, len(self._table))).astype(np.int64)
        same = np.logical_and.reduce(
            [mine.take(slots) == theirs for mine, theirs in zip(self._words, words, strict=True)]
        )
        for place in np.flatnonzero(~same).tolist():
            slots[place] = self._slots.get(names[place], UNHEARD)
        return slots

    def _tabled(self) -> NDArray[np.int32]:
        """Makes the table and the words; slots that nobody has are of no name."""
        names = list(self._slots)
        slots = np.fromiter(self._slots.values(), np.int64, len(names))
        text = "\n".join(names)
        most = max((len(name.encode(*_CODING)) for name in names), default=0)
        words = _words(text, most // BYTES + 1)
        self._words = np.full((len(words), int(slots.max(initial=0)) + 1), _NOBODY)
        self._words[:, slots] = words
        table = np.zeros(1 << (SPARSE * len(names)).bit_length(), np.int32)
        table[_places(words, len(table))] = slots
        return table


_CODING = "utf-8", "surrogatepass"


def _words(text: str, count: int) -> Words:
    """(count, N) the words of each line; longer lines than fit are cut off after a word that no name ends with."""
    data = np.frombuffer(text.encode(*_CODING) + bytes([_END, *[0] * BYTES * count]), np.uint8)
    ends = np.flatnonzero(data == _END)
    starts = np.empty_like(ends)
    starts[0], starts[1:] = 0, ends[:-1] + 1
    length = ends - starts
    from_each_byte: Words = np.ndarray((len(data) - BYTES + 1,), "<u8", data, strides=(1,))
    found = np.empty((count, len(ends)), np.uint64)
    for number in range(count):
        at = BYTES * number
        np.bitwise_or(from_each_byte[starts + at], _FILL.take(length - at, mode="clip"), out=found[number])
    return found


def _places(words: Words, size: int) -> Ints:
    """(N,) the place of each name in a table whose size is a power of two."""
    mixed = words[0] * _ODD
    for word in words[1:]:
        mixed ^= mixed >> _HALF
        mixed = (mixed ^ word) * _OTHER
    mixed ^= mixed >> _HALF
    shift = np.uint64(64 - (size.bit_length() - 1))
    places: Ints = (mixed * _ODD >> shift).astype(np.int64)
    return places
