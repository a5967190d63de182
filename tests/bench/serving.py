"""Extenders under measurement: real gunicorn processes on free ports, and a client that keeps its connection open."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

from bench.figures import FOLDER
from extender.settings import VARIABLE

ROOT = Path(__file__).parent.parent.parent
TESTS = Path(__file__).parent.parent
START_SECONDS = 180
GTHREAD = ("--worker-class=gthread", "--workers=1", "--threads=8", "--keep-alive=120", "--no-control-socket")


@contextmanager
def extender(
    app: str = "bench.served:serve()", settings: Mapping[str, object] | None = None, *, nodes: int = 0
) -> Iterator[tuple[int, int]]:
    """Serves an extender as users do; yields its port and the process id of its worker's parent, once it is ready."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "extender.yaml")
        file.write_text(yaml.safe_dump({**(settings or {}), "listen": {"port": port}}))
        with _gunicorn(
            port, ["--config=python:extender.gunicorn_config", app], {VARIABLE: str(file), "NODES": str(nodes)}
        ) as pid:
            yield port, pid


@contextmanager
def noop(kubeconfig: Path | None = None) -> Iterator[int]:
    """Serves the extender that does nothing, or nothing but bind, by gunicorn's own worker; yields its port."""
    port = free_port()
    environment = {"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}
    with _gunicorn(port, [*GTHREAD, f"--bind=127.0.0.1:{port}", "bench.noop_extender:app"], environment):
        yield port


@contextmanager
def _gunicorn(port: int, words: list[str], environment: Mapping[str, str]) -> Iterator[int]:
    path = os.pathsep.join(map(str, (TESTS, ROOT)))
    command = [sys.executable, "-m", "gunicorn", *words]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with Path(FOLDER, "servers.log").open("ab") as log:  # as much as by default, for that costs time too
        process = subprocess.Popen(command, cwd=ROOT, stderr=log, env={**os.environ, "PYTHONPATH": path, **environment})
    try:
        _wait(port, process)
        yield process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


class Client:
    """One connection, as a scheduler keeps it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: bytes) -> tuple[float, bytes]:
        """Posts a body; returns the seconds until the whole answer was there, and the answer."""
        began = time.perf_counter()
        self._connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        answer = response.read()
        took = time.perf_counter() - began
        if response.status != 200:
            raise RuntimeError(f"{path} answered {response.status}: {answer[:200]!r}")
        return took, answer


def worker(parent: int) -> int:
    """Returns the process id of a gunicorn's one worker."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(children[0])


def resident_bytes(pid: int) -> int:
    """Returns the memory that a process holds now (VmRSS)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(pid: int) -> int:
    """Returns the most memory that a process ever held (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no VmHWM")


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it was ready")
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the server was not ready after {START_SECONDS} s")
