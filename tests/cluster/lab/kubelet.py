"""A real kubelet on an imagined machine, with the container runtime that belongs to it."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import orjson
import yaml
from kubernetes.utils.quantity import parse_quantity

from lab.api import NODES, Api
from lab.control_plane import ControlPlane
from lab.controllers import is_ready
from lab.machines import Machine
from lab.sysfs import write_sysfs
from lab.waiting import answers, listens

Configuration = Mapping[str, Any]

NEWEST, OLDER = "kubelet-on-machine", "kubelet-on-machine-1.36"
# Resizing a pod in place reads the pod's cgroups, which the lab has not: 1.36 crashes on that after every start of a
# pod with pod-level resources.
OLDER_GATES = {"InPlacePodLevelResourcesVerticalScaling": False}
CHECKPOINTS = ("cpu_manager_state", "memory_manager_state")
READY_SECONDS = 60
PORT = 10250


class Kubelet:
    """
    One node. `configuration` holds the KubeletConfiguration fields that matter to the test, without ports and paths;
    it may be changed between two starts. The runtime is a process of its own, so containers outlive a restart of the
    kubelet.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        name: str,
        machine: Machine,
        configuration: Configuration,
        *,
        labels: Mapping[str, str] | None = None,
        binary: str = NEWEST,
        address: str = "",
        verbosity: int = 2,
    ) -> None:
        """With an `address` of its own (of 127.0.0.0/8) it listens on port 10250 there, as kubelets do."""
        workspace = control_plane.workspace
        self.name, self.machine, self.configuration = name, machine, configuration
        self.folder = workspace.folder / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.state_dir = self.folder / "root"
        self.sysfs = self.folder / "sys"
        self.address = address or "127.0.0.1"
        self.port = PORT if address else workspace.ports.take()
        self.kubeconfig = control_plane.kubeconfig(f"system:node:{name}", "system:nodes")
        self.labels = dict(labels or {})
        self._gates = OLDER_GATES if binary == OLDER else {}
        self._api: Api = control_plane.api
        self._pool = control_plane.pool
        self._authority_file = control_plane.authority.certificate_file
        self._serving = control_plane.authority.serving(name, self.address)
        self.runtime = workspace.process(
            f"{name}.runtime",
            [
                workspace.binary("container-runtime"),
                f"--endpoint={self._endpoint}",
                f"--kubeconfig={self.kubeconfig}",
            ],
            ready=lambda: listens(self.folder / "cri.sock"),
        )
        self.process = workspace.process(
            f"{name}.kubelet",
            [
                workspace.binary(binary),
                f"--machine={self.folder / 'machine.json'}",
                f"--config={self.folder / 'kubelet.yaml'}",
                f"--kubeconfig={self.kubeconfig}",
                f"--root-dir={self.state_dir}",
                f"--sysfs={self.sysfs}",
                f"--node-name={name}",
                f"--v={verbosity}",
            ],
            ready=self._is_ready,
            ready_seconds=READY_SECONDS,
        )

    @property
    def podresources_socket(self) -> Path:
        return self.state_dir / "pod-resources" / "kubelet.sock"

    @property
    def device_plugin_dir(self) -> Path:
        return self.state_dir / "device-plugins"

    @property
    def url(self) -> str:
        """Where the kubelet serves /configz and /healthz, with a certificate of the control plane's authority."""
        return f"https://{self.address}:{self.port}"

    def launch(self) -> Self:
        """Starts runtime and kubelet without waiting for the Node."""
        self.write_files()
        if not self.runtime.running:
            self.runtime.start()
        self.process.launch()
        return self

    def wait_ready(self) -> Self:
        """Waits until the Node is Ready and may be scheduled to, and PodResources is served."""
        self.process.wait_ready()
        return self

    def start(self) -> Self:
        return self.launch().wait_ready()

    def restart(self, *, forget_state: bool = False) -> Self:
        """
        Restarts the kubelet under its running containers.

        With `forget_state` the checkpoints of the resource managers are removed in between, as an administrator must
        who changes their policies.
        """
        self.process.stop()
        if forget_state:
            for name in CHECKPOINTS:
                (self.state_dir / name).unlink(missing_ok=True)
        return self.start()

    def stop_kubelet(self) -> None:
        """Stops the kubelet alone; the runtime goes on."""
        self.process.stop()

    def kill(self) -> None:
        """Ends the kubelet as `kill -9` does; the runtime goes on."""
        self.process.kill()

    def stop(self) -> None:
        """Stops kubelet and runtime."""
        self.process.stop()
        self.runtime.stop()

    def remove(self) -> None:
        """
        Stops both, and deletes the Node; with it go its pods and what it owns. Its files stay for whoever looks for a
        fault.
        """
        self.stop()
        self._api.delete(f"{NODES}/{self.name}")

    def checkpoint(self, name: str) -> dict[str, Any]:
        """
        Reads `cpu_manager_state` or `memory_manager_state`; of the forms with a `data` string, what is in that
        string.
        """
        document: dict[str, Any] = orjson.loads((self.state_dir / name).read_bytes())
        data: dict[str, Any] = orjson.loads(document["data"]) if document.get("data") else document
        return data

    def inside(self, command: Sequence[str]) -> list[str]:
        """
        The command line that runs a command where the machine's sysfs is at /sys/devices/system and the kubelet's
        folder at /var/lib/kubelet, for as long as this kubelet runs.
        """
        return ["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", "--", *command]

    def write_files(self) -> None:
        """Writes the machine, as JSON and as sysfs, and the kubelet's configuration."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        (self.folder / "machine.json").write_bytes(orjson.dumps(self.machine))
        (self.folder / "kubelet.yaml").write_text(yaml.safe_dump(self._full_configuration()))
        shutil.rmtree(self.sysfs, ignore_errors=True)
        write_sysfs(self.machine, self.sysfs)

    @property
    def _endpoint(self) -> str:
        return f"unix://{self.folder / 'cri.sock'}"

    def _full_configuration(self) -> dict[str, Any]:
        here = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.address,
            "port": self.port,
            "readOnlyPort": 0,
            "healthzPort": 0,
            "containerRuntimeEndpoint": self._endpoint,
            "imageServiceEndpoint": self._endpoint,
            "podLogsDir": str(self.state_dir / "pod-logs"),
            "tlsCertFile": str(self._serving.certificate),
            "tlsPrivateKeyFile": str(self._serving.key),
            "authentication": {"x509": {"clientCAFile": str(self._authority_file)}},
            # Tests wait for what the Node shows, such as devices; unchanged, it is written as rarely as usual.
            "nodeStatusUpdateFrequency": "2s",
            "nodeStatusReportFrequency": "5m",
            # What would need the host's own cgroups, disks or swap is off.
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "failSwapOn": False,
            "localStorageCapacityIsolation": False,
            "evictionHard": {"memory.available": "100Mi"},
        }
        merged = here | dict(self.configuration)
        merged["featureGates"] = self._gates | dict(self.configuration.get("featureGates", {}))
        if merged.get("memoryManagerPolicy") == "Static" and "reservedMemory" not in merged:
            merged["reservedMemory"] = reserved_memory(self.machine, merged)
        return merged

    def _is_ready(self) -> bool:
        if not listens(self.podresources_socket) or not answers(f"{self.url}/healthz", self._pool):
            return False
        node = self._api.find(f"{NODES}/{self.name}")
        if node is None or not is_ready(node) or node["spec"].get("taints"):
            return False
        missing = {key: value for key, value in self.labels.items() if node["metadata"]["labels"].get(key) != value}
        if missing:
            self._api.merge(f"{NODES}/{self.name}", {"metadata": {"labels": missing}})
        return True


def remove_all(kubelets: Iterable[Kubelet]) -> None:
    """Removes kubelets, all of them stopping at the same time."""
    going = list(kubelets)
    for kubelet in going:
        kubelet.process.ask()
    for kubelet in going:
        kubelet.remove()


def reserved_memory(machine: Machine, configuration: Configuration) -> list[dict[str, Any]]:
    """
    The `reservedMemory` that the memory manager demands, all in the first zone with memory: systemReserved +
    kubeReserved + evictionHard.
    """
    amounts = [
        configuration.get("systemReserved", {}).get("memory", "0"),
        configuration.get("kubeReserved", {}).get("memory", "0"),
        configuration.get("evictionHard", {}).get("memory.available", "0"),
    ]
    zone = min(zone["node_id"] for zone in machine["topology"] if zone["memory"])
    return [{"numaNode": zone, "limits": {"memory": str(int(sum(map(parse_quantity, amounts))))}}]
