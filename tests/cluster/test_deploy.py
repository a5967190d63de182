"""
The manifests of deploy/ at work: what they say of accounts, rights, settings, arguments, users and file systems is what
runs, on real kubelets and with real schedulers.

Two machines of four zones hold two pods each of 6 CPUs in a zone; the sum of a machine would hold ten.
"""

import base64
import itertools
import os
import re
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from lab.api import Api, ApiError, Object
from lab.control_plane import TOPOLOGIES, ControlPlane
from lab.credentials import Credentials
from lab.deployment import DEPLOY, UNVERIFIED, Kubectl, Network, Place, Pod, audit, one_of
from lab.installation import (
    EXTENDER_PORT,
    NAMESPACE,
    NETWORK,
    OVERLAYS,
    SCHEDULER_PORT,
    SECONDARY,
    bound_by,
    exporter,
    health,
    install,
    node_address,
    replicas,
    with_component,
)
from lab.kubelet import Kubelet, remove_all
from lab.machines import machine
from lab.picture import Key, Picture
from lab.pods import container, is_running, is_settled, is_unschedulable, phase, pod
from lab.process import start_together
from lab.product import metric
from lab.programs import program
from lab.waiting import eventually
from lab.workspace import REPOSITORY

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

SECONDS = 120
EXISTING, SERVICE = (OVERLAYS / name for name in ("existing-scheduler", "service"))
ZONES = 4
MACHINE = machine(zones=ZONES, memory_gib=23)
CONFIGURATION = {
    "cpuManagerPolicy": "static",
    "reservedSystemCPUs": "0,32",
    "memoryManagerPolicy": "Static",
    "systemReserved": {"memory": "1Gi"},
    "topologyManagerPolicy": "single-numa-node",
    "topologyManagerScope": "pod",
    "featureGates": {"PodLevelResources": True, "PodLevelResourceManagers": True},
}
NODES = 2
HELD = NODES * ZONES * 2
MORE = NODES * 2
"""What the sum of the nodes would hold and their zones do not."""
VERBS_PORT = 8443


@pytest.fixture(scope="module")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    return Kubectl(control_plane)


@pytest.fixture(scope="module")
def installed(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """The overlay secondary-scheduler, with the component that keeps exporters to their nodes."""
    return install(kubectl, tmp_path_factory.mktemp("overlay"))


@pytest.fixture(scope="module")
def nodes(control_plane: ControlPlane, installed: list[Object]) -> Iterator[list[Kubelet]]:
    """Two kubelets, and a pod of the DaemonSet on each."""
    kubelets = [
        Kubelet(control_plane, f"node-{n}", MACHINE, CONFIGURATION, address=node_address(n))
        for n in range(1, NODES + 1)
    ]
    exporters: list[Pod] = []
    try:
        start_together(kubelets)
        for n, kubelet in enumerate(kubelets, 1):
            exporters.append(exporter(control_plane, installed, kubelet, n).start())
        yield kubelets
    finally:
        for one in exporters:
            one.stop()
        remove_all(kubelets)


@pytest.fixture(scope="module", name="replicas")
def installed_replicas(
    control_plane: ControlPlane,
    installed: list[Object],
    nodes: list[Kubelet],  # noqa: ARG001 - they are there first
) -> Iterator[list[Pod]]:
    """The replicas of the secondary scheduler, each with its extender."""
    with replicas(control_plane, installed) as made:
        yield made


def plain(name: str, namespace: str, scheduler: str, **fields: Any) -> Object:
    """A guaranteed pod of 6 CPUs and 1Gi."""
    return pod(
        name,
        container("app", {"cpu": "6", "memory": "1Gi"}),
        namespace=namespace,
        **{"schedulerName": scheduler} | fields,
    )


def batch(number: int, namespace: str, scheduler: str = "numa-scheduler") -> list[Object]:
    return [plain(f"plain-{n:02}", namespace, scheduler) for n in range(1, number + 1)]


def refused(objects: Mapping[Key, Object]) -> Counter[str]:
    """How many pods the kubelets refused, by reason."""
    return Counter(item["status"].get("reason", "none") for item in objects.values() if phase(item) == "Failed")


def settle(pods: Picture, number: int, runs: int) -> Mapping[Key, Object]:
    """Waits until so many pods are there and settled, and as many of them run, or one was refused."""

    def done(objects: Mapping[Key, Object]) -> bool:
        settled = len(objects) == number and all(map(is_settled, objects.values()))
        return settled and (sum(map(is_running, objects.values())) >= runs or bool(refused(objects)))

    pods.wait(f"{number} pods to settle, {runs} of them to run", SECONDS, done)
    return pods.objects


def wait_known(of: Pod) -> None:
    """Waits until an extender knows all nodes exactly, or has known them when no pod was there."""
    eventually(
        f"{of.name} to know the nodes",
        SECONDS,
        lambda: metric(health(of), "numa_extender_nodes", knowledge="exact") == NODES,
    )


COMPONENTS = ("", "monitoring", "own-node-only", "kubelet-before-1.33")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("overlay", "component"),
    [*itertools.product((SECONDARY, EXISTING, SERVICE), COMPONENTS), (SERVICE, "guard")],
    ids=lambda value: value.name if isinstance(value, Path) else value,
)
def test_every_overlay_passes_a_server_side_dry_run(
    kubectl: Kubectl, overlay: Path, component: str, tmp_path: Path
) -> None:
    """The API server takes every object as it stands, with each of the components too."""
    folder = with_component(overlay, component, tmp_path) if component else overlay
    if component == "monitoring":
        kubectl("apply", "--server-side", "-f", "-", given=MONITORING_KINDS)
    told = kubectl("apply", "--dry-run=server", "--server-side", "--force-conflicts", "-k", str(folder))

    assert len(kubectl.render(folder)) == len(told.splitlines())
    assert all(line.endswith("(server dry run)") for line in told.splitlines())


def test_the_guard_s_component_changes_the_overlay(kubectl: Kubectl, tmp_path: Path) -> None:
    """Service, container and settings of the extender have the guard's port besides their own; there is one ConfigMap."""
    objects = kubectl.render(with_component(SERVICE, "guard", tmp_path))
    service, deployment = one_of(objects, "Service", "numa-extender"), one_of(objects, "Deployment", "numa-extender")
    spec = deployment["spec"]["template"]["spec"]
    (settings,) = [volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume]

    assert [8443, 8444] == [port["port"] for port in service["spec"]["ports"]]
    assert {8443, 8444, 9447} == {port["containerPort"] for port in spec["containers"][0]["ports"]}
    told = yaml.safe_load(one_of(objects, "ConfigMap", settings)["data"]["extender.yaml"])
    assert (8444, 8443) == (told["guard"]["port"], told["listen"]["port"])
    (webhook,) = one_of(objects, "ValidatingWebhookConfiguration", "numa-extender")["webhooks"]
    assert NAMESPACE == webhook["clientConfig"]["service"]["namespace"]


@pytest.mark.parametrize("overlay", [EXISTING, SERVICE], ids=lambda path: path.name)
def test_every_static_pod_passes_a_server_side_dry_run(kubectl: Kubectl, overlay: Path, tmp_path: Path) -> None:
    """The patched static pod of a scheduler is a pod that the API server takes."""
    patched = static_pod(kubectl, overlay, tmp_path)

    assert "created (server dry run)" in kubectl("create", "--dry-run=server", "-f", "-", given=yaml.safe_dump(patched))


def test_a_batch_on_the_secondary_scheduler(replicas: list[Pod], api: Api, namespace: str, pods: Picture) -> None:
    """As many pods run as the zones hold, none is refused, the others stay Pending; one of the replicas has bound all."""
    for one in replicas:
        wait_known(one)
    api.create_pods(batch(HELD + MORE, namespace))
    settled = settle(pods, HELD + MORE, HELD)

    assert (Counter(), HELD, MORE) == (
        refused(settled),
        sum(map(is_running, settled.values())),
        sum(map(is_unschedulable, settled.values())),
    )
    assert [0, HELD] == sorted(map(bound_by, replicas))


def test_the_five_commands_that_verify_an_installation(
    control_plane: ControlPlane, replicas: list[Pod], tmp_path: Path
) -> None:
    """The commands of deploy/README.md succeed one after the other, and the last one shows every node as exact."""
    for one in replicas:
        wait_known(one)
    readme = (DEPLOY / "README.md").read_text()
    commands = readme.split("## Verify")[1].split("```sh\n")[1].split("```")[0].splitlines()
    programs = (
        f"{control_plane.workspace.binary('kubectl').parent}:{program('kubectl-numa').parent}:{os.environ['PATH']}"
    )
    kubeconfig = control_plane.kubeconfig("admin", "system:masters")
    environment = os.environ | {"PATH": programs, "KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": str(tmp_path)}
    told = []
    try:
        for command in commands:
            done = subprocess.run(
                command, shell=True, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{command}: {done.stderr}"
            told.append(done.stdout)
    finally:
        control_plane.api.delete("/api/v1/namespaces/default/pods/numa-verify", grace_seconds=0)

    assert 5 == len(told)
    for n in range(1, NODES + 1):
        assert re.search(rf"^node-{n} ", told[0], re.MULTILINE)
        assert re.search(rf"^node-{n} .* exact ", told[4], re.MULTILINE)
    assert "numa-verify condition met" in told[3]


def test_without_the_extender_the_same_batch_is_refused(
    nodes: list[Kubelet], api: Api, namespace: str, pods: Picture
) -> None:
    """The control: pods bound by sums alone, as many as the nodes hold in sum, are refused by the kubelets."""
    api.create_pods(
        plain(f"bound-{n}", namespace, "nobody", nodeName=nodes[n % NODES].name) for n in range(HELD + MORE)
    )
    settled = pods.wait(
        "all to settle", SECONDS, lambda objects: len(objects) == HELD + MORE and all(map(is_settled, objects.values()))
    )
    assert settled
    assert {"TopologyAffinityError": MORE} == refused(pods.objects)


def test_a_leader_that_dies_in_mid_burst_loses_nothing(
    replicas: list[Pod], api: Api, namespace: str, pods: Picture
) -> None:
    """
    The scheduler that leads is killed with its extender while pods come in; the other pair takes over, none of the
    pods is refused or lost, and as many run as the zones hold.
    """
    for one in replicas:
        wait_known(one)
    before = {one.name: bound_by(one) for one in replicas}
    todo = batch(HELD + MORE, namespace)
    killed = threading.Event()

    def create() -> None:
        for n, one in enumerate(todo):
            api.create_pods([one])
            if n > HELD // 2:
                killed.wait(SECONDS)

    creating = threading.Thread(target=create)
    creating.start()

    def leading() -> list[Pod]:
        return [one for one in replicas if bound_by(one) >= before[one.name] + 3]

    (leader,) = eventually("the leader to have bound some", SECONDS, leading)
    (other,) = [one for one in replicas if one is not leader]
    leader.kill()
    killed.set()
    creating.join()
    settled = settle(pods, HELD + MORE, HELD)

    assert (Counter(), HELD, MORE) == (
        refused(settled),
        sum(map(is_running, settled.values())),
        sum(map(is_unschedulable, settled.values())),
    )
    assert {one["metadata"]["name"] for one in todo} == {name for _, name in settled}
    assert 0 < bound_by(other) - before[other.name] < HELD
    for container_ in leader.containers.values():
        container_.start()


def test_an_exporter_writes_about_its_own_node_only(
    control_plane: ControlPlane, nodes: list[Kubelet], api: Api
) -> None:
    """With the exporter's token of one node neither another's report nor another Node is changed, nor a Node's labels."""
    own, other = (node.name for node in nodes)
    token = api.token(NAMESPACE, "numa-exporter", pod="numa-exporter-1")
    exporter = Api(Credentials(control_plane.server, control_plane.authority.certificate, token=token))
    annotated = {"metadata": {"annotations": {"numa-extender.test/a": "b"}}}
    labelled = {"metadata": {"labels": {"a": "b"}}}

    exporter.merge(f"/api/v1/nodes/{own}", annotated)
    exporter.merge(f"{TOPOLOGIES}/{own}", annotated)
    for path, change, words in (
        (f"/api/v1/nodes/{other}", annotated, "about its own node only"),
        (f"{TOPOLOGIES}/{other}", annotated, "about its own node only"),
        (f"/api/v1/nodes/{own}", labelled, "nothing of a Node but its annotations"),
    ):
        with pytest.raises(ApiError, match=words) as refusal:
            exporter.merge(path, change)
        assert 422 == refusal.value.status
    exporter.close()


Right = tuple[str, str, str]
"""API group, resource with its subresource, verb."""


def rights(objects: list[Object], account: str) -> set[tuple[str, Right]]:
    """What the roles of these manifests allow an account, each with the role's name."""
    bound = {
        (item["roleRef"]["kind"], item["roleRef"]["name"])
        for item in objects
        if item["kind"].endswith("RoleBinding") and any(s["name"] == account for s in item["subjects"])
    }
    return {
        (item["metadata"]["name"], (group, resource, verb))
        for item in objects
        if (item["kind"], item["metadata"]["name"]) in bound
        for rule in item["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def requests(control_plane: ControlPlane, user: str) -> set[Right]:
    """What an account has asked of the API server, and of kubelets, which ask the API server about it."""
    asked = set()
    for entry in audit(control_plane):
        if entry["user"]["username"] == user:
            ref = entry.get("objectRef", {})
            resource = "/".join(filter(None, (ref.get("resource", ""), ref.get("subresource", ""))))
            asked.add((ref.get("apiGroup", ""), resource, entry["verb"]))
        elif entry.get("requestObject", {}).get("spec", {}).get("user") == user:
            about = entry["requestObject"]["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, (about["resource"], about.get("subresource", ""))))
            asked.add((about.get("group", ""), resource, about["verb"]))
    return asked


def refusals(control_plane: ControlPlane, user: str) -> list[str]:
    """What was asked and not allowed."""
    refused = [
        f"{entry['verb']} {entry['requestURI']}"
        for entry in audit(control_plane)
        if entry["user"]["username"] == user and entry["annotations"].get("authorization.k8s.io/decision") != "allow"
    ]
    reviewed = [
        f"{entry['requestObject']['spec']['resourceAttributes']}"
        for entry in audit(control_plane)
        if entry.get("requestObject", {}).get("spec", {}).get("user") == user
        and not entry["responseObject"]["status"]["allowed"]
        and entry["requestObject"]["spec"]["resourceAttributes"].get("subresource") == "configz"
    ]
    return refused + reviewed


CREATING = ("topology.node.k8s.io", "noderesourcetopologies", "create")
"""Asked for within a patch of an object that is not there, which an audit does not show: see the test below."""


@pytest.mark.usefixtures("nodes")
def test_every_right_of_the_exporter_is_used_and_enough(control_plane: ControlPlane, installed: list[Object]) -> None:
    """Of what the exporter's role allows each part was asked for, and nothing was asked for that it does not allow."""
    user = f"system:serviceaccount:{NAMESPACE}:numa-exporter"
    allowed = {right for _, right in rights(installed, "numa-exporter")}

    assert allowed - {CREATING} == requests(control_plane, user)
    assert [] == refusals(control_plane, user)


def test_without_the_right_to_create_there_is_no_first_report(
    control_plane: ControlPlane, installed: list[Object], api: Api
) -> None:
    """An object that is not there is applied with the right to create it, and refused without."""
    role = one_of(installed, "ClusterRole", "numa-exporter")
    api.delete("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/numa-exporter")
    token = api.token(NAMESPACE, "numa-exporter")
    exporter = Api(Credentials(control_plane.server, control_plane.authority.certificate, token=token))
    report = {"apiVersion": "topology.node.k8s.io/v1alpha2", "kind": "NodeResourceTopology", "zones": []}

    def status(name: str) -> int:
        try:
            exporter.apply(report | {"metadata": {"name": name}})
        except ApiError as error:
            return error.status
        return 200

    eventually("the policy to be gone", SECONDS, lambda: status("first") == 200)
    try:
        less = [rule | {"verbs": [verb for verb in rule["verbs"] if verb != "create"]} for rule in role["rules"]]
        api.apply(role | {"rules": less})

        def is_forbidden() -> bool:
            api.delete(f"{TOPOLOGIES}/second")
            return status("second") == 403

        eventually("the right to be gone", SECONDS, is_forbidden)
    finally:
        api.apply(role)
        api.delete(f"{TOPOLOGIES}/first")
        exporter.close()


@pytest.mark.usefixtures("replicas")
def test_every_right_of_the_secondary_scheduler_is_used_and_enough(
    control_plane: ControlPlane, installed: list[Object]
) -> None:
    """Each part of its own roles was asked for, each role of Kubernetes it has allowed something, nothing was refused."""
    user = f"system:serviceaccount:{NAMESPACE}:numa-scheduler"
    asked = requests(control_plane, user)
    reasons = " ".join(
        entry["annotations"].get("authorization.k8s.io/reason", "")
        for entry in audit(control_plane)
        if entry["user"]["username"] == user
    )

    assert {right for _, right in rights(installed, "numa-scheduler")} <= asked
    assert [] == refusals(control_plane, user)
    for item in installed:
        if item["kind"].endswith("RoleBinding") and item["subjects"][0]["name"] == "numa-scheduler":
            assert f'"{item["metadata"]["name"]}' in reasons, item["metadata"]["name"]


def static_pod(kubectl: Kubectl, overlay: Path, folder: Path) -> Object:
    """The static pod of a scheduler as kubeadm writes it, patched as the overlay says."""
    file = folder / "kube-scheduler.yaml"
    file.write_text(yaml.safe_dump(STATIC_POD))
    patch = overlay / "host" / "kube-scheduler+strategic.yaml"
    words = ["--local", "-f", str(file), "--type=strategic", f"--patch-file={patch}", "-o", "yaml"]
    patched: Object = yaml.safe_load(kubectl("patch", *words))
    return patched


def host_files(control_plane: ControlPlane, overlay: Path, folder: Path) -> dict[str, Path]:
    """What deploy/README.md has put into /etc/kubernetes of a control-plane node."""
    folder.mkdir(exist_ok=True)
    for file in (overlay / "host").glob("*.yaml"):
        (folder / file.name).write_text(file.read_text())
    return {
        "/etc/kubernetes/numa": folder,
        "/etc/kubernetes/scheduler.conf": control_plane.kubeconfig("system:kube-scheduler", ""),
    }


@pytest.mark.usefixtures("nodes")
def test_the_extender_in_the_schedulers_static_pod(
    control_plane: ControlPlane,
    kubectl: Kubectl,
    api: Api,
    namespace: str,
    pods: Picture,
    tmp_path: Path,
) -> None:
    """
    The patched static pod places a batch of the default scheduler's without a refusal; of the rights of its user each
    is used, and they are enough.
    """
    objects = kubectl.apply(EXISTING)
    files = host_files(control_plane, EXISTING, tmp_path / "numa")
    kubeconfig = tmp_path / "numa" / "numa-extender.conf"
    kubeconfig.write_text(control_plane.kubeconfig("numa-extender", "").read_text())
    os.chown(kubeconfig, 65532, 65532)
    kubeconfig.chmod(0o600)
    address = f"{NETWORK}.4.1"
    network = Network(control_plane, "static", address, [EXTENDER_PORT, SCHEDULER_PORT])
    place = Place(address, network=network, host_paths=files)
    template = static_pod(kubectl, EXISTING, tmp_path)
    running = Pod(control_plane, "kube-scheduler-static", template, "kube-system", place)
    try:
        running.start()
        wait_known(running)
        api.create_pods(batch(HELD + MORE, namespace, "default-scheduler"))
        settled = settle(pods, HELD + MORE, HELD)
        assert (Counter(), HELD) == (refused(settled), bound_by(running))
        assert {right for _, right in rights(objects, "numa-extender")} == requests(control_plane, "numa-extender")
        assert [] == refusals(control_plane, "numa-extender")
    finally:
        running.stop()


@pytest.mark.usefixtures("nodes")
def test_the_extender_behind_a_service_with_mutual_tls(
    control_plane: ControlPlane,
    kubectl: Kubectl,
    api: Api,
    namespace: str,
    pods: Picture,
    tmp_path: Path,
) -> None:
    """
    A real scheduler with a certificate places a batch by way of HTTPS without a refusal, and the certificates are
    replaced meanwhile; one with a certificate for another name places nothing.
    """
    authority = trustme.CA()
    name = f"numa-extender.{NAMESPACE}.svc"
    kubectl("delete", "clusterrolebinding", "numa-extender", "--ignore-not-found")
    objects = kubectl.apply(SERVICE)
    api.apply(secret(authority, name))
    address = f"{NETWORK}.5.1"
    network = Network(control_plane, "service", address, [EXTENDER_PORT, VERBS_PORT])
    template = one_of(objects, "Deployment", "numa-extender")["spec"]["template"]
    extender = Pod(control_plane, "numa-extender", template, NAMESPACE, Place(address, network=network))
    schedulers = {}
    for n, caller in enumerate(("stranger", "kube-scheduler"), 1):
        files = host_files(control_plane, SERVICE, tmp_path / caller)
        client = authority.issue_cert(caller, common_name=caller)
        (tmp_path / caller / "ca.crt").write_bytes(authority.cert_pem.bytes())
        (tmp_path / caller / "kube-scheduler.crt").write_bytes(client.cert_chain_pems[0].bytes())
        client.private_key_pem.write_to_path(tmp_path / caller / "kube-scheduler.key")
        here = f"{NETWORK}.6.{n}"
        out = {VERBS_PORT: f"{address}:{VERBS_PORT}"}
        place = Place(
            here,
            network=Network(control_plane, caller, here, [SCHEDULER_PORT], out),
            host_paths=files,
            hosts={name: "127.0.0.1"},
        )
        template = static_pod(kubectl, SERVICE, tmp_path)
        schedulers[caller] = Pod(control_plane, f"kube-scheduler-{caller}", template, "kube-system", place)
    try:
        extender.start()
        wait_known(extender)
        schedulers["stranger"].start()
        (first,) = api.create_pods([plain("first", namespace, "default-scheduler")])
        eventually("the scheduler to be turned away", SECONDS, lambda: dropped(extender) > 0)
        eventually(
            "an event", SECONDS, lambda: any(f"{name}:{VERBS_PORT}/scheduler" in told(e) for e in api.events(first))
        )
        assert 0 == metric(health(extender), "numa_extender_requests_total")
        schedulers["stranger"].stop()

        schedulers["kube-scheduler"].start()
        todo = batch(HELD + MORE - 1, namespace, "default-scheduler")
        api.create_pods(todo[: HELD // 2])
        extender.replace(secret(authority, name))
        eventually("the new certificate", SECONDS, lambda: readings_once_called(extender) == 2)
        api.create_pods(todo[HELD // 2 :])
        settled = settle(pods, HELD + MORE, HELD)
        assert (Counter(), HELD) == (refused(settled), bound_by(extender))
        assert 0 == metric(health(extender), "numa_extender_requests_total", result="error")
    finally:
        for one in (*schedulers.values(), extender):
            one.stop()


def secret(authority: trustme.CA, name: str) -> Object:
    """The Secret with the extender's certificate, as cert-manager or deploy/README.md makes it."""
    server = authority.issue_cert(name)
    data = {
        "tls.crt": server.cert_chain_pems[0].bytes(),
        "tls.key": server.private_key_pem.bytes(),
        "ca.crt": authority.cert_pem.bytes(),
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "numa-extender-tls", "namespace": NAMESPACE},
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def dropped(of: Pod) -> float:
    return metric(health(of), "numa_extender_dropped_connections_total", why="handshake")


def readings_once_called(of: Pod) -> float:
    """How often its certificates have been read: files are looked at when somebody calls, here one without a certificate."""
    with suppress(OSError), socket.create_connection((of.place.address, VERBS_PORT), SECONDS) as stranger:
        UNVERIFIED.wrap_socket(stranger).close()
    return metric(health(of), "numa_extender_certificate_readings_total", result="ok")


def told(event: Object) -> str:
    return str(event.get("note") or event.get("message"))


STATIC_POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "kube-scheduler", "namespace": "kube-system", "labels": {"tier": "control-plane"}},
    "spec": {
        "hostNetwork": True,
        "priorityClassName": "system-node-critical",
        "containers": [
            {
                "name": "kube-scheduler",
                "image": "kube-scheduler:v1.37.2",
                "command": [
                    "kube-scheduler",
                    "--authentication-kubeconfig=/etc/kubernetes/scheduler.conf",
                    "--authorization-kubeconfig=/etc/kubernetes/scheduler.conf",
                    "--bind-address=127.0.0.1",
                    "--kubeconfig=/etc/kubernetes/scheduler.conf",
                    "--leader-elect=true",
                ],
                "livenessProbe": {"httpGet": {"host": "127.0.0.1", "path": "/livez", "port": 10259, "scheme": "HTTPS"}},
                "volumeMounts": [
                    {"mountPath": "/etc/kubernetes/scheduler.conf", "name": "kubeconfig", "readOnly": True}
                ],
            }
        ],
        "volumes": [
            {"name": "kubeconfig", "hostPath": {"path": "/etc/kubernetes/scheduler.conf", "type": "FileOrCreate"}}
        ],
    },
}


def kind_of_monitoring(kind: str) -> Object:
    """A stand-in for a kind of the Prometheus operator: any content will do."""
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}],
        },
    }


MONITORING_KINDS = yaml.safe_dump_all(map(kind_of_monitoring, ("ServiceMonitor", "PrometheusRule")))
