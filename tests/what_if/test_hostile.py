"""Nothing that can be sent breaks the service: the short form of ``tests/what_if/hostile.py``."""

from __future__ import annotations

import pytest
from hostile import assault
from what_if_nodes import samples

from extender.web.service import Limits, Service


@pytest.mark.parametrize("seed", [1, 2])
def test_hostile_questions_are_refused_and_forgotten(seed: int) -> None:
    """Random and hostile bodies and query strings: no status of 500 or more, no traceback, no growth of memory."""
    sites = samples()
    report = assault(1000, Service(lambda: sites, Limits(seconds=5)).answer, seed)

    assert [] == report.faults
    assert {200, 400, 404, 405, 422} == report.statuses.keys()
    assert report.statuses[200] > 100
    assert report.grown < 16 << 20
