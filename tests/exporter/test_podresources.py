"""PodResources over a real socket: what a kubelet lists, and how it may fail to answer."""

from __future__ import annotations

import time
from collections.abc import Iterator

import grpc
import pytest
from fake_kubelet import FakeKubelet, block, devices, kubelet, topology
from trees import folder

from extender import cpuset
from extender.exporter import podresources_pb2 as pb
from extender.exporter.observation import Allocatable, ListedContainer, ListedPod
from extender.exporter.podresources import PodResources, PodResourcesError
from extender.model.state import Block, Device


@pytest.fixture
def fake() -> Iterator[FakeKubelet]:
    with folder() as place, kubelet(place) as running:
        yield running


@pytest.fixture
def client(fake: FakeKubelet) -> Iterator[PodResources]:
    made = PodResources(fake.socket)
    yield made
    made.close()


def test_pods_are_listed_with_what_their_containers_have(fake: FakeKubelet, client: PodResources) -> None:
    """CPUs become sets, blocks and devices are put in order, pods stand by name."""
    db = pb.ContainerResources(
        name="db",
        cpu_ids=[17, 1],
        memory=[block(4, 1, kind="hugepages-2Mi"), block(8, 0, 1)],
        devices=[devices("vendor.com/nic", "a", 0), devices("vendor.com/nic", "a", 1), devices("vendor.com/x", "b")],
    )
    fake.pods = [
        pb.PodResources(name="web", namespace="b", containers=[pb.ContainerResources(name="main")]),
        pb.PodResources(name="db", namespace="a", containers=[db]),
    ]

    assert (
        ListedPod(
            "a",
            "db",
            {
                "db": ListedContainer(
                    cpus=cpuset.of([1, 17]),
                    memory=(Block(0b10, "hugepages-2Mi", 4), Block(0b11, "memory", 8)),
                    devices={"vendor.com/nic": frozenset("a"), "vendor.com/x": frozenset("b")},
                    near=0b11,
                )
            },
        ),
        ListedPod("b", "web", {"main": ListedContainer()}),
    ) == client.list()


def test_pod_level_resources_stand_beside_those_of_containers(fake: FakeKubelet, client: PodResources) -> None:
    """Fields 4 and 5 include the containers' share and are kept apart from it, so nothing is counted twice."""
    container = pb.ContainerResources(name="db", cpu_ids=[1, 17], memory=[block(8, 0)])
    fake.pods = [
        pb.PodResources(name="p", namespace="a", containers=[container], cpu_ids=[17, 18, 2, 1], memory=[block(16, 0)])
    ]
    (pod,) = client.list()

    assert (cpuset.of([1, 2, 17, 18]), (Block(1, "memory", 16),)) == (pod.cpus, pod.memory)
    assert cpuset.of([1, 17]) == pod.containers["db"].cpus


def test_allocatable_is_read(fake: FakeKubelet, client: PodResources) -> None:
    """One device near two zones is one device; no topology, and a zone of -1, are two ways to be near none."""
    fake.allocatable = pb.AllocatableResourcesResponse(
        cpu_ids=[3, 1],
        memory=[block(5, 8), block(7, 0), block(2, 0, kind="hugepages-1Gi")],
        devices=[
            devices("vendor.com/nic", "b", 1),
            devices("vendor.com/nic", "b", 0),
            devices("vendor.com/nic", "a"),
            devices("vendor.com/nic", "c", -1),
        ],
    )

    assert (
        Allocatable(
            cpuset.of([1, 3]),
            {0: {"memory": 7, "hugepages-1Gi": 2}, 8: {"memory": 5}},
            {"vendor.com/nic": (Device("a", 0, located=False), Device("b", 0b11), Device("c", 0, located=True))},
        )
        == client.allocatable()
    )


def test_zone_0_is_not_taken_for_no_zone(fake: FakeKubelet, client: PodResources) -> None:
    """An id of 0 is the default of its field and still a zone; an empty topology is none."""
    containers = [
        pb.ContainerResources(
            name="near", memory=[pb.ContainerMemory(memory_type="memory", size=1, topology=topology(0))]
        ),
        pb.ContainerResources(
            name="none", memory=[pb.ContainerMemory(memory_type="memory", size=1, topology=topology())]
        ),
    ]
    fake.pods = [pb.PodResources(name="p", namespace="a", containers=containers)]
    (pod,) = client.list()

    assert (1, 0) == (pod.containers["near"].memory[0].zones, pod.containers["none"].memory[0].zones)


def test_an_old_kubelet_does_not_tell_what_is_allocatable(fake: FakeKubelet, client: PodResources) -> None:
    """UNIMPLEMENTED means that it is not known, not that the kubelet is away."""
    fake.unknown_methods = {"GetAllocatableResources"}

    assert client.allocatable() is None


def test_a_busy_kubelet_is_asked_again(fake: FakeKubelet, client: PodResources) -> None:
    """RESOURCE_EXHAUSTED is answered with patience: the third call gets its answer."""
    fake.refusals = [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2

    assert () == client.list()
    assert 3 == fake.calls


def test_a_kubelet_that_stays_busy_is_away(
    fake: FakeKubelet, client: PodResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patience ends with a sentence that names socket and reason."""
    monkeypatch.setattr("extender.exporter.podresources.FIRST_PAUSE_SECONDS", 0.001)
    fake.refusals = [grpc.StatusCode.RESOURCE_EXHAUSTED] * 9

    with pytest.raises(PodResourcesError, match=r"kubelet\.sock: RESOURCE_EXHAUSTED: refused"):
        client.list()


def test_a_kubelet_that_comes_back_is_found(fake: FakeKubelet, client: PodResources) -> None:
    """While it is away a call fails at once; once it is back the same client gets answers within two seconds."""
    fake.stop()
    with pytest.raises(PodResourcesError, match="UNAVAILABLE"):
        client.list()
    fake.start()
    deadline = time.monotonic() + 2
    while True:
        try:
            client.list()
            break
        except PodResourcesError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
