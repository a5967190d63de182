"""Devices at random: near one zone, several or none, near zones that the machine does not have, healthy or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proof.draw import Dice, Weighted
from proof.machines import Hardware
from proof.themes import Theme

GPU, NIC, FPGA = "vendor.com/gpu", "vendor.com/nic", "example.com/fpga"

_SHAPES = Weighted(
    ("local", 38), ("one zone", 14), ("nowhere", 14), ("mixed", 14), ("two zones", 8), ("unknown zone", 6), ("none", 3),
    ("some zones", 10),
)  # fmt: skip
_HEALTH = Weighted((1.0, 70), (0.7, 24), (0.0, 6))


def devices(dice: Dice, theme: Theme, hardware: Hardware) -> dict[str, list[dict[str, Any]]]:
    """Draws the devices of up to three resources."""
    if not dice.chance(theme.devices):
        return {}
    resources = (GPU, NIC, FPGA)[: dice.one((1, 1, 2, 2, 3))]
    return {resource: _devices(dice, resource, hardware.zones) for resource in resources}


def _devices(dice: Dice, resource: str, zones: Sequence[int]) -> list[dict[str, Any]]:
    shape, health = dice.weighted(_SHAPES), dice.weighted(_HEALTH)
    if shape == "none":
        return []
    letter = resource.partition("/")[2][0]
    near = dice.one(zones)
    some = dice.sample(zones, min(len(zones), 2))
    count = dice.between(1, 3) * len(zones) if shape == "local" else dice.between(1, 6)
    listed = []
    for index in range(min(count, 12)):
        match shape:
            case "local":
                numa = [zones[index % len(zones)]]
            case "one zone":
                numa = [near]
            case "some zones":
                numa = [dice.one(some)]
            case "nowhere":
                numa = []
            case "mixed":
                numa = dice.one(([], [near], [dice.one(zones)]))
            case "two zones":
                numa = sorted({dice.one(zones), dice.one(zones)})
            case _:
                numa = [dice.one((near, near, 63, 64, 99, -1))]
        listed.append({"id": f"{letter}{index}", "numa": numa, "healthy": dice.chance(health)})
    return listed
