"""What a pod may hold at most, found without the twin, is at least what the twin gives it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "columns"))
sys.path.append(str(Path(__file__).parent.parent / "kubelet"))

from agreement import by_law

from extender.inventory.ground import Ground


@pytest.mark.parametrize("mix", ["plain", "devices", "init", "budgets", "odd"])
def test_no_pod_gets_more_than_the_most(mix: str) -> None:
    """On generated nodes an idle kubelet gives no pod a kind of thing that it was not thought to give."""
    given = 0
    for nodes in by_law("outlines", 12, "1.37", mix).values():
        for kubelet, state in nodes.nodes[:3]:
            ground = Ground(kubelet, state)
            for pod in nodes.pods[:20]:
                outline = ground._outline(pod)
                given += len(outline)

                assert outline <= ground._most(pod), (pod, outline, ground._most(pod))
    assert given > 50
