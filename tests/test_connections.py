"""News waits while a scheduler's call is read and answered, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from extender.connections import Connection, Worker
from extender.process import Precedence


class Counted(Precedence):
    """Counts who claims."""

    def __init__(self) -> None:
        super().__init__()
        self.claims = 0

    def claim(self) -> None:
        self.claims += 1
        super().claim()

    def release(self) -> None:
        self.claims -= 1
        super().release()


def served(precedence: Precedence, conn: Connection, serve: Callable[[Connection], object]) -> object:
    """Has a worker handle one request of a connection in some way."""
    worker: Any = object.__new__(Worker)
    worker._precedence, worker._serve, worker._stopping = precedence, serve, True
    return worker.handle(conn)


def asked(path: str, seen: list[int], precedence: Counted) -> Callable[[Connection], object]:
    """Serves a request to a path; notes who claims before and while it is answered."""

    def serve(conn: Connection) -> object:
        seen.append(precedence.claims)
        worker: Any = object.__new__(Worker)
        worker._precedence, worker.alive, worker.keepalived_conns, worker.max_keepalived = precedence, True, (), 1
        worker.wsgi = lambda _environ, _start: [seen.append(precedence.claims) or b""]  # type: ignore[func-returns-value]
        request = SimpleNamespace(headers=(), method="POST", path=path, body=None, should_close=lambda: False)
        return worker._answer(request, conn)

    return serve


def connection() -> Connection:
    made: Connection = object.__new__(Connection)
    made.server, made.sock = ("127.0.0.1", 1), SimpleNamespace(sendall=lambda _bytes: None)
    return made


def test_news_waits_for_calls_that_the_next_pod_waits_for() -> None:
    """For filter and prioritize, from the second one on also while it arrives; not for bind, which waits itself."""
    precedence, conn = Counted(), connection()
    counted: list[list[int]] = []
    for verb in ("filter", "prioritize", "bind", "bind", "filter"):
        counted.append([])
        assert served(precedence, conn, asked(f"/scheduler/{verb}", counted[-1], precedence))
        assert not precedence.claims

    assert [[0, 1], [1, 1], [1, 0], [0, 0], [0, 1]] == counted


def test_a_call_that_fails_makes_way_too() -> None:
    """Whatever becomes of a request, its claim ends with it."""
    precedence, conn = Counted(), connection()
    conn.hurried = True

    def fail(_conn: Connection) -> object:
        assert precedence.claims
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        served(precedence, conn, fail)
    assert not precedence.claims
