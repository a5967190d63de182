"""News makes way for verbs, and is never held up for long."""

from __future__ import annotations

import threading

import pytest

from extender.process import Precedence


def waits(precedence: Precedence) -> threading.Thread:
    """A thread that gives way."""
    thread = threading.Thread(target=precedence.give_way, daemon=True)
    thread.start()
    return thread


def test_news_waits_for_the_last_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    """While any verb is being answered news waits; once none is, it goes on."""
    monkeypatch.setattr("extender.process.PATIENCE_SECONDS", 60)
    precedence = Precedence()
    with precedence.claimed():
        with precedence.claimed():
            news = waits(precedence)
        news.join(0.05)
        assert news.is_alive()
    news.join(10)
    assert not news.is_alive()


def test_news_does_not_wait_for_ever() -> None:
    """However long a verb takes, news comes in."""
    precedence = Precedence()
    with precedence.claimed():
        news = waits(precedence)
        news.join(10)
        assert not news.is_alive()


def test_a_verb_that_fails_makes_way_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception ends the claim."""
    monkeypatch.setattr("extender.process.PATIENCE_SECONDS", 60)
    precedence = Precedence()
    with pytest.raises(ZeroDivisionError), precedence.claimed():
        raise ZeroDivisionError
    news = waits(precedence)
    news.join(10)

    assert not news.is_alive()
