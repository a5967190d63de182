"""
Options of the CPU Manager's static policy and of the Topology Manager: their values, levels and forbidden pairs.

Source: cm/cpumanager/policy_options.go (CheckPolicyOptionAvailable, NewStaticPolicyOptions),
cm/topologymanager/policy_options.go (NewPolicyOptions).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from extender.kubelet.errors import StartError
from extender.kubelet.features import Gates
from extender.model.configuration import Version

DEFAULT_MAX_ALLOWABLE_NUMA_NODES = 8
"""The kubelet's own limit: above it "a state explosion" of masks would stop it."""

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class Level(Enum):
    """Maturity of an option; alpha and beta ones need their gate."""

    ALPHA = "Alpha"
    BETA = "Beta"
    STABLE = "stable"


FULL_PCPUS_ONLY = "full-pcpus-only"
DISTRIBUTE_ACROSS_NUMA = "distribute-cpus-across-numa"
ALIGN_BY_SOCKET = "align-by-socket"
DISTRIBUTE_ACROSS_CORES = "distribute-cpus-across-cores"
STRICT_RESERVATION = "strict-cpu-reservation"
PREFER_UNCORE = "prefer-align-cpus-by-uncorecache"

_CPU_LEVELS = {
    FULL_PCPUS_ONLY: Level.STABLE,
    DISTRIBUTE_ACROSS_NUMA: Level.BETA,
    ALIGN_BY_SOCKET: Level.ALPHA,
    DISTRIBUTE_ACROSS_CORES: Level.ALPHA,
    STRICT_RESERVATION: Level.STABLE,
    PREFER_UNCORE: Level.STABLE,
}
_LEVELS_BEFORE_1_36 = {**_CPU_LEVELS, PREFER_UNCORE: Level.BETA}
_FORBIDDEN_PAIRS = (
    (FULL_PCPUS_ONLY, DISTRIBUTE_ACROSS_CORES),
    (DISTRIBUTE_ACROSS_NUMA, DISTRIBUTE_ACROSS_CORES),
    (PREFER_UNCORE, DISTRIBUTE_ACROSS_CORES),
    (PREFER_UNCORE, DISTRIBUTE_ACROSS_NUMA),
)


@dataclass(frozen=True, slots=True)
class CpuOptions:
    """Options of the static CPU policy."""

    full_pcpus_only: bool = False
    distribute_across_numa: bool = False
    align_by_socket: bool = False
    distribute_across_cores: bool = False
    strict_reservation: bool = False
    prefer_uncore: bool = False


@dataclass(frozen=True, slots=True)
class TopologyOptions:
    """Options of the Topology Manager."""

    prefer_closest: bool = False
    max_allowable_numa_nodes: int = DEFAULT_MAX_ALLOWABLE_NUMA_NODES


def cpu_options(configured: Mapping[str, str], gates: Gates, version: Version) -> CpuOptions:
    """
    Reads cpuManagerPolicyOptions.

    Raises:
        StartError: an unknown or gated option, a value that is no boolean, or a forbidden pair.
    """
    levels = _CPU_LEVELS if version >= Version.V1_36 else _LEVELS_BEFORE_1_36
    chosen = {}
    for name, value in configured.items():
        level = levels.get(name)
        if level is None:
            raise StartError(f'unknown CPU Manager Policy option: "{name}"')
        if (level is Level.ALPHA and not gates.cpu_alpha_options) or (
            level is Level.BETA and not gates.cpu_beta_options
        ):
            raise StartError(
                f'CPU Manager Policy {level.value}-level Options not enabled, but option "{name}" provided'
            )
        chosen[name] = _boolean(name, value)
    for first, second in _FORBIDDEN_PAIRS:
        if chosen.get(first) and chosen.get(second):
            raise StartError(f"static policy options {first} and {second} can not be used at the same time")
    return CpuOptions(
        full_pcpus_only=chosen.get(FULL_PCPUS_ONLY, False),
        distribute_across_numa=chosen.get(DISTRIBUTE_ACROSS_NUMA, False),
        align_by_socket=chosen.get(ALIGN_BY_SOCKET, False),
        distribute_across_cores=chosen.get(DISTRIBUTE_ACROSS_CORES, False),
        strict_reservation=chosen.get(STRICT_RESERVATION, False),
        prefer_uncore=chosen.get(PREFER_UNCORE, False),
    )


def check_topology_options(configured: Mapping[str, str], gates: Gates) -> None:
    """
    Checks that there may be topologyManagerPolicyOptions, under any policy (cmd/kubelet/app/server.go:run).

    Raises:
        StartError: their gate, which up to 1.35 can be, is off.
    """
    if configured and not gates.topology_options:
        listed = " ".join(f"{name}:{value}" for name, value in sorted(configured.items()))
        raise StartError(
            f'topology manager policy options map[{listed}] require feature gates "TopologyManagerPolicyOptions" enabled'
        )


def topology_options(configured: Mapping[str, str]) -> TopologyOptions:
    """
    Reads topologyManagerPolicyOptions; both options are stable in every minor that the twin knows.

    Raises:
        StartError: an unknown option, or a value that is no boolean or no integer of at least 8.
    """
    closest, limit = False, DEFAULT_MAX_ALLOWABLE_NUMA_NODES
    for name, value in configured.items():
        if name == "prefer-closest-numa-nodes":
            closest = _boolean(name, value)
        elif name == "max-allowable-numa-nodes":
            if not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
                raise StartError(f'unable to convert policy option to integer "{name}": {value!r}')
            limit = int(value)
            if limit < DEFAULT_MAX_ALLOWABLE_NUMA_NODES:
                raise StartError(
                    f'the minimum value of "{name}" should not be less than {DEFAULT_MAX_ALLOWABLE_NUMA_NODES}'
                )
        else:
            raise StartError(f'unknown Topology Manager Policy option: "{name}"')
    return TopologyOptions(closest, limit)


def _boolean(name: str, value: str) -> bool:
    """Go's strconv.ParseBool."""
    if value not in _TRUE | _FALSE:
        raise StartError(f'bad value for option "{name}": strconv.ParseBool: parsing "{value}": invalid syntax')
    return value in _TRUE
