"""Builders of observations: a node of two zones with eight CPUs each, and what its sources say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from extender import cpuset
from extender.exporter.observation import (
    Allocatable,
    ApiNode,
    ApiPod,
    CpuCheckpoint,
    DeviceCheckpoint,
    ListedContainer,
    ListedPod,
    MemoryCheckpoint,
    Observation,
    Source,
)
from extender.exporter.sysfs import Hardware
from extender.model.configuration import (
    CpuPolicy,
    KubeletConfiguration,
    MemoryPolicy,
    ReservedMemory,
    Scope,
    TopologyPolicy,
)
from extender.model.machine import Core, Machine, Zone
from extender.model.pod import Kind
from extender.model.state import Block, Device, ZoneMemory
from extender.quantity import parse

GI = 1 << 30
MACHINE = Machine(
    zones=tuple(
        Zone(
            id=zone,
            memory=16 * GI,
            cores=tuple(
                Core((first, second), zone)
                for first, second in sorted(sorted((cpu, cpu + 8), key=str) for cpu in range(4 * zone, 4 * zone + 4))
            ),
            distances=(10, 21) if zone == 0 else (21, 10),
        )
        for zone in range(2)
    ),
    cpus=16,
    sockets=2,
)
EVERYTHING = cpuset.parse("0-15")
RESERVED = cpuset.parse("0,8")
CONFIGURATION = KubeletConfiguration(
    topology_policy=TopologyPolicy.SINGLE_NUMA_NODE,
    topology_scope=Scope.POD,
    cpu_policy=CpuPolicy.STATIC,
    memory_policy=MemoryPolicy.STATIC,
    reserved_system_cpus="0,8",
    system_reserved={"memory": parse("1Gi")},
    eviction_hard={},
    reserved_memory=(ReservedMemory(0, {"memory": parse("1Gi")}),),
)
NIC = "vendor.com/nic"


def cpus(text: str) -> int:
    """A CPU list as a set."""
    return cpuset.parse(text)


def api_pod(uid: str, name: str, **more: Any) -> ApiPod:
    """A pod as the API server shows it, with a container ``main`` and one ``init``, seen by the kubelet."""
    kinds = {"init": Kind.INIT, "main": Kind.APP}
    return replace(ApiPod(uid, uid, "default", name, kinds, acknowledged=True), **more)


def listed_pod(name: str, main: ListedContainer | None = None, **more: Any) -> ListedPod:
    """A pod as PodResources lists it, with a container ``main``."""
    return replace(ListedPod("default", name, {"main": main or ListedContainer()}), **more)


def cpu_checkpoint(
    default: str, entries: Mapping[str, Mapping[str, str]] | None = None, pods: Mapping[str, str] | None = None
) -> CpuCheckpoint:
    """The CPU manager's file."""
    return CpuCheckpoint(
        "static",
        cpus(default),
        {uid: {name: cpus(text) for name, text in held.items()} for uid, held in (entries or {}).items()},
        {uid: cpus(text) for uid, text in (pods or {}).items()},
    )


def memory_checkpoint(
    free: Mapping[int, int],
    entries: Mapping[str, Mapping[str, tuple[Block, ...]]] | None = None,
    cells: Mapping[int, int] | None = None,
) -> MemoryCheckpoint:
    """The memory manager's file: free GiB per zone."""
    allocatable = {0: {"memory": 15 * GI}, 1: {"memory": 16 * GI}}
    blocks = [block for held in (entries or {}).values() for each in held.values() for block in each]
    zones = {
        zone: ZoneMemory(
            sum(block.zones >> zone & 1 for block in blocks),
            (cells or {}).get(zone, 1 << zone),
            {"memory": amount * GI},
        )
        for zone, amount in free.items()
    }
    totals = {0: {"memory": 16 * GI}, 1: {"memory": 16 * GI}}
    return MemoryCheckpoint("Static", zones, totals, allocatable, entries or {}, {})


def block(gibibytes: int, *zones: int) -> Block:
    """Memory on zones."""
    return Block(cpuset.of(zones), "memory", gibibytes * GI)


def observation(**changes: Any) -> Observation:
    """A node at rest, everything known; the changes replace what its sources say."""
    idle = Observation(
        node="n1",
        hardware=Hardware(MACHINE),
        configuration=CONFIGURATION,
        configuration_source=Source.CONFIGZ,
        api_node=ApiNode("node-uid", "v1.37.2", {}),
        pods={},
        listed=(),
        allocatable=Allocatable(EVERYTHING & ~RESERVED, {0: {"memory": 15 * GI}, 1: {"memory": 16 * GI}}, {}),
        cpu=cpu_checkpoint("0-15"),
        memory=memory_checkpoint({0: 15, 1: 16}),
        device=DeviceCheckpoint({}, frozenset()),
    )
    return replace(idle, **changes)


def pods(*each: ApiPod) -> dict[str, ApiPod]:
    """Pods by uid."""
    return {pod.uid: pod for pod in each}


def nics(*zones: int | None) -> tuple[Device, ...]:
    """One device for each zone, ids a, b, c …; None is a device whose plugin names no topology."""
    return tuple(
        Device(chr(ord("a") + index), 0 if zone is None else 1 << zone, located=zone is not None)
        for index, zone in enumerate(zones)
    )
