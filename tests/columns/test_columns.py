"""The columns decide as the twin does, or not at all."""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent.parent / "kubelet"))  # the generator of the proof

from agreement import by_law, differences

from extender.columns.law import Law

VERSIONS = ("1.37", "1.36", "1.35")


def _compare(seed: str, count: int, version: str, mix: str) -> tuple[list[str], Counter[str]]:
    wrong: list[str] = []
    found: Counter[str] = Counter()
    dice = random.Random(seed)
    for law, nodes in by_law(seed, count, version, mix).items():
        if isinstance(law, Law):
            for one in differences(law, nodes, dice, pods=20, rows=24):
                if isinstance(one, Counter):
                    found.update(one)
                else:
                    wrong.append(one)
    return wrong, found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mix", ["plain", "cpus", "memory", "devices", "init", "budgets"])
def test_what_the_columns_decide_is_what_the_twin_says(mix: str, version: str) -> None:
    """Fate, cause, container and what is left of the node agree on generated nodes, and many nodes are decided."""
    wrong, found = _compare("columns", 12, version, mix)

    assert [] == wrong
    assert found["admitted"] > 30
    assert found["refused"] > 30
    assert found["admitted"] + found["refused"] > found["undecided"] / 2


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), version=st.sampled_from(VERSIONS), mix=st.sampled_from(["broad", "odd", "wide"]))
def test_they_agree_on_whatever_the_generator_draws(seed: int, version: str, mix: str) -> None:
    """No seed of the proof's generator makes columns and twin differ."""
    wrong, _ = _compare(str(seed), 2, version, mix)

    assert [] == wrong
