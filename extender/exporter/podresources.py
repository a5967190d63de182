"""
The kubelet's PodResources API v1 over its unix socket: which CPUs, memory and devices running containers have.

Turns messages into nouns and nothing more. Sets and blocks are normalised, because the kubelet lists them in the order
of Go maps. Pod-level fields stand beside those of the containers, never added to them.

Source: k8s.io/kubelet pkg/apis/podresources/v1/api.proto, kubelet apis/podresources/server_v1.go.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import grpc

from extender import cpuset
from extender.exporter import podresources_pb2 as pb
from extender.exporter.observation import Allocatable, ListedContainer, ListedPod
from extender.model.state import Block, Device, Devices

CALL_SECONDS = 5.0
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.1
"""The kubelet answers 100 calls a second, 10 at once; a call too many is asked again after this, then twice this."""
LARGEST_MESSAGE = 16 << 20

_OPTIONS = [
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    # A restarted kubelet is to be found again at once, not after gRPC's own two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]

Answer = TypeVar("Answer")


class PodResourcesError(Exception):
    """The kubelet does not answer; the message is one sentence."""


class PodResources:
    """One kubelet's socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._channel = grpc.insecure_channel(f"unix://{socket.absolute()}", options=_OPTIONS)
        self._list = self._call("List", pb.ListPodResourcesResponse)
        self._allocatable = self._call("GetAllocatableResources", pb.AllocatableResourcesResponse)

    def list(self) -> tuple[ListedPod, ...]:
        """
        Returns the pods that the kubelet runs or is about to admit, by namespace and name.

        Raises:
            PodResourcesError: if the kubelet does not answer.
        """
        response = self._ask(self._list, pb.ListPodResourcesRequest())
        return tuple(sorted(map(_pod, response.pod_resources), key=lambda pod: (pod.namespace, pod.name)))

    def allocatable(self) -> Allocatable | None:
        """
        Returns what can be allocated exclusively; None where the kubelet is too old to tell.

        Raises:
            PodResourcesError: if the kubelet does not answer.
        """
        try:
            response = self._ask(self._allocatable, pb.AllocatableResourcesRequest())
        except _UnimplementedError:
            return None
        memory: dict[int, dict[str, int]] = {}
        for block in response.memory:
            for zone in _zones(block.topology):
                memory.setdefault(zone, {})[block.memory_type] = block.size
        return Allocatable(cpuset.of(response.cpu_ids), dict(sorted(memory.items())), _devices(response.devices))

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def _call(self, method: str, answer: type[Any]) -> Any:
        return self._channel.unary_unary(
            f"/v1.PodResourcesLister/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )

    def _ask(self, call: Any, request: object) -> Any:
        pauses = [FIRST_PAUSE_SECONDS * 2**attempt for attempt in range(ATTEMPTS - 1)]
        while True:
            try:
                return call(request, timeout=CALL_SECONDS)
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    raise _UnimplementedError(self._sentence(error)) from error
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED or not pauses:
                    raise PodResourcesError(self._sentence(error)) from error
            time.sleep(pauses.pop(0))

    def _sentence(self, error: Any) -> str:
        return f"{self._socket}: {error.code().name}: {error.details()}"


class _UnimplementedError(PodResourcesError):
    """The kubelet does not know the method."""


def _pod(pod: pb.PodResources) -> ListedPod:
    return ListedPod(
        namespace=pod.namespace,
        name=pod.name,
        containers={container.name: _container(container) for container in pod.containers},
        cpus=cpuset.of(pod.cpu_ids),
        memory=_blocks(pod.memory),
    )


def _container(container: pb.ContainerResources) -> ListedContainer:
    held: dict[str, set[str]] = {}
    near = 0
    for entry in container.devices:
        held.setdefault(entry.resource_name, set()).update(entry.device_ids)
        near |= cpuset.of(_zones(entry.topology))
    return ListedContainer(
        cpus=cpuset.of(container.cpu_ids),
        memory=_blocks(container.memory),
        devices={resource: frozenset(ids) for resource, ids in sorted(held.items())},
        near=near,
    )


def _blocks(blocks: Iterable[pb.ContainerMemory]) -> tuple[Block, ...]:
    found = (Block(cpuset.of(_zones(block.topology)), block.memory_type, block.size) for block in blocks)
    return tuple(sorted(found, key=lambda block: (block.type, block.zones, block.size)))


def _devices(entries: Iterable[pb.ContainerDevices]) -> Devices:
    """One entry per device and zone becomes one device near all its zones; resources and ids ascending."""
    zones: dict[str, dict[str, int]] = {}
    located: set[tuple[str, str]] = set()
    for entry in entries:
        for id_ in entry.device_ids:
            near = zones.setdefault(entry.resource_name, {})
            near[id_] = near.get(id_, 0) | cpuset.of(_zones(entry.topology))
            if entry.topology.nodes:
                located.add((entry.resource_name, id_))
    return {
        resource: tuple(Device(id_, near, (resource, id_) in located) for id_, near in sorted(by_id.items()))
        for resource, by_id in sorted(zones.items())
    }


def _zones(topology: pb.TopologyInfo) -> list[int]:
    """Zone ids; the kubelet has -1 for no affinity, and a plugin may name ids that no bit mask holds."""
    return [node.ID for node in topology.nodes if 0 <= node.ID <= cpuset.LARGEST_MEMBER]


def by_name(pods: Iterable[ListedPod]) -> Mapping[tuple[str, str], ListedPod]:
    """Returns pods by namespace and name, which are the only key the API has."""
    return {(pod.namespace, pod.name): pod for pod in pods}
