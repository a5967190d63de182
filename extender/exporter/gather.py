"""
Reads all sources into one observation, and remembers what a source said while it is away.

Files are read before and after PodResources is asked; if the kubelet wrote one in between, everything is read again,
so that an observation is of one moment. Hardware and configuration are what the kubelet started with: they are read
again when it has started anew.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from extender.exporter import checkpoints
from extender.exporter.configz import ConfigurationError, Read
from extender.exporter.feeds import NodeFeed, PodFeed
from extender.exporter.metrics import Metrics
from extender.exporter.observation import (
    Allocatable,
    CheckpointFault,
    CpuCheckpoint,
    DeviceCheckpoint,
    ListedPod,
    MemoryCheckpoint,
    Observation,
    Source,
)
from extender.exporter.podresources import PodResources, PodResourcesError
from extender.exporter.sysfs import Hardware, read_hardware
from extender.model.configuration import KubeletConfiguration
from extender.model.state import Device, Devices

log = logging.getLogger(__name__)

ATTEMPTS = 3
LATE_NEWS_SECONDS = 5.0
"""How long a pod may be known to the kubelet's checkpoints before the API server has told us of it."""
FRESH_SECONDS = 10.0
"""How long a kubelet may take from making its socket to looking at the last of its pods."""
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 60.0
"""How soon the configuration is asked for again when it could not be had."""
CONFIGURATION_SECONDS = 600.0
"""How soon otherwise: it changes only when the kubelet starts anew, which its socket tells."""

Remembered = dict[str, dict[str, Device]]


@dataclass(frozen=True, slots=True)
class Places:
    """Where a node's sources are."""

    node: str
    sysfs: Path = Path("/sys")
    meminfo: Path = Path("/proc/meminfo")
    state_dir: Path = Path("/var/lib/kubelet")
    socket: Path = Path("/var/lib/kubelet/pod-resources/kubelet.sock")

    @property
    def cpu_file(self) -> Path:
        """The CPU manager's checkpoint."""
        return self.state_dir / checkpoints.CPU_FILE

    @property
    def memory_file(self) -> Path:
        """The memory manager's checkpoint."""
        return self.state_dir / checkpoints.MEMORY_FILE

    @property
    def device_file(self) -> Path:
        """The device manager's checkpoint."""
        return self.state_dir / checkpoints.DEVICE_FOLDER / checkpoints.DEVICE_FILE


@dataclass(frozen=True, slots=True)
class Files:
    """The checkpoints, read together."""

    cpu: CpuCheckpoint | CheckpointFault
    memory: MemoryCheckpoint | CheckpointFault
    device: DeviceCheckpoint | CheckpointFault

    def holders(self) -> set[str]:
        """Returns the kubelet's uids of all pods in them."""
        uids: set[str] = set()
        for file in (self.cpu, self.memory):
            if not isinstance(file, CheckpointFault):
                uids.update(file.entries, file.pod_entries)
        if isinstance(self.device, DeviceCheckpoint):
            uids.update(self.device.entries)
        return uids


class Sources:
    """All sources of one node."""

    def __init__(
        self,
        places: Places,
        configurations: Sequence[tuple[Source, Read]],
        metrics: Metrics,
        node_feed: NodeFeed | None = None,
        pod_feed: PodFeed | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places, self._metrics, self._clock = places, metrics, clock
        self._configurations = configurations
        self._node_feed, self._pod_feed = node_feed, pod_feed
        self._podresources: PodResources | None = None
        self._hardware: Hardware | None = None
        self._configuration: tuple[KubeletConfiguration | None, Source] = (None, Source.NONE)
        self._configuration_due = -math.inf
        self._retry = FIRST_RETRY_SECONDS
        self._listed: tuple[ListedPod, ...] | None = None
        self._allocatable: Allocatable | None = None
        self._first_seen: dict[str, float] | None = None
        """When each holder appeared in the checkpoints; None before they are read for the first time."""
        self._fresh_until = -math.inf
        self._remembered: Remembered = {}
        self._told: dict[str, str] = {}

    def kubelet_started(self) -> None:
        """Takes note that the kubelet has started anew: what it found then, and how it is configured, may be different."""
        self._hardware = None
        self._configuration_due = -math.inf
        self.close()

    def remember(self, devices: Devices) -> None:
        """Takes in devices that an earlier exporter had seen."""
        for resource, known in devices.items():
            self._remembered.setdefault(resource, {}).update({device.id: device for device in known})

    @property
    def without_node(self) -> bool:
        """Whether the API server says that there is no Node of this name: not yet, or not any more."""
        return self._node_feed is not None and self._node_feed.synced.is_set() and self._node_feed.node is None

    def observe(self) -> Observation:
        """Reads everything; a source that is away says what it said last."""
        self._metrics.scans.inc()
        files = self._consistent()
        node = self._node_feed.node if self._node_feed else None
        configuration, source = self._configured()
        self._remember_healthy(node.capacity if node else {})
        pods_known = self._pod_feed is not None and self._pod_feed.synced.is_set()
        return Observation(
            node=self._places.node,
            hardware=self._read_hardware(),
            configuration=configuration,
            configuration_source=source,
            api_node=node,
            pods=self._pod_feed.pods if self._pod_feed and pods_known else None,
            departed=self._pod_feed.departed if self._pod_feed else {},
            recent=self._recent(files),
            listed=self._listed,
            fresh=self._clock() < self._fresh_until,
            allocatable=self._allocatable,
            cpu=files.cpu,
            memory=files.memory,
            device=files.device,
            remembered={resource: dict(devices) for resource, devices in self._remembered.items()},
        )

    def close(self) -> None:
        """Closes the connection to the kubelet."""
        if self._podresources is not None:
            self._podresources.close()
            self._podresources = None

    def _consistent(self) -> Files:
        files = self._read_files()
        for _ in range(ATTEMPTS):
            self._ask_kubelet()
            after = self._read_files()
            if after == files:
                break
            files = after
        return files

    def _read_files(self) -> Files:
        places = self._places
        cpu, *whys = checkpoints.read(places.cpu_file, checkpoints.cpu_checkpoint)
        memory, why_memory = checkpoints.read(places.memory_file, checkpoints.memory_checkpoint)
        device, why_device = checkpoints.read(places.device_file, checkpoints.device_checkpoint)
        whys += [why_memory, why_device]
        files = Files(cpu, memory, device)
        self._metrics.show_checkpoints(
            {
                path.name: read if isinstance(read, CheckpointFault) else None
                for path, read in ((places.cpu_file, cpu), (places.memory_file, memory), (places.device_file, device))
            }
        )
        for path, sentence in zip((places.cpu_file, places.memory_file, places.device_file), whys, strict=True):
            self._tell(path.name, sentence)
        return files

    def _ask_kubelet(self) -> None:
        try:
            age = time.time() - self._places.socket.stat().st_mtime
        except OSError:
            self._tell("kubelet", f"{self._places.socket} is not there: the kubelet is away, or this is not its socket")
            self.close()
            return
        self._fresh_until = self._clock() + FRESH_SECONDS - age
        try:
            if self._podresources is None:
                self._podresources = PodResources(self._places.socket)
            self._listed = self._podresources.list()
            self._allocatable = self._podresources.allocatable()
        except PodResourcesError as error:
            self._metrics.unanswered.labels(Source.POD_RESOURCES).inc()
            self._tell("kubelet", f"the kubelet does not answer: {error}")
        else:
            self._tell("kubelet")

    def _read_hardware(self) -> Hardware:
        if self._hardware is None:
            self._hardware = read_hardware(self._places.sysfs, self._places.meminfo)
            self._tell("hardware", "; ".join(self._hardware.warnings))
        return self._hardware

    def _configured(self) -> tuple[KubeletConfiguration | None, Source]:
        """The configuration of the first place that tells it; the last one known stands while none does."""
        if self._clock() < self._configuration_due:
            return self._configuration
        failed = True
        for source, read in self._configurations:
            try:
                self._configuration = (read(), source)
            except ConfigurationError as error:
                self._metrics.unanswered.labels(source).inc()
                self._tell(source, f"the kubelet's configuration cannot be had: {error}")
            else:
                self._tell(source)
                failed = source != self._configurations[0][0]
                break
        self._configuration_due = self._clock() + (self._retry if failed else CONFIGURATION_SECONDS)
        self._retry = min(2 * self._retry, LONGEST_RETRY_SECONDS) if failed else FIRST_RETRY_SECONDS
        return self._configuration

    def due_seconds(self) -> float:
        """Returns in how many seconds ``observe`` would say something else without any sign of change."""
        now = self._clock()
        ends = [seen + LATE_NEWS_SECONDS for seen in (self._first_seen or {}).values()]
        return min([self._configuration_due, *(end for end in [*ends, self._fresh_until] if end > now)]) - now

    def _recent(self, files: Files) -> frozenset[str]:
        """Holders that appeared a moment ago; those of before our time cannot be so new that news of them is late."""
        now = self._clock()
        before = -math.inf if self._first_seen is None else now
        known = self._first_seen or {}
        self._first_seen = {uid: known.get(uid, before) for uid in files.holders()}
        return frozenset(uid for uid, seen in self._first_seen.items() if now < seen + LATE_NEWS_SECONDS)

    def _remember_healthy(self, capacity: Mapping[str, int]) -> None:
        """Remembers healthy devices; once the Node counts no more than those, the others are gone."""
        for resource, devices in (self._allocatable.devices if self._allocatable else {}).items():
            healthy = {device.id: device for device in devices}
            known = self._remembered.get(resource, {})
            self._remembered[resource] = healthy if capacity.get(resource) == len(healthy) else {**known, **healthy}

    def _tell(self, subject: str, sentence: str = "") -> None:
        """Logs what is wrong with a subject when it changes, not with every reading."""
        if sentence and sentence != self._told.get(subject):
            log.warning(sentence)
        self._told[subject] = sentence
