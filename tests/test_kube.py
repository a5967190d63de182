"""List, watch and bind against a small API server."""

from __future__ import annotations

import queue
import ssl
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme
from fake_api_server import BREAK, CLOSE, Collection, FakeApiServer, kubeconfig, serving

from extender.kube import Cluster, KubeError, Watch, connect
from extender.metrics import Metrics

PATH = "/api/v1/things"


def thing(name: str, version: int = 1) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


class Recorder:
    """An object reader that passes on what it was told."""

    resource = "things"

    def __init__(self) -> None:
        self.told: queue.Queue[tuple[str, Any]] = queue.Queue()

    def replace(self, objects: Iterable[dict[str, Any]]) -> None:
        self.told.put(("replace", [item["metadata"]["name"] for item in objects]))

    def put(self, item: dict[str, Any]) -> None:
        self.told.put(("put", item["metadata"]["name"]))

    def remove(self, item: dict[str, Any]) -> None:
        self.told.put(("remove", item["metadata"]["name"]))

    def next(self) -> tuple[str, Any]:
        return self.told.get(timeout=10)


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    with serving() as state:
        yield state


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[FakeApiServer]:
    """A server that speaks TLS, as API servers do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(context) as state:
        yield state


@pytest.fixture
def direct(secure: FakeApiServer, authority: trustme.CA, tmp_path: Path) -> Iterator[Cluster]:
    cluster = connected(secure.url, tmp_path, authority)
    yield cluster
    cluster.close()


def connected(url: str, folder: Path, authority: trustme.CA | None = None) -> Cluster:
    """A cluster as a kubeconfig file with a token describes it."""
    told = b"" if authority is None else authority.cert_pem.bytes()
    return connect(str(kubeconfig(folder, url, "s3cret", told)))


@pytest.fixture
def cluster(server: FakeApiServer, tmp_path: Path) -> Cluster:
    return connected(server.url, tmp_path)


@pytest.fixture
def things(server: FakeApiServer) -> Collection:
    return server.collections[PATH]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def watch(things: Collection, cluster: Cluster, recorder: Recorder) -> Iterator[Watch]:
    watch = Watch(cluster, PATH, recorder, Metrics())
    yield watch
    watch.stop()
    for _ in range(3):  # one for each connection that a test may have left open
        things.events.put(CLOSE)
    watch._thread.join(timeout=10)
    assert not watch._thread.is_alive()


def test_a_list_is_read_page_by_page(server: FakeApiServer, things: Collection, cluster: Cluster) -> None:
    """Each page of a list comes by itself, so that no more than one has to be held."""
    things.objects = [thing(str(number)) for number in range(5)]
    things.version = 42

    assert [(things.objects[start : start + 2], "42") for start in (0, 2, 4)] == list(cluster.pages(PATH, page=2))
    assert ["0", "2", "4"] == [query.get("continue", "0") for _, query in server.requests]


def test_a_refusal_says_what_the_server_says(server: FakeApiServer, cluster: Cluster) -> None:
    """What the API server refuses is an error with its status and its own words."""
    server.refuse.append((403, "things is forbidden"))

    with pytest.raises(KubeError, match=r"^GET /api/v1/things: things is forbidden$") as caught:
        cluster.list(PATH)
    assert caught.value.status == 403


def test_no_server_is_an_error_without_a_status(tmp_path: Path) -> None:
    """Where nobody answers, nobody knows whether a Binding took effect."""
    with pytest.raises(KubeError) as caught:
        connected("http://127.0.0.1:9", tmp_path).bind("ns", "p", {})
    assert caught.value.status is None


def test_a_binding_is_posted_with_our_token(server: FakeApiServer, cluster: Cluster) -> None:
    """Bind posts the Binding to the pod's subresource and says who we are."""
    cluster.bind("ns", "p", {"kind": "Binding"})

    assert [("/api/v1/namespaces/ns/pods/p/binding", {"kind": "Binding"}, "Bearer s3cret")] == server.bindings


def test_bindings_share_a_connection(secure: FakeApiServer, direct: Cluster) -> None:
    """With TLS too the Binding is posted with our token, and the next one over the same connection."""
    for name in ("p", "q", "r"):
        direct.bind("ns", name, {"kind": "Binding"})

    paths = [f"/api/v1/namespaces/ns/pods/{name}/binding" for name in ("p", "q", "r")]
    assert [(path, {"kind": "Binding"}, "Bearer s3cret") for path in paths] == secure.bindings
    assert 1 == secure.connections


def test_bindings_at_the_same_time_do_not_wait_for_each_other(secure: FakeApiServer, direct: Cluster) -> None:
    """Each has a connection of its own."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: direct.bind("ns", f"p{number}", {"kind": "Binding"}), range(64)))

    assert {f"/api/v1/namespaces/ns/pods/p{number}/binding" for number in range(64)} == {
        path for path, *_ in secure.bindings
    }
    assert secure.connections <= 8


def test_a_connection_that_has_ended_is_not_used_again(secure: FakeApiServer, direct: Cluster) -> None:
    """API servers end connections that they have no more use for; no Binding is lost in one."""
    secure.hang_up = True
    for name in ("p", "q", "r"):
        direct.bind("ns", name, {"kind": "Binding"})
        time.sleep(0.1)  # it takes a moment to hear of an end

    assert 3 == len(secure.bindings) == secure.connections


def test_a_refused_binding_says_what_the_server_says(secure: FakeApiServer, direct: Cluster) -> None:
    """As any refusal; the connection serves the next one."""
    secure.refuse.append((409, "pod p is already assigned to node n"))

    with pytest.raises(KubeError, match=r"pods/p/binding: pod p is already assigned to node n$") as caught:
        direct.bind("ns", "p", {})
    assert caught.value.status == 409
    direct.bind("ns", "q", {})
    assert 1 == secure.connections


@pytest.mark.parametrize("url", ["https://127.0.0.1:9", "https://no.such.host.invalid"])
def test_where_nobody_answers_a_binding_has_no_status(url: str, tmp_path: Path) -> None:
    """Nobody knows whether it took effect."""
    with pytest.raises(KubeError, match=r"^POST /api/v1/namespaces/ns/pods/p/binding: .+") as caught:
        connected(url, tmp_path).bind("ns", "p", {})
    assert caught.value.status is None


def test_a_server_without_a_certificate_of_the_authority_gets_no_binding(secure: FakeApiServer, tmp_path: Path) -> None:
    """Nor our token."""
    with pytest.raises(KubeError, match="certificate"):
        connected(secure.url, tmp_path, trustme.CA()).bind("ns", "p", {})
    assert [] == secure.bindings


def test_no_kubeconfig_and_no_service_account_is_one_sentence() -> None:
    """A process that cannot know its API server says so in one sentence."""
    with pytest.raises(KubeError, match="no way to the API server"):
        connect("/nowhere/kubeconfig")


def test_what_happens_after_the_list_is_told_in_order(things: Collection, watch: Watch, recorder: Recorder) -> None:
    """The list comes first, as a whole; then each event; bookmarks only move the version."""
    things.objects, things.version = [thing("a")], 7
    for event in (
        {"type": "ADDED", "object": thing("b", 8)},
        {"type": "BOOKMARK", "object": thing("", 9)},
        {"type": "MODIFIED", "object": thing("a", 10)},
        {"type": "DELETED", "object": thing("b", 11)},
    ):
        things.events.put(event)
    watch.start()

    assert [("replace", ["a"]), ("put", "b"), ("put", "a"), ("remove", "b")] == [recorder.next() for _ in range(4)]
    assert watch.synced.is_set()


@pytest.mark.parametrize(
    ("ending", "asked"),
    [
        pytest.param(CLOSE, "watch 8", id="a watch that ends is resumed where it was"),
        pytest.param(BREAK, "watch 8", id="a watch that breaks is resumed where it was"),
        pytest.param(
            {"type": "ERROR", "object": {"code": 410, "message": "too old"}},
            "list",
            id="a version that is too old means a new list",
        ),
        pytest.param(
            {"type": "ERROR", "object": {"code": 500, "message": "etcd is away"}},
            "watch 8",
            id="another error is tried again where it was",
        ),
    ],
)
def test_a_watch_goes_on(
    server: FakeApiServer, things: Collection, watch: Watch, recorder: Recorder, ending: object, asked: str
) -> None:
    """However a watch ends, nothing is lost."""
    things.events.put({"type": "ADDED", "object": thing("a", 8)})
    things.events.put(ending)
    watch.start()
    assert [("replace", []), ("put", "a")] == [recorder.next() for _ in range(2)]
    things.objects, things.version = [thing("a", 8), thing("b", 9)], 9
    things.events.put({"type": "ADDED", "object": thing("b", 9)})

    told = recorder.next()
    assert asked == server.paths()[2]
    assert told == (("replace", ["a", "b"]) if asked == "list" else ("put", "b"))


def test_an_api_server_that_is_away_is_waited_for(
    server: FakeApiServer, things: Collection, watch: Watch, recorder: Recorder
) -> None:
    """A refused list is tried again; until one succeeds the watch is not synced."""
    things.objects = [thing("a")]
    server.refuse += [(503, "starting"), (503, "starting")]
    watch.start()

    assert ("replace", ["a"]) == recorder.next()
    assert ["list"] * 3 == server.paths()[:3]


def test_a_fault_of_ours_leads_to_a_new_list(
    things: Collection, watch: Watch, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that fails on an object does not freeze the inventory: everything is read anew."""
    monkeypatch.setattr(recorder, "put", lambda _: 1 / 0)
    things.events.put({"type": "ADDED", "object": thing("a", 8)})
    watch.start()
    assert ("replace", []) == recorder.next()
    things.objects = [thing("a", 8)]

    assert ("replace", ["a"]) == recorder.next()
