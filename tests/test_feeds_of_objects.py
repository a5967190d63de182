"""From the API's objects to the inventory's news."""

from __future__ import annotations

from typing import Any

import pytest
from builders import report

from extender.feeds import NodeReader, PodReader, ReportReader
from extender.inventory.live import Inventory
from extender.inventory.rules import Assume, Rules
from extender.metrics import Metrics
from extender.wire.nrt import report_to_nrt


def nrt(node: str, **options: Any) -> dict[str, Any]:
    return dict(report_to_nrt(report(node, **options)))


def pod(name: str, node: str = "", created: str = "2026-01-01T00:00:00Z", **status: Any) -> dict[str, Any]:
    amounts = {"cpu": "8", "memory": "4Gi"}
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "creationTimestamp": created},
        "spec": {
            "containers": [{"name": "main", "resources": {"requests": amounts, "limits": amounts}}],
            **({"nodeName": node} if node else {}),
        },
        "status": {"phase": "Pending", "qosClass": "Guaranteed", **status},
    }


@pytest.fixture
def inventory() -> Inventory:
    inventory = Inventory(Rules(assume=Assume.BIND))
    inventory.reported(report("n"), now=0.0)
    return inventory


@pytest.fixture
def pods(inventory: Inventory) -> PodReader:
    return PodReader(inventory, Metrics())


def test_nodes_come_and_go() -> None:
    """Nodes without a report are unknown; one that is gone is not counted."""
    inventory = Inventory()
    reader = NodeReader(inventory)
    reader.replace([{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}])
    reader.remove({"metadata": {"name": "a"}})
    reader.put({"metadata": {"name": "c"}})

    assert ["b", "c"] == [node.name for node in inventory.all_nodes()]


def test_a_list_of_reports_is_all_there_are() -> None:
    """A node whose report a new list lacks is no longer known."""
    inventory = Inventory()
    reader = ReportReader(inventory, Metrics())
    reader.replace([nrt("a"), nrt("b")])
    reader.replace([nrt("b")])

    assert ["b"] == [node.name for node in inventory.all_nodes()]


@pytest.mark.parametrize(
    ("live", "knowledge"),
    [
        pytest.param(True, "stale", id="a report of the cluster grows old"),
        pytest.param(False, "exact", id="a report of a file does not"),
    ],
)
def test_the_age_of_a_first_report_is_told_by_the_clocks(*, live: bool, knowledge: str) -> None:
    """A report whose heartbeat lies back further than the limit is stale from the start, if it should beat at all."""
    inventory = Inventory()
    reader = ReportReader(inventory, Metrics(), monotonic=lambda: 0.0, clock=lambda: 2000.0, live=live)
    reader.put(nrt("a", heartbeat=1000))
    inventory.tick(now=0.0)

    assert inventory.count_nodes()[knowledge] == 1


def test_a_pod_goes_from_waiting_to_bound_to_gone(inventory: Inventory, pods: PodReader) -> None:
    """A pod waits until it is bound, holds its node until it ends, and then nothing."""
    pods.put(pod("a"))
    assert inventory.waiting("uid-a") is not None

    pods.put(pod("a", node="n"))
    assert inventory.waiting("uid-a") is None
    assert inventory.count_pods()["pending"] == 1

    pods.put(pod("a", node="n", phase="Succeeded"))
    assert inventory.count_pods()["pending"] == 0


def test_a_deleted_pods_last_state_counts(inventory: Inventory, pods: PodReader) -> None:
    """A pod that is shown ended by its deletion holds nothing, although it was never shown ended before."""
    pods.put(pod("a", node="n"))
    pods.remove(pod("a", node="n", phase="Failed"))

    assert inventory.node("n").held == {}


def test_pods_of_a_list_count_in_the_order_of_their_creation(inventory: Inventory, pods: PodReader) -> None:
    """Which of two pods was there first decides who is in which zone."""
    pods.replace(
        [
            pod("late", node="n", created="2026-01-02T00:00:00Z"),
            pod("early", node="n", created="2026-01-01T00:00:00Z"),
        ]
    )

    assert ["uid-early", "uid-late"] == list(inventory.node("n").held)


@pytest.mark.parametrize(
    ("status", "started"),
    [
        pytest.param({}, False, id="nothing known"),
        pytest.param({"containerStatuses": [{"state": {"waiting": {}}}]}, False, id="waiting"),
        pytest.param({"containerStatuses": [{"state": {"running": {}}}]}, True, id="running"),
        pytest.param({"containerStatuses": [{"state": {"terminated": {}}}]}, True, id="ended"),
        pytest.param(
            {"containerStatuses": [{"state": {"waiting": {}}, "lastState": {"terminated": {}}}]}, True, id="crashed"
        ),
        pytest.param({"initContainerStatuses": [{"state": {"running": {}}}]}, False, id="an init container runs"),
    ],
)
def test_a_pod_has_started_once_an_app_container_ran(
    inventory: Inventory, pods: PodReader, status: dict[str, Any], *, started: bool
) -> None:
    """Ordinary init containers have ended when an app container runs or ran."""
    pods.put(pod("a", node="n", **status))

    assert started == inventory.node("n").held["uid-a"].started


def test_a_pod_that_cannot_be_read_is_named(
    inventory: Inventory, pods: PodReader, caplog: pytest.LogCaptureFixture
) -> None:
    """One bad pod is logged with its name and spoils no other."""
    broken = pod("bad", node="n")
    broken["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "much"
    pods.replace([broken, pod("good", node="n")])

    assert ["uid-good"] == list(inventory.node("n").held)
    assert ["bad"] == [record.pod for record in caplog.records]  # type: ignore[attr-defined]
