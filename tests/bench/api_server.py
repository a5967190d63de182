"""
What the extender needs of an API server, fast: lists in pages and watches that carry many events a second.

A process of its own: ``python -m bench.api_server PORT FILE``; the file holds ``PATH TAB OBJECT`` a line. Objects that
are posted to ``/updates/PATH?rate=N``, a line each, go to every watch of that path as modified, in turn and over and over,
so many a second, until ``/updates`` is posted to without any; the answer tells how many there were. The sender is here
because it would otherwise take time from whoever is measured, or measures.
"""

from __future__ import annotations

import itertools
import queue
import sys
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

UPDATES = "/updates"
BATCHES_A_SECOND = 50


class Store:
    """Objects as the bytes that they are sent as, and who watches them."""

    def __init__(self, path: Path) -> None:
        self.objects: defaultdict[str, list[bytes]] = defaultdict(list)
        for line in path.read_bytes().splitlines():
            where, _, item = line.partition(b"\t")
            self.objects[where.decode()].append(item)
        self.watches: defaultdict[str, list[queue.SimpleQueue[bytes]]] = defaultdict(list)
        self.sent = 0
        self._stop = threading.Event()
        self._versions = itertools.count(2)

    def update(self, path: str, items: list[bytes], rate: int) -> None:
        """Begins to send updates to the watches of a path, or, without any, ends it."""
        self._stop.set()
        if items:
            self.sent, self._stop = 0, threading.Event()
            threading.Thread(target=self._send, args=(path, items, rate, self._stop), daemon=True).start()

    def _send(self, path: str, items: list[bytes], rate: int, stop: threading.Event) -> None:
        coming, began = itertools.cycle(items), time.monotonic()
        for batch in itertools.count(1):
            some = [self._modified(item) for item in itertools.islice(coming, rate // BATCHES_A_SECOND)]
            for watch in self.watches[path]:
                watch.put(b"".join(some))
            self.sent += len(some)
            if stop.wait(max(0.0, began + batch / BATCHES_A_SECOND - time.monotonic())):
                return

    def _modified(self, item: bytes) -> bytes:
        metadata = b'"metadata":{"resourceVersion":"%d",' % next(self._versions)
        return b'{"type":"MODIFIED","object":' + item.replace(b'"metadata":{', metadata, 1) + b"}\n"


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
            url = urlsplit(self.path)
            items = self.rfile.read(int(self.headers["Content-Length"])).splitlines()
            store.update(url.path.removeprefix(UPDATES), items, int(parse_qs(url.query).get("rate", ["0"])[0]))
            self._send(b"%d" % store.sent)

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
