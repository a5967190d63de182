"""Manifests: which documents make pods, how many, and what is said of wrong ones."""

from __future__ import annotations

import time
from typing import Any

import pytest
from what_if_nodes import container, pod_json

from extender.ask.manifests import documents
from extender.wire.fields import WireError
from extender.wire.manifests import asked_from_json

SPEC = pod_json("x", container())["spec"]
TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": SPEC}


@pytest.mark.parametrize(
    ("kind", "spec", "replicas", "path"),
    [
        ("Pod", SPEC, 1, "spec"),
        ("Deployment", {"replicas": 3, "template": TEMPLATE}, 3, "spec.template.spec"),
        ("StatefulSet", {"template": TEMPLATE}, 1, "spec.template.spec"),
        ("ReplicaSet", {"replicas": 0, "template": TEMPLATE}, 0, "spec.template.spec"),
        ("DaemonSet", {"template": TEMPLATE}, 1, "spec.template.spec"),
        ("Job", {"parallelism": 5, "template": TEMPLATE}, 5, "spec.template.spec"),
        (
            "CronJob",
            {"jobTemplate": {"spec": {"parallelism": 2, "template": TEMPLATE}}},
            2,
            "spec.jobTemplate.spec.template.spec",
        ),
    ],
)
def test_each_kind_has_its_pods_somewhere(kind: str, spec: Any, replicas: int, path: str) -> None:
    """The pod is read from the template, and its number from the field of the kind."""
    (asked,) = asked_from_json([{"kind": kind, "metadata": {"name": "x", "namespace": "n"}, "spec": spec}])

    assert (f"{kind} n/x", replicas, path) == (asked.title, asked.replicas, asked.spec)
    assert ["main"] == [one.name for one in asked.pod.containers]


def test_documents_of_other_kinds_are_passed_over_and_lists_looked_into() -> None:
    """A file as it is applied may have services and lists among its workloads."""
    items = [{"kind": "Service", "metadata": {"name": "s"}}, pod_json("b", container())]
    asked = asked_from_json([pod_json("a", container()), {"kind": "List", "items": items}])

    assert ["a", "b"] == [one.pod.name for one in asked]
    assert 2 == len({one.pod.uid for one in asked})


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        pytest.param(
            {"kind": "Service"}, "pods: ['Service'] is not a list with one of Pod, PodTemplate", id="no pod at all"
        ),
        pytest.param(
            {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": "3", "template": TEMPLATE}},
            "Deployment web: spec.replicas: '3' is not a whole number",
            id="replicas as text",
        ),
        pytest.param(
            {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"spec": {"containers": [{}]}}}},
            "Deployment web: spec.template.spec.containers[0].name: None is not a text",
            id="a container without a name",
        ),
        pytest.param(
            pod_json("web", container(cpu="2x")),
            "Pod web.spec.containers[0].resources.limits.cpu: '2x' is not a Kubernetes quantity",
            id="no quantity",
        ),
        pytest.param(
            pod_json("web", *(container(f"c{number}") for number in range(300))),
            "Pod web: spec.containers: '300 containers' is not at most 256",
            id="too many containers",
        ),
    ],
)
def test_what_is_wrong_is_named(document: dict[str, Any], sentence: str) -> None:
    """A malformed manifest gets a sentence with object, field and value."""
    with pytest.raises(WireError) as wrong:
        asked_from_json([document])

    assert str(wrong.value).startswith(sentence)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: [", id="no YAML"),
        pytest.param("a: &a [*a]", id="a list in itself"),
        pytest.param("[" * 5000, id="deep"),
        pytest.param("2001-13-45", id="a date that is none"),
        pytest.param("{[1]: 2}", id="a key that is a list"),
        pytest.param('"\\ud800"', id="half a character"),
        pytest.param("x" * (1 << 21), id="large"),
        pytest.param("!!python/object/apply:os.system [true]", id="a tag of Python"),
    ],
)
def test_hostile_text_is_refused(text: str) -> None:
    """Text that is no plain YAML is an error of one sentence."""
    with pytest.raises(WireError) as wrong:
        documents(text)

    assert "\n" not in str(wrong.value)
    assert len(str(wrong.value)) < 300


def test_aliases_that_unfold_to_a_billion_are_refused_at_once() -> None:
    """Nested aliases are measured before they are unfolded."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 10)]
    begun = time.monotonic()

    with pytest.raises(WireError, match="aliases"):
        documents("\n".join(lines))
    assert time.monotonic() - begun < 1


def test_anchors_within_reason_are_read() -> None:
    """People do use anchors."""
    text = "a: &amounts {cpu: 4, memory: 8Gi}\nb: *amounts\nc: {<<: *amounts, cpu: 2}"

    assert [
        {"a": {"cpu": 4, "memory": "8Gi"}, "b": {"cpu": 4, "memory": "8Gi"}, "c": {"cpu": 2, "memory": "8Gi"}}
    ] == documents(text)
