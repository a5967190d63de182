"""A device plugin with imagined devices, registered at a kubelet of the lab."""

import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from lab.api import NODES, Api
from lab.control_plane import ControlPlane
from lab.kubelet import Kubelet
from lab.waiting import eventually

SECONDS = 30


@dataclass(frozen=True)
class Device:
    """A device, the zones near it (none: it tells no topology), and whether it works."""

    id: str
    zones: Sequence[int] = ()
    healthy: bool = True

    def line(self) -> str:
        """The device as a line of the plugin's file."""
        zones = ",".join(str(zone) for zone in self.zones) or "-"
        return f"{self.id} {zones}{'' if self.healthy else ' unhealthy'}"


class DevicePlugin:
    """Offers `devices` as `resource`; registers again by itself when the kubelet restarts."""

    def __init__(self, control_plane: ControlPlane, kubelet: Kubelet, resource: str, devices: Iterable[Device]) -> None:
        workspace = control_plane.workspace
        self.resource, self.devices = resource, list(devices)
        self._api: Api = control_plane.api
        self._kubelet = kubelet
        name = f"{kubelet.name}.{resource.replace('/', '-')}"
        self._file = workspace.folder / f"{name}.devices"
        self.process = workspace.process(
            name,
            [
                workspace.binary("device-plugin"),
                f"--resource={resource}",
                f"--devices={self._file}",
                f"--plugin-dir={kubelet.device_plugin_dir}",
            ],
            ready=self._seen,
        )

    def start(self) -> Self:
        """Starts the plugin and waits until the Node shows its healthy devices as allocatable."""
        self._write()
        self.process.start()
        return self

    def stop(self) -> None:
        self.process.stop()

    def change(self, devices: Iterable[Device]) -> None:
        """Offers other devices, or the same with other health, and waits until the Node shows it."""
        self.devices = list(devices)
        self._write()
        self.process.send(signal.SIGHUP)
        eventually(f"{self._kubelet.name} to show the changed {self.resource}", SECONDS, self._seen)

    def _write(self) -> None:
        self._file.write_text("".join(f"{device.line()}\n" for device in self.devices))

    def _seen(self) -> bool:
        node = self._api.get(f"{NODES}/{self._kubelet.name}")
        healthy = sum(device.healthy for device in self.devices)
        shown: str = node["status"]["allocatable"].get(self.resource, "0")
        return shown == str(healthy) and self.resource in node["status"]["allocatable"]
