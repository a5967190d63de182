"""Ways to the API server: kubeconfig files with every kind of credentials, and the pod's service account."""

from __future__ import annotations

import base64
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from extender.exporter.access import AccessError, from_kubeconfig, from_service_account
from extender.exporter.api import Api, ApiError, connect
from extender.exporter.configz import ConfigurationError, from_kubelet
from extender.model.configuration import TopologyPolicy

PAIR = Path(__file__).with_name("tls.pem")
"""A self-signed certificate for kubernetes.test and its key, made for these tests."""
CERTIFICATE, KEY = re.findall(r"-----BEGIN.*?-----END [A-Z ]+-----\n", PAIR.read_text(), re.DOTALL)


class Server:
    """Answers every GET with the credentials that it saw; refuses those in ``refused``."""

    def __init__(self, *, tls: bool = False, clients: bool = False) -> None:
        self.refused: set[str] = set()
        self.answer = b'{"kubeletconfig": {"topologyManagerPolicy": "restricted"}}'
        self.seen: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                authorization = self.headers.get("Authorization", "")
                server.seen.append(authorization)
                self.send_response(401 if authorization in server.refused else 200)
                self.send_header("Content-Length", str(len(server.answer)))
                self.end_headers()
                self.wfile.write(server.answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(PAIR)
            if clients:
                context.load_verify_locations(PAIR)
                context.verify_mode = ssl.CERT_REQUIRED
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.http.server_address[1]}"


@contextmanager
def serving(**options: bool) -> Iterator[Server]:
    """A server that runs."""
    server = Server(**options)
    threading.Thread(target=server.http.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.http.shutdown()
    server.http.server_close()


def kubeconfig(folder: Path, url: str, user: dict[str, Any], **cluster: Any) -> Path:
    """Writes a kubeconfig."""
    path = folder / "kubeconfig"
    document = {
        "clusters": [{"name": "other", "cluster": {}}, {"name": "c", "cluster": {"server": url, **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(document))
    return path


def plugin(folder: Path, output: str) -> dict[str, Any]:
    """An exec plugin that counts how often it runs."""
    program = folder / "plugin.sh"
    program.write_text(f'#!/bin/sh\necho run >> "$RUNS"\nN=$(wc -l < "$RUNS" | tr -d " ")\necho "{output}"\n')
    program.chmod(0o755)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "./plugin.sh",
            "env": [{"name": "RUNS", "value": str(folder / "runs")}],
        }
    }


USERS = [
    pytest.param(lambda _: {}, "", id="nobody"),
    pytest.param(lambda _: {"token": "abc"}, "Bearer abc", id="a token"),
    pytest.param(lambda _: {"tokenFile": "token"}, "Bearer from-file", id="a token in a file beside the kubeconfig"),
    pytest.param(lambda _: {"username": "a", "password": "b"}, "Basic YTpi", id="a name and a password"),
    pytest.param(
        lambda folder: plugin(folder, r"{\"status\":{\"token\":\"run-$N\"}}"), "Bearer run-1", id="a plugin's token"
    ),
]


@pytest.mark.parametrize(("user", "expected"), USERS)
def test_every_kind_of_user_is_who_the_kubeconfig_says(
    tmp_path: Path, user: Callable[[Path], dict[str, Any]], expected: str
) -> None:
    """The server sees the credentials of the current context's user."""
    (tmp_path / "token").write_text("from-file\n")
    with serving() as server:
        connect(str(kubeconfig(tmp_path, server.url, user(tmp_path)))).get("/")

        assert [expected] == server.seen


def test_a_refused_token_is_renewed_once(tmp_path: Path) -> None:
    """A plugin is run again when its token is refused, and otherwise not."""
    with serving() as server:
        api = connect(str(kubeconfig(tmp_path, server.url, plugin(tmp_path, r"{\"status\":{\"token\":\"run-$N\"}}"))))
        api.get("/")
        server.refused = {"Bearer run-1"}
        api.get("/")
        api.get("/")

        assert ["Bearer run-1", "Bearer run-1", "Bearer run-2", "Bearer run-2"] == server.seen


def test_a_plugin_that_gives_no_token_is_one_sentence(tmp_path: Path) -> None:
    """The program is named."""
    with serving() as server:
        api = connect(str(kubeconfig(tmp_path, server.url, plugin(tmp_path, "{}"))))
        with pytest.raises(ApiError, match=r"GET /: the credential plugin .*plugin\.sh gives no token: status\.token"):
            api.get("/")


def encoded(text: str) -> str:
    """Text as the fields that end in -data have it."""
    return base64.b64encode(text.encode()).decode()


def test_certificates_are_shown_and_checked(tmp_path: Path) -> None:
    """The server is trusted by the cluster's authority under its own name, and trusts the user's certificate."""
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    user = {"client-certificate-data": encoded(CERTIFICATE), "client-key-data": encoded(KEY)}
    with serving(tls=True, clients=True) as server:
        cluster = {"certificate-authority": "ca.pem", "tls-server-name": "kubernetes.test"}
        connect(str(kubeconfig(tmp_path, server.url, user, **cluster))).get("/")

        assert [""] == server.seen


UNTRUSTED = [
    pytest.param({}, "certificate verify failed", id="an unknown authority"),
    pytest.param({"certificate-authority-data": encoded(CERTIFICATE)}, "IP address mismatch", id="another name"),
]


@pytest.mark.parametrize(("cluster", "why"), UNTRUSTED)
def test_a_server_that_is_not_trusted_is_not_talked_to(tmp_path: Path, cluster: dict[str, Any], why: str) -> None:
    """The sentence says what is wrong with its certificate."""
    with serving(tls=True) as server:
        api = connect(str(kubeconfig(tmp_path, server.url, {}, **cluster)))
        with pytest.raises(ApiError, match=why):
            api.get("/")

        assert [] == server.seen


def test_whoever_says_so_trusts_any_server(tmp_path: Path) -> None:
    """insecure-skip-tls-verify is obeyed."""
    with serving(tls=True) as server:
        connect(str(kubeconfig(tmp_path, server.url, {}, **{"insecure-skip-tls-verify": True}))).get("/")

        assert [""] == server.seen


def test_a_pod_is_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address, authority and token are where a pod has them, and a token that is renewed is the next that is sent."""
    (tmp_path / "ca.crt").write_text(CERTIFICATE)
    (tmp_path / "token").write_text("first")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    access = from_service_account(tmp_path)
    assert ("https://[fd00::1]:443", "Bearer first") == (access.server, access.authorization(False))
    (tmp_path / "token").write_text("second")

    assert "Bearer second" == access.authorization(False)


def test_what_is_no_pod_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a pod a kubeconfig must be named; in a pod without a service account its folder is."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(AccessError, match=r"^this is no pod: KUBERNETES_SERVICE_HOST is not set"):
        from_service_account(tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(AccessError, match=f"^the service account in {tmp_path} cannot be read: "):
        from_service_account(tmp_path)


MISTAKES = [
    pytest.param(None, "[Errno 2] No such file or directory", id="no file"),
    pytest.param("[", "not YAML: ", id="no YAML"),
    pytest.param("7", "the file: 7 is not an object", id="a number"),
    pytest.param("kind: Config", "current-context: None is not a text", id="no current context"),
    pytest.param("current-context: x", "contexts has no 'x'", id="a context that is not there"),
    pytest.param(
        "{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}], clusters: [{name: c, cluster: {proxy-url: p}}], "
        "users: [{name: u, user: {}}]}",
        "cluster.proxy-url is not supported",
        id="a proxy",
    ),
    pytest.param(
        "{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}], clusters: [{name: c, cluster: {server: s}}], "
        "users: [{name: u, user: {auth-provider: {name: gcp}}}]}",
        "user.auth-provider is not supported",
        id="an auth provider",
    ),
]


@pytest.mark.parametrize(("content", "sentence"), MISTAKES)
def test_a_kubeconfig_that_cannot_be_used_is_one_sentence(tmp_path: Path, content: str | None, sentence: str) -> None:
    """It begins with the file's path and names the field."""
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AccessError) as raised:
        from_kubeconfig(path)

    assert str(raised.value).startswith(f"kubeconfig {path}: {sentence}")
    assert "\n" not in str(raised.value)


# --- the kubelet's own /configz, over the same kind of connection


def test_configz_of_a_kubelet_with_a_self_signed_certificate(tmp_path: Path) -> None:
    """It is read with the token only when told that any certificate will do."""
    (tmp_path / "token").write_text("abc")
    with serving(tls=True) as server:
        with pytest.raises(ConfigurationError, match="certificate verify failed"):
            from_kubelet(server.url, tmp_path / "token", "", insecure=False)()
        read = from_kubelet(server.url, tmp_path / "token", "", insecure=True)()

        assert TopologyPolicy.RESTRICTED is read.topology_policy
        assert ["Bearer abc"] == server.seen


ANSWERS = [
    pytest.param(b"{", "is not JSON", id="no JSON"),
    pytest.param(b'{"kubeletconfig": 7}', "7 is not an object", id="no configuration"),
    pytest.param(
        b'{"kubeletconfig": {"cpuManagerPolicy": "dynamic"}}',
        "cpuManagerPolicy: 'dynamic' is not one of none, static",
        id="an unknown policy",
    ),
]


@pytest.mark.parametrize(("answer", "sentence"), ANSWERS)
def test_a_configuration_that_cannot_be_read_is_one_sentence(tmp_path: Path, answer: bytes, sentence: str) -> None:
    """It names where it came from and what is wrong."""
    with serving() as server:
        server.answer = answer
        with pytest.raises(ConfigurationError) as raised:
            from_kubelet(server.url, tmp_path / "token", "", insecure=False)()

        assert str(raised.value).startswith(server.url)
        assert sentence in str(raised.value)


def test_a_kubelet_that_refuses_is_one_sentence(tmp_path: Path) -> None:
    """Address and status are named."""
    with serving() as server:
        server.refused = {""}
        with pytest.raises(ConfigurationError, match=f"^{server.url}: 401 "):
            from_kubelet(server.url, tmp_path / "token", "", insecure=False)()


def test_an_api_may_be_made_of_any_access(tmp_path: Path) -> None:
    """An access is all that an Api needs."""
    with serving() as server:
        api = Api(from_kubeconfig(kubeconfig(tmp_path, server.url, {"token": "abc"})))

        assert "restricted" == api.get("/")["kubeletconfig"]["topologyManagerPolicy"]
