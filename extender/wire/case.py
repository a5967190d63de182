"""
A case of ``numa-extender replay``, written: what was met in a cluster becomes a line that anybody can answer again.

The reader is ``extender.wire.replay``.
"""

from __future__ import annotations

from collections.abc import Mapping

from extender import cpuset
from extender.model.pod import Container, Kind, Pod, Resources
from extender.model.state import Devices
from extender.wire.kubelet_configuration import configuration_to_json
from extender.wire.machine import machine_to_json
from extender.wire.replay import Case, Op, Step

Json = dict[str, object]


def case_to_json(case: Case) -> Json:
    """Writes a case."""
    return {
        "id": case.id,
        "version": str(case.version),
        "machine": machine_to_json(case.machine),
        "kubelet": configuration_to_json(case.configuration),
        "devices": _devices_to_json(case.devices),
        "steps": [_step_to_json(step) for step in case.steps],
    }


def _step_to_json(step: Step) -> Json:
    if step.op is Op.ADMIT:
        assert step.pod is not None
        return {"op": str(step.op), "pod": pod_to_json(step.pod)}
    return {"op": str(step.op), "uid": step.uid}


def pod_to_json(pod: Pod) -> Json:
    """Writes as much of a pod as its admission reads."""
    spec: Json = {"containers": [_container_to_json(one) for one in pod.containers if one.kind is Kind.APP]}
    init = [_container_to_json(one) for one in pod.containers if one.kind is not Kind.APP]
    if init:
        spec["initContainers"] = init
    if pod.resources is not None:
        spec["resources"] = _resources_to_json(pod.resources)
    written: Json = {"metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid}, "spec": spec}
    if pod.qos is not None:
        written["status"] = {"qosClass": str(pod.qos)}
    return written


def _container_to_json(container: Container) -> Json:
    written: Json = {"name": container.name, "resources": _resources_to_json(container.resources)}
    return written | {"restartPolicy": "Always"} if container.kind is Kind.SIDECAR else written


def _resources_to_json(resources: Resources) -> Json:
    amounts: Mapping[str, Mapping[str, object]] = {"requests": resources.requests, "limits": resources.limits}
    return {member: {name: str(amount) for name, amount in each.items()} for member, each in amounts.items() if each}


def _devices_to_json(devices: Devices) -> Json:
    return {
        resource: [
            {"id": device.id, "numa": list(cpuset.members(device.zones)), "healthy": device.healthy}
            for device in listed
        ]
        for resource, listed in devices.items()
    }
