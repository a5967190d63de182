"""
The only module that talks to the API server: who we are, list and watch, and the Binding.

Authentication and transport are the official client's (kubeconfig, service account, exec plugins); objects stay
what they are on the wire, parsed by orjson, because that client's typed models cost half a millisecond a pod and
hold the interpreter lock while a verb waits. What an object means is for its reader, an ``ObjectReader``, to say.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/ (efficient detection of changes, 410 Gone).
"""

from __future__ import annotations

import logging
import random
import select
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from ssl import SSLContext
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import orjson
import urllib3
from kubernetes.client.configuration import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from urllib3.util.ssl_ import create_urllib3_context

from extender.metrics import Metrics

log = logging.getLogger(__name__)

PAGE = 500
"""Objects per page of a list, as client-go asks."""
WATCH_SECONDS = 290
"""The API server ends a watch after this; a restart from the last version costs nothing."""
SILENCE_SECONDS = 320
"""A watch that has not ended by then is dead."""
CONNECT_SECONDS, READ_SECONDS = 5, 30
CALL_SECONDS = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
MOST_IDLE = 16
"""Connections for Bindings that are kept; as many as schedulers bind at a time."""
TOKEN_SECONDS = 1.0
"""For so long a token is used without asking whether there is a newer one."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 15.0

Object = dict[str, Any]


class KubeError(Exception):
    """The API server could not be reached or refused; the message is one sentence."""

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        """HTTP status; None where it is unknown whether the call had an effect."""


class ObjectReader(Protocol):
    """What takes in the objects of one resource, in the order of the API server's events."""

    resource: str
    """Plural name, for logs and metrics."""

    def replace(self, objects: Iterable[Object]) -> None:
        """Takes these objects as all that exist; they come page by page, and none need be kept."""

    def put(self, item: Object) -> None:
        """Takes an object that is new or changed."""

    def remove(self, item: Object) -> None:
        """Takes note that an object is gone."""


class Cluster:
    """One API server."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._pool = RESTClientObject(configuration).pool_manager
        self._lines = Lines(configuration) if _is_direct(configuration) else None
        self._asked: tuple[float, dict[str, str]] = 0.0, {}
        """Until when headers are good, and the headers."""

    def close(self) -> None:
        """Closes all connections that are not in use."""
        self._pool.clear()
        if self._lines is not None:
            self._lines.close()

    def pages(self, path: str, page: int = PAGE) -> Iterator[tuple[list[Object], str]]:
        """
        Yields the objects of a collection page by page, each with the version from which to watch.

        Raises:
            KubeError: if a page cannot be had; 410 if the list took so long that its continuation expired.
        """
        query: dict[str, str | int] = {"limit": page}
        while True:
            document = self._json("GET", f"{path}?{urlencode(query)}")
            metadata = document.get("metadata") or {}
            yield document.get("items") or [], metadata.get("resourceVersion", "")
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    def list(self, path: str, page: int = PAGE) -> list[Object]:
        """
        Returns all objects of a collection.

        Raises:
            KubeError: as ``pages``.
        """
        return [item for items, _ in self.pages(path, page) for item in items]

    def watch(self, path: str, version: str) -> Iterator[Object]:
        """
        Yields the watch events of a collection after ``version`` until the server ends the watch.

        Raises:
            KubeError: if the watch cannot be had or breaks; 410 if the version is too old.
        """
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": WATCH_SECONDS,
        }
        timeout = urllib3.Timeout(connect=5, read=SILENCE_SECONDS)
        response = self._request("GET", f"{path}?{urlencode(query)}", timeout=timeout, preload_content=False)
        try:
            for line in _lines(response):
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise KubeError(event["object"].get("message", "the watch failed"), event["object"].get("code"))
                yield event
        except (urllib3.exceptions.HTTPError, OSError, orjson.JSONDecodeError) as error:
            raise KubeError(f"the watch of {path} broke: {error}") from error
        finally:
            response.close()

    def bind(self, namespace: str, name: str, binding: Mapping[str, Any]) -> None:
        """
        Posts a Binding.

        Raises:
            KubeError: if it was refused (with a status), or it is unknown whether it took effect (without).
        """
        path, body = f"/api/v1/namespaces/{namespace}/pods/{name}/binding", orjson.dumps(binding)
        if self._lines is None:
            self._request("POST", path, body=body, timeout=CALL_SECONDS)
            return
        try:
            status, answer = self._lines.post(path, body, self._headers())
        except (HTTPException, OSError) as error:
            raise KubeError(f"POST {path}: {error}") from error
        if status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(f"POST {path}", status, answer)

    def _json(self, method: str, path: str) -> Object:
        response = self._request(method, path, timeout=CALL_SECONDS)
        try:
            return dict(orjson.loads(response.data))
        except (orjson.JSONDecodeError, TypeError, ValueError) as error:
            raise KubeError(f"{method} {path.partition('?')[0]}: the answer is no JSON object: {error}") from error

    def _request(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        headers = self._headers()
        url = f"{self._configuration.host}{path}"
        try:
            response: urllib3.BaseHTTPResponse = self._pool.request(
                method, url, headers=headers, retries=False, **options
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise KubeError(f"{method} {path.partition('?')[0]}: {error}") from error
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(f"{method} {path.partition('?')[0]}", response.status, response.data)
        return response

    def _headers(self) -> dict[str, str]:
        """With the bearer token, renewed by the client where it has to be; asked for once a second."""
        now = time.monotonic()
        until, headers = self._asked
        if until <= now:
            token = self._configuration.auth_settings().get("BearerToken")
            credentials = {"Authorization": token["value"]} if token and token["value"] else {}
            headers = {"Accept": "application/json", "Content-Type": "application/json", **credentials}
            self._asked = now + TOKEN_SECONDS, headers
        return headers


class Lines:
    """
    Connections to the API server for calls that come by the hundred in a second, each with a small answer.

    Python's own client takes half the time of the official one's, for which verbs would have to wait.
    """

    def __init__(self, configuration: Configuration) -> None:
        parts = urlsplit(configuration.host)
        self._host, self._port, self._prefix = parts.hostname or "", parts.port, parts.path.rstrip("/")
        self._context = _context(configuration)
        self._idle: deque[HTTPSConnection] = deque()

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """
        Posts a body and returns the answer's status and body.

        Raises:
            HTTPException: what came is no answer.
            OSError: the API server cannot be reached, or the connection broke.
        """
        line = self._line()
        try:
            line.request("POST", f"{self._prefix}{path}", body, dict(headers))
            with line.getresponse() as response:
                answer = response.read()
        except BaseException:
            line.close()
            raise
        if response.will_close or len(self._idle) >= MOST_IDLE:
            line.close()
        else:
            self._idle.append(line)
        return response.status, answer

    def close(self) -> None:
        """Closes what is not in use."""
        while self._idle:
            self._idle.pop().close()

    def _line(self) -> HTTPSConnection:
        """A connection that was open a moment ago, or a new one."""
        with suppress(IndexError):
            while True:
                line = self._idle.pop()
                if not _speaks(line):
                    return line
                line.close()  # the API server has nothing to say unasked but that it ends
        line = HTTPSConnection(self._host, self._port, timeout=CONNECT_SECONDS, context=self._context)
        line.connect()
        line.sock.settimeout(READ_SECONDS)
        return line


def _speaks(line: HTTPSConnection) -> bool:
    ear = select.poll()
    ear.register(line.sock, select.POLLIN)
    return bool(ear.poll(0))


def _is_direct(configuration: Configuration) -> bool:
    """Whether the way to the API server is a plain one; others are the official client's matter."""
    special = configuration.proxy, configuration.tls_server_name, configuration.assert_hostname
    return configuration.host.startswith("https://") and all(setting in {None, ""} for setting in special)


def _context(configuration: Configuration) -> SSLContext:
    """As the official client's."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE)
    if configuration.ssl_ca_cert or configuration.ca_cert_data:
        context.load_verify_locations(configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
    else:
        context.load_default_certs()
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def connect(kubeconfig: str = "", context: str | None = None) -> Cluster:
    """
    Returns the cluster of a kubeconfig file, or, without one, the cluster that this process runs in.

    Args:
        kubeconfig: one file, or several as in the variable KUBECONFIG.
        context: of the file; None is its current one.

    Raises:
        KubeError: if there is no such configuration.
    """
    configuration = Configuration()
    try:
        if kubeconfig:
            load_kube_config(kubeconfig, context, configuration)  # type: ignore[no-untyped-call]
        else:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        raise KubeError(f"no way to the API server ({kubeconfig or 'service account'}): {error}") from None
    return Cluster(configuration)


class Watch:
    """One collection, listed and then watched for ever by a thread of its own."""

    def __init__(
        self,
        cluster: Cluster,
        path: str,
        reader: ObjectReader,
        metrics: Metrics,
        give_way: Callable[[], object] = lambda: None,
        catch_up: Callable[[], object] = lambda: None,
    ) -> None:
        """Prepares a watch; ``give_way`` is called before each event is taken in, ``catch_up`` afterwards."""
        self.synced = threading.Event()
        """Set once the first full list has been taken in."""
        self.resource = reader.resource
        self._cluster, self._path, self._reader, self._metrics = cluster, path, reader, metrics
        self._give_way, self._catch_up = give_way, catch_up
        self._version = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{reader.resource}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end; it does at its next event or pause."""
        self._stop.set()

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            try:
                if not self._version:
                    self._list()
                self._follow()
                why, pause = "closed", FIRST_PAUSE_SECONDS
            except KubeError as error:
                why = "expired" if error.status == HTTPStatus.GONE else "failed"
                log.warning("watch interrupted", extra={"resource": self._reader.resource, "why": str(error)})
            except Exception:  # a fault of ours must not freeze the inventory: everything is read anew
                why = "expired"
                log.exception("watch interrupted by a fault of the extender")
            if why == "expired":
                self._version = ""
            if why != "closed":
                self._stop.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            self._metrics.watch_restarts.labels(self._reader.resource, why).inc()

    def _list(self) -> None:
        version = ""

        def objects() -> Iterator[Object]:
            nonlocal version
            for items, version in self._cluster.pages(self._path):  # noqa: B007 - that of the last page counts
                yield from items
                self._metrics.watch_events.labels(self._reader.resource, "LISTED").inc(len(items))

        self._reader.replace(objects())
        self._version = version
        self.synced.set()

    def _follow(self) -> None:
        """Takes events in until the watch ends."""
        for event in self._cluster.watch(self._path, self._version):
            self._metrics.watch_events.labels(self._reader.resource, event["type"]).inc()
            self._give_way()
            if event["type"] == "DELETED":
                self._reader.remove(event["object"])
            elif event["type"] in {"ADDED", "MODIFIED"}:
                self._reader.put(event["object"])
            self._version = event["object"]["metadata"]["resourceVersion"]
            self._catch_up()
            if self._stop.is_set():
                return


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in response.stream(65_536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)


def _refusal(call: str, status: int, answer: bytes) -> KubeError:
    return KubeError(f"{call}: {_message(answer)}", status)


def _message(data: bytes) -> str:
    """The API server's own words, from a Status object where it sent one."""
    try:
        return str(orjson.loads(data)["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return data[:200].decode(errors="replace")
