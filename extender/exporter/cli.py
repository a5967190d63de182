"""
``numa-exporter``: tells the cluster what a node knows of itself; thin, as each subject lives in its own module.

A user's mistake is answered with one sentence and exit code 2; a call that could not be made with exit code 1.
"""

from __future__ import annotations

import logging
import logging.config
import signal
from dataclasses import replace

import click
import yaml

from extender import logs
from extender.exporter.access import SERVICE_ACCOUNT
from extender.exporter.agent import agent, once
from extender.exporter.api import Api, ApiError, connect
from extender.exporter.metrics import Metrics
from extender.exporter.serve import ServeError, Server
from extender.exporter.settings import Flags, Settings, settings
from extender.exporter.table import table
from extender.model.report import Report
from extender.settings_file import Log, LogFormat, SettingsError
from extender.wire.nrt import report_to_nrt


class UsersMistake(click.ClickException):
    """Something that the person at the keyboard can mend."""

    exit_code = 2


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="numa-extender")
@click.option(
    "--config", type=click.Path(), envvar="NUMA_EXPORTER_CONFIG", help="Settings file; without one, the defaults."
)
@click.option("--node-name", help="Name of the Node.  [default: $NODE_NAME, else the host's name]")
@click.option("--sysfs", type=click.Path(), help="What stands for /sys.")
@click.option("--state-dir", type=click.Path(), help="The kubelet's root directory.  [default: /var/lib/kubelet]")
@click.option("--podresources", type=click.Path(), help="The PodResources socket.")
@click.option("--kubeconfig", type=click.Path(), help="A kubeconfig file.  [default: the pod's service account]")
@click.option("--oneshot", is_flag=True, help="Publish once and end.")
@click.option("--dry-run", is_flag=True, help="Print what would be published and end.")
@click.option(
    "-o", "--output", type=click.Choice(["yaml", "table"]), default="yaml", show_default=True, help="Of --dry-run."
)
def main(
    config: str | None,
    node_name: str | None,
    sysfs: str | None,
    state_dir: str | None,
    podresources: str | None,
    kubeconfig: str | None,
    output: str,
    *,
    oneshot: bool,
    dry_run: bool,
) -> None:
    """
    Publish what this node's zones have and what its kubelet has given away.

    The object is a NodeResourceTopology named like the Node. It is written whenever the kubelet's state changes.
    """
    try:
        chosen = settings(config, Flags(node_name, sysfs, state_dir, podresources, kubeconfig))
    except SettingsError as error:
        raise UsersMistake(str(error)) from None
    if dry_run:
        _log(replace(chosen.log, format=LogFormat.TEXT))
        click.echo(_printed(_dry(chosen), output), nl=False)
        return
    _log(chosen.log)
    try:
        api = connect(chosen.cluster.kubeconfig)
    except ApiError as error:
        raise UsersMistake(str(error)) from None
    if oneshot:
        _publish_once(chosen, api)
    else:
        _serve(chosen, api)


def _dry(chosen: Settings) -> Report:
    """What would be published; an API server is asked only where there is a way to it, and may be away."""
    api = None
    if chosen.cluster.kubeconfig or (SERVICE_ACCOUNT / "token").is_file():
        try:
            api = connect(chosen.cluster.kubeconfig)
        except ApiError as error:
            raise UsersMistake(str(error)) from None
    try:
        return once(chosen, api, Metrics())[0]
    except ApiError as error:
        logging.getLogger(__name__).warning("without the API server: %s", error)
        return once(chosen, None, Metrics())[0]


def _publish_once(chosen: Settings, api: Api) -> None:
    try:
        _, publisher = once(chosen, api, Metrics())
    except ApiError as error:
        raise click.ClickException(str(error)) from None
    assert publisher is not None
    publisher.publish()
    if publisher.due_seconds() < chosen.publish.heartbeat_seconds / 2:
        raise click.ClickException("not published; the line above says why")


def _serve(chosen: Settings, api: Api) -> None:
    metrics = Metrics()
    made, signs = agent(chosen, api, metrics)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: signs.stop())
    server = None
    if chosen.serve.port:
        try:
            server = Server(chosen.serve_address, chosen.serve.port, metrics, made.is_alive, made.is_ready)
        except ServeError as error:
            raise UsersMistake(str(error)) from None
        server.start()
    made.run()
    if server is not None:
        server.stop()


def _printed(report: Report, output: str) -> str:
    if output == "table":
        return table(report)
    return yaml.safe_dump(report_to_nrt(report), sort_keys=False, width=10**6)


def _log(log: Log) -> None:
    logging.config.dictConfig(logs.configuration(log))
