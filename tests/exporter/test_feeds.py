"""The feeds of the Node and its pods, from a server over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clock import until
from fake_api import NODES, PODS, FakeApi, api_server, node, pod

from extender.exporter.api import Api, ApiError, connect
from extender.exporter.feeds import Feed, NodeFeed, PodFeed
from extender.exporter.observation import ApiNode, ApiPod
from extender.model.pod import Kind


@pytest.fixture
def server() -> Iterator[FakeApi]:
    with api_server() as running:
        yield running


@pytest.fixture
def api(server: FakeApi, tmp_path: Path) -> Iterator[Api]:
    made = connect(server.kubeconfig(tmp_path))
    yield made
    made.close()


class Heard:
    """What a feed has said."""

    def __init__(self) -> None:
        self.changes = 0
        self.failures: list[str] = []
        self._news = threading.Event()

    def changed(self) -> None:
        self.changes += 1

    def failed(self, path: str) -> None:
        self.failures.append(path)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def run() -> Iterator[Callable[[Feed], None]]:
    started: list[Feed] = []

    def start(feed: Feed) -> None:
        feed.start()
        started.append(feed)
        assert feed.synced.wait(5)

    yield start
    for feed in started:
        feed.stop()


def test_pods_are_followed(server: FakeApi, api: Api, heard: Heard, run: Callable[[Feed], None]) -> None:
    """What was there, what comes, what changes and what goes is known, and each is a change."""
    server.put(f"{PODS}/a", pod("a", "u-a"))
    feed = PodFeed("n1", api, heard.changed, heard.failed)
    run(feed)
    server.put(f"{PODS}/b", pod("b", "u-b", started=False))
    until(lambda: "u-b" in feed.pods)
    server.put(f"{PODS}/b", pod("b", "u-b", phase="Failed"))
    until(lambda: feed.pods["u-b"].terminal)
    server.delete(f"{PODS}/a")
    until(lambda: "u-a" not in feed.pods)

    assert {
        "u-b": ApiPod("u-b", "u-b", "default", "b", {"main": Kind.APP}, terminal=True, acknowledged=True)
    } == feed.pods
    assert ["u-a"] == list(feed.departed)
    assert 4 == heard.changes


def test_containers_have_the_kubelets_order_and_kinds(api: Api, heard: Heard, server: FakeApi) -> None:
    """Init containers come first; one that is always restarted is a sidecar."""
    init = [{"name": "setup"}, {"name": "proxy", "restartPolicy": "Always"}]
    server.put(f"{PODS}/a", pod("a", "u-a", "x", "y", initContainers=init))
    feed = PodFeed("n1", api, heard.changed, heard.failed)
    feed.read_once()

    assert [("setup", Kind.INIT), ("proxy", Kind.SIDECAR), ("x", Kind.APP), ("y", Kind.APP)] == list(
        feed.pods["u-a"].kinds.items()
    )


def test_a_mirror_pod_has_the_static_pods_uid(api: Api, heard: Heard, server: FakeApi) -> None:
    """The kubelet's own uid of a static pod is in an annotation of its mirror."""
    annotations = {"kubernetes.io/config.mirror": "hash", "kubernetes.io/config.hash": "static-uid"}
    server.put(f"{PODS}/a", pod("a", "u-a", annotations=annotations))
    feed = PodFeed("n1", api, heard.changed, heard.failed)
    feed.read_once()

    assert "static-uid" == feed.pods["u-a"].kubelet_uid


def test_the_node_is_followed(server: FakeApi, api: Api, heard: Heard, run: Callable[[Feed], None]) -> None:
    """Uid, kubelet version and the capacity of plugins' resources are known; native resources are not theirs."""
    feed = NodeFeed("n1", api, heard.changed, heard.failed)
    run(feed)
    assert feed.node is None
    server.put(f"{NODES}/n1", node("n1", "v1.36.3", {"hugepages-2Mi": "4Mi", "vendor.com/nic": "3"}))
    until(lambda: feed.node is not None)

    assert ApiNode("node-n1", "v1.36.3", {"vendor.com/nic": 3}) == feed.node


def test_an_expired_watch_lists_again(server: FakeApi, api: Api, heard: Heard, run: Callable[[Feed], None]) -> None:
    """When the version to watch from is gone, everything is read anew, and nothing that was missed is missing."""
    server.put(f"{PODS}/a", pod("a", "u-a"))
    feed = PodFeed("n1", api, heard.changed, heard.failed)
    run(feed)
    server.objects.pop(f"{PODS}/a")
    server.expire()
    server.put(f"{PODS}/b", pod("b", "u-b"))
    until(lambda: ["u-b"] == list(feed.pods))

    assert ["u-a"] == list(feed.departed)
    assert [PODS] == heard.failures


def test_what_was_known_stands_while_the_server_is_away(
    server: FakeApi, api: Api, heard: Heard, run: Callable[[Feed], None]
) -> None:
    """A server that goes and comes back costs nothing but time."""
    server.put(f"{PODS}/a", pod("a", "u-a"))
    feed = PodFeed("n1", api, heard.changed, heard.failed)
    run(feed)
    server.stop()
    until(lambda: heard.failures)
    assert ["u-a"] == list(feed.pods)
    server.start()
    server.put(f"{PODS}/b", pod("b", "u-b"))
    until(lambda: ["u-a", "u-b"] == list(feed.pods))

    assert 1 == server.lists


def test_the_servers_own_words_are_the_error(api: Api) -> None:
    """A refusal has the method, the path, the server's message and the status."""
    with pytest.raises(ApiError) as raised:
        api.get("/apis/nothing")

    assert ("GET /apis/nothing: /apis/nothing not found", 404) == (str(raised.value), raised.value.status)
