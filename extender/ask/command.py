"""
``numa-extender what-if``, also installed as ``kubectl-numa``: would it fit, where, and if not, why not.

Exit code 0: everything asked about fits; 1: it does not; 2: the question cannot be answered, and one sentence says why.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeVar

import click
import orjson
import yaml
from click.shell_completion import get_completion_class
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars

from extender import replay as replays
from extender.ask import questions, sources, tables
from extender.ask.asking import Options, question
from extender.ask.sources import SourceError
from extender.samples import sample
from extender.what_if.site import Site, chosen
from extender.what_if.work import Progress, Work, run

Json = dict[str, Any]
Command = TypeVar("Command", bound=Callable[..., Any])

DOES_NOT_FIT, CANNOT_TELL = 1, 2
PATIENCE_SECONDS = 0.5
"""After this a progress bar appears."""
WIDTH = 160
"""Columns where the output is no terminal."""
SUGGEST = 8
"""Nodes on which the smallest change is looked for."""


class CannotTellError(click.ClickException):
    """The question cannot be answered."""

    exit_code = CANNOT_TELL


@click.group("what-if", context_settings={"help_option_names": ["-h", "--help"]})
def what_if() -> None:
    """
    Ask what kubelets would say: to pods, under other settings, on other machines.

    Nothing is changed anywhere. The answer is the one that the scheduler gets, by the kubelet's own rules.
    """


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorated(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


_SOURCE = _options(
    click.option("--inventory", multiple=True, metavar="PATH", help="Recorded objects: a file, a folder, or -."),
    click.option("--cluster", is_flag=True, help="The cluster that kubectl would ask."),
    click.option("--kubeconfig", metavar="FILE", help="Kubeconfig of --cluster."),
    click.option("--context", metavar="NAME", help="Context of the kubeconfig."),
    click.option(
        "-o", "--output", default="table", show_default=True, type=click.Choice(["table", "wide", "json", "yaml"])
    ),
)
_PODS = click.option(
    "-f", "--filename", "manifests", multiple=True, metavar="PATH", help="Manifest of a pod or workload, or -."
)
_NODES = click.option("--nodes", "-n", multiple=True, metavar="PATTERN", help="Only these nodes.")
_AMOUNTS = _options(
    click.option("--cpu", metavar="N", help="What if the pod asked for so many CPUs altogether."),
    click.option("--memory", metavar="N", help="… or so much memory."),
)
_CHANGE = _options(
    click.option("--set", "values", multiple=True, metavar="FIELD=VALUE", help="Field of the KubeletConfiguration."),
    click.option("--kubelet", default="", metavar="FILE", help="KubeletConfiguration, or some of its fields."),
    click.option("--kubelet-version", "version", default="", metavar="MINOR", help="Minor of the kubelets."),
    click.option("--machine", default="", metavar="PATH", help="Machine: a file, or a copy of /sys."),
    click.option("--on", multiple=True, metavar="PATTERN", help="Only these nodes get the four above."),
    click.option("--drain", "drained", multiple=True, metavar="PATTERN", help="Nodes that are drained."),
    click.option(
        "--remove", "removed", multiple=True, metavar="PATTERN", help="Running pods (namespace/name) that go."
    ),
    click.option("--add", "added", multiple=True, metavar="like=NODE,count=N", help="Nodes that are added, or a file."),
)


@what_if.command()
@_SOURCE
@_PODS
@_NODES
@_AMOUNTS
@click.option("--replicas", type=click.IntRange(0), metavar="N", help="How many copies, instead of the manifest's.")
@click.option("--together", is_flag=True, help="All pods one after the other, instead of each for itself.")
@click.option(
    "--suggest/--no-suggest", default=True, help="Look for the smallest change that works, if it fits nowhere."
)
@_CHANGE
def fit(**given: Any) -> None:
    """
    Would these pods be admitted, where, and if not, why not?

    With --set, --drain, --add and the like, today and the change stand side by side, and the running pods that would
    lose their place are named.
    """
    suggest = SUGGEST if given.pop("suggest") and not given["together"] else 0
    _answer("what-if", given, suggest)


@what_if.command()
@_SOURCE
@_PODS
@_NODES
@_AMOUNTS
@click.option("--most", type=click.IntRange(1), metavar="N", help="Copies per node after which counting ends (110).")
@_CHANGE
def capacity(**given: Any) -> None:
    """How many copies fit, one after the other: per node and in total."""
    _answer("capacity", given, 0)


@what_if.command()
@_SOURCE
@click.argument("names", nargs=-1, metavar="[NODE]...")
def nodes(names: Sequence[str], output: str, **given: Any) -> None:
    """Show what each zone has left, and, of named nodes, who holds what."""
    with _mistakes():
        sites = chosen(_sites(given), names)
        shown = [questions.mapped(site) if names else questions.listed(site) for site in sites]
    if output in {"json", "yaml"}:
        _dump({"nodes": shown}, output)
        return
    console = _console()
    if not names:
        tables.nodes(console, shown, wide=output == "wide")
    for node in shown if names else ():
        tables.maps(console, node)


@what_if.command()
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "-o", "--output", default="table", show_default=True, type=click.Choice(["table", "wide", "json", "yaml"])
)
def replay(file: BinaryIO, output: str) -> None:
    """
    Replay recorded cases: what did the kubelet see, and what would it say?

    FILE has a JSON case a line, as ``numa-extender replay`` takes it, or log lines of the extender that carry one.
    """
    answers = [_replayed(number, line) for number, line in enumerate(file, start=1) if line.strip()]
    if output in {"json", "yaml"}:
        _dump({"answers": answers}, output)
    else:
        tables.replayed(_console(), answers)
    admitted = all(verdict["admit"] for answer in answers for verdict in answer.get("verdicts", ()))
    broken = any("error" in answer for answer in answers)
    sys.exit(CANNOT_TELL if broken else 0 if admitted else DOES_NOT_FIT)


@what_if.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete this command."""
    root = context.find_root()
    name = root.info_name or "numa-extender"
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(root.command, {}, name, f"_{name}_COMPLETE".replace("-", "_").upper()).source())


def _replayed(number: int, line: bytes) -> Json:
    """The answer to a case, or to the case that a log line carries."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return {"id": f"line {number}", "error": f"no JSON: {error}"}
    case = value.get("case", value) if isinstance(value, dict) else value
    answer = dict(replays.answer(case))
    return {**answer, "id": answer.get("id") or f"line {number}"}


def _answer(kind: str, given: Json, suggest: int) -> None:
    """Answers a question as its options say, and ends with its exit code."""
    output = given.pop("output")
    with _mistakes():
        files = sources.manifests(given.pop("manifests"))
        for name, found in files:
            questions.check(found, name)
        pods = [manifest for _, found in files for manifest in found]
        amounts = {name: given.pop(name) for name in ("cpu", "memory")}
        sites = _sites(given)
        options = Options(
            **given, amounts={name: amount for name, amount in amounts.items() if amount}, suggest=suggest
        )
        asked = question(options, pods)
        if not pods and "change" not in asked:
            raise SourceError("nothing is asked: name a manifest with -f, or a change")
        answer = _patiently(questions.answered(kind, questions.read(asked), sites))
    if output in {"json", "yaml"}:
        _dump(answer, output)
    else:
        tables.show(_console(), answer, wide=output == "wide")
    sys.exit(0 if answer["fits"] else DOES_NOT_FIT)


def _sites(given: Json) -> list[Site]:
    """The nodes that the options name; those of the sample inventory where they name none."""
    files, cluster = given.pop("inventory"), given.pop("cluster")
    kubeconfig, context = given.pop("kubeconfig"), given.pop("context")
    if files and cluster:
        raise SourceError("--inventory and --cluster are two sources; name one")
    if cluster or kubeconfig or context or (not files and _is_plugin()):
        return sources.from_cluster(kubeconfig, context)
    if files:
        return sources.from_files(files)
    click.echo("On the sample inventory; --cluster or --inventory names another.", err=True)
    return sources.from_files([str(sample("inventory"))])


def _is_plugin() -> bool:
    """Whether this runs as ``kubectl numa``, which people expect to ask their cluster."""
    return click.get_current_context().find_root().info_name in {"kubectl-numa", "kubectl numa"}


def _patiently(work: Work[Json]) -> Json:
    """Runs a computation; a progress bar appears where it takes long and somebody is looking."""
    begun = time.monotonic()
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bars.add_task("", total=None)

    def watch(progress: Progress) -> None:
        if not bars.live.is_started:
            if time.monotonic() - begun < PATIENCE_SECONDS:
                return
            bars.start()
        bars.update(task, description=progress.what, completed=progress.done, total=progress.of)

    try:
        return run(work, watch if sys.stderr.isatty() else lambda _: None)
    finally:
        bars.stop()


@contextmanager
def _mistakes() -> Iterator[None]:
    try:
        yield
    except (SourceError, *questions.MISTAKES) as error:
        raise CannotTellError(str(error)) from None


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, soft_wrap=False)


def _dump(answer: Json, output: str) -> None:
    if output == "json":
        click.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(yaml.safe_dump(answer, sort_keys=False, allow_unicode=True), nl=False)


def kubectl_numa() -> None:
    """Runs as ``kubectl numa``."""
    what_if(prog_name="kubectl-numa")
