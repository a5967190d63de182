"""
Small files of the kernel as text, numbers and sets: what is missing or unreadable is None, never an error.

Some kernels and copies leave NUL bytes behind the newline; they count as white space.
"""

from __future__ import annotations

import re
from pathlib import Path

_LARGEST_DIGITS = 6
_LARGEST_FILE = 1 << 20


def text(path: Path) -> str | None:
    """Returns a file's content without surrounding white space and NUL bytes."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_FILE).decode("utf-8", "replace").strip(" \t\r\n\0")
    except OSError:
        return None


def number(content: str | None) -> int | None:
    """Returns a whole number, possibly negative."""
    if content is None or not re.fullmatch(r"[+-]?[0-9]{1,19}", content, re.ASCII):
        return None
    return int(content)


def entries(directory: Path, prefix: str) -> list[int]:
    """Returns the numbers of the entries ``<prefix><number>``, in the order of their names."""
    try:
        names = sorted(entry.name for entry in directory.iterdir())
    except OSError:
        return []
    pattern = re.compile(rf"{re.escape(prefix)}([0-9]{{1,{_LARGEST_DIGITS}}})", re.ASCII)
    return [int(match[1]) for name in names if (match := pattern.fullmatch(name))]


def bits_of_groups(groups: str) -> int | None:
    """Reads a CPU map, hexadecimal groups of 32 bits with the highest first, as a bit set."""
    parts = groups.split(",")
    if not all(re.fullmatch(r"[0-9a-fA-F]{1,8}", part.strip(), re.ASCII) for part in parts):
        return None
    return int("".join(part.strip().zfill(8) for part in parts), 16)
