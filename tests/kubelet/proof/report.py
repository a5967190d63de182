"""The report of a comparison: a page to read, and the same figures as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from proof import rows
from proof.hits import Key, missing

_TABLES = (
    ("verdict", "Verdicts"),
    ("reason", "Refusals by reason"),
    ("message", "Refusals by message"),
    ("policy and scope", "Admissions by policy and scope"),
    ("managers", "Admissions by policy of the managers"),
    ("option", "Admissions by option"),
    ("zones", "Admissions by number of zones"),
    ("error", "Cases that end in an error, both sides agreeing"),
    ("wording", "Wordings that differ, judge <> twin"),
)
_MOST_LINES = 40


def summary(found: Mapping[Key, int], *, seed: str, version: str, seconds: float) -> dict[str, Any]:
    """Returns the figures of one version as JSON."""
    return {
        "version": version,
        "seed": seed,
        "seconds": round(seconds, 1),
        "cases": found.get(("cases", ""), 0),
        "admissions": found.get(("admissions", ""), 0),
        **{kind: _table(found, kind) for kind, _ in _TABLES},
        "edge cases": {str(number): found.get(("row", str(number)), 0) for number in sorted(rows.QUESTIONS)},
        "unreachable": {str(number): reason for number, reason in sorted(rows.UNREACHABLE.items())},
        "missing": missing(found, version),
    }


def _table(found: Mapping[Key, int], kind: str) -> dict[str, int]:
    table = {which: count for (of, which), count in found.items() if of == kind}
    return dict(sorted(table.items(), key=lambda item: (-item[1], item[0])))


def page(figures: Mapping[str, Any]) -> str:
    """Returns the figures as text."""
    return "\n".join(_lines(figures))


def _lines(figures: Mapping[str, Any]) -> Iterator[str]:
    yield f"Kubelet {figures['version']}, seed {figures['seed']}"
    yield f"{figures['cases']:,} cases, {figures['admissions']:,} admissions in {figures['seconds']:,} s"
    for side, seconds in figures["cpu seconds"].items():
        rate = figures["admissions"] / seconds if seconds else 0
        yield f"{side}: {seconds:,.0f} s of CPU time, {rate:,.0f} admissions/s"
    yield f"{len(figures['differences'])} differences"
    yield from (f"  {path}" for path in figures["differences"])
    yield f"{len(figures['set aside'])} cases set aside, as the judge gave two answers to them"
    yield f"{figures['slow']} cases that the judge answered only with more time"
    for kind, title in _TABLES:
        yield f"\n{title}"
        table = figures[kind]
        yield from (f"{count:>11,}  {which}" for which, count in list(table.items())[:_MOST_LINES])
        if len(table) > _MOST_LINES:
            yield f"{sum(list(table.values())[_MOST_LINES:]):>11,}  {len(table) - _MOST_LINES} others"
    yield "\nCases by edge case"
    for number, count in figures["edge cases"].items():
        yield f"{count:>11,}  {number:>2} {rows.TITLES[int(number)]}"
    for number, reason in figures["unreachable"].items():
        yield f"{'':>11}  {number:>2} not as such: {reason}"
    yield f"\nNot reached: {', '.join(figures['missing']) or 'nothing'}"
