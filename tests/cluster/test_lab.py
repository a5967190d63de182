"""The lab itself: what is called real here does what the real thing does, and nothing is left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import urllib3
from lab.api import NODES, Api, Object, pod_path
from lab.control_plane import TOPOLOGIES, ControlPlane
from lab.controllers import NOT_READY
from lab.credentials import Credentials
from lab.devices import Device, DevicePlugin
from lab.kubelet import OLDER, Kubelet
from lab.machines import Machine, machine
from lab.picture import Picture
from lab.pods import container, example_pod, is_running, is_settled, phase, pod, sidecar
from lab.process import start_together
from lab.product import DEFINITION
from lab.recorder import Recorder
from lab.sysfs import write_sysfs
from lab.waiting import eventually, listens
from lab.workspace import BINARIES, Workspace

from conftest import KubeletFactory, SchedulerFactory

pytestmark = pytest.mark.cluster

SECONDS = 30
ALIGNED = {
    "topologyManagerPolicy": "single-numa-node",
    "topologyManagerScope": "pod",
    "cpuManagerPolicy": "static",
    "reservedSystemCPUs": "0,16",
    "memoryManagerPolicy": "Static",
    "systemReserved": {"memory": "1Gi"},
    "featureGates": {"PodLevelResources": True, "PodLevelResourceManagers": True},
}
DEFAULT_SCHEDULER = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
"""
SCHEDULER_WITH_EXTENDER = f"""{DEFAULT_SCHEDULER}
extenders:
- urlPrefix: https://extender.example:8443/scheduler
  filterVerb: filter
  enableHTTPS: true
  tlsConfig: {{insecure: true}}
  nodeCacheCapable: true
"""


@pytest.fixture
def node(kubelet: KubeletFactory) -> Kubelet:
    """One started kubelet: two zones of eight cores with SMT, single-numa-node, scope pod."""
    return kubelet("n1", machine(), ALIGNED).start()


def settled(pods: Picture, *created: Object) -> list[Object]:
    """Waits until all these pods are settled, and returns them as they are then."""
    keys = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in created]
    pods.wait(
        f"{[name for _, name in keys]} to settle",
        SECONDS,
        lambda objects: all(key in objects and is_settled(objects[key]) for key in keys),
    )
    objects = pods.objects
    return [objects[key] for key in keys]


def test_pods_without_a_node_are_bound_by_the_scheduler_and_run(
    kubelet: KubeletFactory, scheduler: SchedulerFactory, api: Api, namespace: str, pods: Picture, tmp_path: Path
) -> None:
    """Two nodes come up untainted and serve PodResources; the scheduler binds a pod to each of them, and both run."""
    nodes = [kubelet(name, machine(), ALIGNED, labels={"rack": name}) for name in ("left", "right")]
    start_together(nodes)
    configuration = tmp_path / "scheduler.yaml"
    configuration.write_text(DEFAULT_SCHEDULER)
    scheduler(configuration, extender_url=None).start()
    wanted = [pod(f"on-{n.name}", container("app"), namespace=namespace, nodeSelector={"rack": n.name}) for n in nodes]
    ran = settled(pods, *api.create_pods(wanted))
    assert [True, True] == [listens(n.podresources_socket) for n in nodes]
    assert [("left", "Running"), ("right", "Running")] == [(item["spec"]["nodeName"], phase(item)) for item in ran]


@pytest.mark.usefixtures("node")
def test_a_pod_that_fits_nowhere_is_unschedulable_with_an_event(
    scheduler: SchedulerFactory, api: Api, namespace: str, pods: Picture, tmp_path: Path
) -> None:
    """A pod larger than every node stays Pending, and its event carries the scheduler's reason."""
    configuration = tmp_path / "scheduler.yaml"
    configuration.write_text(DEFAULT_SCHEDULER)
    scheduler(configuration, extender_url=None).start()
    (item,) = settled(
        pods,
        api.create(
            f"/api/v1/namespaces/{namespace}/pods", pod("big", container("app", {"cpu": "99"}), namespace=namespace)
        ),
    )
    messages = eventually(
        "an event about the pod", SECONDS, lambda: [event.get("note") or event["message"] for event in api.events(item)]
    )
    assert "Pending" == phase(item)
    assert "1 Insufficient cpu" in messages[-1]


def test_the_example_of_the_announcement(node: Kubelet, api: Api, namespace: str, pods: Picture) -> None:
    """
    Three example pods get the CPUs of one zone each, exclusive ones for the database; the fourth is refused with
    TopologyAffinityError although the node has CPUs enough.
    """
    ended = []
    for number in range(1, 5):
        ended += settled(
            pods, *api.create_pods([example_pod(f"example-{number}", node=node.name, namespace=namespace)])
        )
    state = node.checkpoint("cpu_manager_state")
    uids = [item["metadata"]["uid"] for item in ended]
    assert ["Running", "Running", "Running", "Failed"] == [phase(item) for item in ended]
    assert "TopologyAffinityError" == ended[3]["status"]["reason"]
    assert ["1-4,17-20", "8-11,24-27", "12-15,28-31"] == [state["podEntries"][uid]["cpuSet"] for uid in uids[:3]]
    assert {"db": "1-3,17-19", "metrics": "4,20", "backup": "4,20"} == state["entries"][uids[0]]
    assert "0,5-7,16,21-23" == state["defaultCpuSet"]
    memory = node.checkpoint("memory_manager_state")["podEntries"]
    assert [[0], [1], [1]] == [memory[uid]["memoryBlocks"][0]["numaAffinity"] for uid in uids[:3]]


def test_a_kubelet_of_the_release_before(kubelet: KubeletFactory, api: Api, namespace: str, pods: Picture) -> None:
    """A kubelet 1.36 at the control plane of 1.37 gives the example pod the same CPUs."""
    if not (BINARIES / OLDER).exists():
        pytest.skip("The kubelet of 1.36 is not built: run tests/cluster/build.sh 1.36.")
    node = kubelet("older", machine(), ALIGNED, binary=OLDER).start()
    (item,) = settled(pods, *api.create_pods([example_pod("example", node=node.name, namespace=namespace)]))
    assert api.get(f"{NODES}/older")["status"]["nodeInfo"]["kubeletVersion"].startswith("v1.36.")
    pools = node.checkpoint("cpu_manager_state")["podEntries"]
    assert {item["metadata"]["uid"]: {"cpuSet": "1-4,17-20"}} == pools


def test_init_containers_end_and_sidecars_run_on(node: Kubelet, api: Api, namespace: str, pods: Picture) -> None:
    """Ordinary init containers end with code 0 in turn, a restartable one runs on, and the pod becomes Running."""
    whole = {"cpu": "2", "memory": "1Gi"}
    body = pod(
        "init",
        container("app", whole),
        init=(container("first", whole), sidecar("proxy", {"cpu": "1", "memory": "1Gi"}), container("second", whole)),
        node=node.name,
        namespace=namespace,
    )
    (item,) = settled(pods, *api.create_pods([body]))
    states = {status["name"]: status["state"] for status in item["status"]["initContainerStatuses"]}
    assert is_running(item)
    assert [0, 0] == [states[name]["terminated"]["exitCode"] for name in ("first", "second")]
    assert "running" in states["proxy"]


def test_a_container_ends_when_its_pod_says_so(node: Kubelet, api: Api, namespace: str, pods: Picture) -> None:
    """A pod whose only container runs for half a second, by annotation, succeeds."""
    annotations = {"runs-for.lab/job": "500ms"}
    body = pod(
        "job", container("job"), node=node.name, namespace=namespace, annotations=annotations, restartPolicy="Never"
    )
    (created,) = api.create_pods([body])
    key = (namespace, created["metadata"]["name"])
    assert pods.wait("the pod to succeed", SECONDS, lambda objects: phase(objects.get(key, {})) == "Succeeded")


@pytest.mark.parametrize("grace_seconds", [pytest.param(0, id="at once"), pytest.param(30, id="with a grace period")])
def test_deleted_pods_go_and_give_their_cpus_back(
    node: Kubelet, api: Api, namespace: str, pods: Picture, grace_seconds: int
) -> None:
    """A deleted pod disappears from the API, and the next one gets the CPUs that it had."""
    body = example_pod("example", node=node.name, namespace=namespace, grace_seconds=grace_seconds)
    (first,) = settled(pods, *api.create_pods([body]))
    api.delete(pod_path(first))
    pods.wait("the pod to be gone", 10, lambda objects: not objects)
    (second,) = settled(pods, *api.create_pods([body]))
    state = node.checkpoint("cpu_manager_state")
    assert {second["metadata"]["uid"]: {"cpuSet": "1-4,17-20"}} == state["podEntries"]


def test_devices_align_with_cpus_and_outlive_a_restart(
    control_plane: ControlPlane, node: Kubelet, api: Api, namespace: str, pods: Picture
) -> None:
    """
    Devices of zone 1 draw the CPUs of a pod there; a sick device is not allocatable; a restarted kubelet gets them
    registered again and leaves the pod running.
    """
    devices = [Device("a", [1]), Device("b", [1]), Device("c")]
    plugin = DevicePlugin(control_plane, node, "example.com/nic", devices).start()
    amounts = {"cpu": "2", "memory": "1Gi", "example.com/nic": "2"}
    body = pod("near", container("app", amounts), node=node.name, namespace=namespace)
    plugin.change([*devices[:2], Device("c", healthy=False)])
    (item,) = settled(pods, *api.create_pods([body]))
    entries = node.checkpoint("cpu_manager_state")["entries"]
    assert {"app": "8,24"} == entries[item["metadata"]["uid"]]
    node.restart()
    eventually("the devices to be registered again", SECONDS, plugin._seen)
    after = api.get(pod_path(item))
    assert is_running(after)
    assert 0 == after["status"]["containerStatuses"][0]["restartCount"]
    plugin.stop()


@pytest.mark.parametrize("end", [Kubelet.stop_kubelet, Kubelet.kill], ids=["asked", "killed"])
def test_containers_outlive_a_restart_of_the_kubelet(
    node: Kubelet, api: Api, namespace: str, pods: Picture, end: Callable[[Kubelet], None]
) -> None:
    """
    After a restart of the kubelet a pod has the same containers and the same CPUs, and the next pod is admitted
    beside it.

    The pod is a plain one: kubelets up to 1.37.2 refuse their own pods with pod-level resources after a restart.
    """
    whole = {"cpu": "4", "memory": "1Gi"}
    bodies = [pod(name, container("app", whole), node=node.name, namespace=namespace) for name in ("first", "second")]
    (before,) = settled(pods, *api.create_pods(bodies[:1]))
    end(node)
    node.start()
    settled(pods, *api.create_pods(bodies[1:]))
    after = api.get(pod_path(before))
    entries = node.checkpoint("cpu_manager_state")["entries"]
    assert [s["containerID"] for s in before["status"]["containerStatuses"]] == [
        s["containerID"] for s in after["status"]["containerStatuses"]
    ]
    assert "Running" == phase(after)
    assert ["1-2,17-18", "3-4,19-20"] == sorted(entry["app"] for entry in entries.values())


def test_configz_is_served_to_those_who_may_see_it(control_plane: ControlPlane, node: Kubelet, api: Api) -> None:
    """/configz asks for a service account with the right nodes/configz, then shows the configuration that was given."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": "default"}}
    api.apply(account)

    def configz() -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {api.token('default', 'reader')}"}
        authority = Credentials(control_plane.server, control_plane.authority.certificate).context()
        with urllib3.PoolManager(ssl_context=authority) as pool:
            response = pool.request("GET", f"{node.url}/configz", headers=headers)
            return response.status, response.json() if response.status == 200 else None

    assert (403, None) == configz()
    api.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "configz"},
            "rules": [{"apiGroups": [""], "resources": ["nodes/configz"], "verbs": ["get"]}],
        }
    )
    api.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "configz"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "configz"},
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
        }
    )
    # Refusals are remembered by the kubelet for webhook.cacheUnauthorizedTTL, half a minute.
    _, shown = eventually("the right to count", 60, lambda: (answer := configz())[0] == 200 and answer, pause=1) or (
        0,
        {},
    )
    fields = ("topologyManagerPolicy", "topologyManagerScope", "cpuManagerPolicy", "featureGates")
    assert {name: ALIGNED[name] for name in fields} == {name: shown["kubeletconfig"][name] for name in fields}


def test_a_node_takes_what_it_owns_along(kubelet: KubeletFactory, api: Api, namespace: str, pods: Picture) -> None:
    """With a Node go its objects and the pods bound to it; a Node of the same name registers anew, untainted."""
    api.apply_file(DEFINITION)
    first = kubelet("n1", machine(), ALIGNED).start()
    owner = api.get(f"{NODES}/n1")
    body = {
        "apiVersion": "topology.node.k8s.io/v1alpha2",
        "kind": "NodeResourceTopology",
        "metadata": {
            "name": "n1",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": owner["metadata"]["uid"]}],
        },
        "zones": [],
    }
    api.apply(body)
    settled(pods, *api.create_pods([pod("app", container("app"), node="n1", namespace=namespace)]))
    first.remove()
    pods.wait("the pod to be gone", SECONDS, lambda objects: not objects)
    eventually("the owned object to be gone", SECONDS, lambda: not api.items(TOPOLOGIES))
    kubelet("n1", machine(zones=4), ALIGNED).start()
    again = api.get(f"{NODES}/n1")
    assert owner["metadata"]["uid"] != again["metadata"]["uid"]
    assert "64" == again["status"]["capacity"]["cpu"]
    assert NOT_READY not in [taint["key"] for taint in again["spec"].get("taints", [])]


def test_the_api_server_may_restart(
    control_plane: ControlPlane, node: Kubelet, api: Api, namespace: str, pods: Picture
) -> None:
    """After kill -9 of the API server and a new start, kubelets, pictures and clients go on as before."""
    (before,) = settled(pods, *api.create_pods([example_pod("before", node=node.name, namespace=namespace)]))
    control_plane.apiserver.kill()
    control_plane.apiserver.start()
    (after,) = settled(pods, *api.create_pods([example_pod("after", node=node.name, namespace=namespace)]))
    assert ["Running", "Running"] == [phase(item) for item in (before, after)]


class _PassAll(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"NodeNames": body["NodeNames"], "FailedNodes": {}, "Error": ""}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing."""


@pytest.mark.usefixtures("node")
def test_requests_to_the_extender_are_recorded(
    workspace: Workspace,
    scheduler: SchedulerFactory,
    api: Api,
    namespace: str,
    pods: Picture,
    tmp_path: Path,
) -> None:
    """The user's extender section is kept but for its address; the scheduler's request and the answer are recorded."""
    ports = workspace.ports
    target = HTTPServer(("127.0.0.1", ports.take()), _PassAll)
    threading.Thread(target=target.serve_forever, daemon=True).start()
    recorder = Recorder(f"http://127.0.0.1:{target.server_port}", tmp_path / "recorded", ports.take()).start()
    configuration = tmp_path / "scheduler.yaml"
    configuration.write_text(SCHEDULER_WITH_EXTENDER)
    process = scheduler(configuration, extender_url=recorder.url).start()
    (item,) = settled(pods, *api.create_pods([pod("app", container("app"), namespace=namespace)]))
    process.stop()
    recorder.stop()
    target.shutdown()
    target.server_close()
    (file,) = (tmp_path / "recorded").iterdir()
    recorded = json.loads(file.read_text())
    assert "0001-filter.json" == file.name
    assert ("/scheduler/filter", 200) == (recorded["path"], recorded["status"])
    assert item["metadata"]["uid"] == recorded["request"]["Pod"]["metadata"]["uid"]
    assert (["n1"], None) == (recorded["request"]["NodeNames"], recorded["request"]["Nodes"])
    assert ["n1"] == recorded["response"]["NodeNames"]


@pytest.mark.parametrize(
    "imagined",
    [
        pytest.param(machine(), id="two zones with SMT"),
        pytest.param(machine(zones=4, sockets=[0, 0, 1, 1], threads=1), id="two zones in each of two sockets"),
        pytest.param(machine(zones=3, ids=[0, 8, 10], cores_per_zone=2), id="sparse ids"),
        pytest.param(machine(memory_only={2: 128, 3: 128}), id="memory-only zones"),
        pytest.param(machine(hugepages={2048: 512, 1048576: 4}), id="two sizes of huge pages"),
        pytest.param(machine(distances=[[10, 32], [32, 10]], caches_per_zone=4), id="distances and split caches"),
        pytest.param(machine(zones=8, cores_per_zone=16), id="256 CPUs"),
    ],
)
def test_cadvisor_finds_in_sysfs_the_machine_that_was_written(
    workspace: Workspace, imagined: Machine, tmp_path: Path
) -> None:
    """The reader of cAdvisor itself, in a kubelet's mount namespace, sees exactly what the kubelet is told."""
    sysfs = write_sysfs(imagined, tmp_path / "sys")
    program = [
        str(workspace.binary("kubelet-on-machine")),
        "--print-machine",
        f"--root-dir={tmp_path}",
        f"--sysfs={sysfs}",
    ]
    read = json.loads(subprocess.run(program, capture_output=True, check=True, text=True).stdout)
    assert (imagined["num_cores"], _zones(imagined)) == (read["num_cores"], _zones(read))


def _zones(read: Machine) -> list[Object]:
    """The zones without the order of threads and cores; no list is the same as an empty one."""
    zones = []
    for zone in read["topology"]:
        cores = [
            {
                "core_id": core["core_id"],
                "thread_ids": sorted(core["thread_ids"]),
                "socket_id": core["socket_id"],
                "uncore_caches": core["uncore_caches"] or [],
            }
            for core in zone["cores"] or []
        ]
        zones.append(
            {name: zone[name] or [] for name in ("hugepages", "distances", "caches")}
            | {name: zone[name] for name in ("node_id", "memory")}
            | {"cores": sorted(cores, key=lambda core: core["core_id"])}
        )
    return zones


def test_a_command_inside_sees_the_imagined_machine(node: Kubelet) -> None:
    """A program that reads /sys and /var/lib/kubelet sees the node's when it is run inside its mount namespace."""
    command = node.inside(["cat", "/sys/devices/system/node/node1/cpulist", "/var/lib/kubelet/cpu_manager_state"])
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert text.startswith("8-15,24-31\n")
    assert (node.state_dir / "cpu_manager_state").read_text() in text


def test_two_labs_run_at_the_same_time_and_one_after_the_other(control_plane: ControlPlane) -> None:
    """
    Beside the lab of this run a second one starts, runs a pod and stops, and then a third; they leave no process and
    no file.
    """
    for _ in range(2):
        workspace = Workspace()
        try:
            other = ControlPlane(workspace)
            other.start()
            node = Kubelet(other, "n1", machine(), ALIGNED).start()
            pods = Picture(other.api, "/api/v1/namespaces/default/pods").start()
            (item,) = settled(pods, *other.api.create_pods([example_pod("example", node="n1")]))
            pods.stop()
            assert "Running" == phase(item)
            assert listens(node.podresources_socket)
            other.stop()
        finally:
            workspace.close(keep=False)
        assert not workspace.folder.exists()
        assert [] == processes_that_mention(str(workspace.folder))
    assert control_plane.api.ready()


def test_nothing_outlives_a_killed_test_run(tmp_path: Path) -> None:
    """When the test run is killed with -9, the processes that it had started end too."""
    script = f"""
from lab.workspace import BINARIES, Workspace
workspace = Workspace()
workspace.process("sleeper", ["sh", "-c", "sleep 3600; echo {tmp_path}"]).start()
print("started", workspace.folder, flush=True)
input()
"""
    run = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent), "TMPDIR": str(tmp_path)},
    )
    with run:
        assert run.stdout is not None
        assert run.stdout.readline().startswith("started")
        assert 1 <= len(processes_that_mention(f"echo {tmp_path}"))
        os.kill(run.pid, signal.SIGKILL)
    eventually("the sleeper to end", 10, lambda: not processes_that_mention(f"echo {tmp_path}"))


def processes_that_mention(text: str) -> list[str]:
    """The command lines of running processes in which the text occurs."""
    lines = []
    for folder in Path("/proc").iterdir():
        if re.fullmatch(r"\d+", folder.name):
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text in line and int(folder.name) != os.getpid():
                lines.append(line)
    return lines
