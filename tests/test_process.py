"""News makes way for verbs, and is never held up for long."""

from __future__ import annotations

import threading

import pytest

from extender.process import PATIENCE_SECONDS, Precedence


def waits(precedence: Precedence) -> threading.Thread:
    """A thread that gives way."""
    thread = threading.Thread(target=precedence.give_way, daemon=True)
    thread.start()
    return thread


def test_news_waits_for_the_last_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    """While any verb is being answered news waits; once none is, it goes on."""
    monkeypatch.setattr("extender.process.PATIENCE_SECONDS", 60)
    precedence = Precedence()
    precedence.claim()
    precedence.claim()
    news = waits(precedence)
    precedence.release()
    news.join(0.05)
    assert news.is_alive()
    precedence.release()
    news.join(10)
    assert not news.is_alive()


def test_news_does_not_wait_for_ever() -> None:
    """However long a verb takes, news comes in."""
    precedence = Precedence()
    precedence.claim()
    news = waits(precedence)
    news.join(10)
    assert not news.is_alive()


def test_news_that_has_waited_long_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where verbs leave no gap, news waits its patience out once and then comes in for as long without waiting."""
    now = 1000.0
    waited = []

    def wait(seconds: float) -> bool:
        nonlocal now
        now += seconds
        waited.append(seconds)
        return False

    monkeypatch.setattr("extender.process.time.monotonic", lambda: now)
    precedence = Precedence()
    monkeypatch.setattr(precedence._free, "wait", wait)
    precedence.claim()
    for _ in range(40):
        precedence.give_way()
        now += PATIENCE_SECONDS / 10  # so long does one piece of news take

    assert 2 * sum(waited) <= now - 1000.0 + 2 * PATIENCE_SECONDS
    assert 3 <= len(waited) <= 5
