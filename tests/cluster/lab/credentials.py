"""A certificate authority for one control plane, and kubeconfig files for whoever talks to it."""

import base64
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
import yaml


@dataclass(frozen=True)
class Credentials:
    """How to reach an API server, and as whom: by client certificate (PEM) or by token."""

    server: str
    authority: bytes
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""

    def write(self, path: Path) -> Path:
        """Writes them as a kubeconfig file and returns its path."""
        user: dict[str, Any] = {"token": self.token}
        if self.certificate:
            user = {"client-certificate-data": _base64(self.certificate), "client-key-data": _base64(self.key)}
        cluster = {"server": self.server, "certificate-authority-data": _base64(self.authority)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "user"}}],
            "current-context": "lab",
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        path.chmod(0o600)
        return path

    def context(self) -> ssl.SSLContext:
        """Returns a TLS context that trusts this server alone and shows the client certificate, if there is one."""
        context = ssl.create_default_context(cadata=self.authority.decode())
        if self.certificate:
            with tempfile.NamedTemporaryFile() as file:
                file.write(self.certificate + self.key)
                file.flush()
                context.load_cert_chain(file.name)
        return context


@dataclass(frozen=True)
class Serving:
    """The files with a server's certificate chain and its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs the certificates of servers and of users."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._authority = trustme.CA(organization_name="numa-lab")
        self.certificate = self._authority.cert_pem.bytes()
        self.certificate_file = folder / "ca.crt"
        self.certificate_file.write_bytes(self.certificate)
        # Any private key will do for the tokens of service accounts.
        self.service_account_key = self.serving("service-accounts").key

    def serving(self, name: str, address: str = "127.0.0.1") -> Serving:
        """Writes the certificate of a server on an address that is also known by `name`."""
        files = Serving(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        certificate = self._authority.issue_cert(address, "localhost", name)
        certificate.private_key_pem.write_to_path(files.key)
        files.certificate.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
        return files

    def credentials(self, server: str, user: str, group: str) -> Credentials:
        """Returns credentials of any user in one group, such as `system:node:n1` in `system:nodes`."""
        certificate = self._authority.issue_cert("user", common_name=user, organization_name=group)
        return Credentials(
            server=server,
            authority=self.certificate,
            certificate=b"".join(pem.bytes() for pem in certificate.cert_chain_pems),
            key=certificate.private_key_pem.bytes(),
        )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
