"""
``numa-extender``: one command, one group of subcommands; thin, as each subject lives in its own module.

A user's mistake is answered with one sentence and exit code 2, never with a traceback.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from extender import demo as demonstration
from extender import replay as replays
from extender.ask.command import what_if
from extender.demo import SERVER, DemoError
from extender.settings import VARIABLE, load
from extender.settings_file import SettingsError
from extender.wire.fields import WireError


class UsersMistake(click.ClickException):
    """Something that the person at the keyboard can mend."""

    exit_code = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="numa-extender")
def main() -> None:
    """Make Kubernetes place NUMA-aligned pods right the first time."""


@main.command()
@click.option("--config", "path", type=click.Path(), envvar=VARIABLE, help="Settings file; without one, the defaults.")
def serve(path: str | None) -> None:
    """Answer the scheduler until told to stop."""
    try:
        load(path)
    except SettingsError as error:
        raise UsersMistake(str(error)) from None
    environment = {**os.environ, **({VARIABLE: path} if path else {})}
    os.execve(sys.executable, [sys.executable, *SERVER], environment)  # noqa: S606 - the same interpreter, no shell


@main.command()
@click.option("--port", default=8099, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--pod", "file", type=click.Path(exists=True, path_type=Path), help="Another pod than the example.")
@click.option("--stay/--once", default=True, help="Go on serving after the decision was shown, or stop.")
def demo(port: int, file: Path | None, *, stay: bool) -> None:
    """Serve the sample inventory and explain one decision."""
    try:
        demonstration.run(port, file, stay=stay)
    except (DemoError, SettingsError, WireError) as error:
        raise UsersMistake(str(error)) from None


@main.command()
def replay() -> None:
    """Answer sequences of admissions: one JSON case a line on standard input, one answer a line on standard output."""
    sys.exit(1 if replays.replay(sys.stdin.buffer, sys.stdout.buffer) else 0)


main.add_command(what_if)
