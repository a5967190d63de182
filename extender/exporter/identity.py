"""
Who is who: the kubelet's checkpoints know pods by uid, PodResources by name, the API server by both.

Decides which pods are active, that is, seen by the kubelet and not over; what others still hold is a leftover that the
kubelet frees at its next admission.

Source: kubelet pkg/kubelet/kubelet_pods.go (isPodInactive), pkg/kubelet/pod/mirror_client.go (mirror pods).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from extender.exporter.observation import (
    ApiPod,
    CpuCheckpoint,
    DeviceCheckpoint,
    ListedPod,
    MemoryCheckpoint,
    Observation,
)
from extender.exporter.podresources import by_name


@dataclass(frozen=True, slots=True)
class Identities:
    """Which pod is which."""

    active: Mapping[str, ApiPod]
    """Uid to pod; a pod that the API server has not shown has no name, one that no checkpoint has no real uid."""
    listed: Mapping[str, ListedPod]
    """Uid of an active pod to what PodResources says of it."""
    complete: bool = True
    """Whether the API server has told which pods there are."""
    _uids: Mapping[str, str] = field(default_factory=dict)

    def uid(self, kubelet_uid: str) -> str:
        """Returns the API server's uid of a pod for the kubelet's; they differ for static pods."""
        return self._uids.get(kubelet_uid, kubelet_uid)


def identify(observation: Observation) -> Identities:
    """Matches the names of all sources."""
    holders = frozenset(_holders(observation))
    names = by_name(observation.listed or ())
    if observation.pods is None:
        return _without_api(holders, names)
    alive = {uid: pod for uid, pod in observation.pods.items() if not pod.terminal}
    active = {uid: pod for uid, pod in alive.items() if _is_active(pod, observation, holders, names)}
    listed = {uid: names[_name(pod)] for uid, pod in active.items() if _name(pod) in names}
    # A pod that was deleted is over for the next admission even if the kubelet still lists it: it learns of deletions
    # before it learns of later pods.
    unclaimed = names.keys() - {_name(pod) for pod in (*alive.values(), *observation.departed.values())}
    strangers = _strangers(observation, holders, unclaimed)
    unnamed = {uid: _unnamed(uid, unclaimed) for uid in sorted(strangers)}
    if not strangers:
        # Only PodResources has heard of them, so a name must do for a uid.
        for name in sorted(unclaimed):
            if _holds(names[name]):
                uid = "/".join(name)
                unnamed[uid] = ApiPod(uid, uid, *name, {})
                listed[uid] = names[name]
    return Identities(
        active={**active, **unnamed},
        listed=listed,
        _uids={pod.kubelet_uid: uid for uid, pod in observation.pods.items() if pod.kubelet_uid != uid},
    )


def _is_active(
    pod: ApiPod, observation: Observation, holders: frozenset[str], names: Mapping[tuple[str, str], ListedPod]
) -> bool:
    """Says whether the kubelet has seen a pod that the API server does not call over, and runs it still."""
    holds = pod.kubelet_uid in holders
    if observation.listed is None:
        return holds or pod.acknowledged
    if _name(pod) not in names:
        return holds and observation.fresh and not _is_passed_over(pod, observation, names)
    namesakes = any(_name(other) == _name(pod) for other in observation.departed.values())
    return holds or pod.acknowledged or not namesakes


def _is_passed_over(pod: ApiPod, observation: Observation, names: Mapping[tuple[str, str], ListedPod]) -> bool:
    """
    Says whether a fresh kubelet has refused a pod that it ran before.

    It looks at its pods again in the order of their creation, and lists those that it goes on with. So what it does
    not list is still to come, unless it lists a younger one already.
    """
    assert observation.pods is not None
    return any(_name(other) in names and other.created > pod.created for other in observation.pods.values())


def _strangers(
    observation: Observation, holders: frozenset[str], unclaimed: Iterable[tuple[str, str]]
) -> frozenset[str]:
    """Holders that the API server has never shown and that may yet be active: news of them is late, or they are static."""
    assert observation.pods is not None
    known = {pod.kubelet_uid for pods in (observation.pods, observation.departed) for pod in pods.values()}
    unknown = holders - known
    return unknown if any(True for _ in unclaimed) else unknown & observation.recent


def _without_api(holders: frozenset[str], names: Mapping[tuple[str, str], ListedPod]) -> Identities:
    """What can be said without the API server: whatever holds something is active."""
    if holders:
        return Identities({uid: ApiPod(uid, uid, "", "", {}) for uid in sorted(holders)}, {}, complete=False)
    pods = {"/".join(name): pod for name, pod in sorted(names.items())}
    active = {uid: ApiPod(uid, uid, pod.namespace, pod.name, {}) for uid, pod in pods.items()}
    return Identities(active, pods, complete=not pods)


def _unnamed(uid: str, unclaimed: Iterable[tuple[str, str]]) -> ApiPod:
    """A pod known by uid only; it takes the one name that nobody has, where there is one."""
    names = list(unclaimed)
    namespace, name = names[0] if len(names) == 1 else ("", "")
    return ApiPod(uid, uid, namespace, name, {})


def _holders(observation: Observation) -> Iterator[str]:
    """The kubelet's uids of all pods that any checkpoint has."""
    if isinstance(observation.cpu, CpuCheckpoint):
        yield from observation.cpu.entries
        yield from observation.cpu.pod_entries
    if isinstance(observation.memory, MemoryCheckpoint):
        yield from observation.memory.entries
        yield from observation.memory.pod_entries
    if isinstance(observation.device, DeviceCheckpoint):
        yield from observation.device.entries


def _holds(pod: ListedPod) -> bool:
    containers = pod.containers.values()
    return bool(pod.cpus or pod.memory or any(each.cpus or each.memory or each.devices for each in containers))


def _name(pod: ApiPod) -> tuple[str, str]:
    return pod.namespace, pod.name
