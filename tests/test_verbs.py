"""The reasons that verbs give, beyond the kubelet's refusal itself."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from builders import configuration, database, machine, pod, report

from extender.fleet import shape_of
from extender.inventory.judgement import Judgement
from extender.inventory.live import Inventory
from extender.inventory.rules import Assume, Rules, StaleReports
from extender.inventory.survey import Survey
from extender.model.configuration import TopologyPolicy
from extender.model.observed import ObservedPod
from extender.model.pod import Pod
from extender.model.report import Missing, Report
from extender.verbs import filter_nodes, grounds, reason

FULL = "numa: pod scope wants 8 CPU and 16Gi in one zone (single-numa-node); zone 0 has 6 CPU free, zone 1 has 0"


def full() -> Report:
    return report("n", database("x"), database("y"), database("z"))


def judged(known: Report, asked: Pod, rules: Rules | None = None, now: float = 0.0) -> Judgement:
    inventory = Inventory(rules or Rules(assume=Assume.BIND))
    inventory.reported(known, now=0.0)
    inventory.tick(now)
    return inventory.judge("n", asked, shape_of(asked))


def test_an_estimate_says_what_it_lacks() -> None:
    """A refusal on an incomplete report names what the report lacks; one of mere quantities says that."""
    lacking = replace(full(), estimates=(Missing.DEVICES, Missing.MEMORY_STATE))
    foreign = replace(full(), estimates=(Missing.MACHINE, Missing.PODS))

    assert reason(judged(lacking, database("a"))) == f"{FULL} (estimated, the report lacks devices, memory-state)"
    assert reason(judged(foreign, database("a"))) == f"{FULL} (estimated, the report tells quantities only)"


def test_a_stale_report_is_named() -> None:
    """A refusal on a stale report says so; where stale nodes are refused as such, that is the reason."""
    refuse = Rules(stale_reports=StaleReports.REFUSE)
    late = judged(full(), database("a"), now=1000.0)
    refused = judged(report("n"), database("a"), refuse, now=1000.0)

    assert reason(late) == f"{FULL} (the report is stale)"
    assert reason(refused) == "numa: its report is stale and the extender is set to refuse such nodes"
    assert grounds(refused) == ("", "stale-node", "")


def test_pods_on_their_way_are_named() -> None:
    """A refusal that rests on pods that are possibly on their way says so."""
    inventory = Inventory()
    inventory.reported(report("n", database("x"), database("y")), now=0.0)
    inventory.answered(database("z"), shape_of(database("z")), ["n"], now=0.0)
    asked = database("a")

    assert (
        reason(inventory.judge("n", asked, shape_of(asked)))
        == f"{FULL} (if pods that are on their way here get there first)"
    )


def hanging() -> Report:
    """A kubelet that never answers a pod of 14 CPUs: it deals CPUs out over zones in twos and runs out of pairs."""
    told = replace(
        configuration(policy=TopologyPolicy.NONE, reserved_cpus="0,3,6,9"),
        cpu_options={"full-pcpus-only": "true", "distribute-cpus-across-numa": "true"},
    )
    return report("n", on=machine(zones=4, cores=3), by=told)


def test_a_pod_that_would_hang_the_kubelet_is_refused() -> None:
    """A pod that the kubelet would not survive is not let through, and the reason says what would happen."""
    judgement = judged(hanging(), pod("a", cpu="14"))

    assert not judgement.fits
    assert reason(judgement).startswith("numa: this pod would crash or hang the kubelet: ")
    assert grounds(judgement) == ("", "kubelet-crash", "")


def test_a_node_whose_kubelet_hangs_is_unknown() -> None:
    """Where a pod that would hang the kubelet is bound already, the node cannot be known."""
    inventory = Inventory()
    inventory.reported(hanging(), now=0.0)
    inventory.pod_observed(ObservedPod(pod("a", cpu="14"), "n"), now=0.0)

    assert inventory.node("n").fault.startswith("its kubelet would crash or hang on a pod bound to it: ")
    assert inventory.count_nodes()["unknown"] == 1


def test_a_node_that_is_full_as_a_whole_is_named() -> None:
    """A binding that sums forbid names the sums, and is counted under the kubelet's own reason."""
    inventory = Inventory(Rules(assume=Assume.BIND))
    inventory.reported(report("n"), now=0.0)
    inventory.pod_observed(ObservedPod(pod("theirs", cpu="14500m"), "n"), now=0.0)
    asked = pod("asked", cpu="16")
    refused = inventory.assume("n", asked, shape_of(asked), now=0.0)

    assert (
        "numa: pods of other schedulers have taken what was left: the pod requests 16 CPU; all pods together leave "
        "15500m of 30 on the node"
    ) == reason(refused)
    assert ("OutOfcpu", "node-as-a-whole", "cpu") == grounds(refused)


def test_a_place_that_nobody_can_tell_is_named() -> None:
    """After a restart a pod that no report has yet makes its node wait for the next report."""
    inventory = Inventory(Rules(assume=Assume.BIND))
    inventory.pods_observed([ObservedPod(pod("ten", cpu="10"), "n")], now=0.0)
    inventory.reported(report("n"), now=0.0)
    asked = pod("asked", cpu="16")
    refused = inventory.judge("n", asked, shape_of(asked))

    assert "numa: where the pods that came last are is known only with the node's next report" == reason(refused)
    assert ("", "unheard-of", "") == grounds(refused)


def test_two_schedulers_that_ask_at_once_are_not_let_through_to_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without bindVerb an answer counts for the next question even where both are asked at the same moment.

    One zone has room for one of the two pods. The answer to the first is held up until the second has its own, or for a
    while where that has to wait.
    """
    inventory, both = Inventory(), threading.Barrier(2, timeout=0.5)
    inventory.reported(report("n"), now=0.0)
    survey = inventory.survey

    def held_up(*args: Any, **named: Any) -> Survey:
        found = survey(*args, **named)
        with suppress(threading.BrokenBarrierError):
            both.wait()
        return found

    monkeypatch.setattr(inventory, "survey", held_up)
    with ThreadPoolExecutor(2) as schedulers:
        asked = [
            schedulers.submit(filter_nodes, inventory, pod(name, cpu="16"), ["n"], 0.0, scheduler=name)
            for name in ("one", "other")
        ]

    assert [[], ["n"]] == sorted(list(answer.result().passed) for answer in asked)
