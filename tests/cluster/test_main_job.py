"""
The main job, end to end: real scheduler, real kubelets, one exporter for each, the extender between them.

The machine is such that its zones are full long before the node is: four zones of 16 CPUs and 23Gi hold two pods each,
at most one of them the example of the announcement (16Gi), while the node as a whole would hold five of those or ten
of 6 CPUs. The scheduler alone sees the whole.
"""

import copy
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from lab.api import NODES, Api, Object
from lab.control_plane import ControlPlane
from lab.kubelet import Kubelet
from lab.machines import machine
from lab.picture import Key, Picture
from lab.pods import container, example_pod, is_running, is_settled, is_unschedulable, phase, pod
from lab.product import Product, metric
from lab.scheduler import CONFIGURATION_FILE
from lab.waiting import eventually

from conftest import ExporterFactory, ExtenderFactory, KubeletFactory, SchedulerFactory

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

SECONDS = 240
FOR_US: Mapping[str, Any] = {"schedulerName": "numa-scheduler"}
STATIC = {
    "cpuManagerPolicy": "static",
    "reservedSystemCPUs": "0,32",
    "memoryManagerPolicy": "Static",
    "systemReserved": {"memory": "1Gi"},
    "featureGates": {"PodLevelResources": True, "PodLevelResourceManagers": True},
}
SETTINGS = {
    f"{policy}-{scope}": STATIC | {"topologyManagerPolicy": policy, "topologyManagerScope": scope}
    for policy in ("single-numa-node", "restricted")
    for scope in ("pod", "container")
}
ZONES = 4
MACHINE = machine(zones=ZONES, memory_gib=23)
EXAMPLES, PLAIN, MORE_EXAMPLES = 12, 24, 2
HELD = 2 * ZONES * len(SETTINGS)
"""Two pods in each zone, however the examples are spread: 8 + 6 or 6 + 6 CPUs of 14 or 16."""


@pytest.fixture(scope="module")
def nodes(control_plane: ControlPlane, product: Product) -> Iterator[list[Kubelet]]:
    """Four kubelets, policies single-numa-node and restricted in both scopes, and an exporter for each."""
    kubelets = [Kubelet(control_plane, name, MACHINE, configuration) for name, configuration in SETTINGS.items()]
    with product.exporting(kubelets):
        yield kubelets


def rules(binds: bool, **more: str) -> dict[str, Any]:
    """The extender's settings that go with it."""
    return {"rules": {"assume": "bind" if binds else "filter"} | more}


def examples(number: int, namespace: str, first: int = 1) -> list[Object]:
    """Pods as in the announcement: 8 CPU and 16Gi, of which the database has 6 and 12Gi alone."""
    return [example_pod(f"example-{n}", namespace=namespace, **FOR_US) for n in range(first, first + number)]


def plain(name: str, namespace: str, **fields: Any) -> Object:
    """A guaranteed pod of 6 CPUs and 1Gi."""
    return pod(name, container("app", {"cpu": "6", "memory": "1Gi"}), namespace=namespace, **FOR_US, **fields)


def run_batch(api: Api, pods: Picture, namespace: str, expected: Sequence[int] = (0, 0, 0)) -> list[Object]:
    """
    Creates the batch, all of which the scheduler by itself would find room for, and returns the pods once settled.

    It comes in three waves of equal pods, because a kubelet that is given two different pods at the same moment may
    take either first. After each, as many pods as `expected` have to run.
    """
    waves = (
        examples(EXAMPLES, namespace),
        [plain(f"plain-{n}", namespace) for n in range(1, PLAIN + 1)],
        examples(MORE_EXAMPLES, namespace, first=EXAMPLES + 1),
    )
    created = 0
    for wave, least in zip(waves, expected, strict=True):
        api.create_pods(wave)
        created += len(wave)
        wait_settled(pods, created, least)
    return list(pods.objects.values())


def wait_settled(pods: Picture, number: int, least: int = 0) -> list[Object]:
    """Waits until so many pods are there, all are settled, and at least `least` of them run or one was refused."""

    def done(objects: Mapping[Key, Object]) -> bool:
        there = list(objects.values())
        return (
            len(there) == number
            and all(map(is_settled, there))
            and (len(running(there)) >= least or bool(refused(there)))
        )

    pods.wait(f"{number} pods to settle, {least} of them to run", SECONDS, done)
    return list(pods.objects.values())


def all_known(api: Api, url: str) -> bool:
    """Whether the extender knows every Node exactly."""
    return metric(url, "numa_extender_nodes", knowledge="exact") == len(api.items(NODES))


def refused(objects: list[Object]) -> Counter[str]:
    """How many pods the kubelets refused, by reason."""
    return Counter(item["status"].get("reason", "none") for item in objects if phase(item) == "Failed")


def running(objects: list[Object]) -> list[Object]:
    return [item for item in objects if is_running(item)]


def last_event(api: Api, item: Object) -> str:
    """What the scheduler said last about a pod that it found no node for."""

    def told() -> str:
        failed = [event for event in api.events(item) if event["reason"] == "FailedScheduling"]
        return str(failed[-1].get("note") or failed[-1]["message"]) if failed else ""

    return eventually(f"an event of {item['metadata']['name']}", SECONDS, told)


def straight_to(node: Kubelet, item: Object) -> Object:
    """The same pod, to be bound to a node without asking anybody."""
    body = copy.deepcopy(item)
    name = f"{item['metadata']['name']}-on-{node.name}"
    body["metadata"] = {"name": name, "namespace": item["metadata"]["namespace"]}
    body["spec"]["nodeName"] = node.name
    del body["status"]
    return body


def test_what_the_extender_lets_through_no_kubelet_refuses(
    extender: ExtenderFactory,
    nodes: list[Kubelet],
    scheduler: SchedulerFactory,
    api: Api,
    namespace: str,
    pods: Picture,
    binds: bool,
    configuration: Path,
) -> None:
    """
    As many pods run as the zones can hold and none is refused; those that do not fit stay Pending with our reason, and
    each kubelet would indeed have refused them; when a pod goes, one of them takes its place. The control: with the
    extender taken out of the scheduler's configuration, pods of the same batch fail with TopologyAffinityError.
    """
    url = extender(rules(binds))
    eventually("all nodes to be known", SECONDS, lambda: all_known(api, url))
    process = scheduler(configuration, extender_url=url).start()
    settled = run_batch(api, pods, namespace, (EXAMPLES, HELD, HELD))
    waiting = {item["metadata"]["name"]: item for item in settled if is_unschedulable(item)}

    assert (Counter(), HELD) == (refused(settled), len(running(settled)))
    assert {"plain": EXAMPLES + PLAIN - HELD, "example": MORE_EXAMPLES} == Counter(n.split("-")[0] for n in waiting)
    for item in waiting.values():
        assert re.search(r"numa: .* wants .*(6 CPU|12Gi|16Gi).* zone \d has \d", last_event(api, item))
    assert 0 < metric(url, "numa_extender_refusals_total", reason="TopologyAffinityError")
    assert (HELD if binds else 0) == metric(url, "numa_extender_bindings_total", result="bound")

    refused_by_all(nodes, api, pods, [waiting[max(waiting)], waiting[min(waiting)]])
    one_takes_the_place_of_another(api, pods, next(p for p in running(settled) if "plain" in p["metadata"]["name"]))

    process.stop()
    api.delete_pods(pods.objects.values())
    pods.wait("the pods to be gone", SECONDS, lambda objects: not objects)
    scheduler(configuration, extender_url=None).start()
    assert 1 <= refused(run_batch(api, pods, namespace))["TopologyAffinityError"]


def refused_by_all(nodes: list[Kubelet], api: Api, pods: Picture, items: list[Object]) -> None:
    """Each node's kubelet refuses copies of these pods when they are bound to it all the same."""
    before = len(pods.objects)
    tried = api.create_pods(straight_to(node, item) for item in items for node in nodes)
    pods.wait(
        "the kubelets to answer", SECONDS, lambda objects: sum(refused(list(objects.values())).values()) == len(tried)
    )
    assert {"TopologyAffinityError": len(tried)} == refused(wait_settled(pods, before + len(tried)))
    api.delete_pods(tried)
    pods.wait("the copies to be gone", SECONDS, lambda objects: len(objects) == before)


def one_takes_the_place_of_another(api: Api, pods: Picture, item: Object) -> None:
    """After one running pod is deleted, as many as before run again."""
    before = len(pods.objects)
    api.delete_pods([item])
    assert Counter() == refused(wait_settled(pods, before - 1, HELD))


def test_a_node_that_appears_later_is_used(
    extender: ExtenderFactory,
    exporter: ExporterFactory,
    kubelet: KubeletFactory,
    scheduler: SchedulerFactory,
    api: Api,
    namespace: str,
    pods: Picture,
    binds: bool,
    configuration: Path,
) -> None:
    """A node and its report that appear while the extender runs are judged exactly; a full zone of it is full."""
    url = extender(rules(binds))
    scheduler(configuration, extender_url=url).start()
    late = kubelet("late", MACHINE, SETTINGS["single-numa-node-pod"], labels={"rack": "late"}).start()
    exporter(late)
    eventually("the report", SECONDS, lambda: all_known(api, url))
    api.create_pods(plain(f"late-{n}", namespace, nodeSelector={"rack": "late"}) for n in range(1, 2 * ZONES + 2))
    settled = wait_settled(pods, 2 * ZONES + 1, least=2 * ZONES)

    assert (Counter(), 1) == (refused(settled), sum(map(is_unschedulable, settled)))
    assert {"late"} == {item["spec"]["nodeName"] for item in running(settled)}
    assert 0 == metric(url, "numa_extender_node_answers_total", knowledge="unknown", fits="true")


@pytest.mark.parametrize("rule", ["pass", "refuse"])
def test_a_node_without_inventory_is_handled_as_the_setting_says(
    extender: ExtenderFactory,
    exporter: ExporterFactory,
    kubelet: KubeletFactory,
    scheduler: SchedulerFactory,
    api: Api,
    namespace: str,
    pods: Picture,
    rule: str,
) -> None:
    """
    A node whose exporter is not there is let through or refused, and counted as unknown; once its report comes, it is
    judged exactly without a restart.
    """
    url = extender({} if rule == "pass" else rules(binds=True, unknownNodes=rule))
    scheduler(CONFIGURATION_FILE, extender_url=url).start()
    bare = kubelet("bare", MACHINE, SETTINGS["restricted-pod"], labels={"rack": "bare"}).start()
    eventually("the node", SECONDS, lambda: metric(url, "numa_extender_nodes", knowledge="unknown") == 1)
    (created,) = api.create_pods([plain("first", namespace, nodeSelector={"rack": "bare"})])
    (first,) = wait_settled(pods, 1)

    fits = "true" if rule == "pass" else "false"
    assert 1 <= metric(url, "numa_extender_node_answers_total", knowledge="unknown", fits=fits)
    if rule == "pass":
        assert is_running(first)
    else:
        assert "numa: the node is not known (no report)" in last_event(api, created)

    exporter(bare)
    eventually("its report", SECONDS, lambda: all_known(api, url))
    api.create_pods([plain("second", namespace, nodeSelector={"rack": "bare"})])
    wait_settled(pods, 2, least=2)
    assert 1 <= metric(url, "numa_extender_node_answers_total", knowledge="exact", fits="true")
