"""
Clusters to measure on: nodes that all differ, with a history of admissions each, as the objects of a real API server.

Everything but the time follows from a seed. States are the twin's: each node's kubelet has admitted the pods that are bound to it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from builders import configuration

from extender.fleet import rooms
from extender.kubelet import admission
from extender.model.configuration import (
    Scope,
    TopologyPolicy,
    Version,
)
from extender.model.machine import Core, Machine, Zone
from extender.model.report import Amount, Report, ZoneQuantities
from extender.wire.nrt import report_to_nrt
from extender.wire.pod import pod_from_json

Object = dict[str, Any]

GIB, MIB = 1 << 30, 1 << 20
CORES = 16
"""Of a zone, two threads each."""
NODES = "/api/v1/nodes"
PODS = "/api/v1/pods"
NOW = int(time.time())
"""The heartbeat of all reports: old ones are stale, and what is stale is judged in another way."""


@dataclass(frozen=True)
class Setup:
    """What kind of nodes a cluster has."""

    zones: int = 2
    policy: TopologyPolicy = TopologyPolicy.SINGLE_NUMA_NODE
    scope: Scope = Scope.POD


def machine(number: int, zones: int) -> Machine:
    """A machine like no other of the cluster: each has a little more memory than the one before."""
    far = zones * CORES
    return Machine(
        zones=tuple(
            Zone(
                id=zone,
                memory=128 * GIB + number * MIB,
                cores=tuple(Core((cpu, cpu + far), zone) for cpu in range(zone * CORES, (zone + 1) * CORES)),
                distances=tuple(10 if zone == other else 21 for other in range(zones)),
            )
            for zone in range(zones)
        ),
        cpus=2 * far,
        sockets=zones,
    )


def pod(name: str, *containers: tuple[str, str], namespace: str = "bench") -> Object:
    """A guaranteed pod as the API server would store it; containers are (CPUs, memory)."""
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}"},
        "spec": {
            "containers": [
                {
                    "name": f"c{number}",
                    "image": "pause",
                    "resources": {
                        "requests": {"cpu": cpus, "memory": memory},
                        "limits": {"cpu": cpus, "memory": memory},
                    },
                }
                for number, (cpus, memory) in enumerate(containers)
            ]
        },
        "status": {"qosClass": "Guaranteed", "phase": "Pending"},
    }


@dataclass(frozen=True)
class Node:
    """One node, and the pods bound to it."""

    name: str
    report: Report
    pods: tuple[Object, ...]

    @property
    def topology(self) -> Object:
        """Its NodeResourceTopology."""
        return report_to_nrt(self.report)


def node(name: str, number: int, dice: random.Random, setup: Setup, most_pods: int) -> Node:
    """Draws a node with at most so many pods."""
    hardware, told = machine(number, setup.zones), configuration(setup.policy, setup.scope, f"0,{setup.zones * CORES}")
    kubelet = admission.start(hardware, told, Version.V1_37)
    state = admission.initial(kubelet)
    admitted = []
    for count in range(most_pods):
        asked = pod(f"{name}-{count}", (str(dice.choice((1, 2, 2, 3, 4))), f"{dice.randint(1, 12)}Gi"))
        verdict, after = admission.admit(kubelet, state, pod_from_json(asked))
        if verdict.admit:
            state = after
            asked["spec"]["nodeName"] = name
            asked["status"]["phase"] = "Running"
            admitted.append(asked)
    zones = tuple(
        ZoneQuantities(
            room.zone,
            {resource: Amount(able, able, room.free[resource]) for resource, able in room.allocatable.items()},
            dict(enumerate(hardware.zones[room.zone].distances)),
        )
        for room in rooms(kubelet, state)
    )
    report = Report(name, hardware, told, Version.V1_37, state, kubelet_version="v1.37.2", zones=zones, heartbeat=NOW)
    return Node(name, report, tuple(admitted))


def cluster(count: int, *, seed: str = "bench", setup: Setup | None = None, most_pods: int = 6) -> Iterator[Node]:
    """Yields the nodes of a cluster, filled with a random number of pods each."""
    dice = random.Random(seed)
    for number in range(count):
        yield node(f"node-{number:05d}", number, dice, setup or Setup(), dice.randint(0, most_pods))


def changed(one: Node, heartbeat: int) -> Node:
    """The same node once its last pod is gone, or with a later heartbeat if it has none."""
    uid = f"uid-{one.pods[-1]['metadata']['name']}" if one.pods else ""
    kubelet = admission.start(one.report.machine, one.report.configuration, one.report.version)
    state = admission.settled(kubelet, admission.remove(kubelet, one.report.state, uid))
    return Node(one.name, replace(one.report, state=state, heartbeat=heartbeat), one.pods[:-1])


def question(asked: Object, names: list[str]) -> Object:
    """What a scheduler with nodeCacheCapable sends to filter and prioritize."""
    return {"Pod": asked, "Nodes": None, "NodeNames": names}
