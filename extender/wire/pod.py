"""
core/v1 Pod as JSON, as far as admission reads it.

Source: core/v1 Pod, Container, ResourceRequirements; pkg/apis/core/v1/defaults.go for what the API server fills in.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import chain

import orjson

from extender.model.pod import Container, Kind, Pod, QoS, Resources
from extender.wire import fields
from extender.wire.fields import WireError


def pod_from_json(value: object, field: str = "pod") -> Pod:
    """
    Reads a pod as the API server shows it.

    Raises:
        WireError: it is no pod, has no uid or no containers, or two containers share a name.
    """
    pod = fields.mapping(value, field)
    metadata = fields.mapping(pod.get("metadata"), f"{field}.metadata")
    spec = fields.mapping(pod.get("spec"), f"{field}.spec")
    status = fields.mapping(pod.get("status"), f"{field}.status")
    containers = tuple(
        chain(
            _containers(spec, "initContainers", f"{field}.spec"),
            _containers(spec, "containers", f"{field}.spec"),
        )
    )
    if not any(container.kind is Kind.APP for container in containers):
        raise WireError(f"{field}.spec.containers", spec.get("containers"), "a list of at least one container")
    names = [container.name for container in containers]
    if len(set(names)) != len(names):
        raise WireError(f"{field}.spec", names, "a pod whose containers all have different names")
    uid = fields.text(metadata.get("uid"), f"{field}.metadata.uid")
    if not uid:
        raise WireError(f"{field}.metadata.uid", uid, "a uid")
    budget = spec.get("resources")
    qos = status.get("qosClass")
    return Pod(
        uid=uid,
        name=fields.text(metadata.get("name"), f"{field}.metadata.name", default=""),
        namespace=fields.text(metadata.get("namespace"), f"{field}.metadata.namespace", default="default"),
        containers=containers,
        resources=None if budget is None else _resources(budget, f"{field}.spec.resources"),
        qos=fields.choice(qos, f"{field}.status.qosClass", QoS) if qos is not None and qos != "" else None,
    )


def _containers(spec: Mapping[str, object], key: str, field: str) -> list[Container]:
    init = key == "initContainers"
    listed = []
    for index, value in enumerate(fields.sequence(spec.get(key), f"{field}.{key}")):
        at = f"{field}.{key}[{index}]"
        container = fields.mapping(value, at)
        restart = fields.text(container.get("restartPolicy"), f"{at}.restartPolicy", default="")
        kind = Kind.APP if not init else Kind.SIDECAR if restart == "Always" else Kind.INIT
        name = fields.text(container.get("name"), f"{at}.name")
        if not name:
            raise WireError(f"{at}.name", name, "a container's name")
        listed.append(Container(name, kind, _resources(container.get("resources"), f"{at}.resources")))
    return listed


def _resources(value: object, field: str) -> Resources:
    """Reads what is asked for; a cluster's pods ask for the same few things, which are made once."""
    try:
        return _known(orjson.dumps(value), field)
    except orjson.JSONEncodeError:  # from YAML, which has numbers and keys that JSON has not
        return _made(value, field)


@lru_cache(maxsize=4096)
def _known(text: bytes, field: str) -> Resources:
    return _made(orjson.loads(text), field)


def _made(value: object, field: str) -> Resources:
    resources = fields.mapping(value, field)
    return Resources(
        requests=fields.amounts(resources.get("requests"), f"{field}.requests"),
        limits=fields.amounts(resources.get("limits"), f"{field}.limits"),
    )
