"""The guard's door: who is let in with which certificate, and binds that wait for the answer to their own Binding."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from builders import report
from clock import until
from fake_api_server import FakeApiServer, kubeconfig
from fake_api_server import serving as api_serving
from server import Pki, Server, free_port, serving

from extender.feeds import NodeReader, PodReader, ReportReader
from extender.wire.nrt import report_to_nrt

AMOUNTS = {"cpu": "1", "memory": "1Gi"}
BINDS = 6
Changes = dict[str, dict[str, Any]]


def post(port: int, context: ssl.SSLContext, path: str, body: object) -> tuple[int, Any]:
    with closing(http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)) as connection:
        connection.request("POST", path, json.dumps(body))
        response = connection.getresponse()
        data = response.read()
        return response.status, json.loads(data) if data.startswith(b"{") else data


def review(name: str, node: str = "two-zones") -> dict[str, Any]:
    posted = {
        "kind": "Binding",
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
        "target": {"kind": "Node", "name": node},
    }
    request = {"uid": name, "userInfo": {"username": "system:kube-scheduler"}, "object": posted}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    made = Pki(tmp_path / "pki")
    made.issue("server")
    return made


def dropped(server: Server) -> float:
    return server.metric('numa_extender_dropped_connections_total{why="handshake"}')


def test_an_api_server_without_a_certificate_is_answered(pki: Pki, tmp_path: Path) -> None:
    """
    Unless guard.clientCaFile asks for one nobody needs a certificate there; the scheduler's door still takes one, and
    is not the guard's.
    """
    guard = free_port()
    changes: Changes = {"tls": pki.settings(clientNames="kube-scheduler"), "guard": {"port": guard}}
    with serving(tmp_path, changes) as server:
        status, answer = post(guard, pki.context(None), "/guard?timeout=3s", review("nobody"))

        assert (200, {"uid": "nobody", "allowed": True}) == (status, answer["response"])
        assert 404 == post(guard, pki.context(None), "/scheduler/bind", {})[0]
        scheduler = pki.context(pki.issue("kube-scheduler"))
        assert 404 == post(server.port, scheduler, "/guard", review("nobody"))[0]
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            post(server.port, pki.context(None), "/guard", review("nobody"))


def test_with_an_authority_of_its_own_others_are_refused(pki: Pki, tmp_path: Path) -> None:
    """Neither a scheduler's certificate nor none nor one of another name is let in; the log names guard's own setting."""
    apiserver, guard = Pki(tmp_path / "apiserver"), free_port()
    section = {"port": guard, "clientCaFile": str(apiserver.ca_file), "clientNames": "kube-apiserver"}
    with serving(tmp_path, {"tls": pki.settings(), "guard": section}) as server:
        known, other = (pki.context(apiserver.issue(name)) for name in ("kube-apiserver", "other"))
        assert 200 == post(guard, known, "/guard", review("nobody"))[0]
        strangers = [pki.context(None), pki.context(pki.issue("kube-scheduler")), other]
        for number, stranger in enumerate(strangers, 1):
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
                post(guard, stranger, "/guard", review("nobody"))
            until(lambda number=number: dropped(server) == number, 10)  # type: ignore[misc]

        whys = [line["why"] for line in server.lines("a connection is closed")]
        assert "the client's certificate has none of the names in guard.clientNames" in whys[-1]


def test_a_wrong_authority_stops_the_start(pki: Pki, tmp_path: Path) -> None:
    """A file of section guard that is not there is one sentence with the section's name."""
    section = {"port": free_port(), "clientCaFile": str(tmp_path / "nowhere.crt")}
    with (
        pytest.raises(AssertionError, match=r"guard: .*nowhere\.crt: no such file, or it may not be read"),
        serving(tmp_path, {"tls": pki.settings(), "guard": section}),
    ):
        raise RuntimeError("it started")


def waiting(name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": "5"},
        "spec": {"containers": [{"name": "main", "resources": {"requests": AMOUNTS, "limits": AMOUNTS}}]},
        "status": {"phase": "Pending", "qosClass": "Guaranteed"},
    }


@pytest.mark.parametrize("threads", [1, 2])
def test_binds_that_wait_for_the_guard_hold_nothing_that_it_needs(pki: Pki, tmp_path: Path, threads: int) -> None:
    """
    While as many binds as may be answered at a time, and more, each wait for the API server, which asks the guard about
    their Bindings first, none waits for another: all are bound, long before anybody's patience ends.
    """
    guard, context = free_port(), pki.context(pki.issue("kube-scheduler"))
    names = [f"p-{number}" for number in range(BINDS)]
    answers: list[tuple[int, Any]] = []
    with api_serving() as api:
        fill(api, names)

        def ask(path: str, body: dict[str, Any]) -> None:
            assert path.endswith("/binding")
            answers.append(post(guard, pki.context(None), "/guard?timeout=3s", review(body["metadata"]["name"], "n")))

        api.asked = ask
        changes: Changes = {
            "listen": {"threads": threads},
            "tls": pki.settings(),
            "guard": {"port": guard},
            "inventory": {"source": "cluster", "kubeconfig": str(kubeconfig(tmp_path, api.url))},
        }
        with serving(tmp_path, changes) as server, ThreadPoolExecutor(BINDS) as schedulers:

            def bind(name: str) -> tuple[int, Any]:
                body = {"PodName": name, "PodNamespace": "default", "PodUID": f"uid-{name}", "Node": "n"}
                return post(server.port, context, "/scheduler/bind", body)

            begun = time.monotonic()
            bound = list(schedulers.map(bind, names))
            took = time.monotonic() - begun

            assert BINDS * [(200, {"Error": ""})] == bound
            assert BINDS * [(200, True)] == [(status, told["response"]["allowed"]) for status, told in answers]
            assert took < 5
            assert BINDS == server.metric('numa_extender_guarded_bindings_total{result="allowed"}')


def fill(api: FakeApiServer, names: list[str]) -> None:
    told: Any = report_to_nrt(report("n", heartbeat=int(time.time())))
    told["metadata"]["resourceVersion"] = "5"
    api.collections[NodeReader.path].objects = [{"metadata": {"name": "n"}}]
    api.collections[ReportReader.path].objects = [told]
    api.collections[PodReader.path].objects = [waiting(name) for name in names]
