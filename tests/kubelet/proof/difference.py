"""
What counts as a difference between two answers to one case.

The verdict and its reason, CPUs, memory blocks, and devices counted by the zones that they are near, must be equal,
and so must be whether there is an error. How a message or an error is worded is told, and fails nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proof.machines import Json

_EQUAL = ("admit", "reason", "podCpus", "podMemory", "cpus", "memory")


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two answers part."""

    member: str
    """``error``, ``traceback``, ``verdicts``, or the member of a verdict."""
    verdict: int | None = None
    """Index of the verdict."""


def difference(case: Json, first: Json, second: Json) -> Difference | None:
    """Returns the first difference of two answers; None where there is none."""
    if "traceback" in first or "traceback" in second:
        return Difference("traceback")
    if ("error" in first) != ("error" in second):
        return Difference("error")
    one, other = first.get("verdicts", ()), second.get("verdicts", ())
    if len(one) != len(other):
        return Difference("verdicts")
    near = _zones_of_devices(case)
    for index, (left, right) in enumerate(zip(one, other, strict=True)):
        if left == right:
            continue
        for member in _EQUAL:
            if left.get(member) != right.get(member):
                return Difference(member, index)
        if _by_zones(near, left.get("devices", {})) != _by_zones(near, right.get("devices", {})):
            return Difference("devices", index)
    return None


def _zones_of_devices(case: Json) -> Mapping[tuple[str, str], tuple[int, ...]]:
    return {
        (resource, device["id"]): tuple(device.get("numa") or ())
        for resource, listed in case.get("devices", {}).items()
        for device in listed
    }


def _by_zones(near: Mapping[tuple[str, str], tuple[int, ...]], devices: Mapping[str, Any]) -> Any:
    return {
        (container, resource): Counter(near[resource, id_] for id_ in ids)
        for container, held in devices.items()
        for resource, ids in held.items()
    }


def wordings(first: Json, second: Json) -> Iterator[tuple[str, str]]:
    """Yields messages and errors that two otherwise equal answers word differently."""
    if first.get("error") != second.get("error"):
        yield first.get("error", ""), second.get("error", "")
    yield from messages(first, second)


def messages(first: Json, second: Json) -> Iterator[tuple[str, str]]:
    """Yields the messages of refusals in which two otherwise equal answers differ."""
    for left, right in zip(first.get("verdicts", ()), second.get("verdicts", ()), strict=False):
        if left.get("message") != right.get("message"):
            yield left.get("message", ""), right.get("message", "")
