"""What else than the pod can give way: other pods on the node, or one field of its kubelet's configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from extender.kubelet.options import FULL_PCPUS_ONLY
from extender.kubelet.requests import CPU, has_pod_level_resources
from extender.model.answer import Edit, Suggestion, Way
from extender.model.configuration import MemoryPolicy, Scope, TopologyPolicy, Version
from extender.model.question import ConfigurationPatch
from extender.what_if.change import restarted, title, without
from extender.what_if.trial import Trial
from extender.what_if.work import Work

REMOVING, RESTARTING = 2000, 3000
"""Costs begin here; to them comes what is removed, or how much the kubelet is loosened."""
MOST_PODS = 256
"""Pods that are tried to be without."""
LOOSER = (TopologyPolicy.SINGLE_NUMA_NODE, TopologyPolicy.RESTRICTED, TopologyPolicy.BEST_EFFORT, TopologyPolicy.NONE)
GATE = "PodLevelResourceManagers"

Patch = tuple[str, str | None, ConfigurationPatch, str | None]
"""Path of the field, present value, patch, new value."""


def emptied(trial: Trial) -> Work[list[Suggestion]]:
    """
    Takes running pods away: one if that is enough, else as few as a greedy search finds.

    Holders that a report does not name, which have no namespace, cannot be taken away.
    """
    sizes = {uid: _size(trial, uid) for uid, running in trial.site.pods.items() if running.pod.namespace}
    holders = sorted((uid for uid, size in sizes.items() if size), key=lambda uid: (sizes[uid], uid))[:MOST_PODS]
    for uid in holders:
        if (yield from _fits_without(trial, [uid])):
            return [_removal(trial, [uid], sizes[uid])]
    gone: list[str] = []
    for uid in reversed(holders):
        gone.append(uid)
        if (yield from _fits_without(trial, gone)):
            break
    else:
        return []
    for uid in list(gone):
        fewer = [other for other in gone if other != uid]
        if (yield from _fits_without(trial, fewer)):
            gone = fewer
    return [_removal(trial, gone, sum(sizes[uid] for uid in gone))]


def _size(trial: Trial, uid: str) -> int:
    """What a pod holds, in thousandths of what the node has of each resource, added up."""
    state = trial.snapshot.state
    cpus = state.cpu.pod_entries.get(uid, 0)
    for mask in state.cpu.entries.get(uid, {}).values():
        cpus |= mask
    held = {CPU: cpus.bit_count()}
    blocks = state.memory.pod_entries.get(uid)
    for block in blocks or [block for each in state.memory.entries.get(uid, {}).values() for block in each]:
        held[block.type] = held.get(block.type, 0) + block.size
    for by_resource in state.device.entries.get(uid, {}).values():
        for resource, ids in by_resource.items():
            held[resource] = held.get(resource, 0) + len(ids)
    node = {name: sum(room.allocatable.get(name, 0) for room in trial.snapshot.rooms) for name in held}
    return sum(-(-amount * 1000 // node[name]) for name, amount in held.items() if node[name] > 0)


def _fits_without(trial: Trial, uids: Sequence[str]) -> Work[bool]:
    return (yield from trial.fits(trial.pod, without(trial.site, uids)))


def _removal(trial: Trial, uids: Sequence[str], size: int) -> Suggestion:
    told = tuple(Edit("cluster", "pods", title(trial.site.pods[uid].pod), None) for uid in uids)
    return Suggestion(Way.REMOVE, trial.site.name, told, REMOVING + min(RESTARTING - REMOVING - 1, size))


def reconfigured(trial: Trial) -> Work[list[Suggestion]]:
    """Starts the kubelet with one field changed: the least loosening that works, without losing pods if possible."""
    return (yield from _least(trial, _loosened(trial)))


def gated(trial: Trial) -> Work[list[Suggestion]]:
    """Lets the kubelet's managers look after pod-level budgets."""
    return (yield from _least(trial, _gate(trial)))


def _least(trial: Trial, patches: Iterator[Patch]) -> Work[list[Suggestion]]:
    found = []
    for place, (path, before, patch, after) in enumerate(patches):
        site, lost = restarted(trial.site, patch)
        if site.snapshot is None or not (yield from trial.fits(trial.pod, site)):
            continue
        names = tuple(title(one.pod) for one in lost)
        told = (Edit("kubelet", path, before, after),)
        found.append(Suggestion(Way.KUBELET, trial.site.name, told, RESTARTING + place + 100 * len(lost), names))
        if not lost:
            break
    return [min(found, key=lambda one: one.cost)] if found else []


def _loosened(trial: Trial) -> Iterator[Patch]:
    """One field at a time, the least loosening first."""
    configuration = trial.snapshot.kubelet.configuration
    policy, scope = configuration.topology_policy, configuration.topology_scope
    whole_cores = configuration.cpu_options.get(FULL_PCPUS_ONLY)
    if whole_cores is not None:
        patch = ConfigurationPatch({"cpu_options": {FULL_PCPUS_ONLY: None}})
        yield f"cpuManagerPolicyOptions.{FULL_PCPUS_ONLY}", whole_cores, patch, None
    if policy is not TopologyPolicy.NONE:
        other = Scope.CONTAINER if scope is Scope.POD else Scope.POD
        yield "topologyManagerScope", str(scope), ConfigurationPatch({"topology_scope": other}), str(other)
    yield from _gate(trial)
    for looser in LOOSER[LOOSER.index(policy) + 1 :]:
        patch = ConfigurationPatch({"topology_policy": looser})
        yield "topologyManagerPolicy", str(policy), patch, str(looser)
    if configuration.memory_policy is MemoryPolicy.STATIC:
        patch = ConfigurationPatch({"memory_policy": MemoryPolicy.NONE})
        yield "memoryManagerPolicy", str(MemoryPolicy.STATIC), patch, str(MemoryPolicy.NONE)


def _gate(trial: Trial) -> Iterator[Patch]:
    kubelet = trial.snapshot.kubelet
    if has_pod_level_resources(trial.pod) and kubelet.version >= Version.V1_36:
        on = not kubelet.gates.pod_level_resource_managers
        patch = ConfigurationPatch({"feature_gates": {GATE: on}})
        yield f"featureGates.{GATE}", str(not on).lower(), patch, str(on).lower()
