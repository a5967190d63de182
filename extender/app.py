"""
The HTTP shell: Flask routes for the scheduler's verbs, health and metrics, and the process that serves them.

``create_app`` wires and starts nothing; ``serve`` reads the settings, starts what brings the news, and returns the
app: ``gunicorn -c python:extender.gunicorn_config 'extender.app:serve()'``. The scheduler discards the body of any answer
that is not 200, so that what it must know, a malformed question included, is said in the answer's own ``Error``.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from extender import verbs
from extender.doors import doors
from extender.entrance import STOPPING, guarded, named
from extender.inventory.judgement import Judgement
from extender.inventory.survey import Survey
from extender.kube import KubeError
from extender.metrics import Metrics
from extender.process import World, start
from extender.settings import Scoring, Settings, load
from extender.settings_file import SettingsError
from extender.web.background import Background
from extender.web.pages import pages
from extender.web.service import Limits
from extender.wire import preemption, scheduler
from extender.wire.fields import WireError

log = logging.getLogger(__name__)

APP_LOAD_ERROR = 4
"""Exit code at which gunicorn's arbiter ends instead of starting another worker (Arbiter.APP_LOAD_ERROR)."""


def create_app(settings: Settings, world: World) -> Flask:
    """Returns the app; nothing is started."""
    app = Flask("extender")
    app.config["MAX_CONTENT_LENGTH"] = settings.listen.max_body_bytes
    app.extensions["metrics"] = world.metrics
    world.metrics.show_nodes(world.inventory.count_nodes)
    world.metrics.show_pods(world.inventory.count_pods)

    @app.post("/scheduler/filter")
    def filter_nodes() -> Response:
        with world.precedence.claimed():
            return _answer(world, "filter", partial(_filter, settings.scoring), scheduler.filter_error)

    @app.post("/scheduler/prioritize")
    def prioritize() -> Response:
        # A bare array has no place for an error; the scheduler takes an empty one as "no preference".
        with world.precedence.claimed():
            return _answer(world, "prioritize", partial(_prioritize, settings.scoring), lambda _: [])

    @app.post("/scheduler/preempt")
    def preempt() -> Response:
        # Neither has this answer a place for an error; without nodes nobody is evicted, and the pod is tried again.
        return _answer(world, "preempt", _preempt, lambda _: preemption.preemption_result({}))

    @app.post("/scheduler/bind")
    def bind() -> Response:
        return _answer(world, "bind", _bind, scheduler.binding_result)

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
    app.wsgi_app = named(guarded(app.wsgi_app, doors(settings)))  # type: ignore[assignment, method-assign]
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


def _answer(world: World, verb: str, act: Callable[[World, object], Any], fail: Callable[[str], Any]) -> Response:
    """Calls a verb and answers 200, whatever happens."""
    begun = time.perf_counter()
    error = ""
    try:
        missing = world.missing()
        body = fail(error := f"{verbs.PREFIX}{missing}") if missing else act(world, _question())
    except (WireError, orjson.JSONDecodeError) as wrong:
        body = fail(error := f"{verbs.PREFIX}the request cannot be understood: {wrong}")
    except RequestEntityTooLarge:
        limit = request.max_content_length
        body = fail(error := f"{verbs.PREFIX}the request is larger than {limit} bytes (setting listen.maxBodyBytes)")
    except Exception:
        log.exception("a fault of the extender", extra={"verb": verb})
        body = fail(error := f"{verbs.PREFIX}a fault of the extender; its log has the details")
    if error:
        log.warning("request failed", extra={"verb": verb, "why": error})
    world.metrics.requests.labels(verb, "error" if error else "ok").inc()
    world.metrics.latency.labels(verb).observe(time.perf_counter() - begun)
    return Response(body if isinstance(body, bytes) else orjson.dumps(body), mimetype="application/json")


def _question() -> object:
    return orjson.loads(request.get_data(cache=False))


def _filter(scoring: Scoring, world: World, question: object) -> object:
    args = scheduler.args_from_json(question)
    strategy = scoring.strategy_of(args.profile)
    survey = verbs.filter_nodes(world.inventory, args.pod, args.names, world.clock(), strategy, args.profile)
    passed = survey.passed
    refused = verbs.refusals(world.inventory, args.pod, survey)
    _count(world.metrics, survey)
    log.info(
        "filtered",
        extra={
            "pod": f"{args.pod.namespace}/{args.pod.name}",
            "uid": args.pod.uid,
            "asked": len(args.names),
            "passed": len(passed),
            "reasons": list(islice(refused.values(), 3)),
        },
    )
    # A scheduler that does not ask preemptVerb about a node cannot see what evicting would bring there.
    resolvable = verbs.resolvable(world.inventory, args.pod, args.priority, refused)
    failed = {name: refused.pop(name) for name in resolvable}
    return scheduler.filter_result(args, passed, failed, refused)


def _prioritize(scoring: Scoring, world: World, question: object) -> object:
    args = scheduler.args_from_json(question)
    strategy = scoring.strategy_of(args.profile)
    return scheduler.priorities(verbs.score_nodes(world.inventory, args.pod, args.names, strategy))


def _preempt(world: World, question: object) -> object:
    asked = preemption.preemption_from_json(question)
    leaving = verbs.preempt(world.inventory, asked)
    log.info(
        "preempting",
        extra={
            "pod": f"{asked.pod.namespace}/{asked.pod.name}",
            "uid": asked.pod.uid,
            "asked": len(asked.candidates),
            "helped": len(leaving),
            "changed": sum(each != asked.candidates[name] for name, each in leaving.items()),
        },
    )
    return preemption.preemption_result(leaving)


def _bind(world: World, question: object) -> object:
    binding = scheduler.binding_from_json(question)
    bound = verbs.bind(world.inventory, binding, world.post, world.clock())
    conflict = bound.judgement is not None and not bound.judgement.fits
    result = "conflict" if conflict else "failed" if bound.error else "bound"
    world.metrics.bindings.labels(result).inc()
    if bound.judgement is not None and conflict:
        _count_refusal(world.metrics, bound.judgement)
    level = logging.WARNING if bound.error else logging.INFO
    extra = {"pod": f"{binding.namespace}/{binding.name}", "uid": binding.uid, "node": binding.node, "why": bound.error}
    log.log(level, result, extra=extra)
    return scheduler.binding_result(bound.error)


def _count(metrics: Metrics, survey: Survey) -> None:
    answers, refused = verbs.counts(survey)
    for (knowledge, fits), number in answers.items():
        metrics.answers.labels(str(knowledge), "true" if fits else "false").inc(number)
    for grounds, number in refused.items():
        metrics.refusals.labels(*grounds).inc(number)
    metrics.twins.inc(survey.told.twins + len(survey.alone))


def _count_refusal(metrics: Metrics, judgement: Judgement) -> None:
    metrics.refusals.labels(*verbs.grounds(judgement)).inc()
