"""The smallest change that works: each one that is told is applied here, field by field, and the twin then admits."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import Any

import pytest
from builders import GATES, configuration, database, machine, pod
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from what_if_nodes import container, pod_json, site

from extender.ask import questions
from extender.model.configuration import KubeletConfiguration, Scope, TopologyPolicy
from extender.model.state import Device
from extender.what_if.site import Site
from extender.what_if.work import run

Json = dict[str, Any]
_STEP = re.compile(r'\["([^"]+)"\]|\[(\d+)\]|\.?([^.\[]+)')


def suggested(node: Site, document: Json, **question: Any) -> list[Json]:
    """What is suggested for a pod on one node."""
    body = questions.read({"pods": [document], "suggest": 1, **question})
    answer: Any = run(questions.answered("what-if", body, [node]))
    return list(answer["pods"][0]["suggestions"])


def applied(document: Json, edits: list[Json]) -> Json:
    """The pod with the edits made, as a person would make them in a manifest."""
    changed = copy.deepcopy(document)
    for edit in edits:
        if edit["subject"] == "pod":
            put(changed, edit["path"], edit["after"])
    return changed


def put(document: Any, path: str, value: Any) -> None:
    """Sets a field; where the value is None it is taken out."""
    *way, last = [quoted or (int(index) if index else name) for quoted, index, name in _STEP.findall(path)]
    place = document
    for step in way:
        place = place[step] if isinstance(step, int) else place.setdefault(step, {})
    if value is None:
        place.pop(last, None)
    else:
        place[last] = value


def change(edits: list[Json]) -> Json:
    """The change of kubelets and pods that the edits describe."""
    made: Json = {}
    for edit in edits:
        if edit["subject"] == "cluster":
            made.setdefault("removePods", []).append(edit["before"])
        if edit["subject"] == "kubelet":
            name, dot, entry = edit["path"].partition(".")
            value = edit["after"] == "true" if name == "featureGates" else edit["after"]
            made.setdefault("kubelet", {})[name] = {entry: value} if dot else value
    return made


def finding(node: Site, document: Json, changed: Json) -> Json:
    question: Json = {"pods": [document]}
    if changed:
        question["change"] = changed
    answer: Any = run(questions.answered("what-if", questions.read(question), [node]))
    (found,) = answer["pods"][0]["nodes"]
    return dict(found)


def lost(node: Site, changed: Json) -> list[str]:
    answer: Any = run(questions.answered("what-if", questions.read({"change": changed}), [node]))
    return sorted(f"{one['namespace']}/{one['name']}" for one in answer["lost"])


def check(node: Site, document: Json) -> list[Json]:
    """Every suggestion works when it is applied, and says truly what else is lost."""
    found = suggested(node, document)
    for one in found:
        after = finding(node, applied(document, one["edits"]), change(one["edits"]))
        assert after["fits"], (one, after)
        if one["way"] == "make-it-guaranteed" or one["edits"][0]["path"].startswith("featureGates"):
            assert (
                one["way"] != "make-it-guaranteed"
                or after["admission"].get("exclusive")
                or after["admission"]["podCpus"]
            )
        if one["way"] == "configure-the-kubelet":
            assert sorted(one["lost"]) == lost(node, change(one["edits"]))
    return found


FULL = pod("left", "11", "20Gi"), pod("right", "10", "20Gi")
"""3 CPUs are left in zone 0 and 6 in zone 1."""


@pytest.mark.parametrize(
    ("node", "document", "way", "sentence"),
    [
        pytest.param(
            site("n", *FULL),
            pod_json("p", container(cpu="8")),
            "ask-for-less",
            "ask for less: cpu of main 8 → 6",
            id="fewer CPUs: what the fuller zone has",
        ),
        pytest.param(
            site("n", *FULL),
            pod_json("p", container(cpu="4", memory="50Gi")),
            "ask-for-less",
            "ask for less: memory of main 50Gi → 44Gi",
            id="less memory: what a zone with enough CPUs has",
        ),
        pytest.param(
            site("n", *FULL),
            pod_json("p", container(cpu="8", memory="50Gi")),
            "ask-for-less",
            "ask for less: cpu of main 8 → 6, memory of main 50Gi → 44Gi",
            id="less of both",
        ),
        pytest.param(
            site("n", by=replace(configuration(), cpu_options={"full-pcpus-only": "true"})),
            pod_json("p", container(cpu="3")),
            "round",
            "round up: cpu of main 3 → 4",
            id="whole cores",
        ),
        pytest.param(
            site("n"),
            pod_json(
                "p",
                container("db", "8", "12Gi"),
                {"name": "side"},
                budget={"requests": {"cpu": "8", "memory": "16Gi"}, "limits": {"cpu": "8", "memory": "16Gi"}},
            ),
            "leave-room-in-the-budget",
            "leave room in the budget for the containers that share it: cpu of the pod 8 → 9",
            id="a budget with nothing left to share",
        ),
        pytest.param(
            site("n", *FULL),
            pod_json("p", container(cpu="12")),
            "remove-pods",
            "remove default/right",
            id="one pod that makes room",
        ),
        pytest.param(
            site("n", *FULL, by=configuration(scope=Scope.POD)),
            pod_json("p", container("a", "6"), container("b", "3")),
            "configure-the-kubelet",
            "configure the kubelet: topologyManagerScope pod → container",
            id="the other scope",
        ),
        pytest.param(
            site("n", *FULL),
            pod_json("p", container(cpu="8")),
            "give-up-exclusive-resources",
            "give up exclusive CPUs: no limit on cpu of main",
            id="no pinning at all",
        ),
        pytest.param(
            site("n"),
            pod_json("p", container(cpu="1500m")),
            "make-it-guaranteed",
            "be pinned as well: cpu of main 1500m → 2",
            id="integer CPUs for a pod that fits without being pinned",
        ),
        pytest.param(
            site("n", by=replace(configuration(), feature_gates={**GATES, "PodLevelResourceManagers": False})),
            pod_json("p", container("a", "4", "4Gi"), budget={"limits": {"cpu": "4", "memory": "4Gi"}}),
            "configure-the-kubelet",
            "configure the kubelet: featureGates.PodLevelResourceManagers false → true",
            id="the gate on for a budget that nobody looks after",
        ),
        pytest.param(
            site("n", devices={"vendor.com/gpu": (Device("a", 1), Device("b", 2))}),
            pod_json("p", container(**{"vendor.com/gpu": "2"})),
            "ask-for-less",
            "ask for less: vendor.com/gpu of main 2 → 1",
            id="fewer devices",
        ),
    ],
)
def test_the_smallest_change_is_found(node: Site, document: Json, way: str, sentence: str) -> None:
    """Of each way the cheapest form is told, in words that name what changes; applied, it works."""
    found = {one["way"]: one["sentence"] for one in check(node, document)}

    assert sentence == found.get(way), found


def test_one_more_of_a_smaller_amount_is_refused() -> None:
    """A smaller amount is the largest that is admitted: with one step more the node refuses."""
    node, document = site("n", *FULL), pod_json("p", container(cpu="8", memory="50Gi"))
    (less,) = [one for one in suggested(node, document) if one["way"] == "ask-for-less"]
    smaller = applied(document, less["edits"])
    (asked,) = questions.read({"pods": [smaller]}).asked

    for more in ({"cpu": str(asked.amounts["cpu"] + 1)}, {"memory": str(asked.amounts["memory"] + (1 << 20))}):
        body = questions.read({"pods": [smaller], "amounts": more})
        answer: Any = run(questions.answered("what-if", body, [node]))
        assert not answer["fits"], more


def test_a_budget_shrinks_before_its_containers_do() -> None:
    """A pod-level budget is what is scarce; the exclusive slice gives way only as far as the others need a share."""
    node = site("n", pod("left", "7", "4Gi"), pod("right", "9", "4Gi"))
    budget = {"requests": {"cpu": "8", "memory": "16Gi"}, "limits": {"cpu": "8", "memory": "16Gi"}}
    document = pod_json("db", container("db", "4", "12Gi"), {"name": "side"}, budget=budget)

    (less,) = [one for one in check(node, document) if one["way"] == "ask-for-less"]
    assert "ask for less: cpu of the pod 8 → 7" == less["sentence"]


def test_changes_come_with_the_cheapest_first() -> None:
    """What the pod's owner can do alone comes before other people's pods, and those before a restart of the kubelet."""
    ways = [one["way"] for one in suggested(site("n", *FULL), pod_json("p", container(cpu="8")))]

    assert ["ask-for-less", "give-up-exclusive-resources", "remove-pods", "configure-the-kubelet"] == ways


def test_a_pod_that_fits_and_is_pinned_needs_no_change() -> None:
    """Nothing is suggested where nothing is wrong."""
    assert [] == suggested(site("n"), pod_json("p", container(cpu="8")))


def test_a_pod_that_means_to_be_burstable_is_left_alone() -> None:
    """Requests below limits are nobody's mistake."""
    document = pod_json("p", {"name": "a", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}})

    assert [] == suggested(site("n"), document)


# Any pod on any node

amounts = st.sampled_from(["1", "2", "3", "4", "6", "8", "12", "17", "500m", "1500m", "2500m"])
memories = st.sampled_from(["512Mi", "1Gi", "1.5Gi", "8Gi", "20Gi", "60Gi", "90Gi"])


@st.composite
def containers(draw: st.DrawFn, name: str) -> Json:
    made = container(name, draw(amounts), draw(memories))
    kind = draw(st.sampled_from(["limits", "limits", "limits", "none", "burstable", "device"]))
    if kind == "none":
        return {"name": name}
    if kind == "burstable":
        made["resources"]["requests"] = {"cpu": "250m"}  # type: ignore[index]
    if kind == "device":
        made["resources"]["limits"]["vendor.com/nic"] = draw(st.sampled_from(["1", "2", "3"]))  # type: ignore[index]
    return made


@st.composite
def pods(draw: st.DrawFn) -> Json:
    apps = [draw(containers(f"app{number}")) for number in range(draw(st.integers(1, 3)))]
    init = []
    for number in range(draw(st.integers(0, 2))):
        one = draw(containers(f"init{number}"))
        if draw(st.booleans()):
            one["restartPolicy"] = "Always"
        init.append(one)
    budget = None
    if draw(st.booleans()):
        budget = {"limits": {"cpu": draw(st.sampled_from(["8", "16", "24", "30"])), "memory": draw(memories)}}
        budget["requests"] = dict(budget["limits"])
    return pod_json("p", *apps, init=init, budget=budget)


@st.composite
def nodes(draw: st.DrawFn) -> Site:
    zones, cores = draw(st.sampled_from([1, 2, 2, 3, 4])), draw(st.sampled_from([2, 4, 8]))
    on = machine(zones, cores, gibibytes=64)
    gates = {**GATES, "PodLevelResourceManagers": draw(st.booleans())}
    by: KubeletConfiguration = replace(
        configuration(
            draw(st.sampled_from(list(TopologyPolicy))), draw(st.sampled_from(list(Scope))), f"0,{zones * cores}"
        ),
        feature_gates=gates,
        cpu_options=draw(
            st.sampled_from([{}, {}, {"full-pcpus-only": "true"}, {"distribute-cpus-across-numa": "true"}])
        ),
    )
    holders = [
        draw(
            st.builds(
                pod,
                st.just(f"holder{number}"),
                st.sampled_from(["1", "2", "3", "5", "8"]),
                st.sampled_from(["1Gi", "16Gi", "40Gi"]),
            )
        )
        for number in range(draw(st.integers(0, 4)))
    ]
    if draw(st.booleans()):
        holders.append(database("holder-db"))
    devices = {"vendor.com/nic": tuple(Device(f"nic{number}", 1 << number % zones) for number in range(3))}
    return site("n", *holders, on=on, by=by, devices=devices)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(nodes(), pods())
def test_every_change_that_is_suggested_works(node: Site, document: Json) -> None:
    """Whatever pod and whatever node: a suggestion, applied to the manifest or the node, makes the twin admit."""
    try:
        questions.read({"pods": [document]})
    except questions.MISTAKES:
        return
    check(node, document)
