"""
The JSON of ``numa-extender replay``: a case with its steps, and the answer with its verdicts.

One case or answer is one object. CPU sets are texts, zones are lists of ids, amounts are whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from extender import cpuset
from extender.model.configuration import KubeletConfiguration, Version
from extender.model.machine import Machine
from extender.model.pod import Pod
from extender.model.state import Block, Device, Devices
from extender.model.verdict import Admission, Verdict
from extender.wire import fields
from extender.wire.fields import WireError
from extender.wire.kubelet_configuration import configuration_from_json
from extender.wire.machine import machine_from_json
from extender.wire.pod import pod_from_json
from extender.wire.sentences import kubelet_message


class Op(StrEnum):
    """What happens in a step."""

    ADMIT = "admit"
    REMOVE = "remove"
    STARTED = "started"


@dataclass(frozen=True, slots=True)
class Step:
    """One step; only ``admit`` has a pod."""

    op: Op
    uid: str
    pod: Pod | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One sequence of admissions on one kubelet."""

    id: str
    version: Version
    machine: Machine
    configuration: KubeletConfiguration
    devices: Devices
    steps: tuple[Step, ...]


def case_from_json(value: object) -> Case:
    """
    Reads a case.

    Raises:
        WireError: a field is missing or not what it must be.
    """
    case = fields.mapping(value, "case")
    return Case(
        id=fields.text(case.get("id"), "id", default=""),
        version=fields.choice(case.get("version"), "version", Version),
        machine=machine_from_json(case.get("machine")),
        configuration=configuration_from_json(case.get("kubelet")),
        devices=devices_from_json(case.get("devices")),
        steps=tuple(
            _step(step, f"steps[{index}]") for index, step in enumerate(fields.sequence(case.get("steps"), "steps"))
        ),
    )


def devices_from_json(value: object, field: str = "devices") -> Devices:
    """Reads devices by resource name."""
    return {
        resource: tuple(
            _device(device, f"{field}.{resource}[{index}]")
            for index, device in enumerate(fields.sequence(listed, f"{field}.{resource}"))
        )
        for resource, listed in fields.mapping(value, field).items()
    }


def _device(value: object, field: str) -> Device:
    device = fields.mapping(value, field)
    zones = [
        fields.integer(zone, f"{field}.numa[{index}]", least=-(2**31), most=cpuset.LARGEST_MEMBER)
        for index, zone in enumerate(fields.sequence(device.get("numa"), f"{field}.numa"))
    ]
    return Device(
        id=fields.text(device.get("id"), f"{field}.id"),
        zones=cpuset.of(zone for zone in zones if zone >= 0),
        located=bool(zones),
        healthy=fields.boolean(device.get("healthy"), f"{field}.healthy", default=True),
    )


def _step(value: object, field: str) -> Step:
    step = fields.mapping(value, field)
    op = fields.choice(step.get("op"), f"{field}.op", Op)
    if op is Op.ADMIT:
        pod = pod_from_json(step.get("pod"), f"{field}.pod")
        return Step(op, pod.uid, pod)
    return Step(op, fields.text(step.get("uid"), f"{field}.uid"))


def verdict_to_json(verdict: Verdict, uid: str = "") -> dict[str, object]:
    """Writes a verdict; empty members are left out."""
    if not isinstance(verdict, Admission):
        return {"admit": False, "reason": str(verdict.reason), "message": kubelet_message(verdict, uid)}
    answer: dict[str, object] = {"admit": True}
    if verdict.pod_cpus is not None:
        answer["podCpus"] = cpuset.render(verdict.pod_cpus)
    members: Mapping[str, object] = {
        "podMemory": blocks_to_json(verdict.pod_memory),
        "cpus": {name: cpuset.render(cpus) for name, cpus in verdict.cpus.items()},
        "memory": {name: blocks_to_json(blocks) for name, blocks in verdict.memory.items() if blocks},
        "devices": {
            name: {resource: sorted(ids) for resource, ids in held.items()} for name, held in verdict.devices.items()
        },
    }
    answer.update({name: member for name, member in members.items() if member})
    return answer


def blocks_to_json(blocks: Iterable[Block]) -> list[dict[str, object]]:
    """Writes memory blocks, sorted by type."""
    return [
        {"type": block.type, "size": block.size, "numa": list(cpuset.members(block.zones))}
        for block in sorted(blocks, key=lambda block: (block.type, block.size, block.zones))
    ]


__all__ = [
    "Case",
    "Op",
    "Step",
    "WireError",
    "blocks_to_json",
    "case_from_json",
    "devices_from_json",
    "verdict_to_json",
]
