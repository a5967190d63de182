"""
Signs of change: the kubelet's files, through inotify on their folders, and whoever else calls ``Signs.note``.

Folders are watched, not files, because the kubelet replaces its files by renaming new ones over them. A folder that is
not there yet, or is replaced itself, is looked for again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from inotify_simple import INotify, flags

from extender.exporter.gather import Places

log = logging.getLogger(__name__)

_EVENTS = flags.CREATE | flags.MOVED_TO | flags.CLOSE_WRITE | flags.DELETE | flags.MOVED_FROM | flags.ONLYDIR
_SEARCH_MILLISECONDS = 1_000
"""How often a folder that is missing is looked for."""
_IDLE_MILLISECONDS = 30_000


@dataclass(frozen=True, slots=True)
class Change:
    """Something has changed."""

    since: float
    """When its first sign was seen, by the clock."""
    kubelet_started: bool
    """Whether the kubelet has made its socket anew."""


class Signs:
    """Gathers signs from all threads and gives them out when they have been quiet for a while."""

    def __init__(
        self, quiet_seconds: float, longest_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._quiet, self._longest, self._clock = quiet_seconds, longest_seconds, clock
        self._condition = threading.Condition()
        self._first: float | None = None
        self._last = 0.0
        self._kubelet_started = self._stopped = False

    def note(self, *, kubelet_started: bool = False) -> None:
        """Takes note of a sign."""
        with self._condition:
            self._last = self._clock()
            self._first = self._last if self._first is None else self._first
            self._kubelet_started |= kubelet_started
            self._condition.notify_all()

    def stop(self) -> None:
        """Makes ``wait`` return at once, from now on."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()

    @property
    def stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopped

    def wait(self, seconds: float) -> Change | None:
        """Returns the change whose signs have come and gone quiet, or None when the time is over."""
        with self._condition:
            self._condition.wait_for(lambda: self._first is not None or self._stopped, max(0.0, seconds))
            if self._first is None or self._stopped:
                return None
            while not self._stopped:
                until = min(self._last + self._quiet, self._first + self._longest)
                if until <= self._clock():
                    break
                self._condition.wait(until - self._clock())
            change = Change(self._first, self._kubelet_started)
            self._first, self._kubelet_started = None, False
            return change


class Watcher:
    """Watches the kubelet's files in a thread."""

    def __init__(self, places: Places, signs: Signs) -> None:
        self._socket, self._signs = places.socket, signs
        self._names: Mapping[Path, frozenset[str]] = _by_folder(
            [places.cpu_file, places.memory_file, places.device_file, places.socket]
        )
        self._inotify = INotify()
        self._folders: dict[int, Path] = {}
        self._seek()
        self._thread = threading.Thread(target=self._run, name="Watcher", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def _run(self) -> None:
        while not self._signs.stopped:
            complete = len(self._folders) == len(self._names)
            events = self._inotify.read(_IDLE_MILLISECONDS if complete else _SEARCH_MILLISECONDS)
            for event in events:
                self._take(event.wd, event.mask, event.name)
            if len(self._folders) < len(self._names) and self._seek():
                self._signs.note(kubelet_started=True)

    def _take(self, watch: int, mask: int, name: str) -> None:
        folder = self._folders.get(watch)
        if mask & flags.IGNORED:
            self._folders.pop(watch, None)
        elif mask & flags.Q_OVERFLOW:
            self._signs.note(kubelet_started=True)
        elif folder is not None and name in self._names[folder]:
            is_socket = folder / name == self._socket
            self._signs.note(kubelet_started=is_socket and bool(mask & (flags.CREATE | flags.MOVED_TO)))

    def _seek(self) -> bool:
        """Watches the folders that are there and not watched; says whether there were any."""
        found = False
        for folder in self._names.keys() - set(self._folders.values()):
            try:
                self._folders[self._inotify.add_watch(folder, _EVENTS)] = folder
                found = True
            except OSError:
                continue
        return found


def _by_folder(files: list[Path]) -> dict[Path, frozenset[str]]:
    folders: dict[Path, set[str]] = {}
    for file in files:
        folders.setdefault(file.parent, set()).add(file.name)
    return {folder: frozenset(names) for folder, names in folders.items()}
