"""
What a verdict tells beyond the kubelet's own words: exclusive slices, the pod shared pool, affinities, shortages.

The golden cases have no such members, so they are held against what must be true of them, worked out from the state
before and after; and a few are written out by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from builders import configuration, database, machine, pod
from proof import golden

from extender import cpuset
from extender.kubelet import admission
from extender.kubelet.admission import Kubelet
from extender.kubelet.errors import KubeletCrash, StartError
from extender.kubelet.requests import ContainerRequest, PodRequest, pod_request
from extender.model.configuration import Scope, TopologyPolicy, Version
from extender.model.pod import Container, Kind, Pod
from extender.model.state import Device, NodeState
from extender.model.verdict import Admission, Cause, Reason, Refusal, Shortage, Verdict
from extender.quantity import parse
from extender.wire.fields import WireError
from extender.wire.replay import Op, case_from_json

Told = tuple[Kubelet, NodeState, Pod, Verdict, NodeState]
GI = 1 << 30
RARE = {Cause.CPU_ACCOUNTING, Cause.DEVICE_UNREGISTERED, Cause.DEVICE_ALLOCATED_UNHEALTHY}
"""What no case among these ends in, or none of a third of them."""


def admissions() -> Iterator[Told]:
    """Every admission of the golden cases, with the states around it."""
    for path in golden.files()[::3]:
        for case, _ in golden.read(path):
            try:
                yield from told(case)
            except (WireError, StartError, KubeletCrash):
                continue


def told(value: object) -> Iterator[Told]:
    case = case_from_json(value)
    kubelet = admission.start(case.machine, case.configuration, case.version)
    state = admission.initial(kubelet, case.devices)
    for step in case.steps:
        before = state
        if step.op is Op.REMOVE:
            state = admission.remove(kubelet, state, step.uid)
        elif step.op is Op.STARTED:
            state = admission.started(kubelet, state, step.uid)
        else:
            assert step.pod is not None
            verdict, state = admission.admit(kubelet, state, step.pod)
            yield kubelet, before, step.pod, verdict, state


def test_every_verdict_of_the_golden_cases_adds_up() -> None:
    """Slices, pool, affinities and shortages follow from the states, whatever the configuration."""
    seen: Counter[str] = Counter()
    for kubelet, before, asked, verdict, after in admissions():
        if asked.uid in before.cpu.entries or asked.uid in before.memory.entries:
            continue  # a pod that comes again keeps what it has, also where its budget has changed
        if isinstance(verdict, Refusal):
            seen.update(refusal_adds_up(kubelet, before, asked, verdict))
        else:
            seen.update(admission_adds_up(kubelet, asked, verdict, after))

    assert min(seen[what] for what in ("slices", "pool", "exclusive", "affinity", "cpu", "memory", "device")) > 20, seen
    assert {str(cause) for cause in Cause if cause is not Cause.NO_ALIGNMENT} - RARE <= seen.keys()


def admission_adds_up(kubelet: Kubelet, asked: Pod, verdict: Admission, after: NodeState) -> Iterator[str]:
    request = pod_request(asked, kubelet.gates, kubelet.version)
    names = {container.name for container in request.containers}
    integral = {container.name for container in request.containers if container.cpus}
    assert asked.uid in after.active
    assert names == verdict.affinity.keys()
    assert {name for name in integral if name in verdict.cpus} == verdict.exclusive
    if verdict.exclusive:
        yield "exclusive"
    if verdict.pod_cpus is None:
        assert verdict.shared_pool is None
    else:
        lasting = [c.name for c in asked.containers if c.name in verdict.exclusive and c.kind is not Kind.INIT]
        slices = [verdict.cpus[name] for name in lasting]
        assert verdict.shared_pool is not None
        if any(
            one & ~verdict.pod_cpus for one in slices
        ):  # whole cores by their average size: a fault of the kubelet's
            assert len({len(core.threads) for zone in kubelet.machine.zones for core in zone.cores}) > 1
        else:
            assert verdict.pod_cpus == sum(slices) + verdict.shared_pool  # disjoint, and nothing is left out
        yield "slices" if slices else "whole"
        yield "pool" if verdict.shared_pool else "no pool"
    for affinity in verdict.affinity.values():
        if affinity is not None:
            assert affinity
            assert set(cpuset.members(affinity)) <= set(cpuset.members(kubelet.topology_manager.full))
            yield "affinity"


def refusal_adds_up(kubelet: Kubelet, before: NodeState, asked: Pod, verdict: Refusal) -> Iterator[str]:
    request = pod_request(asked, kubelet.gates, kubelet.version)
    whom = next((one for one in request.containers if one.name == verdict.container), request)
    if verdict.cause is not Cause.NO_ALIGNMENT:
        assert verdict.shortages == ()
        assert (kubelet.scope is Scope.POD and request.managed) == (verdict.container is None)
        yield figures_add_up(verdict, whom)
        return
    assert (kubelet.scope is Scope.POD) == (verdict.container is None)
    devices = {name: amount for name, amount in whom.devices.items() if name in before.device.reported}
    assert {one.resource: one.requested for one in verdict.shortages}.items() <= {
        "cpu": whom.cpus, **devices, **(whom.memory or {})
    }.items()  # fmt: skip
    assert {one.resource for one in verdict.shortages} >= devices.keys()
    if len(request.containers) == 1 or verdict.container is None:
        assert [expected_shortage(kubelet, before, one) for one in verdict.shortages] == list(verdict.shortages)
    for one in verdict.shortages:
        yield one.resource if one.resource in ("cpu", "memory") else "device" if "/" in one.resource else "hugepages"


def figures_add_up(verdict: Refusal, whom: PodRequest | ContainerRequest) -> str:
    """What was asked for and what there was, of a refusal that the allocation ended in."""
    cause, resource = verdict.cause, verdict.resource or ""
    assert (verdict.reason is Reason.EMPTY_POD_SHARED_POOL) == verdict.pod_level
    kind = "device" if "/" in resource else resource if resource in ("cpu", "memory") else "hugepages"
    if cause is Cause.AMOUNT_NOT_AN_INTEGER:
        assert ("memory", None, None) == (resource, verdict.requested, verdict.available)
        return f"{cause}"
    amounts = {**whom.devices, **(whom.memory or {}), "cpu": whom.cpus}
    assert verdict.requested is not None
    if cause.startswith("device"):
        assert kind == "device"
        assert verdict.requested <= amounts[resource]
    elif cause in (Cause.NOT_ENOUGH_CPUS, Cause.CPU_ACCOUNTING) or cause.startswith("smt"):
        assert kind == "cpu"
        assert verdict.container is None or verdict.requested <= amounts["cpu"]
    elif verdict.pod_level:
        assert (amounts[resource], 0) == (verdict.requested, verdict.available)
    else:
        assert kind in ("memory", "hugepages")
        assert verdict.available is None
        assert verdict.requested in ({amounts.get(resource, 0), 0} if verdict.container else {amounts[resource]})
    if cause in (Cause.NOT_ENOUGH_CPUS, Cause.DEVICE_NOT_ENOUGH):
        assert verdict.available is not None
        assert verdict.available < verdict.requested
    return f"{cause}"


def expected_shortage(kubelet: Kubelet, before: NodeState, told: Shortage) -> Shortage:
    """A shortage from the state that the hints saw, counted in another way."""
    state = admission.settled(kubelet, before)
    if told.resource == "cpu":
        assert kubelet.cpu is not None
        free = cpuset.members(kubelet.cpu.available(state.cpu))
        zone_of = {cpu: zone for zone, cpus in kubelet.cpu.topology.zones.items() for cpu in cpuset.members(cpus)}
        found = Counter(zone_of[cpu] for cpu in free)
        return replace(told, available={zone: found[zone] for zone in kubelet.cpu.topology.zones})
    if "/" not in told.resource:
        found = Counter({zone: memory.free.get(told.resource, 0) for zone, memory in state.memory.zones.items()})
        return replace(told, available={zone: found[zone] for zone in state.memory.zones})
    return replace(told, available=devices_by_zone(kubelet, state, told.resource))


def devices_by_zone(kubelet: Kubelet, state: NodeState, resource: str) -> dict[int, int]:
    taken = {
        id_
        for pods in state.device.entries.values()
        for held in pods.values()
        for id_ in held.get(resource, frozenset())
    }
    free = [one for one in state.device.reported[resource] if one.healthy and one.id not in taken]
    return {zone: sum(bool(one.zones >> zone & 1) for one in free) for zone in kubelet.device.zones}


def refused(kubelet: Kubelet, state: NodeState, asked: Pod) -> Refusal:
    verdict, _ = admission.admit(kubelet, state, asked)
    assert isinstance(verdict, Refusal)
    return verdict


def kubelet(policy: TopologyPolicy = TopologyPolicy.SINGLE_NUMA_NODE, scope: Scope = Scope.POD) -> Kubelet:
    return admission.start(machine(), configuration(policy, scope), Version.V1_37)


def test_the_example_has_an_exclusive_slice_and_a_pool() -> None:
    """The example's ``db`` gets six CPUs of zone 0, and its other two containers share the two that are left."""
    node = kubelet()
    verdict, _ = admission.admit(node, admission.initial(node), database("a"))

    assert isinstance(verdict, Admission)
    assert frozenset({"db"}) == verdict.exclusive
    assert {"db": 0b1, "metrics": 0b1, "backup": 0b1} == verdict.affinity
    assert verdict.pod_cpus is not None
    assert verdict.shared_pool is not None
    assert (8, 6, 2) == tuple(map(int.bit_count, (verdict.pod_cpus, verdict.cpus["db"], verdict.shared_pool)))
    assert verdict.shared_pool == verdict.cpus["metrics"] == verdict.cpus["backup"]
    assert verdict.pod_cpus == verdict.cpus["db"] | verdict.shared_pool


def test_a_full_zone_is_told_with_its_quantities() -> None:
    """Zone 0 has reserved CPUs and one pod, zone 1 another: what each has left is told, and nothing that fits."""
    node = kubelet()
    state = admission.initial(node)
    for name, cpu in (("a", "12"), ("b", "10")):
        verdict, state = admission.admit(node, state, pod(name, cpu=cpu, memory="8Gi"))
        assert verdict.admit
    verdict = refused(node, state, pod("c", cpu="8", memory="2Gi"))

    assert (None, False) == (verdict.container, verdict.pod_level)
    assert (
        Shortage("cpu", 8, {0: 2, 1: 6}),
        Shortage("memory", 2 * GI, {0: 64 * GI - GI - 8 * GI, 1: 56 * GI}),
    ) == verdict.shortages


def test_container_scope_names_the_container_and_its_own_amounts() -> None:
    """The second container is the one that does not fit; the first one's share is gone already."""
    node = kubelet(scope=Scope.CONTAINER)
    one = pod("a", cpu="10", memory="1Gi").containers[0]
    asked = Pod("u", "p", tuple(replace(one, name=name) for name in ("first", "second", "third")))
    verdict = refused(node, admission.initial(node), asked)

    assert "third" == verdict.container
    assert Shortage("cpu", 10, {0: 4, 1: 6}) == verdict.shortages[0]


def test_a_budget_is_told_as_the_pods() -> None:
    """For a pod with a budget the sum is what was asked for, and the refusal says that it is the pod's."""
    node = kubelet()
    state = admission.initial(node)
    for name in "abc":
        _, state = admission.admit(node, state, database(name))
    verdict = refused(node, state, database("d"))

    assert verdict.pod_level
    assert Shortage("cpu", 8, {0: 6, 1: 0}) == verdict.shortages[0]


@pytest.mark.parametrize("scope", Scope)
def test_devices_are_told_by_the_zones_that_they_are_near(scope: Scope) -> None:
    """Healthy and free devices count, one near two zones in both; a resource nobody reports is not told."""
    node = kubelet(scope=scope)
    nics = Device("n0", 0b1), Device("n1", 0b11), Device("n2", 0b10, healthy=False)
    state = admission.initial(node, {"example.com/nic": nics})
    first = pod("a", cpu="1", memory="1Gi")
    container = first.containers[0]
    amounts = {"example.com/nic": parse("3"), "example.com/other": parse("1")}
    wanted = replace(
        container.resources,
        requests={**container.resources.requests, **amounts},
        limits={**container.resources.limits, **amounts},
    )
    asked = replace(first, containers=(Container(container.name, container.kind, wanted),))
    found = {one.resource: one for one in refused(node, state, asked).shortages}

    assert {"cpu", "memory", "example.com/nic"} == found.keys()
    assert Shortage("example.com/nic", 3, {0: 2, 1: 1}) == found["example.com/nic"]


def test_zones_of_an_affinity_are_those_with_enough() -> None:
    """Restricted takes the fewest zones that hold the request, and says which; best-effort as many as one resource needs."""
    node = kubelet(TopologyPolicy.RESTRICTED)
    wide, _ = admission.admit(node, admission.initial(node), pod("wide", cpu="20", memory="100Gi"))
    narrow, _ = admission.admit(node, admission.initial(node), pod("narrow", cpu="16", memory="1Gi"))
    eager = kubelet(TopologyPolicy.BEST_EFFORT)
    parted, _ = admission.admit(eager, admission.initial(eager), pod("parted", cpu="20", memory="1Gi"))

    assert [{"main": 0b11}, {"main": 0b10}] == [one.affinity for one in (wide, narrow) if isinstance(one, Admission)]
    assert isinstance(parted, Admission)
    assert {"main": 0b11} == parted.affinity  # as wide as the CPUs need, though the memory would fit one zone


def test_a_group_that_nobody_uses_keeps_others_out_of_its_zones_only_singly() -> None:
    """A checkpoint may have a group of zones without assignments: another group may take them, a single zone may not."""
    node = kubelet(TopologyPolicy.RESTRICTED)
    state = admission.initial(node)
    group = {zone: replace(memory, cells=0b11) for zone, memory in state.memory.zones.items()}
    left = replace(state, memory=replace(state.memory, zones=group))
    wide, _ = admission.admit(node, left, pod("wide", cpu="20", memory="100Gi"))

    assert wide.admit
    assert Cause.NO_ALIGNMENT is refused(node, left, pod("narrow", cpu="4", memory="1Gi")).cause


@pytest.mark.parametrize("strict", [False, True])
def test_with_strict_reservation_reserved_cpus_are_no_part_of_the_shared_pool(strict: bool) -> None:
    """A fresh kubelet's shared pool is every CPU, or with the option every CPU that is not reserved."""
    told = replace(configuration(), cpu_options={"strict-cpu-reservation": str(strict).lower()})
    node = admission.start(machine(), told, Version.V1_37)
    every = (1 << 32) - 1

    assert (every & ~cpuset.of((0, 16)) if strict else every) == admission.initial(node).cpu.default


@pytest.mark.parametrize(
    ("nics", "asked", "expected"),
    [
        pytest.param(1, "2", (Cause.DEVICE_NOT_ENOUGH, 2, 1), id="there are fewer"),
        pytest.param(0, "2", (Cause.DEVICE_NONE_HEALTHY, 2, 0), id="none is healthy"),
    ],
)
def test_refusals_for_devices_have_quantities(nics: int, asked: str, expected: tuple[Cause, int, int]) -> None:
    """Where no hint stands in the way, the allocation says how many were asked for and how many there were."""
    node = kubelet(TopologyPolicy.NONE)
    devices = [Device(f"n{number}", located=False, healthy=number < nics) for number in range(3)]
    first = pod("a", cpu="1", memory="1Gi")
    own = first.containers[0].resources
    amounts = {"example.com/nic": parse(asked)}
    wanted = replace(own, requests={**own.requests, **amounts}, limits={**own.limits, **amounts})
    verdict = refused(
        node,
        admission.initial(node, {"example.com/nic": tuple(devices)}),
        replace(first, containers=(Container("main", Kind.APP, wanted),)),
    )

    assert expected == (verdict.cause, verdict.requested, verdict.available)
    assert "example.com/nic" == verdict.resource
