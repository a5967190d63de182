"""
Preemption: a pod of high priority gets a zone that the right ones have left, and nobody leaves in vain.

The node has zones of 14 and 16 CPUs for pods, and four pods fill it: 8 and 6 the first, 8 and 8 the second. Another
one wants 14. The scheduler, which sees sums, would evict the youngest that together have 14: one from each zone.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab.api import Api, Object
from lab.kubelet import Kubelet
from lab.machines import machine
from lab.picture import Picture
from lab.pods import container, is_running, is_unschedulable, phase, pod
from lab.process import Process
from lab.product import metric
from lab.scheduler import CONFIGURATION_FILE

from conftest import ExporterFactory, ExtenderFactory, KubeletFactory, SchedulerFactory

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

SECONDS = 60
CALM_SECONDS = 6.0
"""For so long nobody leaves, while the scheduler tries the pod again."""
NODE = "preempted"
CONFIGURATION = {
    "cpuManagerPolicy": "static",
    "memoryManagerPolicy": "Static",
    "topologyManagerPolicy": "single-numa-node",
    "reservedSystemCPUs": "0,16",
    "systemReserved": {"memory": "512Mi"},
}
THERE = {"old-8": "8", "other-8": "8", "young-6": "6", "young-8": "8"}
"""In the order of their arrival, which makes the kubelet put the first and the third in zone 0."""
ZONES = {"old-8", "young-6"}, {"other-8", "young-8"}


@pytest.fixture(scope="module")
def priorities(control_plane: Any) -> None:
    """Two classes of pods."""
    for name, value in (("low", 10), ("high", 1000)):
        control_plane.api.apply(
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": value,
            }
        )


@pytest.fixture
def node(kubelet: KubeletFactory, priorities: None) -> Kubelet:  # noqa: ARG001 - pods need them
    """The node, with nobody on it."""
    return kubelet(NODE, machine(), CONFIGURATION).start()


def filled(api: Api, pods: Picture, namespace: str, important: Mapping[str, str]) -> None:
    """Fills the node, pod by pod; all are of low priority but the ``important`` ones."""
    for name, cpus in THERE.items():
        api.create_pods([_pod(name, cpus, namespace, important.get(name, "low"), node=NODE)])
        pods.wait(f"{name} to run", SECONDS, lambda objects: is_running(objects.get((namespace, name), {})))  # noqa: B023


def asked(api: Api, pods: Picture, namespace: str, scheduler: str) -> None:
    """Asks for 14 CPUs, important ones, and waits until the scheduler has said something."""
    api.create_pods([_pod("asker", "14", namespace, "high", schedulerName=scheduler)])
    pods.wait("the asker to have a word", SECONDS, lambda objects: _has_a_word(objects.get((namespace, "asker"), {})))


def _has_a_word(item: Object) -> bool:
    return is_running(item) or is_unschedulable(item) or phase(item) == "Failed"


def _pod(name: str, cpus: str, namespace: str, priority: str, **more: Any) -> Object:
    requests = {"cpu": cpus, "memory": "1Gi"}
    return pod(name, container("app", requests), namespace=namespace, priorityClassName=priority, **more)


def _there(pods: Picture) -> set[str]:
    return {name for (_, name), item in pods.objects.items() if not item["metadata"].get("deletionTimestamp")}


@pytest.fixture
def ours(node: Kubelet, exporter: ExporterFactory, extender: ExtenderFactory, scheduler: SchedulerFactory) -> str:
    """The extender and its scheduler; its URL."""
    exporter(node)
    url = extender({"rules": {"assume": "bind"}})
    scheduler(CONFIGURATION_FILE, extender_url=url).start()
    return url


def test_the_right_pods_leave_a_zone(ours: str, api: Api, pods: Picture, namespace: str) -> None:
    """The two pods of one zone leave it, the other two stay, and the pod that they left it for runs there."""
    filled(api, pods, namespace, {})
    asked(api, pods, namespace, "numa-scheduler")
    pods.wait("the asker to run", SECONDS, lambda objects: is_running(objects[namespace, "asker"]))

    left = THERE.keys() - _there(pods)
    assert left in ZONES
    assert 0 == metric(ours, "numa_extender_kubelet_refusals_total")


def test_nobody_leaves_in_vain(ours: str, api: Api, pods: Picture, namespace: str) -> None:
    """With a pod in each zone that may not be evicted, evicting the two others would free no zone: nobody is."""
    filled(api, pods, namespace, {"old-8": "high", "other-8": "high"})
    asked(api, pods, namespace, "numa-scheduler")
    time.sleep(CALM_SECONDS)

    assert {*THERE, "asker"} == _there(pods)
    assert is_unschedulable(pods.objects[namespace, "asker"])
    assert 0 < metric(ours, "numa_extender_requests_total", verb="preempt")


def test_without_the_extender_pods_leave_in_vain(
    node: Kubelet,  # noqa: ARG001 - the pods go there
    scheduler: SchedulerFactory,
    api: Api,
    pods: Picture,
    namespace: str,
    tmp_path: Path,
) -> None:
    """The control: the scheduler alone evicts a pod from each zone, and the kubelet refuses the one they left for."""
    path = tmp_path / "scheduler.yaml"
    path.write_text(
        yaml.safe_dump({"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration"})
    )
    alone: Process = scheduler(path, extender_url=None)
    alone.start()
    filled(api, pods, namespace, {})
    asked(api, pods, namespace, "default-scheduler")
    pods.wait("the asker to be refused", SECONDS, lambda objects: phase(objects[namespace, "asker"]) == "Failed")

    assert {"young-6", "young-8"} == THERE.keys() - _there(pods)
    assert "TopologyAffinityError" == pods.objects[namespace, "asker"]["status"]["reason"]
