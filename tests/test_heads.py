"""A head that has been parsed before is read as gunicorn reads it, whatever else comes along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from gunicorn.http.message import Request  # type: ignore[import-untyped]
from gunicorn.http.parser import RequestParser  # type: ignore[import-untyped]
from hypothesis import example, given
from hypothesis import strategies as st

from extender.entrance import VERBS
from extender.heads import MOST_HEADS, Heads, Parser

CLIENT = ("10.0.0.1", 4711)
BODY = b'{"Pod": 1}'
LINES = (
    b"Host: 127.0.0.1:8100",
    b"User-Agent: Go-http-client/1.1",
    b"Content-Length: 10",
    b"Content-Type: application/json",
    b"Accept-Encoding: gzip",
)
OTHERS = (
    b"Content-Length: 10",
    b"Content-Length: 3",
    b"content-length: 10",
    b"Content-Length: 007",
    b"Content-Length: -1",
    b"Content-Length: ten",
    b"Content-Length : 10",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"Connection: close",
    b"Expect: 100-continue",
    b"X_Request_Id: a",
    b"X-Request-Id: b",
    b"Bad Name: c",
    b" folded: d",
    b"Host: other",
)
STARTS = (
    b"POST /scheduler/filter HTTP/1.1",
    b"POST /scheduler/bind?a=b HTTP/1.1",
    b"GET /healthz HTTP/1.1",
    b"nonsense",
)


def request(start: bytes, lines: tuple[bytes, ...], body: bytes, end: bytes = b"\r\n") -> bytes:
    return end.join((start, *lines, b"", body))


def cut(data: bytes, size: int) -> Iterator[bytes]:
    """The bytes as they may arrive."""
    return iter([data[at : at + size] for at in range(0, len(data), size)])


def read(parser: RequestParser) -> list[object]:
    """All requests of a connection, and how it ends."""
    told: list[object] = []
    try:
        for one in parser:
            fields = {name: value for name, value in vars(one).items() if name not in {"cfg", "unreader", "body"}}
            told.append((fields, one.should_close(), one.body.read()))
    except (ParseException, OSError) as error:
        told.append((type(error), str(error)))
    return told


starts = st.sampled_from(STARTS)
heads = st.lists(st.sampled_from([*LINES, *OTHERS]), max_size=7).map(tuple)
requests = st.builds(request, starts, st.one_of(st.just(LINES), heads), st.sampled_from([BODY, b"", BODY + BODY]))


@given(st.lists(requests, min_size=1, max_size=5), st.sampled_from([7, 100, 65536]))
@example([request(STARTS[0], LINES, BODY)] * 3, 65536)
@example([request(STARTS[0], LINES, BODY), request(STARTS[0], (*LINES, LINES[2]), BODY)], 65536)
@example([request(STARTS[0], LINES, BODY), request(STARTS[0], LINES, BODY, b"\n")], 65536)
def test_requests_are_read_as_gunicorn_reads_them(sent: list[bytes], size: int) -> None:
    """One after the other on one connection: fields, headers, bodies and errors are the same."""
    config = Config()
    familiar = Heads(config)
    for _ in range(2):
        expected = read(RequestParser(config, cut(b"".join(sent), size), CLIENT))
        assert expected == read(Parser(familiar, cut(b"".join(sent), size), CLIENT))


def test_a_head_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that differ in their length only are parsed once, on whatever connection; the lengths are their own."""
    parsed: list[str] = []
    real = Request.parse

    def parse(self: Any, unreader: Any) -> object:
        rest = real(self, unreader)
        parsed.append(self.path)
        return rest

    monkeypatch.setattr(Request, "parse", parse)
    familiar = Heads(Config())
    bodies = [b"x" * count for count in (10, 1, 123)]
    lines = [(*LINES[:2], b"Content-Length: %d" % len(body), *LINES[3:]) for body in bodies]
    for path in sorted(VERBS):
        sent = b"".join(request(b"POST %s HTTP/1.1" % path.encode(), *one) for one in zip(lines, bodies, strict=True))
        for _ in range(2):
            told = [(one.body.read(), dict(one.headers)) for one in Parser(familiar, iter([sent]), CLIENT)]
            assert [(body, str(len(body))) for body in bodies] == [(body, had["CONTENT-LENGTH"]) for body, had in told]

    assert sorted(VERBS) == parsed


def test_what_is_remembered_is_bounded() -> None:
    """Whoever sends ever other heads has little kept, and paths that nobody calls often nothing."""
    familiar = Heads(Config())
    for number in range(3 * MOST_HEADS):
        for path in (b"/scheduler/filter", b"/api/v1/nodes"):
            lines = (*LINES, b"X-Request-Id: %d" % number)
            assert [BODY] == [
                one.body.read()
                for one in Parser(familiar, iter([request(b"POST %s HTTP/1.1" % path, lines, BODY)]), CLIENT)
            ]

    assert 0 < len(familiar.heads) <= MOST_HEADS
    assert all(key.startswith(b"POST /scheduler/filter ") for key in familiar.heads)
