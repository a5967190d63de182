"""
Kubelet configurations at random for a given machine: mostly such as start, some with a fault.

Reservations add up as the kubelet demands, unless they are the fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proof.draw import Dice, Weighted
from proof.machines import GI, KI, MI, Hardware, Json
from proof.themes import CORES, DISTRIBUTE, FULL, SOCKET, UNCORE, Theme

_TRUE = Weighted(("true", 90), ("1", 3), ("T", 3), ("TRUE", 2), ("false", 1), ("0", 1))
_CPU_AMOUNTS = Weighted(("1", 30), ("2", 24), ("500m", 14), ("1500m", 12), ("3", 8), ("4", 6), ("100m", 4),
                        ("1.0004", 1), ("1000400u", 1))  # fmt: skip
_MEMORY_AMOUNTS = Weighted((412 * MI, 30), (924 * MI, 30), (100 * MI, 10), (0, 10), (512 * MI, 10), (1536 * MI, 8),
                           (300_000_000, 2))  # fmt: skip
_EVICTIONS: Weighted[Mapping[str, str] | None] = Weighted(
    (None, 90),
    ({"memory.available": "200Mi"}, 3),
    ({"memory.available": "5%"}, 2),
    ({"memory.available": "0"}, 1),
    ({"nodefs.available": "10%"}, 3),
    ({}, 1),
)
NO_BUDGETS = {
    "PodLevelResources": False,
    "PodLevelResourcesFixDefaulting": False,
    "PodLevelResourcesFixKubeletQOSClass": False,
    "InPlacePodLevelResourcesVerticalScaling": False,
}
"""What has to be off for PodLevelResources to be off; the gates of 1.37 are unknown to earlier minors."""
_SINCE_1_37 = ("PodLevelResourcesFixDefaulting", "PodLevelResourcesFixKubeletQOSClass")


@dataclass(frozen=True, slots=True)
class Setup:
    """A configuration and what the other generators want to know of it."""

    json: Json
    policy: str
    scope: str
    cpu_static: bool
    memory_static: bool
    gate: bool
    """Pod-level resources are managed."""
    reserved_cpus: int
    """About how many."""
    reserved_memory: tuple[int, ...]
    """Per zone, bytes."""
    lists: int
    """How many resources a container may ask for, so that the real kubelet can walk all combinations of its hints."""


def setup(dice: Dice, theme: Theme, hardware: Hardware, version: str) -> Setup:
    """Draws a configuration."""
    policy = dice.weighted(theme.policies)
    scope = dice.one(("container", "pod"))
    lists = _lists(dice, policy, len(hardware.zones))
    cpu_static = dice.chance(theme.cpu_static)
    memory_static = dice.chance(theme.memory_static)
    if lists == 1 and cpu_static:
        memory_static = False
    json: Json = {"topologyManagerPolicy": policy, "topologyManagerScope": scope}
    gates = _gates(dice, theme, version)
    if cpu_static:
        json["cpuManagerPolicy"] = "static"
        _choose_cpu_options(dice, theme, policy, json, gates)
    _choose_topology_options(dice, theme, len(hardware.zones), json)
    reserved_cpus = _reserve_cpus(dice, theme, hardware, json)
    reserved_memory = _reserve_memory(dice, hardware, json) if memory_static else (0,) * len(hardware.zones)
    if gates:
        json["featureGates"] = gates
    if dice.chance(theme.broken):
        _break(dice, hardware, json)
    gate = gates.get("PodLevelResourceManagers", False)
    return Setup(json, policy, scope, cpu_static, memory_static, gate, reserved_cpus, reserved_memory, lists)


def _lists(dice: Dice, policy: str, zones: int) -> int:
    """
    Bounds the resources that may have hints.

    Best-effort and restricted walk (2 ** zones - 1) ** lists combinations, at about two million a second.
    """
    if policy in {"none", "single-numa-node"} or zones < 4:
        return 5
    usual = {4: 3, 5: 2, 6: 2}.get(zones, 1)
    return usual + dice.chance(0.04 if zones < 7 else 0.02)


def _gates(dice: Dice, theme: Theme, version: str) -> dict[str, bool]:
    gates = {}
    if version != "1.35" and dice.chance(theme.gate):
        gates["PodLevelResourceManagers"] = True
    elif dice.chance(0.05):
        gates |= {name: off for name, off in NO_BUDGETS.items() if version >= "1.37" or name not in _SINCE_1_37}
    if version >= "1.37" and dice.chance(0.03):
        gates["PodLevelResourcesFixKubeletQOSClass"] = False
    return gates


def _choose_cpu_options(dice: Dice, theme: Theme, policy: str, json: Json, gates: dict[str, bool]) -> None:
    chosen = [name for name, odds in theme.cpu_options.items() if dice.chance(odds)]
    if not dice.chance(theme.broken):
        _part_the_forbidden(dice, chosen, policy)
    options = {name: dice.weighted(_TRUE) for name in chosen}
    if options:
        json["cpuManagerPolicyOptions"] = options
    if {SOCKET, CORES} & options.keys() and not dice.chance(theme.broken / 2):
        gates["CPUManagerPolicyAlphaOptions"] = True
    elif dice.chance(0.01):
        gates["CPUManagerPolicyBetaOptions"] = False


def _part_the_forbidden(dice: Dice, chosen: list[str], policy: str) -> None:
    if CORES in chosen:
        for other in (FULL, DISTRIBUTE, UNCORE):
            if other in chosen:
                chosen.remove(dice.one((other, CORES)))
            if CORES not in chosen:
                break
    if DISTRIBUTE in chosen and UNCORE in chosen:
        chosen.remove(dice.one((DISTRIBUTE, UNCORE)))
    if SOCKET in chosen and policy == "single-numa-node":
        chosen.remove(SOCKET)


def _choose_topology_options(dice: Dice, theme: Theme, zones: int, json: Json) -> None:
    options = {}
    if dice.chance(theme.prefer_closest):
        options["prefer-closest-numa-nodes"] = dice.weighted(_TRUE)
    if zones > 8 and dice.chance(0.7):
        options["max-allowable-numa-nodes"] = dice.one(("9", "16", "8"))
    elif dice.chance(0.01):
        options["max-allowable-numa-nodes"] = dice.one(("8", "12"))
    if options:
        json["topologyManagerPolicyOptions"] = options


def _reserve_cpus(dice: Dice, theme: Theme, hardware: Hardware, json: Json) -> int:
    """Reserves CPUs by list or by amount."""
    cpus = hardware.cpus
    if cpus and dice.chance(theme.reserve_each_zone):
        listed = sorted(zone[0][0] for zone in hardware.cores if zone)
        json["reservedSystemCPUs"] = ",".join(map(str, listed))
        return len(listed)
    if not cpus or dice.chance(0.45):
        amounts = {"systemReserved": dice.weighted(_CPU_AMOUNTS)}
        if dice.chance(0.2):
            amounts["kubeReserved"] = dice.weighted(_CPU_AMOUNTS)
        for field, amount in amounts.items():
            json.setdefault(field, {})["cpu"] = amount
        return sum(-(-_milli(amount) // 1000) for amount in amounts.values())
    listed = _listed(dice, hardware, cpus)
    json["reservedSystemCPUs"] = ",".join(map(str, listed))
    if dice.chance(0.05):
        json.setdefault("kubeReserved", {})["cpu"] = "1"
    return len(listed)


def _milli(amount: str) -> int:
    if amount.endswith("u"):
        return int(amount[:-1]) // 1000
    return int(amount[:-1]) if amount.endswith("m") else int(float(amount) * 1000)


def _listed(dice: Dice, hardware: Hardware, cpus: list[int]) -> list[int]:
    """Draws reserved CPUs: single ones, whole cores, one of each zone, a whole zone."""
    zones = [zone for zone in hardware.cores if zone]
    match dice.below(10):
        case 0 | 1 | 2:
            chosen = [min(cpus)]
        case 3 | 4:
            chosen = list(dice.one(dice.one(zones)))
        case 5 | 6 | 7:
            chosen = [cpu for zone in zones for cpu in zone[0]]
        case 8:
            chosen = dice.sample(cpus, min(len(cpus), dice.between(1, 4)))
        case _:
            chosen = [cpu for core in dice.one(zones) for cpu in core] if len(zones) > 1 else [cpus[-1]]
    return sorted(chosen)


def _reserve_memory(dice: Dice, hardware: Hardware, json: Json) -> tuple[int, ...]:
    """Reserves memory of the node, and the same amount of its zones."""
    system = dice.weighted(_MEMORY_AMOUNTS)
    kube = dice.one((0, 0, 0, 200 * MI))
    for field, amount in (("systemReserved", system), ("kubeReserved", kube)):
        if amount:
            json.setdefault(field, {})["memory"] = binary(amount)
    thresholds = dice.weighted(_EVICTIONS)
    if thresholds is not None:
        json["evictionHard"] = thresholds
    total = system + kube + _eviction(thresholds, hardware)
    shares = _shares(dice, total, hardware)
    json["memoryManagerPolicy"] = "Static"
    json["reservedMemory"] = [
        {"numaNode": zone, "limits": {"memory": binary(share)}}
        for zone, share in zip(hardware.zones, shares, strict=True)
        if share
    ]
    return shares


def _eviction(thresholds: Mapping[str, str] | None, hardware: Hardware) -> int:
    if thresholds is None:
        return 100 * MI
    threshold = thresholds.get("memory.available", "0")
    if threshold.endswith("%"):
        total = sum(zone["memory"] for zone in hardware.json["topology"])
        return int(total * 0.05000000074505806)  # the kubelet's 32-bit 5 %
    return int(threshold[:-2]) * MI if threshold.endswith("Mi") else 0


def _shares(dice: Dice, total: int, hardware: Hardware) -> tuple[int, ...]:
    """Puts all of it into one zone, or spreads it; a zone may be told to reserve more than it has."""
    shares = [0] * len(hardware.zones)
    able = [zone for zone, memory in enumerate(hardware.memory) if memory > total]
    if able and not dice.chance(0.01):
        shares[able[0] if dice.chance(0.6) else dice.one(able)] = total
    else:
        shares[dice.below(len(shares))] = total
    if dice.chance(0.25) and len(shares) > 1:
        part = total // len(shares) // KI * KI
        shares = [part] * len(shares)
        shares[0] += total - part * len(shares)
    return tuple(shares)


def _break(dice: Dice, hardware: Hardware, json: Json) -> None:
    """Puts one fault into the configuration; not each of them keeps the kubelet from starting."""
    cpus = hardware.cpus or [0]
    reserved = json.get("reservedMemory")
    first = reserved[0]["limits"] if reserved else {}
    match dice.below(27):
        case 0:
            json.setdefault("cpuManagerPolicyOptions", {})["no-such-option"] = "true"
        case 1:
            json.setdefault("cpuManagerPolicyOptions", {})[FULL] = dice.one(("yes", "", "2", "tRUE"))
        case 2:
            json.setdefault("topologyManagerPolicyOptions", {})["no-such-option"] = "true"
        case 3:
            json.setdefault("topologyManagerPolicyOptions", {})["max-allowable-numa-nodes"] = dice.one(("7", "x", "+8"))
        case 4:
            json.setdefault("topologyManagerPolicyOptions", {})["prefer-closest-numa-nodes"] = dice.one(("on", "f"))
        case 5:
            json["reservedSystemCPUs"] = dice.one((str(max(cpus) + 1), "0-1000", "1-0", "a", "0,0"))
        case 6:
            json.pop("reservedSystemCPUs", None)
            for field in ("systemReserved", "kubeReserved"):
                json.get(field, {}).pop("cpu", None)
        case 7:
            json.pop("reservedSystemCPUs", None)
            json["systemReserved"] = {**json.get("systemReserved", {}), "cpu": str(len(cpus) + dice.below(2))}
        case 8 if first:
            first["memory"] = binary(512 * MI)
        case 9 if first:
            first["memory"] = dice.one(("1.5Gi", "1500M", "0", "1Ti", _in_parts(first["memory"])))
        case 10 if reserved:
            first["hugepages-2Mi"] = "256Mi"
        case 11 if reserved:
            reserved[0]["numaNode"] = dice.one((max(hardware.zones) + 1, -1))
        case 12 if reserved:
            reserved.append(reserved[0])
        case 13 if reserved:
            first["cpu"] = "1"
        case 14:
            json["memoryManagerPolicy"] = dice.one(("Static", "BestEffort", "none"))
        case 15:
            json.pop("reservedMemory", None)
        case 16:
            json.setdefault("systemReserved", {})["hugepages-2Mi"] = "64Mi"
        case 17:
            json.setdefault("kubeReserved", {})["memory"] = dice.one(("-1", "1Ti", "1.5", "1e3", "100m"))
        case 18:
            json.setdefault("featureGates", {})["CPUManagerPolicyOptions"] = dice.chance(0.5)
        case 19:
            json.setdefault("featureGates", {})["PodLevelResources"] = False
        case 20:
            json.setdefault("featureGates", {})["TopologyManagerPolicyOptions"] = dice.chance(0.5)
            if dice.chance(0.5):
                json["topologyManagerPolicyOptions"] = {"prefer-closest-numa-nodes": "true"}
        case 21:
            json["cpuManagerPolicy"] = dice.one(("none", "Static", ""))
        case 22:
            json["topologyManagerPolicy"] = dice.one(("strict", "", "Restricted"))
        case 23:
            json["topologyManagerScope"] = dice.one(("node", "", "Pod"))
        case 24:
            json["evictionHard"] = {"memory.available": dice.one(("10%", "1.5Gi", "100%", "300Mi"))}
        case 25:
            gates = json.setdefault("featureGates", {})
            gates[dice.one(("NoSuchGate", "AllAlpha", "AllBeta", "MemoryQoS", "GracefulNodeShutdown"))] = dice.chance(
                0.5
            )
        case _:
            json.setdefault("featureGates", {})["CPUManagerPolicyBetaOptions"] = False


def _in_parts(amount: str) -> str:
    """The same amount in gibibytes and parts of them, which the kubelet cannot turn into an integer."""
    return f"{int(amount[:-2]) / 1024}Gi" if amount.endswith("Mi") else f"{amount[:-2]}.0{amount[-2:]}"


def binary(amount: int) -> str:
    """Writes bytes as the API server stores them."""
    if amount < KI or amount % KI:
        return _decimal(amount)
    for suffix, unit in (("Ti", KI * GI), ("Gi", GI), ("Mi", MI), ("Ki", KI)):
        if amount % unit == 0:
            return f"{amount // unit}{suffix}"
    raise AssertionError(amount)


def _decimal(amount: int) -> str:
    for suffix, unit in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if amount and amount % unit == 0:
            return f"{amount // unit}{suffix}"
    return str(amount)
