"""
The running kubelet's configuration: from its /configz, directly or through the API server, or from a file.

/configz is what the kubelet runs with, flags and drop-in files merged; a file is only what it may have been started with.

Source: kubelet pkg/kubelet/server (configz), KubeletConfiguration v1beta1.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import orjson
import urllib3
import yaml

from extender.exporter.access import trust_anybody
from extender.exporter.api import CALL_TIMEOUT, Api, ApiError
from extender.model.configuration import KubeletConfiguration
from extender.wire import fields
from extender.wire.fields import WireError
from extender.wire.kubelet_configuration import configuration_from_json

Read = Callable[[], KubeletConfiguration]
"""Reads the configuration anew; raises ConfigurationError."""


class ConfigurationError(Exception):
    """The kubelet's configuration cannot be had; the message is one sentence."""


def through_api_server(api: Api, node: str) -> Read:
    """Reads /configz by way of the API server, which knows the kubelet's address and certificate."""
    path = f"/api/v1/nodes/{node}/proxy/configz"

    def read() -> KubeletConfiguration:
        try:
            return _configuration(api.get(path), path)
        except ApiError as error:
            raise ConfigurationError(str(error)) from error

    return read


def from_kubelet(url: str, token_file: Path, ca_file: str, *, insecure: bool) -> Read:
    """
    Reads /configz from the kubelet itself.

    Args:
        url: e.g. ``https://127.0.0.1:10250/configz``.
        token_file: bearer token, read for each call because it is renewed; no token where there is no such file.
        ca_file: who signed the kubelet's serving certificate; the system's authorities where empty.
        insecure: whether any certificate will do, as self-signed ones need it.
    """

    def read() -> KubeletConfiguration:
        try:
            context = ssl.create_default_context(cafile=ca_file or None)
            if insecure:
                trust_anybody(context)
            token = token_file.read_text().strip() if token_file.is_file() else ""
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            with urllib3.PoolManager(ssl_context=context, retries=False) as pool:
                response = pool.request("GET", url, headers=headers, timeout=CALL_TIMEOUT)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ConfigurationError(f"{url}: {error}") from error
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise ConfigurationError(f"{url}: {response.status} {response.data[:200].decode(errors='replace')}".strip())
        return _parsed(response.data, url)

    return read


def from_file(path: Path) -> Read:
    """Reads a KubeletConfiguration in YAML or JSON."""

    def read() -> KubeletConfiguration:
        try:
            return _configuration(yaml.safe_load(path.read_text(encoding="utf-8")), str(path))
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path} is not YAML: {' '.join(str(error).split())}") from error

    return read


def _parsed(content: bytes, where: str) -> KubeletConfiguration:
    try:
        return _configuration(orjson.loads(content), where)
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"{where} is not JSON: {error}") from error


def _configuration(document: object, where: str) -> KubeletConfiguration:
    """Reads a configuration, wrapped as /configz wraps it or bare as in a file."""
    try:
        whole = fields.mapping(document, where)
        return configuration_from_json(whole.get("kubeletconfig", whole), where)
    except WireError as error:
        raise ConfigurationError(str(error)) from error
