"""
Feature gates, resolved for one kubelet: what the minor says, what the configuration sets, and what that rules out.

Source: component-base featuregate (SetFromMap: unknown names, locks, AllAlpha, AllBeta, dependencies).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from extender.kubelet.errors import StartError
from extender.kubelet.gate_table import GATES, Stage
from extender.model.configuration import Version

_WHOLE_STAGES = {"AllAlpha": Stage.ALPHA, "AllBeta": Stage.BETA}


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates that admission reads; a gate that the minor does not have is off."""

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
        StartError: a gate is unknown, a locked one is changed, or an enabled one needs a disabled one.
    """
    table = GATES[version]
    for name, value in overrides.items():
        if name not in table and name not in _WHOLE_STAGES:
            raise StartError(f"unrecognized feature gate: {name}")
        if name in table and table[name].stage is Stage.LOCKED and value is not table[name].default:
            raise StartError(
                f"cannot set feature gate {name} to {_go(value)}, feature is locked to {_go(table[name].default)}"
            )
    stages = {stage: overrides[name] for name, stage in _WHOLE_STAGES.items() if name in overrides}
    enabled = {name: overrides.get(name, stages.get(gate.stage, gate.default)) for name, gate in table.items()}
    if overrides:
        _check_needs(version, enabled)
    return Gates(
        pod_level_resources=enabled["PodLevelResources"],
        pod_level_resource_managers=enabled.get("PodLevelResourceManagers", False),
        fix_kubelet_qos_class=enabled.get("PodLevelResourcesFixKubeletQOSClass", False),
        cpu_beta_options=enabled["CPUManagerPolicyBetaOptions"],
        cpu_alpha_options=enabled["CPUManagerPolicyAlphaOptions"],
        topology_options=enabled["TopologyManagerPolicyOptions"],
    )


def _check_needs(version: Version, enabled: Mapping[str, bool]) -> None:
    for name, gate in GATES[version].items():
        disabled = [need for need in gate.needs if not enabled[need]] if enabled[name] else []
        if disabled:
            raise StartError(f"{name} is enabled, but depends on features that are disabled: [{' '.join(disabled)}]")


def _go(value: bool) -> str:
    return "true" if value else "false"
