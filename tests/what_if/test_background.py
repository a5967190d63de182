"""The process that answers questions: it knows what the inventory knows, and nothing it does reaches the verbs."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from builders import database, pod, report
from what_if_nodes import container, pod_json

from extender.app import create_app
from extender.inventory.live import Inventory
from extender.model.observed import ObservedPod
from extender.process import World
from extender.settings import Settings, WhatIf
from extender.web.background import Background
from extender.web.exchange import Request
from extender.web.service import Limits

Json = dict[str, Any]


@pytest.fixture
def inventory() -> Inventory:
    known = Inventory()
    known.reported(report("one", pod("a", "12")), 0.0)
    known.reported(report("two"), 0.0)
    return known


@pytest.fixture
def background(inventory: Inventory) -> Iterator[Background]:
    made = Background(inventory.all_nodes, Limits(seconds=20))
    yield made
    made.close()


def nodes(background: Background) -> Json:
    reply = background.ask(Request("GET", "/api/v1/nodes"))
    return {node["name"]: node for node in orjson.loads(reply.body)["nodes"]}


def total(background: Background, cpu: str = "4") -> int:
    body = orjson.dumps({"pods": [pod_json("p", container(cpu=cpu))]})
    return int(orjson.loads(background.ask(Request("POST", "/api/v1/capacity", body=body)).body)["pods"][0]["total"])


def test_it_follows_the_inventory(inventory: Inventory, background: Background) -> None:
    """News of nodes and pods is in the next answer: more held, a node gone, a node new, a node unknown."""
    assert {"one": 2, "two": 14} == {name: node["zones"][0]["free"]["cpu"] for name, node in nodes(background).items()}
    before = total(background)

    inventory.pod_observed(ObservedPod(pod("b", "8"), node="two"), 0.0)
    assert before - 2 == total(background)

    inventory.only_reports_of(["two"])
    inventory.reported(report("three", database("db")), 1.0)
    inventory.unreported("four", "its report cannot be read")
    after = nodes(background)
    assert ["four", "three", "two"] == list(after)
    assert "its report cannot be read" == after["four"]["fault"]


def test_pods_are_known_by_their_spec(inventory: Inventory, background: Background) -> None:
    """A pod that the API server has shown is admitted again as it is, not as what it holds."""
    burst = replace(pod("b", "8"), namespace="team")
    inventory.pod_observed(ObservedPod(burst, node="two"), 0.0)
    question = orjson.dumps(
        {"change": {"nodes": ["two"], "kubelet": {"topologyManagerScope": "container"}}, "nodes": ["two"]}
    )
    answer = orjson.loads(background.ask(Request("POST", "/api/v1/what-if", "maps=true", question)).body)

    (holder,) = answer["maps"][0]["holders"]
    assert ("team", "b", None) == (holder["namespace"], holder["name"], holder.get("rebuilt"))


def test_a_process_that_was_ended_is_replaced(background: Background) -> None:
    """Whatever ends the process between two questions, the next one is answered by another."""
    first = total(background)
    assert background._worker
    os.kill(background._worker._process.pid, signal.SIGKILL)
    background._worker._process.wait(5)

    assert first == total(background)


def test_a_process_that_does_not_answer_is_ended(inventory: Inventory, monkeypatch: Any) -> None:
    """A question that hangs costs its own answer only."""
    monkeypatch.setattr("extender.web.background.GRACE_SECONDS", 0.5)
    background = Background(inventory.all_nodes, Limits(seconds=0.5))
    try:
        background.warm_up()
        while not background._worker or not background._worker._told:
            time.sleep(0.05)
        background._worker.ask(Request("GET", "/api/v1/nodes"), 20)
        os.kill(background._worker._process.pid, signal.SIGSTOP)
        reply = background.ask(Request("GET", "/api/v1/nodes"))
        assert 422 == reply.status
        assert background._worker is None
    finally:
        background.close()


def test_only_two_questions_at_a_time_are_taken(background: Background) -> None:
    """One is computed, one waits, the third is told to come again: threads stay free for the scheduler."""
    total(background)
    with background._turn:
        waiting = [threading.Thread(target=total, args=(background,)) for _ in range(2)]
        for thread in waiting:
            thread.start()
        while background._places._value:
            time.sleep(0.01)
        reply = background.ask(Request("GET", "/api/v1/nodes"))
    for thread in waiting:
        thread.join()

    assert 429 == reply.status
    assert "2" == reply.headers["Retry-After"]


def test_over_http_with_flask(inventory: Inventory) -> None:
    """The page, its files and the paths are served beside the verbs, with headers that keep other sites out."""
    app = create_app(Settings(), World(inventory))
    client = app.test_client()
    with client.get("/") as page:
        assert b"NUMA map" in page.data
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    for name, status in (("app.js", 200), ("style.css", 200), ("icon.svg", 200), ("../service.py", 404)):
        with client.get(f"/page/{name}") as file:
            assert status == file.status_code
    listed = client.get("/api/v1/nodes", headers={"Accept-Encoding": "gzip"})
    assert ["one", "two"] == [node["name"] for node in listed.get_json()["nodes"]]
    wrong = client.post("/api/v1/what-if", data=b"{")
    assert (400, "application/problem+json") == (wrong.status_code, wrong.mimetype)
    assert 404 == client.get("/api/v1/nodes/a%2Fb").status_code
    assert b"ok" in client.get("/healthz").data
    app.extensions["what-if"].close()


def test_a_large_body_is_refused_before_it_is_read(inventory: Inventory) -> None:
    """The limit of questions is far below that of the scheduler's calls."""
    settings = Settings(what_if=WhatIf(max_body_bytes=4096))
    client = create_app(settings, World(inventory)).test_client()
    refused = client.post("/api/v1/what-if", data=b"x" * 5000)

    assert (413, "application/problem+json") == (refused.status_code, refused.mimetype)


def test_it_can_be_switched_off(inventory: Inventory) -> None:
    """Without what-if there is no page and no path of it, and the verbs are as before."""
    client = create_app(Settings(what_if=WhatIf(enabled=False)), World(inventory)).test_client()

    assert 404 == client.get("/").status_code
    assert 404 == client.get("/api/v1/nodes").status_code
    assert 200 == client.get("/healthz").status_code


def test_it_waits_for_the_inventory(inventory: Inventory) -> None:
    """Until the inventory is complete there is no answer, as for the verbs."""
    client = create_app(Settings(), World(inventory, missing=lambda: "waiting for nodes")).test_client()

    assert 503 == client.get("/api/v1/nodes").status_code
