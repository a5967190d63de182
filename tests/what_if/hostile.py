"""
Bodies and query strings that nobody should send: random bytes, mutated questions, and what has broken other servers.

``python tests/what_if/hostile.py 100000`` asks so many and reports statuses, faults and the growth of memory.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from what_if_nodes import container, pod_json, samples  # noqa: E402 - the path is set above

from extender.web.exchange import Reply, Request  # noqa: E402
from extender.web.service import Limits, Service  # noqa: E402

PAGE = os.sysconf("SC_PAGESIZE")
ASKED = ("what-if", "capacity", "replay")
SHOWN = ("nodes", "nodes/two-zones", "nodes/nope", "openapi.json")
ASTRAY = ("", "nodes/%00", "../etc/passwd", "what-if/", "nodes/" + "a" * 3000, "\u202e")
METHODS = ("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW")
QUERIES = (
    "",
    "",
    "detail=brief",
    "maps=true",
    "detail=map",
    "limit=99999999999",
    "names=,,,",
    "a=%ff%fe",
    "%",
    "&&&=&=1",
)
SCALARS: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31,
        2**53,
        2**63 - 1,
        -(2**63),
        1.5,
        1e308,
        "",
        " ",
        "a" * 5000,
        "\x00",
        "\u202e",
    ),
    *("1e999", "1e-999", "9" * 400, "0x10", "1Ei", "-1", "1.000000000000000001", "NaN", "∞", "4", "8Gi", "500m"),
    *("*", "[", "[!a", "*" * 50, "two-*", "two-zones", "default/left", "pod", "restricted", "single-numa-node"),
    *([], {}, [[]], [{}], {"": {}}, {"a": {"b": {"c": []}}}),
)
KEYS = (
    *("pods", "manifest", "nodes", "replicas", "amounts", "together", "suggest", "most", "change", "kind", "spec"),
    *(
        "containers",
        "initContainers",
        "resources",
        "limits",
        "requests",
        "cpu",
        "memory",
        "hugepages-2Mi",
        "x/y",
        "name",
    ),
    *(
        "kubelet",
        "version",
        "machine",
        "removePods",
        "drain",
        "add",
        "like",
        "count",
        "topology",
        "zones",
        "steps",
        "uid",
    ),
    *("topologyManagerPolicy", "topologyManagerScope", "featureGates", "reservedMemory", "cpuManagerPolicyOptions"),
)
YAMLS = (
    "a: &a [*a]",
    "[" * 2000,
    "\t",
    "%YAML 9.9\n---\n",
    "--- !!python/object:os.system {}",
    "\n---\n" * 300,
    "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]",
    "{kind: Pod, metadata: {name: 1}, spec: {containers: [{name: a}]}}",
    "kind: Pod\nspec: {containers: [{name: a, resources: {limits: {cpu: 2001-01-01}}}]}",
    "kind: List\nitems: [" + "{kind: List, items: [" * 40 + "]}" * 40 + "]",
)
GOOD: tuple[dict[str, Any], ...] = (
    {"pods": [pod_json("p", container())]},
    {"pods": [pod_json("p", container(cpu="40"))], "suggest": 3, "nodes": ["two-zones", "nearly-full"]},
    {"manifest": "kind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, resources: {limits: {cpu: 4}}}]}"},
    {"pods": [pod_json("p", container())], "together": True, "replicas": 5},
    {
        "pods": [pod_json("p", container())],
        "change": {"drain": ["nearly-full"], "kubelet": {"topologyManagerPolicy": "none"}},
    },
    {
        "pods": [pod_json("p", container())],
        "change": {"add": [{"like": "two-zones", "count": 2}], "removePods": ["default/left"]},
    },
    {
        "version": "1.37",
        "machine": {"num_cores": 1, "topology": [{"cores": [{"thread_ids": [0]}]}]},
        "kubelet": {},
        "steps": [],
    },
)


def requests(count: int, seed: int = 1) -> Iterator[Request]:
    """Yields so many requests, the same ones for the same seed."""
    dice = random.Random(seed)
    for _ in range(count):
        kind = dice.random()
        path = dice.choice(ASKED if kind < 0.75 else SHOWN if kind < 0.9 else ASTRAY)
        method = dice.choice(METHODS) if dice.random() < 0.1 else "POST" if kind < 0.75 else "GET"
        yield Request(method, f"/api/v1/{path}", _query(dice), _body(dice), gzip=dice.random() < 0.1)


def _query(dice: random.Random) -> str:
    if dice.random() < 0.6:
        return ""
    if dice.random() < 0.8:
        return dice.choice(QUERIES)
    return "".join(chr(dice.randrange(1, 256)) for _ in range(dice.randrange(60)))


def _body(dice: random.Random) -> bytes:
    kind = dice.random()
    if kind < 0.1:
        return dice.randbytes(dice.randrange(200))
    if kind < 0.15:
        return dice.choice(
            [b"[" * 5000, b'{"a":' * 2000, b'"' + b"\\ud800" * 50 + b'"', b"1" * 3000, b"", b"\xff\xfe{}"]
        )
    if kind < 0.25:
        return orjson.dumps({"manifest": dice.choice(YAMLS)})
    if kind < 0.35:
        return orjson.dumps(_anything(dice, 4))
    body = orjson.dumps(_mutated(dice, dice.choice(GOOD)))
    if kind > 0.95:
        at = dice.randrange(len(body))
        body = body[:at] + dice.randbytes(2) + body[at + 1 :]
    return body


def _anything(dice: random.Random, depth: int) -> Any:
    kind = dice.random()
    if depth == 0 or kind < 0.3:
        return dice.choice(SCALARS)
    if kind < 0.6:
        return [_anything(dice, depth - 1) for _ in range(dice.randrange(4))]
    return {dice.choice(KEYS): _anything(dice, depth - 1) for _ in range(dice.randrange(5))}


def _mutated(dice: random.Random, value: Any) -> Any:
    """The value with a part here and there that is something else."""
    if dice.random() < 0.06:
        return _anything(dice, 2)
    if isinstance(value, dict):
        changed = {key: _mutated(dice, each) for key, each in value.items() if dice.random() > 0.03}
        return {**changed, dice.choice(KEYS): _anything(dice, 2)} if dice.random() < 0.04 else changed
    if isinstance(value, list):
        return [_mutated(dice, each) for each in value] * (2 if dice.random() < 0.05 else 1)
    return value


@dataclass
class Report:
    """What came of it."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[tuple[Request, Reply]] = field(default_factory=list)
    slowest: float = 0.0
    slowest_request: Request | None = None
    grown: int = 0
    """Bytes of memory between a warm start and the end."""


def assault(count: int, answer: Callable[[Request], Reply], seed: int = 1) -> Report:
    """Asks so many hostile questions; memory is measured after the first fifth and at the end."""
    report, warm = Report(), 0
    for number, request in enumerate(requests(count, seed)):
        if number == count // 5:
            warm = resident()
        begun = time.perf_counter()
        reply = answer(request)
        took = time.perf_counter() - begun
        if took > report.slowest:
            report.slowest, report.slowest_request = took, request
        report.statuses[reply.status] += 1
        if reply.status >= 500 or reply.fault or b"Traceback" in reply.body:
            report.faults.append((request, reply))
    report.grown = resident() - warm
    return report


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def main() -> None:
    """Runs the number of requests that the argument names."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    sites = samples()
    service = Service(lambda: sites, Limits(seconds=5))
    begun = time.monotonic()
    report = assault(count, service.answer, seed=int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print(f"{count} requests in {time.monotonic() - begun:.0f} s, slowest {report.slowest:.2f} s")
    print(f"statuses {dict(sorted(report.statuses.items()))}")
    print(f"faults {len(report.faults)}; memory grew by {report.grown / 2**20:.1f} MiB after the first fifth")
    for request, reply in report.faults[:5]:
        print(request, reply.fault or reply.body)
    if report.slowest > 1:
        print("slowest:", report.slowest_request)
    sys.exit(1 if report.faults or report.grown > 32 << 20 else 0)


if __name__ == "__main__":
    main()
