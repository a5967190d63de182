"""What runs beside the verbs: the watches or the files that bring the news, and the passing of time."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from extender.feeds import NodeReader, PodReader, ReportReader
from extender.files import objects_in
from extender.inventory.live import Inventory
from extender.kube import Cluster, KubeError, Watch, connect
from extender.metrics import Metrics
from extender.samples import sample
from extender.settings import Settings, Source
from extender.verbs import OutcomeUnknownError
from extender.wire.scheduler import Binding, binding_object

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
PATIENCE_SECONDS = 0.01
"""How long news waits for verbs at most; whoever has waited so long goes on for as long: half of the time is news' own."""
SWITCH_SECONDS = 0.0005
"""After which a thread that takes news in makes way for a verb; by default it may go on ten times as long."""
COLLECTED = 700, 10, 10_000
"""
Python's own thresholds for young objects; old ones are looked through a thousand times as seldom. They are the
inventory, millions without cycles, and a look through all of them would stop everything for a second.
"""
_UNDECIDED = frozenset({HTTPStatus.CONFLICT, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
"""Refusals that leave open whether an earlier attempt of the same Binding took effect."""


class Precedence:
    """Verbs go first: whoever takes news in waits a little while one is being answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        self._free = threading.Event()
        self._free.set()
        self._hurry = threading.local()

    def claim(self) -> None:
        """Marks that a verb is being answered, until ``release``."""
        with self._lock:
            self._under_way += 1
            self._free.clear()

    def release(self) -> None:
        """Marks that one verb less is being answered."""
        with self._lock:
            self._under_way -= 1
            if not self._under_way:
                self._free.set()

    def give_way(self) -> None:
        """Waits until no verb is being answered, but never so long that the caller's news could pile up."""
        if self._free.is_set() or time.monotonic() < getattr(self._hurry, "until", 0.0):
            return
        if not self._free.wait(PATIENCE_SECONDS):
            self._hurry.until = time.monotonic() + PATIENCE_SECONDS


@dataclass(frozen=True)
class World:
    """What the verbs act on."""

    inventory: Inventory
    metrics: Metrics = field(default_factory=Metrics)
    missing: Callable[[], str] = lambda: ""
    """Says what is still missing of the inventory; empty once it is complete."""
    post: Callable[[Binding], str] = lambda binding: f"there is no cluster to bind {binding.name} in"
    """Posts a Binding, as ``extender.verbs.bind`` wants it."""
    clock: Callable[[], float] = time.monotonic
    precedence: Precedence = field(default_factory=Precedence)


def start(settings: Settings) -> World:
    """
    Starts what keeps the inventory up to date and returns the world that the verbs act on.

    Raises:
        SettingsError: the inventory's files cannot be read.
        KubeError: there is no way to the API server.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*COLLECTED)
    inventory, metrics = Inventory(settings.rules), Metrics()
    if settings.inventory.source is Source.FILES:
        world = _from_files(settings, inventory, metrics)
    else:
        world = _from_cluster(settings, inventory, metrics)
    threading.Thread(target=_tick, args=(inventory,), name="tick", daemon=True).start()
    return world


def _from_files(settings: Settings, inventory: Inventory, metrics: Metrics) -> World:
    path = Path(settings.inventory.path) if settings.inventory.path else sample("inventory")
    ReportReader(inventory, metrics, live=False).replace(objects_in(path))
    return World(inventory, metrics)


def _from_cluster(settings: Settings, inventory: Inventory, metrics: Metrics) -> World:
    cluster = connect(settings.inventory.kubeconfig)
    precedence = Precedence()
    reports = ReportReader(inventory, metrics, give_way=precedence.give_way)
    readers = NodeReader(inventory), reports, PodReader(inventory, metrics)
    watches = [
        Watch(cluster, reader.path, reader, metrics, precedence.give_way, inventory.catch_up) for reader in readers
    ]
    for watch in watches:
        watch.start()

    def missing() -> str:
        waiting = [watch.resource for watch in watches if not watch.synced.is_set()]
        if not waiting:
            inventory.warm_up()
        return f"the inventory is not complete yet, waiting for {', '.join(waiting)}" if waiting else ""

    return World(inventory, metrics, missing, _poster(cluster), precedence=precedence)


def _poster(cluster: Cluster) -> Callable[[Binding], str]:
    def post(binding: Binding) -> str:
        try:
            cluster.bind(binding.namespace, binding.name, binding_object(binding))
        except KubeError as error:
            if error.status is None or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status in _UNDECIDED:
                raise OutcomeUnknownError(str(error)) from error
            return str(error)
        return ""

    return post


def _tick(inventory: Inventory) -> None:
    while True:
        time.sleep(TICK_SECONDS)
        try:
            inventory.tick(time.monotonic())
        except Exception:  # a fault of ours must not stop the clock of every other node
            log.exception("a fault of the extender while time passed")
