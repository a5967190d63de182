"""
The fingerprint of a set of pods, by which consumers that know pods by name see which of them the quantities count.

Source: k8stopologyawareschedwg/podfingerprint (version v001), and which pods count as in the resource topology exporter
(pkg/podres/filter/numalocality), with pod-level allocations besides.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import xxhash

from extender.exporter.observation import ListedContainer, ListedPod

_PREFIX = "pfp0v001"


class Method(StrEnum):
    """Which pods count: nodeTopologyPodsFingerprintMethod."""

    ALL = "all"
    WITH_EXCLUSIVE_RESOURCES = "with-exclusive-resources"


def fingerprint(pods: Iterable[tuple[str, str]]) -> str:
    """Returns the fingerprint of pods by namespace and name; their order does not matter."""
    hashes = sorted(_hash(namespace, name) for namespace, name in pods)
    return _PREFIX + xxhash.xxh64_hexdigest(b"".join(each.to_bytes(8, "little") for each in hashes))


def of_listed(pods: Iterable[ListedPod], method: Method) -> str:
    """Returns the fingerprint of the pods that count."""
    return fingerprint((pod.namespace, pod.name) for pod in pods if method is Method.ALL or _is_exclusive(pod))


def _hash(namespace: str, name: str) -> int:
    return xxhash.xxh64_intdigest(name.encode(), seed=xxhash.xxh64_intdigest(namespace.encode()))


def _is_exclusive(pod: ListedPod) -> bool:
    return bool(pod.cpus or _located(pod) or any(map(_container_is_exclusive, pod.containers.values())))


def _located(holder: ListedPod | ListedContainer) -> bool:
    return any(block.zones for block in holder.memory)


def _container_is_exclusive(container: ListedContainer) -> bool:
    return bool(container.cpus or container.near or _located(container))
