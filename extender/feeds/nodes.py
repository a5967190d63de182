"""Node objects, of which only names and uids matter."""

from __future__ import annotations

from collections.abc import Iterable

from extender.feeds.objects import Object, name_of, uid_of
from extender.inventory.live import Inventory


class NodeReader:
    """Takes in Node objects."""

    resource = "nodes"
    path = "/api/v1/nodes"

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def replace(self, objects: Iterable[Object]) -> None:
        """Takes these as all Nodes."""
        self._inventory.nodes_listed({name_of(item): uid_of(item) for item in objects})

    def put(self, item: Object) -> None:
        """Takes a Node that is new or changed."""
        self._inventory.node_listed(name_of(item), known=True, uid=uid_of(item))

    def remove(self, item: Object) -> None:
        """Takes note that a Node is gone."""
        self._inventory.node_listed(name_of(item), known=False)
