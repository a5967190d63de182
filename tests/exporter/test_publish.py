"""Publishing: on change, with heartbeats, owed until written, and the Node touched when something became available."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clock import Clock
from fake_api import NODES, FakeApi, api_server, node
from observed import CONFIGURATION, MACHINE

from extender.exporter.api import Api, connect
from extender.exporter.growth import has_grown
from extender.exporter.metrics import Metrics
from extender.exporter.observation import ApiNode
from extender.exporter.publish import AVAILABILITY, Publisher
from extender.model.configuration import Version
from extender.model.pod import Pod
from extender.model.report import Amount, Report, ZoneQuantities
from extender.model.state import CpuState, Device, DeviceState, NodeState
from extender.wire.nrt import PATH, report_from_nrt

OBJECT = f"{PATH}/n1"
OWNER = ApiNode("node-n1", "v1.37.2", {})


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def server() -> Iterator[FakeApi]:
    with api_server() as running:
        running.put(f"{NODES}/n1", node("n1"))
        yield running


@pytest.fixture
def api(server: FakeApi, tmp_path: Path) -> Iterator[Api]:
    made = connect(server.kubeconfig(tmp_path))
    yield made
    made.close()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def publisher(api: Api, clock: Clock, metrics: Metrics) -> Publisher:
    return Publisher(api, "n1", metrics, heartbeat_seconds=60, clock=clock)


def report(available: int = 8, **changes: Any) -> Report:
    """A report in which zone 0 has this many CPUs left."""
    zones = (ZoneQuantities(0, {"cpu": Amount(8, 8, available)}, {0: 10}),)
    return replace(Report("n1", MACHINE, CONFIGURATION, Version.V1_37, NodeState(), zones=zones), **changes)


def written(server: FakeApi) -> list[tuple[str, str]]:
    """What was written, and how."""
    return [(write.path, write.kind) for write in server.writes]


APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"


def test_a_report_is_applied_with_its_owner(server: FakeApi, publisher: Publisher) -> None:
    """The object is applied as the exporter's own, by force, belongs to the Node, and says what the report says."""
    publisher.want(report(), OWNER, 1000.0)
    publisher.publish()
    item, write = server.objects[OBJECT], server.writes[0]

    assert ({"fieldManager": "numa-exporter", "force": "true"}, APPLY) == (write.query, write.kind)
    assert [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "node-n1"}] == item["metadata"]["ownerReferences"]
    assert replace(report(), heartbeat=report_from_nrt(item).heartbeat) == report_from_nrt(item)


def test_the_node_is_touched_after_the_object(server: FakeApi, publisher: Publisher) -> None:
    """Whoever is tried again finds the new state; the first report counts as growth."""
    publisher.want(report(), OWNER, 1000.0)
    publisher.publish()

    assert [(OBJECT, APPLY), (f"{NODES}/n1", MERGE)] == written(server)
    assert AVAILABILITY in server.objects[f"{NODES}/n1"]["metadata"]["annotations"]


def test_only_growth_touches_the_node(server: FakeApi, publisher: Publisher) -> None:
    """When something is taken the object alone is written; when it is given back the Node is touched too."""
    for available in (8, 4, 6):
        publisher.want(report(available), OWNER, 1000.0)
        publisher.publish()

    assert [OBJECT, f"{NODES}/n1", OBJECT, OBJECT, f"{NODES}/n1"] == [path for path, _ in written(server)]


def test_nothing_is_written_without_a_change(server: FakeApi, publisher: Publisher, clock: Clock) -> None:
    """The same report again is no write; after the heartbeat's time it is one, and the Node is left alone."""
    publisher.want(report(), OWNER, 1000.0)
    publisher.publish()
    del server.writes[:]
    for second in (1, 30, 59):
        clock.now = 1000.0 + second
        publisher.want(report(), OWNER, clock.now)
        publisher.publish()
    assert [] == server.writes
    assert 1 == publisher.due_seconds()
    clock.now = 1060.0
    publisher.publish()

    assert [(OBJECT, APPLY)] == written(server)


def test_what_fails_is_owed_and_spaced_out(
    server: FakeApi, publisher: Publisher, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """While the server refuses, each attempt waits longer; then the last report is written, and only that."""
    server.refusals[OBJECT] = 503
    waits = []
    for available in (8, 7, 6, 5):
        publisher.want(report(available), OWNER, clock.now)
        publisher.publish()
        waits.append(publisher.due_seconds())
        clock.now += waits[-1]
    assert all(0.5 * 0.2 * 2**attempt <= wait <= 0.2 * 2**attempt for attempt, wait in enumerate(waits))
    assert "not published: PATCH" in caplog.messages[0]
    server.refusals.clear()
    publisher.publish()

    assert 5 == report_from_nrt(server.objects[OBJECT]).zones[0].resources["cpu"].available


def test_the_waiting_has_an_end(server: FakeApi, publisher: Publisher, clock: Clock) -> None:
    """However long the server is away, it is tried at least every 15 seconds."""
    server.refusals[OBJECT] = 503
    publisher.want(report(), OWNER, clock.now)
    for _ in range(20):
        publisher.publish()
        clock.now += publisher.due_seconds()
    publisher.publish()

    assert 7.5 <= publisher.due_seconds() <= 15


def test_an_attempt_is_not_made_before_its_time(server: FakeApi, publisher: Publisher, clock: Clock) -> None:
    """A change that comes while attempts are spaced out does not jump the queue."""
    server.refusals[OBJECT] = 503
    for available in (8, 7, 6):
        publisher.want(report(available), OWNER, clock.now)
        publisher.publish()

    assert 1 == len(server.writes)


def test_a_touch_that_fails_does_not_hold_up_the_object(server: FakeApi, publisher: Publisher, clock: Clock) -> None:
    """Object and Node have attempts of their own, and the touch is owed until it is done."""
    server.refusals[f"{NODES}/n1"] = 500
    for available in (4, 2):
        publisher.want(report(available), OWNER, clock.now)
        publisher.publish()
    assert [OBJECT, f"{NODES}/n1", OBJECT] == [path for path, _ in written(server)]
    server.refusals.clear()
    clock.now += publisher.due_seconds()
    publisher.publish()

    assert f"{NODES}/n1" == server.writes[-1].path
    assert 58 < publisher.due_seconds() <= 60


def test_a_node_that_may_not_be_touched_is_left_alone(
    server: FakeApi, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the permission one line says what it costs, and it is not tried again."""
    server.refusals[f"{NODES}/n1"] = 403
    for available in (4, 6, 8):
        publisher.want(report(available), OWNER, 1000.0)
        publisher.publish()

    assert [OBJECT, f"{NODES}/n1", OBJECT, OBJECT] == [path for path, _ in written(server)]
    assert ["refused pods are tried again late, as the Node may not be annotated"] == [
        message.partition(":")[0] for message in caplog.messages
    ]


def test_an_exporter_takes_up_where_an_earlier_one_ended(
    server: FakeApi, api: Api, publisher: Publisher, clock: Clock
) -> None:
    """After a restart the same report is written once, as nobody else tells of it, and is no growth."""
    publisher.want(report(4), OWNER, 1000.0)
    publisher.publish()
    del server.writes[:]
    second = Publisher(api, "n1", Metrics(), heartbeat_seconds=60, clock=clock)
    earlier = second.resume()
    second.want(report(4), OWNER, 1000.0)
    second.publish()

    assert earlier is not None
    assert 4 == earlier.zones[0].resources["cpu"].available
    assert [(OBJECT, APPLY)] == written(server)


def test_nothing_to_take_up_is_nothing_unusual(publisher: Publisher, caplog: pytest.LogCaptureFixture) -> None:
    """The first exporter of a node finds no object, and warns of nothing."""
    caplog.set_level(logging.WARNING)

    assert publisher.resume() is None
    assert [] == caplog.messages


def test_a_new_node_of_the_same_name_gets_an_object_of_its_own(server: FakeApi, publisher: Publisher) -> None:
    """When the Node is made anew, the object gets the new owner although the report is the same."""
    publisher.want(report(), OWNER, 1000.0)
    publisher.publish()
    publisher.want(report(), replace(OWNER, uid="node-2"), 1000.0)
    publisher.publish()

    assert "node-2" == server.objects[OBJECT]["metadata"]["ownerReferences"][0]["uid"]


def test_latency_counts_from_the_first_sign(publisher: Publisher, clock: Clock, metrics: Metrics) -> None:
    """The metric is the time from a change's first sign to the object, failed attempts included."""
    clock.now = 1000.5
    publisher.want(report(), OWNER, 1000.0)
    publisher.want(report(7), OWNER, 1000.4)
    publisher.publish()

    assert 0.5 == metrics.registry.get_sample_value("numa_exporter_publish_seconds_sum")


GROWTH = [
    pytest.param(report(4), report(4), False, id="the same"),
    pytest.param(report(4), report(3), False, id="less"),
    pytest.param(report(4), report(5), True, id="more CPUs"),
    pytest.param(report(zones=()), report(0), True, id="a new zone"),
    pytest.param(
        report(state=NodeState(device=DeviceState({"v/x": ()}))),
        report(state=NodeState(device=DeviceState({"v/x": (Device("a", located=False),)}))),
        True,
        id="a device without a zone",
    ),
    pytest.param(
        report(state=NodeState(device=DeviceState({"v/x": (Device("a", located=False),)}))),
        report(state=NodeState(device=DeviceState({"v/x": (Device("a", located=False, healthy=False),)}))),
        False,
        id="a device that fell ill",
    ),
    pytest.param(
        report(state=NodeState(cpu=CpuState(entries={"u": {"c": 1}}), active={"u": Pod("u", "p", ())})),
        report(state=NodeState(cpu=CpuState(entries={"u": {"c": 1}}))),
        True,
        id="a holder that is over",
    ),
    pytest.param(
        report(),
        report(state=NodeState(cpu=CpuState(entries={"u": {"c": 1}}), active={"u": Pod("u", "p", ())})),
        True,
        id="a holder that has come",
    ),
    pytest.param(
        report(),
        report(state=NodeState(active={"u": Pod("u", "p", ())})),
        False,
        id="a pod that has come and holds nothing",
    ),
    pytest.param(
        report(state=NodeState(active={"u": Pod("u", "p", ())})),
        report(),
        False,
        id="a pod that is over and held nothing",
    ),
]


@pytest.mark.parametrize(("before", "after", "grown"), GROWTH)
def test_growth_is_anything_that_can_be_had_anew(before: Report, after: Report, *, grown: bool) -> None:
    """An amount, a device, what a pod held that is over, or what one that came holds; less, and nothing held, is none."""
    assert grown == has_grown(before, after)
