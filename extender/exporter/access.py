"""
Who we are to the API server and whom we trust: from a kubeconfig file, or from the pod's service account.

There are libraries that do this and much more; on every node of a cluster their 11 MB a process are not worth it. What
is not supported (proxies, the removed auth providers) is refused with a sentence, never passed over.

Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/,
https://kubernetes.io/docs/reference/config-api/client-authentication.v1/, client-go rest.InClusterConfig.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
import urllib3
import yaml

from extender.wire import fields
from extender.wire.fields import WireError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PLUGIN_SECONDS = 60

Authorization = Callable[[bool], str]
"""Returns the Authorization header's value, empty for none; True asks for a new one as the last was refused."""


class AccessError(Exception):
    """There is no way to the API server; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Access:
    """One way to one API server."""

    server: str
    """Scheme, host and port."""
    context: ssl.SSLContext
    authorization: Authorization
    server_name: str = ""
    """Name that the server's certificate must have, where it is not the host's."""


def from_service_account(folder: Path = SERVICE_ACCOUNT) -> Access:
    """
    Returns the access of the pod that this process runs in; its token is read for each call, as it is renewed.

    Raises:
        AccessError: this is no pod, or it has no service account.
    """
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise AccessError("this is no pod: KUBERNETES_SERVICE_HOST is not set, and no kubeconfig was named")
    try:
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        authorization = _bearer_file(folder / "token")
        authorization(False)
    except OSError as error:
        raise AccessError(f"the service account in {folder} cannot be read: {error}") from None
    return Access(f"https://{f'[{host}]' if ':' in host else host}:{port}", context, authorization)


def from_kubeconfig(path: Path) -> Access:
    """
    Returns the access of a kubeconfig's current context.

    Raises:
        AccessError: it cannot be read, or asks for what is not supported.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _Kubeconfig(path.parent, fields.mapping(document, "the file")).access()
    except (OSError, binascii.Error) as error:
        raise AccessError(f"kubeconfig {path}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AccessError(f"kubeconfig {path}: not YAML: {' '.join(str(error).split())}") from None
    except (WireError, AccessError) as error:
        raise AccessError(f"kubeconfig {path}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Kubeconfig:
    """One file; relative paths in it start at its folder."""

    folder: Path
    document: Mapping[str, object]

    def access(self) -> Access:
        current = fields.text(self.document.get("current-context"), "current-context")
        context = self._named("contexts", "context", current)
        cluster = self._named("clusters", "cluster", fields.text(context.get("cluster"), "context.cluster"))
        user = self._named("users", "user", fields.text(context.get("user"), "context.user"))
        if cluster.get("proxy-url"):
            raise AccessError("cluster.proxy-url is not supported")
        return Access(
            server=fields.text(cluster.get("server"), "cluster.server").rstrip("/"),
            context=self._trust(cluster, user),
            authorization=self._authorization(user),
            server_name=fields.text(cluster.get("tls-server-name"), "cluster.tls-server-name", default=""),
        )

    def _named(self, collection: str, kind: str, name: str) -> Mapping[str, object]:
        for index, value in enumerate(fields.sequence(self.document.get(collection), collection)):
            entry = fields.mapping(value, f"{collection}[{index}]")
            if entry.get("name") == name:
                return fields.mapping(entry.get(kind), f"{collection}[{index}].{kind}")
        raise AccessError(f"{collection} has no {name!r}")

    def _trust(self, cluster: Mapping[str, object], user: Mapping[str, object]) -> ssl.SSLContext:
        authority = self._content(cluster, "certificate-authority", "cluster")
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
        if fields.boolean(cluster.get("insecure-skip-tls-verify"), "cluster.insecure-skip-tls-verify", default=False):
            trust_anybody(context)
        certificate = self._content(user, "client-certificate", "user")
        key = self._content(user, "client-key", "user")
        if certificate and key:
            _load_certificate(context, certificate, key)
        return context

    def _authorization(self, user: Mapping[str, object]) -> Authorization:
        if user.get("auth-provider"):
            raise AccessError("user.auth-provider is not supported")
        if user.get("tokenFile"):
            return _bearer_file(self.folder / fields.text(user["tokenFile"], "user.tokenFile"))
        if user.get("token"):
            return _always(f"Bearer {fields.text(user['token'], 'user.token')}")
        if user.get("exec"):
            return _Plugin(fields.mapping(user["exec"], "user.exec"), self.folder)
        if user.get("username"):
            name, password = (
                fields.text(user["username"], "user.username"),
                fields.text(user.get("password"), "user.password"),
            )
            return _always(f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}")
        return _always("")

    def _content(self, part: Mapping[str, object], name: str, where: str) -> bytes:
        """What a field ``name`` points at or ``name-data`` has in it; the latter goes first."""
        data = fields.text(part.get(f"{name}-data"), f"{where}.{name}-data", default="")
        if data:
            return base64.b64decode(data, validate=True)
        path = fields.text(part.get(name), f"{where}.{name}", default="")
        return (self.folder / path).read_bytes() if path else b""


class _Plugin:
    """An exec credential plugin: a program that prints a token, run once and again when the token is refused."""

    def __init__(self, plugin: Mapping[str, object], folder: Path) -> None:
        command = fields.text(plugin.get("command"), "user.exec.command")
        arguments = fields.sequence(plugin.get("args"), "user.exec.args")
        self._command = [str(folder / command) if "/" in command else command, *map(str, arguments)]
        variables = [
            fields.mapping(each, "user.exec.env") for each in fields.sequence(plugin.get("env"), "user.exec.env")
        ]
        version = fields.text(plugin.get("apiVersion"), "user.exec.apiVersion")
        info = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
        self._environment = {
            **os.environ,
            **{str(each.get("name")): str(each.get("value")) for each in variables},
            "KUBERNETES_EXEC_INFO": orjson.dumps(info).decode(),
        }
        self._value = ""

    def __call__(self, renew: bool) -> str:
        if renew or not self._value:
            self._value = f"Bearer {self._token()}"
        return self._value

    def _token(self) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - the kubeconfig's owner chose the program
                self._command, env=self._environment, capture_output=True, check=True, timeout=PLUGIN_SECONDS
            )
            status = fields.mapping(fields.mapping(orjson.loads(done.stdout), "its output").get("status"), "status")
            return fields.text(status.get("token"), "status.token")
        except (OSError, subprocess.SubprocessError, orjson.JSONDecodeError, WireError) as error:
            raise AccessError(f"the credential plugin {self._command[0]} gives no token: {error}") from error


def trust_anybody(context: ssl.SSLContext) -> None:
    """Takes any certificate, as somebody wished who knows; urllib3 need not say so with every call."""
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)


def _always(value: str) -> Authorization:
    return lambda renew: value  # noqa: ARG005 - what never changes cannot be renewed


def _bearer_file(path: Path) -> Authorization:
    return lambda renew: f"Bearer {path.read_text().strip()}"  # noqa: ARG005 - it is read for each call


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Loads a client certificate; the library wants a file, which only this user can read and which is gone at once."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)
