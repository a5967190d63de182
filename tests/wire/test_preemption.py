"""The preempt verb's question and answer."""

from __future__ import annotations

from typing import Any

import pytest
from builders import pod

from extender.wire.case import pod_to_json
from extender.wire.fields import WireError
from extender.wire.preemption import Victims, is_plain, preemption_from_json, preemption_result

POD: dict[str, Any] = pod_to_json(pod("high"))
POD["spec"]["priority"] = 1000
POD["status"] = {"nominatedNodeName": "m"}
META = {"n": {"Pods": [{"UID": "a"}, {"UID": "b"}], "NumPDBViolations": 1}}
WHOLE = {"n": {"Pods": [{"metadata": {"uid": "a"}}, {"metadata": {"uid": "b"}}], "NumPDBViolations": 1}}


@pytest.mark.parametrize(
    "question",
    [
        pytest.param({"NodeNameToMetaVictims": META, "NodeNameToVictims": None}, id="uids, nodeCacheCapable true"),
        pytest.param({"NodeNameToVictims": WHOLE, "NodeNameToMetaVictims": None}, id="whole pods, false"),
        pytest.param(
            {"nodenametometavictims": {"n": {"pods": [{"uid": "a"}, {"uid": "b"}], "numPDBViolations": 1}}},
            id="names in another case",
        ),
    ],
)
def test_victims_are_read_in_either_form(question: dict[str, Any]) -> None:
    """Whoever would be evicted is read as uids, in the scheduler's order, with the pod, its priority and its nomination."""
    asked = preemption_from_json({"Pod": POD} | question)

    assert {"n": Victims(("a", "b"), 1)} == asked.candidates
    assert ("uid-high", 1000, "m") == (asked.pod.uid, asked.priority, asked.nominated)


def test_the_answer_has_the_form_of_the_question() -> None:
    """What is answered is what would have been asked."""
    assert {"NodeNameToMetaVictims": META} == preemption_result({"n": Victims(("a", "b"), 1)})
    assert {"NodeNameToMetaVictims": {}} == preemption_result({})


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (
            {"Pod": POD, "NodeNameToMetaVictims": {"n": {"Pods": [{}]}}},
            r"NodeNameToMetaVictims\.n\.Pods\[0\]\.UID: None",
        ),
        ({"Pod": POD, "NodeNameToMetaVictims": {"n": 3}}, r"NodeNameToMetaVictims\.n: 3"),
        ({"NodeNameToMetaVictims": META}, r"Pod\."),
        ([], "ExtenderPreemptionArgs"),
    ],
    ids=["a victim without a uid", "a number for victims", "no pod", "no object"],
)
def test_what_cannot_be_read_is_named(question: object, sentence: str) -> None:
    """A malformed question is one sentence with the field."""
    with pytest.raises(WireError, match=sentence):
        preemption_from_json(question)


@pytest.mark.parametrize(
    ("spec", "plain"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param(
            {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}}, True, id="nodes"
        ),
        pytest.param(
            {"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}}, False, id="pods"
        ),
        pytest.param({"topologySpreadConstraints": [{"maxSkew": 1}]}, False, id="spread"),
        pytest.param({"volumes": [{"name": "token", "projected": {}}]}, True, id="a token"),
        pytest.param({"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "x"}}]}, False, id="a claim"),
        pytest.param({"containers": [{"ports": [{"containerPort": 80}]}]}, True, id="a port"),
        pytest.param(
            {"containers": [{"ports": [{"containerPort": 80, "hostPort": 80}]}]}, False, id="a port of the host"
        ),
        pytest.param({"resourceClaims": [{"name": "gpu"}]}, False, id="a resource claim"),
    ],
)
def test_a_pod_is_plain_if_only_amounts_decide(spec: dict[str, Any], *, plain: bool) -> None:
    """What else may bind a pod to a node or keep others off it makes it not plain."""
    assert plain == is_plain(spec, "spec")
