"""
Do questions of people disturb the scheduler? Filter over real gunicorn with what-if load and without.

Rounds alternate between calm, load, and a control: a process that has nothing to do with the extender and keeps the
machine as busy at the same priority. People ask all the time, with four connections, from a process of their own.
"""

from __future__ import annotations

import http.client
import itertools
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import orjson

from bench.figures import Figures, percentile
from bench.nodes import pod, question
from bench.serving import TESTS, Client, extender
from bench.verbs import FILTER

CALM, BUSY, ASKED = "calm", "beside a busy process", "under what-if load"
CALLS = 40
"""Of a round, with a known shape; with a new one a sixth of it."""
PAUSE_SECONDS = 0.004
SETTLE_SECONDS = 0.7
PATHS = ("what-if?detail=brief", "capacity?detail=brief", "what-if", "nodes")
"""What the four ask: verdicts on all nodes in brief and in full, capacity, the list of nodes."""
_numbers = itertools.count(1)


def measure(size: int, rounds: int) -> Figures:
    """Measures a cluster of one size."""
    names = [f"node-{number:05d}" for number in range(size)]
    times: dict[tuple[bool, str], list[float]] = {}
    answers: Counter[str] = Counter()
    with extender(nodes=size) as (port, _):
        _call(http.client.HTTPConnection("127.0.0.1", port, timeout=120), "nodes", None)
        client = Client(port)
        for _, new in itertools.product(range(rounds), (False, True)):
            for state, around in ((CALM, nullcontext()), (BUSY, _busy()), (ASKED, _people(port, answers))):
                with around:
                    times.setdefault((new, state), []).extend(_round(client, names, new=new))
    rows: list[dict[str, object]] = []
    for (new, state), taken in times.items():
        calm = percentile(times[new, CALM], 99)
        row: dict[str, object] = {"shape": "new" if new else "known", "filter": state, "calls": len(taken)}
        row |= {f"p{at}": 1e3 * percentile(taken, at) for at in (50, 90, 99)}
        rows.append(row | {"p99 to calm": percentile(taken, 99) / calm})
    told = ", ".join(f"{number} with {status}" for status, number in sorted(answers.items()))
    title = f"Filter beside what-if, milliseconds, {size} nodes; questions answered meanwhile: {told}"
    return Figures("questions", title, rows)


def _round(client: Client, names: list[str], *, new: bool) -> Iterator[float]:
    for _ in range(CALLS // 6 if new else CALLS):
        number = next(_numbers)
        asked = pod(f"p{number}", ("4", f"{8 * 1024 * 1024 + number}Ki" if new else "8Gi"))
        yield client.post(FILTER, orjson.dumps(question(asked, names)))[0]
        time.sleep(PAUSE_SECONDS)


@contextmanager
def _busy() -> Iterator[None]:
    command = ["nice", "-n", "10", sys.executable, "-c", "while True: sum(range(1000))"]
    with _beside(subprocess.Popen(command)):
        yield


@contextmanager
def _people(port: int, answers: Counter[str]) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.questions", str(port)]
    process = subprocess.Popen(command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(SETTLE_SECONDS)
    try:
        yield
    finally:
        said, _ = process.communicate()
        answers.update(orjson.loads(said))


@contextmanager
def _beside(process: subprocess.Popen[bytes]) -> Iterator[None]:
    time.sleep(SETTLE_SECONDS)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def ask(port: int) -> None:
    """Asks until standard input is closed, and prints how many answers had which status."""
    os.nice(19)  # people have machines of their own; here theirs is the extender's
    stop, counted = threading.Event(), Counter[str]()

    def person(path: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while not stop.is_set():
            body = None
            if path != "nodes":
                number = next(_numbers)
                body = orjson.dumps({"pods": [pod(f"q{number}", (str(2 + number % 7), "1Gi"))]})
            status = _call(connection, path, body)
            counted[str(status)] += 1
            if status != http.client.OK:
                time.sleep(0.05)

    threads = [threading.Thread(target=person, args=(path,)) for path in PATHS]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    print(orjson.dumps(counted).decode())


def _call(connection: http.client.HTTPConnection, path: str, body: bytes | None) -> int:
    connection.request("GET" if body is None else "POST", f"/api/v1/{path}", body)
    response = connection.getresponse()
    response.read()
    return response.status


if __name__ == "__main__":
    ask(int(sys.argv[1]))
