"""The project's own programs, started in the lab as a user starts them."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError
from lab.process import Process
from lab.waiting import answers
from lab.workspace import REPOSITORY, Workspace

Words = Sequence[str | PathLike[str]]


def program(name: str) -> Path:
    """The path of a program in the repository's virtual environment, such as `numa-exporter`."""
    path = REPOSITORY / ".venv" / "bin" / name
    if not path.exists():
        raise LabError(f"{path} is missing: run make venv.")
    return path


def web_program(
    workspace: Workspace,
    name: str,
    command: Words,
    *,
    ready_url: str,
    ready_seconds: float = 30,
    environment: Mapping[str, str] | None = None,
) -> Process:
    """Prepares a program that says at `ready_url` when it is ready: the extender (/readyz), an exporter (/healthz)."""
    return workspace.process(
        name,
        command,
        ready=lambda: answers(ready_url),
        ready_seconds=ready_seconds,
        environment=environment,
    )


def extender(
    workspace: Workspace, kubeconfig: Path, *, name: str = "extender", changes: Mapping[str, Any] | None = None
) -> tuple[Process, str]:
    """
    Prepares the extender on the settings file that a user would take, and returns it with its URL.

    Changed in it are the port and the source of the inventory, which is the cluster behind `kubeconfig`; and `changes`.
    """
    port = workspace.ports.take()
    lab = {"listen": {"port": port}, "inventory": {"source": "cluster", "kubeconfig": str(kubeconfig)}}
    settings = yaml.safe_load((REPOSITORY / "config" / "extender.yaml").read_text())
    path = write_settings(workspace, name, merged(merged(settings, lab), changes or {}))
    command: Words = [program("numa-extender"), "serve", "--config", path]
    url = f"http://127.0.0.1:{port}"
    return web_program(workspace, name, command, ready_url=f"{url}/readyz"), url


def exporter(workspace: Workspace, node: str, settings: Mapping[str, Any], port: int, *words: str) -> Process:
    """Prepares a node's exporter on settings that make it answer on `port`; `words` end its command line."""
    name = f"{node}.exporter"
    path = write_settings(workspace, name, settings)
    command: Words = [program("numa-exporter"), "--config", path, "--node-name", node, *words]
    return web_program(workspace, name, command, ready_url=f"http://127.0.0.1:{port}/healthz")


def write_settings(workspace: Workspace, name: str, settings: Mapping[str, Any]) -> Path:
    """Writes a program's settings file."""
    path = workspace.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(dict(settings), sort_keys=False))
    return path


def merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings with the changes laid over them, section by section."""
    result = dict(settings)
    for key, value in changes.items():
        result[key] = merged(result.get(key) or {}, value) if isinstance(value, Mapping) else value
    return result
