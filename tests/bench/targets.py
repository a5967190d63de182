"""What is wanted of the figures, and whether those in ``build/bench`` reach it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from bench.figures import FOLDER, WIDTH

Row = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """One figure and its limit."""

    what: str
    part: str
    value: Callable[[Sequence[Row]], float]
    """Of the part's rows; raises LookupError or ValueError where they do not tell."""
    at_most: float = float("inf")
    at_least: float = float("-inf")

    def reached_by(self, value: float) -> bool:
        """Says whether a figure is within the limit."""
        return self.at_least <= value <= self.at_most

    @property
    def limit(self) -> str:
        """The limit, as it is written."""
        return f"≤ {self.at_most:g}" if self.at_least == float("-inf") else f"≥ {self.at_least:g}"


def _one(rows: Sequence[Row], **columns: object) -> Row:
    (found,) = (row for row in rows if all(row[column] == value for column, value in columns.items()))
    return found


def _of_verbs(shape: str, column: str) -> Callable[[Sequence[Row]], float]:
    return lambda rows: float(_one(rows, nodes=5000, shape=shape, verb="both")[column])


def _growth(rows: Sequence[Row]) -> float:
    """How many times as fast as the number of names the cost of a call grows, at most."""
    grown = [0.0]
    for shape in ("known", "new"):
        costs = [(row["nodes"], row["ours p50"]) for row in rows if (row["shape"], row["verb"]) == (shape, "both")]
        grown += [(cost / less) / (more / fewer) for (fewer, less), (more, cost) in pairwise(sorted(costs))]
    if len(grown) == 1:
        raise ValueError("one size only")
    return max(grown)


def _to_noop(extender: str, percentage: int) -> Callable[[Sequence[Row]], float]:
    return lambda rows: float(_one(rows, extender=extender, percentage=percentage)["to no-op"])


def _disturbed(shape: str) -> Callable[[Sequence[Row]], float]:
    return lambda rows: float(_one(rows, shape=shape, filter="under what-if load")["p99 to calm"])


def _ingested(what: str) -> Callable[[Sequence[Row]], float]:
    def value(rows: Sequence[Row]) -> float:
        (found,) = (row["value"] for row in rows if row["what"].startswith(what))
        return float(found)

    return value


def _mixes(rows: Sequence[Row]) -> list[float]:
    if len(rows) != 7:
        raise ValueError("not all mixes")
    return [row["pack to best other, %"] for row in rows]


TARGETS = (
    Target(
        "known shape, 5,000 nodes: filter + prioritize, p99 to no-op", "verbs", _of_verbs("known", "ratio p99"), 1.5
    ),
    Target("new shape, 5,000 nodes: filter + prioritize, p99, ms", "verbs", _of_verbs("new", "ours p99"), 15),
    Target("cost of a call: growth to growth of names", "verbs", _growth, 1),
    *(
        Target(
            f"real scheduler, {how}, percentageOfNodesToScore {percentage or 'default'}: pods/s to no-op",
            "scheduler",
            _to_noop(extender, percentage),
            at_least=0.9,
        )
        for extender, how in (("bind", "ours binds"), ("filter", "it binds itself"))
        for percentage in (0, 100)
    ),
    Target("seconds until ready", "ingestion", _ingested("seconds until ready"), 10),
    Target("MB at most while starting", "ingestion", _ingested("MB at most"), 400),
    Target("MB resident in the end", "ingestion", _ingested("MB resident in the end"), 400),
    Target("updates a second", "ingestion", _ingested("updates a second"), at_least=500 * 0.98),
    Target("p99 during updates to calm", "ingestion", _ingested("ratio p99"), 2),
    Target(
        "mixes in which pack places more pods", "placement", lambda rows: sum(m > 100 for m in _mixes(rows)), at_least=5
    ),
    Target("pods placed to the best other's, %, least", "placement", lambda rows: min(_mixes(rows)), at_least=99.5),
    *(
        Target(
            f"filter, {shape} shape, under what-if load: p99 to calm",
            "questions",
            _disturbed(shape),
            2,
        )
        for shape in ("known", "new")
    ),
    Target("page with 5,000 nodes, opened for the first time, s", "page", lambda rows: float(rows[0]["p99"]), 2),
)


def compare() -> bool:
    """Prints each target with its figure, if there is one; returns whether none is missed."""
    table = Table("target", "limit", "figure", "", title="Targets")
    missed = False
    for target in TARGETS:
        value = _figure(target)
        reached = value is not None and target.reached_by(value)
        missed |= value is not None and not reached
        mark = "not measured" if value is None else "reached" if reached else "missed"
        table.add_row(target.what, target.limit, "" if value is None else f"{value:.2f}", mark)
    console = Console()
    (console if console.is_terminal else Console(width=WIDTH)).print(table)
    return not missed


def _figure(target: Target) -> float | None:
    file = FOLDER / f"{target.part}.json"
    try:
        return target.value(orjson.loads(file.read_bytes())["rows"])
    except (FileNotFoundError, LookupError, ValueError):
        return None
