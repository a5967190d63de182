"""
The only module of the exporter that talks to the API server: list, watch, get, apply and patch.

The transport is urllib3; objects stay plain JSON, because the exporter reads a dozen fields of them. Measured, a
running exporter takes 50 MB like this, 62 with lightkube and its httpx, and the official client alone would add 43.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/ (efficient detection of changes),
https://kubernetes.io/docs/reference/using-api/server-side-apply/.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import urllib3

from extender.exporter.access import Access, AccessError, from_kubeconfig, from_service_account

CALL_TIMEOUT = urllib3.Timeout(connect=5, read=10)
WATCH_SECONDS = 290
"""The API server ends a watch after this; a new one from the last version costs nothing."""
WATCH_TIMEOUT = urllib3.Timeout(connect=5, read=WATCH_SECONDS + 30)
CONNECTIONS = 4
"""Two watches, and calls besides."""

FIELD_MANAGER = "numa-exporter"

Object = dict[str, Any]


class ApiError(Exception):
    """The API server could not be reached or refused; the message is one sentence."""

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        """HTTP status; None where there was no answer."""

    @property
    def expired(self) -> bool:
        """Whether the version to watch from is too old, so that everything has to be listed again."""
        return self.status == HTTPStatus.GONE


class Api:
    """One API server; may be used by several threads."""

    def __init__(self, access: Access) -> None:
        self._access = access
        names: dict[str, Any] = (
            {"server_hostname": access.server_name, "assert_hostname": access.server_name} if access.server_name else {}
        )
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, ssl_context=access.context, retries=False, **names)

    def get(self, path: str) -> Object:
        """
        Returns an object, or whatever JSON object is at a path.

        Raises:
            ApiError: if it cannot be had.
        """
        return self._json("GET", path, {})

    def list(self, path: str, params: Mapping[str, str]) -> tuple[list[Object], str]:
        """
        Returns the objects of a collection and the version from which to watch.

        Raises:
            ApiError: if they cannot be had.
        """
        document = self._json("GET", path, params)
        return document.get("items") or [], (document.get("metadata") or {}).get("resourceVersion", "")

    def watch(self, path: str, params: Mapping[str, str], version: str) -> Iterator[Object]:
        """
        Yields the events of a collection after a version until the server ends the watch.

        Raises:
            ApiError: if the watch cannot be had or breaks; ``expired`` if the version is too old.
        """
        query = {
            **params,
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        with _sentences("GET", path), self._stream(path, query) as response:
            for line in _lines(response):
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("message", "the watch failed"), event["object"].get("code"))
                yield event

    def apply(self, path: str, body: Mapping[str, object]) -> Object:
        """
        Applies an object by server-side apply as the exporter's field manager; whoever else owns a field loses it.

        Raises:
            ApiError: if that fails.
        """
        params = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return self._json("PATCH", path, params, body, kind="application/apply-patch+yaml")

    def merge(self, path: str, body: Mapping[str, object]) -> Object:
        """
        Patches an object by JSON merge patch.

        Raises:
            ApiError: if that fails.
        """
        return self._json("PATCH", path, {"fieldManager": FIELD_MANAGER}, body, kind="application/merge-patch+json")

    def close(self) -> None:
        """Closes the connections that are at rest."""
        self._pool.clear()

    def _json(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: Mapping[str, object] | None = None,
        kind: str = "application/json",
    ) -> Object:
        with _sentences(method, path):
            content = None if body is None else orjson.dumps(body)
            response = self._request(method, path, params, body=content, kind=kind, timeout=CALL_TIMEOUT)
            _check(method, path, response)
            return dict(orjson.loads(response.data))

    @contextlib.contextmanager
    def _stream(self, path: str, params: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        response = self._request("GET", path, params, timeout=WATCH_TIMEOUT, preload_content=False)
        try:
            _check("GET", path, response)
            yield response
        finally:
            response.close()

    def _request(
        self, method: str, path: str, params: Mapping[str, str], kind: str = "application/json", **options: Any
    ) -> urllib3.BaseHTTPResponse:
        """Calls the server, and once more with new credentials where the old ones are refused."""
        url = f"{self._access.server}{path}?{urlencode(params)}" if params else f"{self._access.server}{path}"
        response = self._pool.request(method, url, headers=self._headers(kind, renew=False), **options)
        if response.status == HTTPStatus.UNAUTHORIZED:
            response.close()
            response = self._pool.request(method, url, headers=self._headers(kind, renew=True), **options)
        return response

    def _headers(self, kind: str, *, renew: bool) -> dict[str, str]:
        authorization = self._access.authorization(renew)
        headers = {"Accept": "application/json", "Content-Type": kind, "User-Agent": FIELD_MANAGER}
        return {**headers, "Authorization": authorization} if authorization else headers


def connect(kubeconfig: str = "") -> Api:
    """
    Returns the API server of a kubeconfig file or, without one, of the pod's service account.

    Raises:
        ApiError: if there is no way to one.
    """
    try:
        return Api(from_kubeconfig(Path(kubeconfig)) if kubeconfig else from_service_account())
    except AccessError as error:
        raise ApiError(f"no way to the API server: {error}") from None


@contextlib.contextmanager
def _sentences(method: str, path: str) -> Iterator[None]:
    """Turns every way in which a call can fail into an ApiError."""
    try:
        yield
    except (urllib3.exceptions.HTTPError, AccessError, OSError) as error:
        raise ApiError(f"{method} {path}: {str(error) or type(error).__name__}") from error
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ApiError(f"{method} {path}: the answer is not what an API server sends: {error}") from error


def _check(method: str, path: str, response: urllib3.BaseHTTPResponse) -> None:
    if response.status >= HTTPStatus.BAD_REQUEST:
        raise ApiError(f"{method} {path}: {_message(response.status, response.data)}", response.status)


def _message(status: int, data: bytes) -> str:
    """The API server's own words, from a Status object where it sent one."""
    try:
        return str(orjson.loads(data)["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"{status} {data[:200].decode(errors='replace')}".strip()


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in response.stream(65_536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
