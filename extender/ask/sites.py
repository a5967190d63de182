"""
The live inventory as questions see it: one value per node, taken at one moment.

Pods are known by their spec where the API server has shown it; else it is rebuilt from what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from extender.inventory.node import Node
from extender.model.pod import Pod
from extender.model.state import NodeState
from extender.what_if.holdings import rebuilt
from extender.what_if.site import Pods, Running, Site


def sites_of(nodes: Iterable[Node]) -> list[Site]:
    """Returns the nodes as questions see them."""
    return [site_of(node) for node in nodes]


def site_of(node: Node) -> Site:
    """Returns a node as questions see it."""
    if node.snapshot is None or node.report is None:
        return Site(node.name, knowledge=str(node.knowledge), fault=node.fault)
    return Site(
        node.name,
        node.snapshot,
        running(node.snapshot.state, {uid: (held.pod, held.started) for uid, held in node.held.items()}),
        str(node.knowledge),
        tuple(map(str, node.report.estimates)),
        kubelet_version=node.report.kubelet_version,
    )


def running(state: NodeState, shown: Mapping[str, tuple[Pod, bool]]) -> Pods:
    """
    Returns the pods that run on a node.

    Args:
        state: what the kubelet's managers hold.
        shown: uid to pod, as the API server shows it, and whether it is started.
    """
    return Pods(_Running(state, shown))


class _Running(Mapping[str, Running]):
    """Specs are rebuilt when somebody looks: most questions are about free room, not about who holds the rest."""

    def __init__(self, state: NodeState, shown: Mapping[str, tuple[Pod, bool]]) -> None:
        self._state, self._shown = state, shown
        self._built: dict[str, Running] = {}

    def __getitem__(self, uid: str) -> Running:
        if uid not in self._built:
            if uid not in self._state.active:
                raise KeyError(uid)
            known = self._shown.get(uid)
            self._built[uid] = Running(*known) if known else Running(rebuilt(self._state, uid), rebuilt=True)
        return self._built[uid]

    def __iter__(self) -> Iterator[str]:
        return iter(self._state.active)

    def __len__(self) -> int:
        return len(self._state.active)
