"""The twin against the answers that the kubelet's own code gave to the cases written by hand, texts of errors included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from proof.difference import difference, messages
from proof.endings import same_ending

from extender.replay import answer

DATA = Path(__file__).parent / "judge" / "testdata"
VERSIONS = ("1.37", "1.36", "1.35")


def recorded() -> Iterator[tuple[str, str, dict[str, object], dict[str, object]]]:
    cases = {case["id"]: case for case in map(orjson.loads, (DATA / "cases.jsonl").read_bytes().splitlines())}
    for version in VERSIONS:
        for line in (DATA / f"answers-{version}.jsonl").read_bytes().splitlines():
            given = orjson.loads(line)
            yield version, given["id"], {**cases[given["id"]], "version": version}, given


ALL = list(recorded())


@pytest.mark.parametrize(
    ("case", "given"), [(case, given) for _, _, case, given in ALL], ids=[f"{v} {i}" for v, i, *_ in ALL]
)
def test_twin_answers_as_the_kubelet_did(case: dict[str, object], given: dict[str, object]) -> None:
    """Verdicts, messages and state are the kubelet's, and where it ends instead, so does the twin, for its reason."""
    mine = answer(case)

    assert difference(case, given, mine) is None
    assert [] == list(messages(given, mine))
    if "error" in given:
        assert same_ending(str(given["error"]), str(mine["error"]))
