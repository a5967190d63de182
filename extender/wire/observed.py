"""
core/v1 Pod as JSON, as far as the inventory reads it: where it is bound and how far it has come.

Source: core/v1 PodStatus, ContainerStatus; kubelet.go (rejectPod), status/status_manager.go (updateStatusInternal).
"""

from __future__ import annotations

from collections.abc import Mapping

from extender.model.observed import ObservedPod
from extender.wire import fields
from extender.wire.pod import pod_from_json
from extender.wire.preemption import is_plain, priority_of

MIRROR = "kubernetes.io/config.mirror"
"""Annotation of the API's copy of a static pod."""
REJECTED = "Pod was rejected: "
"""How the kubelet begins the message of a pod that it refuses."""
TERMINAL = frozenset({"Succeeded", "Failed"})


def observed_from_json(value: object, field: str = "pod") -> ObservedPod:
    """
    Reads a pod as the API server shows it.

    Raises:
        WireError: it is no pod.
    """
    pod = pod_from_json(value, field)
    document = fields.mapping(value, field)
    metadata = fields.mapping(document.get("metadata"), f"{field}.metadata")
    spec = fields.mapping(document.get("spec"), f"{field}.spec")
    status = fields.mapping(document.get("status"), f"{field}.status")
    return ObservedPod(
        pod=pod,
        node=fields.text(spec.get("nodeName"), f"{field}.spec.nodeName", default=""),
        terminal=status.get("phase") in TERMINAL,
        admitted=_admitted(metadata, status, f"{field}.status"),
        started=_started(status, f"{field}.status"),
        deleting=metadata.get("deletionTimestamp") is not None,
        refusal=_refusal(status, f"{field}.status"),
        priority=priority_of(spec, f"{field}.spec"),
        plain=is_plain(spec, f"{field}.spec"),
    )


def _admitted(metadata: Mapping[str, object], status: Mapping[str, object], field: str) -> bool:
    """
    Whether the kubelet has taken the pod on: it sets startTime with its first status, and makes a static pod's mirror.

    One that it refuses gets a startTime too, and the phase Failed.
    """
    annotations = fields.mapping(metadata.get("annotations"), f"{field}.annotations")
    shown = status.get("startTime") is not None or bool(status.get("containerStatuses")) or MIRROR in annotations
    return shown and not _refusal(status, field)


def _refusal(status: Mapping[str, object], field: str) -> str:
    """Why the kubelet refused a pod (rejectPod); other pods that failed are no matter of admission."""
    message = fields.text(status.get("message"), f"{field}.message", default="")
    refused = status.get("phase") == "Failed" and message.startswith(REJECTED)
    return fields.text(status.get("reason"), f"{field}.reason", default="") if refused else ""


def _started(status: object, field: str) -> bool:
    """Whether an app container has ever run: before the first one runs, all ordinary init containers have ended."""
    listed = fields.sequence(fields.mapping(status, field).get("containerStatuses"), f"{field}.containerStatuses")
    for index, value in enumerate(listed):
        at = f"{field}.containerStatuses[{index}]"
        container = fields.mapping(value, at)
        state = fields.mapping(container.get("state"), f"{at}.state")
        if "running" in state or "terminated" in state or container.get("lastState"):
            return True
    return False
