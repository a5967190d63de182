"""
The guard: the API server asks about each Binding, whoever posts it, before it takes effect.

A scheduler that does not ask the verbs binds pods to the same nodes as ours, and where two Bindings cross neither can take
the other into account. Here they come one after the other: each is judged, and its pod counted, in one step; what is not
admitted in every order is denied, and its scheduler tries it again. Other than a verb's, an answer that cannot be given has
HTTP's own status, so that the webhook's failurePolicy decides what becomes of the Binding.

A bind under way waits for the answer to its own Binding: the guard needs nothing that bind holds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

import orjson
from werkzeug.exceptions import RequestEntityTooLarge

from extender import verbs
from extender.calls import count_refusal, question
from extender.entrance import GUARD, Application, turned_away
from extender.process import World
from extender.settings import Settings
from extender.verbs import Bound
from extender.wire.admission import Review, review_from_json, review_result
from extender.wire.fields import WireError

log = logging.getLogger(__name__)

VERB = "guard"
"""Its name in logs and metrics."""
PAUSE_SECONDS, LOOKS = 0.01, 100
"""A pod of which its scheduler has heard before us is waited for, a second at most: a burst's news come that late."""
MOST_WAITING = 32
"""
Questions that wait for a pod at the same time; others about unknown pods are answered at once. In a burst a handful do; and
whoever asks about pods that do not exist cannot have all threads wait.
"""


def guard(app: Application, settings: Settings, world: World) -> Application:
    """Answers the API server's questions; everything else is the app's."""
    asked = Guard(world, settings.listen.max_body_bytes, settings.listen.threads)

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != GUARD:
            return app(environ, start_response)
        if environ["REQUEST_METHOD"] != "POST":
            return turned_away(start_response, "405 METHOD NOT ALLOWED", b"reviews are posted\n", ("Allow", "POST"))
        return asked(environ, start_response)

    return call


class Guard:
    """What answers; safe for threads."""

    def __init__(self, world: World, most: int, threads: int) -> None:
        self._world, self._most = world, most
        self._turns = threading.BoundedSemaphore(threads)
        """Its own, as bind keeps one of the verbs'; nobody keeps one of these while he waits."""
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._results = {
            error: world.metrics.requests.labels(VERB, "error" if error else "ok") for error in (True, False)
        }
        self._latency = world.metrics.latency.labels(VERB)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answers one question, whatever happens."""
        begun = time.perf_counter()
        status, error, body = "200 OK", "", b""
        try:
            error = self._world.missing()
            if error:
                status = "503 SERVICE UNAVAILABLE"
            else:
                body = orjson.dumps(self._answer(review_from_json(question(environ, self._most))))
        except (WireError, orjson.JSONDecodeError) as wrong:
            status, error = "400 BAD REQUEST", f"the request cannot be understood: {wrong}"
        except RequestEntityTooLarge:
            status = "413 REQUEST ENTITY TOO LARGE"
            error = f"the request is larger than {self._most} bytes (setting listen.maxBodyBytes)"
        except Exception:
            log.exception("a fault of the extender", extra={"verb": VERB})
            status, error = "500 INTERNAL SERVER ERROR", "a fault of the extender; its log has the details"
        self._results[bool(error)].inc()
        self._latency.observe(time.perf_counter() - begun)
        if error:
            log.warning("request failed", extra={"verb": VERB, "why": error})
            return turned_away(start_response, status, f"{verbs.PREFIX}{error}\n".encode())
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _answer(self, review: Review) -> object:
        bound = self._judged(review) or self._judged_late(review)
        error = "" if bound is None else bound.error
        result = "unknown" if bound is None else "denied" if error else "allowed"
        self._world.metrics.guarded.labels("dry-run" if review.dry else result).inc()
        if bound is not None and bound.judgement is not None and error and not review.dry:
            count_refusal(self._world.metrics, bound.judgement)
        # What was let through at once, as bind is posting it, has been logged by bind.
        looked = bound is None or bound.judgement is not None
        level = logging.DEBUG if not looked else logging.INFO if result == "allowed" else logging.WARNING
        about = review.binding
        extra = {
            "pod": f"{about.namespace}/{about.name}",
            "uid": about.uid,
            "node": about.node,
            "user": review.user,
            "result": result,
            "dry": review.dry,
            "why": error,
        }
        log.log(level, "guarded", extra=extra)
        return review_result(review, error)

    def _judged(self, review: Review) -> Bound | None:
        with self._turns:
            return verbs.guard(self._world.inventory, review.binding, self._world.clock(), dry=review.dry)

    def _judged_late(self, review: Review) -> Bound | None:
        """Waits a little for a pod that is not known."""
        if not self._waiting.acquire(blocking=False):
            return None
        try:
            for _ in range(LOOKS):
                time.sleep(PAUSE_SECONDS)
                if verbs.is_known(self._world.inventory, review.binding):
                    return self._judged(review)
        finally:
            self._waiting.release()
        return None
