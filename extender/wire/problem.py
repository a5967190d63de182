"""
Problem details: what an HTTP client is told when there is no answer.

Source: RFC 9457; ``type`` is left out, which means about:blank, so that ``title`` is the status in words.
"""

from __future__ import annotations

MIMETYPE = "application/problem+json"
TITLES = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
"""Those that are used."""


def problem(status: int, detail: str, field: str = "") -> dict[str, object]:
    """
    Writes a problem.

    Args:
        status: of the response.
        detail: one sentence for the person who asked.
        field: of the question that is wrong, where it is one.
    """
    written: dict[str, object] = {"title": TITLES[status], "status": status, "detail": detail}
    return {**written, "field": field} if field else written
