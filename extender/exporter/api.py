"""
The only module of the exporter that talks to the API server: list, watch, get, apply and patch.

Who we are and whom we trust is read by lightkube (kubeconfig, service account with a token that is renewed, exec
plugins) and carried by its httpx: 16 MB of a process, where the official client takes 43. Objects stay plain JSON,
because the exporter reads a dozen fields of them.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/ (efficient detection of changes),
https://kubernetes.io/docs/reference/using-api/server-side-apply/.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2 as httpx
import orjson
from lightkube.config.client_adapter import ConnectionParams
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ConfigError

CALL_TIMEOUT = httpx.Timeout(10, connect=5)
WATCH_SECONDS = 290
"""The API server ends a watch after this; a new one from the last version costs nothing."""
WATCH_TIMEOUT = httpx.Timeout(10, connect=5, read=WATCH_SECONDS + 30)

FIELD_MANAGER = "numa-exporter"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

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

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Object:
        """
        Returns an object, or whatever JSON is at a path.

        Raises:
            ApiError: if it cannot be had.
        """
        return self._json("GET", path, params=params)

    def list(self, path: str, params: Mapping[str, str]) -> tuple[list[Object], str]:
        """
        Returns the objects of a collection and the version from which to watch.

        Raises:
            ApiError: if they cannot be had.
        """
        document = self._json("GET", path, params=params)
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
        with _sentences("GET", path), self._client.stream("GET", path, params=query, timeout=WATCH_TIMEOUT) as response:
            if response.is_error:
                response.read()
            _check("GET", path, response)
            for line in response.iter_lines():
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
        return self._json("PATCH", path, params=params, body=body, kind="application/apply-patch+yaml")

    def merge(self, path: str, body: Mapping[str, object]) -> Object:
        """
        Patches an object by JSON merge patch.

        Raises:
            ApiError: if that fails.
        """
        params = {"fieldManager": FIELD_MANAGER}
        return self._json("PATCH", path, params=params, body=body, kind="application/merge-patch+json")

    def close(self) -> None:
        """Closes all connections; a watch under way ends with an ApiError."""
        self._client.close()

    def _json(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        kind: str = "application/json",
    ) -> Object:
        content = None if body is None else orjson.dumps(body)
        with _sentences(method, path):
            response = self._client.request(
                method, path, params=params, content=content, headers={"Content-Type": kind}, timeout=CALL_TIMEOUT
            )
            _check(method, path, response)
            return dict(orjson.loads(response.content))


def connect(kubeconfig: str = "") -> Api:
    """
    Returns the API server of a kubeconfig file or, without one, of the pod's service account.

    Raises:
        ApiError: if there is no such configuration.
    """
    where = f"kubeconfig {kubeconfig}" if kubeconfig else f"service account in {SERVICE_ACCOUNT}"
    try:
        whole = KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_service_account(SERVICE_ACCOUNT)
        config = whole.get()
        if config is None:
            raise ConfigError("it has no current context")
        return Api(httpx.Client(**ConnectionParams(timeout=CALL_TIMEOUT).httpx_params(config)))
    except Exception as error:  # noqa: BLE001 - whatever its parsers stumble over comes through lightkube as it is
        what = " ".join(str(error).split()) or type(error).__name__
        raise ApiError(f"no way to the API server, {where}: {what}") from None


@contextlib.contextmanager
def _sentences(method: str, path: str) -> Iterator[None]:
    """Turns every way in which a call can fail into an ApiError."""
    try:
        yield
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, ConfigError, OSError, RuntimeError) as error:
        raise ApiError(f"{method} {path}: {str(error) or type(error).__name__}") from error
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ApiError(f"{method} {path}: the answer is not what an API server sends: {error}") from error


def _check(method: str, path: str, response: httpx.Response) -> None:
    if response.is_error:
        raise ApiError(f"{method} {path}: {_message(response)}", response.status_code)


def _message(response: httpx.Response) -> str:
    """The API server's own words, from a Status object where it sent one."""
    try:
        return str(orjson.loads(response.content)["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"{response.status_code} {response.text[:200]}".strip()
