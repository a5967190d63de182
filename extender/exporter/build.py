"""
From what the sources say to the report: pure, no source is read here.

Decides what is believed where sources disagree, and what of the report is an estimate because a source is missing.

========================  ==============================================================================
sources                   rule
========================  ==============================================================================
checkpoint, PodResources  PodResources is live; a CPU or memory checkpoint that contradicts it is not used, device
                          ids are taken from it container by container
checkpoint, sysfs         the kubelet works with what it found when it started: totals of memory come from the
                          checkpoint; CPUs that only the checkpoint has make the machine an estimate
checkpoint, API server    entries are kept as they are; pods that are over or gone are not active
PodResources, API server  a name is believed to be the pod of that name that is not over, unless an earlier pod
                          had the name and the kubelet has reported nothing about the new one
configuration, checkpoint the policy of the configuration rules; another one in the checkpoint makes it an estimate
configz, file             /configz is what the kubelet runs with; its file in place of that is an estimate
devices, Node capacity    what the capacity counts and nobody lists makes the devices an estimate
========================  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from extender import cpuset
from extender.exporter import fingerprint
from extender.exporter.amounts import quantities
from extender.exporter.devices import device_state
from extender.exporter.fingerprint import Method
from extender.exporter.guess import guessed_configuration
from extender.exporter.identity import Identities, identify
from extender.exporter.managers import (
    MEMORY,
    Known,
    cpu_state,
    hugepages_type,
    machine_cpus,
    memory_state,
    strict_reservation,
)
from extender.exporter.observation import ApiPod, CpuCheckpoint, MemoryCheckpoint, Observation, Source
from extender.model.configuration import CpuPolicy, KubeletConfiguration, Version
from extender.model.machine import HugePages, Machine, Zone
from extender.model.pod import Container, Pod
from extender.model.report import Missing, Report
from extender.model.state import NodeState
from extender.wire.own_attributes import version_of


class Pair(StrEnum):
    """Two sources that can disagree."""

    CPU_CHECKPOINT_POD_RESOURCES = "cpu-checkpoint/podresources"
    MEMORY_CHECKPOINT_POD_RESOURCES = "memory-checkpoint/podresources"
    DEVICE_CHECKPOINT_POD_RESOURCES = "device-checkpoint/podresources"
    CPU_CHECKPOINT_SYSFS = "cpu-checkpoint/sysfs"
    MEMORY_CHECKPOINT_SYSFS = "memory-checkpoint/sysfs"
    CHECKPOINT_CONFIGURATION = "checkpoint/configuration"


@dataclass(frozen=True, slots=True)
class Built:
    """A report, and which sources disagreed about it."""

    report: Report
    disagreements: frozenset[Pair]


def build(observation: Observation, method: Method = Method.WITH_EXCLUSIVE_RESOURCES) -> Built:
    """Returns the best true report of what was observed; without a heartbeat, which is the publisher's."""
    identities = identify(observation)
    configuration = observation.configuration or guessed_configuration(observation)
    version, version_known = _version(observation)
    machine, machine_disagreements = _machine(observation)
    cpu, cpu_known = cpu_state(observation, identities, configuration)
    memory, memory_known = memory_state(observation, identities, configuration)
    device, device_known = device_state(observation, identities)
    state = NodeState(cpu, memory, device)
    state.active.update(_active(identities, state))
    disagreements = frozenset(
        [
            *machine_disagreements,
            *_contradictions(cpu_known, memory_known, device_known),
            *_policies(observation, configuration),
        ]
    )
    missing = {
        Missing.MACHINE: not machine_cpus(machine) or Pair.CPU_CHECKPOINT_SYSFS in disagreements,
        Missing.CONFIGURATION: (
            observation.configuration is None
            or observation.configuration_source is Source.STAND_IN
            or Pair.CHECKPOINT_CONFIGURATION in disagreements
        ),
        Missing.VERSION: not version_known,
        Missing.CPU_STATE: not cpu_known.exact,
        Missing.MEMORY_STATE: not memory_known.exact,
        Missing.DEVICES: not device_known.exact,
        Missing.PODS: not identities.complete,
    }
    report = Report(
        node=observation.node,
        machine=machine,
        configuration=configuration,
        version=version,
        state=state,
        estimates=tuple(sorted(part for part, is_missing in missing.items() if is_missing)),
        kubelet_version=observation.api_node.kubelet_version if observation.api_node else "",
        reserved=_reserved(observation, machine, configuration),
        zones=quantities(observation, machine, configuration, state),
        fingerprint="" if observation.listed is None else fingerprint.of_listed(observation.listed, method),
        fingerprint_method="" if observation.listed is None else str(method),
        sources=_sources(observation, cpu_known, memory_known, device_known),
        warnings=(*observation.hardware.warnings, *_leaks(observation, configuration, cpu_known)),
    )
    return Built(report, disagreements)


def _version(observation: Observation) -> tuple[Version, bool]:
    return version_of(observation.api_node.kubelet_version if observation.api_node else "")


def _machine(observation: Observation) -> tuple[Machine, list[Pair]]:
    """The machine that the kubelet works with, which is the one that it found when it started."""
    machine, disagreements = observation.hardware.machine, []
    if isinstance(observation.cpu, CpuCheckpoint) and _cpus_of(observation.cpu) & ~machine_cpus(machine):
        disagreements.append(Pair.CPU_CHECKPOINT_SYSFS)
    if isinstance(observation.memory, MemoryCheckpoint) and observation.memory.totals:
        found = replace(machine, zones=tuple(_with_totals(zone, observation.memory) for zone in machine.zones))
        if found != machine:
            disagreements.append(Pair.MEMORY_CHECKPOINT_SYSFS)
        machine = found
    return machine, disagreements


def _cpus_of(checkpoint: CpuCheckpoint) -> int:
    cpus = checkpoint.default
    for held in [*checkpoint.entries.values(), checkpoint.pod_entries]:
        for each in held.values():
            cpus |= each
    return cpus


def _with_totals(zone: Zone, checkpoint: MemoryCheckpoint) -> Zone:
    totals = checkpoint.totals.get(zone.id, {})
    return replace(
        zone,
        memory=totals.get(MEMORY, zone.memory),
        hugepages=tuple(
            HugePages(huge.page_kib, totals.get(hugepages_type(huge.page_kib), huge.pages * size) // size)
            for huge in zone.hugepages
            for size in (huge.page_kib * 1024,)
        ),
    )


def _active(identities: Identities, state: NodeState) -> Iterator[tuple[str, Pod]]:
    for uid, pod in identities.active.items():
        yield uid, Pod(uid, pod.name, tuple(_holding(uid, pod, state)), pod.namespace)


def _holding(uid: str, pod: ApiPod, state: NodeState) -> Iterator[Container]:
    """The containers that hold something, in the kubelet's order; those that the pod does not have are leftovers."""
    entries = [state.cpu.entries.get(uid, {}), state.memory.entries.get(uid, {}), state.device.entries.get(uid, {})]
    names = {name for held in entries for name in held}
    if not pod.kinds:
        yield from (Container(name) for name in sorted(names))
    yield from (Container(name, kind) for name, kind in pod.kinds.items() if name in names)


def _contradictions(cpu: Known, memory: Known, device: Known) -> Iterator[Pair]:
    if cpu.contradicted:
        yield Pair.CPU_CHECKPOINT_POD_RESOURCES
    if memory.contradicted:
        yield Pair.MEMORY_CHECKPOINT_POD_RESOURCES
    if device.contradicted:
        yield Pair.DEVICE_CHECKPOINT_POD_RESOURCES


def _leaks(observation: Observation, configuration: KubeletConfiguration, known: Known) -> Iterator[str]:
    """
    CPUs that a kubelet has lost: nobody holds them and they are not shared either.

    It goes on like that, and refuses to start the next time (policy_static.go, validateState).
    """
    checkpoint = observation.cpu
    if not isinstance(checkpoint, CpuCheckpoint) or known.source is not Source.CHECKPOINT:
        return
    every = machine_cpus(observation.hardware.machine)
    if strict_reservation(configuration) and observation.allocatable is not None:
        every = observation.allocatable.cpus
    lost = every & ~_cpus_of(checkpoint)
    if lost:
        yield (
            f"CPUs {cpuset.render(lost)} are lost: no container holds them and they are not in the kubelet's shared pool; "
            "it will not start again with this cpu_manager_state"
        )


def _policies(observation: Observation, configuration: KubeletConfiguration) -> Iterator[Pair]:
    if observation.configuration is None:
        return
    cpu, memory = observation.cpu, observation.memory
    other_cpu = isinstance(cpu, CpuCheckpoint) and cpu.policy != configuration.cpu_policy
    other_memory = isinstance(memory, MemoryCheckpoint) and memory.policy != configuration.memory_policy
    if other_cpu or other_memory:
        yield Pair.CHECKPOINT_CONFIGURATION


def _reserved(observation: Observation, machine: Machine, configuration: KubeletConfiguration) -> int | None:
    if configuration.cpu_policy is not CpuPolicy.STATIC or observation.allocatable is None:
        return None
    return machine_cpus(machine) & ~observation.allocatable.cpus


def _sources(observation: Observation, cpu: Known, memory: Known, device: Known) -> dict[str, str]:
    sources = {
        "machine": Source.SYSFS,
        "configuration": observation.configuration_source,
        "version": Source.NODE if observation.api_node else Source.NONE,
        "cpus": cpu.source,
        "memory": memory.source,
        "devices": device.source,
        "pods": Source.PODS if observation.pods is not None else Source.NONE,
    }
    return {part: str(source) for part, source in sources.items()}
