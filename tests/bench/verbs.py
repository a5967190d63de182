"""
filter and prioritize over real gunicorn, beside an extender that does nothing, in turns in the same run.

A known shape has been asked about before; a new one differs from all before it, so that no node has an answer.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count

import orjson

from bench.figures import Figures, percentile
from bench.nodes import pod, question
from bench.serving import Client, extender, noop

FILTER, PRIORITIZE = "/scheduler/filter", "/scheduler/prioritize"
_numbers = count()


def measure(sizes: tuple[int, ...], rounds: int) -> Figures:
    """Measures clusters of these sizes."""
    rows: list[dict[str, object]] = []
    with noop() as idle:
        for size in sizes:
            with extender(nodes=size) as (port, _):
                rows += _measured(size, rounds, Client(port), Client(idle))
    return Figures("verbs", "Verbs over gunicorn, milliseconds", rows)


def _measured(size: int, rounds: int, ours: Client, noop: Client) -> Iterator[dict[str, object]]:
    names = [f"node-{number:05d}" for number in range(size)]
    dice = random.Random(size)
    for kind in ("known", "new"):
        times: dict[str, list[float]] = {}
        passed = 0
        for turn in range(-3, rounds):
            asked = _pod(new=kind == "new")
            dice.shuffle(names)  # the scheduler's workers find nodes in an order of their own
            body = orjson.dumps(question(asked, names))
            took, answer = ours.post(FILTER, body)
            fit = orjson.loads(answer)["NodeNames"]
            body = orjson.dumps(question(asked, fit))
            took_too, _ = ours.post(PRIORITIZE, body)
            idle, _ = noop.post(FILTER, orjson.dumps(question(asked, names)))
            idle_too, _ = noop.post(PRIORITIZE, body)
            if turn >= 0:  # the first calls warm both up
                passed += len(fit)
                for what, seconds in (
                    ("filter", (took, idle)),
                    ("prioritize", (took_too, idle_too)),
                    ("both", (took + took_too, idle + idle_too)),
                ):
                    times.setdefault(what, []).append(seconds[0])
                    times.setdefault(f"{what} noop", []).append(seconds[1])
        for what in ("filter", "prioritize", "both"):
            yield {
                "nodes": size,
                "shape": kind,
                "verb": what,
                "fit": passed // rounds,
                **{
                    f"{who} p{at}": 1e3 * percentile(times[what if who == "ours" else f"{what} noop"], at)
                    for who in ("ours", "noop")
                    for at in (50, 99)
                },
                "ratio p50": percentile(times[what], 50) / percentile(times[f"{what} noop"], 50),
                "ratio p99": percentile(times[what], 99) / percentile(times[f"{what} noop"], 99),
            }


def _pod(*, new: bool) -> dict[str, object]:
    """A pod of two containers; a new shape asks for an amount of memory that nobody asked for before."""
    number = next(_numbers)
    memory = f"{6 * 1024 * 1024 + number}Ki" if new else "6Gi"
    return pod(f"asked-{number}", ("6", memory), ("2", "2Gi"))
