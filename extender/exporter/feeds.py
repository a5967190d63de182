"""
What the API server says of the node and of its pods, always up to date: a list and then a watch, each in a thread.

A feed keeps only the few facts that the exporter needs and never loses them: while the API server is away, the last
ones stand. Whoever uses a feed reads immutable values and is told that there are new ones.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from extender.exporter.api import Api, ApiError, Object
from extender.exporter.observation import ApiNode, ApiPod
from extender.model.pod import Kind
from extender.quantity import QuantityError, parse

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 15.0
SHORTEST_WATCH_SECONDS = 1.0
MOST_DEPARTED = 500
"""Pods that are remembered after they are gone; far more than a kubelet has at a time."""

MIRROR, CONFIG_HASH = "kubernetes.io/config.mirror", "kubernetes.io/config.hash"
_NATIVE = frozenset({"cpu", "memory", "ephemeral-storage", "pods", "storage"})


class Feed(ABC):
    """One collection, listed and watched for as long as the process lives."""

    path: str
    params: Mapping[str, str]

    def __init__(self, api: Api, changed: Callable[[], None], failed: Callable[[str], None]) -> None:
        self.synced = threading.Event()
        """Set once the first list has been taken in."""
        self._api, self._changed, self._failed = api, changed, failed
        self._version = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    @abstractmethod
    def replace(self, objects: list[Object]) -> None:
        """Takes these objects as all that exist."""

    @abstractmethod
    def put(self, item: Object) -> None:
        """Takes an object that is new or changed."""

    @abstractmethod
    def remove(self, item: Object) -> None:
        """Takes note that an object is gone."""

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end; it does when its watch ends or its connection is closed."""
        self._stop.set()

    def read_once(self) -> None:
        """
        Takes in the list, without a thread.

        Raises:
            ApiError: if it cannot be had.
        """
        objects, self._version = self._api.list(self.path, self.params)
        self.replace(objects)
        self.synced.set()
        self._changed()

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            try:
                if not self._version:
                    self.read_once()
                began = time.monotonic()
                self._follow()
                pause = FIRST_PAUSE_SECONDS
                # A server that ends every watch at once must not be asked in a circle.
                self._stop.wait(max(0.0, began + SHORTEST_WATCH_SECONDS - time.monotonic()))
            except ApiError as error:
                if self._stop.is_set():
                    return
                self._version = "" if error.expired else self._version
                self._failed(self.path)
                log.warning("watch interrupted", extra={"path": self.path, "why": str(error)})
                self._stop.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            except Exception:  # a fault of ours must not end the feed: everything is read anew
                log.exception("watch interrupted by a fault of the exporter", extra={"path": self.path})
                self._version = ""
                self._stop.wait(LONGEST_PAUSE_SECONDS)

    def _follow(self) -> None:
        for event in self._api.watch(self.path, self.params, self._version):
            if event["type"] == "DELETED":
                self.remove(event["object"])
            elif event["type"] in {"ADDED", "MODIFIED"}:
                self.put(event["object"])
            self._version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                self._changed()
            if self._stop.is_set():
                return


class NodeFeed(Feed):
    """The Node object."""

    path = "/api/v1/nodes"

    def __init__(self, node: str, api: Api, changed: Callable[[], None], failed: Callable[[str], None]) -> None:
        super().__init__(api, changed, failed)
        self.params = {"fieldSelector": f"metadata.name={node}"}
        self.node: ApiNode | None = None

    def replace(self, objects: list[Object]) -> None:
        """Takes the Node; a list without it means that it is not registered yet, or gone."""
        self.node = _node(objects[0]) if objects else None

    def put(self, item: Object) -> None:
        """Takes the Node."""
        self.node = _node(item)

    def remove(self, item: Object) -> None:
        """Takes note that the Node is gone."""
        self.node = None


class PodFeed(Feed):
    """The pods that are bound to the node."""

    path = "/api/v1/pods"

    def __init__(self, node: str, api: Api, changed: Callable[[], None], failed: Callable[[str], None]) -> None:
        super().__init__(api, changed, failed)
        self.params = {"fieldSelector": f"spec.nodeName={node}"}
        self.pods: Mapping[str, ApiPod] = {}
        self.departed: Mapping[str, ApiPod] = {}

    def replace(self, objects: list[Object]) -> None:
        """Takes these as all pods of the node."""
        pods = {pod.uid: pod for pod in map(_pod, objects)}
        gone = {uid: pod for uid, pod in self.pods.items() if uid not in pods}
        self.departed = _latest({**self.departed, **gone})
        self.pods = pods

    def put(self, item: Object) -> None:
        """Takes a pod."""
        pod = _pod(item)
        self.pods = {**self.pods, pod.uid: pod}

    def remove(self, item: Object) -> None:
        """Takes note that a pod is gone."""
        pod = _pod(item)
        self.departed = _latest({**self.departed, pod.uid: pod})
        self.pods = {uid: other for uid, other in self.pods.items() if uid != pod.uid}


def _latest(pods: Mapping[str, ApiPod]) -> Mapping[str, ApiPod]:
    return dict(list(pods.items())[-MOST_DEPARTED:])


def _node(item: Object) -> ApiNode:
    status = item.get("status") or {}
    capacity = {name: amount for name, amount in (status.get("capacity") or {}).items() if _is_extended(name)}
    return ApiNode(
        uid=item["metadata"].get("uid", ""),
        kubelet_version=(status.get("nodeInfo") or {}).get("kubeletVersion", ""),
        capacity={name: _count(amount) for name, amount in capacity.items()},
    )


def _is_extended(name: str) -> bool:
    return name not in _NATIVE and not name.startswith("hugepages-")


def _count(amount: object) -> int:
    try:
        return parse(str(amount)).value
    except QuantityError:
        return 0


def _pod(item: Object) -> ApiPod:
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    annotations = metadata.get("annotations") or {}
    kubelet_uid = annotations.get(CONFIG_HASH) if MIRROR in annotations else None
    return ApiPod(
        uid=metadata["uid"],
        kubelet_uid=kubelet_uid or metadata["uid"],
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        kinds=_kinds(spec),
        terminal=status.get("phase") in {"Succeeded", "Failed"},
        acknowledged=bool(status.get("startTime")),
        created=metadata.get("creationTimestamp") or "",
    )


def _kinds(spec: Mapping[str, Any]) -> Mapping[str, Kind]:
    kinds = {
        container["name"]: Kind.SIDECAR if container.get("restartPolicy") == "Always" else Kind.INIT
        for container in spec.get("initContainers") or []
    }
    return kinds | {container["name"]: Kind.APP for container in spec.get("containers") or []}
