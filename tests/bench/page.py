"""
How soon the page shows thousands of nodes: in a Chromium that never saw it, and when it is opened again.

The extender is the real one under gunicorn; its process for questions has been told of the nodes, as it is soon after
a start.
"""

from __future__ import annotations

import importlib
import sys
import urllib.request

from bench.figures import Figures, MissingError, percentile
from bench.serving import TESTS, extender

sys.path.append(str(TESTS / "browser"))


def measure(size: int, rounds: int) -> Figures:
    """
    Opens the page of a cluster of one size, in so many new browsers.

    Raises:
        MissingError: there is no browser.
    """
    browser = importlib.import_module("page")
    if browser.programs() is None:
        raise MissingError("there is no Chromium with its driver (Debian: chromium, chromium-driver)")
    first, again = [], []
    with extender(nodes=size) as (port, _):
        url = f"http://127.0.0.1:{port}/"
        urllib.request.urlopen(f"{url}api/v1/nodes").read()
        for _ in range(rounds):
            with browser.chromium() as page:
                page.size(1360, 900)
                first.append(page.open(url))
                again.append(page.open(url))
    rows: list[dict[str, object]] = [
        {"opened": what, "times": len(taken)} | {f"p{at}": percentile(taken, at) for at in (50, 99)}
        for what, taken in (("for the first time", first), ("again", again))
    ]
    return Figures("page", f"The page with {size} nodes, seconds until all is shown", rows)
