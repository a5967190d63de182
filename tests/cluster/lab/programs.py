"""The project's own programs, started in the lab as a user starts them."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

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


def extender(workspace: Workspace, config: Path, port: int, *, name: str = "extender") -> Process:
    """Prepares the extender on a settings file that makes it listen on `port`."""
    command: Words = [program("numa-extender"), "serve", "--config", config]
    return web_program(workspace, name, command, ready_url=f"http://127.0.0.1:{port}/readyz")


def exporter(workspace: Workspace, config: Path, port: int, node: str, *words: str | PathLike[str]) -> Process:
    """Prepares one node's exporter on a settings file that makes it show its health on `port`; `words` follow on its command line."""
    command: Words = [program("numa-exporter"), "--config", config, "--node-name", node, *words]
    return web_program(workspace, f"{node}.exporter", command, ready_url=f"http://127.0.0.1:{port}/healthz")
