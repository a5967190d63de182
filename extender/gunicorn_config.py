"""
How gunicorn serves the extender: read by ``gunicorn -c python:extender.gunicorn_config 'extender.app:serve()'``.

One process, because the inventory, what is on its way and the metrics live in it; threads, because the scheduler
keeps connections open: see ``extender.connections``. The names are gunicorn's.
"""

from __future__ import annotations

import os
import sys

from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from extender import logs
from extender.doors import doors
from extender.settings import load
from extender.settings_file import SettingsError

try:
    _settings = load()
    _doors = doors(_settings)
except SettingsError as error:
    sys.exit(f"Error: {error}")

bind = [door.bind for door in _doors]
workers = 1
worker_class = "extender.connections.Worker"
threads = 1
"""How many there are is the worker's own matter; of the connections gunicorn takes this many off for waiting ones."""
worker_connections = _settings.listen.connections
keepalive = _settings.listen.keep_alive_seconds
graceful_timeout = _settings.listen.drain_seconds + _settings.listen.graceful_seconds
timeout = 60
"""Seconds after which a worker that has stopped beating is replaced; requests are not limited by it."""
preload_app = False
"""The watches' threads must start in the worker, after the fork."""
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - gunicorn makes and removes it
"""The worker's heartbeat is a change of a file: on a busy disk it would make all connections wait."""
forwarded_allow_ips, secure_scheme_headers, forwarder_headers = "*", {}, ""  # type: ignore[var-annotated]
"""
Nobody may tell by headers that he is somebody else: everybody may use all of a list with nothing in it. Gunicorn would
otherwise work out for each request whether its sender is on the list of those who may.
"""
control_socket_disable = True
"""It would be opened below the home directory, which may be read-only."""
proc_name = "numa-extender"
accesslog = None


class logger_class(Logger):  # type: ignore[misc] # noqa: N801 - the name is gunicorn's, which has no types
    """Gunicorn's log without a line for each request: verbs write their own, and this one is slow to make."""

    def access(self, *_: object) -> None:
        """Writes nothing, and spends no time on it."""


logconfig_dict = logs.configuration(_settings.log)
