"""Time in tests: a clock that is set by hand, and waiting for what is about to happen."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Stands still until it is set."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def until(holds: Callable[[], object], seconds: float = 5) -> None:
    """Waits for a condition to hold."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)
