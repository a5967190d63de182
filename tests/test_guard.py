"""The guard, asked as the API server asks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from builders import database, pod, report
from clock import Clock
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from extender.app import create_app
from extender.entrance import GUARD
from extender.fleet import shape_of
from extender.guard import LOOKS, MOST_WAITING, PAUSE_SECONDS
from extender.inventory.live import Inventory
from extender.inventory.node import Knowledge
from extender.inventory.rules import Assume, Rules, UnknownNodes
from extender.model.observed import ObservedPod
from extender.model.pod import Pod
from extender.process import World
from extender.settings import Guard, Health, Listen, Settings, Tls
from extender.verbs import bind
from extender.wire.scheduler import Binding

PORT = 8444
SETTINGS = Settings(listen=Listen(max_body_bytes=65_536), tls=Tls("a", "b", "c"), guard=Guard(port=PORT))
TAKEN = "numa: pod scope wants 16 CPU and 4Gi in one zone (single-numa-node); zone 0 has 14 CPU free, zone 1 has 0"
SECONDS = 60
"""For so long an assumed pod counts."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inventory() -> Inventory:
    """An idle node, with room for one pod of 16 CPUs; two such pods wait, and one that fits beside them."""
    made = Inventory(Rules(assume=Assume.BIND, assumed_seconds=SECONDS))
    made.node_listed("n", known=True)
    made.reported(report("n"), now=0.0)
    for waits in (pod("one", cpu="16"), pod("other", cpu="16"), pod("small")):
        made.pod_observed(ObservedPod(waits), now=0.0)
    return made


@pytest.fixture
def world(inventory: Inventory, clock: Clock) -> World:
    return World(inventory, clock=clock)


@pytest.fixture
def client(world: World) -> FlaskClient:
    return create_app(SETTINGS, world).test_client()


def post(client: FlaskClient, body: Any, **headers: str) -> TestResponse:
    return client.post(f"{GUARD}?timeout=3s", json=body, base_url=f"https://x:{PORT}", headers=headers)


def review(name: str, node: str = "n", *, uid: str | None = None, dry: bool = False) -> dict[str, Any]:
    """The question about a Binding; its uid is the pod's unless told otherwise."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": f"asked-{name}",
            "userInfo": {"username": "system:kube-scheduler"},
            "object": {
                "kind": "Binding",
                "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}" if uid is None else uid},
                "target": {"kind": "Node", "name": node},
            },
            "dryRun": dry,
        },
    }


def ask(client: FlaskClient, name: str, node: str = "n", **fields: Any) -> str:
    """Why a Binding is denied; the empty text where it is allowed."""
    response = post(client, review(name, node, **fields))
    assert (200, "application/json") == (response.status_code, response.content_type)
    document = response.get_json()
    assert ("admission.k8s.io/v1", "AdmissionReview") == (document["apiVersion"], document["kind"])
    answer = document["response"]
    assert f"asked-{name}" == answer["uid"]
    if answer["allowed"]:
        return ""
    assert (409, "Conflict") == (answer["status"]["code"], answer["status"]["reason"])
    return str(answer["status"]["message"])


def counted(world: World, result: str) -> float:
    return float(world.metrics.guarded.labels(result)._value.get())


def held(inventory: Inventory, node: str = "n") -> set[str]:
    return set(inventory.node(node).held)


def test_of_two_bindings_that_cross_the_second_is_denied(client: FlaskClient, world: World) -> None:
    """The first is let through and counts from then on; the second learns why not, and both are counted."""
    assert "" == ask(client, "one")
    assert TAKEN == ask(client, "other")
    assert {"uid-one"} == held(world.inventory)
    assert (1, 1) == (counted(world, "allowed"), counted(world, "denied"))
    text = world.metrics.text().decode()
    assert 'numa_extender_requests_total{result="ok",verb="guard"} 2.0' in text
    assert (
        'numa_extender_refusals_total{cause="no-alignment",reason="TopologyAffinityError",resource="cpu"} 1.0' in text
    )


def test_of_many_bindings_at_once_one_is_let_through(client: FlaskClient, world: World) -> None:
    """Judging and counting are one step, however many ask in the same moment."""
    for number in range(16):
        world.inventory.pod_observed(ObservedPod(pod(f"p-{number}", cpu="16")), now=0.0)
    with ThreadPoolExecutor(16) as askers:
        told = list(askers.map(lambda number: ask(client, f"p-{number}"), range(16)))

    assert [True] + 15 * [False] == sorted((not why for why in told), reverse=True)


def test_sums_are_looked_at_too(client: FlaskClient, world: World) -> None:
    """A pod that no zone binds is denied where the node as a whole has not enough left."""
    for name in ("half", "rest"):
        world.inventory.pod_observed(ObservedPod(shared(name)), now=0.0)

    assert "" == ask(client, "half")
    assert ask(client, "rest").startswith("numa: pods of other schedulers have taken what was left: the pod requests")


def shared(name: str) -> Pod:
    """A pod whose CPUs are not its own, of more than half of a node."""
    return pod(name, cpu="16500m", memory="1Gi")


@pytest.mark.parametrize("uid", [None, ""], ids=["with its uid", "by name"])
def test_what_bind_is_posting_is_let_through_at_once(
    world: World, client: FlaskClient, uid: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Our own Binding comes by while bind posts it: it counts already, nothing is judged, and it is bound."""
    caplog.set_level(logging.INFO, "extender.guard")
    answers = []

    def through_the_guard(binding: Binding) -> str:
        answers.append(ask(client, binding.name, binding.node, uid=uid))
        return answers[-1]

    bound = bind(world.inventory, Binding("one", "default", "uid-one", "n"), through_the_guard, 0.0)

    assert ("", [""]) == (bound.error, answers)
    assert TAKEN == ask(client, "other")
    assert ["other"] == [line.pod.removeprefix("default/") for line in caplog.records]  # type: ignore[attr-defined]


def test_the_same_binding_may_come_again(client: FlaskClient, world: World, clock: Clock) -> None:
    """
    A scheduler tries a Binding again: it is let through again, and where more than half of the time is over it counts for
    longer.
    """
    assert "" == ask(client, "one")
    clock.now = SECONDS / 2
    assert "" == ask(client, "one")
    world.inventory.tick(SECONDS + 1.0)
    assert set() == held(world.inventory)

    clock.now = 100.0
    assert "" == ask(client, "one")
    clock.now += SECONDS / 2 + 1
    assert "" == ask(client, "one")
    world.inventory.tick(clock.now + SECONDS / 2 + 1)
    assert {"uid-one"} == held(world.inventory)
    world.inventory.tick(clock.now + SECONDS)
    assert set() == held(world.inventory)


def test_a_pod_that_goes_elsewhere_counts_on_both_nodes(client: FlaskClient, world: World) -> None:
    """Which of two Bindings takes effect is not known: both count until the API server shows the pod on one of them."""
    world.inventory.reported(report("m"), now=0.0)
    assert ["", ""] == [ask(client, "one"), ask(client, "one", "m")]
    assert [TAKEN, TAKEN] == [ask(client, "other"), ask(client, "other", "m")]

    world.inventory.pod_observed(ObservedPod(pod("one", cpu="16"), "m"), now=1.0)
    world.inventory.tick(SECONDS + 1.0)
    assert "" == ask(client, "other")


def test_a_dry_run_counts_nothing(client: FlaskClient, world: World) -> None:
    """It is judged as a true one would be, sums included, and leaves no trace but in its own count."""
    assert "" == ask(client, "one", dry=True)
    assert set() == held(world.inventory)
    assert "" == ask(client, "other")
    assert TAKEN == ask(client, "one", dry=True)
    assert (2, 1, 0) == tuple(counted(world, result) for result in ("dry-run", "allowed", "denied"))


def test_a_binding_without_uid_is_found_by_name(client: FlaskClient, world: World) -> None:
    """Of two pods of one name the later one is meant: the earlier one is being forgotten."""
    world.inventory.pod_observed(ObservedPod(pod("one", cpu="16", uid="later")), now=0.0)

    assert "" == ask(client, "one", uid="")
    assert {"later"} == held(world.inventory)


def test_a_pod_of_which_we_hear_late_is_waited_for(client: FlaskClient, world: World) -> None:
    """Its scheduler may have heard of it first: news come in while it is waited for, and then it is judged."""
    assert "" == ask(client, "one")
    late = threading.Timer(0.05, world.inventory.pod_observed, (ObservedPod(pod("late", cpu="16")), 0.0))
    late.start()

    assert TAKEN == ask(client, "late")


def test_a_pod_that_nobody_knows_passes(client: FlaskClient, world: World) -> None:
    """After a second it is let through, is counted as unknown, and counts nowhere."""
    begun = time.monotonic()

    assert "" == ask(client, "nobody")
    assert LOOKS * PAUSE_SECONDS <= time.monotonic() - begun < 5
    assert (1, set()) == (counted(world, "unknown"), held(world.inventory))


def test_a_burst_s_late_pods_are_all_waited_for(client: FlaskClient, world: World) -> None:
    """More pods than may be answered about at a time are late together: each is waited for, and one of them fits."""
    late = [pod(f"late-{number}", cpu="16") for number in range(2 * SETTINGS.listen.threads)]

    def tell() -> None:
        for one in late:
            world.inventory.pod_observed(ObservedPod(one), 0.0)

    threading.Timer(0.2, tell).start()
    with ThreadPoolExecutor(len(late)) as askers:
        told = list(askers.map(lambda one: ask(client, one.name), late))

    assert (1, len(late) - 1) == (told.count(""), len(told) - told.count(""))
    assert 0 == counted(world, "unknown")


def test_who_waits_for_a_pod_holds_nobody_up(client: FlaskClient, world: World) -> None:
    """While as many wait as may, a known pod is judged, another unknown one passes at once, and news need not give way."""
    with ThreadPoolExecutor(MOST_WAITING) as askers:
        waiting = [askers.submit(ask, client, f"nobody-{number}") for number in range(MOST_WAITING)]
        time.sleep(0.3)
        begun = time.monotonic()
        assert ["", ""] == [ask(client, "one"), ask(client, "one-more-nobody")]
        assert world.precedence._free.is_set()
        assert time.monotonic() - begun < 0.3
        assert not any(one.done() for one in waiting)
        assert MOST_WAITING * [""] == [one.result() for one in waiting]


def test_a_pod_that_is_bound_already_is_the_api_server_s_matter(client: FlaskClient, world: World) -> None:
    """Whoever posts a Binding once more is let through at once; the API server refuses it itself."""
    world.inventory.pod_observed(ObservedPod(pod("one", cpu="16"), "n"), now=0.0)

    assert "" == ask(client, "one")
    assert 0 == counted(world, "unknown")


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (UnknownNodes.PASS, ""),
        (
            UnknownNodes.REFUSE,
            "numa: the node is not known (no report) and the extender is set to refuse such nodes",
        ),
    ],
)
def test_an_unknown_node_is_as_the_rule_says(clock: Clock, rule: UnknownNodes, why: str) -> None:
    """What becomes of a Binding to a node without a report is rules.unknownNodes' matter."""
    inventory = Inventory(Rules(assume=Assume.BIND, unknown_nodes=rule))
    inventory.pod_observed(ObservedPod(database("c")), now=0.0)
    client = create_app(SETTINGS, World(inventory, clock=clock)).test_client()

    assert Knowledge.UNKNOWN is inventory.node("new").knowledge
    assert why == ask(client, "c", "new")


def test_a_guarded_pod_that_is_refused_had_passed(client: FlaskClient, world: World) -> None:
    """Whoever's pod it is: what the guard lets through is counted among what we let through."""
    assert "" == ask(client, "one")
    refused = ObservedPod(pod("one", cpu="16"), "n", refusal="TopologyAffinityError", terminal=True)
    told = world.inventory.pod_observed(refused, now=1.0)

    assert told is not None
    assert told.passed


def test_without_bindverb_ours_is_judged_as_well(clock: Clock) -> None:
    """With rules.assume filter an answer of filter is none of the guard's: it judges who comes first, and him alone."""
    inventory = Inventory(Rules())
    inventory.reported(report("n"), now=0.0)
    for name in ("one", "other"):
        inventory.pod_observed(ObservedPod(pod(name, cpu="16")), now=0.0)
    asked = pod("one", cpu="16")
    inventory.answered(asked, shape_of(asked), ["n"], 0.0, "numa-scheduler")
    client = create_app(SETTINGS, World(inventory, clock=clock)).test_client()

    assert ["", TAKEN] == [ask(client, "other"), ask(client, "one")]


def malformed(client: FlaskClient) -> TestResponse:
    return client.post(GUARD, data=b"{", base_url=f"https://x:{PORT}")


def meaningless(client: FlaskClient) -> TestResponse:
    return post(client, {"kind": "Pod"})


def too_large(client: FlaskClient) -> TestResponse:
    return client.post(GUARD, data=70_000 * b" ", base_url=f"https://x:{PORT}")


@pytest.mark.parametrize(
    ("question", "status", "sentence"),
    [
        pytest.param(malformed, 400, "numa: the request cannot be understood", id="no JSON"),
        pytest.param(meaningless, 400, "numa: the request cannot be understood: kind: ", id="no question"),
        pytest.param(too_large, 413, "numa: the request is larger than 65536 bytes", id="too large"),
    ],
)
def test_what_cannot_be_answered_has_http_s_status(
    client: FlaskClient, question: Callable[[FlaskClient], TestResponse], status: int, sentence: str
) -> None:
    """The webhook's failurePolicy then decides; it is counted as an error."""
    response = question(client)

    assert status == response.status_code
    assert response.get_data(as_text=True).startswith(sentence)
    assert 'numa_extender_requests_total{result="error",verb="guard"} 1.0' in (
        client.get("/metrics").get_data(as_text=True)
    )


def test_until_everything_is_known_the_policy_decides(inventory: Inventory) -> None:
    """While the inventory is not complete the answer is 503."""
    world = World(inventory, missing=lambda: "the inventory is not complete yet")
    response = post(create_app(SETTINGS, world).test_client(), review("one"))

    assert (503, "numa: the inventory is not complete yet\n") == (response.status_code, response.get_data(as_text=True))


def test_a_fault_of_ours_is_a_500(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault is no verdict; the log has it."""

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("extender.verbs.guard", fail)

    assert 500 == post(client, review("one")).status_code


def test_reviews_are_posted(client: FlaskClient) -> None:
    """Whatever else is asked there is turned away, and so are browsers."""
    assert 405 == client.get(GUARD, base_url=f"https://x:{PORT}").status_code
    assert 403 == post(client, review("one"), Origin="https://example.com").status_code


def test_the_guard_has_its_door_and_nothing_else_is_there(client: FlaskClient) -> None:
    """It is not behind the scheduler's door, nor anything else behind its own; without a port it is nowhere."""
    assert 404 == client.post(GUARD, json=review("one")).status_code
    paths = ("/scheduler/bind", "/healthz", "/metrics", "/", "/api/v1/nodes")
    assert [404] * len(paths) == [
        client.post(path, data=b"{}", base_url=f"https://x:{PORT}").status_code for path in paths
    ]
    off = create_app(Settings(), World(Inventory())).test_client()
    assert 404 == off.post(GUARD, json=review("one")).status_code
    apart = Settings(tls=SETTINGS.tls, guard=SETTINGS.guard, health=Health(port=9447))
    elsewhere = create_app(apart, World(Inventory())).test_client()
    assert 404 == elsewhere.post(GUARD, json=review("one"), base_url="http://x:9447").status_code
