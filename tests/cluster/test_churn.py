"""
What exporters publish is enough to foresee their kubelets: pods come and go, exporters and kubelets restart, and after
each change, once it has settled, the twin on the published object alone says what the kubelet does with the next pod.

Nodes work in parallel, each on one pod at a time. COUNT (all nodes together) and SEED in the environment ask for more
and for others.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from churn_figures import Figures
from churn_node import KUBELET_EVERY, NIC, SECONDS, Course, Node, Reports, Setup
from lab.api import Api
from lab.control_plane import TOPOLOGIES, ControlPlane
from lab.devices import Device, DevicePlugin
from lab.machines import machine
from lab.picture import Picture, key
from lab.pods import container, is_settled, pod
from lab.process import start_together
from lab.product import Product, metric
from lab.workspace import Workspace

from conftest import KubeletFactory
from extender.wire.nrt import report_from_nrt

COUNT, SEED = int(os.environ.get("COUNT", "120")), os.environ.get("SEED", "1")

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600 + 3 * COUNT)]

STATIC = {
    "cpuManagerPolicy": "static",
    "memoryManagerPolicy": "Static",
    "systemReserved": {"memory": "512Mi"},
    "featureGates": {"PodLevelResources": True, "PodLevelResourceManagers": True},
    # Each pod is waited for; the kubelet's own brake on requests would be all that is measured.
    "kubeAPIQPS": 100,
    "kubeAPIBurst": 100,
}


SETUPS = {
    "pod-scope": Setup(
        machine(memory_gib=16),
        STATIC
        | {"topologyManagerPolicy": "single-numa-node", "topologyManagerScope": "pod", "reservedSystemCPUs": "0,16"},
        [Device("n0", [0]), Device("n1", [0]), Device("n2", [1]), Device("n3", [1]), Device("n4")],
    ),
    "container-scope": Setup(
        machine(zones=4, ids=[0, 1, 2, 10], cores_per_zone=4, memory_gib=8, hugepages={2048: 512}),
        STATIC
        | {"topologyManagerPolicy": "restricted", "topologyManagerScope": "container", "reservedSystemCPUs": "0,16"},
        [Device("n0", [0]), Device("n1", [1]), Device("n2", [2]), Device("n3", [10]), Device("n4", [10])],
    ),
    "best-effort": Setup(
        machine(memory_gib=16, caches_per_zone=2),
        STATIC
        | {
            "topologyManagerPolicy": "best-effort",
            "topologyManagerScope": "pod",
            "systemReserved": {"cpu": "1500m", "memory": "512Mi"},
            "cpuManagerPolicyOptions": {"full-pcpus-only": "true"},
        },
    ),
}

WANTED = {
    "pod-scope": ("budget", "devices", "init containers", "sidecars"),
    "container-scope": ("budget", "devices", "init containers", "sidecars"),
    "best-effort": ("init containers", "sidecars"),
}
"""Kinds of pods that each setup must have admitted in a long run."""


def test_published_objects_foresee_the_next_admission(
    workspace: Workspace, nodes: list[Node], api: Api, namespace: str, pods: Picture, figures: list[str]
) -> None:
    """
    After every change, restarts of exporters and kubelets among them, the twin on the published object alone has the
    kubelet's next verdict, reason and message, and the CPUs and memory blocks that it gives.
    """
    seen, reports = Figures(), Reports(api)
    try:
        with ThreadPoolExecutor(len(nodes)) as threads:
            courses = [Course(node, api, reports, pods, namespace, seen, SEED) for node in nodes]
            for future in [threads.submit(course.run, -(-COUNT // len(nodes))) for course in courses]:
                future.result()
    finally:
        reports.picture.stop()
        if seen.latencies:
            figures += seen.lines(len(nodes), SEED)

    assert [] == seen.differences, f"the cases are in {workspace.folder}, NODE/POD.case.json"
    assert COUNT <= seen.answers.total()
    assert {"admitted", "TopologyAffinityError"} <= seen.answers.keys()
    if COUNT >= KUBELET_EVERY // 2 * len(nodes):
        assert {"exporter restarts", "kubelet restarts"} <= seen.counts.keys()
    if COUNT >= 500:
        assert [] == seen.lacks(WANTED)


def test_nothing_is_written_without_change_but_heartbeats(
    kubelet: KubeletFactory, product: Product, api: Api, namespace: str, pods: Picture, figures: list[str]
) -> None:
    """On a node with pods where nothing changes, heartbeats are all that the exporter writes, and they tell no news."""
    setup, name = SETUPS["pod-scope"], "idle"
    idle = kubelet(name, setup.machine, setup.configuration).start()
    exporter = product.exporter(idle, {"publish": {"heartbeatSeconds": 1, "resyncSeconds": 1}})
    node = Node(idle, setup, exporter)
    exporter.start()
    try:
        amounts = {"cpu": "2", "memory": "1Gi"}
        created = api.create_pods(
            [pod(f"p{n}", container("app", amounts), node=name, namespace=namespace) for n in range(4)]
        )
        places = [key(one) for one in created]
        pods.wait("pods to run", SECONDS, lambda objects: all(is_settled(objects.get(place, {})) for place in places))
        time.sleep(3)
        before, counted = api.get(f"{TOPOLOGIES}/{name}"), _writes(node)
        time.sleep(8)
        after, writes = api.get(f"{TOPOLOGIES}/{name}"), _writes(node)
    finally:
        exporter.stop()
    writes.subtract(counted)
    beats = writes.pop(("report", "heartbeat"), 0)
    figures.append(
        f"idle exporter: {beats:.0f} heartbeats in 8 s at one a second, other writes {sum(writes.values()):.0f}"
    )

    assert {one["metadata"]["uid"] for one in created} == set(report_from_nrt(before).state.active)
    assert [before["attributes"], before["zones"]] == [after["attributes"], after["zones"]]
    assert beats >= 4
    assert {} == {which: number for which, number in writes.items() if number}


@pytest.fixture
def nodes(control_plane: ControlPlane, kubelet: KubeletFactory, product: Product) -> Iterator[list[Node]]:
    """A node of each setup with its exporter, two of each in a long run."""
    made = {f"{name}-{number}": setup for number in range(1 if COUNT < 500 else 2) for name, setup in SETUPS.items()}
    kubelets = [kubelet(name, setup.machine, setup.configuration) for name, setup in made.items()]
    start_together(kubelets)
    plugins = [
        DevicePlugin(control_plane, one, NIC, made[one.name].devices) for one in kubelets if made[one.name].devices
    ]
    listed = [Node(one, made[one.name], product.exporter(one)) for one in kubelets]
    try:
        for plugin in plugins:
            plugin.start()
        for node in listed:
            node.exporter.start()
        yield listed
    finally:
        for process in [*(node.exporter for node in listed), *(plugin.process for plugin in plugins)]:
            process.stop()


def _writes(node: Node) -> Counter[tuple[str, str]]:
    """Object and why to how often the exporter has written."""
    pairs = [(thing, why) for thing in ("report", "node") for why in ("change", "heartbeat", "growth")]
    name = "numa_exporter_writes_total"
    return Counter({(thing, why): int(metric(node.url, name, object=thing, why=why)) for thing, why in pairs})
