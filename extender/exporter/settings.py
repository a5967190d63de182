"""
The exporter's settings: one file, read once at start; flags of the command line go before it.

``config/exporter.yaml`` explains every key.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from extender.exporter.access import SERVICE_ACCOUNT
from extender.exporter.fingerprint import Method
from extender.exporter.gather import Places
from extender.settings_file import Log, SettingsError, bounded, load

NODE_NAME, NODE_IP, POD_IP = "NODE_NAME", "NODE_IP", "POD_IP"
"""Environment variables, filled from a pod's spec.nodeName, status.hostIP and status.podIP."""


class ConfigurationSource(StrEnum):
    """Where the kubelet's configuration is read."""

    KUBELET = "kubelet"
    """/configz of the kubelet, directly."""
    API_SERVER = "api-server"
    """/configz of the kubelet, by way of the API server."""
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Node:
    """The machine and where its kubelet keeps its things."""

    name: str = ""
    """Name of the Node; empty is the environment's NODE_NAME, else the host's name."""
    sysfs: str = "/sys"
    """What stands for /sys."""
    meminfo: str = "/proc/meminfo"
    """What stands for /proc/meminfo; read only on machines without NUMA directories."""
    state_dir: str = "/var/lib/kubelet"
    """The kubelet's root directory, with the checkpoints."""
    pod_resources: str = ""
    """The PodResources socket; empty is pod-resources/kubelet.sock below stateDir."""


@dataclass(frozen=True, slots=True)
class Kubelet:
    """How the kubelet's configuration is had."""

    configuration: ConfigurationSource = ConfigurationSource.KUBELET
    """Where it is read; where it is not told there, the file stands in."""
    url: str = ""
    """Of configuration kubelet: its address; empty is port 10250 of the environment's NODE_IP, else of this host."""
    token_file: str = str(SERVICE_ACCOUNT / "token")
    """Of configuration kubelet: bearer token, read anew each time; without such a file none is sent."""
    ca_file: str = ""
    """Of configuration kubelet: authorities that may have signed its certificate; empty is those of the system."""
    insecure: bool = False
    """Of configuration kubelet: whether any certificate will do."""
    file: str = ""
    """Of configuration file: its path; empty is config.yaml below stateDir."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The API server."""

    kubeconfig: str = ""
    """A kubeconfig file; empty is the pod's own service account."""


@dataclass(frozen=True, slots=True)
class Publish:
    """When the object is written, and what the standard part says of pods."""

    quiet_milliseconds: int = bounded(50, 0, 5_000)
    """A change is published once the kubelet's files have been quiet for this long."""
    longest_milliseconds: int = bounded(300, 0, 10_000)
    """A change is published after this long even if they have not."""
    resync_seconds: int = bounded(60, 1, 3_600)
    """Everything is read again after this long without a sign of change."""
    heartbeat_seconds: int = bounded(60, 1, 3_600)
    """The object is written after this long without a change, to show that the exporter is alive."""
    touch_node: bool = True
    """Whether an annotation of the Node is changed when something becomes available, so that refused pods are tried again."""
    fingerprint: Method = Method.WITH_EXCLUSIVE_RESOURCES
    """Which pods the fingerprint counts; the scheduler plugin that compares it must count the same."""


@dataclass(frozen=True, slots=True)
class Serve:
    """/metrics, /healthz and /readyz, in plain HTTP."""

    address: str = "127.0.0.1"
    """Address to listen on; empty is that of the environment's POD_IP, else loopback."""
    port: int = bounded(9448, 0, 65_535)
    """TCP port; 0 is none, nothing is served."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set."""

    node: Node = field(default_factory=Node)
    kubelet: Kubelet = field(default_factory=Kubelet)
    cluster: Cluster = field(default_factory=Cluster)
    publish: Publish = field(default_factory=Publish)
    serve: Serve = field(default_factory=Serve)
    log: Log = field(default_factory=Log)

    @property
    def places(self) -> Places:
        """Where the node's sources are."""
        state_dir = Path(self.node.state_dir)
        return Places(
            node=self.node.name or os.environ.get(NODE_NAME) or socket.gethostname().lower(),
            sysfs=Path(self.node.sysfs),
            meminfo=Path(self.node.meminfo),
            state_dir=state_dir,
            socket=Path(self.node.pod_resources or state_dir / "pod-resources" / "kubelet.sock"),
        )

    @property
    def configz(self) -> str:
        """Where the kubelet tells its configuration."""
        host = os.environ.get(NODE_IP) or "127.0.0.1"
        return self.kubelet.url or f"https://{f'[{host}]' if ':' in host else host}:10250/configz"

    @property
    def serve_address(self) -> str:
        """Where /metrics, /healthz and /readyz are served."""
        return self.serve.address or os.environ.get(POD_IP) or "127.0.0.1"

    @property
    def configuration_file(self) -> Path:
        """The kubelet's configuration file."""
        return Path(self.kubelet.file or Path(self.node.state_dir) / "config.yaml")


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says; None where it says nothing."""

    node_name: str | None = None
    sysfs: str | None = None
    state_dir: str | None = None
    pod_resources: str | None = None
    kubeconfig: str | None = None


def settings(path: str | None, flags: Flags) -> Settings:
    """
    Returns the settings of a file, if there is one, with the flags before it.

    Raises:
        SettingsError: if the file cannot be read or a setting is wrong.
    """
    loaded = load(Settings, path) if path else Settings()
    if loaded.publish.longest_milliseconds < loaded.publish.quiet_milliseconds:
        raise SettingsError(
            f"publish.longestMilliseconds must be at least publish.quietMilliseconds "
            f"({loaded.publish.quiet_milliseconds}), not {loaded.publish.longest_milliseconds}"
        )
    node = {
        "name": flags.node_name,
        "sysfs": flags.sysfs,
        "state_dir": flags.state_dir,
        "pod_resources": flags.pod_resources,
    }
    given = {name: value for name, value in node.items() if value is not None}
    cluster = loaded.cluster if flags.kubeconfig is None else Cluster(flags.kubeconfig)
    return replace(loaded, node=replace(loaded.node, **given), cluster=cluster)
