"""
Themes: what a case is mostly about.

A case drawn without a theme would seldom put two rare things together. Each theme raises the odds of one family of
rules (and of what they need), and leaves the rest as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from proof.draw import Weighted

FULL, DISTRIBUTE, SOCKET = "full-pcpus-only", "distribute-cpus-across-numa", "align-by-socket"
CORES, STRICT, UNCORE = "distribute-cpus-across-cores", "strict-cpu-reservation", "prefer-align-cpus-by-uncorecache"

_NO_OPTIONS: Mapping[str, float] = {FULL: 0.12, DISTRIBUTE: 0.1, SOCKET: 0.06, CORES: 0.06, STRICT: 0.12, UNCORE: 0.08}
_MANY_OPTIONS: Mapping[str, float] = {FULL: 0.4, DISTRIBUTE: 0.35, SOCKET: 0.3, CORES: 0.2, STRICT: 0.25, UNCORE: 0.35}


@dataclass(frozen=True)
class Theme:
    """Odds of a case. Numbers are probabilities, of the case or of each pod or step as said."""

    name: str
    zones: Weighted[int] = field(default_factory=lambda: Weighted((1, 8), (2, 40), (3, 16), (4, 28), (5, 4), (6, 4)))
    policies: Weighted[str] = field(
        default_factory=lambda: Weighted(
            ("none", 12), ("best-effort", 30), ("restricted", 26), ("single-numa-node", 32)
        )
    )
    cpu_static: float = 0.93
    memory_static: float = 0.8
    threads: Weighted[int] = field(default_factory=lambda: Weighted((1, 26), (2, 62), (4, 12)))
    cores: Weighted[int] = field(default_factory=lambda: Weighted((1, 4), (2, 22), (3, 20), (4, 28), (6, 14), (8, 12)))
    """Of a zone; machines of many zones have fewer."""
    reserve_each_zone: float = 0.12
    """Reserved CPUs are listed, one of each zone."""
    cpu_options: Mapping[str, float] = field(default_factory=lambda: _NO_OPTIONS)
    prefer_closest: float = 0.12
    sparse: float = 0.15
    """Zone ids with holes."""
    odd_cores: float = 0.15
    """Hybrid cores, zones of different size, CPUs offline."""
    mixed_sockets: float = 0.01
    """Sockets that share zones, as no vendor builds them."""
    caches: float = 0.3
    hugepages: float = 0.25
    devices: float = 0.25
    gate: float = 0.3
    """PodLevelResourceManagers on."""
    budgets: float = 0.08
    """Of each pod: it has pod-level resources."""
    init: float = 0.22
    """Of each pod: it has init containers."""
    odd_amounts: float = 0.02
    """Of each amount: it is none that a sane pod has."""
    wide_memory: float = 0.15
    """Of each amount of memory: it needs more than one zone."""
    unguaranteed: float = 0.1
    """Of each pod: it is Burstable or BestEffort."""
    again: float = 0.06
    """Of each step: a pod is admitted again, as after a restart."""
    remove: float = 0.16
    started: float = 0.08
    broken: float = 0.012
    """The configuration or the machine has a fault that may keep the kubelet from starting."""


PLAIN = Theme("plain")
CPUS = replace(
    PLAIN,
    name="cpus",
    cpu_options=_MANY_OPTIONS,
    memory_static=0.3,
    odd_cores=0.25,
    caches=0.6,
    devices=0.05,
    hugepages=0.05,
    unguaranteed=0.05,
)
WIDE = replace(
    CPUS,
    name="wide",
    zones=Weighted((5, 8), (6, 8), (7, 6), (8, 10), (9, 1)),
    memory_static=0.08,
    cpu_options={**_MANY_OPTIONS, DISTRIBUTE: 0.6, UNCORE: 0.1, CORES: 0.08},
    gate=0.1,
    prefer_closest=0.2,
)
MEMORY = replace(
    PLAIN,
    name="memory",
    memory_static=1.0,
    cpu_static=0.7,
    zones=Weighted((1, 4), (2, 34), (3, 34), (4, 26), (5, 2)),
    wide_memory=0.4,
    hugepages=0.3,
    devices=0.12,
    remove=0.25,
    started=0.1,
    unguaranteed=0.05,
)
DEVICES = replace(PLAIN, name="devices", devices=1.0, hugepages=0.05, wide_memory=0.1, unguaranteed=0.2, init=0.3)
INIT = replace(PLAIN, name="init", init=0.75, started=0.2, memory_static=0.9, devices=0.3)
BUDGETS = replace(PLAIN, name="budgets", gate=0.85, budgets=0.6, init=0.3, devices=0.15, hugepages=0.3)
AGAIN = replace(PLAIN, name="again", again=0.3, gate=0.45, budgets=0.2, init=0.3, started=0.15, devices=0.3)
ODD = replace(
    PLAIN,
    name="odd",
    policies=Weighted(("none", 30), ("best-effort", 24), ("restricted", 20), ("single-numa-node", 26)),
    cpu_options=_MANY_OPTIONS,
    broken=0.5,
    odd_amounts=0.12,
    hugepages=0.5,
    sparse=0.4,
    caches=0.5,
)
CLOSEST = replace(
    PLAIN,
    name="closest",
    prefer_closest=0.9,
    sparse=0.4,
    zones=Weighted((2, 10), (3, 40), (4, 50)),
    policies=Weighted(("best-effort", 70), ("restricted", 30)),
    wide_memory=0.3,
)
ENDLESS = replace(
    PLAIN,
    name="endless",
    zones=Weighted((4, 1)),
    policies=Weighted(("none", 1), ("best-effort", 1)),
    threads=Weighted((2, 1)),
    cores=Weighted((3, 1)),
    odd_cores=0.0,
    reserve_each_zone=1.0,
    mixed_sockets=0.4,
    cpu_options={FULL: 1.0, DISTRIBUTE: 1.0},
    memory_static=0.0,
    cpu_static=1.0,
    devices=0.0,
    broken=0.0,
)
"""Distribution over zones with odd leftovers; every such case costs the judge its time limit."""

BROAD: Weighted[Theme] = Weighted(
    (PLAIN, 20),
    (CPUS, 22),
    (WIDE, 4),
    (MEMORY, 16),
    (DEVICES, 9),
    (INIT, 10),
    (BUDGETS, 14),
    (AGAIN, 8),
    (ODD, 4),
    (CLOSEST, 3),
    (ENDLESS, 0.03),
)
"""The mix of the proof."""

SMALL: Weighted[Theme] = Weighted(
    *((replace(theme, zones=Weighted((1, 8), (2, 60), (3, 20), (4, 12))), 1.0) for theme in BROAD.items)
)
"""Machines of few zones, every theme alike: for a quick look."""

MIXES: Mapping[str, Weighted[Theme]] = {
    "broad": BROAD,
    "small": SMALL,
    **{theme.name: Weighted((theme, 1)) for theme in BROAD.items},
}
