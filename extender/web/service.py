"""
The HTTP interface of what-if without HTTP: a request in, a reply out, about nodes that are given.

Whatever is wrong with a request is said as problem details (RFC 9457) with a status below 500; what takes longer than
the limit is given up. The OpenAPI document beside this module describes every path, and a test holds them together.
"""

from __future__ import annotations

import functools
import gzip
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from urllib.parse import parse_qsl

import orjson
import yaml

from extender import replay
from extender.ask import questions
from extender.model.configuration import TopologyPolicy
from extender.web.exchange import Reply, Request
from extender.what_if.site import Site
from extender.what_if.work import Progress, run
from extender.wire.problem import MIMETYPE, problem
from extender.wire.what_if import imagined_machine_from_json

PREFIX = "/api/v1/"
JSON = "application/json"
COMPRESSED_FROM = 4096
"""Bytes from which on an answer is worth compressing."""
MOST_MAPS = 64
MOST_LISTED = 20_000
MOST_STEPS = 500
"""Of a case; ``numa-extender replay`` has no limit."""


class TakesTooLongError(Exception):
    """The time for one question is up."""


@dataclass(frozen=True)
class Limits:
    """What one question may cost."""

    seconds: float = 10.0
    body_bytes: int = 1 << 20


class ProblemError(Exception):
    """There is no answer; what the client is told instead."""

    def __init__(self, status: int, detail: str, field: str = "", **headers: str) -> None:
        super().__init__(detail)
        self.reply = problem_reply(status, detail, field, headers)


def problem_reply(status: int, detail: str, field: str = "", headers: Mapping[str, str] | None = None) -> Reply:
    """Returns problem details as a reply."""
    detail, field = (text.encode(errors="replace").decode() for text in (detail, field))
    return Reply(status, MIMETYPE, orjson.dumps(problem(status, detail, field)), headers or {})


class Service:
    """Answers requests about the nodes that ``sites`` returns at that moment, by name."""

    def __init__(
        self,
        sites: Callable[[], Sequence[Site]],
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sites, self._limits, self._clock = sites, limits or Limits(), clock
        self._listed: dict[str, tuple[Site, orjson.Fragment]] = {}

    def answer(self, request: Request) -> Reply:
        """Answers one request, whatever it is."""
        try:
            reply = self._route(request)
        except ProblemError as error:
            reply = error.reply
        except questions.MISTAKES as error:
            reply = problem_reply(422, str(error), getattr(error, "field", ""))
        except TakesTooLongError:
            detail = (
                f"this takes more than {self._limits.seconds:g} s; ask about fewer nodes or pods, or on a command line"
            )
            reply = problem_reply(422, detail)
        except (RecursionError, MemoryError):
            reply = problem_reply(422, "this question is too large or too deep")
        except Exception:  # noqa: BLE001 - a fault of ours must be seen in the log, and the process must live
            fault = traceback.format_exc()
            reply = replace(problem_reply(500, "a fault of the extender; its log has the details"), fault=fault)
        return _compressed(reply) if request.gzip else reply

    def _route(self, request: Request) -> Reply:
        path = request.path.removeprefix(PREFIX)
        if not request.path.startswith(PREFIX):
            raise ProblemError(404, f"there is nothing at {_shown(request.path)}")
        routes: dict[str, tuple[str, Callable[[Request], object]]] = {
            "nodes": ("GET", self._nodes),
            "what-if": ("POST", self._what_if),
            "capacity": ("POST", self._capacity),
            "replay": ("POST", self._replay),
            "openapi.json": ("GET", _openapi),
        }
        if path.startswith("nodes/"):
            path, routes = "nodes/", {"nodes/": ("GET", self._node)}
        if path not in routes:
            raise ProblemError(404, f"there is nothing at {_shown(request.path)}")
        method, act = routes[path]
        if request.method not in {method, "HEAD"} or (request.method == "HEAD" and method != "GET"):
            raise ProblemError(405, f"{_shown(request.path)} takes {method}", Allow=method)
        return Reply(200, JSON, orjson.dumps(act(request)))

    # Nodes

    def _nodes(self, request: Request) -> object:
        query = _query(request.query, ("search", "policy", "names", "detail", "offset", "limit"))
        if query.get("detail", "brief") not in {"brief", "map"}:
            raise ProblemError(400, f"detail: {query['detail'][:40]!r} is not brief or map", "detail")
        sites = self._found(query)
        offset = _number(query, "offset", 0, 10**9)
        limit = _number(query, "limit", MOST_LISTED, MOST_LISTED)
        page = sites[offset : offset + limit]
        if query.get("detail") == "map":
            if len(page) > MOST_MAPS:
                raise ProblemError(400, f"limit: of {len(page)} maps at most {MOST_MAPS} can be had at once", "limit")
            return {"total": len(sites), "nodes": [questions.mapped(site) for site in page]}
        return {"total": len(sites), "nodes": [self._brief(site) for site in page]}

    def _found(self, query: Mapping[str, str]) -> list[Site]:
        sites = list(self._sites())
        if "names" in query:
            by_name = {site.name: site for site in sites}
            return [by_name[name] for name in dict.fromkeys(query["names"].split(",")) if name in by_name]
        if "policy" in query:
            policy = query["policy"]
            if policy not in list(TopologyPolicy):
                raise ProblemError(400, f"policy: {policy[:40]!r} is not one of {', '.join(TopologyPolicy)}", "policy")
            sites = [site for site in sites if _policy(site) == policy]
        words = query.get("search", "").lower().split()
        return [site for site in sites if all(word in site.name.lower() for word in words)]

    def _brief(self, site: Site) -> orjson.Fragment:
        known = self._listed.get(site.name)
        if known is None or known[0] is not site:
            known = self._listed[site.name] = site, orjson.Fragment(orjson.dumps(questions.listed(site)))
        return known[1]

    def _node(self, request: Request) -> object:
        _query(request.query, ())
        name = request.path.removeprefix(f"{PREFIX}nodes/")
        site = next((site for site in self._sites() if site.name == name), None)
        if site is None:
            raise ProblemError(404, f"there is no node {name[:80]!r}")
        return questions.mapped(site)

    # Questions

    def _what_if(self, request: Request) -> object:
        return self._asked("what-if", request)

    def _capacity(self, request: Request) -> object:
        return self._asked("capacity", request)

    def _asked(self, kind: str, request: Request) -> object:
        query = _query(request.query, ("detail", "maps"))
        if query.get("detail", "full") not in {"brief", "full"}:
            raise ProblemError(400, f"detail: {query['detail'][:40]!r} is not brief or full", "detail")
        question = questions.read(self._body(request))
        work = questions.answered(
            kind,
            question,
            list(self._sites()),
            brief=query.get("detail") == "brief",
            maps=query.get("maps") == "true",
        )
        return run(work, self._watch())

    def _replay(self, request: Request) -> object:
        _query(request.query, ())
        case = self._body(request)
        if isinstance(case, dict):
            imagined_machine_from_json(case.get("machine"), "machine")
            steps = case.get("steps")
            if isinstance(steps, list) and len(steps) > MOST_STEPS:
                raise ProblemError(422, f"steps: {len(steps)} are more than the {MOST_STEPS} of one question", "steps")
        return replay.answer(case)

    def _body(self, request: Request) -> object:
        if len(request.body) > self._limits.body_bytes:
            raise ProblemError(413, f"the question is larger than {self._limits.body_bytes} bytes")
        try:
            return orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            raise ProblemError(400, f"the question is no JSON: {str(error)[:120]}") from None

    def _watch(self) -> Callable[[Progress], None]:
        end = self._clock() + self._limits.seconds

        def watch(_progress: Progress) -> None:
            if self._clock() > end:
                raise TakesTooLongError

        return watch


def _policy(site: Site) -> str:
    return str(site.snapshot.kubelet.configuration.topology_policy) if site.snapshot else ""


def _query(text: str, names: Sequence[str]) -> dict[str, str]:
    """Reads a query string; what is not known is refused, as it would be passed over in silence."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=64)
    except ValueError:
        raise ProblemError(400, "the query string has too many parts") from None
    for name, _ in pairs:
        if name not in names:
            allowed = f"; there are {', '.join(names)}" if names else "; there are none here"
            raise ProblemError(400, f"{name[:40]!r} is no parameter of this query{allowed}", name[:40])
    return dict(pairs)


def _number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= most):
        raise ProblemError(400, f"{name}: {text[:40]!r} is not a whole number up to {most}", name)
    return int(text)


def _shown(path: str) -> str:
    return path if len(path) <= 80 else f"{path[:80]}…"


def _openapi(request: Request) -> object:
    _query(request.query, ())
    return openapi()


@functools.cache
def openapi() -> object:
    """Returns the OpenAPI document."""
    return yaml.safe_load(files("extender.web").joinpath("openapi.yaml").read_text(encoding="utf-8"))


def _compressed(reply: Reply) -> Reply:
    if len(reply.body) < COMPRESSED_FROM:
        return reply
    headers = {**reply.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return replace(reply, body=gzip.compress(reply.body, compresslevel=1, mtime=0), headers=headers)
