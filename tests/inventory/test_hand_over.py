"""The moment at which a pod stops being on its way and is on its node, as questions see it that take no lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from builders import pod, report

from extender.fleet import shape_of
from extender.inventory.live import Inventory
from extender.inventory.node import Node
from extender.inventory.rules import Assume, Rules
from extender.model.observed import ObservedPod


def test_a_pod_that_is_seen_bound_counts_at_every_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A pod that filter let through and that is now seen bound keeps its zone from others before, while and after its
    node changes.
    """
    inventory = Inventory(Rules(assume=Assume.FILTER))
    inventory.reported(report("node", pod("first", cpu="14")), now=0.0)
    inventory.pods_observed([ObservedPod(pod("first", cpu="14"), node="node")], now=0.0)
    coming, asking = pod("coming", cpu="16"), pod("asking", cpu="16")
    inventory.answered(coming, shape_of(coming), ["node"], now=0.0)
    seen = []

    def ask() -> None:
        seen.append(inventory.judge("node", asking, shape_of(asking)).fits)

    change = Inventory._change

    def change_slowly(self: Inventory, name: str, how: Callable[[Node], Node]) -> Any:
        ask()
        change(self, name, how)
        ask()

    ask()
    monkeypatch.setattr(Inventory, "_change", change_slowly)
    inventory.pod_observed(ObservedPod(coming, node="node"), now=1.0)
    ask()

    assert [False, False, False, False] == seen
