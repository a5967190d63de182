"""
What people are told about a live cluster is so: capacity is what the kubelets then admit, and both ways of asking agree.

Four kubelets of different policies and scopes, each with a pod that was there before, so that no zone is like another.
"""

import copy
import json
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import urllib3
from lab.api import Api, Object
from lab.control_plane import ControlPlane
from lab.kubelet import Kubelet
from lab.machines import machine
from lab.picture import Key, Picture
from lab.pods import container, example_pod, is_running, phase, pod
from lab.product import EXTENDER, NAMESPACE, Product
from lab.programs import program
from lab.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

SECONDS = 120
STATIC: Mapping[str, Any] = {
    "cpuManagerPolicy": "static",
    "reservedSystemCPUs": "0,16",
    "memoryManagerPolicy": "Static",
    "systemReserved": {"memory": "1Gi"},
    "featureGates": {"PodLevelResources": True, "PodLevelResourceManagers": True},
}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "single-pod": {"topologyManagerPolicy": "single-numa-node", "topologyManagerScope": "pod"},
    "single-container": {"topologyManagerPolicy": "single-numa-node", "topologyManagerScope": "container"},
    "restricted-cores": {
        "topologyManagerPolicy": "restricted",
        "topologyManagerScope": "pod",
        "cpuManagerPolicyOptions": {"full-pcpus-only": "true"},
    },
    "best-effort": {"topologyManagerPolicy": "best-effort", "topologyManagerScope": "container"},
}
BEFORE = {"single-pod": "6", "single-container": "10", "restricted-cores": "4", "best-effort": "2"}
"""CPUs of the pod that is on a node before anybody asks."""
INIT = container("prepare", {"cpu": "6", "memory": "1Gi"})
ASKED: Mapping[str, Object] = {
    "a pod-level budget": example_pod("asked"),
    "a plain pod": pod("asked", container("app", {"cpu": "4", "memory": "3Gi"})),
    "two containers": pod(
        "asked", container("a", {"cpu": "4", "memory": "1Gi"}), container("b", {"cpu": "2", "memory": "9Gi"})
    ),
    "an init container": pod("asked", container("app", {"cpu": "4", "memory": "1Gi"}), init=(INIT,)),
    "more than a zone": pod("asked", container("app", {"cpu": "18", "memory": "40Gi"})),
}


@pytest.fixture(scope="module")
def nodes(control_plane: ControlPlane, product: Product) -> Iterator[list[Kubelet]]:
    """The kubelets, and an exporter for each."""
    kubelets = [Kubelet(control_plane, name, machine(), {**STATIC, **changes}) for name, changes in SETTINGS.items()]
    with product.exporting(kubelets):
        yield kubelets


@pytest.fixture
def url(product: Product, nodes: Sequence[Kubelet], pods: Picture, api: Api, namespace: str) -> Iterator[str]:
    """An extender that knows all nodes, each of which runs its first pod."""
    first = [
        pod(
            f"before-{node.name}",
            container("app", {"cpu": BEFORE[node.name], "memory": "2Gi"}),
            node=node.name,
            namespace=namespace,
        )
        for node in nodes
    ]
    api.create_pods(first)
    pods.wait("the first pods to run", SECONDS, lambda objects: len(running(objects)) == len(first))
    extender, address = product.extender()
    extender.start()
    eventually(
        "all nodes to be known exactly", SECONDS, lambda: all(map(is_exact, over_http(address, "nodes")["nodes"]))
    )
    yield address
    extender.stop()


def is_exact(node: Mapping[str, Any]) -> bool:
    """Whether a node's report is exact and has its first pod."""
    return bool(node["knowledge"] == "exact" and node["pods"] >= 1)


def running(objects: Mapping[Key, Object]) -> list[Object]:
    return [item for item in objects.values() if is_running(item)]


def over_http(url: str, path: str, body: Any = None) -> Any:
    """Asks the extender."""
    method = "GET" if body is None else "POST"
    response = urllib3.request(
        method, f"{url}/api/v1/{path}", body=None if body is None else json.dumps(body), timeout=60
    )
    assert response.status == 200, response.data
    return response.json()


@pytest.fixture
def kubeconfig(control_plane: ControlPlane, product: Product) -> Path:  # noqa: ARG001 - it makes the account
    """Of the account that the extender has: reading nodes, pods and reports is all that a question needs."""
    return control_plane.service_account_kubeconfig(NAMESPACE, EXTENDER)


def on_command_line(kubeconfig: Path, *arguments: str, manifest: Object | None = None) -> Any:
    """Asks as a person does."""
    command = [str(program(EXTENDER)), "what-if", *arguments, "--kubeconfig", str(kubeconfig), "-o", "json"]
    text = json.dumps(manifest) if manifest is not None else None
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode in {0, 1}, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("asked", [pytest.param(one, id=name) for name, one in ASKED.items()])
def test_capacity_is_what_the_kubelets_then_admit(
    url: str,
    api: Api,
    namespace: str,
    pods: Picture,
    asked: Object,
    figures: list[str],
    request: Any,
) -> None:
    """Copies are bound to each node one after the other until its kubelet refuses one: as many run as was told."""
    (answer,) = over_http(url, "capacity", {"pods": [asked]})["pods"]
    told = {node["node"]: node["fits"] for node in answer["nodes"]}
    admitted = dict.fromkeys(told, 0)
    open_ = set(told)
    for number in range(40):
        if not open_:
            break
        created = api.create_pods(copy_of(asked, f"copy-{number}-{name}", name, namespace) for name in sorted(open_))
        keys = {(namespace, item["metadata"]["name"]): item["spec"]["nodeName"] for item in created}
        pods.wait(f"copies {number} to settle", SECONDS, partial(all_ended, keys))
        for key, name in keys.items():
            if phase(pods.objects[key]) == "Failed":
                open_.remove(name)
            else:
                admitted[name] += 1

    figures.append(f"what-if {request.node.callspec.id}: told {told}, admitted {admitted}")
    assert not open_
    assert told == admitted
    assert sum(admitted.values()) == answer["total"]


def copy_of(asked: Object, name: str, node: str, namespace: str) -> Object:
    """A copy for one node."""
    body = copy.deepcopy(asked)
    body["metadata"] = {"name": name, "namespace": namespace}
    body["spec"]["nodeName"] = node
    return body


def all_ended(keys: Collection[Key], objects: Mapping[Key, Object]) -> bool:
    """Whether kubelets have decided on all of these pods."""
    return all(ended(objects.get(key)) for key in keys)


def ended(item: Object | None) -> bool:
    """Whether a kubelet has decided on a pod."""
    return item is not None and (is_running(item) or phase(item) == "Failed")


@pytest.mark.parametrize(
    ("path", "body", "arguments"),
    [
        pytest.param("what-if", {}, ["fit", "--no-suggest"], id="would it fit"),
        pytest.param("capacity", {}, ["capacity"], id="how many"),
        pytest.param(
            "what-if", {"together": True, "replicas": 9}, ["fit", "--together", "--replicas", "9"], id="together"
        ),
        pytest.param(
            "what-if",
            {"amounts": {"cpu": "30", "memory": "60Gi"}, "suggest": 8},
            ["fit", "--cpu", "30", "--memory", "60Gi"],
            id="suggest",
        ),
        pytest.param(
            "capacity",
            {"change": {"kubelet": {"topologyManagerPolicy": "none"}, "nodes": ["single-*"]}},
            ["capacity", "--set", "topologyManagerPolicy=none", "--on", "single-*"],
            id="other settings",
        ),
        pytest.param(
            "what-if",
            {"change": {"drain": ["single-pod"]}},
            ["fit", "--drain", "single-pod", "--no-suggest"],
            id="drained",
        ),
        pytest.param(
            "capacity",
            {"change": {"add": [{"like": "single-pod", "count": 2, "name": "new"}]}},
            ["capacity", "--add", "like=single-pod,count=2,name=new"],
            id="added",
        ),
    ],
)
def test_command_line_and_http_say_the_same_of_a_live_cluster(
    url: str, kubeconfig: Path, path: str, body: Mapping[str, Any], arguments: Sequence[str]
) -> None:
    """The same question about the same cluster has the same answer, figure by figure."""
    asked = ASKED["a pod-level budget"]
    answer = over_http(url, path, {"pods": [asked], **body})
    printed = on_command_line(kubeconfig, *arguments, "-f", "-", manifest=asked)

    assert answer == printed
