"""
The HTTP shell: the scheduler's calls, and behind them a Flask app for health, metrics and people.

``create_app`` wires and starts nothing; ``serve`` reads the settings, starts what brings the news, and returns the
app: ``gunicorn -c python:extender.gunicorn_config 'extender.app:serve()'``.
"""

from __future__ import annotations

import logging
import sys

from flask import Flask, Response, request

from extender.calls import calls
from extender.doors import doors
from extender.entrance import STOPPING, guarded, named
from extender.guard import guard
from extender.kube import KubeError
from extender.process import World, start
from extender.settings import Settings, load
from extender.settings_file import SettingsError
from extender.web.background import Background
from extender.web.pages import pages
from extender.web.service import Limits

log = logging.getLogger(__name__)

APP_LOAD_ERROR = 4
"""Exit code at which gunicorn's arbiter ends instead of starting another worker (Arbiter.APP_LOAD_ERROR)."""


def create_app(settings: Settings, world: World) -> Flask:
    """Returns the app; nothing is started."""
    app = Flask("extender")
    app.config["MAX_CONTENT_LENGTH"] = settings.listen.max_body_bytes
    app.extensions["metrics"], app.extensions["precedence"] = world.metrics, world.precedence
    world.metrics.show_nodes(world.inventory.count_nodes)
    world.metrics.show_pods(world.inventory.count_pods)

    @app.get("/healthz")
    def healthz() -> str:
        return "ok\n"

    @app.get("/readyz")
    def readyz() -> tuple[str, int]:
        missing = "the extender is about to end" if request.environ.get(STOPPING) else world.missing()
        return (f"{missing}\n", 503) if missing else ("ok\n", 200)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(world.metrics.text(), mimetype="text/plain; version=0.0.4")

    if settings.what_if.enabled:
        limits = Limits(settings.what_if.seconds, settings.what_if.max_body_bytes)
        background = app.extensions["what-if"] = Background(world.inventory.all_nodes, limits)
        app.register_blueprint(pages(background, limits, world.missing))
    inner = calls(app.wsgi_app, settings, world)
    if settings.guard.port:
        inner = guard(inner, settings, world)
    app.wsgi_app = named(guarded(inner, doors(settings)))  # type: ignore[assignment, method-assign]
    return app


def serve() -> Flask:
    """
    Starts the extender as the settings say and returns its app, for gunicorn.

    Where a setting is wrong or there is no way to the API server, says so in one sentence and ends gunicorn as well.
    """
    try:
        settings = load()
        app = create_app(settings, start(settings))
    except (SettingsError, KubeError) as error:
        log.critical(str(error))
        sys.exit(APP_LOAD_ERROR)
    if settings.what_if.enabled:
        app.extensions["what-if"].warm_up()
    return app
