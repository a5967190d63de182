"""What the documents say is so: settings, metrics, commands and their output."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from extender import verbs
from extender.app import create_app
from extender.cli import main
from extender.exporter.metrics import Metrics as ExporterMetrics
from extender.feeds import ReportReader
from extender.files import objects_in
from extender.inventory.live import Inventory
from extender.metrics import Metrics
from extender.model.verdict import Cause, Reason
from extender.process import World
from extender.samples import sample
from extender.settings import Settings
from extender.settings_file import options

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "config" / "extender.yaml").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def in_yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize(("key", "default"), [(key, value) for key, _, value in options(Settings())])
def test_every_setting_is_documented(key: str, default: object) -> None:
    """README's table has each setting with its default."""
    row = next((line for line in README.splitlines() if line.startswith(f"| `{key}` |")), "")

    assert (
        row.split(" | ")[1] == f"`{in_yaml(default)}`" if default != "" else row.split(" | ")[1].startswith("empty")
    ), row


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        (key, option.metadata["from"], option.metadata["to"])
        for key, option, _ in options(Settings())
        if option.metadata
    ],
)
def test_every_range_is_documented(key: str, low: int, high: int) -> None:
    """README's table and the annotated file name the range of each number."""
    row = next(line for line in README.splitlines() if line.startswith(f"| `{key}` |"))

    assert f"| {low} to {high} |" in row
    assert f"{low} to {high}" in comment(key)


@pytest.mark.parametrize(("key", "default"), [(key, value) for key, _, value in options(Settings())])
def test_every_setting_is_explained_in_the_annotated_file(key: str, default: object) -> None:
    """config/extender.yaml has each key below a comment that names its default."""
    shown = "empty" if default == "" else in_yaml(default)

    assert re.search(rf"\(default\s+{re.escape(str(shown))}\)", comment(key)), comment(key)


def comment(key: str) -> str:
    """The comment above a key of config/extender.yaml, as one line."""
    section, _, name = key.partition(".")
    body = EXAMPLE.split(f"\n{section}:\n")[1]
    lines = body.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(f"  {name}:"))
    above = list(reversed(lines[:at]))
    taken = above[: next((number for number, line in enumerate(above) if not line.startswith("  #")), len(above))]
    return " ".join(line.removeprefix("  # ") for line in reversed(taken))


def test_no_setting_is_documented_that_does_not_exist() -> None:
    """README's table of settings has no other keys."""
    documented = set(re.findall(r"^\| `([a-zA-Z]+\.[a-zA-Z]+)` \|", README, re.MULTILINE))

    assert {key for key, _, _ in options(Settings())} == documented


def test_every_metric_is_documented_with_its_labels() -> None:
    """README's table of metrics has each one, with its labels, and no other."""
    metrics = Metrics()
    metrics.show_nodes(lambda: {"exact": 1})
    metrics.show_pods(lambda: {"reported": 1})
    text = metrics.text().decode()
    types = dict(re.findall(r"^# TYPE (numa_extender_\w+) (\w+)$", text, re.MULTILINE))
    documented = dict(re.findall(r"^\| `(numa_extender_\w+)` \| ([^|]*) \|", README, re.MULTILINE))

    assert set(types) == set(documented)
    labels = {
        one._name + ("_total" if one._type == "counter" else ""): one._labelnames
        for one in vars(metrics).values()
        if hasattr(one, "_labelnames")
    }
    for name, expected in labels.items():
        assert list(expected) == re.findall(r"`(\w+)`", documented[name]), name


TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", [*Reason, *Cause], ids=str)
def test_every_reason_is_explained(word: str) -> None:
    """docs/troubleshooting.md has each reason of the kubelet and each cause that logs and metrics name."""
    assert f"`{word}`" in TROUBLESHOOTING


@pytest.mark.parametrize("sentence", verbs._HAZARDS.values())
def test_every_reason_to_wait_is_explained(sentence: str) -> None:
    """docs/troubleshooting.md has each sentence of ours that says that a pod has to wait."""
    assert f"| `numa: {sentence}` |" in TROUBLESHOOTING


@pytest.mark.parametrize("why", ["slow", "handshake", "malformed", "crowd"])
def test_every_drop_is_explained(why: str) -> None:
    """Both tables have each reason for which a connection is closed."""
    assert f"| `{why}` |" in TROUBLESHOOTING
    assert f"`{why}`" in README


@pytest.mark.parametrize(
    "document", sorted(path for folder in (".", "docs", "deploy", "extender") for path in (ROOT / folder).glob("*.md"))
)
def test_links_lead_somewhere(document: Path) -> None:
    """Each relative link of a document names a file, and its heading where it names one."""
    for target, heading in re.findall(r"\]\(([^)#:\s]*)(#[^)\s]*)?\)", document.read_text(encoding="utf-8")):
        file = document.parent / target if target else document
        assert file.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading[1:] in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("command", re.findall(r"^numa-extender (what-if .*)$", README, re.MULTILINE))
def test_questions_shown_are_answered(command: str) -> None:
    """README's questions are answered: everything fits, or not everything does."""
    done = CliRunner().invoke(main, command.split())

    assert done.exit_code in {0, 1}, done.output
    assert done.output.strip()


def test_every_metric_of_the_exporter_is_documented_with_its_labels() -> None:
    """README's table of the exporter's metrics has each one, with its labels, and no other."""
    metrics = ExporterMetrics()
    known = {
        one._name + ("_total" if one._type == "counter" else ""): list(one._labelnames)
        for one in vars(metrics).values()
        if hasattr(one, "_labelnames")
    }
    documented = dict(re.findall(r"^\| `(numa_exporter_\w+)` \| ([^|]*) \|", README, re.MULTILINE))

    assert known == {name: re.findall(r"`(\w+)`", labels) for name, labels in documented.items()}


def test_the_answer_shown_is_the_answer_given() -> None:
    """README's curl gets, from the sample inventory, the JSON that README shows."""
    inventory = Inventory()
    ReportReader(inventory, Metrics(), live=False).replace(objects_in(sample("inventory")))
    client = create_app(Settings(), World(inventory)).test_client()
    question = (ROOT / "config" / "requests" / "filter.json").read_bytes()
    (shown,) = blocks("json")

    assert json.loads(shown) == client.post("/scheduler/filter", data=question).get_json()


def test_the_output_shown_is_the_output_given() -> None:
    """Make run prints what README shows, apart from what it leaves out with an ellipsis."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from extender.cli import main; main()", "demo", "--once", "--port", str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=True)
    output = "\n".join(line.rstrip() for line in done.stdout.replace(str(port), "8099").splitlines())
    (shown,) = blocks("text")

    for part in filter(str.strip, shown.split("...\n")):
        assert part.strip("\n") in output, output


def test_commands_shown_exist() -> None:
    """Each make target and each command of ours that README shows exists."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = "\n".join(blocks(""))

    for target in re.findall(r"^make (\S+)", commands, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for subcommand in re.findall(r"^numa-extender (\S+)", commands, re.MULTILINE):
        assert subcommand in main.commands
    for file in re.findall(r"config/[\w./-]+", commands):
        assert (ROOT / file).exists(), file
