"""The HTTP shell, asked as the scheduler asks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from builders import database, report
from flask.testing import FlaskClient

from extender.app import create_app
from extender.fleet import shape_of
from extender.inventory.live import Inventory
from extender.inventory.rules import Assume, Rules, UnknownNodes
from extender.model.observed import ObservedPod
from extender.process import World
from extender.score import Strategy
from extender.settings import Listen, Scoring, Settings
from extender.verbs import OutcomeUnknownError
from extender.wire.scheduler import Binding

AMOUNTS = {"requests": {"cpu": "6", "memory": "12Gi"}, "limits": {"cpu": "6", "memory": "12Gi"}}
BUDGET = {"requests": {"cpu": "8", "memory": "16Gi"}, "limits": {"cpu": "8", "memory": "16Gi"}}
POD: dict[str, Any] = {
    "metadata": {"name": "c", "namespace": "default", "uid": "uid-c"},
    "spec": {
        "resources": BUDGET,
        "containers": [{"name": "db", "resources": AMOUNTS}, {"name": "metrics", "resources": {}}],
    },
    "status": {"phase": "Pending", "qosClass": "Guaranteed"},
}
BINDING = {"PodName": "c", "PodNamespace": "default", "PodUID": "uid-c", "Node": "idle"}
FULL = "numa: pod scope wants 8 CPU and 16Gi in one zone (single-numa-node); zone 0 has 6 CPU free, zone 1 has 0"


class Poster:
    """What posts Bindings; answers what the test wants."""

    def __init__(self) -> None:
        self.posted: list[Binding] = []
        self.error = ""
        self.unknown = False

    def __call__(self, binding: Binding) -> str:
        self.posted.append(binding)
        if self.unknown:
            raise OutcomeUnknownError("the connection broke")
        return self.error


def inventory(rules: Rules | None = None) -> Inventory:
    """An idle node and one that is full for the example; the pod in question waits."""
    made = Inventory(rules)
    made.reported(report("idle"), now=0.0)
    made.reported(report("full", database("x"), database("y"), database("z")), now=0.0)
    made.pod_observed(ObservedPod(database("c")), now=0.0)
    return made


@pytest.fixture
def poster() -> Poster:
    return Poster()


@pytest.fixture
def world(poster: Poster) -> World:
    return World(inventory(Rules(assume=Assume.BIND)), post=poster)


@pytest.fixture
def client(world: World) -> FlaskClient:
    return create_app(Settings(), world).test_client()


def ask(client: FlaskClient, verb: str, body: object) -> Any:
    """Asks as the scheduler does, and insists on what it insists on: status 200 and JSON."""
    response = client.post(f"/scheduler/{verb}", data=json.dumps(body), content_type="application/json")
    assert (200, "application/json") == (response.status_code, response.content_type)
    return response.get_json()


def metric(client: FlaskClient, line: str) -> bool:
    return line in client.get("/metrics").get_data(as_text=True).splitlines()


def test_filter_lets_through_what_the_kubelet_admits(client: FlaskClient) -> None:
    """Of an idle and a full node the idle one passes; the other is unresolvable, with quantities."""
    answer = ask(client, "filter", {"Pod": POD, "Nodes": None, "NodeNames": ["full", "idle"]})

    assert {
        "Nodes": None,
        "NodeNames": ["idle"],
        "FailedNodes": {},
        "FailedAndUnresolvableNodes": {"full": FULL},
        "Error": "",
    } == answer


def test_filter_answers_whole_nodes_with_whole_nodes(client: FlaskClient) -> None:
    """With nodeCacheCapable false the node that passes comes back as it was sent."""
    nodes = [{"metadata": {"name": name}, "status": {"phase": name}} for name in ("full", "idle")]
    answer = ask(client, "filter", {"Pod": POD, "Nodes": {"metadata": {}, "items": nodes}, "NodeNames": None})

    assert ([nodes[1]], None) == (answer["Nodes"]["items"], answer["NodeNames"])


def test_a_node_nobody_knows_passes_and_is_counted(client: FlaskClient) -> None:
    """By default an unknown node passes; the metrics say that it was let through unknown."""
    answer = ask(client, "filter", {"Pod": POD, "NodeNames": ["new"]})

    assert ["new"] == answer["NodeNames"]
    assert metric(client, 'numa_extender_node_answers_total{fits="true",knowledge="unknown"} 1.0')


def test_a_node_nobody_knows_can_be_refused() -> None:
    """With unknownNodes refuse such a node is refused and the reason says so."""
    client = create_app(Settings(), World(inventory(Rules(unknown_nodes=UnknownNodes.REFUSE)))).test_client()

    assert {"new": "numa: the node is not known (no report) and the extender is set to refuse such nodes"} == ask(
        client, "filter", {"Pod": POD, "NodeNames": ["new"]}
    )["FailedAndUnresolvableNodes"]


def test_refusals_are_counted_by_reason_and_resource(client: FlaskClient) -> None:
    """A refusal is counted under the kubelet's reason and the resource that no zone has enough of."""
    ask(client, "filter", {"Pod": POD, "NodeNames": ["full"]})

    assert metric(
        client,
        'numa_extender_refusals_total{cause="no-alignment",reason="TopologyAffinityError",resource="cpu"} 1.0',
    )


def test_prioritize_tells_by_how_much_nodes_are_better(client: FlaskClient) -> None:
    """One that does not fit, or is not known, scores 0, and so do all that are left out of the answer."""
    answer = ask(client, "prioritize", {"Pod": POD, "NodeNames": ["idle", "full", "new"]})

    assert [{"Host": "idle", "Score": 4}] == answer


def test_prioritize_leaves_out_the_least_good_nodes() -> None:
    """Only differences count for the scheduler: the least good nodes are left out, all others are told relative to them."""
    world = World(inventory())
    for name, pods in (("other", []), ("half", [database("x"), database("y")])):
        world.inventory.reported(report(name, *pods), now=0.0)
    client, names = create_app(Settings(), world).test_client(), ["idle", "half", "other"]
    scores = dict(
        zip(names, world.inventory.scored(names, database("c"), shape_of(database("c"))).tolist(), strict=True)
    )
    answer = ask(client, "prioritize", {"Pod": POD, "NodeNames": names})

    assert [{"Host": "half", "Score": scores["half"] - scores["idle"]}] == answer
    assert 0 < scores["idle"] == scores["other"] < scores["half"]
    assert [] == ask(client, "prioritize", {"Pod": POD, "NodeNames": ["other", "idle"]})
    assert [] == ask(client, "prioritize", {"Pod": POD, "NodeNames": []})


def test_each_profile_of_the_scheduler_has_its_strategy() -> None:
    """By default the fuller node is better; a profile that spreads prefers the idle one."""
    settings = Settings(scoring=Scoring(profiles={"numa-spread": Strategy.SPREAD}))
    world = World(inventory(Rules(assume=Assume.BIND)))
    world.inventory.reported(report("half", database("x"), database("y")), now=0.0)
    client = create_app(settings, world).test_client()
    scores = {}
    for profile in ("numa-scheduler", "numa-spread"):
        pod = POD | {"spec": POD["spec"] | {"schedulerName": profile}}
        answer = ask(client, "prioritize", {"Pod": pod, "NodeNames": ["idle", "half"]})
        scores[profile] = {"idle": 0, "half": 0} | {one["Host"]: one["Score"] for one in answer}

    assert scores["numa-scheduler"]["half"] > scores["numa-scheduler"]["idle"]
    assert scores["numa-spread"]["half"] < scores["numa-spread"]["idle"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b"{}", id="no fields"),
        pytest.param(b'{"Pod": 1, "NodeNames": ["a"]}', id="a number for a pod"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[" * 100_000, id="deep nesting"),
    ],
)
def test_what_cannot_be_understood_is_answered(client: FlaskClient, body: bytes) -> None:
    """A malformed question gets status 200 and an Error; prioritize, which has no place for one, gets no scores."""
    for verb in ("filter", "bind"):
        answer = client.post(f"/scheduler/{verb}", data=body)
        assert answer.status_code == 200
        assert answer.get_json()["Error"].startswith("numa: the request cannot be understood: ")
    assert client.post("/scheduler/prioritize", data=body).get_json() == []
    assert metric(client, 'numa_extender_requests_total{result="error",verb="filter"} 1.0')


def test_a_body_that_is_too_large_is_answered() -> None:
    """More than maxBodyBytes is not read; the Error names the setting."""
    settings = Settings(listen=Listen(max_body_bytes=2**16))
    client = create_app(settings, World(inventory())).test_client()
    answer = ask(client, "filter", {"Pod": POD, "NodeNames": ["n" * 2**16]})

    assert answer["Error"] == "numa: the request is larger than 65536 bytes (setting listen.maxBodyBytes)"


def test_a_fault_of_ours_is_answered_and_logged(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug fails the pod's attempt with an Error, not the connection, and its traceback is in the log."""
    monkeypatch.setattr(Inventory, "survey", lambda *_, **_named: 1 / 0)

    assert "a fault of the extender" in ask(client, "filter", {"Pod": POD, "NodeNames": ["idle"]})["Error"]
    assert "ZeroDivisionError" in caplog.text


def test_nothing_is_answered_before_the_inventory_is_complete() -> None:
    """Until the first full list has come, pods are sent back rather than let through unseen."""
    missing = ["waiting for pods"]
    client = create_app(Settings(), World(inventory(), missing=lambda: missing[0])).test_client()
    question = {"Pod": POD, "NodeNames": ["idle"]}
    assert ask(client, "filter", question)["Error"] == "numa: waiting for pods"
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200

    missing[0] = ""
    assert ask(client, "filter", question)["NodeNames"] == ["idle"]
    assert client.get("/readyz").status_code == 200


def test_bind_posts_what_fits(client: FlaskClient, poster: Poster, world: World) -> None:
    """A pod that still fits is bound, and counts on its node from that moment."""
    assert ask(client, "bind", BINDING) == {"Error": ""}
    assert poster.posted == [Binding("c", "default", "uid-c", "idle")]
    assert world.inventory.count_pods()["assumed"] == 1
    assert metric(client, 'numa_extender_bindings_total{result="bound"} 1.0')


def test_bind_refuses_what_fits_no_more(client: FlaskClient, poster: Poster) -> None:
    """A pod whose zone was taken meanwhile is sent back with the reason; nothing is posted, no pod fails."""
    assert ask(client, "bind", {**BINDING, "Node": "full"}) == {"Error": FULL}
    assert poster.posted == []
    assert metric(client, 'numa_extender_bindings_total{result="conflict"} 1.0')


def test_a_refused_binding_is_taken_back(client: FlaskClient, poster: Poster, world: World) -> None:
    """Where the API server refuses a Binding the pod counts no more."""
    poster.error = "pods c not found"

    assert ask(client, "bind", BINDING) == {"Error": "numa: pods c not found"}
    assert world.inventory.count_pods()["assumed"] == 0


def test_a_binding_of_unknown_outcome_keeps_its_place(client: FlaskClient, poster: Poster, world: World) -> None:
    """Where nobody knows whether a Binding took effect the pod counts until it is seen or given up."""
    poster.unknown = True

    assert ask(client, "bind", BINDING) == {"Error": "numa: the connection broke"}
    assert world.inventory.count_pods()["assumed"] == 1


def test_a_pod_that_does_not_wait_is_not_bound(client: FlaskClient, poster: Poster) -> None:
    """A uid that the API server has not shown waiting is refused."""
    answer = ask(client, "bind", {**BINDING, "PodUID": "other"})

    assert answer == {"Error": "numa: pod default/c (other) is not waiting to be bound"}
    assert poster.posted == []


def test_the_verdict_is_logged_once(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    """One line tells what was asked and answered."""
    with caplog.at_level("INFO", logger="extender"):
        ask(client, "filter", {"Pod": POD, "NodeNames": ["idle", "full"]})
    (line,) = [record for record in caplog.records if record.getMessage() == "filtered"]

    assert ("default/c", 2, 1, [FULL]) == (line.pod, line.asked, line.passed, line.reasons)  # type: ignore[attr-defined]


def test_the_gauges_count_nodes_and_pods(client: FlaskClient) -> None:
    """The metrics show how many nodes are known how well, and how many pods in which way."""
    assert metric(client, 'numa_extender_nodes{knowledge="exact"} 2.0')
    assert metric(client, 'numa_extender_pods{standing="assumed"} 0.0')


def test_preempt_names_those_whose_leaving_helps(client: FlaskClient, world: World) -> None:
    """Victims that free no zone are exchanged for those that do; where nobody's leaving helps the node is left out."""
    for name in ("x", "y", "z"):
        world.inventory.pod_observed(ObservedPod(database(name), "full", admitted=True), now=0.0)
    high = POD | {"spec": POD["spec"] | {"priority": 1000}}
    victims = {"full": {"Pods": [{"UID": "uid-x"}], "NumPDBViolations": 0}}
    answer = ask(client, "preempt", {"Pod": high, "NodeNameToMetaVictims": victims, "NodeNameToVictims": None})
    assert {"NodeNameToMetaVictims": victims} == answer

    low = ask(client, "preempt", {"Pod": POD, "NodeNameToMetaVictims": {"full": {"Pods": []}}})
    assert {"NodeNameToMetaVictims": {}} == low
    assert {"NodeNameToMetaVictims": {}} == ask(client, "preempt", {"Pod": 3})


def test_a_node_that_evictions_would_open_is_resolvable_where_that_is_asked_for() -> None:
    """With rules.preemption such a node is in FailedNodes, so that preemption looks at it."""
    world = World(inventory(Rules(assume=Assume.BIND, preemption=True)))
    for name in ("x", "y", "z"):
        world.inventory.pod_observed(ObservedPod(database(name), "full", admitted=True), now=0.0)
    client = create_app(Settings(), world).test_client()
    high = POD | {"spec": POD["spec"] | {"priority": 1000}}
    answer = ask(client, "filter", {"Pod": high, "NodeNames": ["full"]})
    assert ({"full": FULL}, {}) == (answer["FailedNodes"], answer["FailedAndUnresolvableNodes"])

    answer = ask(client, "filter", {"Pod": POD, "NodeNames": ["full"]})
    assert ({}, {"full": FULL}) == (answer["FailedNodes"], answer["FailedAndUnresolvableNodes"])
