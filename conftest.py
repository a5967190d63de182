"""What all tests share: tests/ is on the path, and no test leaves another logging behind."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "tests"))


@pytest.fixture(autouse=True)
def _same_logging() -> Iterator[None]:
    """Programs under test set up logging for their process, which is the tests' process here."""
    loggers = [logging.getLogger(), logging.getLogger("extender")]
    before = [(logger, logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, propagate, handlers in before:
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, handlers
