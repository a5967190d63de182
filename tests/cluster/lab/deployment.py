"""
Plays kubelet and container runtime for the product's own pods: what deploy/ says of them is what runs.

Accounts, rights, settings, arguments, environment, users, read-only file systems and probes are taken from the manifests;
images are replaced by the programs of this repository (`confined` says how they are held).
"""

import base64
import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3
import yaml

from lab import pods
from lab.api import Object
from lab.confined import Confinement
from lab.control_plane import ControlPlane
from lab.errors import LabError
from lab.kubelet import Kubelet
from lab.process import Process
from lab.programs import program
from lab.workspace import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
HERE = Path(__file__).parent
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
READY_SECONDS = 60

UNVERIFIED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A kubelet's probes take any certificate."""
UNVERIFIED.check_hostname, UNVERIFIED.verify_mode = False, ssl.CERT_NONE
PROBER = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=UNVERIFIED))


class Kubectl:
    """The real kubectl, as the cluster's administrator."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._program = control_plane.workspace.binary("kubectl")
        self._kubeconfig = control_plane.kubeconfig("admin", "system:masters")

    def __call__(self, *words: str, given: str = "") -> str:
        """Runs it and returns what it prints; raises `LabError` with what it says when it fails."""
        command = [str(self._program), f"--kubeconfig={self._kubeconfig}", *words]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def render(self, folder: Path) -> list[Object]:
        """The objects of a kustomize folder."""
        return [one for one in yaml.safe_load_all(self("kustomize", str(folder))) if one]

    def apply(self, folder: Path) -> list[Object]:
        """Applies a kustomize folder as deploy/README.md says and returns its objects."""
        self("apply", "--server-side", "--force-conflicts", "-k", str(folder))
        return self.render(folder)


def one_of(objects: list[Object], kind: str, name: str) -> Object:
    """The object of a kind and name."""
    return next(item for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name))


@dataclass(frozen=True)
class Place:
    """Where a pod runs, and what that means for it."""

    address: str = "127.0.0.1"
    """The pod's own, at which the lab reaches it."""
    node: str = ""
    node_address: str = ""
    kubelet: Kubelet | None = None
    """In whose mount namespace it runs: hostPath is the node's then."""
    network: "Network | None" = None
    """Its network namespace; without one it shares the host's."""
    host_paths: Mapping[str, Path] = field(default_factory=dict)
    """What stands for folders of the host."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """What DNS would tell: name to address."""


class Network:
    """
    The loopback of one pod.

    `ports` are reached from the host at `address`; from within, the API server, and what `out` names: port of the
    pod's loopback to "ADDRESS:PORT" of the host.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        name: str,
        address: str,
        ports: Sequence[int],
        out: Mapping[int, str] | None = None,
    ) -> None:
        self.address = address
        workspace = control_plane.workspace
        ready = workspace.folder / f"{name}.network"
        server = control_plane.server.removeprefix("https://")
        outward = {int(server.rpartition(":")[2]): server} | dict(out or {})
        ways = [f"{port}>{there}" for port, there in outward.items()] + [f"{port}<{address}:{port}" for port in ports]
        words = [sys.executable, str(HERE / "pod_network.py"), str(ready), *ways]
        script = 'exec 3</proc/self/ns/net; exec unshare --net "$@"'
        self.process = workspace.process(f"{name}.network", ["sh", "-c", script, "sh", *words], ready=ready.exists)


class Pod:
    """One pod: a process for each container, in the order in which a kubelet starts them."""

    def __init__(
        self, control_plane: ControlPlane, name: str, template: Object, namespace: str, place: Place | None = None
    ) -> None:
        self.name, self.place = name, place or Place()
        self._control_plane, self._namespace, self._spec = control_plane, namespace, template["spec"]
        self._folder = control_plane.workspace.folder / "pods" / name
        self._folder.mkdir(parents=True)
        sidecars = self._spec.get("initContainers", [])
        assert all(sidecar.get("restartPolicy") == "Always" for sidecar in sidecars)
        self.containers = {one["name"]: self._process(one) for one in [*sidecars, *self._spec["containers"]]}

    def start(self) -> "Pod":
        """Starts one container after the other, each once the one before is ready."""
        if self.place.network is not None:
            self.place.network.process.start()
        for container in self.containers.values():
            container.start()
        return self

    def stop(self) -> None:
        """Ends them as a kubelet does: the sidecars last."""
        for container in reversed(self.containers.values()):
            container.stop()
        if self.place.network is not None:
            self.place.network.process.stop()

    def kill(self) -> None:
        """Ends all at once, as a node that goes dark."""
        for container in self.containers.values():
            container.kill()

    def replace(self, secret: Object) -> None:
        """Has the files of a mounted Secret follow it, as a kubelet does after a while."""
        _write(secret, self._folder / secret["metadata"]["name"], encoded=True)

    def _process(self, container: Object) -> Process:
        workspace = self._control_plane.workspace
        name = f"{self.name}.{container['name']}"
        work = self._folder / f"{container['name']}.layer"
        work.mkdir()
        file = self._folder / f"{container['name']}.json"
        file.write_text(json.dumps(vars(self._confinement(container, work))))
        words = ["unshare", "--mount", "--propagation", "private", sys.executable, str(HERE / "confined.py"), str(file)]
        process = workspace.process(name, words, ready=lambda: self._is_ready(container), ready_seconds=READY_SECONDS)
        if (network := self.place.network) is not None or self.place.kubelet is not None:
            # Namespaces are entered when the container starts: their holders run by then.
            launch = process.launch

            def enter() -> Process:
                process.command = [*self._entering(network), *words]
                return launch()

            process.launch = enter  # type: ignore[method-assign]
        return process

    def _entering(self, network: Network | None) -> list[str]:
        flags = []
        if network is not None:
            flags.append(f"--net=/proc/{network.process.pid}/ns/net")
        if self.place.kubelet is not None:
            flags.append(f"--mount=/proc/{self.place.kubelet.process.pid}/ns/mnt")
        return ["nsenter", *flags, "--"]

    def _confinement(self, container: Object, work: Path) -> Confinement:
        context = self._spec.get("securityContext", {}) | container.get("securityContext", {})
        mounts = container.get("volumeMounts", [])
        volumes = {volume["name"]: volume for volume in self._spec.get("volumes", [])}
        scratch = [mount["mountPath"] for mount in mounts if "emptyDir" in volumes[mount["name"]]]
        folders = [
            (str(self._volume(volumes[mount["name"]])), mount["mountPath"])
            for mount in mounts
            if "emptyDir" not in volumes[mount["name"]]
        ]
        if "serviceAccountName" in self._spec:
            folders.append((str(self._account()), ACCOUNT))
        aliases = {name: one["ip"] for one in self._spec.get("hostAliases", []) for name in one["hostnames"]}
        return Confinement(
            command=_command(container),
            work=str(work),
            environment=self._environment(container),
            volumes=folders,
            scratch=scratch,
            shared=sorted({str(REPOSITORY), sys.base_prefix}),
            hosts=aliases | dict(self.place.hosts),
            read_only=context.get("readOnlyRootFilesystem", False),
            user=context.get("runAsUser", 0),
            group=context.get("runAsGroup", 0),
        )

    def _environment(self, container: Object) -> dict[str, str]:
        fields = {
            "spec.nodeName": self.place.node,
            "status.hostIP": self.place.node_address,
            "status.podIP": self.place.address if self.place.network is None else "127.0.0.1",
        }
        told = {
            one["name"]: one.get("value") or fields[one["valueFrom"]["fieldRef"]["fieldPath"]]
            for one in container.get("env", [])
        }
        server = urllib3.util.parse_url(self._control_plane.server)
        return told | {
            "PATH": "/usr/bin:/bin",
            "KUBERNETES_SERVICE_HOST": str(server.host),
            "KUBERNETES_SERVICE_PORT": str(server.port),
        }

    def _volume(self, volume: Object) -> Path:
        """The folder of the host that holds a volume."""
        if "hostPath" in volume:
            there: str = volume["hostPath"]["path"]
            return self.place.host_paths.get(there, Path(there))
        if "configMap" in volume:
            kind, name = "configmaps", str(volume["configMap"]["name"])
        else:
            kind, name = "secrets", str(volume["secret"]["secretName"])
        item = self._control_plane.api.get(f"/api/v1/namespaces/{self._namespace}/{kind}/{name}")
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        _write(item, folder, encoded=kind == "secrets")
        return folder

    def _account(self) -> Path:
        """The service account's folder, with a token of its own."""
        folder = self._folder / "account"
        if not folder.exists():
            folder.mkdir()
            token = self._token(self._spec["serviceAccountName"])
            (folder / "token").write_text(token)
            (folder / "ca.crt").write_bytes(self._control_plane.authority.certificate)
            (folder / "namespace").write_text(self._namespace)
        return folder

    def _token(self, account: str) -> str:
        """A token as the kubelet mounts it: on a node it is bound to the pod, and tells the node's name."""
        api = self._control_plane.api
        if self.place.kubelet is None:
            return api.token(self._namespace, account)
        stand_in = pods.pod(
            self.name,
            pods.container("pause"),
            namespace=self._namespace,
            node=self.place.node,
            serviceAccountName=account,
            automountServiceAccountToken=False,
        )
        api.create_pods([stand_in])
        return api.token(self._namespace, account, pod=self.name)

    def _is_ready(self, container: Object) -> bool:
        """Asks as the kubelet does."""
        probe = container.get("startupProbe") or container.get("readinessProbe") or container.get("livenessProbe")
        if probe is None:
            return True
        asked = probe["httpGet"]
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        host = self.place.address if self.place.network is not None else asked.get("host", self.place.address)
        url = f"{asked.get('scheme', 'HTTP').lower()}://{host}:{ports.get(asked['port'], asked['port'])}{asked['path']}"
        return probed(url)


def _write(item: Object, folder: Path, *, encoded: bool) -> None:
    """Writes what a ConfigMap or a Secret holds; readers see each file old or new, never half."""
    for key, value in item["data"].items():
        new = folder / f"..{key}"
        new.write_bytes(base64.b64decode(value) if encoded else value.encode())
        new.replace(folder / key)


def probed(url: str) -> bool:
    """Whether a probe of the URL succeeds."""
    try:
        with PROBER.open(url, timeout=2) as response:
            return bool(response.status == HTTPStatus.OK)
    except OSError:
        return False


def _command(container: Object) -> list[str]:
    """The command line with the program of this repository that the image would have."""
    entry = container.get("command") or [container["image"].rpartition("/")[2].partition(":")[0]]
    found = REPOSITORY / "build" / "cluster" / entry[0]
    return [str(found if found.exists() else program(entry[0])), *entry[1:], *container.get("args", [])]


def audit(control_plane: ControlPlane) -> list[dict[str, Any]]:
    """What the API server has noted of the product's accounts."""
    return [json.loads(line) for line in control_plane.audit_file.read_text().splitlines()]
