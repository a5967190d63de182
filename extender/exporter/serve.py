"""/metrics, /healthz and /readyz over plain HTTP, with the standard library's server: three pages need no more."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from extender.exporter.metrics import Metrics

TEXT = "text/plain; version=0.0.4; charset=utf-8"

CLIENT_SECONDS = 10
"""A client that says nothing for so long is left."""


class ServeError(Exception):
    """The address cannot be listened on; the message is one sentence."""


class Server:
    """The pages."""

    def __init__(
        self,
        address: str,
        port: int,
        metrics: Metrics,
        is_alive: Callable[[], bool],
        is_ready: Callable[[], bool],
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            """Answers for this server."""

            timeout = CLIENT_SECONDS

            def do_GET(self) -> None:
                """Answers with a page."""
                if self.path == "/metrics":
                    self._answer(HTTPStatus.OK, metrics.text())
                elif self.path == "/healthz":
                    self._say(b"the exporter's loop does not turn\n", well=is_alive())
                elif self.path == "/readyz":
                    self._say(b"nothing has been published yet\n", well=is_ready())
                else:
                    self._answer(HTTPStatus.NOT_FOUND, b"there are /metrics, /healthz and /readyz\n")

            def _say(self, otherwise: bytes, *, well: bool) -> None:
                status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(status, b"ok\n" if well else otherwise)

            def _answer(self, status: HTTPStatus, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", TEXT)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Says nothing: a scrape is no event."""

        class Pages(ThreadingHTTPServer):
            """Listens on addresses of both families."""

            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

        try:
            self._server = Pages((address, port), Handler)
        except (OSError, OverflowError) as error:
            raise ServeError(
                f"serve.address {address!r} with serve.port {port} cannot be listened on: {error}"
            ) from None

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Answers in a thread."""
        threading.Thread(target=self._server.serve_forever, name="Server", daemon=True).start()

    def stop(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()
