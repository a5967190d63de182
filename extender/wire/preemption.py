"""
The preempt verb of the scheduler extender protocol: whom the scheduler would evict, and whom it should.

With nodeCacheCapable the victims come as uids, else as whole pods; the answer has uids either way. It has no place for
an error: an answer without nodes says that evicting helps nowhere.

Source: k8s.io/kube-scheduler/extender/v1/types.go (ExtenderPreemptionArgs); scheduler framework/preemption
(callExtenders), extender.go (convertPodUIDToPod).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from extender.model.pod import Pod
from extender.wire import fields
from extender.wire.fields import WireError
from extender.wire.pod import pod_from_json

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Victims:
    """Who would leave one node."""

    uids: tuple[str, ...]
    """The most important first."""
    violations: int = 0
    """How many PodDisruptionBudgets that would violate, by the scheduler's count."""


@dataclass(frozen=True, slots=True)
class Preemption:
    """ExtenderPreemptionArgs."""

    pod: Pod
    priority: int
    nominated: str
    """The node that earlier evictions were made on for this pod; empty where there were none."""
    plain: bool
    """Whether nothing but amounts decides where the pod may be, as far as its spec tells."""
    candidates: Mapping[str, Victims]
    """By node."""


def preemption_from_json(value: object) -> Preemption:
    """
    Reads ExtenderPreemptionArgs.

    Raises:
        WireError: it names no pod, or victims without a uid.
    """
    args = _lower(value, "ExtenderPreemptionArgs")
    document = fields.mapping(args.get("pod"), "Pod")
    spec = fields.mapping(document.get("spec"), "Pod.spec")
    status = fields.mapping(document.get("status"), "Pod.status")
    field = "NodeNameToMetaVictims" if args.get("nodenametometavictims") is not None else "NodeNameToVictims"
    candidates = fields.mapping(args.get(field.lower()), field)
    return Preemption(
        pod=pod_from_json(document, "Pod"),
        priority=priority_of(spec, "Pod.spec"),
        nominated=fields.text(status.get("nominatedNodeName"), "Pod.status.nominatedNodeName", default=""),
        plain=is_plain(spec, "Pod.spec"),
        candidates={node: _victims(each, f"{field}.{node}") for node, each in candidates.items()},
    )


def preemption_result(victims: Mapping[str, Victims]) -> Json:
    """Writes ExtenderPreemptionResult."""
    return {
        "NodeNameToMetaVictims": {
            node: {"Pods": [{"UID": uid} for uid in each.uids], "NumPDBViolations": each.violations}
            for node, each in victims.items()
        }
    }


def priority_of(spec: Mapping[str, object], field: str) -> int:
    """Reads spec.priority, which admission has set from the pod's class; without one it is 0."""
    return fields.integer(spec.get("priority") or 0, f"{field}.priority", least=-(2**31), most=2**31 - 1)


def is_plain(spec: Mapping[str, object], field: str) -> bool:
    """Whether only a pod's amounts can keep it off a node, or others away: no ports, volume claims, spread, affinity."""
    affinity = fields.mapping(spec.get("affinity"), f"{field}.affinity")
    if affinity.get("podAffinity") or affinity.get("podAntiAffinity") or spec.get("topologySpreadConstraints"):
        return False
    for index, entry in enumerate(fields.sequence(spec.get("volumes"), f"{field}.volumes")):
        volume = fields.mapping(entry, f"{field}.volumes[{index}]")
        if volume.keys() & {"persistentVolumeClaim", "ephemeral", "csi"}:
            return False
    if spec.get("resourceClaims"):
        return False
    for key in ("initContainers", "containers"):
        for index, entry in enumerate(fields.sequence(spec.get(key), f"{field}.{key}")):
            at = f"{field}.{key}[{index}]"
            ports = fields.sequence(fields.mapping(entry, at).get("ports"), f"{at}.ports")
            if any(fields.mapping(port, f"{at}.ports").get("hostPort") for port in ports):
                return False
    return True


def _victims(value: object, field: str) -> Victims:
    entry = _lower(value, field)
    uids = []
    for index, victim in enumerate(fields.sequence(entry.get("pods"), f"{field}.Pods")):
        at = f"{field}.Pods[{index}]"
        pod = _lower(victim, at)
        uid = pod.get("uid") or fields.mapping(pod.get("metadata"), f"{at}.metadata").get("uid")
        if not uid:
            raise WireError(f"{at}.UID", uid, "a uid")
        uids.append(fields.text(uid, f"{at}.UID"))
    violations = fields.integer(entry.get("numpdbviolations"), f"{field}.NumPDBViolations", default=0)
    return Victims(tuple(uids), violations)


def _lower(value: object, field: str) -> Mapping[str, object]:
    """The fields of a Go struct, which match in any case, by lower-case name."""
    if not isinstance(value, dict):
        raise WireError(field, value, "an object")
    return {name.lower(): each for name, each in fields.mapping(value, field).items()}
