"""Figures are held against what is wanted of them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from bench import targets
from bench.figures import Figures


def figures(part: str, *rows: dict[str, object]) -> Figures:
    return Figures(part, part, list(rows))


def verbs(nodes: int, shape: str, milliseconds: float) -> dict[str, object]:
    return {"nodes": nodes, "shape": shape, "verb": "both", "ours p50": milliseconds, "ours p99": milliseconds}


def shown(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *given: Figures) -> str:
    for path in ("bench.figures.FOLDER", "bench.targets.FOLDER"):
        monkeypatch.setattr(path, folder)
    for one in given:
        one.publish()
    capsys.readouterr()
    reached = targets.compare()
    text = capsys.readouterr().out
    assert reached == ("missed" not in text)
    return text


def line(text: str, what: str) -> list[str]:
    (found,) = (one for one in text.splitlines() if what in one)
    return [part.strip() for part in found.strip("│").split("│")][1:]


@pytest.mark.parametrize(
    ("large", "expected"),
    [
        pytest.param(9.0, ["≤ 1", "0.90", "reached"], id="ten times the names cost nine times as much"),
        pytest.param(11.0, ["≤ 1", "1.10", "missed"], id="ten times the names cost eleven times as much"),
    ],
)
def test_growth_is_held_against_the_growth_of_names(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    large: float,
    expected: list[str],
) -> None:
    """The cost of a call may grow as fast as the number of names, whatever the shape, and no faster."""
    rows = [verbs(500, "known", 1), verbs(5000, "known", 1), verbs(500, "new", 1), verbs(5000, "new", large)]

    assert expected == line(shown(tmp_path, monkeypatch, capsys, figures("verbs", *rows)), "growth of names")


def test_what_was_not_measured_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parts that did not run, or on other sizes, have no figure and no verdict."""
    text = shown(tmp_path, monkeypatch, capsys, figures("verbs", verbs(1000, "new", 99)))

    assert ["≤ 15", "", "not measured"] == line(text, "new shape, 5,000")
    assert "reached" not in text


def test_a_mix_in_which_others_place_more_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worst of the seven mixes decides, and the better ones are counted."""
    rows: list[dict[str, object]] = [{"pack to best other, %": part} for part in (101, 102, 103, 104, 105, 100, 99)]
    text = shown(tmp_path, monkeypatch, capsys, figures("placement", *rows))

    assert ["≥ 5", "5.00", "reached"] == line(text, "mixes in which")
    assert ["≥ 99.5", "99.00", "missed"] == line(text, "least")


def test_figures_are_written_beside_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the table shows is there as JSON too."""
    monkeypatch.setattr("bench.figures.FOLDER", tmp_path)
    figures("twin", {"machine": "small", "µs": 12.25}).publish()

    assert "12.25" in capsys.readouterr().out
    assert [{"machine": "small", "µs": 12.25}] == orjson.loads((tmp_path / "twin.json").read_bytes())["rows"]
