"""
Free TCP ports on 127.0.0.1 that two labs at the same time do not both take.

A port that the kernel hands out for `bind(0)` may be gone by the time a child listens on it. These ports lie below the
range from which the kernel takes ports of outgoing connections, and a lock on a file per port, held as long as this
process lives, keeps other labs away.
"""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

from lab.errors import LabError

FIRST, LAST = 20000, 31999


class Ports:
    """Hands out ports; each is given once."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.gettempdir()) / "numa-lab-ports"
        self._folder.mkdir(exist_ok=True)
        self._locks: list[int] = []

    def take(self) -> int:
        """Returns a port on which nobody listens and which no other lab has taken."""
        for port in random.sample(range(FIRST, LAST + 1), 1000):
            lock = os.open(self._folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
            if _locked(lock) and _unused(port):
                self._locks.append(lock)
                return port
            os.close(lock)
        raise LabError(f"No free port was found between {FIRST} and {LAST}.")

    def close(self) -> None:
        """Gives all ports back."""
        while self._locks:
            os.close(self._locks.pop())


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unused(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
