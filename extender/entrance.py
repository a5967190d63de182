"""
What every request passes before its route: it gets an id for the log, and is turned away at a door that is not its own.

Plain WSGI, so that it costs the scheduler's calls next to nothing.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from extender.doors import Door, Subject
from extender.logs import REQUEST

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

VERBS = frozenset(f"/scheduler/{verb}" for verb in ("filter", "prioritize", "preempt", "bind"))
"""Paths of the scheduler's calls."""
FIRST = frozenset({"/scheduler/filter", "/scheduler/prioritize"})
"""Those that its next pod waits for: news makes way for them."""
GUARD = "/guard"
"""Path of the API server's."""
STOPPING = "extender.stopping"
"""In a request's environment: whether the process is about to end."""
_ID = re.compile(r"[\w.:+/=-]{1,64}", re.ASCII)
_HEALTH = frozenset({"/healthz", "/readyz", "/metrics"})
_PROGRAMS = frozenset({Subject.VERBS, Subject.GUARD})
"""What programs ask about, and change something by it."""


def named(app: Application) -> Application:
    """Gives each request an id, the caller's own X-Request-Id where there is one; log and answer bear it."""
    prefix, numbers = secrets.token_hex(3), itertools.count(1)

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        asked = environ.get("HTTP_X_REQUEST_ID", "")
        name = asked if _ID.fullmatch(asked) else f"{prefix}-{next(numbers)}"

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            headers.append(("X-Request-Id", name))
            return start_response(status, headers, *more)

        token = REQUEST.set(name)
        try:
            return app(environ, start)
        finally:
            REQUEST.reset(token)

    return call


def guarded(app: Application, doors: Sequence[Door]) -> Application:
    """
    Answers at each door only what belongs there; 404 tells nothing of what is behind another one.

    Nor are verbs and guard answered to browsers: a page of anybody's could have one post to whatever its user has
    forwarded to a port of his own machine.
    """
    allowed = {str(door.port): door.subjects for door in doors}

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        subject = subject_of(environ["PATH_INFO"])
        if subject in _PROGRAMS and ("HTTP_ORIGIN" in environ or "HTTP_SEC_FETCH_SITE" in environ):
            return turned_away(start_response, "403 FORBIDDEN", b"verbs are for schedulers\n")
        if subject in allowed.get(environ["SERVER_PORT"], doors[0].subjects):
            return app(environ, start_response)
        return turned_away(start_response, "404 NOT FOUND", b"there is nothing here\n")

    return call


def turned_away(start_response: Any, status: str, body: bytes, *headers: tuple[str, str]) -> Iterable[bytes]:
    """Answers with a sentence and nothing else."""
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *headers])
    return [body]


def subject_of(path: str) -> Subject:
    """Returns what a path is about."""
    if path.startswith("/scheduler/"):
        return Subject.VERBS
    if path == GUARD:
        return Subject.GUARD
    return Subject.HEALTH if path in _HEALTH else Subject.WHAT_IF
