"""The real kube-scheduler on the configuration file that a user would take."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3
import yaml

from lab.control_plane import ControlPlane
from lab.process import Process
from lab.waiting import answers
from lab.workspace import REPOSITORY

CONFIGURATION_FILE = REPOSITORY / "config" / "scheduler.yaml"
"""What a user would take."""
OURS = "numa-scheduler"
"""The scheduler's name in it."""


def configuration_file(path: Path, *, binds: bool, name: str = OURS, tls: Mapping[str, Any] | None = None) -> Path:
    """
    Writes the configuration that a user would take for a scheduler of this name, or the same without bindVerb; with its
    extender's section tlsConfig where there is one.
    """
    document = yaml.safe_load(CONFIGURATION_FILE.read_text())
    document["profiles"][0]["schedulerName"] = name
    if not binds:
        del document["extenders"][0]["bindVerb"]
    if tls is not None:
        document["extenders"][0] |= {"enableHTTPS": True, "tlsConfig": dict(tls)}
    path.write_text(yaml.safe_dump(document))
    return path


def scheduler(
    control_plane: ControlPlane,
    configuration: Path,
    *,
    extender_url: str | None,
    name: str = "kube-scheduler",
    changes: Mapping[str, Any] | None = None,
    verbosity: int = 2,
) -> Process:
    """Prepares a scheduler. Of its configuration only this is replaced: see `in_the_lab`."""
    workspace = control_plane.workspace
    kubeconfig = control_plane.kubeconfig("system:kube-scheduler", "")
    document = in_the_lab(yaml.safe_load(configuration.read_text()), kubeconfig, extender_url) | dict(changes or {})
    path = workspace.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    port = workspace.ports.take()
    serving = control_plane.authority.serving(name)
    return workspace.process(
        name,
        [
            workspace.binary("kube-scheduler"),
            f"--config={path}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--authentication-tolerate-lookup-failure=true",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--v={verbosity}",
        ],
        ready=lambda: answers(f"https://127.0.0.1:{port}/readyz", control_plane.pool),
    )


def in_the_lab(document: dict[str, Any], kubeconfig: Path, extender_url: str | None) -> dict[str, Any]:
    """
    Returns the configuration with the lab's kubeconfig, without leader election (a killed scheduler's lease would be
    waited for), and with its extender at `extender_url`, or without extenders when that is None.

    The URL's path is the user's own; only scheme, host and port are replaced. TLS settings go with the scheme.
    """
    changed = dict(document)
    changed["clientConnection"] = dict(document.get("clientConnection", {})) | {"kubeconfig": str(kubeconfig)}
    changed["leaderElection"] = dict(document.get("leaderElection", {})) | {"leaderElect": False}
    extenders = changed.pop("extenders", [])
    if extender_url is not None:
        changed["extenders"] = [_moved(extender, extender_url) for extender in extenders]
    return changed


def _moved(extender: dict[str, Any], url: str) -> dict[str, Any]:
    path = urllib3.util.parse_url(extender["urlPrefix"]).path or ""
    moved = extender | {"urlPrefix": url.rstrip("/") + path}
    if url.startswith("http:"):
        moved.pop("enableHTTPS", None)
        moved.pop("tlsConfig", None)
    return moved
