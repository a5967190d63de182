"""An extender with a guard: the lab's API server asks it about every Binding, by the webhook that a user would take."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from lab.api import Object, pod_path
from lab.control_plane import ControlPlane
from lab.pods import container, pod
from lab.process import Process
from lab.product import Product, metric
from lab.waiting import eventually
from lab.workspace import REPOSITORY

WEBHOOK = REPOSITORY / "deploy" / "components" / "guard" / "webhook.yaml"
"""Replaced is the way to the extender. The lab's extender has another account, so that its own Bindings come by too."""
LOOPBACK = "127.0.0.1"
SECONDS = 30
FAIL_OPEN = "apiserver_admission_webhook_fail_open_count"
"""The API server's: Bindings that took effect although the guard gave no answer."""


@dataclass(frozen=True)
class Guard:
    """A running extender, which ends with the test."""

    process: Process
    url: str
    """Of its verbs: a certificate is asked for there."""
    health: str
    """The URL of its metrics."""
    tls: Object
    """The section tlsConfig of a scheduler that asks it."""
    control_plane: ControlPlane
    before: int
    """Bindings that had taken effect without an answer before it was asked."""

    def count(self, result: str) -> int:
        """How many Bindings the API server has asked about that came out so."""
        return int(metric(self.health, "numa_extender_guarded_bindings_total", result=result))

    def unanswered(self) -> int:
        """How many Bindings have taken effect without its answer since."""
        return _fail_open(self.control_plane) - self.before


@contextmanager
def guarding(
    control_plane: ControlPlane, product: Product, namespace: str, changes: Mapping[str, Any]
) -> Iterator[Guard]:
    """Has the API server ask an extender while something goes on; changed in its settings is what TLS takes, and more."""
    take = control_plane.workspace.ports.take
    serving = control_plane.authority.serving("numa-extender")
    health, port = take(), take()
    doors = {
        "tls": {
            "certificateFile": str(serving.certificate),
            "keyFile": str(serving.key),
            "clientCaFile": str(control_plane.authority.certificate_file),
        },
        "health": {"address": LOOPBACK, "port": health},
        "guard": {"address": LOOPBACK, "port": port},
    }
    process, url = product.extender({**doors, **changes})
    webhook = _webhook(control_plane, f"https://{LOOPBACK}:{port}/guard")
    try:
        control_plane.api.apply(webhook)
        _wait_asked(control_plane, namespace)
        process.start()
        told, asking = f"http://{LOOPBACK}:{health}", _caller(control_plane)
        yield Guard(process, url, told, asking, control_plane, _fail_open(control_plane))
    finally:
        control_plane.api.delete(control_plane.api.path(webhook))
        process.stop()


def _fail_open(control_plane: ControlPlane) -> int:
    text = control_plane.pool.request("GET", f"{control_plane.server}/metrics").data.decode()
    return int(sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(FAIL_OPEN)))


def _caller(control_plane: ControlPlane) -> Object:
    """Files with a scheduler's certificate."""
    credentials = control_plane.credentials("kube-scheduler", "")
    files = {"certFile": credentials.certificate, "keyFile": credentials.key, "caFile": credentials.authority}
    told = {}
    for name, data in files.items():
        file = control_plane.folder / "pki" / f"asking-extender.{name}"
        file.write_bytes(data)
        told[name] = str(file)
    return told


def _webhook(control_plane: ControlPlane, url: str) -> Object:
    configuration: Object = yaml.safe_load(WEBHOOK.read_text())
    (webhook,) = configuration["webhooks"]
    webhook["clientConfig"] = {
        "url": url,
        "caBundle": base64.b64encode(control_plane.authority.certificate).decode(),
    }
    return configuration


def _wait_asked(control_plane: ControlPlane, namespace: str) -> None:
    """
    Waits until the API server asks, a while after it has taken the configuration: dry runs of a Binding are tried until
    one takes effect without an answer, as nobody listens yet.
    """
    api, before = control_plane.api, _fail_open(control_plane)
    (tried,) = api.create_pods([pod("tried", container("app"), namespace=namespace, schedulerName="nobody")])
    binding = {"metadata": {"name": "tried"}, "target": {"apiVersion": "v1", "kind": "Node", "name": "nowhere"}}

    def asks() -> bool:
        api.request("POST", f"{pod_path(tried)}/binding", binding, dryRun="All")
        return _fail_open(control_plane) > before

    eventually("the API server to ask the guard", SECONDS, asks)
    api.delete(pod_path(tried), grace_seconds=0)
