"""A real kubelet and its twin, side by side: the same pods for both, and what they make of them compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, permutations, product
from pathlib import Path
from typing import Any

import orjson
import yaml
from lab.api import Object
from lab.devices import Device
from lab.kubelet import Kubelet
from lab.pods import phase

from extender.exporter import checkpoints
from extender.kubelet import admission
from extender.kubelet.errors import KubeletCrash
from extender.model.configuration import CpuPolicy, MemoryPolicy, Version
from extender.model.pod import Kind, Pod
from extender.model.state import Device as TwinDevice
from extender.model.state import NodeState
from extender.model.verdict import Admission, Refusal, Verdict
from extender.wire.kubelet_configuration import configuration_from_json
from extender.wire.machine import machine_from_json
from extender.wire.pod import pod_from_json
from extender.wire.sentences import kubelet_message

OUT_OF = "OutOf"
"""Begins the reasons of the kubelet's look at the node's totals, which comes after its managers have admitted a pod."""
REJECTED = "Pod was rejected: "
MOST_ORDERS = 2_000


class Pair:
    """One kubelet of the lab, and the twin of it."""

    def __init__(self, kubelet: Kubelet, version: Version, devices: Mapping[str, Sequence[Device]]) -> None:
        """Starts the twin on the machine and the configuration that the kubelet was started with."""
        self.kubelet = kubelet
        configuration = yaml.safe_load((kubelet.folder / "kubelet.yaml").read_text())
        self._twin = admission.start(
            machine_from_json(kubelet.machine), configuration_from_json(configuration), version
        )
        reported = {resource: tuple(map(_device, listed)) for resource, listed in devices.items()}
        self.state = admission.initial(self._twin, reported)
        self.steps: list[Object] = []
        """What was done, as steps of a replay case."""
        self.chances = 0
        """How often the kubelet gave memory back in another order than the twin."""
        self._case = {
            "id": kubelet.name,
            "version": str(version),
            "machine": kubelet.machine,
            "kubelet": configuration,
            "devices": {
                resource: [{"id": one.id, "numa": list(one.zones), "healthy": one.healthy} for one in listed]
                for resource, listed in devices.items()
            },
        }

    def survives(self, body: Object) -> bool:
        """Whether the kubelet, by the word of the twin, neither crashes nor hangs on a pod."""
        try:
            admission.admit(self._twin, self.state, pod_from_json(body | {"metadata": {"uid": "nobody"}}))
        except KubeletCrash:
            return False
        return True

    def admitted(self, item: Object) -> tuple[Verdict, list[str]]:
        """
        Lets the twin admit a pod that the kubelet has decided about.

        What gone pods held is given back in the order of a Go map, and where blocks on several zones overlap, the order
        decides which zone has how much (releaseMemory). So if the kubelet differs, the twin tries the other orders.

        Returns the twin's verdict, and the differences between kubelet and twin, each in a sentence.
        """
        pod = pod_from_json(item)
        self.steps.append({"op": "admit", "pod": item})
        verdict, state, differences = self._admit(self.state, pod, item)
        if differences:
            for other in islice(_orders(self.state, pod.uid), MOST_ORDERS):
                attempt = self._admit(other, pod, item)
                if not attempt[2]:
                    verdict, state, differences = attempt
                    self.chances += 1
                    break
        self.state = state
        if phase(item) != "Failed" and any(one.kind is Kind.INIT for one in pod.containers):
            self.steps.append({"op": "started", "uid": pod.uid})
        if phase(item) == "Failed" and verdict.admit:
            self.removed(pod.uid)
        return verdict, differences

    def _admit(self, state: NodeState, pod: Pod, item: Object) -> tuple[Verdict, NodeState, list[str]]:
        verdict, state = admission.admit(self._twin, state, pod)
        differences = list(_verdicts(item, verdict))
        if not differences and isinstance(verdict, Admission) and phase(item) != "Failed":
            state = admission.started(self._twin, state, pod.uid)
            state, other_devices = self._with_devices(state, pod, verdict)
            differences += other_devices
        differences += self.differences(state)
        return verdict, state, differences

    def removed(self, uid: str) -> None:
        """Tells the twin that a pod is gone."""
        self.steps.append({"op": "remove", "uid": uid})
        self.state = admission.remove(self._twin, self.state, uid)

    def differences(self, state: NodeState) -> Iterator[str]:
        """What the kubelet has on disk and the twin's state has otherwise."""
        folder, configuration = self.kubelet.state_dir, self._twin.configuration
        pairs: list[tuple[str, object, object]] = []
        if configuration.cpu_policy is CpuPolicy.STATIC:
            cpu, twin = checkpoints.cpu_checkpoint((folder / checkpoints.CPU_FILE).read_bytes()), state.cpu
            pairs += [
                ("shared CPUs", cpu.default, twin.default),
                ("CPUs", _filled(cpu.entries), _filled(twin.entries)),
                ("CPUs of pods", dict(cpu.pod_entries), twin.pod_entries),
            ]
        if configuration.memory_policy is MemoryPolicy.STATIC:
            held = checkpoints.memory_checkpoint((folder / checkpoints.MEMORY_FILE).read_bytes())
            memory = state.memory
            pairs += [
                ("zones", dict(held.zones), memory.zones),
                ("memory", _sorted_blocks(held.entries), _sorted_blocks(memory.entries)),
                ("memory of pods", _sorted({"": held.pod_entries}), _sorted({"": memory.pod_entries})),
            ]
        for what, real, twins in pairs:
            if real != twins:
                yield f"{what}: the kubelet has {real!r}, the twin {twins!r}"

    def _with_devices(self, state: NodeState, pod: Pod, verdict: Admission) -> tuple[NodeState, list[str]]:
        """
        Compares how many devices the pod got, and how many of them near its affinity, then takes over the kubelet's
        own: which of several is chance there.
        """
        if not verdict.devices:
            return state, []
        path = self.kubelet.state_dir / checkpoints.DEVICE_FOLDER / checkpoints.DEVICE_FILE
        entries = checkpoints.device_checkpoint(path.read_bytes()).entries
        held = {name: dict(resources) for name, resources in entries.get(pod.uid, {}).items()}
        zones = {one.id: one.zones for listed in state.device.reported.values() for one in listed}
        real, twins = _near(verdict, zones, held), _near(verdict, zones, verdict.devices)
        differences = [] if real == twins else [f"devices, all and near: the kubelet gave {real!r}, the twin {twins!r}"]
        device = replace(state.device, entries={**state.device.entries, pod.uid: held})
        return replace(state, device=device), differences

    def write_case(self, path: Path) -> Path:
        """Writes all that was done as a case for `numa-extender replay` and for the judge of verdicts."""
        path.write_bytes(orjson.dumps(self._case | {"steps": self.steps}) + b"\n")
        return path


def _verdicts(item: Object, verdict: Verdict) -> Iterator[str]:
    status = item["status"]
    reason = status.get("reason", "") if phase(item) == "Failed" else ""
    if isinstance(verdict, Refusal):
        told = kubelet_message(verdict, item["metadata"]["uid"])
        said = status.get("message", "").removeprefix(REJECTED)
        if (reason, said) != (str(verdict.reason), told):
            yield f"the kubelet says {reason or 'yes'} {said!r}, the twin {verdict.reason} {told!r}"
    elif reason and not reason.startswith(OUT_OF):
        yield f"the kubelet refuses, {reason} {status.get('message')!r}, and the twin admits"


def _near(
    verdict: Admission, zones: Mapping[str, int], held: Mapping[str, Mapping[str, frozenset[str]]]
) -> Mapping[tuple[str, str], tuple[int, int]]:
    """Container and resource to how many devices it has, and how many of them near its affinity."""
    return {
        (name, resource): (len(ids), sum(bool(zones[id_] & (verdict.affinity.get(name) or 0)) for id_ in ids))
        for name, resources in held.items()
        for resource, ids in resources.items()
    }


def _orders(state: NodeState, uid: str) -> Iterator[NodeState]:
    """The same state with what gone pods hold of memory in every other order: pod by pod, container by container."""
    entries = state.memory.entries
    gone = [other for other in entries if other not in state.active and other != uid]
    kept = {other: held for other, held in entries.items() if other not in gone}
    for pods in permutations(gone):
        for containers in product(*(permutations(entries[other]) for other in pods)):
            ordered = {
                other: {name: entries[other][name] for name in names}
                for other, names in zip(pods, containers, strict=True)
            }
            after = state.copy()
            after.memory.entries = {**ordered, **kept}
            yield after


def _device(one: Device) -> TwinDevice:
    return TwinDevice(one.id, sum(1 << zone for zone in one.zones), located=bool(one.zones), healthy=one.healthy)


def _filled(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {uid: dict(held) for uid, held in entries.items() if held}


def _sorted_blocks(entries: Mapping[str, Mapping[str, Sequence[Any]]]) -> dict[str, Any]:
    return {uid: sorted_ for uid, sorted_ in _sorted(entries).items() if sorted_}


def _sorted(entries: Mapping[str, Mapping[str, Sequence[Any]]]) -> dict[str, dict[str, Counter[Any]]]:
    """Blocks without their order, which is chance in the kubelet's files."""
    return {uid: {name: Counter(blocks) for name, blocks in held.items() if blocks} for uid, held in entries.items()}
