"""
What a kubelet keeps for itself and the system: amounts from its configuration, CPUs by count or by list.

Source: cm/node_container_manager_linux.go (GetNodeAllocatableReservation), cmd/kubelet/app/server.go (run,
getReservedCPUs, parseResourceList), cm/helpers.go (hardEvictionReservation),
apis/config/validation/validation_reserved_memory.go.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from extender import cpuset
from extender.kubelet.errors import StartError
from extender.kubelet.requests import CPU, MEMORY, is_memory
from extender.kubelet.topology import discover
from extender.model.configuration import Amounts, KubeletConfiguration, ReservedMemory, Version
from extender.model.machine import Machine
from extender.quantity import NANO, Format, Quantity, QuantityError, of, parse

DEFAULT_EVICTION = "100Mi"
"""evictionHard memory.available on Linux (eviction/defaults_linux.go)."""

_RESERVABLE = frozenset({CPU, MEMORY, "ephemeral-storage", "pid"})


@dataclass(frozen=True, slots=True)
class Reservation:
    """The sums, and the CPUs to take out of the exclusive ones."""

    amounts: Amounts
    cpus: int | None
    """How many CPUs are reserved, rounded up; None where none are, with which the static policy does not start."""


def reservation(machine: Machine, configuration: KubeletConfiguration, version: Version) -> Reservation:
    """
    Adds up what is reserved.

    Args:
        machine: for thresholds in percent of its memory.
        configuration: of the kubelet.
        version: the kubelet's minor.

    Raises:
        StartError: an amount that cannot be reserved, or reserved CPUs that are not there.
    """
    system = _reserved(configuration.system_reserved, version)
    kube = _reserved(configuration.kube_reserved, version)
    listed = cpuset.parse(configuration.reserved_system_cpus)
    if listed:
        online = _online(machine)
        if listed & ~online:
            raise StartError(
                f"reserved-cpus: {cpuset.render(listed)} is not a subset of online-cpus: {cpuset.render(online)}"
            )
        system[CPU] = of(listed.bit_count()).nanos
        kube.pop(CPU, None)
    evicted = _eviction(machine, configuration.eviction_hard)
    sums = {CPU: system.get(CPU, 0) + kube.get(CPU, 0)}
    sums[MEMORY] = system.get(MEMORY, 0) + kube.get(MEMORY, 0) + evicted
    amounts = {name: Quantity(nanos, None, Format.BINARY_SI) for name, nanos in sums.items() if nanos}
    milli = amounts[CPU].milli if CPU in amounts else 0
    return Reservation(amounts, -(-milli // 1000) if CPU in amounts else None)


def check_capacity(machine: Machine, amounts: Amounts) -> None:
    """
    Compares what is reserved with what there is (validateNodeAllocatable).

    Raises:
        StartError: a kubelet that is told to reserve more than there is does not start.
    """
    capacity = {CPU: machine.cpus, MEMORY: sum(zone.memory for zone in machine.zones)}
    for name, amount in amounts.items():
        if amount.nanos > capacity[name] * NANO:
            raise StartError(
                f'invalid Node Allocatable configuration. Resource "{name}" has a reservation of '
                f"{amount} but capacity of {capacity[name]}. Expected capacity >= reservation."
            )


def _online(machine: Machine) -> int:
    try:
        return discover(machine).all
    except StartError as error:
        raise StartError(f"unable to discover CPU topology info: {error}") from error


def check_reserved_memory(reserved: Sequence[ReservedMemory]) -> None:
    """
    Validates reservedMemory by itself, whatever the policy.

    Raises:
        StartError: an unsupported type, a zero amount, or a type listed twice for a zone.
    """
    seen: set[tuple[int, str]] = set()
    for entry in reserved:
        for type_, amount in entry.limits.items():
            if not is_memory(type_):
                raise StartError(
                    f'invalid configuration: the limit type "{type_}" for NUMA node {entry.zone} is not supported, '
                    "only [memory hugepages-<HugePageSize>] is accepted"
                )
            if amount.nanos == 0:
                raise StartError(
                    "invalid configuration: reserved memory may not be zero "
                    f'for NUMA node {entry.zone} and resource "{type_}"'
                )
            if (entry.zone, type_) in seen:
                raise StartError(
                    "invalid configuration: the reserved memory has a duplicate value "
                    f'for NUMA node {entry.zone} and resource "{type_}"'
                )
            seen.add((entry.zone, type_))


def _reserved(configured: Amounts, version: Version) -> dict[str, int]:
    """Amounts in billionths, as parseResourceList reads them."""
    amounts = {}
    for name, amount in configured.items():
        if name not in _RESERVABLE:
            raise StartError(f'cannot reserve "{name}" resource')
        if amount.nanos < 0:
            raise StartError(f'resource quantity for "{name}" cannot be negative: {amount}')
        nanos = amount.nanos
        if name == CPU and version >= Version.V1_37:
            micros = -(-nanos // 1000)
            nanos = (micros + 500) // 1000 * 10**6  # 1.37 rounds to the nearest thousandth first
        amounts[name] = nanos
    return amounts


def _eviction(machine: Machine, thresholds: Mapping[str, str] | None) -> int:
    """Memory kept for the hard eviction threshold, in billionths of a byte."""
    text = DEFAULT_EVICTION if thresholds is None else thresholds.get("memory.available", "")
    if text in {"", "0%", "100%"}:  # these two percentages turn the threshold off (parseThresholdStatement)
        return 0
    percent = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)%", text)
    if percent:
        # The kubelet keeps the percentage as a 32-bit float and multiplies as 64-bit ones (GetThresholdQuantity).
        total = sum(zone.memory for zone in machine.zones)
        return int(total * _float32(_float32(float(percent[1])) / 100)) * NANO
    try:
        nanos = parse(text).nanos
    except QuantityError as error:
        raise StartError(f"evictionHard memory.available: {error}") from error
    if nanos <= 0:
        raise StartError(f"eviction threshold memory.available must be positive: {text}")
    return nanos


def _float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])
