"""
Feature gates that change a verdict: defaults per kubelet minor, what may be set, and what depends on what.

Gates that admission does not read are accepted and ignored where the minor knows them.

Source: pkg/features/kube_features.go of each minor; component-base featuregate (SetFromMap: locks, AllAlpha,
AllBeta, dependencies).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from extender.kubelet.errors import StartError
from extender.kubelet.gate_names import KNOWN_GATES
from extender.model.configuration import Version


class Stage(Enum):
    """How far a gate has come in one minor."""

    ALPHA = "AllAlpha"
    BETA = "AllBeta"
    STABLE = "GA"
    LOCKED = "locked"


_ON, _OFF = True, False
_ALPHA, _BETA, _STABLE, _LOCKED = Stage.ALPHA, Stage.BETA, Stage.STABLE, Stage.LOCKED
_V35, _V36, _V37 = Version.V1_35, Version.V1_36, Version.V1_37


def _same(default: bool, stage: Stage) -> dict[Version, tuple[bool, Stage]]:
    return dict.fromkeys(Version, (default, stage))


_GATES: dict[str, dict[Version, tuple[bool, Stage]]] = {
    "PodLevelResources": _same(_ON, _BETA),
    "PodLevelResourceManagers": {_V36: (_OFF, _ALPHA), _V37: (_OFF, _BETA)},
    "PodLevelResourcesFixKubeletQOSClass": {_V37: (_ON, _BETA)},
    "PodLevelResourcesFixDefaulting": {_V37: (_ON, _BETA)},
    "InPlacePodVerticalScaling": _same(_ON, _LOCKED),
    "InPlacePodLevelResourcesVerticalScaling": {_V35: (_OFF, _ALPHA), _V36: (_ON, _BETA), _V37: (_ON, _BETA)},
    "NodeDeclaredFeatures": {_V35: (_OFF, _ALPHA), _V36: (_ON, _BETA), _V37: (_ON, _LOCKED)},
    "CPUManagerPolicyOptions": _same(_ON, _LOCKED),
    "CPUManagerPolicyBetaOptions": _same(_ON, _BETA),
    "CPUManagerPolicyAlphaOptions": _same(_OFF, _ALPHA),
    "TopologyManagerPolicyOptions": {_V35: (_ON, _STABLE), _V36: (_ON, _LOCKED), _V37: (_ON, _LOCKED)},
}
_DEPENDENCIES = (
    ("PodLevelResourceManagers", "PodLevelResources"),
    ("PodLevelResourcesFixKubeletQOSClass", "PodLevelResources"),
    ("PodLevelResourcesFixDefaulting", "PodLevelResources"),
    ("InPlacePodLevelResourcesVerticalScaling", "PodLevelResources"),
    ("InPlacePodLevelResourcesVerticalScaling", "NodeDeclaredFeatures"),
)


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates that admission reads, resolved for one kubelet."""

    pod_level_resources: bool
    pod_level_resource_managers: bool
    fix_kubelet_qos_class: bool
    cpu_beta_options: bool
    cpu_alpha_options: bool
    topology_options: bool


def gates(version: Version, overrides: Mapping[str, bool]) -> Gates:
    """
    Resolves the gates of a kubelet.

    Args:
        version: its minor.
        overrides: featureGates of its configuration.

    Raises:
        StartError: a gate is unknown, a locked one is changed, or an enabled one depends on a disabled one.
    """
    for name, value in overrides.items():
        if name not in KNOWN_GATES[version]:
            raise StartError(f"unrecognized feature gate: {name}")
        locked = KNOWN_GATES[version][name]
        if locked is not None and value is not locked:
            raise StartError(f"cannot set feature gate {name} to {_go(value)}, feature is locked to {_go(locked)}")
    enabled = {}
    for name, history in _GATES.items():
        if version not in history:
            continue
        default, stage = history[version]
        chosen = overrides.get(name, overrides.get(stage.value, default))
        enabled[name] = chosen
    for name, needed in _DEPENDENCIES:
        if enabled.get(name) and not enabled[needed]:
            raise StartError(f"{name} is enabled, but depends on features that are disabled: [{needed}]")
    return Gates(
        pod_level_resources=enabled["PodLevelResources"],
        pod_level_resource_managers=enabled.get("PodLevelResourceManagers", False),
        fix_kubelet_qos_class=enabled.get("PodLevelResourcesFixKubeletQOSClass", False),
        cpu_beta_options=enabled["CPUManagerPolicyBetaOptions"],
        cpu_alpha_options=enabled["CPUManagerPolicyAlphaOptions"],
        topology_options=enabled["TopologyManagerPolicyOptions"],
    )


def _go(value: bool) -> str:
    return "true" if value else "false"
