"""
The API server's questions about Bindings: AdmissionReview, admission.k8s.io/v1.

Source: k8s.io/api/admission/v1 types.go; apiserver pkg/admission/plugin/webhook/request and .../errors; the Binding comes
as it was posted, to ``pods/binding`` or to ``bindings``, and need not bear uid or namespace.
"""

from __future__ import annotations

from dataclasses import dataclass

from extender.wire import fields
from extender.wire.fields import WireError
from extender.wire.scheduler import Binding, Json

VERSION, KIND = "admission.k8s.io/v1", "AdmissionReview"
CONFLICT = 409
"""The status with which the API server itself refuses a Binding that comes too late."""


@dataclass(frozen=True, slots=True)
class Review:
    """A question."""

    uid: str
    """Its own, which the answer bears."""
    binding: Binding
    """Its uid is empty where whoever posts it does not tell the pod's."""
    user: str
    """Who posts it."""
    dry: bool
    """Whether nothing is going to come of it."""


def review_from_json(value: object) -> Review:
    """
    Reads an AdmissionReview about a Binding.

    Raises:
        WireError: a part is missing, or it is about something else.
    """
    review = fields.mapping(value, KIND)
    if (review.get("apiVersion"), review.get("kind")) != (VERSION, KIND):
        raise WireError("kind", f"{review.get('apiVersion')} {review.get('kind')}", f"{VERSION} {KIND}")
    request = fields.mapping(review.get("request"), "request")
    posted = fields.mapping(request.get("object"), "request.object")
    if posted.get("kind") != "Binding":
        raise WireError("request.object.kind", posted.get("kind"), "Binding")
    metadata = fields.mapping(posted.get("metadata"), "request.object.metadata")
    target = fields.mapping(posted.get("target"), "request.object.target")
    user = fields.mapping(request.get("userInfo"), "request.userInfo")
    return Review(
        _name(request.get("uid"), "request.uid"),
        Binding(
            _name(metadata.get("name") or request.get("name"), "request.object.metadata.name"),
            _name(metadata.get("namespace") or request.get("namespace"), "request.object.metadata.namespace"),
            fields.text(metadata.get("uid"), "request.object.metadata.uid", default=""),
            _name(target.get("name"), "request.object.target.name"),
        ),
        fields.text(user.get("username"), "request.userInfo.username", default=""),
        fields.boolean(request.get("dryRun"), "request.dryRun", default=False),
    )


def review_result(review: Review, error: str = "") -> Json:
    """Writes the answer; no error means allowed."""
    response: Json = {"uid": review.uid, "allowed": not error}
    if error:
        response["status"] = {"status": "Failure", "message": error, "reason": "Conflict", "code": CONFLICT}
    return {"apiVersion": VERSION, "kind": KIND, "response": response}


def _name(value: object, field: str) -> str:
    name = fields.text(value, field, default="")
    if not name:
        raise WireError(field, value, "a name")
    return name
