"""Figures of a benchmark: rows that are printed as a table and written as JSON beside it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent.parent.parent / "build" / "bench"
WIDTH = 150


class MissingError(Exception):
    """A benchmark lacks something that must be there before; the message says what."""


def percentile(seconds: Sequence[float], percent: float) -> float:
    """Returns a percentile, as the smallest value that so many percent do not exceed."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@dataclass
class Figures:
    """One table."""

    name: str
    """Also the name of its file."""
    title: str
    rows: list[dict[str, Any]]

    def publish(self) -> None:
        """Prints the table and writes ``build/bench/NAME.json``."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        document = {"title": self.title, "python": platform.python_version(), "rows": self.rows}
        (FOLDER / f"{self.name}.json").write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        table = Table(title=self.title)
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        for column in columns:
            table.add_column(column, justify="left" if column == columns[0] else "right")
        for row in self.rows:
            table.add_row(*(_text(row.get(column)) for column in columns))
        console = Console()
        (console if console.is_terminal else Console(width=WIDTH)).print(table)


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
