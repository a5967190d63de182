"""
One node as a question sees it: what its kubelet's next admission will find, and the pods that run there.

It is a value taken from the live inventory or made up; the engine cannot tell which.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from extender.fleet import Snapshot
from extender.inventory.totals import together
from extender.model.pod import Pod


@dataclass(frozen=True, slots=True)
class Running:
    """A pod that runs on a node."""

    pod: Pod
    started: bool = True
    """Its ordinary init containers are done."""
    rebuilt: bool = False
    """Its spec was rebuilt from what it holds, because nothing tells more."""


class Pods(Mapping[str, Running]):
    """The pods of a node by uid, in the order in which a kubelet that restarts would admit them again."""

    def __init__(self, running: Mapping[str, Running]) -> None:
        self._running = running
        self._requested: Mapping[str, int] | None = None

    @property
    def requested(self) -> Mapping[str, int]:
        """What they request of the node together, added up once."""
        if self._requested is None:
            self._requested = together(running.pod for running in self._running.values())
        return self._requested

    def __getitem__(self, uid: str) -> Running:
        return self._running[uid]

    def __iter__(self) -> Iterator[str]:
        return iter(self._running)

    def __len__(self) -> int:
        return len(self._running)


NO_PODS = Pods({})


@dataclass(frozen=True, slots=True)
class Site:
    """One node."""

    name: str
    snapshot: Snapshot | None = None
    """None where the node cannot be judged."""
    pods: Pods = field(default_factory=lambda: NO_PODS)
    knowledge: str = "unknown"
    """How well the node is known, as the live inventory has it."""
    estimates: tuple[str, ...] = ()
    """What its report does not tell."""
    fault: str = ""
    """Why it cannot be judged, where it cannot."""
    kubelet_version: str = ""
    """As the Node says it."""


class NoSuchNodeError(ValueError):
    """A question names a node that is not there; the message is one sentence."""

    field = "nodes"


def chosen(sites: Sequence[Site], patterns: Iterable[str], field: str = "nodes") -> list[Site]:
    """
    Returns the nodes that match any of the patterns, all of them where there is no pattern.

    Raises:
        NoSuchNodeError: a pattern matches no node.
    """
    patterns = list(patterns)
    if not patterns:
        return list(sites)
    wanted: set[str] = set()
    for pattern in patterns:
        found = matching((site.name for site in sites), pattern)
        if not found:
            raise NoSuchNodeError(f"{field}: no node matches {pattern!r}")
        wanted |= found
    return [site for site in sites if site.name in wanted]


def matching(names: Iterable[str], pattern: str) -> set[str]:
    """Returns the names that match a shell pattern; one without ``*``, ``?`` and ``[`` must be equal."""
    if not any(character in pattern for character in "*?["):
        return {name for name in names if name == pattern}
    return set(fnmatch.filter(names, pattern))
