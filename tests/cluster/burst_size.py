"""How large a burst is: what the environment asks for, else a short form; and what is wanted of it."""

import os
from typing import NamedTuple

LONGEST_WAIT_SECONDS = 30.0
LEAST_SHARE = 0.97
"""Of the pods that a serial placement with full knowledge places."""


class Size(NamedTuple):
    """One burst."""

    nodes: int
    pods: int
    """Which arrive at once."""
    seconds: int
    """Of coming and going."""
    seed: str
    limit: int
    """Seconds for it to settle."""


def asked(pods: int, seconds: int) -> Size:
    """What BURST_NODES, BURST_PODS, BURST_SECONDS and SEED ask for; the arguments are what is done otherwise."""
    number = int(os.environ.get("BURST_PODS", str(pods)))
    return Size(
        nodes=int(os.environ.get("BURST_NODES", "8")),
        pods=number,
        seconds=int(os.environ.get("BURST_SECONDS", str(seconds))),
        seed=os.environ.get("SEED", "1"),
        limit=120 + number,
    )
