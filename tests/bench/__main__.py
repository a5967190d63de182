"""
Benchmarks: ``make bench`` runs them all, ``make bench PART="verbs --nodes 5000"`` one, ``PART=targets`` none.

Each prints a table and writes it as JSON to ``build/bench/``; in the end the figures there are held against the targets.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from bench.figures import Figures, MissingError
from bench.targets import compare

SIZES = (1000, 5000, 20000)
CONFIGURED = "NUMA_EXTENDER_CONFIG"


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Measure the extender; without a command, everything in turn, in about half an hour."""
    os.environ.pop(CONFIGURED, None)
    if context.invoked_subcommand is None:
        for command in main.commands.values():
            context.invoke(command)


def _publish(part: str, *arguments: object) -> None:
    """Measures a part, and says so where what it needs is missing."""
    try:
        figures: Figures = importlib.import_module(f"bench.{part}").measure(*arguments)
    except MissingError as missing:
        click.echo(f"{part}: not measured, {missing}", err=True)
    else:
        figures.publish()


@main.command()
@click.option("--nodes", "sizes", multiple=True, type=int, default=SIZES, show_default=True)
@click.option("--rounds", default=300, show_default=True)
def verbs(sizes: tuple[int, ...], rounds: int) -> None:
    """Filter and prioritize over gunicorn, beside an extender that does nothing."""
    _publish("verbs", sizes, rounds)


@main.command()
@click.option("--nodes", default=5000, show_default=True)
@click.option("--rounds", default=14, show_default=True)
def questions(nodes: int, rounds: int) -> None:
    """Filter while people ask what if."""
    _publish("questions", nodes, rounds)


@main.command()
@click.option("--nodes", default=5000, show_default=True)
@click.option("--rounds", default=10, show_default=True)
def page(nodes: int, rounds: int) -> None:
    """The page, from a click to all nodes shown; needs Chromium and its driver."""
    _publish("page", nodes, rounds)


@main.command()
@click.option("--nodes", default=5000, show_default=True)
@click.option("--pods", default=50_000, show_default=True)
@click.option("--rate", default=500, show_default=True, help="Updates a second.")
@click.option("--rounds", default=300, show_default=True)
def ingestion(nodes: int, pods: int, rate: int, rounds: int) -> None:
    """Time until ready, memory, and what updates do to answers."""
    _publish("ingestion", nodes, pods, rate, rounds)


@main.command()
@click.option("--nodes", default=5000, show_default=True)
@click.option("--pods", default=1000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--variant", "names", multiple=True, help="Only those whose name contains this.")
def scheduler(nodes: int, pods: int, rounds: int, names: tuple[str, ...]) -> None:
    """The real scheduler: alone, with an extender that does nothing, with ours; needs tests/cluster/build.sh and root."""
    _publish("scheduler", nodes, pods, rounds, names)


@main.command()
@click.option("--nodes", default=200, show_default=True)
@click.option("--seeds", default=1, show_default=True)
@click.option("--mix", "mixes", multiple=True, help="Only those; by default all seven.")
@click.option("--workers", default=2, show_default=True)
def placement(nodes: int, seeds: int, mixes: tuple[str, ...], workers: int) -> None:
    """Pods placed, by how nodes are ranked: ours, scheduler-plugins', and a bound."""
    _publish("placement", nodes, seeds, mixes, workers)


@main.command()
def twin() -> None:
    """One admission by the twin, and by the kubelet's own code where its judge is built."""
    _publish("twin")


@main.command()
def targets() -> None:
    """Hold the figures that there are against what is wanted; the exit status is 1 if any misses it."""
    sys.exit(0 if compare() else 1)


if __name__ == "__main__":
    main()
