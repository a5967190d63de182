"""A control plane: etcd, kube-apiserver and a certificate authority, and what a test needs to speak to them."""

from collections.abc import Mapping
from pathlib import Path

import urllib3
import yaml

from lab.api import Api
from lab.controllers import Controllers
from lab.credentials import Authority, Credentials
from lab.waiting import answers
from lab.workspace import Workspace

TOPOLOGIES = "/apis/topology.node.k8s.io/v1alpha2/noderesourcetopologies"
PRODUCT_NAMESPACE, PRODUCT_USER = "numa-system", "numa-extender"
# What the accounts of the product ask for, and what kubelets ask about them.
AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "userGroups": [f"system:serviceaccounts:{PRODUCT_NAMESPACE}"]},
        {"level": "Metadata", "users": [PRODUCT_USER]},
        {
            "level": "RequestResponse",
            "userGroups": ["system:nodes"],
            "resources": [{"group": "authorization.k8s.io", "resources": ["subjectaccessreviews"]}],
        },
        {"level": "None"},
    ],
}


class ControlPlane:
    """
    Started with all parts, stopped by its workspace. `etcd` and `apiserver` may be stopped and started one by one.

    Authorization is Node and RBAC with the default roles; pods need no service account.
    """

    def __init__(
        self, workspace: Workspace, *, feature_gates: Mapping[str, bool] | None = None, verbosity: int = 1
    ) -> None:
        self.workspace = workspace
        self.folder = workspace.folder / "control-plane"
        self.authority = Authority(self.folder / "pki")
        serving = self.authority.serving("kube-apiserver")
        take = workspace.ports.take
        etcd, peer, port = f"http://127.0.0.1:{take()}", f"http://127.0.0.1:{take()}", take()
        self.server = f"https://127.0.0.1:{port}"
        self.admin = self.credentials("admin", "system:masters")
        self.api = Api(self.admin)
        # For what the parts serve themselves: their certificates are of the same authority.
        self.pool = urllib3.PoolManager(maxsize=32, retries=False, ssl_context=self.admin.context())
        # Objects owned by a Node: only this kind, so far.
        self.controllers = Controllers(self.api, (TOPOLOGIES,))
        self.etcd = workspace.process(
            "etcd",
            [
                workspace.binary("etcd"),
                f"--data-dir={self.folder / 'etcd'}",
                f"--listen-client-urls={etcd}",
                f"--advertise-client-urls={etcd}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync",
                "--log-level=warn",
            ],
            ready=lambda: answers(f"{etcd}/readyz"),
        )
        self.audit_file = self.folder / "audit.log"
        audit_policy = self.folder / "audit-policy.yaml"
        audit_policy.write_text(yaml.safe_dump(AUDIT))
        gates = ",".join(f"{name}={str(on).lower()}" for name, on in (feature_gates or {}).items())
        self.apiserver = workspace.process(
            "kube-apiserver",
            [
                workspace.binary("kube-apiserver"),
                f"--etcd-servers={etcd}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
                f"--secure-port={port}",
                f"--cert-dir={self.folder / 'pki'}",
                f"--tls-cert-file={serving.certificate}",
                f"--tls-private-key-file={serving.key}",
                f"--client-ca-file={self.authority.certificate_file}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={self.authority.service_account_key}",
                f"--service-account-signing-key-file={self.authority.service_account_key}",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--disable-admission-plugins=ServiceAccount",
                "--profiling=false",
                f"--audit-policy-file={audit_policy}",
                f"--audit-log-path={self.audit_file}",
                f"--feature-gates={gates}",
                f"--v={verbosity}",
            ],
            ready=self.api.ready,
            ready_seconds=60,
        )

    def start(self) -> None:
        self.etcd.start()
        self.apiserver.start()
        self.controllers.start()

    def stop(self) -> None:
        """Stops everything, the last started first."""
        self.controllers.stop()
        # It would wait for its watchers.
        self.apiserver.stop(seconds=2)
        self.etcd.stop()
        self.api.close()
        self.pool.clear()

    def credentials(self, user: str, group: str) -> Credentials:
        """Returns credentials of any user in one group."""
        return self.authority.credentials(self.server, user, group)

    def kubeconfig(self, user: str, group: str) -> Path:
        """Writes a kubeconfig file for any user in one group."""
        return self.credentials(user, group).write(self._kubeconfig_path(user))

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Writes a kubeconfig file for a service account, which must exist, with a token of its own."""
        token = self.api.token(namespace, name)
        credentials = Credentials(server=self.server, authority=self.authority.certificate, token=token)
        return credentials.write(self._kubeconfig_path(f"{namespace}:{name}"))

    def _kubeconfig_path(self, user: str) -> Path:
        return self.folder / "kubeconfigs" / user.replace(":", "_")
