"""A small API server for tests of the client side: pages, watches, bookmarks, and every way in which they end."""

from __future__ import annotations

import base64
import json
import queue
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

Object = dict[str, Any]
CLOSE = object()
"""Put into ``FakeApiServer.events``: the watch ends as after its time-out."""
BREAK = object()
"""The connection breaks in the middle of an event."""


class Collection:
    """The objects below one path."""

    def __init__(self) -> None:
        self.objects: list[Object] = []
        self.version = 1
        self.events: queue.Queue[Any] = queue.Queue()
        """What the current watch sends next: an event, CLOSE or BREAK."""


class FakeApiServer:
    """State of one server; a test reads and writes it directly."""

    def __init__(self) -> None:
        self.collections: defaultdict[str, Collection] = defaultdict(Collection)
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Path and query of every request, in order."""
        self.bindings: list[tuple[str, Object, str]] = []
        """Path, body and Authorization header of every POST."""
        self.refuse: list[tuple[int, str]] = []
        """Status and message with which the next requests are refused."""
        self.asked: Callable[[str, Object], None] = lambda _path, _body: None
        """Called with the path and body of each POST before it is answered."""
        self.hang_up = False
        """Whether a connection ends after an answer, without a word."""
        self.connections = 0
        self.url = ""

    def paths(self) -> list[str]:
        """What was asked for, shortened to list and watch with its version."""
        return [f"watch {query['resourceVersion']}" if "watch" in query else "list" for _, query in self.requests]


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[FakeApiServer]:
    """Runs a server on a free port, in plain HTTP unless ``tls`` says otherwise."""
    state = FakeApiServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            state.connections += 1

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            state.requests.append((url.path, query))
            if state.refuse:
                self._status(*state.refuse.pop(0))
            elif "watch" in query:
                self._watch(state.collections[url.path])
            else:
                self._page(state.collections[url.path], int(query["limit"]), int(query.get("continue", 0)))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.bindings.append((self.path, body, self.headers.get("Authorization", "")))
            state.asked(self.path, body)
            if state.refuse:
                self._status(*state.refuse.pop(0))
            else:
                self._send(201, {"kind": "Status", "status": "Success"})

        def _page(self, collection: Collection, limit: int, start: int) -> None:
            more = {"continue": str(start + limit)} if start + limit < len(collection.objects) else {}
            metadata = {"resourceVersion": str(collection.version), **more}
            self._send(200, {"metadata": metadata, "items": collection.objects[start : start + limit]})

        def _watch(self, collection: Collection) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while (event := collection.events.get()) is not CLOSE:
                line = b'{"type": "MODI' if event is BREAK else json.dumps(event).encode() + b"\n"
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                if event is BREAK:
                    self.close_connection = True
                    return
                if event["type"] == "ERROR":
                    break  # the API server ends a watch after an error
            self.wfile.write(b"0\r\n\r\n")

        def _status(self, code: int, message: str) -> None:
            self._send(code, {"kind": "Status", "message": message, "code": code})

        def _send(self, code: int, document: Object) -> None:
            body = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = state.hang_up

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    state.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield state
    finally:
        for collection in list(state.collections.values()):
            collection.events.put(CLOSE)
        server.shutdown()
        server.server_close()


def kubeconfig(folder: Path, url: str, token: str = "t", authority: bytes = b"") -> Path:
    """Writes a kubeconfig for a server, with the authority of its certificate if it has one."""
    server = {"server": url}
    if authority:
        server["certificate-authority-data"] = base64.b64encode(authority).decode()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": server}],
        "users": [{"name": "test", "user": {"token": token}}],
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    return file
