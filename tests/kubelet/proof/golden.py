"""
Golden verdicts: cases with the judge's answers, kept in the repository so that the twin is proven without Go.

``python -m proof.golden`` makes them anew: it draws many cases, has the judge answer each several times, leaves out
those on which the judge is not of one mind, and picks from the rest so that everything that a case can reach is
reached several times: edge cases, messages, options under every policy and scope, and branches of the twin.
"""

from __future__ import annotations

import functools
import heapq
import lzma
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import orjson
from coverage import Coverage

from proof import judge
from proof.difference import difference, messages
from proof.facts import Facts
from proof.generate import cases
from proof.hits import hits, missing
from proof.machines import Json
from proof.themes import BROAD, MIXES, Theme

DIRECTORY = Path(__file__).parents[1] / "golden"
VERSIONS = ("1.37", "1.36", "1.35")
FILES = 8
"""Of each version, so that tests can run side by side."""
WANTED = 6
"""How often each thing should be reached."""
LIMIT = "2s"
"""CPU time for a step; those that end take a tenth of it at most."""
ASKED = 10
"""How often the judge answers a case with devices, whose choice may be chance; others it answers twice."""


@dataclass(slots=True)
class Candidate:
    """A case that may become a golden one."""

    case: Json
    answer: Json
    line: bytes
    things: set[str] = field(default_factory=set)
    """What it reaches."""

    @property
    def admissions(self) -> int:
        """How many verdicts it has."""
        return len(self.answer.get("verdicts", ()))


@functools.cache
def read(path: Path) -> tuple[tuple[Json, Json], ...]:
    """Returns the cases of a file with the judge's answers; they are for reading only."""
    with lzma.open(path, "rb") as file:
        entries = [orjson.loads(line) for line in file]
    return tuple((entry["case"], entry["answer"]) for entry in entries)


def files() -> list[Path]:
    """Returns the files there are."""
    return sorted(DIRECTORY.glob("*.jsonl.xz"))


def candidates(seed: str, version: str, per_theme: int) -> list[Candidate]:
    """Draws cases of every theme, without those to which the judge has no one answer."""
    drawn: list[Json] = []
    for theme in BROAD.items:
        drawn += cases(f"{seed}-{theme.name}", _count(theme, per_theme), version, MIXES[theme.name])
    lines = judge.lines(drawn)
    answers = judge.ask(version, lines, LIMIT)
    undecided = set()
    for attempt in range(1, ASKED):
        asked = [index for index, case in enumerate(drawn) if attempt == 1 or "devices" in case]
        again = judge.ask(version, [lines[index] for index in asked], LIMIT)
        undecided |= {index for index, other in zip(asked, again, strict=True)
                      if difference(drawn[index], answers[index], other)
                      or any(messages(answers[index], other))}  # fmt: skip
    return [
        Candidate(case, answer, line)
        for index, (case, answer, line) in enumerate(zip(drawn, answers, lines, strict=True))
        if index not in undecided
    ]


def _count(theme: Theme, per_theme: int) -> int:
    """Returns how many cases of a theme are drawn; those that may never end cost the judge its time limit."""
    return 100 if theme.name == "endless" else per_theme


def find_things(found: Sequence[Candidate]) -> None:
    """Notes what each case reaches: hits, and branches of the twin."""
    for candidate in found:
        facts = Facts(candidate.case, candidate.answer)
        table = hits(facts)
        candidate.things = {f"{kind}: {which}" for kind, which in table}
        where = f"{facts.policy}/{facts.scope}"
        candidate.things |= {f"{option} {where}" for option in facts.options}
        candidate.things |= {f"{which} {where}" for kind, which in table if kind == "reason"}
    for index, arcs in enumerate(_arcs([candidate.case for candidate in found])):
        found[index].things |= arcs


def _arcs(drawn: Iterable[Json]) -> Iterator[set[str]]:
    """Yields for each case the branches that the twin takes in it."""
    measured = Coverage(branch=True, data_file=None, include=["*/extender/kubelet/*"], config_file=False)
    measured.set_option("run:disable_warnings", ["no-data-collected"])  # a malformed case gets no further than the wire
    for case in drawn:
        measured.erase()
        measured.start()
        judge.twin(case)
        measured.stop()
        data = measured.get_data()
        yield {
            sys.intern(f"{Path(name).name} {arc}") for name in data.measured_files() for arc in data.arcs(name) or ()
        }


def pick(found: Sequence[Candidate], admissions: int) -> list[Candidate]:
    """
    Picks cases until everything is reached often enough and there are as many admissions as asked for.

    Greedy: always the case that reaches most of what is still rare, for its size. What a case is worth only falls, so
    a case whose worth is still the highest after a fresh look is the best.
    """
    reached: Counter[str] = Counter()

    def worth(candidate: Candidate) -> float:
        rare = sum(1 / (1 + reached[thing]) for thing in candidate.things if reached[thing] < WANTED)
        return rare / (500 + len(candidate.line))

    queue = [(-worth(candidate), index) for index, candidate in enumerate(found)]
    heapq.heapify(queue)
    picked: list[int] = []
    while queue:
        _, index = heapq.heappop(queue)
        now = worth(found[index])
        if queue and now < -queue[0][0]:
            heapq.heappush(queue, (-now, index))
        elif now > 0:
            picked.append(index)
            reached.update(found[index].things)
        else:
            break
    taken = set(picked)
    others = (index for index, candidate in enumerate(found) if candidate.admissions and index not in taken)
    total = sum(found[index].admissions for index in picked)
    for index in others:
        if total >= admissions:
            break
        picked.append(index)
        total += found[index].admissions
    return [found[index] for index in picked]


def write(version: str, picked: Sequence[Candidate]) -> None:
    """Writes the cases of a version, every file with some of everything."""
    DIRECTORY.mkdir(exist_ok=True)
    for number in range(FILES):
        path = DIRECTORY / f"{version}-{number}.jsonl.xz"
        lines = [orjson.dumps({"case": one.case, "answer": one.answer}) for one in picked[number::FILES]]
        path.write_bytes(lzma.compress(b"\n".join(lines) + b"\n", preset=9 | lzma.PRESET_EXTREME))


@click.command()
@click.option("--admissions", default=12_000, show_default=True, help="Of each version, at least.")
@click.option("--per-theme", default=600, show_default=True, help="Cases of each theme to choose from.")
@click.option("--seed", default="golden", show_default=True)
@click.option("--version", "versions", multiple=True, default=VERSIONS, show_default=True)
def main(admissions: int, per_theme: int, seed: str, versions: tuple[str, ...]) -> None:
    """Make the golden verdicts anew, with the judges of both versions."""
    for version in versions:
        found = candidates(seed, version, per_theme)
        find_things(found)
        picked = pick(found, admissions)
        write(version, picked)
        table: Counter[tuple[str, str]] = Counter()
        for candidate in picked:
            table.update(hits(Facts(candidate.case, candidate.answer)))
        verdicts = sum(candidate.admissions for candidate in picked)
        click.echo(f"{version}: {len(picked)} cases of {len(found)}, {verdicts} admissions")
        click.echo(f"not reached: {', '.join(missing(table, version)) or 'nothing'}")


if __name__ == "__main__":
    sys.exit(main())
