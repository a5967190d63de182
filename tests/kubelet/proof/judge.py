"""
Asking the two who answer: the judge (the kubelet's own code, a Go program) and the twin.

Answers are decoded JSON. The twin is called in this process, and whatever it raises is an answer that equals no other.
"""

from __future__ import annotations

import os
import subprocess
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import orjson

from extender.replay import answer as twin_answer
from proof.machines import Json

ROOT = Path(__file__).parents[3]
TIMEOUT = "timeout"
"""How the judge's answer begins when a step did not end, and the twin's when it knows that none would."""
LIMIT = "5s"
LONG_LIMIT = "120s"
"""For a second look at a step that was only slow."""


class JudgeError(Exception):
    """The judge is not there, or does not answer as a judge does."""


def program(version: str) -> Path:
    """
    Returns the judge of a version.

    Raises:
        JudgeError: it has not been built.
    """
    path = Path(os.environ.get("JUDGE_DIR", ROOT / "build" / "judge")) / f"judge-{version}"
    if not path.exists():
        raise JudgeError(f"there is no {path}: tests/kubelet/judge/build.sh {version} builds it")
    return path


def ask(version: str, cases: Sequence[bytes], limit: str = LIMIT) -> list[Json]:
    """
    Returns the judge's answers to cases, a line each, in their order.

    Raises:
        JudgeError: it ended early.
    """
    done = subprocess.run(
        [program(version), "-timeout", limit], input=b"\n".join(cases) + b"\n", capture_output=True, check=False
    )
    answers = done.stdout.splitlines()
    if done.returncode or len(answers) != len(cases):
        told = done.stderr[-500:].decode(errors="replace")
        raise JudgeError(f"judge-{version} gave {len(answers)} answers to {len(cases)} cases: {told}")
    return [orjson.loads(line) for line in answers]


def twin(case: object) -> Json:
    """Returns the twin's answer."""
    try:
        return twin_answer(case)
    except Exception:  # noqa: BLE001 - a traceback is the one answer that is always wrong
        return {"id": "", "traceback": traceback.format_exc()}


class Conversation:
    """A judge that is asked one case at a time, each in the light of the last answer."""

    def __init__(self, version: str, limit: str = LIMIT) -> None:
        self._command = [str(program(version)), "-timeout", limit]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process is not None
        self._pipe(self._process.stdin).close()
        self._process.wait()
        self._pipe(self._process.stdout).close()

    def ask(self, case: Json) -> Json:
        """Returns the judge's answer to one case."""
        assert self._process is not None
        stdin, stdout = self._pipe(self._process.stdin), self._pipe(self._process.stdout)
        stdin.write(orjson.dumps(case) + b"\n")
        stdin.flush()
        answered: Json = orjson.loads(stdout.readline())
        return answered

    @staticmethod
    def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
        assert stream is not None
        return stream


def lines(cases: Iterable[Json]) -> list[bytes]:
    """Encodes cases."""
    return [orjson.dumps(case) for case in cases]
