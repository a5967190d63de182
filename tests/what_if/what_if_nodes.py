"""Nodes for what-if tests: the sample inventory, and nodes that admitted the pods that a test names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from builders import configuration, machine

from extender.ask.sources import from_files
from extender.fleet import Snapshot
from extender.kubelet import admission
from extender.model.configuration import KubeletConfiguration, Version
from extender.model.machine import Machine
from extender.model.pod import Pod
from extender.model.state import Devices
from extender.samples import sample
from extender.what_if.site import Pods, Running, Site


def samples() -> list[Site]:
    """The sample inventory of config/."""
    return from_files([str(sample("inventory"))])


def site(
    name: str = "node",
    *pods: Pod,
    on: Machine | None = None,
    by: KubeletConfiguration | None = None,
    version: Version = Version.V1_37,
    devices: Devices | None = None,
) -> Site:
    """A node that has admitted these pods, one after the other; those that it refuses are not on it."""
    kubelet = admission.start(on or machine(), by or configuration(), version)
    state = admission.initial(kubelet, devices)
    running = {}
    for pod in pods:
        verdict, after = admission.admit(kubelet, state, pod)
        if verdict.admit:
            state = after
            running[pod.uid] = Running(pod, started=False)
    return Site(name, Snapshot(kubelet, state), Pods(running), "exact")


def pod_json(
    name: str = "asked",
    *containers: dict[str, object],
    budget: Mapping[str, object] | None = None,
    init: Sequence[object] = (),
) -> dict[str, object]:
    """A Pod as JSON."""
    spec: dict[str, object] = {"containers": list(containers), "initContainers": list(init)}
    if budget is not None:
        spec["resources"] = budget
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def container(name: str = "main", cpu: str = "4", memory: str = "8Gi", **more: str) -> dict[str, object]:
    """A container whose limits are its requests."""
    return {"name": name, "resources": {"limits": {"cpu": cpu, "memory": memory, **more}}}
