"""
``numa-extender demo``: the real server on the sample inventory, and one decision explained node by node.

The verdicts and scores in the table are the server's answers to a scheduler's question; what a pod would get where
is the same law asked in this process, because the protocol has no words for it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from extender.feeds import ReportReader
from extender.files import objects_in
from extender.fleet import rooms, shape_of
from extender.inventory.live import Inventory
from extender.inventory.node import Knowledge, Node
from extender.metrics import Metrics
from extender.model.configuration import TopologyPolicy
from extender.model.verdict import Admission
from extender.samples import sample
from extender.settings import VARIABLE
from extender.wire.explanation import admission_sentence, room_sentence
from extender.wire.pod import pod_from_json

SERVER = ("-m", "gunicorn", "-c", "python:extender.gunicorn_config", "extender.app:serve()")
"""What a Python interpreter is started with to serve."""
_SETTINGS = {"rules": {"assume": "bind"}, "log": {"format": "text", "level": "warning"}}
"""Questions are asked for show: with bind, none of them counts as a pod on its way."""
START_SECONDS = 30
WIDTH = 118
"""Columns where the output is no terminal."""


class DemoError(Exception):
    """The demo cannot go on; the message is one sentence."""


@dataclass(frozen=True)
class Answer:
    """What the server says of one node."""

    fits: bool
    score: int | None
    reason: str


def run(port: int, pod_file: Path | None, *, stay: bool) -> None:
    """
    Shows the decision and, if it is to stay, serves until interrupted.

    Raises:
        DemoError: the server does not start.
    """
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    pod = _pod(pod_file or sample("pods/database.yaml"))
    inventory = Inventory()
    ReportReader(inventory, Metrics(), live=False).replace(objects_in(sample("inventory")))
    names = [node.name for node in inventory.all_nodes()]
    with _server(port) as url:
        answers = _ask(url, pod, names)
        console.print(
            f"The extender answers at {url} and knows {len(names)} nodes, from {_shown(sample('inventory'))}.\n"
        )
        console.print(f"Would their kubelets admit pod [bold]{pod['metadata']['name']}[/bold]?\n")
        console.print(_table(inventory, pod, answers))
        console.print(
            f"\nAsk it as a scheduler does:\n  curl -s {url}/scheduler/filter -d @config/requests/filter.json"
        )
        if stay:
            console.print("\nCtrl-C stops it.")
            _wait()


def _shown(path: Path) -> Path:
    """A path as short as it can be told from here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _pod(file: Path) -> dict[str, Any]:
    """A pod from a file, with what the API server would add."""
    pod = objects_in(file)[0]
    pod["metadata"] = {"namespace": "default", "uid": "demo", **pod["metadata"]}
    return pod


@contextmanager
def _server(port: int) -> Iterator[str]:
    """Runs gunicorn with the sample inventory and yields its address; it is stopped whatever happens."""
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="numa-extender-") as folder:
        settings = Path(folder) / "extender.yaml"
        settings.write_text(yaml.safe_dump(_SETTINGS | {"listen": {"port": port}}))
        # Its own session: an interrupt at the keyboard reaches this process only, which then stops the server in order.
        process = subprocess.Popen(  # noqa: S603 - the same interpreter, no shell
            [sys.executable, *SERVER], env={**os.environ, VARIABLE: str(settings)}, start_new_session=True
        )
        try:
            _wait_until_ready(process, url)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=START_SECONDS)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=1):  # noqa: S310 - our own address
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise DemoError(f"no extender came up at {url}; is the port in use? Another one can be named with --port")


def _wait() -> None:
    """Waits for an interrupt or a request to stop."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # explicitly: a shell ignores SIGINT for what it runs in the background
        signal.signal(number, stop)
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return


def _ask(url: str, pod: Mapping[str, Any], names: list[str]) -> dict[str, Answer]:
    question = {"Pod": pod, "Nodes": None, "NodeNames": names}
    verdict = _post(f"{url}/scheduler/filter", question)
    scores = _post(f"{url}/scheduler/prioritize", {**question, "NodeNames": verdict["NodeNames"]})
    by_name = {one["Host"]: one["Score"] for one in scores}
    reasons = verdict["FailedAndUnresolvableNodes"]
    return {name: Answer(name not in reasons, by_name.get(name), reasons.get(name, "")) for name in names}


def _post(url: str, body: object) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - our own address
        return json.load(response)


def _table(inventory: Inventory, pod: Mapping[str, Any], answers: Mapping[str, Answer]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("node and its kubelet", width=28)
    table.add_column("fits")
    table.add_column("score", justify="right")
    table.add_column("because")
    for name, answer in answers.items():
        node = inventory.node(name)
        because = _placement(inventory, pod, name) if answer.fits else answer.reason
        mark = "[green]yes[/green]" if answer.fits else "[red]no[/red]"
        score = "" if answer.score is None else str(answer.score)
        table.add_row(f"[bold]{name}[/bold]\n{_kubelet(node)}", mark, score, because)
    return table


def _kubelet(node: Node) -> str:
    if node.snapshot is None:
        return str(node.knowledge)
    told = node.snapshot.kubelet.configuration
    scope = "" if told.topology_policy is TopologyPolicy.NONE else f", {told.topology_scope}"
    mark = "" if node.knowledge is Knowledge.EXACT else f" ({node.knowledge})"
    return f"{told.topology_policy}{scope}{mark}"


def _placement(inventory: Inventory, document: Mapping[str, Any], name: str) -> str:
    """What a pod that fits gets on a node, and what is left."""
    pod = pod_from_json(document)
    judgement = inventory.judge(name, pod, shape_of(pod))
    snapshot, fit = judgement.node.snapshot, judgement.fit
    if snapshot is None or fit is None or not isinstance(fit.verdict, Admission):
        return "the node is not known"
    after = rooms(snapshot.kubelet, fit.state)
    return f"{admission_sentence(fit.verdict, snapshot.rooms, after)}\nleft: {room_sentence(after)}"
