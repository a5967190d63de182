"""One supervised process: started in its own group, watched until ready, stopped with all that it started."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, Self

from lab.errors import LabError
from lab.keeper import Keeper

TAIL_LINES = 15


class Process:
    """
    A program with its command line, log file and test of readiness.

    It can be started, stopped and started again any number of times; the log is appended to. `command` may be changed
    between two starts.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        keeper: Keeper,
        ready: Callable[[], bool] = lambda: True,
        ready_seconds: float = 30,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.command = [os.fspath(word) for word in command]
        self.log = log
        self.ready = ready
        self.ready_seconds = ready_seconds
        self.environment = dict(environment or {})
        self._keeper = keeper
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group; an error when it does not run."""
        if self._process is None:
            raise LabError(f"{self.name} is not running.")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self) -> Self:
        """Starts the program and returns at once."""
        if self._process is not None:
            raise LabError(f"{self.name} was started twice.")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self.environment,
                start_new_session=True,
            )
        self._keeper.started(self._process.pid)
        return self

    def wait_ready(self) -> Self:
        """Waits for readiness; raises `LabError` with the log's last lines when the process ends or takes too long."""
        limit = time.monotonic() + self.ready_seconds
        while not self._is_ready():
            if not self.running:
                code = None if self._process is None else self._process.returncode
                raise LabError(f"{self.name} ended with code {code} before it was ready. {self.tail()}")
            if time.monotonic() > limit:
                raise LabError(f"{self.name} is not ready after {self.ready_seconds:g} s. {self.tail()}")
            time.sleep(0.05)
        return self

    def start(self) -> Self:
        """Starts the program and waits until it is ready."""
        return self.launch().wait_ready()

    def ask(self) -> None:
        """Asks the program to end and returns at once; `stop` is still to be called."""
        if self._process is not None and self.running:
            self._process.terminate()

    def stop(self, seconds: float = 10) -> None:
        """
        Asks the program to end, and after `seconds` forces it; what it started goes with it. No error when it is not
        running.
        """
        if self._process is None:
            return
        if self.running:
            self.ask()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Ends the program and what it started as `kill -9` does."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._keeper.ended(self._process.pid)
        self._process = None

    def restart(self) -> Self:
        """Stops and starts the program."""
        self.stop()
        return self.start()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the program alone."""
        os.kill(self.pid, number)

    def tail(self) -> str:
        """Says where the log is and how it ends."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        lines = "\n".join(text.splitlines()[-TAIL_LINES:])
        return f"Its log {self.log} ends with:\n{lines}"

    def _is_ready(self) -> bool:
        return self.running and self.ready()


class Startable(Protocol):
    """A program, or several that make one thing."""

    def launch(self) -> Self:
        """Starts it and returns at once."""

    def wait_ready(self) -> object:
        """Waits until it is ready."""


def start_together(processes: Iterable[Startable]) -> None:
    """Starts programs at the same time and waits for all."""
    started = [process.launch() for process in processes]
    for process in started:
        process.wait_ready()


def stop_together(processes: Iterable[Process]) -> None:
    """Stops programs, all of them at the same time."""
    going = list(processes)
    for process in going:
        process.ask()
    for process in going:
        process.stop()
