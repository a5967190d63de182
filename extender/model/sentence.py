"""Sentences for people: whatever names they quote, they are one line that a terminal shows as it is."""

from __future__ import annotations


def one_line(text: str) -> str:
    """Returns a text with line breaks and control characters written as escapes."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
