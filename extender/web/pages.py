"""
The page and the paths of what-if as a Flask blueprint: headers and files.

Answers come from ``extender.web.background``.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request, send_from_directory
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from extender.web.background import Background
from extender.web.exchange import Reply, Request
from extender.web.service import PREFIX, Limits, problem_reply

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Nothing comes from elsewhere, no script stands in the page itself, and no other site shows it."""
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def pages(background: Background, limits: Limits, missing: Callable[[], str]) -> Blueprint:
    """
    Returns the blueprint.

    Args:
        background: what answers.
        limits: of a question.
        missing: says what is still missing of the inventory; empty once it is complete.
    """
    blueprint = Blueprint("what-if", __name__, static_folder=None)

    @blueprint.get("/")
    def page() -> Response:
        background.warm_up()
        return send_from_directory("web/static", "index.html", max_age=0)

    @blueprint.get("/page/<path:name>")
    def page_file(name: str) -> Response:
        return send_from_directory("web/static", name, max_age=0)

    @blueprint.route(f"{PREFIX}<path:rest>", methods=METHODS)
    def api(rest: str) -> Response:
        waiting = missing()
        if waiting:
            return _response(problem_reply(503, waiting))
        request.max_content_length = limits.body_bytes
        asked = Request(
            request.method,
            PREFIX + rest,
            request.query_string.decode("latin-1"),
            request.get_data(cache=False),
            gzip="gzip" in request.headers.get("Accept-Encoding", ""),
        )
        return _response(background.ask(asked))

    @blueprint.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        """Werkzeug's own refusals, in the form of all others where it is the interface that was asked."""
        if not request.path.startswith(PREFIX):
            return Response("there is no such file\n", error.code, mimetype="text/plain")
        if isinstance(error, RequestEntityTooLarge):
            return _response(problem_reply(413, f"the question is larger than {limits.body_bytes} bytes"))
        return _response(problem_reply(400, "the request cannot be understood"))

    @blueprint.after_request
    def protect(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    return blueprint


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers), mimetype=reply.mimetype)
