"""
The live inventory as questions see it: one value per node, taken at one moment.

Pods are known by their spec where the API server has shown it; else it is rebuilt from what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from extender.inventory.node import Node
from extender.model.pod import Pod
from extender.model.state import NodeState
from extender.what_if.holdings import rebuilt
from extender.what_if.site import Running, Site


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


def running(state: NodeState, shown: Mapping[str, tuple[Pod, bool]]) -> dict[str, Running]:
    """
    Returns the pods that run on a node.

    Args:
        state: what the kubelet's managers hold.
        shown: uid to pod, as the API server shows it, and whether it is started.
    """
    return {
        uid: Running(*shown[uid]) if uid in shown else Running(rebuilt(state, uid), rebuilt=True)
        for uid in state.active
    }
