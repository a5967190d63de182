"""
What the extender needs of an API server, fast: lists in pages and watches that carry many events a second.

A process of its own: ``python -m bench.api_server PORT FILE``; the file holds ``PATH TAB OBJECT`` a line. Events are
posted to ``/events/PATH``, a batch of lines at a time, and go to every watch of that path as they are.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

EVENTS = "/events"


class Store:
    """Objects as the bytes that they are sent as, and who watches them."""

    def __init__(self, path: Path) -> None:
        self.objects: defaultdict[str, list[bytes]] = defaultdict(list)
        for line in path.read_bytes().splitlines():
            where, _, item = line.partition(b"\t")
            self.objects[where.decode()].append(item)
        self.watches: defaultdict[str, list[queue.SimpleQueue[bytes]]] = defaultdict(list)


def handler(store: Store) -> type[BaseHTTPRequestHandler]:
    """Makes the request handler of a store."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = parse_qs(url.query)
            if "watch" in query:
                self._watch(url.path)
            else:
                self._page(url.path, int(query["limit"][0]), int(query.get("continue", ["0"])[0]))

        def do_POST(self) -> None:
            lines = self.rfile.read(int(self.headers["Content-Length"]))
            for watch in store.watches[urlsplit(self.path).path.removeprefix(EVENTS)]:
                watch.put(lines)
            self._send(b"{}")

        def _page(self, path: str, limit: int, start: int) -> None:
            items = store.objects[path]
            more = f',"continue":"{start + limit}"'.encode() if start + limit < len(items) else b""
            listed = b",".join(items[start : start + limit])
            self._send(b'{"metadata":{"resourceVersion":"1"' + more + b'},"items":[' + listed + b"]}")

        def _watch(self, path: str) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            events: queue.SimpleQueue[bytes] = queue.SimpleQueue()
            store.watches[path].append(events)
            while True:
                lines = events.get()
                self.wfile.write(f"{len(lines):x}\r\n".encode() + lines + b"\r\n")
                self.wfile.flush()

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def main() -> None:
    """Serves until it is ended."""
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler(Store(Path(sys.argv[2]))))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main()
