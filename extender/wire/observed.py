"""
core/v1 Pod as JSON, as far as the inventory reads it: where it is bound and how far it has come.

Source: core/v1 PodStatus, ContainerStatus.
"""

from __future__ import annotations

from extender.model.observed import ObservedPod
from extender.wire import fields
from extender.wire.pod import pod_from_json

TERMINAL = frozenset({"Succeeded", "Failed"})


def observed_from_json(value: object, field: str = "pod") -> ObservedPod:
    """
    Reads a pod as the API server shows it.

    Raises:
        WireError: it is no pod.
    """
    pod = pod_from_json(value, field)
    document = fields.mapping(value, field)
    spec = fields.mapping(document.get("spec"), f"{field}.spec")
    status = fields.mapping(document.get("status"), f"{field}.status")
    return ObservedPod(
        pod=pod,
        node=fields.text(spec.get("nodeName"), f"{field}.spec.nodeName", default=""),
        terminal=status.get("phase") in TERMINAL,
        started=_started(status, f"{field}.status"),
    )


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
