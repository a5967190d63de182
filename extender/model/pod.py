"""
The pod as far as its admission reads it.

Source: core/v1 Pod. Quantities are in the form that the API server stores.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from extender.model.configuration import Amounts


class QoS(StrEnum):
    """status.qosClass."""

    GUARANTEED = "Guaranteed"
    BURSTABLE = "Burstable"
    BEST_EFFORT = "BestEffort"


class Kind(StrEnum):
    """The three kinds of containers that the managers tell apart."""

    INIT = "init"
    SIDECAR = "sidecar"
    """A restartable init container (restartPolicy Always)."""
    APP = "app"


@dataclass(frozen=True, slots=True)
class Resources:
    """Requests and limits, of a container or of a pod."""

    requests: Amounts = field(default_factory=dict)
    limits: Amounts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Container:
    """One container."""

    name: str
    kind: Kind = Kind.APP
    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod."""

    uid: str
    name: str
    containers: tuple[Container, ...]
    """Init containers (both kinds) in spec order, then app containers in spec order: the kubelet's order."""
    namespace: str = "default"
    resources: Resources | None = None
    """The pod-level budget, spec.resources; None where the pod has none."""
    qos: QoS | None = None
    """status.qosClass where the API server has set it; else the kubelet computes it."""
