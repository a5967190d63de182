"""
How connections are kept: gunicorn's threads, with limits that clients cannot stretch.

A connection holds a thread only while a request arrives or is answered, and a moment longer, as a scheduler's next call
follows at once; a request has to arrive within ``listen.requestSeconds``, few large ones arrive at a time, and at most
``listen.threads`` are answered at a time. A client that is slow, silent, malformed or unknown costs its own connection
and nothing else. When told to stop, requests are answered for ``listen.drainSeconds`` more, each with the word that the
connection closes.

Source: gunicorn/workers/gthread.py, whose ThreadWorker this narrows; RFC 9112 section 9.6 (how connections end).
"""

from __future__ import annotations

import ctypes
import io
import logging
import select
import selectors
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from functools import lru_cache, partial
from typing import Any

from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.http.errors import NoMoreData, ParseException  # type: ignore[import-untyped]
from gunicorn.http.unreader import SocketUnreader  # type: ignore[import-untyped]
from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker  # type: ignore[import-untyped]

from extender.certificates import Certificates
from extender.doors import Subject, doors
from extender.entrance import FIRST, GUARD, STOPPING, VERBS
from extender.heads import Heads, Parser
from extender.process import Precedence
from extender.settings import load

log = logging.getLogger(__name__)

LINGER_MILLISECONDS = 100
"""
How long the thread that has answered waits for the connection's next request. Handing connections from thread to
thread costs more than all else that is done for a small request; a thread that waits costs nothing.
"""
CHUNK = 2**16
"""Bytes that are read at a time: the names of some 4,000 nodes."""
LARGE = 2**20
"""Bytes from which on a body is a large one; the names of 20,000 nodes are half of that."""
LARGE_AT_A_TIME = 4
"""Large bodies that are held in memory at the same time."""
M_ARENA_MAX, ARENAS = -8, 2
"""Of glibc's malloc: an arena for every few threads, as by default, would keep what hundreds of them once needed."""
FAREWELL_SECONDS = 1.0
"""How long a closed connection's last bytes are waited for, so that the last answer arrives."""


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return str(util.http_date(second))


@lru_cache(maxsize=256)
def _variable(header: str) -> str:
    name = header.replace("-", "_")
    return name if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{name}"


class SlowError(NoMoreData):  # type: ignore[misc] # gunicorn has no types
    """The client has not sent its request in time; the connection ends without an answer."""


class Punctual(SocketUnreader):  # type: ignore[misc] # gunicorn has no types
    """Reads a socket until a moment."""

    def __init__(self, sock: Any, seconds: float) -> None:
        super().__init__(sock, CHUNK)
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def begin(self) -> None:
        """Gives the next request its time."""
        self._until = time.monotonic() + self._seconds

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Returns what comes next."""
        remaining = self._until - time.monotonic()
        try:
            if remaining <= 0:
                raise TimeoutError
            self.sock.settimeout(remaining)
            return bytes(super().chunk(size_hint))
        except TimeoutError:
            raise SlowError from None


class Connection(TConn):  # type: ignore[misc] # gunicorn has no types
    """One client; with a door's certificates it speaks TLS."""

    sock: Any
    parser: Any
    initialized: bool

    certificates: Certificates | None = None
    seconds: float = 10.0
    context: ssl.SSLContext | None = None
    left: Callable[[], None] | None = None
    """Called once it is closed."""
    ear: select.poll | None = None
    """Hears whether there is more to read."""
    hurried: bool = False
    """Whether its last request was one that news waits for."""
    claims: bool = False
    """Whether news is waiting for it."""

    def init(self) -> None:
        """
        Shakes hands and prepares reading.

        Raises:
            SSLError: if the client has no certificate that is trusted.
            TimeoutError: if it is slow about it.
        """
        if self.initialized:
            return
        if self.certificates is not None:
            self.context = self.certificates.context
            self.sock = self.context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
            self.sock.settimeout(self.seconds)
            self.sock.do_handshake()
            if self.certificates.is_stranger(self.sock.getpeercert()):
                setting = f"{self.certificates.section}.clientNames"
                raise ssl.SSLError(1, f"the client's certificate has none of the names in {setting}")
        self.parser = Parser(self.cfg, self.sock, self.client)
        self.parser.unreader = Punctual(self.sock, self.seconds)
        self.initialized = True

    @property
    def outdated(self) -> bool:
        """Whether the certificates have changed since."""
        return self.certificates is not None and self.certificates.context is not self.context

    def goes_on(self, milliseconds: int) -> bool:
        """Waits for the next request, or the end; whether there is any of both."""
        if self.parser.unreader.buf.tell() or (self.context is not None and self.sock.pending()):
            return True
        if self.ear is None:
            self.ear = select.poll()
            self.ear.register(self.sock, select.POLLIN)
        return bool(self.ear.poll(milliseconds))

    def close(self, graceful: bool = False) -> None:
        """Closes at once: whoever served it has said farewell in its own thread."""
        util.close(self.sock)
        left, self.left = self.left, None
        if left is not None:
            left()


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """Gunicorn's worker, narrowed."""

    wsgi: Any
    _precedence: Precedence

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._settings = load()
        self._heads = Heads(self.cfg)
        self._doors = {door.port: door for door in doors(self._settings)}
        self._guests = 0
        self._certificates: dict[str, Certificates] = {}
        """By the section of the settings that says who is let in: doors of the same one share them."""
        self._turns = threading.BoundedSemaphore(self._settings.listen.threads)
        self._large = threading.BoundedSemaphore(LARGE_AT_A_TIME)
        self._stopping = False
        self._dropped: Callable[[str], None] = lambda _why: None

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Nothing to say: there are as many threads as connections, on purpose."""

    def init_process(self) -> None:
        """Has memory given back by many threads, then serves."""
        with suppress(OSError, AttributeError):  # another libc has no arenas
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
        super().init_process()

    def load_wsgi(self) -> None:
        """Loads the app and puts the limit on what is computed at a time around it."""
        super().load_wsgi()
        metrics, self._precedence = self.wsgi.extensions["metrics"], self.wsgi.extensions["precedence"]
        self._dropped = lambda why: metrics.dropped.labels(why).inc()
        for door in self._doors.values():
            if door.tls is not None and door.section not in self._certificates:
                self._certificates[door.section] = Certificates(
                    door.tls, lambda result: metrics.certificates.labels(result).inc(), section=door.section
                )
        self.wsgi = self._in_turn(self.wsgi)

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """As many threads as connections, started when they are needed: most of them wait for bytes."""
        return ThreadPoolExecutor(self._settings.listen.connections, thread_name_prefix="request")

    def handle_exit(self, sig: int, frame: object) -> None:
        """Goes on for a while, as one that is not ready any more, then stops in order."""
        if self._stopping:
            return
        self._stopping = True
        if self._settings.listen.drain_seconds and self.alive:
            timer = threading.Timer(self._settings.listen.drain_seconds, super().handle_exit, (sig, frame))
            timer.daemon = True
            timer.start()
        else:
            super().handle_exit(sig, frame)

    def accept(self, listener: Any) -> None:
        """Takes a connection in, which gets a thread once it has something to say."""
        try:
            sock, address = listener.accept()
        except OSError:
            return  # it has gone again, or there are too many files open: the next look tells
        here = listener.getsockname()
        door = self._doors[here[1]]
        made = Connection(self._heads, sock, address, here)
        made.seconds = self._settings.listen.request_seconds
        made.certificates = self._certificates[door.section] if door.tls else None
        if Subject.VERBS not in door.subjects:  # the guard too: who asks there need not show a certificate
            if self._guests >= self._settings.listen.connections // 2:
                self._drop(made, "crowd", "more than half of all connections are not the scheduler's")
                made.close()
                return
            made.left = self._guest_left
            self._guests += 1
        self.nr_conns += 1
        self._wait_for(made)

    def _wait_for(self, conn: Connection) -> None:
        """Keeps a connection that has not spoken yet as long as one that has: clients open some for later."""
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _guest_left(self) -> None:
        self._guests -= 1

    def _cap_keepalive(self, deadline: float) -> None:
        """Ends what is silent by then, whether it has spoken before or not."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def handle(self, conn: Connection) -> object:
        """Serves the requests of a connection that come one after the other; runs in a thread."""
        while True:
            self._hurry(conn, conn.hurried)  # what comes now is most likely alike: news waits also while it is read
            try:
                stays = self._serve(conn)
            finally:
                self._hurry(conn, False)
            if stays is not True or self._stopping or not conn.goes_on(LINGER_MILLISECONDS):
                return stays

    def _hurry(self, conn: Connection, hurried: bool) -> None:
        """Has news wait for a connection, or not any more."""
        if hurried is not conn.claims:
            conn.claims = hurried
            (self._precedence.claim if hurried else self._precedence.release)()

    def _serve(self, conn: Connection) -> object:
        """Serves one request."""
        try:
            if not conn.initialized:
                conn.sock.setblocking(True)
                conn.init()
                if conn.context is not None and not conn.sock.pending():
                    return _DEFER  # hands were shaken for a question that may come much later
            conn.parser.unreader.begin()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            why = "slow" if isinstance(error, TimeoutError) else "handshake"
            self._drop(conn, why, getattr(error, "reason", None) or str(error))
            return False
        stays = super().handle(conn)
        if not stays:
            util.close_graceful(conn.sock, timeout=FAREWELL_SECONDS)
        return stays

    def handle_request(self, req: Any, conn: Connection) -> object:
        """Has the body arrive, then the request answered."""
        if self._stopping or conn.outdated:
            req.force_close()
        try:
            self._receive(req, conn)
        except SlowError:
            self._drop(conn, "slow", "the request did not arrive in time")
            raise
        conn.sock.settimeout(conn.seconds)
        if req.method == "POST" and (req.path in VERBS or req.path == GUARD):
            return self._answer(req, conn)
        return super().handle_request(req, conn)

    def _answer(self, req: Any, conn: Connection) -> bool:
        """
        Has a verb or the guard answered: with as much of gunicorn's environment as it reads, and in one piece, so that
        the caller wakes up once. Returns whether the connection stays.
        """
        conn.hurried = req.path in FIRST
        self._hurry(conn, conn.hurried)
        environ = {_variable(name): value for name, value in req.headers}
        environ |= {
            "REQUEST_METHOD": req.method,
            "PATH_INFO": req.path,
            "SERVER_PORT": str(conn.server[1]),
            "wsgi.input": req.body,
        }
        head: list[str] = []

        def start(status: str, headers: Iterable[tuple[str, str]]) -> None:
            head.append(f"HTTP/1.1 {status}\r\n")
            head.extend(f"{name}: {value}\r\n" for name, value in headers)

        body = b"".join(self.wsgi(environ, start))
        stays = self.alive and len(self.keepalived_conns) < self.max_keepalived and not req.should_close()
        head.append(f"Date: {_date(int(time.time()))}\r\nConnection: {'keep-alive' if stays else 'close'}\r\n\r\n")
        conn.sock.sendall("".join(head).encode("latin-1") + body)
        return stays

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answers 400 to what is no HTTP; a fault of ours is gunicorn's to tell."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        self._dropped("malformed")
        log.info("a request is no HTTP", extra={"client": addr[0] if addr else "", "why": str(exc)[:200]})
        try:
            util.write_error(client, 400, "Bad Request", "")
        except OSError:
            return

    def _drop(self, conn: Connection, why: str, details: str) -> None:
        self._dropped(why)
        log.warning("a connection is closed", extra={"client": conn.client[0], "kind": why, "why": details})

    def _receive(self, req: Any, conn: Connection) -> None:
        """Reads the body, unless it is longer than allowed, which is for the app to say."""
        headers = dict(req.headers)
        length = int(headers.get("CONTENT-LENGTH", 0))
        limit = self._settings.listen.max_body_bytes
        if length > limit:
            req.force_close()
            return
        chunked = "TRANSFER-ENCODING" in headers
        if not length and not chunked:
            return
        if headers.get("EXPECT", "").lower() == "100-continue":
            req.headers = [header for header in req.headers if header[0] != "EXPECT"]
            conn.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if chunked or length > LARGE:
            with self._large:
                body = req.body.read(limit + 1)
        else:
            body = req.body.read(length)
        if len(body) < length:
            raise NoMoreData
        if len(body) > limit:
            req.force_close()
        if chunked:  # whoever reads it from here on finds one piece of known length
            kept = [header for header in req.headers if header[0] != "TRANSFER-ENCODING"]
            req.headers = [*kept, ("CONTENT-LENGTH", str(len(body)))]
        req.body = io.BytesIO(body)

    def _in_turn(self, app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            environ[STOPPING] = self._stopping
            # bind keeps its turn until the API server has taken the Binding, about which that may first ask the guard.
            with nullcontext() if environ["PATH_INFO"] == GUARD else self._turns:
                return app(environ, start_response)

        return call
