"""
The product, installed in a lab's cluster: the kind of its reports, an account with few rights for each program, and
the programs themselves, on the settings files that a user would take.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3
import yaml
from prometheus_client.parser import text_string_to_metric_families

from lab.api import Api, Object
from lab.control_plane import ControlPlane
from lab.kubelet import Kubelet, remove_all
from lab.process import Process, start_together, stop_together
from lab.programs import Words, merged, program, web_program, write_settings
from lab.workspace import REPOSITORY

NAMESPACE = "kube-system"
EXTENDER, EXPORTER = "numa-extender", "numa-exporter"
DEFINITION = REPOSITORY / "deploy" / "base" / "crd.yaml"
REPORTS = "topology.node.k8s.io", "noderesourcetopologies"

ROLES = {
    EXTENDER: REPOSITORY / "deploy" / "extender-rights" / "role.yaml",
    EXPORTER: REPOSITORY / "deploy" / "base" / "exporter-rights.yaml",
}
"""What each program may do: with less it must not work, with more it would not be tested."""


class Product:
    """Installs kind, accounts and rights at once; programs are prepared on demand and not started."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._api = control_plane.api
        self._api.apply_file(DEFINITION)
        for name, file in ROLES.items():
            _allow(self._api, name, _rules(file))
        self._kubeconfigs = {name: control_plane.service_account_kubeconfig(NAMESPACE, name) for name in ROLES}
        self._token_file = control_plane.folder / "exporter.token"
        self._token_file.write_text(self._api.token(NAMESPACE, EXPORTER))

    def exporter(self, kubelet: Kubelet, changes: Mapping[str, Any] | None = None) -> Process:
        """
        The exporter of a node.

        Changed in its settings are paths, the address at which its kubelet tells the configuration, the port; and
        `changes`.
        """
        port = self._control_plane.workspace.ports.take()
        lab = {
            "node": {"name": kubelet.name, "sysfs": str(kubelet.sysfs), "stateDir": str(kubelet.state_dir)},
            "kubelet": {
                "configuration": "kubelet",
                "url": f"{kubelet.url}/configz",
                "tokenFile": str(self._token_file),
                "caFile": str(self._control_plane.authority.certificate_file),
            },
            "cluster": {"kubeconfig": str(self._kubeconfigs[EXPORTER])},
            "serve": {"port": port},
        }
        name = f"{kubelet.name}.exporter"
        path = self._settings("exporter.yaml", name, merged(lab, changes or {}))
        command: Words = [program(EXPORTER), "--config", path]
        return web_program(
            self._control_plane.workspace, name, command, ready_url=f"http://127.0.0.1:{port}/healthz", ready_seconds=60
        )

    @contextmanager
    def exporting(self, kubelets: Sequence[Kubelet]) -> Iterator[None]:
        """Has kubelets running for a while, each with an exporter; their Nodes are gone afterwards."""
        exporters = [self.exporter(kubelet) for kubelet in kubelets]
        try:
            start_together(kubelets)
            start_together(exporters)
            yield
        finally:
            stop_together(exporters)
            remove_all(kubelets)

    def extender(self, changes: Mapping[str, Any] | None = None, *, name: str = "extender") -> tuple[Process, str]:
        """
        The extender with the URL of its verbs; with a section `tls` among the changes, health must have a port of its own.

        Changed in its settings are the port and where the API server is; and `changes`.
        """
        changes = changes or {}
        port = self._control_plane.workspace.ports.take()
        lab = {
            "listen": {"port": port},
            "inventory": {"source": "cluster", "kubeconfig": str(self._kubeconfigs[EXTENDER])},
        }
        path = self._settings("extender.yaml", name, merged(lab, changes))
        command: Words = [program(EXTENDER), "serve", "--config", path]
        ready = f"http://127.0.0.1:{changes.get('health', lab['listen'])['port']}/readyz"
        process = web_program(self._control_plane.workspace, name, command, ready_url=ready, ready_seconds=60)
        return process, f"{'https' if 'tls' in changes else 'http'}://127.0.0.1:{port}"

    def _settings(self, file: str, name: str, changes: Mapping[str, Any]) -> Path:
        settings = yaml.safe_load((REPOSITORY / "config" / file).read_text())
        return write_settings(self._control_plane.workspace, name, merged(settings, changes))


def metric(url: str, name: str, **labels: str) -> float:
    """Reads /metrics of a program: the sum of a metric over all label values that are not given; 0 if there is none."""
    text = urllib3.request("GET", f"{url}/metrics", timeout=10).data.decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def _rules(file: Path) -> list[Object]:
    """The rules of the role in a file."""
    (role,) = [item for item in yaml.safe_load_all(file.read_text()) if item["kind"] == "ClusterRole"]
    rules: list[Object] = role["rules"]
    return rules


def _allow(api: Api, name: str, rules: list[Object]) -> None:
    """Makes a service account that may do this and nothing else, by roles that no manifest of deploy/ has the name of."""
    group, role = "rbac.authorization.k8s.io", f"lab-{name}"
    account = {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}})
    api.apply({"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": role}, "rules": rules})
    api.apply(
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": role},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [account],
        }
    )
