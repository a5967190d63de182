"""Pods at random as they arrive at a cluster: of every kind that admission tells apart, sized for zones of 8 to 16 CPUs."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from burst_nodes import NIC
from lab.api import Object
from lab.pods import container, pod, sidecar

GRACE_SECONDS = 1
KIND = "burst.lab/kind"
"""Annotation that names a pod's kind."""


def draw(dice: Random, name: str, namespace: str, **spec: Any) -> Object:
    """Returns a pod that a scheduler is to find a node for."""
    kinds: dict[str, tuple[int, Callable[[Random], dict[str, Any]]]] = {
        "plain": (30, _plain),
        "several": (15, _several),
        "budget": (20, _budget),
        "init": (12, _init),
        "sidecar": (8, _sidecar),
        "device": (8, _device),
        "burstable": (7, _burstable),
    }
    kind = dice.choices(list(kinds), [weight for weight, _ in kinds.values()])[0]
    parts = kinds[kind][1](dice)
    containers = parts.pop("containers")
    annotations = {KIND: kind}
    return pod(
        name, *containers, namespace=namespace, grace_seconds=GRACE_SECONDS, annotations=annotations, **parts, **spec
    )


def _amounts(dice: Random, most: int = 7) -> dict[str, str]:
    return {
        "cpu": str(dice.choice([n for n in (1, 2, 3, 4, 5, 6, 7) if n <= most])),
        "memory": f"{dice.choice((1, 1, 2, 3))}Gi",
    }


def _plain(dice: Random) -> dict[str, Any]:
    return {"containers": [container("app", _amounts(dice))]}


def _several(dice: Random) -> dict[str, Any]:
    return {"containers": [container(f"app-{n}", _amounts(dice, 3)) for n in range(dice.choice((2, 2, 3)))]}


def _budget(dice: Random) -> dict[str, Any]:
    """The example of the announcement, in several sizes."""
    cpus = dice.choice((4, 6, 8))
    own = container("own", {"cpu": str(cpus - 2), "memory": f"{cpus // 2}Gi"})
    return {
        "containers": [own, container("shared-0"), container("shared-1")],
        "budget": {"cpu": str(cpus), "memory": f"{cpus}Gi"},
    }


def _init(dice: Random) -> dict[str, Any]:
    init = tuple(container(f"init-{n}", _amounts(dice, 4)) for n in range(dice.choice((1, 2))))
    return {"containers": [container("app", _amounts(dice, 4))], "init": init}


def _sidecar(dice: Random) -> dict[str, Any]:
    init = (sidecar("proxy", {"cpu": "1", "memory": "1Gi"}), container("init", _amounts(dice, 3)))
    return {"containers": [container("app", _amounts(dice, 4))], "init": init}


def _device(dice: Random) -> dict[str, Any]:
    return {"containers": [container("app", _amounts(dice, 4) | {NIC: "1"})]}


def _burstable(dice: Random) -> dict[str, Any]:
    return {
        "containers": [
            container("app", {"cpu": "500m", "memory": "512Mi"}, {"cpu": dice.choice("12"), "memory": "1Gi"})
        ]
    }
