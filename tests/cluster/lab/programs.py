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
