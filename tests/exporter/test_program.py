"""The program as it is started on a node: a process of its own, against a kubelet and an API server that are real servers."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_api import NODES, PODS, FakeApi, api_server, node, pod
from fake_kubelet import FakeKubelet, block, cpu_v4, devices, kubelet, memory_block, memory_v3, memory_zone
from observed import MACHINE
from trees import folder, write

from extender import cpuset
from extender.exporter import podresources_pb2 as pb
from extender.model.configuration import TopologyPolicy
from extender.model.report import Missing, Report
from extender.wire.fields import WireError
from extender.wire.nrt import PATH, report_from_nrt

GI = 1 << 30
OBJECT = f"{PATH}/n1"
CONFIGZ = f"{NODES}/n1/proxy/configz"
KUBELET = {
    "topologyManagerPolicy": "restricted",
    "topologyManagerScope": "pod",
    "cpuManagerPolicy": "static",
    "memoryManagerPolicy": "Static",
    "reservedSystemCPUs": "0,8",
    "systemReserved": {"memory": "924Mi"},
    "evictionHard": {"memory.available": "100Mi"},
    "reservedMemory": [{"numaNode": 0, "limits": {"memory": "1Gi"}}],
}


class World:
    """A node: its kubelet, its tree, its API server, and an exporter when it is started."""

    def __init__(self, folder: Path, kubelet: FakeKubelet, api: FakeApi) -> None:
        self.folder, self.kubelet, self.api = folder, kubelet, api
        self.sysfs = write(MACHINE, folder / "sys")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.config = folder / "exporter.yaml"
        self.config.write_text(
            f"kubelet: {{configuration: api-server}}\nserve: {{port: {self.port}}}\n"
            "publish: {quietMilliseconds: 20, longestMilliseconds: 100}\n"
        )
        self.process: subprocess.Popen[str] | None = None

    def rest(self) -> None:
        """An idle kubelet with static managers, known to the API server."""
        self.kubelet.allocatable = pb.AllocatableResourcesResponse(
            cpu_ids=[cpu for cpu in range(16) if cpu not in {0, 8}],
            memory=[block(15 * GI, 0), block(16 * GI, 1)],
            devices=[devices("vendor.com/nic", "a", 1)],
        )
        self.kubelet.write("cpu_manager_state", cpu_v4("0-15", {}))
        self.kubelet.write("memory_manager_state", self.memory(15, {}))
        self.write_devices({})
        self.api.put(f"{NODES}/n1", node("n1", capacity={"vendor.com/nic": "1"}))
        self.api.documents[CONFIGZ] = {"kubeletconfig": KUBELET}

    def memory(self, free: int, entries: dict[str, Any]) -> dict[str, Any]:
        """The memory manager's file, with this many GiB left in zone 0."""
        zones = {
            "0": memory_zone(16 * GI, 15 * GI, free * GI, len(entries)),
            "1": memory_zone(16 * GI, 16 * GI, 16 * GI, 0, (1,)),
        }
        return memory_v3(zones, entries)

    def write_devices(self, held: dict[str, Any]) -> None:
        """The device manager's file: pod uid to ids, all of container main."""
        entries = [
            {"PodUID": uid, "ContainerName": "main", "ResourceName": "vendor.com/nic", "DeviceIDs": {"1": ids}}
            for uid, ids in held.items()
        ]
        registered = {"vendor.com/nic": ["a"]}
        self.kubelet.write(
            "device-plugins/kubelet_internal_checkpoint",
            {"Data": {"PodDeviceEntries": entries, "RegisteredDevices": registered}, "Checksum": 1},
        )

    def admit(self) -> None:
        """A pod comes: the kubelet gives it two CPUs and 2 GiB of zone 0."""
        self.api.put(f"{PODS}/db", pod("db", "u-db"))
        container = pb.ContainerResources(name="main", cpu_ids=[1, 9], memory=[block(2 * GI, 0)])
        self.kubelet.pods = [pb.PodResources(name="db", namespace="default", containers=[container])]
        self.kubelet.write("cpu_manager_state", cpu_v4("0,2-8,10-15", {"u-db": {"main": "1,9"}}))
        self.kubelet.write("memory_manager_state", self.memory(13, {"u-db": {"main": [memory_block(2 * GI, 0)]}}))

    def command(self, *arguments: str) -> list[str]:
        """The command line of the exporter on this node."""
        return [
            sys.executable,
            "-c",
            "from extender.exporter.cli import main; main()",
            *(
                "--config",
                str(self.config),
                "--node-name",
                "n1",
                "--sysfs",
                str(self.sysfs),
                "--state-dir",
                str(self.kubelet.folder),
            ),
            *arguments,
        ]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs it to its end."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60, check=False)

    def connected(self) -> tuple[str, ...]:
        """The flag that leads to the API server."""
        return ("--kubeconfig", self.api.kubeconfig(self.folder))

    def start(self) -> None:
        """Starts it as a daemon."""
        command = self.command(*self.connected())
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def stop(self) -> tuple[int, list[dict[str, Any]]]:
        """Stops it as Kubernetes does; returns its exit code and log lines."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, [json.loads(line) for line in errors.splitlines()]

    def page(self, path: str) -> tuple[int, str]:
        """Gets a page of its HTTP server."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def until_served(self, seconds: float = 15) -> None:
        """Waits until the HTTP server answers."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.page("/healthz")
            except OSError:
                assert time.monotonic() < deadline, "nothing is served"
                time.sleep(0.02)
            else:
                return

    def until_counted(self, line: str, seconds: float = 5) -> None:
        """Waits until /metrics has a line; a write is counted a moment after the object can be seen."""
        deadline = time.monotonic() + seconds
        while line not in self.page("/metrics")[1]:
            assert time.monotonic() < deadline, f"{line} is not in /metrics"
            time.sleep(0.02)

    def report(self) -> Report | None:
        """What is published now."""
        item = self.api.objects.get(OBJECT)
        return None if item is None else report_from_nrt(item)

    def until(self, condition: Callable[[Report], object], seconds: float = 15) -> Report:
        """Waits until the published report is as it should be."""
        deadline = time.monotonic() + seconds
        while True:
            made = self.report()
            if made is not None and condition(made):
                return made
            assert time.monotonic() < deadline, f"not published in time; now {made}"
            time.sleep(0.005)


@pytest.fixture
def world() -> Iterator[World]:
    with folder() as place, kubelet(place / "kubelet") as fake, api_server() as api:
        made = World(place, fake, api)
        made.rest()
        yield made
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.communicate()


def test_the_nodes_state_is_published_as_it_changes(world: World) -> None:
    """From the idle node over a pod's coming to its going, the object follows, and SIGTERM ends it all."""
    world.start()
    idle = world.until(lambda made: made.exact)
    assert (TopologyPolicy.RESTRICTED, "v1.37.2", cpuset.of([0, 8])) == (
        idle.configuration.topology_policy,
        idle.kubelet_version,
        idle.reserved,
    )
    assert MACHINE == idle.machine

    world.admit()
    busy = world.until(lambda made: made.state.memory.entries and made.state.active)
    assert ({"u-db": {"main": cpuset.of([1, 9])}}, 13 * GI) == (
        busy.state.cpu.entries,
        busy.state.memory.zones[0].free["memory"],
    )

    touches = sum(write.path == f"{NODES}/n1" for write in world.api.writes)
    world.api.delete(f"{PODS}/db")
    gone = world.until(lambda made: not made.state.active)
    assert {"u-db"} == gone.state.cpu.entries.keys()
    world.kubelet.pods = []
    world.kubelet.write("cpu_manager_state", cpu_v4("0-15", {}))
    world.kubelet.write("memory_manager_state", world.memory(15, {}))
    world.until(lambda made: made.state == idle.state)
    assert touches < sum(write.path == f"{NODES}/n1" for write in world.api.writes)

    code, lines = world.stop()
    assert 0 == code
    assert {"published"} <= {line["message"] for line in lines}


def test_without_a_node_there_is_no_object(world: World) -> None:
    """
    A Node that goes takes its object along, and the exporter that goes on does not bring it back, whatever the kubelet
    does; for a Node that comes anew it writes one, and touches it.
    """
    world.start()
    world.until(lambda made: made.exact)
    world.api.delete(f"{NODES}/n1")
    deadline = time.monotonic() + 15
    while 503 != world.page("/readyz")[0]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    world.api.delete(OBJECT)
    world.admit()
    time.sleep(1)
    assert world.report() is None

    touches = sum(write.path == f"{NODES}/n1" for write in world.api.writes)
    world.api.put(f"{NODES}/n1", {**node("n1"), "metadata": {"name": "n1", "uid": "another"}})
    world.until(lambda made: made.state.active)
    assert ["another"] == [owner["uid"] for owner in world.api.objects[OBJECT]["metadata"]["ownerReferences"]]
    world.until_counted('numa_exporter_writes_total{object="node",result="ok",why="growth"}')
    assert touches < sum(write.path == f"{NODES}/n1" for write in world.api.writes)


def test_metrics_and_health_are_served(world: World) -> None:
    """/metrics shows what the report says of itself, /healthz that the loop turns, /readyz that the object is written."""
    world.api.refusals[OBJECT] = 503
    world.start()
    world.until_served()
    assert (200, "ok\n") == world.page("/healthz")
    assert (503, "nothing has been published yet\n") == world.page("/readyz")
    assert (404, "there are /metrics, /healthz and /readyz\n") == world.page("/")
    world.api.refusals.clear()
    world.until(lambda made: made.exact)
    world.until_counted('numa_exporter_writes_total{object="report",result="ok",why="change"}')

    assert (200, "ok\n") == world.page("/readyz")
    for line in (
        'numa_exporter_writes_total{object="report",result="ok",why="change"}',
        'numa_exporter_estimates{part="cpu-state"} 0.0',
        'numa_exporter_checkpoint_faults{fault="unknown-form",file="cpu_manager_state"} 0.0',
        'numa_exporter_disagreements{pair="cpu-checkpoint/podresources"} 0.0',
        "numa_exporter_publish_seconds_bucket",
        "process_resident_memory_bytes",
    ):
        world.until_counted(line)


def test_a_kubelet_that_starts_anew_is_read_anew(world: World) -> None:
    """Another configuration and other hardware are seen as soon as the kubelet has made its socket again."""
    world.start()
    world.until(lambda made: made.exact)
    world.kubelet.stop()
    world.api.documents[CONFIGZ] = {"kubeletconfig": {**KUBELET, "topologyManagerPolicy": "best-effort"}}
    (world.sysfs / "devices/system/node/node1/distance").write_text("31 10\n")
    world.kubelet.start()
    made = world.until(lambda made: made.configuration.topology_policy is TopologyPolicy.BEST_EFFORT)

    assert (31, 10) == made.machine.zones[1].distances


def test_a_checkpoint_of_unknown_form_is_lived_with(world: World) -> None:
    """The exporter goes on with PodResources, says what is an estimate now, and counts it; it heals by itself."""
    world.admit()
    world.start()
    world.until(lambda made: made.exact and made.state.active)
    world.kubelet.write("cpu_manager_state", {"policyName": "static", "form": 9})
    made = world.until(lambda made: made.estimates)
    assert ((Missing.CPU_STATE,), {"u-db": {"main": cpuset.of([1, 9])}}) == (made.estimates, made.state.cpu.entries)
    world.until_counted('numa_exporter_checkpoint_faults{fault="unknown-form",file="cpu_manager_state"} 1.0')
    world.kubelet.write("cpu_manager_state", cpu_v4("0,2-8,10-15", {"u-db": {"main": "1,9"}}))
    world.until(lambda made: made.exact)
    _, lines = world.stop()

    assert 1 == sum("has a form that is not known" in line["message"] for line in lines)


def test_nothing_is_lost_while_the_api_server_is_away(world: World) -> None:
    """What changed meanwhile is published when it is back."""
    world.start()
    world.until(lambda made: made.exact)
    world.api.stop()
    world.admit()
    time.sleep(0.5)
    before = world.report()
    assert before is not None
    assert not before.state.cpu.entries
    world.api.start()
    world.api.put(f"{PODS}/db", pod("db", "u-db"))

    assert {"u-db"} == world.until(lambda made: made.state.active).state.cpu.entries.keys()


def test_what_was_known_stands_while_the_kubelet_is_away(world: World) -> None:
    """A kubelet that stops changes nothing in the object."""
    world.admit()
    world.start()
    before = world.until(lambda made: made.exact and made.state.active)
    world.kubelet.stop()
    world.api.put(f"{PODS}/web", pod("web", "u-web", started=False))
    time.sleep(0.4)

    assert before == world.report()


def test_a_device_that_falls_ill_is_still_there(world: World) -> None:
    """What was healthy once and is counted by the Node is unhealthy, even for an exporter that started later."""
    world.start()
    world.until(lambda made: made.exact)
    world.stop()
    del world.kubelet.allocatable.devices[:]
    world.start()
    made = world.until(lambda made: not made.state.device.reported["vendor.com/nic"][0].healthy)

    assert made.exact


def test_oneshot_publishes_once(world: World) -> None:
    """The object is there when the program ends, and the Node is left alone."""
    done = world.run("--oneshot", *world.connected())
    made = world.report()

    assert (0, "") == (done.returncode, done.stdout)
    assert made is not None
    assert made.exact
    assert [OBJECT] == [write.path for write in world.api.writes]


def test_oneshot_fails_in_one_line(world: World) -> None:
    """When the API server refuses, the reason is on standard error and the exit code is 1."""
    world.api.refusals[OBJECT] = 403
    done = world.run("--oneshot", *world.connected())

    assert 1 == done.returncode
    assert "refused by the test" in done.stderr
    assert "Traceback" not in done.stderr


def test_dry_run_prints_the_object(world: World) -> None:
    """The YAML on standard output is the object that would be applied, and nothing is written."""
    world.admit()
    done = world.run("--dry-run", *world.connected())
    made = report_from_nrt(yaml.safe_load(done.stdout))

    assert (0, ["u-db"]) == (done.returncode, list(made.state.active))
    assert made.exact
    assert [] == world.api.writes


def test_dry_run_works_on_sysfs_alone(world: World) -> None:
    """Without kubelet and API server the machine is printed, and what is missing stands on standard error."""
    done = world.run("--dry-run", "--state-dir", str(world.folder / "nothing"))
    made = report_from_nrt(yaml.safe_load(done.stdout))

    assert (0, MACHINE, (Missing.CONFIGURATION, Missing.VERSION)) == (done.returncode, made.machine, made.estimates)
    assert "cpu_manager_state is not there" in done.stderr
    assert "Traceback" not in done.stderr


def test_dry_run_prints_a_table_for_people(world: World) -> None:
    """Zones with their CPUs and amounts, and pods with what they hold."""
    world.admit()
    done = world.run("--dry-run", "-o", "table", *world.connected())

    assert "node n1, kubelet v1.37.2\n" in done.stdout
    assert re.search(r"^node-0 +0-3,8-11 +cpu +8 +6 +4 +0:10 1:21$", done.stdout, re.MULTILINE)
    assert re.search(r"^ +memory +16.0Gi +15.0Gi +13.0Gi$", done.stdout, re.MULTILINE)
    assert re.search(r"^default/db +main +1,9 +memory:2.0Gi@0$", done.stdout, re.MULTILINE)


MISTAKES = [
    pytest.param(
        ["--config", "/nowhere/exporter.yaml"], "Error: /nowhere/exporter.yaml: No such file or directory", id="no file"
    ),
    pytest.param(
        ["--oneshot", "--kubeconfig", "/nowhere"],
        "Error: no way to the API server: kubeconfig /nowhere: ",
        id="no kubeconfig",
    ),
    pytest.param(
        ["-o", "xml"],
        "Error: Invalid value for '-o' / '--output': 'xml' is not one of 'yaml', 'table'.",
        id="no output",
    ),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES)
def test_a_users_mistake_is_one_sentence(world: World, arguments: list[str], sentence: str) -> None:
    """It ends with exit code 2 and without a traceback."""
    done = world.run(*arguments)

    assert 2 == done.returncode
    assert done.stderr.splitlines()[-1].startswith(sentence)
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_one_sentence(world: World) -> None:
    """The address that cannot be listened on is named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", world.port))
        taken.listen()
        done = world.run(*world.connected())

    assert 2 == done.returncode
    assert f"Error: serve.address '127.0.0.1' with serve.port {world.port} cannot be listened on: " in done.stderr


def test_an_object_that_cannot_be_read_is_replaced(world: World) -> None:
    """What somebody else has left behind under the node's name does not stop the exporter."""
    broken = {"metadata": {"name": "n1"}, "attributes": [{"name": "topologyManagerPolicy", "value": "?"}], "zones": []}
    world.api.put(OBJECT, broken)
    with pytest.raises(WireError):
        world.report()
    done = world.run("--oneshot", *world.connected())
    made = world.report()

    assert 0 == done.returncode
    assert made is not None
    assert made.exact


def test_a_holder_that_nobody_knows_is_a_leftover(world: World) -> None:
    """What pods of before the exporter's time still hold is free for the next admission, at once."""
    world.kubelet.write("cpu_manager_state", cpu_v4("0,2-8,10-15", {"u-old": {"main": "1,9"}}))
    world.start()
    made = world.until(lambda made: made.exact)

    assert (["u-old"], []) == (list(made.state.cpu.entries), list(made.state.active))


def test_news_of_a_new_holder_may_be_late_but_not_for_ever(world: World) -> None:
    """A holder that appears before the API server tells of its pod counts, and no longer after five seconds."""
    world.start()
    world.until(lambda made: made.exact)
    world.kubelet.write("cpu_manager_state", cpu_v4("0,2-8,10-15", {"u-new": {"main": "1,9"}}))
    world.until(lambda made: "u-new" in made.state.active)
    made = world.until(lambda made: not made.state.active)

    assert {"u-new"} == made.state.cpu.entries.keys()
