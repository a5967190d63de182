"""The extender as ``numa-extender serve`` starts it, on the sample inventory, with certificates where a test wants them."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
import yaml

COMMAND = [sys.executable, "-c", "from extender.cli import main; main()", "serve", "--config"]
ROOT = Path(__file__).parents[2]
QUESTION = (ROOT / "config" / "requests" / "filter.json").read_bytes()
START_SECONDS = 120


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Server:
    """A running extender."""

    port: int
    health: str
    process: subprocess.Popen[bytes]
    log: Path

    def metric(self, line: str) -> float:
        """The value of a metric; 0 where there is none."""
        lines = get(f"{self.health}/metrics")[1].splitlines()
        return next((float(one.rpartition(" ")[2]) for one in lines if one.startswith(f"{line} ")), 0.0)

    def lines(self, message: str) -> list[dict[str, Any]]:
        """Log lines with a message."""
        told = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in told if line["message"] == message]


@contextmanager
def serving(folder: Path, changes: Mapping[str, Mapping[str, Any]] | None = None) -> Iterator[Server]:
    """Runs an extender with its verbs and its health behind ports of their own; it is ended whatever happens."""
    port, health = free_port(), free_port()
    settings: dict[str, dict[str, Any]] = {
        "listen": {"port": port},
        "health": {"port": health},
        "rules": {"assume": "bind"},
    }
    for section, values in (changes or {}).items():
        settings[section] = {**settings.get(section, {}), **values}
    file, log = folder / "extender.yaml", folder / "log"
    file.write_text(yaml.safe_dump(settings))
    with log.open("wb") as output:
        process = subprocess.Popen([*COMMAND, str(file)], stderr=output)
    try:
        server = Server(port, f"http://127.0.0.1:{health}", process, log)
        deadline = time.monotonic() + START_SECONDS
        while get(f"{server.health}/readyz")[0] != 200:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield server
    finally:
        process.kill()
        process.wait()


def get(url: str) -> tuple[int, str]:
    """Status and body; status 0 where there is no answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


class Pki:
    """An authority, and files of certificates that it has signed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.authority = trustme.CA()
        self.ca_file = folder / "ca.crt"
        self.ca_file.write_bytes(self.authority.cert_pem.bytes())

    def issue(self, name: str, *, expired: bool = False, file: str = "") -> tuple[Path, Path]:
        """Writes a certificate for a name and for 127.0.0.1, and its key."""
        now = dt.datetime.now(dt.UTC)
        ends = now - dt.timedelta(days=1) if expired else now + dt.timedelta(days=1)
        begins = now - dt.timedelta(days=2)
        made = self.authority.issue_cert(name, "127.0.0.1", common_name=name, not_before=begins, not_after=ends)
        certificate, key = self.folder / f"{file or name}.crt", self.folder / f"{file or name}.key"
        made.private_key_pem.write_to_path(key)
        certificate.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
        return certificate, key

    def settings(self, **more: str) -> dict[str, str]:
        """The section tls of a server whose certificate was issued to a file ``server``."""
        return {
            "certificateFile": str(self.folder / "server.crt"),
            "keyFile": str(self.folder / "server.key"),
            "clientCaFile": str(self.ca_file),
            **more,
        }

    def context(self, client: tuple[Path, Path] | None) -> ssl.SSLContext:
        """What a client uses."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        if client:
            context.load_cert_chain(*client)
        return context
