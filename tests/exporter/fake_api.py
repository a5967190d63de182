"""An API server for one node: list, watch, get, server-side apply and merge patch over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

Json = dict[str, Any]

NODES, PODS = "/api/v1/nodes", "/api/v1/pods"


@dataclass(frozen=True)
class Write:
    """A PATCH that came in."""

    path: str
    kind: str
    query: Mapping[str, str]
    body: Json


class FakeApi:
    """Objects by path, their changes as events, and all writes in order."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.documents: dict[str, Json] = {}
        """Answers of paths that are no objects, e.g. a proxied /configz."""
        self.writes: list[Write] = []
        self.refusals: dict[str, int] = {}
        """Path to the status with which PATCHes of it are refused."""
        self.oldest = 0
        """Watches from before this version are told that it is gone."""
        self.lists = 0
        self._version = 0
        self._events: list[tuple[int, str, str, Json]] = []
        self._condition = threading.Condition()
        self.stopped = False
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    def start(self) -> None:
        """Listens; after a stop on the same port again."""
        self.stopped = False
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Ends watches and stops listening."""
        with self._condition:
            self.stopped = True
            self._condition.notify_all()
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def kubeconfig(self, folder: Path) -> str:
        """Writes a kubeconfig for it and returns its path."""
        path = folder / "kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "u", "user": {"token": "secret"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        path.write_text(yaml.safe_dump(document))
        return str(path)

    def put(self, path: str, item: Json) -> Json:
        """Creates or replaces an object and tells the watches."""
        with self._condition:
            known = path in self.objects
            self._version += 1
            item = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self._version)}}
            self.objects[path] = item
            self._events.append((self._version, path, "MODIFIED" if known else "ADDED", item))
            self._condition.notify_all()
            return item

    def delete(self, path: str) -> None:
        """Deletes an object and tells the watches."""
        with self._condition:
            self._version += 1
            item = self.objects.pop(path)
            item = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self._version)}}
            self._events.append((self._version, path, "DELETED", item))
            self._condition.notify_all()

    def expire(self) -> None:
        """Makes every version so far too old to watch from, and ends all watches."""
        with self._condition:
            self._version += 1
            self.oldest = self._version
            self._events.append((self._version, "", "ERROR", {"kind": "Status", "code": 410, "message": "too old"}))
            self._condition.notify_all()

    def collection(self, path: str) -> tuple[list[Json], int]:
        """Returns the objects of a collection and the version of now."""
        with self._condition:
            self.lists += 1
            return [item for name, item in sorted(self.objects.items()) if name.startswith(f"{path}/")], self._version

    def events(self, path: str, since: int) -> Iterator[Json]:
        """Yields the events of a collection for as long as the server runs."""
        sent = since
        while True:
            with self._condition:
                fresh = [event for event in self._events if event[0] > sent]
                if self.stopped:
                    return
                if not fresh:
                    self._condition.wait(5)
                    continue
            for version, name, kind, item in fresh:
                sent = version
                if kind == "ERROR":
                    yield {"type": kind, "object": item}
                    return
                if name.startswith(f"{path}/"):
                    yield {"type": kind, "object": item}

    def patch(self, write: Write) -> tuple[int, Json]:
        """Takes a PATCH in: apply creates what is not there, merge does not."""
        self.writes.append(write)
        if write.path in self.refusals:
            return self.refusals[write.path], {"kind": "Status", "message": "refused by the test"}
        if write.path not in self.objects and "apply" not in write.kind:
            return 404, {"kind": "Status", "message": "not found"}
        return 200, self.put(write.path, _merged(self.objects.get(write.path, {}), write.body))


def _merged(old: Json, new: Json) -> Json:
    merged = dict(old)
    for key, value in new.items():
        merged[key] = _merged(old.get(key) or {}, value) if isinstance(value, dict) else value
    return merged


def _handler(api: FakeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def parse_request(self) -> bool:
            # A server that is gone answers nothing on connections from before either.
            self.close_connection = api.stopped
            return not api.stopped and super().parse_request()

        def do_GET(self) -> None:
            path, query = self._split()
            if path in api.objects or path in api.documents:
                self._answer(200, api.objects.get(path) or api.documents[path])
            elif path not in {NODES, PODS}:
                self._answer(404, {"kind": "Status", "message": f"{path} not found"})
            elif query.get("watch"):
                self._watch(path, int(query["resourceVersion"]))
            else:
                items, version = api.collection(path)
                self._answer(200, {"metadata": {"resourceVersion": str(version)}, "items": items})

        def do_PATCH(self) -> None:
            path, query = self._split()
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(*api.patch(Write(path, self.headers["Content-Type"], query, body)))

        def _split(self) -> tuple[str, dict[str, str]]:
            parts = urlsplit(self.path)
            return parts.path, dict(parse_qsl(parts.query))

        def _watch(self, path: str, since: int) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.close_connection = True
            try:
                if since < api.oldest:
                    self._chunk({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}})
                for event in api.events(path, since) if since >= api.oldest else ():
                    self._chunk(event)
                self._chunk(None)
            except OSError:
                pass

        def _chunk(self, event: Json | None) -> None:
            line = b"" if event is None else json.dumps(event).encode() + b"\n"
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            self.wfile.flush()

        def _answer(self, status: int, document: Json) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    return Handler


@contextmanager
def api_server() -> Iterator[FakeApi]:
    """An API server that runs."""
    fake = FakeApi()
    fake.start()
    yield fake
    fake.stop()


def node(name: str, version: str = "v1.37.2", capacity: Mapping[str, str] | None = None) -> Json:
    """A Node."""
    return {
        "metadata": {"name": name, "uid": f"node-{name}"},
        "status": {"nodeInfo": {"kubeletVersion": version}, "capacity": {"cpu": "8", **(capacity or {})}},
    }


def pod(name: str, uid: str, *containers: str, started: bool = True, **more: Any) -> Json:
    """A pod of the namespace default; ``phase``, ``annotations`` and ``initContainers`` may be given."""
    status: Json = {"phase": more.get("phase", "Running" if started else "Pending")}
    if started:
        status["startTime"] = "2026-01-01T00:00:00Z"
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": uid,
            "annotations": more.get("annotations", {}),
        },
        "spec": {
            "nodeName": "n1",
            "containers": [{"name": container} for container in containers or ("main",)],
            "initContainers": more.get("initContainers", []),
        },
        "status": status,
    }
