"""The QoS class that the API server gives to a pod, for pods whose amounts are written canonically."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"


def qos_class(spec: Mapping[str, Any]) -> str:
    """Returns the class; equal amounts are equal texts here."""
    budget = spec.get("resources")
    if budget and (budget.get("requests") or budget.get("limits")):
        return _class(budget)
    classes = {
        _class(container.get("resources", {})) for container in (*spec.get("initContainers", ()), *spec["containers"])
    }
    return classes.pop() if len(classes) == 1 else BURSTABLE


def _class(resources: Mapping[str, Mapping[str, str]]) -> str:
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    classes = set()
    for name in ("cpu", "memory"):
        request, limit = requests.get(name, "0"), limits.get(name, "0")
        if request != limit:
            return BURSTABLE
        classes.add(BEST_EFFORT if request == "0" else GUARANTEED)
    return classes.pop() if len(classes) == 1 else BURSTABLE
