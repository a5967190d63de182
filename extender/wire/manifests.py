"""
Manifests as people write them: a Pod, or a workload with the template of one.

Other kinds that stand in the same files (Service, ConfigMap, …) are passed over. A pod that is read here has not
seen an API server yet: see ``extender.what_if.defaults``.

Source: core/v1 Pod, PodTemplateSpec; apps/v1 Deployment, StatefulSet, DaemonSet, ReplicaSet; batch/v1 Job, CronJob.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from extender.model.question import Asked
from extender.wire import fields
from extender.wire.fields import WireError
from extender.wire.pod import pod_from_json

MOST_CONTAINERS = 256
MOST_RESOURCES = 64
MOST_REPLICAS = 100_000
DEFAULT_FIELD = "pods"
"""Where manifests stand in a question; a file is named instead where they come from one."""
UID = "what-if"
"""Begins the uid of every pod that is only asked about."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Where a kind keeps its pods' spec and their number."""

    template: str
    """Path of the object that has metadata and spec of the pods."""
    replicas: str = ""
    """Path of their number; empty where there is one."""


_KINDS = {
    "Pod": _Kind(""),
    "PodTemplate": _Kind("template"),
    "Deployment": _Kind("spec.template", "spec.replicas"),
    "StatefulSet": _Kind("spec.template", "spec.replicas"),
    "ReplicaSet": _Kind("spec.template", "spec.replicas"),
    "ReplicationController": _Kind("spec.template", "spec.replicas"),
    "DaemonSet": _Kind("spec.template"),
    "Job": _Kind("spec.template", "spec.parallelism"),
    "CronJob": _Kind("spec.jobTemplate.spec.template", "spec.jobTemplate.spec.parallelism"),
}


def asked_from_json(documents: Sequence[object], field: str = DEFAULT_FIELD) -> tuple[Asked, ...]:
    """
    Reads the pods and workloads among some documents; Lists are looked into.

    Raises:
        WireError: a document is no object, a workload is malformed, or there is none.
    """
    every = list(_flat(documents, field))
    found = [
        _asked(document, at if field != DEFAULT_FIELD or len(every) > 1 else "")
        for at, document in every
        if is_asked(document)
    ]
    if not found:
        kinds = sorted({str(document.get("kind"))[:40] for _, document in every})
        raise WireError(field, kinds, f"a list with one of {', '.join(_KINDS)}")
    return tuple(_numbered(found))


def is_asked(document: Mapping[str, object]) -> bool:
    """Says whether a document is a pod or makes pods; what has a spec and no kind is taken as a Pod."""
    kind = document.get("kind", "Pod" if "spec" in document else None)
    return isinstance(kind, str) and kind in _KINDS


def _flat(documents: Sequence[object], field: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    for index, value in enumerate(documents):
        if value is None:
            continue
        at = f"{field}[{index}]" if len(documents) > 1 else field
        document = fields.mapping(value, at)
        if str(document.get("kind", "")).endswith("List") or ("kind" not in document and "items" in document):
            for place, item in enumerate(fields.sequence(document.get("items"), f"{at}.items")):
                yield f"{at}.items[{place}]", fields.mapping(item, f"{at}.items[{place}]")
        else:
            yield at, document


def _asked(document: Mapping[str, object], at: str) -> Asked:
    kind_name = fields.text(document.get("kind"), f"{at}.kind", default="Pod")
    kind = _KINDS[kind_name]
    metadata = fields.mapping(document.get("metadata"), f"{at}.metadata")
    name = fields.text(metadata.get("name") or metadata.get("generateName"), f"{at}.metadata.name", default="unnamed")
    namespace = fields.text(metadata.get("namespace"), f"{at}.metadata.namespace", default="default")
    where = (f"{at}: " if at else "") + f"{kind_name} {name[:80]}: "
    template, path = _at(document, kind.template, where)
    spec = f"{path}.spec" if path else "spec"
    body = {
        "metadata": {"name": name, "namespace": namespace or "default", "uid": UID},
        "spec": _bounded(template.get("spec"), where + spec),
    }
    pod = pod_from_json(body, where + path if path else where.removesuffix(": "))
    return Asked(pod, kind_name, _replicas(document, kind, where), spec)


def _at(document: Mapping[str, object], path: str, where: str) -> tuple[Mapping[str, object], str]:
    value: Mapping[str, object] = document
    walked: list[str] = []
    for name in filter(None, path.split(".")):
        walked.append(name)
        value = fields.mapping(value.get(name), where + ".".join(walked))
    return value, path


def _bounded(value: object, field: str) -> Mapping[str, object]:
    """A pod's spec of a size that a kubelet could be asked about."""
    spec = fields.mapping(value, field)
    for listed in ("initContainers", "containers"):
        containers = fields.sequence(spec.get(listed), f"{field}.{listed}")
        if len(containers) > MOST_CONTAINERS:
            raise WireError(f"{field}.{listed}", f"{len(containers)} containers", f"at most {MOST_CONTAINERS}")
        for index, container in enumerate(containers):
            at = f"{field}.{listed}[{index}]"
            _few_resources(fields.mapping(container, at).get("resources"), f"{at}.resources")
    _few_resources(spec.get("resources"), f"{field}.resources")
    return spec


def _few_resources(value: object, field: str) -> None:
    resources = fields.mapping(value, field)
    for section in ("requests", "limits"):
        count = len(fields.mapping(resources.get(section), f"{field}.{section}"))
        if count > MOST_RESOURCES:
            raise WireError(f"{field}.{section}", f"{count} resources", f"at most {MOST_RESOURCES}")


def _replicas(document: Mapping[str, object], kind: _Kind, where: str) -> int:
    if not kind.replicas:
        return 1
    parent, _, name = kind.replicas.rpartition(".")
    holder, _ = _at(document, parent, where)
    return fields.integer(holder.get(name), where + kind.replicas, default=1, most=MOST_REPLICAS)


def _numbered(found: Sequence[Asked]) -> Iterator[Asked]:
    """Gives each pod a uid of its own."""
    for index, asked in enumerate(found):
        yield replace(asked, pod=replace(asked.pod, uid=f"{UID}-{index}"))
