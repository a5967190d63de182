"""
The extender's end of the process that answers questions: what it is told, and what it is asked.

One question is computed at a time and one more may wait; others are told to come again. What has changed of the
inventory is sent before a question, in slices with pauses between them, so that the verbs, which need the same
interpreter lock, find it free.
"""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection

import orjson

from extender.inventory.node import Node
from extender.model.configuration import KubeletConfiguration, Version
from extender.model.machine import Machine
from extender.web.exchange import Kubelet, News, Parcel, Reply, Request, dump, load
from extender.web.service import Limits, problem_reply

log = logging.getLogger(__name__)

SLICE = 32
"""Nodes that are sent at once: about a millisecond of work."""
PAUSE_SECONDS = 0.001
"""Between two slices, for whoever waits for the interpreter lock."""
GRACE_SECONDS = 5.0
"""On top of the limit of a question, before a process that does not answer is ended: one step may be long."""
WAITING = 2
"""Questions at a time, the one under way included."""
SPARE_KUBELETS = 1024
COME_AGAIN_SECONDS = "2"
STOP_SECONDS = 2.0


class Background:
    """Answers requests in a process of its own."""

    def __init__(self, nodes: Callable[[], Sequence[Node]], limits: Limits | None = None) -> None:
        """Takes what returns all nodes at a moment; nothing is started."""
        self._nodes, self._limits = nodes, limits or Limits()
        self._places = threading.BoundedSemaphore(WAITING)
        self._turn = threading.Lock()
        self._worker: _Worker | None = None

    def ask(self, request: Request) -> Reply:
        """Answers a request, or says why not."""
        if len(request.body) > self._limits.body_bytes:
            return problem_reply(413, f"the question is larger than {self._limits.body_bytes} bytes")
        if not self._places.acquire(blocking=False):
            headers = {"Retry-After": COME_AGAIN_SECONDS}
            return problem_reply(429, "other questions are being answered; come again in a moment", headers=headers)
        try:
            with self._turn:
                return self._ask(request)
        finally:
            self._places.release()

    def warm_up(self) -> None:
        """Has the process started and told all there is, beside what else goes on: a question may be about to come."""
        threading.Thread(target=self._warm_up, name="what-if", daemon=True).start()

    def _warm_up(self) -> None:
        if self._turn.acquire(blocking=False):  # else a question is under way, which does the same
            try:
                self._told()
            finally:
                self._turn.release()

    def close(self) -> None:
        """Ends the process."""
        with self._turn:
            self._end()

    def _ask(self, request: Request) -> Reply:
        worker = self._told()
        try:
            reply = worker.ask(request, self._limits.seconds + GRACE_SECONDS)
        except (OSError, EOFError):
            log.exception("the process that answers questions has ended over one", extra={"path": request.path})
            self._end()
            return problem_reply(422, "this question is more than the extender can answer")
        if reply is None:
            log.warning("a question took too long", extra={"path": request.path})
            self._end()
            return problem_reply(422, f"this takes more than {self._limits.seconds:g} s; ask about fewer nodes or pods")
        if reply.fault:
            log.error("a fault of the extender: %s", reply.fault, extra={"path": request.path})
        return reply

    def _told(self) -> _Worker:
        """Returns a process that knows all there is; one that has ended between two questions is replaced."""
        try:
            return self._tell()
        except OSError:
            log.warning("the process that answers questions has ended; another one is started")
            self._end()
            return self._tell()

    def _tell(self) -> _Worker:
        nodes = self._nodes()
        if self._worker is not None and self._worker.kubelets > 2 * len(nodes) + SPARE_KUBELETS:
            self._end()  # most of what it was told of kubelets is history
        if self._worker is not None and self._worker.ended:
            raise BrokenPipeError
        if self._worker is None:
            self._worker = _Worker(self._limits)
        self._worker.tell(nodes)
        return self._worker

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._worker = None


class _Worker:
    """The process, and what it has been told."""

    def __init__(self, limits: Limits) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            self._process = subprocess.Popen(  # noqa: S603 - the same interpreter, no shell
                [sys.executable, "-m", "extender.web.worker", str(number), orjson.dumps(asdict(limits)).decode()],
                pass_fds=[number],
                stdin=subprocess.DEVNULL,
            )
        self._connection = Connection(ours.detach())
        self._told: dict[str, Node] = {}
        self._kubelets = _Kubelets()

    @property
    def kubelets(self) -> int:
        """How many different kubelets it has been told of."""
        return len(self._kubelets)

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    def tell(self, nodes: Sequence[Node]) -> None:
        """Sends what has changed; a node that is the same object as last time has not."""
        now = {node.name for node in nodes}
        gone = [name for name in self._told if name not in now]
        if gone:
            self._send(News(gone=gone))
            for name in gone:
                del self._told[name]
        changed = [node for node in nodes if self._told.get(node.name) is not node]
        for start in range(0, len(changed), SLICE):
            if start:
                time.sleep(PAUSE_SECONDS)
            part = changed[start : start + SLICE]
            parcels = [self._packed(node) for node in part]
            self._send(News(self._kubelets.fresh(), parcels))
            self._told.update((node.name, node) for node in part)

    def ask(self, request: Request, seconds: float) -> Reply | None:
        """Returns the answer; None where there is none in time."""
        self._connection.send_bytes(dump(request))
        if not self._connection.poll(seconds):
            return None
        reply = load(self._connection.recv_bytes())
        assert isinstance(reply, Reply)
        return reply

    def end(self) -> None:
        """Ends the process."""
        self._connection.close()
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def _send(self, news: News) -> None:
        self._connection.send_bytes(dump(news))

    def _packed(self, node: Node) -> Parcel:
        report = node.report
        if node.snapshot is None or report is None:
            return Parcel(node.name, str(node.knowledge), node.fault)
        kubelet, state = node.snapshot.kubelet, node.snapshot.state
        held = [node.held[uid] for uid in state.active if uid in node.held]
        return Parcel(
            node.name,
            str(node.knowledge),
            estimates=tuple(map(str, report.estimates)),
            kubelet_version=report.kubelet_version,
            kubelet=self._kubelets.key(kubelet.machine, kubelet.configuration, kubelet.version),
            state=state,
            pods=[(one.pod, one.started) for one in held],
        )


class _Kubelets:
    """Numbers what makes kubelets; equal values are one object on many nodes, so identity is enough."""

    def __init__(self) -> None:
        self._keys: dict[tuple[int, int, Version], Kubelet] = {}
        self._fresh: list[Kubelet] = []

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, machine: Machine, configuration: KubeletConfiguration, version: Version) -> int:
        """Returns the number of a kubelet; what it is made of is kept, so that no other object takes its identity."""
        place = id(machine), id(configuration), version
        if place not in self._keys:
            self._keys[place] = Kubelet(len(self._keys), machine, configuration, version)
            self._fresh.append(self._keys[place])
        return self._keys[place].key

    def fresh(self) -> list[Kubelet]:
        """Returns those that have not been sent yet."""
        fresh, self._fresh = self._fresh, []
        return fresh
