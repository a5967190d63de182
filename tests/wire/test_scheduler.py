"""The extender protocol: bodies shaped as kube-scheduler shapes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extender.wire import scheduler
from extender.wire.fields import WireError
from extender.wire.scheduler import Binding

POD = {
    "metadata": {"name": "plain", "namespace": "team", "uid": "u1"},
    "spec": {
        "schedulerName": "numa-scheduler",
        "containers": [{"name": "main", "image": "i", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}}],
    },
    "status": {"phase": "Pending", "qosClass": "Burstable"},
}


def node(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": {}, "status": {"capacity": {"cpu": "4"}}}


def test_names_are_read_in_the_schedulers_order() -> None:
    """With nodeCacheCapable true the nodes come as names, and keep their order."""
    args = scheduler.args_from_json({"Pod": POD, "Nodes": None, "NodeNames": ["b", "a"]})

    assert (["b", "a"], None, "plain", "team") == (args.names, args.nodes, args.pod.name, args.pod.namespace)


def test_whole_nodes_go_back_as_they_came() -> None:
    """With nodeCacheCapable false the answer repeats the nodes let through, unchanged, and no names."""
    nodes = [node("a"), node("b")]
    args = scheduler.args_from_json({"Pod": POD, "Nodes": {"metadata": {}, "items": nodes}, "NodeNames": None})

    assert {
        "Nodes": {"metadata": {}, "items": [nodes[1]]},
        "NodeNames": None,
        "FailedNodes": {},
        "FailedAndUnresolvableNodes": {"a": "no"},
        "Error": "",
    } == scheduler.filter_result(args, ["b"], {}, {"a": "no"})


def test_no_node_is_an_empty_list_of_names() -> None:
    """A filter answer that lets nothing through has an empty list: null would mean that there is no answer."""
    args = scheduler.args_from_json({"Pod": POD, "Nodes": None, "NodeNames": ["a"]})

    assert scheduler.filter_result(args, [], {}, {"a": "no"})["NodeNames"] == []
    assert scheduler.filter_error("why")["NodeNames"] == []


@pytest.mark.parametrize("spell", [str.lower, str.upper, lambda name: name[0].lower() + name[1:]])
def test_either_case_is_read(spell: Any) -> None:
    """Field names of Go structs without tags match in any case."""
    body = {spell(name): value for name, value in {"Pod": POD, "NodeNames": ["a"], "Nodes": None}.items()}

    assert scheduler.args_from_json(body).names == ["a"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param([], "ExtenderArgs: [] is not an object", id="an array"),
        pytest.param({}, "Pod.spec.containers: None is not a list of at least one container", id="nothing"),
        pytest.param(
            {"Pod": POD},
            "NodeNames: None is not a list of names, and Nodes is no list of nodes either",
            id="a pod without nodes",
        ),
        pytest.param({"Pod": POD, "NodeNames": "a"}, "NodeNames: 'a' is not a list", id="a name for a list"),
        pytest.param({"Pod": POD, "NodeNames": [1]}, "NodeNames: 1 is not a text", id="a number for a name"),
        pytest.param(
            {"Pod": POD, "Nodes": {"items": [{}]}},
            "Nodes.items.metadata.name: None is not a text",
            id="a nameless node",
        ),
    ],
)
def test_what_is_wrong_is_named(body: object, sentence: str) -> None:
    """A malformed question is answered by one sentence with the field and the value."""
    with pytest.raises(WireError) as caught:
        scheduler.args_from_json(body)

    assert sentence == str(caught.value)


def test_a_binding_is_read_and_written() -> None:
    """Bind's question becomes the Binding that the scheduler itself would post."""
    binding = scheduler.binding_from_json({"PodName": "p", "PodNamespace": "ns", "PodUID": "u", "Node": "n"})

    assert Binding("p", "ns", "u", "n") == binding
    assert {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "n"},
    } == scheduler.binding_object(binding)


@pytest.mark.parametrize("missing", ["PodName", "PodNamespace", "PodUID", "Node"])
def test_a_binding_needs_all_its_parts(missing: str) -> None:
    """A binding without a name, namespace, uid or node is refused by name of the field."""
    body = {"PodName": "p", "PodNamespace": "ns", "PodUID": "u", "Node": "n", missing: ""}

    with pytest.raises(WireError, match=f"^{missing}: '' is not a name$"):
        scheduler.binding_from_json(body)


def test_scores_are_a_bare_array() -> None:
    """Prioritize answers an array of hosts and whole numbers, nothing around it."""
    expected = [{"Host": "a", "Score": 7}, {"Host": "c", "Score": 7}, {"Host": "b", "Score": 0}]

    assert expected == json.loads(scheduler.priorities({7: ["a", "c"], 3: [], 0: ["b"]}))
    assert [] == json.loads(scheduler.priorities({}))


@given(st.dictionaries(st.integers(0, 10), st.lists(st.text(max_size=8), max_size=4)))
def test_any_name_survives_in_a_list_of_scores(by_score: dict[int, list[str]]) -> None:
    """Names with quotes, control characters or no ASCII at all come out as they went in."""
    expected = [{"Host": name, "Score": score} for score, names in by_score.items() for name in names]

    assert expected == json.loads(scheduler.priorities(by_score))
