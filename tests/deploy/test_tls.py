"""HTTPS with certificates on both sides: who is let in, what is answered where, certificates that change."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from server import QUESTION, Pki, Server, get, serving

from extender.certificates import Certificates
from extender.settings import Tls
from extender.settings_file import SettingsError

CALLERS = 8


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki"))
    made.issue("server")
    return made


@pytest.fixture(scope="module")
def server(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    tls = pki.settings(clientNames="kube-scheduler, system:kube-scheduler")
    with serving(tmp_path_factory.mktemp("tls"), {"tls": tls}) as made:
        yield made


def ask(port: int, context: ssl.SSLContext) -> dict[str, object]:
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    try:
        connection.request("POST", "/scheduler/filter", QUESTION)
        answer: dict[str, object] = json.load(connection.getresponse())
        return answer
    finally:
        connection.close()


def test_a_caller_with_a_certificate_is_answered(server: Server, pki: Pki) -> None:
    """A certificate of the authority, with a name that is let in, is enough."""
    answer = ask(server.port, pki.context(pki.issue("kube-scheduler")))

    assert "" == answer["Error"]


@pytest.mark.parametrize("kind", ["none", "of another authority", "expired", "with another name"])
def test_other_callers_are_refused(server: Server, pki: Pki, tmp_path: Path, kind: str) -> None:
    """Without a certificate, with a wrong one, an expired one, or another's name no question is answered; it is counted."""
    other = Pki(tmp_path / "other")
    client = {
        "none": None,
        "of another authority": other.issue("kube-scheduler"),
        "expired": pki.issue("kube-scheduler", expired=True, file="expired"),
        "with another name": pki.issue("somebody"),
    }[kind]
    before = server.metric('numa_extender_dropped_connections_total{why="handshake"}')

    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        ask(server.port, pki.context(client))
    deadline = time.monotonic() + 10
    while server.metric('numa_extender_dropped_connections_total{why="handshake"}') == before:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_plain_http_is_not_answered_there(server: Server) -> None:
    """The TLS door answers nothing to plain HTTP."""
    assert 0 == get(f"http://127.0.0.1:{server.port}/healthz")[0]


def test_each_door_has_its_own(server: Server, pki: Pki) -> None:
    """Health has its door in plain HTTP, and neither verbs nor questions are there; nor is health at the verbs' door."""
    codes = [
        get(f"{server.health}{path}")[0] for path in ("/healthz", "/metrics", "/scheduler/filter", "/", "/api/v1/x")
    ]
    assert [200, 200, 404, 404, 404] == codes

    context = pki.context(pki.issue("kube-scheduler"))
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=10)
    connection.request("GET", "/healthz")
    assert 404 == connection.getresponse().status
    connection.close()


def test_certificates_rotate_under_load(tmp_path: Path) -> None:
    """
    While callers keep asking over connections that stay open, the server's certificate is replaced several times, at
    first without its key: no call fails, and new connections see the new certificate.
    """
    pki = Pki(tmp_path / "pki")
    pki.issue("server")
    context = pki.context(pki.issue("client"))
    failures: list[BaseException] = []
    answered = [0] * CALLERS
    done = threading.Event()

    def call(number: int, port: int) -> None:
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=20)
        try:
            while not done.is_set():
                connection.request("POST", "/scheduler/filter", QUESTION)
                response = connection.getresponse()
                assert (200, "") == (response.status, json.load(response)["Error"])
                answered[number] += 1
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test is to tell
            failures.append(error)
        finally:
            connection.close()

    with serving(tmp_path, {"tls": pki.settings()}) as server:
        callers = [threading.Thread(target=call, args=(number, server.port)) for number in range(CALLERS)]
        for caller in callers:
            caller.start()
        seen = {serial(server.port, context)}
        for round_ in range(3):
            before = list(answered)
            certificate, key = pki.issue("server", file=f"next-{round_}")
            certificate.replace(pki.folder / "server.crt")
            time.sleep(1.5)  # longer than the server's pause between two looks: it finds a certificate without its key
            key.replace(pki.folder / "server.key")
            deadline = time.monotonic() + 20
            while serial(server.port, context) in seen or any(a == b for a, b in zip(answered, before, strict=True)):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            seen.add(serial(server.port, context))
        done.set()
        for caller in callers:
            caller.join()

        assert [] == failures
        assert 4 == server.metric('numa_extender_certificate_readings_total{result="ok"}')
        assert 1 <= server.metric('numa_extender_certificate_readings_total{result="failed"}')
        assert 0 == server.metric('numa_extender_requests_total{result="error",verb="filter"}')


def serial(port: int, context: ssl.SSLContext) -> str:
    """The serial number of the certificate that a new connection sees."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    connection.connect()
    certificate = connection.sock.getpeercert()
    connection.close()
    assert certificate
    return str(certificate["serialNumber"])


def test_another_authority_of_clients_takes_effect(tmp_path: Path) -> None:
    """When the client authorities are replaced, callers that only the old one knows are refused, and new ones let in."""
    old, new = Pki(tmp_path / "old"), Pki(tmp_path / "new")
    old.issue("server")
    with serving(tmp_path, {"tls": old.settings()}) as server:
        ask(server.port, old.context(old.issue("client")))
        context = old.context(new.issue("client"))
        old.ca_file.write_bytes(new.ca_file.read_bytes())
        deadline = time.monotonic() + 20
        while True:
            try:
                ask(server.port, context)
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        refused = ssl.create_default_context(cadata=old.authority.cert_pem.bytes().decode())
        refused.load_cert_chain(old.folder / "client.crt", old.folder / "client.key")
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            ask(server.port, refused)


def test_files_are_looked_at_now_and_then(tmp_path: Path) -> None:
    """Within a second of the last look the context stays; after it, it stays only if the files do."""
    pki = Pki(tmp_path)
    pki.issue("server")
    now = [0.0]
    told: list[str] = []
    certificates = Certificates(
        Tls(str(tmp_path / "server.crt"), str(tmp_path / "server.key"), str(pki.ca_file)), told.append, lambda: now[0]
    )
    first = certificates.context
    pki.issue("server")
    assert certificates.context is first

    now[0] = 1.0
    second = certificates.context
    assert second is not first
    now[0] = 2.0
    assert certificates.context is second
    assert ["ok", "ok"] == told


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        pytest.param("nowhere.crt", "nowhere.crt: no such file, or it may not be read", id="a file that is not there"),
        pytest.param("ca.crt", "KEY_VALUES_MISMATCH", id="a certificate of another key"),
    ],
)
def test_certificates_that_cannot_be_used_are_said(tmp_path: Path, file: str, sentence: str) -> None:
    """At start a wrong file is one sentence with its name."""
    pki = Pki(tmp_path)
    pki.issue("server")
    with pytest.raises(SettingsError, match=sentence):
        Certificates(Tls(str(tmp_path / file), str(tmp_path / "server.key"), str(pki.ca_file)))
