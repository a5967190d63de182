"""
How a kubelet can end without a verdict.

Both are answers about the kubelet, not failures of the twin: callers show them as such.
"""

from __future__ import annotations

from extender.model.sentence import one_line


class KubeletEnd(Exception):  # noqa: N818 - it names what happens to the kubelet
    """The kubelet gives no verdict; the message is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class StartError(KubeletEnd):
    """The kubelet would refuse to start with this machine and configuration; the message says why, in its words."""


class KubeletCrash(KubeletEnd):
    """The kubelet would panic, or never answer, during this admission; the message says which and where."""
