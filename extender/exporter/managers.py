"""
The state of the CPU and the memory manager, from their checkpoints or, where those cannot be used, from PodResources.

The rule for the pair: PodResources is what the kubelet has in memory, the checkpoint what it has written, which shows
more. A checkpoint that contradicts PodResources about a running container is not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from extender import cpuset
from extender.exporter.identity import Identities
from extender.exporter.observation import CpuCheckpoint, ListedPod, MemoryCheckpoint, Observation, Source
from extender.model.configuration import CpuPolicy, KubeletConfiguration, MemoryPolicy
from extender.model.machine import Machine
from extender.model.state import Block, CpuState, MemoryState, ZoneMemory
from extender.quantity import Format, of

MEMORY = "memory"
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
"""What Go's ParseBool takes for true."""


@dataclass(frozen=True, slots=True)
class Known:
    """How well one part is known."""

    source: Source
    exact: bool = True
    contradicted: bool = False
    """Whether its checkpoint contradicts PodResources."""


def machine_cpus(machine: Machine) -> int:
    """Returns all CPUs of a machine as a bit set."""
    return cpuset.of(cpu for zone in machine.zones for core in zone.cores for cpu in core.threads)


def strict_reservation(configuration: KubeletConfiguration) -> bool:
    """Says whether reserved CPUs are no part of the shared pool."""
    return configuration.cpu_options.get("strict-cpu-reservation") in _TRUE


def cpu_state(
    observation: Observation, identities: Identities, configuration: KubeletConfiguration
) -> tuple[CpuState, Known]:
    """Returns what the CPU manager holds, and how well that is known."""
    if configuration.cpu_policy is CpuPolicy.NONE:
        return CpuState(), Known(Source.NONE)
    checkpoint = observation.cpu
    contradicted = isinstance(checkpoint, CpuCheckpoint) and _cpus_contradict(checkpoint, identities)
    if isinstance(checkpoint, CpuCheckpoint) and checkpoint.policy == CpuPolicy.STATIC and not contradicted:
        state = CpuState(
            default=checkpoint.default,
            entries={identities.uid(uid): held for uid, held in checkpoint.entries.items() if held},
            pod_entries={identities.uid(uid): cpus for uid, cpus in checkpoint.pod_entries.items()},
        )
        return state, Known(Source.CHECKPOINT)
    state = _listed_cpus(observation, identities, configuration)
    source = Source.NONE if observation.listed is None else Source.POD_RESOURCES
    return state, Known(source, exact=False, contradicted=contradicted)


def _cpus_contradict(checkpoint: CpuCheckpoint, identities: Identities) -> bool:
    """Only what PodResources does show is compared: it hides shared pools, and pod-level CPUs before 1.37."""
    by_uid = {identities.uid(uid): held for uid, held in checkpoint.entries.items()}
    pods = {identities.uid(uid): cpus for uid, cpus in checkpoint.pod_entries.items()}
    return any(
        (pod.cpus and pod.cpus != pods.get(uid, 0))
        or any(held.cpus and held.cpus != by_uid.get(uid, {}).get(name) for name, held in pod.containers.items())
        for uid, pod in identities.listed.items()
    )


def _listed_cpus(observation: Observation, identities: Identities, configuration: KubeletConfiguration) -> CpuState:
    entries: dict[str, Mapping[str, int]] = {
        uid: held
        for uid, pod in identities.listed.items()
        if (held := {name: container.cpus for name, container in pod.containers.items() if container.cpus})
    }
    pod_entries = {uid: pod.cpus for uid, pod in identities.listed.items() if pod.cpus}
    taken = 0
    for cpus in [*(cpus for held in entries.values() for cpus in held.values()), *pod_entries.values()]:
        taken |= cpus
    shared = machine_cpus(observation.hardware.machine)
    if strict_reservation(configuration) and observation.allocatable is not None and observation.allocatable.cpus:
        shared = observation.allocatable.cpus
    return CpuState(shared & ~taken, entries, pod_entries)


def memory_state(
    observation: Observation, identities: Identities, configuration: KubeletConfiguration
) -> tuple[MemoryState, Known]:
    """Returns what the memory manager holds, and how well that is known."""
    if configuration.memory_policy is MemoryPolicy.NONE:
        return MemoryState(), Known(Source.NONE)
    checkpoint = observation.memory
    contradicted = isinstance(checkpoint, MemoryCheckpoint) and _blocks_contradict(checkpoint, identities)
    if isinstance(checkpoint, MemoryCheckpoint) and checkpoint.policy == MemoryPolicy.STATIC and not contradicted:
        state = MemoryState(
            zones=dict(checkpoint.zones),
            entries={identities.uid(uid): held for uid, held in checkpoint.entries.items() if held},
            pod_entries={identities.uid(uid): blocks for uid, blocks in checkpoint.pod_entries.items()},
        )
        return state, Known(Source.CHECKPOINT)
    state = _listed_memory(observation, identities.listed, configuration)
    source = Source.NONE if observation.listed is None else Source.POD_RESOURCES
    return state, Known(source, exact=False, contradicted=contradicted)


def _blocks_contradict(checkpoint: MemoryCheckpoint, identities: Identities) -> bool:
    by_uid = {identities.uid(uid): held for uid, held in checkpoint.entries.items()}
    pods = {identities.uid(uid): blocks for uid, blocks in checkpoint.pod_entries.items()}
    return any(
        (pod.memory and pod.memory != pods.get(uid))
        or any(held.memory and held.memory != by_uid.get(uid, {}).get(name) for name, held in pod.containers.items())
        for uid, pod in identities.listed.items()
    )


def _listed_memory(
    observation: Observation, listed: Mapping[str, ListedPod], configuration: KubeletConfiguration
) -> MemoryState:
    """Books the blocks of running containers, each on its zones ascending as far as it goes (updateMachineState)."""
    entries: dict[str, Mapping[str, tuple[Block, ...]]] = {
        uid: held
        for uid, pod in listed.items()
        if (held := {name: container.memory for name, container in pod.containers.items() if container.memory})
    }
    pod_entries = {uid: pod.memory for uid, pod in listed.items() if pod.memory}
    state = MemoryState(
        {zone: ZoneMemory(0, 1 << zone, free) for zone, free in allocatable_memory(observation, configuration).items()},
        entries,
        pod_entries,
    )
    for uid in {**entries, **pod_entries}:
        # A pod-level block includes its containers' shares: one or the other is booked, never both.
        blocks = pod_entries.get(uid) or [block for held in entries[uid].values() for block in held]
        _book(state, blocks)
    return state


def _book(state: MemoryState, blocks: Iterable[Block]) -> None:
    for block in blocks:
        left = block.size
        for zone in cpuset.members(block.zones):
            if zone in state.zones:
                before = state.zones[zone]
                taken = min(left, before.free.get(block.type, 0))
                left -= taken
                free = {**before.free, block.type: before.free.get(block.type, 0) - taken}
                state.zones[zone] = ZoneMemory(before.assignments + 1, block.zones, free)


def allocatable_memory(observation: Observation, configuration: KubeletConfiguration) -> dict[int, dict[str, int]]:
    """Returns, by zone and type, what can be pinned: as the kubelet tells it, else as its configuration means it."""
    told = observation.allocatable.memory if observation.allocatable else {}
    reserved: dict[tuple[int, str], int] = {}
    for entry in configuration.reserved_memory:
        for type_, amount in entry.limits.items():
            reserved[entry.zone, type_] = reserved.get((entry.zone, type_), 0) + amount.value
    table = {}
    for zone in observation.hardware.machine.zones:
        pages = {hugepages_type(huge.page_kib): huge.pages * huge.page_kib * 1024 for huge in zone.hugepages}
        whole = {MEMORY: zone.memory - sum(pages.values()), **pages}
        if told:
            table[zone.id] = {type_: told.get(zone.id, {}).get(type_, 0) for type_ in whole}
        else:
            table[zone.id] = {type_: max(0, size - reserved.get((zone.id, type_), 0)) for type_, size in whole.items()}
    return table


def hugepages_type(page_kib: int) -> str:
    """Returns the resource name of pages of a size, e.g. ``hugepages-2Mi`` for 2048."""
    return f"hugepages-{of(page_kib * 1024, Format.BINARY_SI)}"
