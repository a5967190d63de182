"""A kubelet as its node's exporter sees it: a gRPC server on a unix socket, and files in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from extender.exporter import podresources_pb2 as pb

Json = dict[str, Any]


class FakeKubelet:
    """What it answers can be changed while it runs, and it can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "pod-resources" / "kubelet.sock"
        self.pods: list[pb.PodResources] = []
        self.allocatable = pb.AllocatableResourcesResponse()
        self.refusals: list[grpc.StatusCode] = []
        """Codes with which the next calls end instead of being answered."""
        self.unknown_methods: set[str] = set()
        self.calls = 0
        self._server: Any = None
        for name in ("pod-resources", "device-plugins"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Listens on the socket."""
        handlers = grpc.method_handlers_generic_handler(
            "v1.PodResourcesLister",
            {
                "List": self._handler("List", pb.ListPodResourcesRequest, self._list),
                "GetAllocatableResources": self._handler(
                    "GetAllocatableResources", pb.AllocatableResourcesRequest, lambda: self.allocatable
                ),
            },
        )
        self._server = grpc.server(ThreadPoolExecutor(2), handlers=[handlers])
        self._server.add_insecure_port(f"unix://{self.socket}")
        self._server.start()

    def stop(self) -> None:
        """Stops listening and takes the socket away, as a kubelet's restart does."""
        self._server.stop(None).wait()
        self.socket.unlink(missing_ok=True)

    def write(self, name: str, document: Json) -> None:
        """Replaces a checkpoint as the kubelet does: a new file that takes the old one's name."""
        path = self.folder / name
        new = path.with_name(f".{path.name}.new")
        new.write_text(json.dumps(document))
        new.replace(path)

    def _list(self) -> pb.ListPodResourcesResponse:
        return pb.ListPodResourcesResponse(pod_resources=self.pods)

    def _handler(self, method: str, request: Any, answer: Any) -> Any:
        def handle(_: object, context: Any) -> Any:
            self.calls += 1
            if method in self.unknown_methods:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"unknown method {method}")
            if self.refusals:
                context.abort(self.refusals.pop(0), "refused")
            return answer()

        return grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )


@contextmanager
def kubelet(folder: Path) -> Iterator[FakeKubelet]:
    """A kubelet that runs."""
    fake = FakeKubelet(folder)
    fake.start()
    yield fake
    fake.stop()


def topology(*zones: int) -> pb.TopologyInfo:
    """Zones as messages."""
    return pb.TopologyInfo(nodes=[pb.NUMANode(ID=zone) for zone in zones])


def block(size: int, *zones: int, kind: str = "memory") -> pb.ContainerMemory:
    """A block of memory."""
    return pb.ContainerMemory(memory_type=kind, size=size, topology=topology(*zones))


def devices(resource: str, id_: str, *zones: int) -> pb.ContainerDevices:
    """One device, near one zone or, without one, near none."""
    return pb.ContainerDevices(resource_name=resource, device_ids=[id_], topology=topology(*zones) if zones else None)


def cpu_v4(default: str, entries: Mapping[str, Mapping[str, str]], pods: Mapping[str, str] | None = None) -> Json:
    """cpu_manager_state as 1.37 writes it: the flat fields imitate an older form and leave the pods out."""
    data = {
        "policyName": "static",
        "defaultCpuSet": default,
        "entries": entries,
        "podEntries": {uid: {"cpuSet": cpus} for uid, cpus in (pods or {}).items()},
    }
    flat = {"policyName": "static", "defaultCpuSet": default, "entries": entries, "checksum": 0}
    return {**flat, "data": json.dumps(data), "dataChecksum": 1}


def memory_v3(zones: Mapping[str, Json], entries: Mapping[str, Mapping[str, list[Json]]]) -> Json:
    """memory_manager_state as 1.37 writes it."""
    data = {"policyName": "Static", "machineState": zones, "entries": entries}
    return {**data, "checksum": 0, "data": json.dumps(data), "dataChecksum": 1}


def memory_zone(total: int, allocatable: int, free: int, assignments: int = 0, cells: tuple[int, ...] = (0,)) -> Json:
    """One zone of the machine state, without hugepages."""
    table = {
        "total": total,
        "systemReserved": total - allocatable,
        "allocatable": allocatable,
        "reserved": allocatable - free,
        "free": free,
    }
    return {"numberOfAssignments": assignments, "memoryMap": {"memory": table}, "cells": list(cells)}


def memory_block(size: int, *zones: int) -> Json:
    """A block as the checkpoint has it."""
    return {"numaAffinity": list(zones), "type": "memory", "size": size}
