"""The API server's questions about Bindings: bodies shaped as a real one of 1.37 shapes them."""

from __future__ import annotations

from typing import Any

import pytest

from extender.wire.admission import Review, review_from_json, review_result
from extender.wire.fields import WireError
from extender.wire.scheduler import Binding

OBJECT = {
    "kind": "Binding",
    "apiVersion": "v1",
    "metadata": {"name": "c", "namespace": "team", "uid": "uid-c", "creationTimestamp": None},
    "target": {"kind": "Node", "name": "n"},
}
REQUEST = {
    "uid": "asked-1",
    "kind": {"group": "", "version": "v1", "kind": "Binding"},
    "resource": {"group": "", "version": "v1", "resource": "pods"},
    "subResource": "binding",
    "requestKind": {"group": "", "version": "v1", "kind": "Binding"},
    "requestResource": {"group": "", "version": "v1", "resource": "pods"},
    "requestSubResource": "binding",
    "name": "c",
    "namespace": "team",
    "operation": "CREATE",
    "userInfo": {"username": "system:kube-scheduler", "groups": ["system:authenticated"]},
    "object": OBJECT,
    "oldObject": None,
    "dryRun": False,
    "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
}


def review(request: Any = REQUEST, **fields: Any) -> dict[str, Any]:
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request} | fields


def without(part: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name not in names}


def test_a_scheduler_s_binding_is_read() -> None:
    """Pod, node, who posts it, and the question's own uid."""
    assert Review("asked-1", Binding("c", "team", "uid-c", "n"), "system:kube-scheduler", dry=False) == (
        review_from_json(review())
    )


def test_a_binding_need_not_tell_more_than_the_node() -> None:
    """Name and namespace of the path serve where the Binding has none, and the uid is left open."""
    bare = REQUEST | {"object": OBJECT | {"metadata": {}}, "dryRun": True}

    assert Review("asked-1", Binding("c", "team", "", "n"), "system:kube-scheduler", dry=True) == (
        review_from_json(review(bare))
    )


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        pytest.param([], "AdmissionReview: [] is not an object", id="no object"),
        pytest.param(
            review(apiVersion="admission.k8s.io/v1beta1"),
            "kind: 'admission.k8s.io/v1beta1 AdmissionReview' is not admission.k8s.io/v1 AdmissionReview",
            id="another version",
        ),
        pytest.param(
            review(REQUEST | {"object": {"kind": "Pod"}}),
            "request.object.kind: 'Pod' is not Binding",
            id="another kind of object",
        ),
        pytest.param(review(None), "request.object.kind: None is not Binding", id="no request"),
        pytest.param(review(without(REQUEST, "uid")), "request.uid: None is not a name", id="a question without uid"),
        pytest.param(
            review(REQUEST | {"object": without(OBJECT, "target")}),
            "request.object.target.name: None is not a name",
            id="no node",
        ),
        pytest.param(
            review(without(REQUEST, "name") | {"object": without(OBJECT, "metadata")}),
            "request.object.metadata.name: None is not a name",
            id="no pod",
        ),
        pytest.param(
            review(REQUEST | {"dryRun": "yes"}), "request.dryRun: 'yes' is not true or false", id="a wrong dry run"
        ),
    ],
)
def test_what_is_wrong_is_named(document: Any, sentence: str) -> None:
    """What is no question about a Binding is refused with the field."""
    with pytest.raises(WireError) as caught:
        review_from_json(document)

    assert sentence == str(caught.value)


def test_answers_bear_the_question_s_uid() -> None:
    """Allowed is one word; denied has the reason, as the API server's own conflict has its."""
    asked = review_from_json(review())

    assert {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": "asked-1", "allowed": True},
    } == review_result(asked)
    assert {
        "uid": "asked-1",
        "allowed": False,
        "status": {"status": "Failure", "message": "numa: no", "reason": "Conflict", "code": 409},
    } == review_result(asked, "numa: no")["response"]
