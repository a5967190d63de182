"""
Ends the lab's processes when the test run itself is gone, however it went.

Run as a program with a pipe on its standard input: "+ID" and "-ID" lines tell which process groups are alive. When
the pipe closes, which even `kill -9` of the test run brings about, the groups that are left are ended. Only those:
the groups are the lab's own, each started in a session of its own.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import IO


class Keeper:
    """The test run's end of the pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, text=True, start_new_session=True
        )

    def started(self, group: int) -> None:
        self._tell(f"+{group}")

    def ended(self, group: int) -> None:
        self._tell(f"-{group}")

    def close(self) -> None:
        """Ends whatever is still alive, and the keeper."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


def keep(orders: IO[str]) -> None:
    """Follows the orders to their end, then ends the groups that are left: first asked, after two seconds forced."""
    groups: set[int] = set()
    for order in orders:
        (groups.add if order[0] == "+" else groups.discard)(int(order[1:]))
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)
        if groups and number == signal.SIGTERM:
            time.sleep(2)


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    keep(sys.stdin)
