"""
Heads of requests that have been parsed before: those of a scheduler's calls differ in nothing but the length of the body.

Gunicorn's parser, in Python, takes as long for a head as a verdict on hundreds of nodes does. What it has made of one is
the same for the same bytes, so that it is asked once. The body, and what may be wrong with its length, is read by it as ever.

Source: gunicorn/http/message.py (Message.__init__, Request.parse).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gunicorn.http.message import Request  # type: ignore[import-untyped]
from gunicorn.http.parser import RequestParser  # type: ignore[import-untyped]

from extender.entrance import VERBS

MOST_HEADS = 64
MOST_BYTES = 1024
"""Of a head that is remembered; a scheduler's has some 200."""
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\nContent-Length: ([1-9][0-9]{0,8})(?=\r\n)")
_NAME = "CONTENT-LENGTH"


@dataclass(frozen=True, slots=True)
class Head:
    """What gunicorn has made of a head."""

    fields: dict[str, Any]
    """What it has set of a request."""
    headers: list[tuple[str, str]]
    place: int
    """Of the length in them."""


class Heads:
    """Gunicorn's configuration for its parser, each setting worked out once, and the heads it has parsed under it."""

    def __init__(self, cfg: Any) -> None:
        self._cfg = cfg
        self.heads: dict[bytes, Head] = {}
        """By their bytes, without the figures of the length."""

    def __getattr__(self, name: str) -> Any:
        """Asks the configuration the first time."""
        value = getattr(self._cfg, name)
        setattr(self, name, value)
        return value


class FamiliarRequest(Request):  # type: ignore[misc] # gunicorn has no types
    """A request that knows its head if it has been seen before."""

    def parse(self, unreader: Any) -> bytes:
        """Reads the head; returns what follows of what has been read."""
        data: bytes = unreader.read()
        if not data:
            raise StopIteration
        end = data.find(_END) + len(_END)
        length = _LENGTH.search(data, 0, end) if len(_END) <= end <= MOST_BYTES else None
        if length is None:
            unreader.unread(data)
            rest: bytes = super().parse(unreader)
            return rest
        key = data[: length.start(1)] + data[length.end(1) : end]
        known = self.cfg.heads.get(key)
        if known is not None:
            self.__dict__.update(known.fields)
            self.headers = [*known.headers]
            self.headers[known.place] = _NAME, length[1].decode()
            return data[end:]
        unreader.unread(data)
        before = dict(vars(self))
        rest = super().parse(unreader)
        if self.path in VERBS and len(rest) == len(data) - end:
            self._remember(key, before)
        return rest

    def _remember(self, key: bytes, before: dict[str, Any]) -> None:
        heads, now = self.cfg.heads, vars(self)
        if len(heads) >= MOST_HEADS:
            heads.clear()
        fields = {name: value for name, value in now.items() if name not in before or before[name] is not value}
        headers = fields.pop("headers")
        heads[key] = Head(fields, headers, [name for name, _ in headers].index(_NAME))


class Parser(RequestParser):  # type: ignore[misc] # gunicorn has no types
    """Gunicorn's parser of a connection's requests; its configuration is a ``Heads``."""

    mesg_class = FamiliarRequest
