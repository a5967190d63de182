"""The whole program as users start it: gunicorn, watches, binding, a stop in order; and users' mistakes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import database, report
from click.testing import CliRunner
from fake_api_server import FakeApiServer, kubeconfig, serving

from extender.cli import main
from extender.demo import SERVER
from extender.feeds import NodeReader, PodReader, ReportReader
from extender.model.pod import Pod
from extender.wire.nrt import report_to_nrt

COMMAND = [sys.executable, "-c", "from extender.cli import main; main()"]
AMOUNTS = {"cpu": "8", "memory": "16Gi"}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def pod(name: str, node: str = "") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": "5"},
        "spec": {
            "containers": [{"name": "main", "resources": {"requests": AMOUNTS, "limits": AMOUNTS}}],
            **({"nodeName": node} if node else {}),
        },
        "status": {"phase": "Pending", "qosClass": "Guaranteed"},
    }


def nrt(node: str, *admitted: Pod) -> dict[str, Any]:
    made: dict[str, Any] = dict(report_to_nrt(report(node, *admitted, heartbeat=int(time.time()))))
    made["metadata"]["resourceVersion"] = "5"
    return made


@contextmanager
def extender(server: FakeApiServer, folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Runs ``numa-extender serve`` against a server and yields its address and process."""
    port = free_port()
    settings = {
        "listen": {"port": port},
        "inventory": {"source": "cluster", "kubeconfig": str(kubeconfig(folder, server.url))},
        "rules": {"assume": "bind"},
    }
    (folder / "extender.yaml").write_text(yaml.safe_dump(settings))
    log = (folder / "log").open("wb")
    process = subprocess.Popen([*COMMAND, "serve", "--config", str(folder / "extender.yaml")], stderr=log)
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()
        log.close()


def call(url: str, body: object = None) -> tuple[int, str]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except urllib.error.URLError as error:
        return 0, str(error)


def eventually(url: str, status: int, seconds: float = 20) -> str:
    deadline = time.monotonic() + seconds
    while True:
        code, text = call(url)
        if code == status:
            return text
        assert time.monotonic() < deadline, (code, text)
        time.sleep(0.05)


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    with serving() as state:
        state.collections[NodeReader.path].objects = [{"metadata": {"name": "n"}}]
        state.collections[ReportReader.path].objects = [nrt("n", database("x"))]
        state.collections[PodReader.path].objects = [pod("y", node="n"), pod("z")]
        yield state


def test_from_start_to_stop(server: FakeApiServer, tmp_path: Path) -> None:
    """Lists first, then ready; filter knows what is bound; bind posts; news is used; a stop is in order."""
    server.refuse += [(503, "starting")] * 3
    with extender(server, tmp_path) as (url, process):
        eventually(f"{url}/healthz", 200)
        eventually(f"{url}/readyz", 200)
        question = {"Pod": pod("z"), "Nodes": None, "NodeNames": ["n", "new"]}
        assert json.loads(call(f"{url}/scheduler/filter", question)[1])["NodeNames"] == ["n", "new"]

        binding = {"PodName": "z", "PodNamespace": "default", "PodUID": "uid-z", "Node": "n"}
        assert call(f"{url}/scheduler/bind", binding) == (200, '{"Error":""}')
        ((path, body, _),) = server.bindings
        assert (path, body["target"]["name"]) == ("/api/v1/namespaces/default/pods/z/binding", "n")

        refused = json.loads(call(f"{url}/scheduler/filter", {**question, "Pod": pod("w")})[1])
        assert ["new"] == refused["NodeNames"]
        assert "wants 8 CPU and 16Gi in one zone" in refused["FailedAndUnresolvableNodes"]["n"]

        server.collections[ReportReader.path].events.put({"type": "ADDED", "object": nrt("new", database("v"))})
        deadline = time.monotonic() + 10
        while 'nodes{knowledge="exact"} 2.0' not in call(f"{url}/metrics")[1]:
            assert time.monotonic() < deadline
            time.sleep(0.05)

        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {"bound", "filtered", "watch interrupted"} <= {line["message"] for line in lines}
    assert all({"time", "level", "logger"} <= line.keys() for line in lines)


def test_until_everything_was_listed_nothing_is_let_through(server: FakeApiServer, tmp_path: Path) -> None:
    """While the API server is away the extender is alive, not ready, and sends pods back."""
    server.refuse += [(503, "starting")] * 10_000
    with extender(server, tmp_path) as (url, _):
        eventually(f"{url}/healthz", 200)

        assert "the inventory is not complete yet, waiting for nodes" in eventually(f"{url}/readyz", 503)
        answer = json.loads(call(f"{url}/scheduler/filter", {"Pod": pod("z"), "NodeNames": ["n"]})[1])
        assert answer["Error"].startswith("numa: the inventory is not complete yet")


def test_a_connection_stays_open(server: FakeApiServer, tmp_path: Path) -> None:
    """Two questions go over one connection, as the scheduler's do."""
    with extender(server, tmp_path) as (url, _):
        eventually(f"{url}/readyz", 200)
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            for _ in range(2):
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = connection.recv(65536)
                while b"ok\n" not in answer:
                    answer += connection.recv(65536)
                assert b"keep-alive" in answer.lower()
                assert b"connection: close" not in answer.lower()


def test_the_demo_stops_at_an_interrupt(tmp_path: Path) -> None:
    """Ctrl-C ends the demo and its server, with exit code 0."""
    port = free_port()
    out = tmp_path / "out"
    with out.open("wb") as output:
        process = subprocess.Popen([*COMMAND, "demo", "--port", str(port)], stdout=output, env={**os.environ})
    deadline = time.monotonic() + 30
    while "Ctrl-C" not in out.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert call(f"http://127.0.0.1:{port}/readyz") == (200, "ok\n")
    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=30) == 0
    assert call(f"http://127.0.0.1:{port}/readyz")[0] == 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        pytest.param("{listen: {port: 0}}", "listen.port must be from 1 to 65535, not 0", id="a wrong setting"),
        pytest.param(
            "{inventory: {path: /nowhere}}",
            "/nowhere: there is no such file or folder",
            id="an inventory that is not there",
        ),
        pytest.param(
            "{inventory: {source: cluster, kubeconfig: /nowhere}}",
            "no way to the API server (/nowhere)",
            id="a kubeconfig that is not there",
        ),
    ],
)
def test_a_wrong_setting_ends_gunicorn_with_a_sentence(tmp_path: Path, settings: str, sentence: str) -> None:
    """Started by gunicorn itself, a wrong setting ends the program with a sentence and without a traceback."""
    file = tmp_path / "extender.yaml"
    file.write_text(settings)
    done = subprocess.run(
        [sys.executable, *SERVER],
        env={**os.environ, "NUMA_EXTENDER_CONFIG": str(file)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(
            ["serve", "--config", "/nowhere.yaml"], "Error: /nowhere.yaml: No such file or directory", id="no such file"
        ),
        pytest.param(["demo", "--pod", __file__], "not YAML", id="a pod that is no YAML"),
        pytest.param(["demo", "--port", "0"], "Invalid value for '--port'", id="a port out of range"),
    ],
)
def test_a_users_mistake_is_one_sentence(arguments: list[str], sentence: str) -> None:
    """A mistake at the command line ends with exit code 2 and a sentence, not with a traceback."""
    result = CliRunner().invoke(main, arguments)

    assert (2, True) == (result.exit_code, sentence in result.output), result.output


def test_replay_answers_line_by_line() -> None:
    """``replay`` answers a case a line; its exit code tells whether all lines were JSON."""
    result = CliRunner().invoke(main, ["replay"], input='{"id": "a"}\n')

    assert (0, "a") == (result.exit_code, json.loads(result.stdout)["id"])
    assert CliRunner().invoke(main, ["replay"], input="nonsense\n").exit_code == 1
