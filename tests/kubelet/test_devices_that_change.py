"""Pods that are admitted again after their devices have changed, as when a plugin is restarted or a device breaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from extender.kubelet import admission
from extender.kubelet.admission import Kubelet
from extender.kubelet.errors import KubeletCrash
from extender.model.configuration import KubeletConfiguration, TopologyPolicy, Version
from extender.model.machine import Core, Machine, Zone
from extender.model.pod import Container, Kind, Pod, Resources
from extender.model.state import Device, NodeState
from extender.model.verdict import Cause, Refusal
from extender.quantity import of

NIC = "vendor.com/nic"
DEVICES = {NIC: (Device("n0", zones=1), Device("n1", zones=2))}
MACHINE = Machine(
    zones=(Zone(0, 1 << 34, (Core((0,), 0),)), Zone(1, 1 << 34, (Core((1,), 1),))),
    cpus=2,
    sockets=2,
)


def kubelet(policy: TopologyPolicy) -> Kubelet:
    """A kubelet whose only manager with something to say is the device manager."""
    return admission.start(MACHINE, KubeletConfiguration(topology_policy=policy), Version.V1_37)


def pod(count: int) -> Pod:
    """A pod with so many devices."""
    limits = {NIC: of(count)}
    return Pod("p", "p", (Container("a", Kind.APP, Resources(limits, limits)),))


def admitted(node: Kubelet) -> NodeState:
    """The state after the pod has got its two devices."""
    verdict, state = admission.admit(node, admission.initial(node, DEVICES), pod(2))
    assert verdict.admit
    return state


@pytest.mark.parametrize(
    ("devices", "cause"),
    [
        ({}, Cause.DEVICE_UNREGISTERED),
        ({NIC: ()}, Cause.DEVICE_NONE_HEALTHY),
        ({NIC: tuple(replace(device, healthy=False) for device in DEVICES[NIC])}, Cause.DEVICE_NONE_HEALTHY),
        ({NIC: (DEVICES[NIC][0], replace(DEVICES[NIC][1], healthy=False))}, Cause.DEVICE_ALLOCATED_UNHEALTHY),
    ],
    ids=["the plugin is gone", "the plugin reports none", "all are broken", "one of the pod's is broken"],
)
def test_pod_without_its_devices_is_refused(devices: Mapping[str, tuple[Device, ...]], cause: Cause) -> None:
    """A pod that is admitted again is refused if its devices are not all there and healthy (devicesToAllocate)."""
    node = kubelet(TopologyPolicy.NONE)
    verdict, _ = admission.admit(node, admission.with_devices(admitted(node), devices), pod(2))

    assert isinstance(verdict, Refusal)
    assert cause == verdict.cause


def test_pod_with_its_devices_is_admitted_again() -> None:
    """The same pod keeps the same devices, also if others have come."""
    node = kubelet(TopologyPolicy.BEST_EFFORT)
    more = {NIC: (*DEVICES[NIC], Device("n2", zones=1))}
    before = admitted(node)
    verdict, after = admission.admit(node, admission.with_devices(before, more), pod(2))

    assert verdict.admit
    assert before.device.entries == after.device.entries


def test_devices_that_have_come_can_turn_a_running_pod_away() -> None:
    """With a second device in one zone two devices need one zone only, and the pod that has them in two is refused."""
    node = kubelet(TopologyPolicy.RESTRICTED)
    more = {NIC: (*DEVICES[NIC], Device("n2", zones=1))}
    verdict, _ = admission.admit(node, admission.with_devices(admitted(node), more), pod(2))

    assert isinstance(verdict, Refusal)
    assert Cause.NO_ALIGNMENT == verdict.cause


def test_device_that_has_vanished_crashes_the_kubelet() -> None:
    """A held device that its plugin reports no more is a nil pointer to the hints (generateDeviceTopologyHints)."""
    node = kubelet(TopologyPolicy.BEST_EFFORT)
    fewer = admission.with_devices(admitted(node), {NIC: DEVICES[NIC][:1]})

    with pytest.raises(KubeletCrash, match="has vanished"):
        admission.admit(node, fewer, pod(2))


def test_settled_state_is_what_the_next_admission_finds() -> None:
    """What a pod that is gone has held is free in the settled state, and only there."""
    node = kubelet(TopologyPolicy.NONE)
    gone = admission.remove(node, admitted(node), "p")

    assert {"p"} == gone.device.entries.keys()
    assert {} == admission.settled(node, gone).device.entries
