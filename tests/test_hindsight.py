"""Prediction and placement, and refusals that should not have been: counted, and logged so that they can be replayed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from builders import database, pod, report

from extender.feeds import PodReader, ReportReader
from extender.fleet import shape_of
from extender.inventory.live import Inventory
from extender.inventory.rules import Assume, Rules
from extender.metrics import Metrics
from extender.model.pod import Pod
from extender.model.report import Missing, Report
from extender.replay import answer
from extender.wire.case import pod_to_json
from extender.wire.nrt import report_to_nrt

NODE = "n"


class Lab:
    """An inventory with its readers, and what they counted."""

    def __init__(self, assume: Assume = Assume.BIND) -> None:
        self.inventory, self.metrics = Inventory(Rules(assume=assume)), Metrics()
        self.pods = PodReader(self.inventory, self.metrics, monotonic=lambda: 0.0)
        self.reports = ReportReader(self.inventory, self.metrics, monotonic=lambda: 0.0, clock=lambda: 1000.0)
        self.pods.replace([])

    def report(self, *admitted: Pod, beat: int = 1000, changed: Report | None = None) -> None:
        self.reports.put(dict(report_to_nrt(changed or report(NODE, *admitted, heartbeat=beat))))

    def bound(self, one: Pod, **status: Any) -> None:
        item: dict[str, Any] = pod_to_json(one)
        item["spec"]["nodeName"] = NODE
        item["status"] = status
        self.pods.put(item)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"numa_extender_{name}_total", labels) or 0.0


@pytest.fixture
def lab() -> Lab:
    lab = Lab()
    lab.report()
    return lab


REFUSED = {
    "phase": "Failed",
    "reason": "TopologyAffinityError",
    "message": "Pod was rejected: Resources cannot be allocated with Topology locality",
}


def test_a_pod_where_it_was_foretold_is_equal(lab: Lab) -> None:
    """A placement counts once, with the first report that has the pod."""
    lab.bound(database("a"))
    lab.report(database("a"), beat=1001)
    lab.report(database("a"), beat=1002)

    assert (1, 0) == (lab.count("placements", outcome="equal"), lab.count("placements", outcome="reordered"))


def test_a_placement_of_another_order_is_no_difference(lab: Lab) -> None:
    """Where the kubelet came to two pods the other way round they may both be elsewhere than foretold."""
    ten, six = pod("ten", cpu="10"), pod("six", cpu="6")
    lab.bound(ten)
    lab.bound(six)
    lab.report(six, ten, beat=1001)

    assert (0, 2) == (lab.count("placements", outcome="equal"), lab.count("placements", outcome="reordered"))


def test_a_pod_that_came_when_another_had_gone_is_no_difference(lab: Lab) -> None:
    """A pod that ended in between explains that another one has its place."""
    lab.bound(pod("first", cpu="14"))
    lab.report(pod("first", cpu="14"), beat=1001)
    lab.bound(pod("second", cpu="14"))
    lab.report(pod("second", cpu="14"), beat=1002)

    assert 1 == lab.count("placements", outcome="reordered")


def test_a_report_of_a_pod_that_holds_nothing_yet_does_not_tell_its_place(lab: Lab) -> None:
    """A kubelet names a pod that it is about to admit; who comes first is known only with the next report."""
    ten, six = pod("ten", cpu="10"), pod("six", cpu="6")
    lab.bound(ten)
    lab.bound(six)
    early = report(NODE, heartbeat=1001)
    early.state.active["uid-six"] = six
    lab.report(changed=early)
    lab.report(six, ten, beat=1002)

    assert (0, 2) == (lab.count("placements", outcome="different"), lab.count("placements", outcome="reordered"))


def test_a_report_from_the_midst_of_an_admission_foretells_nothing(lab: Lab) -> None:
    """What the pod holds is written piece by piece, and before it is named; from there no order leads to its place."""
    budget, late = database("a"), report(NODE, database("a"), heartbeat=1002)
    lab.bound(budget)
    early = report(NODE, heartbeat=1001)
    early.state.cpu.pod_entries["uid-a"] = late.state.cpu.pod_entries["uid-a"]
    early.state.cpu.default &= ~late.state.cpu.pod_entries["uid-a"]
    lab.report(changed=early)
    lab.report(changed=late)

    assert (0, 1) == (lab.count("placements", outcome="different"), lab.count("placements", outcome="untold"))


def test_what_no_order_explains_is_logged_as_a_case(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """A difference is a warning whose case, replayed, gives what was foretold."""
    lab.bound(pod("a", cpu="4"))
    elsewhere = report(NODE, pod("hole", cpu="14"), pod("a", cpu="4"), heartbeat=1001)
    for entries in (elsewhere.state.cpu.entries, elsewhere.state.memory.entries, elsewhere.state.active):
        del entries["uid-hole"]
    lab.report(changed=elsewhere)
    (record,) = [record for record in caplog.records if "foretold" in record.message]
    details: Any = record.__dict__

    assert 1 == lab.count("placements", outcome="different")
    assert ("n", "default/a") == (details["node"], details["pod"])
    assert ("1-2,17-18", "8-9,24-25") == tuple(
        details[key]["containers"]["main"]["cpus"] for key in ("foretold", "found")
    )
    replayed: Any = answer(orjson.loads(orjson.dumps(details["case"])))
    assert [{"main": "1-2,17-18"}] == [verdict["cpus"] for verdict in replayed["verdicts"]]


@pytest.mark.parametrize("assume", list(Assume))
def test_a_refusal_of_what_we_let_through_is_counted_as_ours(assume: Assume, caplog: pytest.LogCaptureFixture) -> None:
    """A pod that passed us, at bind or at filter, and was refused by its kubelet is a warning with its case."""
    lab, one = Lab(assume), database("a")
    lab.report()
    if assume is Assume.BIND:
        lab.inventory.assume(NODE, one, shape_of(one), now=0.0)
    else:
        lab.inventory.answered(one, shape_of(one), [NODE], now=0.0)
    lab.bound(one)
    lab.bound(one, **REFUSED)
    lab.bound(one, **REFUSED)
    (record,) = [record for record in caplog.records if "refused" in record.message]
    details: Any = record.__dict__

    assert 1 == lab.count("kubelet_refusals", reason="TopologyAffinityError", passed="true")
    assert "WARNING" == record.levelname
    assert ["uid-a"] == [step["pod"]["metadata"]["uid"] for step in details["case"]["steps"]]


def test_a_refusal_of_what_never_passed_us_is_counted_as_foreign(lab: Lab) -> None:
    """A pod that another scheduler bound is counted apart, also if it is refused before we heard of its binding."""
    lab.bound(database("a"))
    lab.bound(database("a"), **REFUSED)
    lab.bound(database("b"), **REFUSED | {"reason": "OutOfvendor.example/nic"})

    assert 1 == lab.count("kubelet_refusals", reason="TopologyAffinityError", passed="false")
    assert 1 == lab.count("kubelet_refusals", reason="other", passed="false")


def test_what_failed_before_we_came_is_no_news() -> None:
    """Pods that were refused before the extender started are not counted."""
    lab = Lab()
    lab.inventory = Inventory()
    lab.pods = PodReader(lab.inventory, lab.metrics, monotonic=lambda: 0.0)
    item: dict[str, Any] = pod_to_json(database("a"))
    item["spec"]["nodeName"], item["status"] = NODE, REFUSED
    lab.pods.replace([item])

    assert 0 == lab.count("kubelet_refusals", reason="TopologyAffinityError", passed="false")


def test_an_estimate_is_not_compared(lab: Lab) -> None:
    """Where a report rests on other sources there is nothing exact to compare."""
    lab.bound(database("a"))
    lab.report(database("a"), beat=1001)
    exact = lab.count("placements", outcome="equal")
    lab.bound(database("b"))
    vague = report(NODE, database("a"), database("b"), heartbeat=1002)
    lab.report(changed=replace(vague, estimates=(Missing.DEVICES,)))

    assert (1, 1) == (exact, lab.count("placements", outcome="equal"))
