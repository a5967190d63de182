"""Nodes of every kind for a burst: machines, policies, scopes, options and devices, each with its exporter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lab.control_plane import TOPOLOGIES, ControlPlane
from lab.devices import Device, DevicePlugin
from lab.kubelet import Kubelet, remove_all
from lab.machines import Machine, machine
from lab.process import Process, start_together, stop_together
from lab.product import Product
from lab.waiting import eventually

SECONDS = 240
HEARTBEAT_SECONDS, STALE_SECONDS = 5, 12
"""Of exporters and extenders: shorter than in life, so that an exporter that has stopped is noticed within a test."""
NIC = "example.com/nic"
GATES = {"PodLevelResources": True, "PodLevelResourceManagers": True}
STATIC = {
    "cpuManagerPolicy": "static",
    "memoryManagerPolicy": "Static",
    "systemReserved": {"memory": "512Mi"},
    "featureGates": GATES,
    "kubeAPIQPS": 100,
    "kubeAPIBurst": 100,
}


@dataclass(frozen=True)
class Setup:
    """A machine, the kubelet on it, and its devices."""

    machine: Machine
    configuration: Mapping[str, Any]
    devices: Sequence[Device] = field(default_factory=tuple)


def aligned(policy: str, scope: str, reserved: str, **more: Any) -> dict[str, Any]:
    """Static managers under a policy."""
    topology = {"topologyManagerPolicy": policy, "topologyManagerScope": scope, "reservedSystemCPUs": reserved}
    return STATIC | topology | more


SETUPS = {
    "single-pod": Setup(
        machine(memory_gib=24),
        aligned("single-numa-node", "pod", "0,16"),
        [Device(f"n{number}", [number // 2]) for number in range(4)],
    ),
    "restricted-container": Setup(
        machine(zones=4, cores_per_zone=4, memory_gib=12), aligned("restricted", "container", "0,16")
    ),
    "single-container": Setup(machine(memory_gib=24), aligned("single-numa-node", "container", "0,16")),
    "restricted-pod": Setup(
        machine(zones=3, ids=[0, 8, 10], cores_per_zone=4, memory_gib=12),
        aligned("restricted", "pod", "0,12", cpuManagerPolicyOptions={"strict-cpu-reservation": "true"}),
        [Device(f"n{number}", [zone]) for number, zone in enumerate((0, 8, 10))],
    ),
    "whole-cores": Setup(
        machine(cores_per_zone=6, memory_gib=16),
        aligned("single-numa-node", "container", "0,12", cpuManagerPolicyOptions={"full-pcpus-only": "true"}),
    ),
    "best-effort": Setup(machine(memory_gib=16), aligned("best-effort", "container", "0,16")),
    "closest": Setup(
        machine(
            zones=4,
            cores_per_zone=4,
            memory_gib=12,
            sockets=[0, 0, 1, 1],
            distances=[[10, 12, 20, 32], [12, 10, 32, 20], [20, 32, 10, 12], [32, 20, 12, 10]],
        ),
        aligned("restricted", "pod", "0,16", topologyManagerPolicyOptions={"prefer-closest-numa-nodes": "true"}),
    ),
    "none": Setup(machine(memory_gib=16), aligned("none", "container", "0,16")),
}


class Nodes:
    """Some nodes with their exporters; node n has the n-th setup, and so on again from the first."""

    def __init__(
        self,
        control_plane: ControlPlane,
        number: int,
        exporter: Callable[[Kubelet], Process],
        address: Callable[[int], str] = lambda _number: "",
    ) -> None:
        """
        Prepares nodes.

        Args:
            control_plane: theirs.
            number: how many.
            exporter: makes that of a node whose kubelet runs.
            address: of the n-th node, from 1 on; empty for one that it shares.
        """
        self._api, self._exporter = control_plane.api, exporter
        kinds = list(SETUPS)
        self.setups = {
            f"{kinds[n % len(kinds)]}-{n // len(kinds)}": SETUPS[kinds[n % len(kinds)]] for n in range(number)
        }
        self.kubelets = {
            name: Kubelet(control_plane, name, setup.machine, setup.configuration, address=address(n))
            for n, (name, setup) in enumerate(self.setups.items(), 1)
        }
        self.plugins = [
            DevicePlugin(control_plane, self.kubelets[name], NIC, setup.devices)
            for name, setup in self.setups.items()
            if setup.devices
        ]
        self.exporters: dict[str, Process] = {}

    def start(self) -> None:
        """Starts everything and waits until all nodes are reported."""
        start_together(self.kubelets.values())
        for plugin in self.plugins:
            plugin.start()
        self.exporters = {name: self._exporter(kubelet) for name, kubelet in self.kubelets.items()}
        start_together(self.exporters.values())
        eventually(
            "all nodes to be reported",
            SECONDS,
            lambda: {item["metadata"]["name"] for item in self._api.items(TOPOLOGIES)} >= self.kubelets.keys(),
        )

    def stop(self) -> None:
        """Ends everything, and removes the Nodes."""
        stop_together(self.exporters.values())
        for plugin in self.plugins:
            plugin.stop()
        remove_all(self.kubelets.values())


@contextmanager
def running(control_plane: ControlPlane, product: Product, number: int) -> Iterator[Nodes]:
    """Nodes that are there for a while."""
    heartbeat = {"publish": {"heartbeatSeconds": HEARTBEAT_SECONDS}}
    with started(Nodes(control_plane, number, lambda kubelet: product.exporter(kubelet, heartbeat))) as nodes:
        yield nodes


@contextmanager
def started(nodes: Nodes) -> Iterator[Nodes]:
    """Has nodes running for a while."""
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.stop()
