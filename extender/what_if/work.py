"""
Long computations that pause often: generators that yield after each small step and return their result.

Whoever runs one decides how long it may go on; the computation itself knows no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

Result = TypeVar("Result")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a computation has come in its present part."""

    what: str
    """The part, in a word or two."""
    done: int
    of: int


Work: TypeAlias = Generator[Progress, None, Result]
"""Yields after each step of at most a few verdicts."""


def run(work: Work[Result], watch: Callable[[Progress], None] = lambda _: None) -> Result:
    """
    Runs a computation to its end.

    Args:
        work: the computation.
        watch: called at each pause; ends the computation by raising.
    """
    while True:
        try:
            progress = next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # the generator's declared result
        watch(progress)


def each(what: str, items: Iterable[Item], of: int) -> Iterator[tuple[Progress, Item]]:
    """Numbers the items of a part of a computation."""
    for done, item in enumerate(items, start=1):
        yield Progress(what, done, of), item
