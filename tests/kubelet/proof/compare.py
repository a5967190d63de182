"""
Holds the twin against the judge: ``python -m proof.compare --count 1000000 --version 1.37 --version 1.36``.

Chunks of generated cases go to worker processes. Each has its judge answer a chunk while it runs the twin on the same
cases, compares the answers, and returns counts. A case on which they part is given to the judge again: if the judge
then answers otherwise (Go's maps have no order), the case is set aside and counted. Else it is a difference: it is
made small and written down, and the program ends with 1.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import click
import orjson

from proof import judge, report
from proof.difference import Difference, difference, wordings
from proof.facts import Facts
from proof.generate import cases
from proof.hits import Key, hits, wording
from proof.machines import Json
from proof.shrink import shrink
from proof.themes import MIXES

CHUNK = 400
"""Cases of one piece of work."""
MOST_DIFFERENCES = 200
"""After so many the run ends; they have few causes."""
MOST_SHRUNK = 12
AGAIN = 24
"""How often the judge is asked again; with a choice between two devices it then says the same every time once in 2 ** 24."""


@dataclass(slots=True)
class Mismatch:
    """A case on which twin and judge part, each time they are asked."""

    case: Json
    judge: Json
    twin: Json
    difference: Difference


@dataclass(slots=True)
class Outcome:
    """What came of a piece of work; outcomes add up."""

    version: str
    found: Counter[Key] = field(default_factory=Counter)
    mismatches: list[Mismatch] = field(default_factory=list)
    undecided: list[Json] = field(default_factory=list)
    """Cases to which the judge gave two answers."""
    slow: int = 0
    """Cases that the judge answered only with more time."""
    judge_seconds: float = 0.0
    """CPU time."""
    twin_seconds: float = 0.0

    def add(self, other: Outcome) -> None:
        """Adds another outcome of the same version to this one."""
        self.found.update(other.found)
        self.mismatches += other.mismatches
        self.undecided += other.undecided
        self.slow += other.slow
        self.judge_seconds += other.judge_seconds
        self.twin_seconds += other.twin_seconds


def work(seed: str, version: str, mix: str, count: int = CHUNK) -> Outcome:
    """Compares the answers to one chunk of cases."""
    outcome = Outcome(version)
    drawn = list(cases(seed, count, version, MIXES[mix]))
    lines = judge.lines(drawn)
    before = _children_seconds()
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(judge.ask, version, lines)
        started = time.thread_time()
        twins = [judge.twin(orjson.loads(line)) for line in lines]
        outcome.twin_seconds = time.thread_time() - started
        judged = asked.result()
    outcome.judge_seconds = _children_seconds() - before
    for case, line, first, second in zip(drawn, lines, judged, twins, strict=True):
        _compare(outcome, case, line, first, second)
    return outcome


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _compare(outcome: Outcome, case: Json, line: bytes, first: Json, second: Json) -> None:
    parted = difference(case, first, second)
    if parted is not None and first.get("error", "").startswith(judge.TIMEOUT) and "traceback" not in second:
        first = judge.ask(outcome.version, [line], judge.LONG_LIMIT)[0]
        parted = difference(case, first, second)
        outcome.slow += parted is None
    if parted is not None and "traceback" not in second:
        again = judge.ask(outcome.version, [line] * AGAIN)
        if any(difference(case, first, other) for other in again):
            outcome.undecided.append(case)
            return
    if parted is not None:
        outcome.mismatches.append(Mismatch(case, first, second, parted))
        return
    outcome.found.update(hits(Facts(case, first)))
    for said, meant in wordings(first, second):
        outcome.found["wording", f"{wording(said)} <> {wording(meant)}"] += 1


def run(seed: str, version: str, mix: str, count: int, seconds: float, workers: int) -> Outcome:
    """Compares until so many admissions are compared or so many seconds have passed, whatever comes first."""
    total, started = Outcome(version), time.monotonic()

    def enough() -> bool:
        done = total.found["admissions", ""] >= count or time.monotonic() - started >= seconds
        return done or len(total.mismatches) >= MOST_DIFFERENCES

    with ProcessPoolExecutor(workers) as pool:
        seeds = iter(range(1 << 62))
        under_way: set[Future[Outcome]] = set()
        while under_way or not enough():
            while len(under_way) < 2 * workers and not enough():
                under_way.add(pool.submit(work, f"{seed}.{next(seeds)}", version, mix))
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                total.add(future.result())
            if sys.stderr.isatty():
                _tell(total, started, "\r", " ")
    _tell(total, started, "\r" * sys.stderr.isatty(), "\n")
    return total


def _tell(total: Outcome, started: float, before: str, after: str) -> None:
    admissions = total.found["admissions", ""]
    rate = admissions / (time.monotonic() - started)
    sys.stderr.write(
        f"{before}{total.version}: {admissions:,} admissions, {rate:,.0f}/s, {len(total.mismatches)} differences, "
        f"{len(total.undecided)} set aside{after}"
    )
    sys.stderr.flush()


def small(mismatch: Mismatch, version: str) -> Mismatch:
    """Returns a mismatch made small: the same member differs, and the judge means it."""
    errors = mismatch.judge.get("error"), mismatch.twin.get("error")
    with judge.Conversation(version, "2s") as asked:

        def answers(case: Json) -> tuple[Json, Json, Difference | None]:
            first, second = asked.ask(case), judge.twin(case)
            return first, second, difference(case, first, second)

        def shows(case: Json) -> bool:
            first, second, parted = answers(case)
            same_errors = (first.get("error"), second.get("error")) == errors
            return parted is not None and parted.member == mismatch.difference.member and same_errors

        case = shrink(mismatch.case, shows) if shows(mismatch.case) else mismatch.case
        first, second, parted = answers(case)
    return Mismatch(case, first, second, parted or mismatch.difference)


def write(mismatches: list[Mismatch], version: str, directory: Path) -> Iterator[Path]:
    """Writes mismatches, the first ones small, and yields where."""
    directory.mkdir(parents=True, exist_ok=True)
    for number, mismatch in enumerate(mismatches):
        shown = small(mismatch, version) if number < MOST_SHRUNK else mismatch
        path = directory / f"{version}-{mismatch.case['id'].replace('/', '-')}.json"
        written = {"case": shown.case, "judge": shown.judge, "twin": shown.twin, "member": shown.difference.member}
        path.write_bytes(orjson.dumps(written, option=orjson.OPT_INDENT_2))
        yield path


@click.command()
@click.option("--count", default=1_000_000, show_default=True, help="Admissions of each version.")
@click.option("--seconds", default=float("inf"), help="Most seconds for each version.")
@click.option("--version", "versions", multiple=True, default=("1.37", "1.36"), show_default=True)
@click.option("--seed", default="1", show_default=True, help="The same seed compares the same cases.")
@click.option("--mix", default="broad", show_default=True, type=click.Choice(sorted(MIXES)))
@click.option("--workers", default=2, show_default=True, help="Processes; each has a judge beside it.")
@click.option(
    "--out", default=judge.ROOT / "build" / "judge", type=click.Path(path_type=Path), show_default="build/judge"
)
def main(count: int, seconds: float, versions: tuple[str, ...], seed: str, mix: str, workers: int, out: Path) -> None:
    """Compare the twin's answers with the judge's, and report what the cases have reached."""
    differences = 0
    for version in versions:
        started = time.monotonic()
        total = run(seed, version, mix, count, seconds, workers)
        paths = list(write(total.mismatches, version, out / "mismatches"))
        differences += len(paths)
        summary = report.summary(total.found, seed=seed, version=version, seconds=time.monotonic() - started)
        summary["differences"] = [path.name for path in paths]
        summary["set aside"] = [case["id"] for case in total.undecided]
        summary["slow"] = total.slow
        summary["cpu seconds"] = {"judge": total.judge_seconds, "twin": total.twin_seconds}
        (out / f"report-{version}.json").write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))
        click.echo(report.page(summary))
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
