"""Stands between the scheduler and the extender and keeps what they say to each other."""

import itertools
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import orjson
import urllib3

FORWARDED = ("Content-Type", "Content-Encoding", "Accept-Encoding", "User-Agent", "Accept")


class Recorder:
    """
    A reverse proxy. Each exchange becomes a file `NNNN-VERB.json` of `folder`:
    `{"path", "headers", "request", "status", "response", "seconds"}`, bodies as JSON where they are JSON, else as text.
    """

    def __init__(self, target: str, folder: Path, port: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.url = f"http://127.0.0.1:{port}"
        self._pool = urllib3.PoolManager(maxsize=16, retries=False)
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.exchange = self._exchange
        self._thread = threading.Thread(target=self._server.serve_forever, name="recorder", daemon=True)
        self._target, self._folder = target.rstrip("/"), folder
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._pool.clear()

    def _exchange(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        begin = time.monotonic()
        try:
            response = self._pool.request(method, self._target + path, body=body, headers=headers, timeout=60)
            status, kind, answer = response.status, response.headers.get("Content-Type", ""), response.data
        except urllib3.exceptions.HTTPError as error:
            status, kind, answer = 502, "text/plain", str(error).encode()
        seconds = time.monotonic() - begin
        exchange = {
            "path": path,
            "headers": headers,
            "request": _readable(body),
            "status": status,
            "response": _readable(answer),
            "seconds": round(seconds, 6),
        }
        with self._lock:
            number = next(self._numbers)
        name = f"{number:04}-{path.rstrip('/').rsplit('/', 1)[-1]}.json"
        (self._folder / name).write_bytes(orjson.dumps(exchange, option=orjson.OPT_INDENT_2))
        return status, kind, answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    exchange: Any


class _Handler(BaseHTTPRequestHandler):
    # The scheduler keeps its connections open.
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._forward("GET")

    def do_POST(self) -> None:
        self._forward("POST")

    def _forward(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name: self.headers[name] for name in FORWARDED if name in self.headers}
        status, kind, answer = self.server.exchange(method, self.path, headers, body)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing: the exchanges are kept."""


def _readable(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")
