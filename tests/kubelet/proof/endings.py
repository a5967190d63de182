"""
How a kubelet ends without verdicts, in its own words and in the twin's, made comparable.

A field that cannot be read at all is refused by the twin where it is read, in a sentence of its own that names it.
"""

from __future__ import annotations

import re

OUR_WORDS = re.compile(r"(kubelet|case|machine|steps|devices|version|id)\b[^ ]*: .* is not ")
ALIKE = (
    (re.compile(r"panic: (runtime error|interface conversion|nil pointer|a NUMA|index)"), "panic"),
    (re.compile(r"timeout"), "timeout"),
    # Of several faults in a map of options, Go names one by chance.
    (re.compile(r".*(bad value for option|unknown (CPU|Topology) Manager|level Options not enabled)"), "options"),
    (re.compile(r".*depends on features that are disabled"), "depends on features that are disabled"),
)


def same_ending(kubelet: str, twin: str) -> bool:
    """Says whether the twin's text is the kubelet's, which may wrap it, or a field that the twin cannot read."""
    return OUR_WORDS.match(twin) is not None or _gist(twin) in _gist(kubelet)


def _gist(text: str) -> str:
    """A text without what differs from run to run, or is Go's way of printing a value."""
    for pattern, gist in ALIKE:
        if pattern.match(text):
            return gist
    text = re.sub(r"reservation of .* but capacity of .*\. Expected", "reservation. Expected", text)
    text = re.sub(r'total amount "[^"]*" (of type "[^"]*" is not equal to the value) "[^"]*"', r"total amount \1", text)
    return re.sub(r'(unable to convert policy option to integer "[^"]*").*', r"\1", text)
