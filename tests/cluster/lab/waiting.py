"""Waiting for a state of the world that other processes bring about, with a limit and a sentence."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import urllib3

from lab.errors import LabError

Value = TypeVar("Value")


def eventually(what: str, seconds: float, look: Callable[[], Value], pause: float = 0.05) -> Value:
    """
    Looks until there is something to see (a true value) and returns it.

    Raises `LabError` with `what`, which ends a sentence such as "Waited 30 s for ...", when `seconds` have passed.
    """
    limit = time.monotonic() + seconds
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > limit:
            raise LabError(f"Waited {seconds:g} s for {what}; last seen: {value!r}.")
        time.sleep(pause)


def answers(url: str, pool: urllib3.PoolManager | None = None) -> bool:
    """Whether a GET of the URL is answered with 200."""
    request = pool.request if pool is not None else urllib3.request
    try:
        return request("GET", url, timeout=2, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def listens(path: Path) -> bool:
    """Whether somebody listens on a unix socket; a socket that a killed process left behind does not count."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
