"""
The scheduler's calls as plain WSGI: each verb reads its question, is logged and counted, and answers 200.

Routing, contexts and responses of Flask, which serves people, cost a scheduler's call as much as its verdict does. The
scheduler discards the body of any answer that is not 200, so that what it must know, a malformed question included, is
said in the answer's own ``Error``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import orjson
from prometheus_client import Counter, Histogram
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from extender import verbs
from extender.entrance import VERBS, Application, turned_away
from extender.inventory.judgement import Judgement
from extender.inventory.survey import Survey
from extender.metrics import Metrics
from extender.model.pod import Pod
from extender.process import World
from extender.settings import Scoring, Settings
from extender.wire import preemption, scheduler
from extender.wire.fields import WireError
from extender.wire.pod import pod_from_json

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Verb:
    """One verb of the extender protocol."""

    name: str
    act: Callable[[World, object], Any]
    """Answers a question, with the bytes of JSON or with what they are made of."""
    fail: Callable[[str], Any]
    """The answer that says why there is none."""
    metrics: InitVar[Metrics]
    results: Mapping[bool, Counter] = field(init=False)
    """Whether it went wrong, to how often it did."""
    latency: Histogram = field(init=False)

    def __post_init__(self, metrics: Metrics) -> None:
        self.results = {
            error: metrics.requests.labels(self.name, "error" if error else "ok") for error in (True, False)
        }
        self.latency = metrics.latency.labels(self.name)


def calls(app: Application, settings: Settings, world: World) -> Application:
    """Answers the verbs; everything else is the app's."""
    most = settings.listen.max_body_bytes
    by_path: Mapping[str, Verb] = {f"/scheduler/{verb.name}": verb for verb in _verbs(settings.scoring, world.metrics)}
    assert by_path.keys() == VERBS

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        verb = by_path.get(environ["PATH_INFO"])
        if verb is None:
            return app(environ, start_response)
        if environ["REQUEST_METHOD"] != "POST":
            return turned_away(start_response, "405 METHOD NOT ALLOWED", b"verbs are posted\n", ("Allow", "POST"))
        body = _answer(world, verb, environ, most)
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return call


def _verbs(scoring: Scoring, metrics: Metrics) -> Iterable[Verb]:
    read = Reader()
    yield Verb("filter", partial(_filter, scoring, read), scheduler.filter_error, metrics)
    # A bare array has no place for an error; the scheduler takes an empty one as "no preference".
    yield Verb("prioritize", partial(_prioritize, scoring, read), lambda _: [], metrics)
    # Neither has this answer a place for an error; without nodes nobody is evicted, and the pod is tried again.
    yield Verb("preempt", _preempt, lambda _: preemption.preemption_result({}), metrics)
    yield Verb("bind", _bind, scheduler.binding_result, metrics)


class Reader:
    """Reads the pods of questions; prioritize asks about the pod that filter has just been asked about."""

    def __init__(self) -> None:
        self._last: tuple[object, Pod] | None = None

    def __call__(self, document: object, field: str) -> Pod:
        """Reads a pod, as ``pod_from_json``."""
        last = self._last
        if last is None or last[0] != document:
            last = self._last = document, pod_from_json(document, field)
        return last[1]


def _answer(world: World, verb: Verb, environ: dict[str, Any], most: int) -> bytes:
    """Answers a verb, whatever happens."""
    begun = time.perf_counter()
    error = ""
    try:
        missing = world.missing()
        answer = verb.fail(error := f"{verbs.PREFIX}{missing}") if missing else verb.act(world, question(environ, most))
    except (WireError, orjson.JSONDecodeError) as wrong:
        answer = verb.fail(error := f"{verbs.PREFIX}the request cannot be understood: {wrong}")
    except RequestEntityTooLarge:
        answer = verb.fail(
            error := f"{verbs.PREFIX}the request is larger than {most} bytes (setting listen.maxBodyBytes)"
        )
    except Exception:
        log.exception("a fault of the extender", extra={"verb": verb.name})
        answer = verb.fail(error := f"{verbs.PREFIX}a fault of the extender; its log has the details")
    if error:
        log.warning("request failed", extra={"verb": verb.name, "why": error})
    verb.results[bool(error)].inc()
    verb.latency.observe(time.perf_counter() - begun)
    return answer if isinstance(answer, bytes) else orjson.dumps(answer)


def question(environ: dict[str, Any], most: int) -> object:
    """
    Reads a body.

    Raises:
        JSONDecodeError: it is no JSON.
        RequestEntityTooLarge: it has more bytes than ``most``.
    """
    return orjson.loads(get_input_stream(environ, max_content_length=most).read())


def _filter(scoring: Scoring, read: Reader, world: World, question: object) -> object:
    args = scheduler.args_from_json(question, read)
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


def _prioritize(scoring: Scoring, read: Reader, world: World, question: object) -> object:
    args = scheduler.args_from_json(question, read)
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
        count_refusal(world.metrics, bound.judgement)
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


def count_refusal(metrics: Metrics, judgement: Judgement) -> None:
    """Counts the refusal of one node."""
    metrics.refusals.labels(*verbs.grounds(judgement)).inc()
