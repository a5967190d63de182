"""
Thousands of nodes that look like a cluster's: kinds of machines and kubelets, each with its pods, the same every time.

``gunicorn 'many_nodes:serve(5000)'`` serves them as the extender would, for benchmarks and the browser.
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

from builders import configuration, database, machine, pod  # noqa: E402 - the path is set above
from flask import Flask  # noqa: E402

from extender.app import create_app  # noqa: E402
from extender.inventory.live import Inventory  # noqa: E402
from extender.kubelet import admission  # noqa: E402
from extender.model.configuration import Scope, TopologyPolicy, Version  # noqa: E402
from extender.model.report import Report  # noqa: E402
from extender.process import World  # noqa: E402
from extender.settings import Settings, load  # noqa: E402

KINDS = 40
"""Different states; each is the state of many nodes."""


def inventory(count: int, kinds: int = KINDS) -> Inventory:
    """An inventory of so many nodes."""
    dice = random.Random(1)
    states = [_kind(dice, number) for number in range(kinds)]
    known = Inventory()
    for number in range(count):
        name = f"{dice.choice(['gpu', 'edge', 'batch', 'db'])}-{dice.choice('abcdef')}{number:05d}"
        known.reported(replace(dice.choice(states), node=name), 0.0)
    return known


def _kind(dice: random.Random, number: int) -> Report:
    """One machine and kubelet that has admitted some pods."""
    hardware = machine(dice.choice([2, 2, 2, 4]), dice.choice([8, 16, 32]), dice.choice([64, 128, 256]))
    single = TopologyPolicy.SINGLE_NUMA_NODE
    policy = dice.choice([single, single, single, TopologyPolicy.RESTRICTED, TopologyPolicy.BEST_EFFORT])
    told = configuration(policy, dice.choice(list(Scope)), f"0,{hardware.cpus // 2}")
    kubelet = admission.start(hardware, told, Version.V1_37)
    state = admission.initial(kubelet)
    for place in range(dice.randrange(14)):
        asked = pod(f"web-{number}-{place}", dice.choice("1246"), f"{dice.choice('148')}Gi")
        if dice.random() < 0.3:
            asked = database(f"db-{number}-{place}")
        verdict, after = admission.admit(kubelet, state, asked)
        state = after if verdict.admit else state
    return Report("", hardware, told, Version.V1_37, state, kubelet_version="v1.37.2", heartbeat=None)


def app(count: int, settings: Settings | None = None) -> Flask:
    """The app on such an inventory."""
    return create_app(settings or Settings(), World(inventory(count)))


def serve(count: int) -> Flask:
    """The same for gunicorn, with the settings that it was started with."""
    return app(count, load())
