"""Choices at random from a seed: quick, and the same on every machine."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Weighted(Generic[Item]):
    """Items with weights."""

    __slots__ = ("bounds", "items", "total")

    def __init__(self, *pairs: tuple[Item, float]) -> None:
        self.items = [item for item, _ in pairs]
        self.bounds = list(accumulate(weight for _, weight in pairs))
        self.total = self.bounds[-1]


class Dice(random.Random):
    """A seeded source of choices; its methods cost a fraction of those they resemble."""

    def chance(self, probability: float) -> bool:
        """Says yes with this probability."""
        return self.random() < probability

    def below(self, count: int) -> int:
        """Returns a whole number from 0 to ``count - 1``."""
        return int(self.random() * count)

    def between(self, least: int, most: int) -> int:
        """Returns a whole number from ``least`` to ``most``."""
        return least + int(self.random() * (most - least + 1))

    def one(self, items: Sequence[Item]) -> Item:
        """Returns one of the items."""
        return items[int(self.random() * len(items))]

    def weighted(self, table: Weighted[Item]) -> Item:
        """Returns one of the items by weight."""
        return table.items[bisect_right(table.bounds, self.random() * table.total)]
