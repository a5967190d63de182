"""
From the API's objects to the inventory's news: one reader for each resource, for watches and for files alike.

Here the clock is read, and here what cannot be understood, and what went otherwise than foretold, is counted and logged.
"""

from __future__ import annotations

from extender.feeds.nodes import NodeReader
from extender.feeds.pods import PodReader
from extender.feeds.reports import ReportReader

__all__ = ["NodeReader", "PodReader", "ReportReader"]
