"""The extender on a cluster made here, for gunicorn: ``NODES=5000 gunicorn 'bench.served:serve()'``."""

from __future__ import annotations

import os

from flask import Flask

from bench.nodes import cluster
from extender.app import create_app
from extender.feeds import ReportReader
from extender.inventory.live import Inventory
from extender.inventory.rules import Assume, Rules
from extender.metrics import Metrics
from extender.process import World
from extender.settings import Settings


def serve() -> Flask:
    """Fills an inventory with as many nodes as the environment says and returns the app on it."""
    inventory, metrics = Inventory(Rules(assume=Assume.BIND)), Metrics()
    reader = ReportReader(inventory, metrics, live=False)
    for one in cluster(int(os.environ["NODES"])):
        reader.put(one.topology)
    return create_app(Settings(), World(inventory, metrics))
