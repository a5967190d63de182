"""
The process that answers questions: ``python -m extender.web.worker``, started by ``extender.web.background``.

It keeps a copy of the inventory, which it is told the changes of, and answers one request after the other.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from multiprocessing.connection import Connection

import orjson

from extender.ask.sites import running
from extender.fleet import Snapshot
from extender.kubelet import admission
from extender.web.exchange import News, Parcel, Request, dump, load
from extender.web.service import Limits, Service
from extender.what_if.site import Site

COLLECT_SELDOM = 200_000, 20, 20
"""The inventory is many objects that live long; collecting garbage among them as often as usual doubles the work."""
LOW_PRIORITY = 10
"""Steps of niceness: whoever has work beside it comes first."""


class Copy:
    """The inventory as far as it was told."""

    def __init__(self) -> None:
        self._kubelets: dict[int, admission.Kubelet] = {}
        self._sites: dict[str, Site] = {}
        self._sorted: list[Site] | None = None

    def take(self, news: News) -> None:
        """Takes changes in."""
        for one in news.kubelets:
            self._kubelets[one.key] = admission.start(one.machine, one.configuration, one.version)
        for name in news.gone:
            self._sites.pop(name, None)
        for parcel in news.parcels:
            self._sites[parcel.name] = self._unpacked(parcel)
        self._sorted = None

    def sites(self) -> list[Site]:
        """Returns all nodes, by name."""
        if self._sorted is None:
            self._sorted = [self._sites[name] for name in sorted(self._sites)]
        return self._sorted

    def _unpacked(self, parcel: Parcel) -> Site:
        if parcel.kubelet is None or parcel.state is None:
            return Site(parcel.name, knowledge=parcel.knowledge, fault=parcel.fault)
        return Site(
            parcel.name,
            Snapshot(self._kubelets[parcel.kubelet], parcel.state),
            running(parcel.state, {pod.uid: (pod, started) for pod, started in parcel.pods}),
            parcel.knowledge,
            tuple(parcel.estimates),
            kubelet_version=parcel.kubelet_version,
        )


def serve(connection: Connection, limits: Limits) -> None:
    """Answers until the other end is gone."""
    copy = Copy()
    service = Service(copy.sites, limits)
    while True:
        try:
            message = load(connection.recv_bytes())
        except (EOFError, ConnectionError):
            return
        if isinstance(message, News):
            copy.take(message)
        else:
            assert isinstance(message, Request)
            connection.send_bytes(dump(service.answer(message)))


def main() -> None:
    """Serves on the socket whose number is the first argument, within the limits that the second one tells."""
    os.nice(LOW_PRIORITY)
    if hasattr(os, "SCHED_BATCH"):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # never in place of one who was just woken
    gc.set_threshold(*COLLECT_SELDOM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt at the keyboard is for the extender to handle
    end = socket.socket(fileno=int(sys.argv[1]))
    serve(Connection(end.detach()), Limits(**orjson.loads(sys.argv[2])))


if __name__ == "__main__":
    main()
