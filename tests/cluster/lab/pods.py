"""Pods for tests, and questions about them."""

from collections.abc import Mapping
from typing import Any

from lab.api import Object

IMAGE = "registry.example/app:1"
Quantities = Mapping[str, str]


def container(name: str, requests: Quantities | None = None, limits: Quantities | None = None, **fields: Any) -> Object:
    """A container; limits are its requests when absent, so that whole requests make it guaranteed."""
    resources = {"requests": dict(requests or {}), "limits": dict((requests if limits is None else limits) or {})}
    return {"name": name, "image": IMAGE, "resources": resources} | fields


def sidecar(name: str, requests: Quantities | None = None) -> Object:
    """A restartable init container."""
    return container(name, requests, restartPolicy="Always")


def pod(
    name: str,
    *containers: Object,
    init: tuple[Object, ...] = (),
    budget: Quantities | None = None,
    node: str | None = None,
    namespace: str = "default",
    grace_seconds: int = 0,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Object:
    """
    A pod. `budget` are its pod-level resources; `node` binds it without a scheduler; further `spec` fields as they
    are.
    """
    body: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "annotations": dict(annotations or {})},
        "spec": {"containers": list(containers), "terminationGracePeriodSeconds": grace_seconds} | spec,
    }
    if init:
        body["spec"]["initContainers"] = list(init)
    if budget:
        body["spec"]["resources"] = {"requests": dict(budget), "limits": dict(budget)}
    if node:
        body["spec"]["nodeName"] = node
    return body


def example_pod(name: str, **fields: Any) -> Object:
    """
    The pod of the Kubernetes 1.36 announcement: a budget of 8 CPU and 16Gi, 6 and 12Gi of it exclusively for the
    database.
    """
    containers = (container("db", {"cpu": "6", "memory": "12Gi"}), container("metrics"), container("backup"))
    return pod(name, *containers, budget={"cpu": "8", "memory": "16Gi"}, **fields)


def phase(item: Object) -> str:
    """The pod's phase."""
    return str(item.get("status", {}).get("phase", ""))


def is_unschedulable(item: Object) -> bool:
    """Whether the scheduler has said that it found no node for the pod."""
    conditions = item.get("status", {}).get("conditions", [])
    return any(c["type"] == "PodScheduled" and c.get("reason") == "Unschedulable" for c in conditions)


def is_denied(item: Object) -> bool:
    """Whether the guard has denied the pod's Binding, so that its scheduler is to try it again."""
    conditions = item.get("status", {}).get("conditions", [])
    return any(c["type"] == "PodScheduled" and "denied the request: numa: " in c.get("message", "") for c in conditions)


def is_running(item: Object) -> bool:
    """Whether every container of the pod runs, init containers being done."""
    statuses = item.get("status", {}).get("containerStatuses", [])
    return phase(item) == "Running" and all("running" in status["state"] for status in statuses)


def is_settled(item: Object) -> bool:
    """Whether nothing more is about to happen to the pod: it runs, has ended, was refused, or found no node."""
    return is_running(item) or phase(item) in {"Succeeded", "Failed"} or is_unschedulable(item)
