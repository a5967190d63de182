"""What clients cannot do: stretch time, memory or attention; and a stop that loses nothing."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from server import QUESTION, Server, get, serving

from extender.app import create_app
from extender.doors import doors
from extender.inventory.live import Inventory
from extender.process import World
from extender.settings import Health, Listen, Settings, Tls, WhatIf
from extender.settings_file import SettingsError

SECONDS = 2
CROWD = 40
SLOW = b"POST /scheduler/filter HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    changes = {"listen": {"requestSeconds": SECONDS, "connections": 128, "threads": 2, "maxBodyBytes": 65536}}
    with serving(tmp_path_factory.mktemp("limits"), changes) as made:
        yield made


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that gives up nobody while a test lasts."""
    changes = {"listen": {"requestSeconds": 600, "threads": 2}}
    with serving(tmp_path_factory.mktemp("patient"), changes) as made:
        yield made


def ask(port: int, headers: dict[str, str] | None = None) -> tuple[http.client.HTTPResponse, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", "/scheduler/filter", QUESTION, headers or {})
        response = connection.getresponse()
        return response, response.read()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def until_closed(connection: socket.socket) -> bytes:
    """What the server says until it closes."""
    told = b""
    try:
        while part := connection.recv(65536):
            told += part
    except ConnectionResetError:
        pass
    return told


def is_cut_off(connection: socket.socket) -> bool:
    """Sends one more byte, and says whether that was in vain."""
    try:
        connection.sendall(b" ")
    except OSError:
        return True
    return False


@pytest.mark.parametrize("beginning", [SLOW, b"POST /sched", b""], ids=["slow body", "slow header", "silence"])
def test_slow_clients_hold_up_nobody(patient: Server, beginning: bytes) -> None:
    """While twenty times as many slow clients as threads are connected, and none is given up yet, a question is answered."""
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(patient.port)) for _ in range(CROWD)]
        for one in slow:
            one.sendall(beginning)
        _, body = ask(patient.port)
        assert "" == json.loads(body)["Error"]
        for one in slow:
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(1)


def test_a_request_that_does_not_arrive_in_time_is_given_up(server: Server) -> None:
    """A client that sends a byte now and then is cut off after listen.requestSeconds, and counted as slow."""
    before = server.metric('numa_extender_dropped_connections_total{why="slow"}')
    with connect(server.port) as connection:
        connection.sendall(SLOW)
        while not is_cut_off(connection):
            time.sleep(0.2)
    assert before < server.metric('numa_extender_dropped_connections_total{why="slow"}')


def test_a_silent_connection_is_kept_for_later(server: Server) -> None:
    """A connection that has not spoken for longer than a request may take is answered all the same."""
    with connect(server.port) as connection:
        time.sleep(SECONDS + 1)
        connection.sendall(
            b"POST /scheduler/filter HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
        )
        assert b"HTTP/1.1 200 OK" in until_closed(connection)


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "in chunks"])
def test_too_large_a_body_is_said(server: Server, chunked: bool) -> None:
    """A body over listen.maxBodyBytes is answered with status 200 and the setting's name, and its connection closed."""
    header = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 70000"
    body = b"11170\r\n" + b" " * 70000 + b"\r\n0\r\n\r\n" if chunked else b" " * 70000
    with connect(server.port) as connection:
        connection.sendall(b"POST /scheduler/filter HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n" + body)
        told = until_closed(connection)
    assert b"HTTP/1.1 200 OK" in told
    assert b"larger than 65536 bytes (setting listen.maxBodyBytes)" in told


def test_a_body_in_chunks_is_a_body(server: Server) -> None:
    """A question sent in chunks is answered like any other."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        parts = [QUESTION[:100], QUESTION[100:]]
        connection.request("POST", "/scheduler/filter", iter(parts), encode_chunked=True)
        assert "" == json.load(connection.getresponse())["Error"]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_questions_may_come_before_answers(server: Server, number: int) -> None:
    """Requests that are sent all at once are answered one after the other, on their one connection."""
    head = f"POST /scheduler/filter HTTP/1.1\r\nHost: x\r\nContent-Length: {len(QUESTION)}\r\n\r\n".encode()
    with connect(server.port) as connection:
        connection.sendall(number * (head + QUESTION))
        connection.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        told = until_closed(connection)
    assert number == told.count(b"HTTP/1.1 200")
    assert 1 == told.count(b"HTTP/1.1 404")


def test_who_asks_for_a_head_only_gets_no_more(server: Server) -> None:
    """A verb is posted; where it is not, the connection is still in order afterwards."""
    with connect(server.port) as connection:
        connection.sendall(b"HEAD /scheduler/filter HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        told = until_closed(connection).split(b"\r\n\r\n", 1)
    assert told[0].startswith(b"HTTP/1.1 405")
    assert told[1].startswith(b"HTTP/1.1 404")


def test_who_waits_to_be_told_is_told(server: Server) -> None:
    """Expect: 100-continue is answered before the body is sent."""
    with connect(server.port) as connection:
        head = f"POST /scheduler/filter HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: {len(QUESTION)}\r\n\r\n"
        connection.sendall(head.encode())
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == connection.recv(65536)
        connection.sendall(QUESTION)
        assert b"HTTP/1.1 200 OK" in until_closed(connection)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", id="TLS"),
        pytest.param(b"GET\r\n\r\n", id="half a request line"),
        pytest.param(b"POST /scheduler/filter HTTP/1.1\r\nContent-Length: -1\r\n\r\n", id="a negative length"),
        pytest.param(b"POST /scheduler/filter HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n", id="an unknown coding"),
        pytest.param(b"POST /scheduler/filter HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="a bad chunk"),
        pytest.param(b"GET /healthz HTTP/9.9\r\n\r\n", id="another version"),
        pytest.param(b"GET / HTTP/1.1\r\nA b: c\r\n\r\n", id="a bad header"),
    ],
)
def test_what_is_no_http_is_answered_400(server: Server, request_: bytes) -> None:
    """It is answered 400 and counted, and the server goes on."""
    before = server.metric('numa_extender_dropped_connections_total{why="malformed"}')
    with connect(server.port) as connection:
        connection.sendall(request_)
        assert until_closed(connection).startswith(b"HTTP/1.1 400 ")
    assert before + 1 == server.metric('numa_extender_dropped_connections_total{why="malformed"}')


def test_a_client_that_leaves_is_no_fault(server: Server) -> None:
    """Who breaks off in the middle of a question leaves no traceback in the log."""
    with connect(server.port) as connection:
        connection.sendall(SLOW)
    ask(server.port)
    assert "Traceback" not in server.log.read_text()


def test_other_doors_do_not_crowd_out_the_scheduler(server: Server) -> None:
    """With as many connections to the health door as there may be in all, the verbs are still answered."""
    health = int(server.health.rpartition(":")[2])
    with ExitStack() as stack:
        for _ in range(128):
            stack.enter_context(connect(health))
        _, body = ask(server.port)
        assert "" == json.loads(body)["Error"]


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-123", True), ("a b\tc", False), ("x" * 65, False)], ids=["good", "bad", "long"]
)
def test_requests_have_ids(server: Server, given: str, kept: bool) -> None:
    """Log and answer bear the caller's id where it is a good one, else one of ours."""
    response, _ = ask(server.port, {"X-Request-Id": given})
    name = response.headers["X-Request-Id"]

    assert (given == name) is kept
    assert name in [line["request"] for line in server.lines("filtered")]


def test_a_stop_loses_no_request(tmp_path: Path) -> None:
    """
    Callers keep asking over open connections; on SIGTERM the extender is no longer ready, answers everything that is
    asked while it drains, closing each connection, and ends in order.
    """
    failures: list[BaseException] = []
    told_to_leave = threading.Barrier(9, timeout=30)
    answered = [0] * 8

    def call(number: int, port: int) -> None:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
                closes = ""
                while closes != "close":
                    connection.request("POST", "/scheduler/filter", QUESTION)
                    response = connection.getresponse()
                    assert "" == json.load(response)["Error"]
                    closes = response.headers.get("Connection", "").lower()
                    answered[number] += 1
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test is to tell
            failures.append(error)
        finally:
            told_to_leave.wait()

    with serving(tmp_path, {"listen": {"drainSeconds": 3}}) as server:
        callers = [threading.Thread(target=call, args=(number, server.port)) for number in range(len(answered))]
        for caller in callers:
            caller.start()
        while min(answered) < 5:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        told_to_leave.wait()
        assert (503, "the extender is about to end\n") == get(f"{server.health}/readyz")
        assert 0 == server.process.wait(timeout=30)
        for caller in callers:
            caller.join()
    assert [] == failures


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        pytest.param(
            Settings(listen=Listen(address="10.0.0.1")),
            "listen.address 10.0.0.1 can be reached from other machines: give a certificate (section tls), "
            "or set listen.plainHttp to true",
            id="plain verbs for other machines",
        ),
        pytest.param(
            Settings(what_if=WhatIf(address="0.0.0.0", port=8100)),
            "whatIf.address 0.0.0.0 can be reached from other machines: give a certificate (section tls), "
            "or set listen.plainHttp to true",
            id="plain questions for other machines",
        ),
        pytest.param(
            Settings(health=Health(port=8099)),
            "listen.port, guard.port, health.port and whatIf.port must differ, not be 8099 twice (0 shares, or is off)",
            id="one port twice",
        ),
    ],
)
def test_unprotected_doors_are_refused(settings: Settings, sentence: str) -> None:
    """What would be open to other machines by oversight is one sentence at start."""
    with pytest.raises(SettingsError) as caught:
        doors(settings)
    assert sentence == str(caught.value)


def test_doors_follow_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty address is the pod's; TLS is spoken at the verbs' door and, off loopback, at what-if's, never at health's."""
    monkeypatch.setenv("POD_IP", "fd00::7")
    tls = Tls("a", "b", "c")
    made = doors(Settings(listen=Listen(address="", port=1), tls=tls, health=Health(port=2), what_if=WhatIf(port=3)))

    assert [("[fd00::7]:1", True), ("[fd00::7]:2", False), ("127.0.0.1:3", False)] == [
        (door.bind, bool(door.tls)) for door in made
    ]
    assert [{"verbs"}, {"health"}, {"what-if"}] == [set(map(str, door.subjects)) for door in made]
    (elsewhere,) = [d for d in doors(Settings(tls=tls, what_if=WhatIf(address="10.0.0.1", port=3))) if d.port == 3]
    assert elsewhere.tls


@pytest.mark.parametrize("header", ["Origin", "Sec-Fetch-Site"])
def test_browsers_are_not_answered_verbs(header: str) -> None:
    """What only a browser sends bars the way to the verbs, so that no page can have its reader's browser bind pods."""
    client = create_app(Settings(), World(Inventory())).test_client()

    assert 403 == client.post("/scheduler/bind", data=b"{}", headers={header: "https://example.com"}).status_code
    assert 200 == client.post("/scheduler/bind", data=b"{}").status_code
    assert 200 == client.get("/healthz", headers={header: "https://example.com"}).status_code


def test_part_of_tls_is_refused() -> None:
    """A certificate without client authorities would let in everybody, so it is no setting."""
    with pytest.raises(SettingsError, match="all of certificateFile, keyFile and clientCaFile, or none"):
        Settings(tls=Tls("a", "b"))


def test_what_is_behind_no_door_is_not_there() -> None:
    """With what-if switched off and health elsewhere, the verbs' door has the verbs alone."""
    settings = Settings(health=Health(port=9447), what_if=WhatIf(enabled=False))
    client = create_app(settings, World(Inventory())).test_client()

    paths = ["/", "/api/v1/capacity", "/healthz", "/metrics", "/scheduler/filter"]
    assert [404, 404, 404, 404, 405] == [client.get(path).status_code for path in paths]
