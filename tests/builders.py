"""Builders of nouns for tests: a few words make a machine, a pod, a report."""

from __future__ import annotations

from extender.kubelet import admission
from extender.model.configuration import (
    CpuPolicy,
    KubeletConfiguration,
    MemoryPolicy,
    ReservedMemory,
    Scope,
    TopologyPolicy,
    Version,
)
from extender.model.machine import Core, Machine, Zone
from extender.model.pod import Container, Kind, Pod, Resources
from extender.model.report import Report
from extender.quantity import parse

GATES = {"PodLevelResources": True, "PodLevelResourceManagers": True}


def machine(zones: int = 2, cores: int = 8, gibibytes: int = 64) -> Machine:
    """A machine with SMT whose zones are its sockets; siblings are ``zones * cores`` apart, as on common servers."""
    return Machine(
        zones=tuple(
            Zone(
                id=zone,
                memory=gibibytes << 30,
                cores=tuple(
                    Core((cpu, cpu + zones * cores), socket=zone) for cpu in range(zone * cores, (zone + 1) * cores)
                ),
                distances=tuple(10 if zone == other else 21 for other in range(zones)),
            )
            for zone in range(zones)
        ),
        cpus=zones * cores * 2,
        sockets=zones,
    )


def configuration(
    policy: TopologyPolicy = TopologyPolicy.SINGLE_NUMA_NODE,
    scope: Scope = Scope.POD,
    reserved_cpus: str = "0,16",
) -> KubeletConfiguration:
    """Static managers, pod-level resources on, 1Gi reserved in zone 0."""
    return KubeletConfiguration(
        topology_policy=policy,
        topology_scope=scope,
        cpu_policy=CpuPolicy.STATIC,
        memory_policy=MemoryPolicy.STATIC,
        reserved_system_cpus=reserved_cpus,
        system_reserved={"memory": parse("924Mi")},
        reserved_memory=(ReservedMemory(0, {"memory": parse("1Gi")}),),
        feature_gates=GATES,
    )


def resources(cpu: str, memory: str) -> Resources:
    """Requests equal to limits."""
    amounts = {"cpu": parse(cpu), "memory": parse(memory)}
    return Resources(amounts, amounts)


def pod(name: str, cpu: str = "4", memory: str = "4Gi", uid: str = "") -> Pod:
    """A pod with one container whose requests equal its limits."""
    return Pod(uid or f"uid-{name}", name, (Container("main", Kind.APP, resources(cpu, memory)),))


def database(name: str) -> Pod:
    """The example: a budget of 8 CPU and 16Gi, of which ``db`` has 6 and 12Gi alone."""
    containers = (
        Container("db", Kind.APP, resources("6", "12Gi")),
        Container("metrics"),
        Container("backup"),
    )
    return Pod(f"uid-{name}", name, containers, resources=resources("8", "16Gi"))


def report(
    node: str,
    *admitted: Pod,
    on: Machine | None = None,
    by: KubeletConfiguration | None = None,
    heartbeat: int | None = 1000,
) -> Report:
    """An exact report of a node that has admitted these pods, one after the other."""
    hardware, told = on or machine(), by or configuration()
    kubelet = admission.start(hardware, told, Version.V1_37)
    state = admission.initial(kubelet)
    for one in admitted:
        verdict, state = admission.admit(kubelet, state, one)
        assert verdict.admit, verdict
    return Report(node, hardware, told, Version.V1_37, state, heartbeat=heartbeat)
