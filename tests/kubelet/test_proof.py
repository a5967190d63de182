"""The proof itself: cases that repeat, differences that are seen, mismatches that get small, and a run that fails."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner
from proof import compare, judge
from proof.difference import Difference, difference
from proof.facts import Facts
from proof.generate import cases
from proof.hits import hits, missing
from proof.machines import Json
from proof.shrink import shrink

CASE: Json = {
    "devices": {
        "vendor.com/x": [
            {"id": "d0", "numa": [0], "healthy": True},
            {"id": "d1", "numa": [0], "healthy": True},
            {"id": "d2", "numa": [1], "healthy": True},
        ]
    }
}
VERDICT: Json = {
    "admit": True,
    "podCpus": "0-3",
    "podMemory": [{"type": "memory", "size": 1, "numa": [0]}],
    "cpus": {"a": "0-1"},
    "memory": {"a": [{"type": "memory", "size": 1, "numa": [0]}]},
    "devices": {"a": {"vendor.com/x": ["d0"]}},
}


def answered(**changed: object) -> Json:
    """An answer with one verdict."""
    return {"id": "", "verdicts": [VERDICT | changed]}


def test_same_seed_draws_same_cases() -> None:
    """A seed is all it takes to see a case again, and another seed or version draws others."""
    drawn = [orjson.dumps(list(cases(seed, 20, version))) for seed, version in ((1, "1.37"), (2, "1.37"), (1, "1.36"))]

    assert drawn[0] == orjson.dumps(list(cases(1, 20, "1.37")))
    assert 3 == len(set(drawn))


@pytest.mark.parametrize(
    ("changed", "member"),
    [
        ({"admit": False}, "admit"),
        ({"reason": "SMTAlignmentError"}, "reason"),
        ({"podCpus": "0-4"}, "podCpus"),
        ({"podMemory": []}, "podMemory"),
        ({"cpus": {"a": "0-2"}}, "cpus"),
        ({"memory": {"a": [{"type": "memory", "size": 1, "numa": [1]}]}}, "memory"),
        ({"devices": {"a": {"vendor.com/x": ["d2"]}}}, "devices"),
        ({"devices": {"a": {"vendor.com/x": ["d0", "d1"]}}}, "devices"),
        ({"devices": {}}, "devices"),
    ],
)
def test_verdicts_that_part_are_told(changed: Json, member: str) -> None:
    """A verdict that differs in what the kubelet does is a difference of that member."""
    assert Difference(member, 0) == difference(CASE, answered(), answered(**changed))


@pytest.mark.parametrize(
    "changed",
    [{}, {"message": "other words"}, {"devices": {"a": {"vendor.com/x": ["d1"]}}}],
    ids=["nothing", "the wording", "a device near the same zone"],
)
def test_verdicts_that_mean_the_same_are_equal(changed: Json) -> None:
    """Wording, and the choice among devices of one zone, make no difference."""
    assert difference(CASE, answered(), answered(**changed)) is None


@pytest.mark.parametrize(
    ("first", "second", "member"),
    [
        ({"error": "x"}, answered(), "error"),
        ({"traceback": "x"}, {"traceback": "x"}, "traceback"),
        ({"verdicts": []}, answered(), "verdicts"),
    ],
)
def test_answers_that_part_are_told(first: Json, second: Json, member: str) -> None:
    """An error on one side, a traceback on any, and a verdict too few are differences."""
    assert Difference(member) == difference(CASE, first, second)


def test_two_errors_are_equal() -> None:
    """Two kubelets that do not start agree, whatever they say."""
    assert difference(CASE, {"error": "this"}, {"error": "that"}) is None


def test_shrinking_leaves_what_shows_it() -> None:
    """A case keeps the step and the option that matter, and little else; the counts of its machine stay true."""
    case = next(one for one in cases("shrink", 1000, "1.37") if "full-pcpus-only" in str(one) and len(one["steps"]) > 9)
    wanted = [step for step in case["steps"] if step["op"] == "admit"][1]["pod"]["metadata"]["uid"]

    def shows(one: Json) -> bool:
        options = one.get("kubelet", {}).get("cpuManagerPolicyOptions", {})
        return "full-pcpus-only" in options and any(wanted in str(step) for step in one["steps"])

    small = shrink(case, shows)

    assert shows(small)
    assert 1 == len(small["steps"])
    assert {"cpuManagerPolicyOptions"} == set(small["kubelet"])
    assert [] == small["machine"].get("topology", [])


def test_every_answer_adds_to_the_table() -> None:
    """What 300 cases of every theme reach is most of what there is, as answered by the twin."""
    table: Counter[tuple[str, str]] = Counter()
    for case in cases("hits", 300, "1.37"):
        table.update(hits(Facts(case, judge.twin(case))))

    assert len(missing(table, "1.37")) < 20
    assert len(missing({}, "1.37")) > 70


@pytest.fixture
def judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for judges that are none: programs that answer as the twin does, or otherwise."""
    monkeypatch.setenv("JUDGE_DIR", str(tmp_path))
    monkeypatch.setattr(compare, "MOST_SHRUNK", 1)
    return tmp_path


def install(directory: Path, change: str) -> None:
    """Installs a judge that is the twin, with its answers changed by a sed program."""
    program = directory / "judge-1.37"
    replay = "import sys; from extender.replay import replay; replay(sys.stdin.buffer, sys.stdout.buffer)"
    program.write_text(f"#!/bin/sh\n{sys.executable} -c '{replay}' | sed -u '{change}'\n")
    program.chmod(0o755)


def run(directory: Path) -> tuple[int, str, Json]:
    """Runs a small comparison; returns its exit code, its page and its report."""
    arguments = ["--count", "500", "--version", "1.37", "--workers", "1", "--mix", "plain", "--out", str(directory)]
    result = CliRunner().invoke(compare.main, arguments)
    return result.exit_code, result.output, orjson.loads((directory / "report-1.37.json").read_bytes())


def test_agreement_ends_well(judges: Path) -> None:
    """Two sides that agree end with 0, and the report has every admission."""
    install(judges, "")
    code, page, report = run(judges)

    assert 0 == code
    assert [] == report["differences"]
    assert report["admissions"] >= 500
    assert sum(report["policy and scope"].values()) == report["admissions"]
    assert "0 differences" in page


def test_difference_ends_badly_with_a_small_case(judges: Path) -> None:
    """A judge that knows another reason ends the run with 1, and the case is written down with few steps."""
    install(judges, "s/EmptyPodSharedPoolError/EmptyError/g")
    code, _, report = run(judges)

    assert 1 == code
    assert report["differences"]
    written = orjson.loads((judges / "mismatches" / report["differences"][0]).read_bytes())
    assert "reason" == written["member"]
    assert 1 == len([step for step in written["case"]["steps"] if step["op"] == "admit"])


def test_missing_judge_is_said(judges: Path) -> None:
    """Without a judge the error names the program that builds it."""
    with pytest.raises(judge.JudgeError, match=r"build\.sh 1\.37"):
        judge.ask("1.37", [b"{}"])
    assert [] == list(judges.iterdir())
