"""
Replay cases from a seed: a machine, a kubelet, devices, and a sequence of pods that come, start, go and come again.

``python -m proof.generate`` prints them, one a line.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from typing import Any

import click
import orjson

from proof import configurations, machines, plugins, pods
from proof.draw import Dice, Weighted
from proof.machines import Json
from proof.themes import BROAD, MIXES, Theme

Mix = Weighted[Theme]

_LENGTHS = Weighted((3, 4), (6, 12), (9, 24), (12, 30), (16, 20), (22, 10))


def cases(seed: str | int, count: int, version: str, mix: Mix = BROAD) -> Iterator[Json]:
    """
    Yields cases.

    Args:
        seed: the same seed yields the same cases.
        count: how many.
        version: whose law they ask for; some gates exist in some minors only.
        mix: odds of the themes.
    """
    dice = Dice(f"{seed}/{version}")
    for number in range(count):
        yield case(dice, dice.weighted(mix), f"{seed}/{number}", version)


def case(dice: Dice, theme: Theme, id_: str, version: str) -> Json:
    """Draws one case."""
    hardware = machines.hardware(dice, theme)
    setup = configurations.setup(dice, theme, hardware, version)
    devices = plugins.devices(dice, theme, hardware)
    maker = pods.PodMaker(dice, theme, pods.sizes(hardware, setup, devices))
    drawn: Json = {"id": f"{theme.name}/{id_}", "version": version, "machine": hardware.json, "kubelet": setup.json}
    if devices:
        drawn["devices"] = devices
    drawn["steps"] = _steps(dice, theme, maker)
    return drawn


def _steps(dice: Dice, theme: Theme, maker: pods.PodMaker) -> list[Json]:
    """Fills the node until it is full, and frees and fills it again."""
    steps: list[Json] = []
    known: dict[str, Json] = {}
    for number in range(dice.weighted(_LENGTHS)):
        if known and dice.chance(theme.remove):
            uid = dice.one(list(known))
            del known[uid]
            maker.sizes.give_back(uid)
            steps.append({"op": "remove", "uid": uid})
        elif known and dice.chance(theme.started):
            steps.append({"op": "started", "uid": dice.one(list(known))})
        elif known and dice.chance(theme.again):
            uid = dice.one(list(known))
            if dice.chance(0.25):
                known[uid] = _changed(dice, maker, known[uid])
            steps.append({"op": "admit", "pod": known[uid]})
        elif dice.chance(0.004):
            steps.append({"op": dice.one(("remove", "started")), "uid": "nobody"})
        else:
            uid = f"p{number}"
            known[uid] = maker.pod(uid)
            maker.sizes.take(uid, *_taken(known[uid]))
            steps.append({"op": "admit", "pod": known[uid]})
    return steps


def _taken(pod: Json) -> tuple[int, int]:
    """Returns about what a pod takes, CPUs and bytes."""
    cpus, memory = 0, 0
    for container in pod["spec"]["containers"]:
        requests = container.get("resources", {}).get("requests", {})
        cpu = requests.get("cpu", "")
        cpus += int(cpu) if cpu.isdigit() else 0
        amount = requests.get("memory", "")
        unit = {"Ki": 10, "Mi": 20, "Gi": 30}.get(amount[-2:])
        memory += int(amount[:-2]) << unit if unit and amount[:-2].isdigit() else 0
    return cpus, memory


def _changed(dice: Dice, maker: pods.PodMaker, pod: Json) -> Json:
    """The same pod with another request or another container, as after an edit that a kubelet never sees alive."""
    changed = copy.deepcopy(pod)
    container: dict[str, Any] = changed["spec"]["containers"][0]
    if dice.chance(0.2) and container["name"] != "renamed":
        container["name"] = "renamed"
        return changed
    other = maker.pod("other")["spec"]["containers"][0]
    container.pop("resources", None)
    if "resources" in other:
        container["resources"] = other["resources"]
    return changed


@click.command()
@click.option("--seed", default="0", show_default=True, help="The same seed prints the same cases.")
@click.option("--count", default=10, show_default=True, help="How many cases.")
@click.option("--version", "minor", default="1.37", show_default=True, help="Kubelet minor.")
@click.option("--mix", default="broad", show_default=True, type=click.Choice(sorted(MIXES)))
def main(seed: str, count: int, minor: str, mix: str) -> None:
    """Print generated replay cases, one a line."""
    for drawn in cases(seed, count, minor, MIXES[mix]):
        sys.stdout.buffer.write(orjson.dumps(drawn) + b"\n")


if __name__ == "__main__":
    main()
