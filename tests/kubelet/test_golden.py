"""The twin against the verdicts that the kubelet's own code gave; ``python -m proof.golden`` makes them anew."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from proof import golden, judge
from proof.difference import difference, messages
from proof.endings import same_ending
from proof.facts import Facts
from proof.hits import hits, missing

FILES = golden.files()


@pytest.mark.parametrize("path", FILES, ids=[path.name.partition(".jsonl")[0] for path in FILES])
def test_twin_answers_as_the_kubelet_did(path: Path) -> None:
    """Every recorded case has the same verdicts, messages, CPUs, memory and devices from the twin."""
    for case, answer in golden.read(path):
        given = judge.twin(case)

        assert difference(case, answer, given) is None, (case["id"], answer, given)
        assert [] == list(messages(answer, given)), case["id"]
        assert same_ending(str(answer.get("error", "")), str(given.get("error", ""))), (case["id"], answer, given)


def test_golden_verdicts_reach_everything() -> None:
    """The recorded cases reach every reason, policy, scope, option and edge case, in at least 20,000 admissions."""
    table: Counter[tuple[str, str]] = Counter()
    for path in FILES:
        for case, answer in golden.read(path):
            table.update(hits(Facts(case, answer)))

    assert [] == missing(table, "1.37")
    assert table["admissions", ""] >= 20_000
