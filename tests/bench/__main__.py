"""Benchmarks: ``python -m bench`` runs them all, ``python -m bench verbs`` one; ``make bench`` is the same."""

from __future__ import annotations

import click

from bench import ingestion as ingestion_
from bench import placement as placement_
from bench import scheduler as scheduler_
from bench import verbs as verbs_

SIZES = (1000, 5000, 20000)


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Measure the extender; without a command, everything in turn."""
    if context.invoked_subcommand is None:
        for command in main.commands.values():
            context.invoke(command)


@main.command()
@click.option("--nodes", "sizes", multiple=True, type=int, default=SIZES, show_default=True)
@click.option("--rounds", default=300, show_default=True)
def verbs(sizes: tuple[int, ...], rounds: int) -> None:
    """Filter and prioritize over gunicorn, beside an extender that does nothing."""
    verbs_.measure(sizes, rounds).publish()


@main.command()
@click.option("--nodes", default=5000, show_default=True)
@click.option("--pods", default=50_000, show_default=True)
@click.option("--rate", default=500, show_default=True, help="Updates a second.")
@click.option("--rounds", default=300, show_default=True)
def ingestion(nodes: int, pods: int, rate: int, rounds: int) -> None:
    """Time until ready, memory, and what updates do to answers."""
    ingestion_.measure(nodes, pods, rate, rounds).publish()


@main.command()
@click.option("--nodes", default=200, show_default=True)
@click.option("--seeds", default=1, show_default=True)
@click.option(
    "--mix", "mixes", multiple=True, type=click.Choice(list(placement_.MIXES)), default=tuple(placement_.MIXES)
)
@click.option("--workers", default=2, show_default=True)
def placement(nodes: int, seeds: int, mixes: tuple[str, ...], workers: int) -> None:
    """Pods placed, by how nodes are ranked: ours, scheduler-plugins', and a bound."""
    placement_.measure(nodes, seeds, mixes, workers).publish()


@main.command()
@click.option("--nodes", default=5000, show_default=True)
@click.option("--pods", default=1000, show_default=True)
@click.option("--variant", "names", multiple=True, help="Only those whose name contains this.")
def scheduler(nodes: int, pods: int, names: tuple[str, ...]) -> None:
    """The real scheduler: alone, with an extender that does nothing, with ours; needs tests/cluster/build.sh and root."""
    chosen = [one for one in scheduler_.VARIANTS if not names or any(name in one.name for name in names)]
    scheduler_.measure(nodes, pods, chosen).publish()


if __name__ == "__main__":
    main()
