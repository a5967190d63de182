"""
Mutates the twin and holds every mutant against the golden verdicts: ``python -m mutation.run`` (in tests/kubelet).

mutmut's mutators write the mutants; all of a module's live in one file, and a table per function says which one is
called. Here the twin is imported once with all of them, and each mutant gets a fork of this process in which it is
switched on: a tenth of a second for one that is killed, instead of a start of pytest. It is asked the cases that come by
its function, first of all those that killed other mutants of it. What the golden verdicts let live, the unit tests of the twin
see next, because verdicts in JSON do not show everything that the twin tells.

Survivors are written to build/mutation/survivors.diff. Mutants of what runs at import are not tested: their values are
read before a fork could switch them.
"""

from __future__ import annotations

import difflib
import gc
import inspect
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

import click

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
WORK = ROOT / "build" / "mutation"
NOT_MUTATED = {"__init__.py", "gate_table.py"}
"""Nothing but tables."""
UNIT_TESTS = ("test_recorded.py", "test_devices_that_change.py", "test_told.py")
TESTS_OF = {
    "extender.kubelet.cpu_assignment": ("test_cpu_assignment.py",),
    "extender.kubelet.hints": ("test_merge.py",),
    "extender.kubelet.topology_manager": ("test_merge.py",),
}
"""Unit tests that are about one module, and slow."""
RECENT = 12
"""Cases that killed a mutant of a function are asked first about its next one; so many are remembered."""
ORIGINAL = "_mutmut_orig"


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed by golden verdicts"
    BY_TESTS = "killed by unit tests"
    ENDLESS = "killed, as it does not end"
    ALIVE = "alive"


ORDER = tuple(Fate)


@dataclass(slots=True)
class Switch:
    """A function of the twin with its mutants; a call goes to the one that is on."""

    module: str
    mutants: dict[str, Callable[..., Any]]
    on: str = ORIGINAL
    called: bool = False
    cases: list[int] = field(default_factory=list)
    """Numbers of the golden cases that come by."""

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns what stands in the function's place."""

        def call(*args: Any, **named: Any) -> Any:
            self.called = True
            return self.mutants[self.on](*args, **named)

        call.__doc__, call.__name__ = function.__doc__, function.__name__
        return call


@dataclass(slots=True)
class Mutants:
    """All mutants by name, each with its switch."""

    switches: dict[str, Switch] = field(default_factory=dict)

    def collect(self, mutants: dict[str, Callable[..., Any]], *, is_classmethod: bool = False) -> Callable[..., Any]:
        """Stands in for mutmut's decorator, which would look a mutant up in the environment at each call."""

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            assert not is_classmethod, f"a class method cannot be switched: {function}"
            switch = Switch(function.__module__, mutants)
            self._later.append(switch)
            return switch.wrap(function)

        return decorate

    _later: list[Switch] = field(default_factory=list)
    """Their tables are filled after the decorator has been called."""

    def wrong_cases(self, golden: Golden) -> list[int]:
        """Returns the cases that the twin fails with every mutant off; notes which functions each case comes by."""
        wrong = []
        for number in range(len(golden.cases)):
            for switch in self._later:
                switch.called = False
            if golden.differs(number):
                wrong.append(number)
            for switch in self._later:
                if switch.called:
                    switch.cases.append(number)
        return wrong

    def name_all(self) -> None:
        """Takes down the mutants, once everything is imported."""
        for switch in self._later:
            for name in switch.mutants:
                if name != ORIGINAL:
                    self.switches[f"{switch.module}.{name}"] = switch


def write_mutants() -> None:
    """Writes a copy of the project's package with all mutants in it."""
    os.chdir(HERE)  # where mutmut finds its configuration
    from mutmut.mutation.file_mutation import mutate_file_contents  # noqa: PLC0415 - reads it at import

    shutil.rmtree(WORK, ignore_errors=True)
    shutil.copytree(ROOT / "extender", WORK / "extender")
    (WORK / "config").symlink_to(ROOT / "config")
    for path in sorted((WORK / "extender" / "kubelet").glob("*.py")):
        if path.name not in NOT_MUTATED:
            path.write_text(mutate_file_contents(str(path), path.read_text()).code)


def load_mutants() -> Mutants:
    """Imports the mutated twin, every mutant switched off."""
    from mutmut.mutation import trampoline  # noqa: PLC0415 - as above

    assert not any(name.partition(".")[0] == "extender" for name in sys.modules)
    sys.path.insert(0, str(WORK))
    mutants = Mutants()
    vars(trampoline)["wrap_in_trampoline"] = mutants.collect
    from extender import replay  # noqa: PLC0415 - not before the path is set

    assert Path(replay.__file__).is_relative_to(WORK)
    mutants.name_all()
    return mutants


class Golden:
    """The golden cases, and whether the twin as it is switched answers one as the kubelet did."""

    def __init__(self, most: int) -> None:
        from proof import difference, endings, golden, judge  # noqa: PLC0415 - they import the twin

        self._difference, self._same_ending, self._twin = difference, endings.same_ending, judge.twin
        cases = [case for path in golden.files() for case in golden.read(path)]
        random.Random(1).shuffle(cases)
        cases.sort(key=lambda case: len(case[1].get("verdicts", ())))  # those that end at the start are asked soonest
        self.cases = cases[:most]

    def differs(self, number: int) -> bool:
        """Says whether verdicts, messages, allocations or the end of a case differ."""
        case, answer = self.cases[number]
        given = self._twin(case)
        return (
            self._difference.difference(case, answer, given) is not None
            or any(self._difference.messages(answer, given))
            or not self._same_ending(str(answer.get("error", "")), str(given.get("error", "")))
        )


@dataclass(slots=True)
class Run:
    """Mutants under test, some at a time."""

    golden: Golden
    limit: float
    """Seconds until a mutant counts as endless."""
    ask_tests: bool
    survivors: IO[str]
    """Where the names of those that live are written as they are found."""
    recent: defaultdict[str, deque[int]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=RECENT)))
    fates: dict[str, Fate] = field(default_factory=dict)

    def go(self, mutants: Mutants, names: Sequence[str], workers: int) -> None:
        """Tests mutants and notes their fates."""
        waiting, running = deque(names), dict[int, tuple[str, int]]()
        while waiting or running:
            while waiting and len(running) < workers:
                name = waiting.popleft()
                end, told = os.pipe()
                process = os.fork()
                if process == 0:
                    os.close(end)
                    self._child(mutants.switches[name], name, told)
                os.close(told)
                running[process] = name, end
            process, status = os.wait()
            name, end = running.pop(process)
            self._note(name, os.waitstatus_to_exitcode(status), os.read(end, 16))
            os.close(end)
            self._tell(len(names))

    def _child(self, switch: Switch, name: str, told: int) -> None:
        """Ends this process with the mutant's fate."""
        switch.on = name.removeprefix(f"{switch.module}.")
        signal.signal(signal.SIGALRM, lambda *_: os._exit(ORDER.index(Fate.ENDLESS)))
        signal.setitimer(signal.ITIMER_REAL, self.limit)
        forget()
        for number in [*self.recent[function_of(name)], *switch.cases]:
            try:
                differs = self.golden.differs(number)
            except BaseException:  # noqa: BLE001 - whatever it is, it is no verdict
                differs = True
            if differs:
                os.write(told, str(number).encode())
                os._exit(ORDER.index(Fate.KILLED))
        tests = [*UNIT_TESTS, *TESTS_OF.get(switch.module, ())] if self.ask_tests else []
        os._exit(ORDER.index(Fate.BY_TESTS if tests and not tests_pass(tests) else Fate.ALIVE))

    def _note(self, name: str, code: int, by: bytes) -> None:
        fate = self.fates[name] = ORDER[code] if 0 <= code < len(ORDER) else Fate.ENDLESS
        if fate is Fate.ALIVE:
            self.survivors.write(f"{name}\n")
            self.survivors.flush()
        if by:
            known = self.recent[function_of(name)]
            if int(by) in known:
                known.remove(int(by))
            known.appendleft(int(by))

    def _tell(self, total: int) -> None:
        if not sys.stderr.isatty() and len(self.fates) % 100:
            return
        counts = Counter(self.fates.values())
        told = ", ".join(f"{counts[fate]} {fate}" for fate in Fate)
        begin, end = ("\r", " ") if sys.stderr.isatty() else ("", "\n")
        sys.stderr.write(f"{begin}{len(self.fates)} of {total}: {told}{end}")
        sys.stderr.flush()


def forget() -> None:
    """Empties what functions of the twin remember from before a mutant was switched on."""
    for module in [module for name, module in sys.modules.items() if name.startswith("extender.")]:
        for value in list(vars(module).values()):
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def tests_pass(tests: Sequence[str]) -> bool:
    """Says whether unit tests pass; to be called in a fork."""
    import pytest  # noqa: PLC0415 - only for what the golden verdicts let live

    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.chdir(ROOT)
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist", "--hypothesis-seed=1"]
    paths = [ROOT / "tests" / "kubelet" / test for test in tests]
    return pytest.main([*options, *map(str, paths)]) == pytest.ExitCode.OK


def function_of(name: str) -> str:
    """Returns the function that a mutant is of."""
    return name.rpartition("__mutmut_")[0]


def diffs(mutants: Mutants, names: Sequence[str]) -> Iterator[str]:
    """Yields what mutants have changed."""
    for name in names:
        switch = mutants.switches[name]
        own = name.removeprefix(f"{switch.module}.")
        changed, original = (inspect.getsource(switch.mutants[key]).splitlines() for key in (own, ORIGINAL))
        lines = difflib.unified_diff(original[1:], changed[1:], lineterm="", n=1)
        yield "\n".join([f"# {name}", *(line for line in lines if not line.startswith(("---", "+++"))), ""])


@click.command()
@click.option("--only", default="*", show_default=True, help="Mutants by name, wildcards allowed.")
@click.option("--cases", default=1_000_000, help="Golden cases at most; all by default.")
@click.option("--workers", default=2, show_default=True)
@click.option(
    "--tests/--no-tests", "ask_tests", default=True, show_default=True, help="Whether unit tests are asked too."
)
def main(only: str, cases: int, workers: int, *, ask_tests: bool) -> None:
    """Mutate the twin, test the mutants, and write down those that live."""
    write_mutants()
    mutants = load_mutants()
    golden = Golden(cases)
    started = time.monotonic()
    wrong = mutants.wrong_cases(golden)
    took = time.monotonic() - started
    if wrong:
        raise click.ClickException(f"the twin itself fails {len(wrong)} cases: there is nothing to test")
    click.echo(f"{len(golden.cases)} golden cases in {took:.1f} s")
    names = [name for name in mutants.switches if fnmatch(name, only)]
    gc.freeze()
    with (WORK / "survivors.txt").open("w") as survivors:
        run = Run(golden, 60 + 12 * took, ask_tests, survivors)
        run.go(mutants, names, workers)
    alive = [name for name, fate in run.fates.items() if fate is Fate.ALIVE]
    (WORK / "survivors.diff").write_text("\n".join(diffs(mutants, alive)))
    counts = Counter(run.fates.values())
    click.echo(f"\n{len(names)} mutants in {time.monotonic() - started:.0f} s")
    for fate in Fate:
        click.echo(f"{counts[fate]:6} {counts[fate] / max(1, len(names)):6.1%} {fate}")


if __name__ == "__main__":
    main()
