"""
Sets of small integers as Python integers: bit n is set if n is a member.

CPU sets and affinities (sets of zone ids) are both of this kind: union is ``|``, intersection ``&``, difference
``& ~``, size ``int.bit_count``. The text form is the kernel's list format, as Kubernetes prints it: ascending,
runs of two or more as ``a-b``.

Source: k8s.io/utils/cpuset (Parse, String).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

LARGEST_MEMBER = 65_535  # far above any CPU number; a bound on what hostile text may allocate


class CpuSetError(ValueError):
    """A text that is not a CPU set; the message is one sentence that shows it."""


def of(members: Iterable[int]) -> int:
    """Returns the set of the given members."""
    mask = 0
    for member in members:
        mask |= 1 << member
    return mask


def members(mask: int) -> Iterator[int]:
    """Yields the members in ascending order."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def lowest(mask: int, count: int) -> int:
    """Returns the set of the ``count`` lowest members."""
    taken = 0
    for _ in range(min(count, mask.bit_count())):
        low = mask & -mask
        taken |= low
        mask ^= low
    return taken


@lru_cache(maxsize=4096)
def parse(text: str) -> int:
    """
    Reads ``0-3,8`` as a set; the empty text is the empty set.

    Raises:
        CpuSetError: if the text is not a list of numbers and ranges.
    """
    mask = 0
    for part in text.strip().split(",") if text.strip() else ():
        first, dash, last = part.strip().partition("-")
        if not _is_number(first) or (dash and not _is_number(last)):
            raise CpuSetError(f"{text[:80]!r} is not a CPU list such as 0-3,8")
        low, high = int(first), int(last) if dash else int(first)
        if high < low or high > LARGEST_MEMBER:
            raise CpuSetError(
                f"{part!r} in the CPU list {text[:80]!r} is not an ascending range up to {LARGEST_MEMBER}"
            )
        mask |= ((1 << (high - low + 1)) - 1) << low
    return mask


def render(mask: int) -> str:
    """Returns the text form, ``""`` for the empty set."""
    parts = []
    while mask:
        start = (mask & -mask).bit_length() - 1
        run = (~(mask >> start) & ((mask >> start) + 1)).bit_length() - 1
        parts.append(str(start) if run == 1 else f"{start}-{start + run - 1}")
        mask &= ~(((1 << run) - 1) << start)
    return ",".join(parts)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 6
