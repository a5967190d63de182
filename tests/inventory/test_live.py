"""What the inventory knows after news in one order or another, and what it answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from builders import configuration, database, machine, pod, report

from extender.fleet import shape_of
from extender.inventory.comparison import Outcome, compare
from extender.inventory.ground import MOST_NUMBERED
from extender.inventory.live import Inventory
from extender.inventory.orders import Why
from extender.inventory.rules import Assume, Rules, StaleReports, UnknownNodes
from extender.kubelet import admission
from extender.model.answer import Overfull
from extender.model.configuration import TopologyPolicy, Version
from extender.model.observed import ObservedPod
from extender.model.pod import Container, Kind, Pod, Resources
from extender.model.report import Missing, Report
from extender.model.state import NodeState
from extender.quantity import NANO, parse

BIND = Rules(assume=Assume.BIND)


def fits(inventory: Inventory, asked: Pod, node: str = "n") -> bool:
    return inventory.judge(node, asked, shape_of(asked)).fits


def room(inventory: Inventory, node: str = "n") -> int:
    """How many more pods of the example a node takes, asked one after the other."""
    for count in range(100):
        asked = database(f"probe-{count}")
        if not inventory.assume(node, asked, shape_of(asked), now=0.0).fits:
            for number in range(count):
                inventory.forget(node, f"uid-probe-{number}")
            return count
    raise AssertionError("no end")


@pytest.fixture
def inventory() -> Inventory:
    """One idle node of the example: three example pods fit on it."""
    inventory = Inventory(BIND)
    inventory.reported(report("n"), now=0.0)
    return inventory


def bound(*pods: Pod) -> Iterator[ObservedPod]:
    return (ObservedPod(one, "n") for one in pods)


def test_an_idle_node_takes_what_its_kubelet_takes(inventory: Inventory) -> None:
    """Three pods of the example fit on the example's machine: one zone of 14 CPUs, one of 16."""
    assert room(inventory) == 3


def test_asking_changes_nothing(inventory: Inventory) -> None:
    """However often filter's question is asked, the answer stays."""
    assert [True] * 5 == [fits(inventory, database("a")) for _ in range(5)]
    assert room(inventory) == 3


def test_a_bound_pod_counts_until_the_report_has_it(inventory: Inventory) -> None:
    """A pod that is bound and not reported counts once; reported, it still counts once."""
    inventory.pod_observed(ObservedPod(database("a"), "n"), now=0.0)
    assert room(inventory) == 2

    inventory.reported(report("n", database("a"), heartbeat=1001), now=1.0)
    assert room(inventory) == 2


def test_a_pod_that_has_ended_gives_back_what_it_held(inventory: Inventory) -> None:
    """Succeeded and Failed pods hold nothing, reported or not."""
    inventory.reported(report("n", database("a"), heartbeat=1001), now=1.0)
    for one in (*bound(database("a")), *bound(database("b"))):
        inventory.pod_observed(replace(one, terminal=True), now=0.0)

    assert room(inventory) == 3


def test_a_pod_told_to_end_holds_until_it_is_over(inventory: Inventory) -> None:
    """A pod with a deletionTimestamp runs on for its grace period; its object goes when its kubelet is done with it."""
    inventory.reported(report("n", database("a"), heartbeat=1001), now=1.0)
    inventory.pod_observed(ObservedPod(database("a"), "n", deleting=True), now=1.0)
    assert room(inventory) == 2

    inventory.pod_departed("uid-a", now=2.0)
    assert room(inventory) == 3


def test_a_pod_deleted_by_force_frees_what_it_held_for_pods_bound_later(inventory: Inventory) -> None:
    """The kubelet hears of a deletion before it hears of later bindings, whether or not a report had the pod."""
    inventory.reported(report("n", database("a"), heartbeat=1001), now=1.0)
    for name in ("a", "b"):
        inventory.pod_observed(ObservedPod(database(name), "n"), now=1.0)
        assert room(inventory) < 3
        inventory.pod_departed(f"uid-{name}", now=1.0)

    assert room(inventory) == 3


def test_a_pod_of_a_report_that_no_list_has_holds_until_a_report_lacks_it(inventory: Inventory) -> None:
    """What only the report knows is about to go, and nobody knows when."""
    inventory.pods_observed([], now=1.0)
    inventory.reported(report("n", database("a"), heartbeat=1001), now=1.0)
    assert room(inventory) == 2

    inventory.reported(report("n", heartbeat=1002), now=2.0)
    assert room(inventory) == 3


def test_a_pod_deleted_after_it_had_ended_is_gone(inventory: Inventory) -> None:
    """What had ended before it was deleted holds nothing, although the last report has it."""
    inventory.reported(report("n", database("a"), heartbeat=1001), now=1.0)
    inventory.pod_observed(ObservedPod(database("a"), "n", terminal=True), now=0.0)
    inventory.pod_departed("uid-a", now=1.0)

    assert room(inventory) == 3


def test_a_list_replaces_what_was_watched(inventory: Inventory) -> None:
    """Pods that a new list lacks were deleted unseen."""
    inventory.reported(report("n", database("a"), database("b"), heartbeat=1001), now=1.0)
    for one in bound(database("a"), database("b")):
        inventory.pod_observed(one, now=1.0)
    assert room(inventory) == 1

    inventory.pods_observed(bound(database("b")), now=1.0)
    assert room(inventory) == 2


def test_a_pod_made_anew_under_the_same_name_counts_anew(inventory: Inventory) -> None:
    """Pods are known by uid: the new one counts, the old one is over, and its last report does not count for the new."""
    inventory.reported(report("n", database("a"), heartbeat=1001), now=1.0)
    inventory.pods_observed(bound(database("a")), now=1.0)
    inventory.pods_observed(bound(replace(database("a"), uid="new")), now=1.0)
    assert inventory.count_pods()["pending"] == 1

    inventory.reported(report("n", replace(database("a"), uid="new"), heartbeat=1002), now=2.0)
    assert room(inventory) == 2


def test_an_assumed_pod_counts_exactly_once(inventory: Inventory) -> None:
    """What bind assumed counts at once, and not twice when the API server shows it."""
    assert inventory.assume("n", database("a"), shape_of(database("a")), now=0.0).fits
    assert room(inventory) == 2

    inventory.pod_observed(ObservedPod(database("a"), "n"), now=0.0)
    assert room(inventory) == 2
    inventory.tick(now=1000.0)
    assert room(inventory) == 2


def test_an_assumption_that_never_comes_true_is_given_up(inventory: Inventory) -> None:
    """A binding whose outcome stayed unknown stops counting after assumedSeconds."""
    inventory.assume("n", database("a"), shape_of(database("a")), now=0.0)
    inventory.tick(now=BIND.assumed_seconds - 1.0)
    assert room(inventory) == 2

    inventory.tick(now=BIND.assumed_seconds + 1.0)
    assert room(inventory) == 3


def test_a_binding_taken_back_counts_no_more(inventory: Inventory) -> None:
    """Forget undoes an assumption, but not what the API server has shown."""
    inventory.assume("n", database("a"), shape_of(database("a")), now=0.0)
    inventory.forget("n", "uid-a")
    assert room(inventory) == 3

    inventory.pod_observed(ObservedPod(database("a"), "n"), now=0.0)
    inventory.forget("n", "uid-a")
    assert room(inventory) == 2


def test_a_pod_bound_elsewhere_frees_where_it_was_assumed(inventory: Inventory) -> None:
    """Where the API server shows a pod counts; where it was assumed does not any more."""
    inventory.reported(report("m"), now=0.0)
    inventory.assume("n", database("a"), shape_of(database("a")), now=0.0)
    inventory.pod_observed(ObservedPod(database("a"), "m"), now=0.0)

    assert (3, 2) == (room(inventory, "n"), room(inventory, "m"))


def test_a_pod_does_not_stand_in_its_own_way(inventory: Inventory) -> None:
    """A pod whose binding failed in between is judged as if it were nowhere."""
    for one in bound(database("a"), database("b")):
        inventory.pod_observed(one, now=1.0)
    inventory.assume("n", database("c"), shape_of(database("c")), now=0.0)

    assert fits(inventory, database("c"))
    assert not fits(inventory, database("d"))


def test_of_two_bindings_at_the_same_moment_one_is_refused(inventory: Inventory) -> None:
    """Ten threads bind ten pods to a node that takes three: three succeed, whatever the order."""
    start = threading.Barrier(10)
    taken = []

    def bind(number: int) -> None:
        asked = database(f"p{number}")
        start.wait()
        if inventory.assume("n", asked, shape_of(asked), now=0.0).fits:
            taken.append(number)

    threads = [threading.Thread(target=bind, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == 3


def test_a_refusal_is_told_once(inventory: Inventory) -> None:
    """A refused pod stays in the API for a while, and is shown again whenever its object changes."""
    asked = pod("asked", cpu="16")
    inventory.pods_observed([ObservedPod(asked)], now=0.0)
    inventory.assume("n", asked, shape_of(asked), now=0.0)
    bound = ObservedPod(asked, "n")
    refused = replace(bound, terminal=True, refusal="TopologyAffinityError")
    inventory.pod_observed(bound, now=1.0)
    first = inventory.pod_observed(refused, now=2.0)
    inventory.tick(now=3.0)
    later = [inventory.pod_observed(replace(refused, deleting=deleting), now=4.0) for deleting in (False, True)]

    assert first is not None
    assert first.passed
    assert [None, None] == later


def shared(name: str, cpu: str) -> Pod:
    """A pod that counts in the node's sums alone: nothing is pinned for it."""
    requests = Resources({"cpu": parse(cpu)}, {})
    return Pod(f"uid-{name}", name, (Container("main", Kind.APP, requests),))


def test_at_bind_the_node_as_a_whole_is_looked_at(inventory: Inventory) -> None:
    """
    Of 30 CPUs 20 are requested by a pod of another scheduler, of which the asking one has not heard yet.

    The zones are free all the same; the kubelet's general predicates would refuse 12 more.
    """
    inventory.pod_observed(ObservedPod(shared("theirs", "20"), "n"), now=0.0)
    wide, narrow = pod("wide", cpu="12"), pod("narrow", cpu="10")
    refused = inventory.assume("n", wide, shape_of(wide), now=0.0)

    assert (False, Overfull("cpu", 12 * NANO, 20 * NANO, 30 * NANO)) == (refused.fits, refused.overfull)
    assert inventory.assume("n", narrow, shape_of(narrow), now=0.0).fits


@pytest.mark.parametrize(("scheduler", "expected"), [("mine", ["n"]), ("theirs", [])])
def test_what_another_scheduler_is_about_to_bind_counts_in_the_sums(scheduler: str, expected: list[str]) -> None:
    """Without bindVerb a scheduler has summed up what it is about to bind itself, and knows nothing of the other one's."""
    inventory = Inventory()
    inventory.reported(report("n"), now=0.0)
    other, asked = shared("other", "20"), pod("asked", cpu="12")
    inventory.answered(other, shape_of(other), ["n"], now=0.0, scheduler="mine")

    assert expected == inventory.survey(["n"], asked, shape_of(asked), scheduler=scheduler).passed


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize(("cpu", "theirs", "expected"), [("12", "10", []), ("10", "10", ["n"]), ("12", "", ["n"])])
def test_what_two_schedulers_are_about_to_bind_counts_together(
    cpu: str, theirs: str, expected: list[str], *, bound: bool
) -> None:
    """A scheduler's sums are right alone; with a pod of another one all that may be on its way there has to fit."""
    inventory = Inventory()
    inventory.reported(report("n"), now=0.0)
    own, other, asked = shared("own", "10"), shared("other", theirs or "0"), pod("asked", cpu=cpu)
    inventory.answered(own, shape_of(own), ["n"], now=0.0, scheduler="mine")
    if theirs:
        inventory.answered(other, shape_of(other), ["n"], now=0.0, scheduler="theirs")
        if bound:
            inventory.pod_observed(ObservedPod(other, "n"), now=0.0)

    assert expected == inventory.survey(["n"], asked, shape_of(asked), scheduler="mine").passed


@pytest.mark.parametrize(("scheduler", "expected"), [("mine", ["n"]), ("theirs", [])])
def test_what_another_scheduler_has_just_bound_counts_in_the_sums(scheduler: str, expected: list[str]) -> None:
    """We may have heard of a binding before the scheduler that asks has: its own sums were without that pod."""
    inventory = Inventory()
    inventory.reported(report("n"), now=0.0)
    other, asked = shared("other", "20"), pod("asked", cpu="12")
    inventory.answered(other, shape_of(other), ["n"], now=0.0, scheduler="mine")
    inventory.pod_observed(ObservedPod(other, "n"), now=1.0)

    assert expected == inventory.survey(["n"], asked, shape_of(asked), scheduler=scheduler).passed
    inventory.tick(now=10.0)
    assert ["n"] == inventory.survey(["n"], asked, shape_of(asked), scheduler=scheduler).passed


def test_without_bind_an_answered_pod_counts_as_possibly_everywhere() -> None:
    """Until it is seen bound, a pod that was let through may be on each of its nodes, but not in its own way."""
    inventory = Inventory()
    for node in ("n", "m"):
        inventory.reported(report(node, database("a"), database("b")), now=0.0)
    inventory.answered(database("c"), shape_of(database("c")), ["n", "m"], now=0.0)
    assert [False, False, True] == [
        fits(inventory, database("d"), "n"),
        fits(inventory, database("d"), "m"),
        fits(inventory, database("c"), "n"),
    ]

    inventory.pod_observed(ObservedPod(database("c"), "m"), now=0.0)
    assert (True, False) == (fits(inventory, database("d"), "n"), fits(inventory, database("d"), "m"))


def test_an_answered_pod_is_forgotten_in_time_or_with_the_pod() -> None:
    """What was let through and never bound stops counting after answeredSeconds, or when the pod is deleted."""
    inventory = Inventory()
    inventory.reported(report("n", database("a"), database("b")), now=0.0)
    inventory.answered(database("c"), shape_of(database("c")), ["n"], now=0.0)
    inventory.tick(now=inventory.rules.answered_seconds - 1.0)
    assert not fits(inventory, database("d"))
    inventory.tick(now=inventory.rules.answered_seconds + 1.0)
    assert fits(inventory, database("d"))

    inventory.answered(database("c"), shape_of(database("c")), ["n"], now=20.0)
    assert not fits(inventory, database("d"))
    inventory.pod_departed("uid-c", now=1.0)
    assert fits(inventory, database("d"))


def test_a_second_answer_replaces_the_first() -> None:
    """A pod is possibly only where it was let through last."""
    inventory = Inventory()
    inventory.reported(report("n", database("a"), database("b")), now=0.0)
    inventory.answered(database("c"), shape_of(database("c")), ["n"], now=0.0)
    inventory.answered(database("c"), shape_of(database("c")), [], now=1.0)

    assert fits(inventory, database("d"))
    assert inventory.count_pods()["answered"] == 0


@pytest.mark.parametrize(("rule", "expected"), [(UnknownNodes.PASS, True), (UnknownNodes.REFUSE, False)])
def test_a_node_without_a_report_is_what_the_rule_says(rule: UnknownNodes, expected: bool) -> None:
    """An unknown node passes or is refused, and is counted as unknown either way."""
    inventory = Inventory(Rules(unknown_nodes=rule))
    inventory.nodes_listed({"n": "uid-n"})

    assert expected == fits(inventory, database("a"))
    assert inventory.count_nodes() == {"exact": 0, "estimated": 0, "stale": 0, "unknown": 1}


def test_what_happened_before_the_first_report_counts_after_it() -> None:
    """Pods bound to a node that was unknown count as soon as it is known."""
    inventory = Inventory(BIND)
    inventory.pod_observed(ObservedPod(database("a"), "n"), now=0.0)
    inventory.reported(report("n"), now=0.0)

    assert room(inventory) == 2


def test_a_node_that_appears_is_used(inventory: Inventory) -> None:
    """A new node with a report is judged by it, without a restart; a node that goes is forgotten."""
    inventory.node_listed("new", known=True)
    inventory.reported(report("new"), now=0.0)
    assert room(inventory, "new") == 3

    inventory.node_listed("new", known=False)
    inventory.unreported("new")
    assert ["n"] == [node.name for node in inventory.all_nodes()]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param(StaleReports.PESSIMISTIC, [True, False], id="pessimistic judges by the last report"),
        pytest.param(StaleReports.PASS, [True, True], id="pass lets everything through"),
        pytest.param(StaleReports.REFUSE, [False, False], id="refuse lets nothing through"),
    ],
)
def test_a_silent_exporter_is_what_the_rule_says(rule: StaleReports, expected: list[bool]) -> None:
    """Once the exporter has been silent for staleSeconds its node is treated as the rule says."""
    inventory = Inventory(Rules(stale_reports=rule, stale_seconds=60))
    inventory.reported(report("n", database("a"), database("b")), now=0.0)
    inventory.tick(now=59.0)
    assert inventory.count_nodes()["exact"] == 1
    inventory.tick(now=61.0)

    assert inventory.count_nodes()["stale"] == 1
    assert expected == [fits(inventory, database("c")), fits(inventory, pod("big", cpu="12"))]


def test_a_heartbeat_makes_a_stale_node_exact_again(inventory: Inventory) -> None:
    """A new heartbeat is a sign of life whatever time it names; the same one again is not."""
    inventory.tick(now=1000.0)
    inventory.reported(report("n", heartbeat=1000), now=1000.0)
    inventory.tick(now=1001.0)
    assert inventory.count_nodes()["stale"] == 1

    inventory.reported(report("n", heartbeat=5), now=1001.0)
    inventory.tick(now=1002.0)
    assert inventory.count_nodes()["exact"] == 1


def test_a_first_report_that_is_old_is_stale_at_once() -> None:
    """A report whose exporter died before we started is not taken for fresh."""
    inventory = Inventory(BIND)
    inventory.reported(report("n"), now=0.0, age=BIND.stale_seconds + 1.0)
    inventory.tick(now=1.0)

    assert inventory.count_nodes()["stale"] == 1


def test_nothing_is_freed_on_a_stale_node(inventory: Inventory) -> None:
    """While its exporter is silent, a pod of the last report holds what it held even after it has ended."""
    inventory.reported(report("n", database("a"), heartbeat=1001), now=0.0)
    inventory.pod_observed(ObservedPod(database("a"), "n", terminal=True), now=0.0)
    assert room(inventory) == 3
    inventory.tick(now=1000.0)

    assert room(inventory) == 2


def test_a_foreign_report_makes_estimates() -> None:
    """A report that tells no uids counts pods that ran before it came, and no others."""
    inventory = Inventory(BIND)
    foreign = replace(report("n", database("x"), heartbeat=None), estimates=(Missing.PODS,))
    inventory.reported(foreign, now=0.0)
    assert inventory.count_nodes()["estimated"] == 1
    inventory.pod_observed(ObservedPod(database("a"), "n", started=True), now=0.0)
    assert room(inventory) == 1

    newer = replace(report("n", database("x"), database("y"), heartbeat=None), estimates=(Missing.PODS,))
    inventory.reported(newer, now=1.0)
    assert room(inventory) == 1


def test_a_kubelet_that_would_not_start_is_an_unknown_node() -> None:
    """A report of a kubelet that cannot run makes its node unknown and says why."""
    inventory = Inventory()
    wrong = report("n")
    configuration = replace(wrong.configuration, cpu_options={"nonsense": "true"})
    inventory.reported(replace(wrong, configuration=configuration), now=0.0)

    assert inventory.count_nodes()["unknown"] == 1
    assert inventory.node("n").fault.startswith("its kubelet would not start: ")


def test_pods_are_counted_by_how_they_are_known(inventory: Inventory) -> None:
    """The gauge of pods tells reported, pending and assumed ones apart."""
    inventory.reported(report("n", database("a"), heartbeat=1001), now=0.0)
    inventory.pods_observed(bound(database("a"), database("b")), now=1.0)
    inventory.assume("n", database("c"), shape_of(database("c")), now=0.0)

    assert inventory.count_pods() == {"reported": 1, "pending": 1, "assumed": 1, "answered": 0}


def test_a_node_made_anew_is_not_judged_by_the_report_of_the_old_one(inventory: Inventory) -> None:
    """A Node of the same name with another uid is unknown until a report is about it, whichever news come first."""
    inventory.node_listed("n", known=True, uid="old")
    inventory.reported(report("n", database("a"), heartbeat=1001), now=1.0, owner="old")
    inventory.node_listed("n", known=True, uid="new")
    assert inventory.count_nodes()["unknown"] == 1
    assert inventory.node("n").fault == "its report is about an earlier node of its name"

    inventory.reported(report("n", heartbeat=5), now=2.0, owner="new")
    assert inventory.count_nodes()["exact"] == 1
    assert room(inventory) == 3


def test_a_report_may_come_before_its_node(inventory: Inventory) -> None:
    """What an exporter says of a Node that we have not heard of counts as soon as we have."""
    inventory.node_listed("n", known=True, uid="old")
    inventory.reported(report("n", database("a"), heartbeat=1001), now=1.0, owner="new")
    assert inventory.count_nodes()["unknown"] == 1

    inventory.node_listed("n", known=True, uid="new")
    assert room(inventory) == 2


def test_a_kubelet_that_lost_its_checkpoints_admits_its_pods_anew(inventory: Inventory) -> None:
    """Pods that run and hold nothing yet after a restart count as if they were still to come."""
    lost = report("n")
    lost.state.active["uid-a"] = database("a")
    inventory.pod_observed(ObservedPod(database("a"), "n", admitted=True, started=True), now=0.0)
    inventory.reported(report("n", database("a"), heartbeat=1001), now=1.0)
    inventory.reported(replace(lost, heartbeat=1002), now=2.0)

    assert room(inventory) == 2


def _between_writes(part: str) -> Report:
    """Of a node that has just begun to admit 10 CPUs and 4Gi: they are not free any more, and nobody's yet."""
    before, after = report("n"), report("n", pod("ten", cpu="10"), heartbeat=1001)
    state = before.state.copy()
    state.active["uid-ten"] = pod("ten", cpu="10")
    if part == "cpu":
        state.cpu.default = after.state.cpu.default
    else:
        state.cpu, state.memory.zones = after.state.cpu, after.state.memory.zones
    return replace(after, state=state)


@pytest.mark.parametrize("part", ["cpu", "memory"])
def test_a_report_from_between_two_writes_does_not_tell_where_its_last_pod_is(inventory: Inventory, part: str) -> None:
    """
    Managers write that something is not free before they write whose it is, and the other way round when a pod leaves.

    The twin, without the 10 CPUs that zone 0 has lost, would have the pod in zone 1. The next report tells.
    """
    for admitted in (False, True):
        inventory.pod_observed(ObservedPod(pod("ten", cpu="10"), "n", admitted=admitted), now=0.0)
    inventory.reported(_between_writes(part), now=1.0)
    asked = pod("asked", cpu="12")
    assert not fits(inventory, asked)

    ended = report("n", pod("ten", cpu="10"), heartbeat=1002)
    placements = compare(*inventory.reported(ended, now=2.0))
    assert Outcome.DIFFERENT not in {placement.outcome for placement in placements}
    assert fits(inventory, asked)


def test_another_configuration_is_another_law(inventory: Inventory) -> None:
    """A kubelet that was reconfigured is judged by its new configuration as soon as a report has it."""
    assert not fits(inventory, pod("wide", cpu="20"))

    inventory.reported(report("n", by=configuration(TopologyPolicy.BEST_EFFORT), heartbeat=1001), now=1.0)
    assert fits(inventory, pod("wide", cpu="20"))


def test_pods_that_are_over_are_forgotten(inventory: Inventory) -> None:
    """However many pods come and go, what is kept of them goes with them, also on a node without reports."""
    for number in range(200):
        name = f"p{number}"
        for node in ("n", "unknown"):
            inventory.pod_observed(ObservedPod(pod(f"{name}-{node}"), node), now=float(number))
            inventory.pod_departed(f"uid-{name}-{node}", now=float(number))

    assert [0] == [len(node.held) for node in inventory.all_nodes()]


def test_what_is_remembered_of_one_report_is_bounded(inventory: Inventory) -> None:
    """However many kinds of pods are asked for while a report stands, what is kept of them is forgotten again."""
    inventory.pod_observed(ObservedPod(pod("way", cpu="10"), "n"), now=0.0)
    numbered = set()
    for number in range(MOST_NUMBERED + 8):
        fits(inventory, pod("asked", cpu="16", memory=f"{number + 1}Mi"))
        ground = inventory.node("n").ground
        assert ground is not None
        numbered.add(len(ground.book))

    assert MOST_NUMBERED - 1 == max(numbered)


def test_a_pod_that_was_here_for_a_moment_may_have_pushed_another_one_aside(inventory: Inventory) -> None:
    """
    A pod that came and went while another one was on its way may have had that one's place.

    With it in zone 0 the other one is in zone 1; without it, in zone 0. Whoever asks must do with what is left either
    way: 14 CPUs in zone 0 and 6 in zone 1, or 4 and 16.
    """
    inventory.pod_observed(ObservedPod(pod("moment", cpu="14"), "n"), now=0.0)
    inventory.pod_observed(ObservedPod(pod("way", cpu="10", memory="1Gi"), "n"), now=0.0)
    inventory.pod_departed("uid-moment", now=1.0)

    assert [True, False] == [fits(inventory, pod("some", cpu="14")), fits(inventory, pod("all", cpu="16"))]


def test_a_pod_that_fits_after_others_is_refused_if_they_may_come_in_another_order(inventory: Inventory) -> None:
    """Bound as 10 and 6 CPUs they leave 4 and 10; the other way round 8 and 6, and no place for 10 more."""
    for name, cpu in (("ten", "10"), ("six", "6")):
        inventory.pod_observed(ObservedPod(pod(name, cpu=cpu), "n"), now=0.0)
    asked = pod("asked", cpu="10")
    judgement = inventory.judge("n", asked, shape_of(asked))

    assert judgement.fit is not None
    assert judgement.hazard is not None
    assert (False, True, Why.TAKEN) == (judgement.fits, judgement.fit.admit, judgement.hazard.why)


def test_what_the_kubelet_has_shown_to_have_admitted_comes_first(inventory: Inventory) -> None:
    """With 10 CPUs admitted for certain, 6 may come before or after those who ask, and both leave 10 in zone 1."""
    for admitted in (False, True):
        inventory.pod_observed(ObservedPod(pod("ten", cpu="10"), "n", admitted=admitted), now=0.0)
    inventory.pod_observed(ObservedPod(pod("four", cpu="4"), "n"), now=0.0)

    assert fits(inventory, pod("asked", cpu="16"))


@pytest.mark.parametrize("admitted", [False, True])
def test_after_a_restart_the_place_of_a_pod_that_no_report_has_is_not_known(admitted: bool) -> None:
    """
    14 CPUs were there, 10 came, 14 went, and the extender began: of 14 and 16 free CPUs the 10 have taken the latter.

    The twin, which knows of the 10 alone, has them in zone 0. Until a report has them, nothing goes that counts on it.
    """
    inventory = Inventory(BIND)
    inventory.pods_observed([ObservedPod(pod("ten", cpu="10"), "n", admitted=admitted)], now=0.0)
    inventory.reported(report("n"), now=0.0)
    asked = pod("asked", cpu="16")
    hazard = inventory.judge("n", asked, shape_of(asked)).hazard
    assert hazard is not None
    assert Why.UNHEARD is hazard.why

    inventory.reported(report("n", pod("ten", cpu="10"), heartbeat=1001), now=1.0)
    assert fits(inventory, asked)


def test_after_a_restart_a_pod_goes_where_there_is_room_for_it_in_any_case() -> None:
    """Wherever 6 CPUs have been put in zones of 14 and 16, 8 more find a place."""
    inventory = Inventory(BIND)
    inventory.pods_observed(bound(pod("six", cpu="6")), now=0.0)
    inventory.reported(report("n"), now=0.0)

    assert [True, False] == [fits(inventory, pod("eight", cpu="8")), fits(inventory, pod("all", cpu="14"))]


def test_a_list_after_a_broken_watch_leaves_open_who_has_come_and_gone(inventory: Inventory) -> None:
    """A pod that was on its way when the watch broke may have met others; one that is bound later has not."""
    inventory.pods_observed([], now=0.0)
    inventory.pod_observed(ObservedPod(pod("later", cpu="10"), "n"), now=0.0)
    assert fits(inventory, pod("asked", cpu="16"))

    inventory.pods_observed(bound(pod("later", cpu="10")), now=1.0)
    assert not fits(inventory, pod("asked", cpu="16"))


def test_so_many_orders_that_nobody_can_tell_make_a_node_busy(inventory: Inventory) -> None:
    """A node on which too many different pods are on their way waits for its next report."""
    for number in range(9):
        inventory.pod_observed(ObservedPod(pod(f"p{number}", cpu="2", memory=f"{number + 1}Gi"), "n"), now=0.0)
    asked = pod("asked", cpu="12")
    busy = inventory.judge("n", asked, shape_of(asked)).hazard
    assert (Why.BUSY, 9) == (busy and busy.why, busy and busy.others)

    inventory.reported(report("n", *(pod(f"p{number}", cpu="2", memory=f"{number + 1}Gi") for number in range(9))), 1.0)
    assert inventory.judge("n", asked, shape_of(asked)).hazard is None


def test_a_pod_that_could_take_the_place_of_another_is_not_let_through() -> None:
    """
    Zone 0 is full, zone 1 idle, and zone 2 has 10 CPUs left; 12 are on their way, which only zone 1 has.

    8 more would find a place before and after them, but if they come first they take it in zone 1.
    """
    three = configuration(reserved_cpus="0,24")
    before = report(
        "n", pod("zero", cpu="14"), pod("one", cpu="16"), pod("two", cpu="6"), on=machine(zones=3), by=three
    )
    kubelet = admission.start(before.machine, three, before.version)
    idle = admission.settled(kubelet, admission.remove(kubelet, before.state, "uid-one"))
    inventory = Inventory(BIND)
    inventory.reported(replace(before, state=idle), now=0.0)
    inventory.pod_observed(ObservedPod(pod("way", cpu="12"), "n"), now=0.0)
    asked = pod("asked", cpu="8")
    hazard = inventory.judge("n", asked, shape_of(asked)).hazard

    assert hazard is not None
    assert Why.DISPLACES is hazard.why
    assert fits(inventory, pod("small", cpu="4"))


def test_a_silent_node_s_pods_are_remembered_until_it_speaks(inventory: Inventory) -> None:
    """
    While no report comes, a pod that is over stays remembered, as one that came after it may have found its place taken;
    once the exporter has spoken long enough after its end, it is forgotten.
    """
    inventory.pods_observed([], now=0.0)
    for name in ("over", "stays"):
        inventory.pod_observed(ObservedPod(pod(name), "n"), now=1.0)
    inventory.pod_departed("uid-over", now=2.0)
    inventory.tick(100.0)
    assert {"uid-over", "uid-stays"} == inventory.node("n").held.keys()

    inventory.reported(report("n", heartbeat=1001), now=101.0)
    inventory.tick(102.0)
    assert {"uid-stays"} == inventory.node("n").held.keys()


def test_what_a_restarted_kubelet_gives_init_containers_again_is_not_free(inventory: Inventory) -> None:
    """
    A kubelet that has been restarted admits its pods again, those that have long been started too: the memory of init
    containers is taken anew, and nobody frees it before the pod ends.
    """
    containers = (
        Container("i", Kind.INIT, pod("", "2", "40Gi").containers[0].resources),
        pod("", "2", "4Gi").containers[0],
    )
    runs = replace(pod("runs"), containers=containers)
    kubelet = admission.start(machine(), configuration(), Version.V1_37)
    state = admission.admit(kubelet, admission.initial(kubelet), runs)[1]
    once = admission.started(kubelet, state, runs.uid)
    restarted = replace(once, memory=replace(once.memory, reusable=("", {})), cpu=replace(once.cpu, reusable=("", 0)))
    again = admission.admit(kubelet, restarted, runs)[1]
    asked = [pod(f"asked-{number}", "2", "40Gi") for number in range(2)]
    inventory.pods_observed([ObservedPod(runs, "n", admitted=True, started=True)], now=0.0)

    def taken(held: NodeState, heartbeat: int) -> list[bool]:
        inventory.reported(replace(report("n", heartbeat=heartbeat), state=held), now=float(heartbeat))
        fits = [inventory.assume("n", one, shape_of(one), now=0.0).fits for one in asked]
        for one in asked:
            inventory.forget("n", one.uid)
        return fits

    assert "i" not in once.memory.entries[runs.uid]
    assert "i" in again.memory.entries[runs.uid]
    assert [[True, True], [True, False]] == [taken(once, 1001), taken(again, 1002)]
