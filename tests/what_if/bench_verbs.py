"""
Do questions of people disturb the scheduler? Latency of filter with and without what-if load, over real gunicorn.

``python tests/what_if/bench_verbs.py [nodes] [rounds]`` alternates rounds without and with load, so that whatever else
the machine does falls on both alike, and prints p50 and p99 and their ratio. Exit code 1 if p99 is more than doubled.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
PORT = 8397
PER_ROUND = 40
SHAPES = itertools.count(1)


@contextmanager
def server(nodes: int) -> Iterator[None]:
    """Real gunicorn with so many nodes."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "extender.yaml"
        settings.write_text(
            f"listen: {{port: {PORT}}}\nlog: {{level: error}}\nrules: {{assume: bind}}\n", encoding="utf-8"
        )
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "-c",
            "python:extender.gunicorn_config",
            f"many_nodes:serve({nodes})",
        ]
        environment = {**os.environ, "NUMA_EXTENDER_CONFIG": str(settings), "PYTHONPATH": str(HERE)}
        with subprocess.Popen(command, env=environment) as process:
            try:
                wait()
                yield
            finally:
                process.terminate()


def wait() -> None:
    for _ in range(600):
        try:
            if call(http.client.HTTPConnection("127.0.0.1", PORT, timeout=5), "GET", "/readyz")[0] == 200:
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the server does not come up")


def call(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    connection.request(method, path, json.dumps(body) if body is not None else None)
    response = connection.getresponse()
    return response.status, response.read()


def pod(cpu: int, memory: int) -> dict[str, Any]:
    amounts = {"cpu": str(cpu), "memory": str(memory)}
    spec = {"containers": [{"name": "main", "resources": {"requests": amounts, "limits": amounts}}]}
    return {"metadata": {"name": "p", "namespace": "d", "uid": "u"}, "spec": spec, "status": {"qosClass": "Guaranteed"}}


def measure(names: list[str], times: list[float], *, fresh: bool) -> None:
    """One round of filter calls; ``fresh`` asks for a pod whose shape was never seen."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    for _ in range(PER_ROUND // 6 if fresh else PER_ROUND):
        asked = pod(4, (8 << 30) + (next(SHAPES) << 20 if fresh else 0))
        body = json.dumps({"Pod": asked, "NodeNames": names})
        begun = time.perf_counter()
        connection.request("POST", "/scheduler/filter", body)
        connection.getresponse().read()
        times.append(time.perf_counter() - begun)
        time.sleep(0.004)


class Load:
    """People who ask all the time, in a process of their own: verdicts on all nodes, capacity, lists and maps."""

    def __enter__(self) -> Self:
        command = [sys.executable, __file__, "--load"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        time.sleep(0.7)
        return self

    def __exit__(self, *_: object) -> None:
        said = self.process.communicate()[0]
        self.answers, self.refused = json.loads(said)


def load() -> None:
    """Asks with four connections until standard input is closed, and prints how many were answered and refused."""
    os.nice(19)  # people have machines of their own; here theirs is the extender's
    stop, counted = threading.Event(), Counter[int]()

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        path = ("what-if?detail=brief", "capacity?detail=brief", "what-if", "nodes")[number]
        while not stop.is_set():
            question = None if path == "nodes" else {"pods": [pod(2 + next(SHAPES) % 7, 1 << 30)]}
            status, _ = call(connection, "GET" if question is None else "POST", f"/api/v1/{path}", question)
            counted[status] += 1
            if status != 200:
                time.sleep(0.05)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps([counted[200], counted[429]]))


@contextmanager
def busy() -> Iterator[None]:
    """A process that has nothing to do with the extender and is as busy, at the same priority: the control."""
    command = ["nice", "-n", "10", sys.executable, "-c", "while True: sum(range(1000))"]
    process = subprocess.Popen(command)
    time.sleep(0.7)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def report(kind: str, times: dict[str, list[float]]) -> float:
    """Prints a row for each state and returns the ratio that counts."""

    def at(state: str, part: float) -> float:
        return sorted(times[state])[int(len(times[state]) * part)] * 1000

    for state, taken in times.items():
        print(
            f"{kind:12} {state:28} {len(taken):5} calls   p50 {at(state, 0.5):7.1f}   p90 {at(state, 0.9):7.1f}"
            f"   p99 {at(state, 0.99):7.1f} ms   p99 ratio {at(state, 0.99) / at(ALONE, 0.99):.2f}"
        )
    return at(ASKED, 0.99) / at(ALONE, 0.99)


def main() -> None:
    """Measures, or is the load."""
    if "--load" in sys.argv:
        load()
        return
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with server(nodes):
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
        listed = json.loads(call(connection, "GET", "/api/v1/nodes")[1])["nodes"]
        names = [node["name"] for node in listed]
        measure(names, [], fresh=False)
        times = {fresh: {state: list[float]() for state in (ALONE, OTHER, ASKED)} for fresh in (False, True)}
        answers = refused = 0
        for _ in range(rounds):
            for fresh in (False, True):
                measure(names, times[fresh][ALONE], fresh=fresh)
                with busy():
                    measure(names, times[fresh][OTHER], fresh=fresh)
                with Load() as people:
                    measure(names, times[fresh][ASKED], fresh=fresh)
                answers, refused = answers + people.answers, refused + people.refused
        print(f"{len(names)} nodes; meanwhile {answers} questions were answered and {refused} told to come again")
        ratios = [report("new shape" if fresh else "known shape", states) for fresh, states in times.items()]
        sys.exit(1 if max(ratios) > 2 else 0)


ALONE, OTHER, ASKED = "alone", "beside a busy process", "under what-if load"


if __name__ == "__main__":
    main()
