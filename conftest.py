"""What all tests share: tests/ is on the path, and no test leaves another logging behind."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("patient", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")  # a busy machine draws slowly, which says nothing about what is drawn

sys.path.insert(0, str(Path(__file__).parent / "tests"))


@pytest.fixture(autouse=True)
def _same_logging() -> Iterator[None]:
    """Programs under test set up logging for their process, which is the tests' process here."""
    _reset()
    yield
    _reset()


def _reset() -> None:
    logger = logging.getLogger("extender")
    logger.setLevel(logging.NOTSET)
    logger.propagate, logger.handlers, logger.disabled = True, [], False
