"""
How soon the extender is ready on a large cluster, what it weighs, and what updates do to its answers.

The extender is the real one, gunicorn and all, on the lists and watches of a small API server. An update is a
node's report with one pod gone, or there again.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import orjson
import yaml

from bench.api_server import UPDATES
from bench.figures import Figures, percentile
from bench.nodes import NODES, NOW, PODS, Node, Object, changed, cluster, pod, question
from bench.serving import TESTS, Client, extender, free_port, peak_bytes, resident_bytes, worker
from bench.verbs import FILTER, PRIORITIZE
from extender.wire.nrt import PATH as TOPOLOGIES

_numbers = count()


def measure(size: int, pods: int, rate: int, rounds: int) -> Figures:
    """Measures one cluster with so many nodes and pods, and so many updates a second."""
    nodes = list(cluster(size, most_pods=2 * pods // size))
    there = sum(len(one.pods) for one in nodes)
    with tempfile.TemporaryDirectory() as folder:
        objects = Path(folder, "objects")
        _write(nodes, objects)
        with _api_server(objects) as api:
            settings = _settings(Path(folder), api)
            began = time.monotonic()
            with extender("extender.app:serve()", settings) as (port, parent):
                ready = time.monotonic() - began
                pid = worker(parent)
                resident, peak = resident_bytes(pid), peak_bytes(pid)
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/nodes?limit=1").read()  # what-if has been told
                calm = _answers(port, nodes, rounds)
                with _updates(api, nodes, rate) as ended:
                    began = time.monotonic()
                    busy = _answers(port, nodes, rounds)
                    sent = ended()
                    achieved = sent / (time.monotonic() - began)
                    taken = _taken_in(port) / sent
                after = resident_bytes(pid)
    rows: list[Object] = [
        {"what": f"seconds until ready, {size} nodes and {there} pods", "value": ready},
        {"what": "MB resident when ready", "value": resident / 1e6},
        {"what": "MB at most while starting", "value": peak / 1e6},
        {"what": "MB resident in the end", "value": after / 1e6},
        {"what": "updates a second", "value": achieved},
        {"what": "part of them taken in at once", "value": taken},
    ]
    for at in (50, 99):
        rows.append({"what": f"filter + prioritize, ms, p{at}, calm", "value": 1e3 * percentile(calm, at)})
        rows.append({"what": f"filter + prioritize, ms, p{at}, during updates", "value": 1e3 * percentile(busy, at)})
        rows.append({"what": f"ratio p{at}", "value": percentile(busy, at) / percentile(calm, at)})
    return Figures("ingestion", "Ingestion", rows)


def _write(nodes: Sequence[Node], path: Path) -> None:
    with path.open("wb") as out:
        for one in nodes:
            listed = [(NODES, {"metadata": {"name": one.name}}), (TOPOLOGIES, one.topology)]
            listed += [(PODS, _as_stored(item)) for item in one.pods]
            for where, item in listed:
                out.write(where.encode() + b"\t" + orjson.dumps(item) + b"\n")


def _as_stored(item: Object) -> Object:
    """A running pod with as much about it as a usual one has: 5 kB, of which admission reads little."""
    container = {
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log",
        "env": [{"name": f"SETTING_{number}", "value": "x" * 40} for number in range(20)],
        "volumeMounts": [{"name": f"volume-{number}", "mountPath": f"/data/{number}"} for number in range(6)],
    }
    status = {
        **item["status"],
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": "2026-01-31T12:00:00Z"}
            for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready", "PodReadyToStartContainers")
        ],
        "containerStatuses": [
            {
                "name": one["name"],
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-31T12:00:00Z"}},
                "image": "registry.example/app:1",
                "imageID": "registry.example/app@sha256:" + "0" * 64,
                "containerID": "containerd://" + "0" * 64,
            }
            for one in item["spec"]["containers"]
        ],
    }
    spec = {**item["spec"], "containers": [{**one, **container} for one in item["spec"]["containers"]]}
    metadata = {
        **item["metadata"],
        "creationTimestamp": "2026-01-31T12:00:00Z",
        "labels": {f"label-{number}": "value" for number in range(8)},
        "managedFields": [{"manager": "kubelet", "fieldsV1": {f"f:field-{number}": {} for number in range(60)}}],
    }
    return {**item, "metadata": metadata, "spec": spec, "status": status}


@contextmanager
def _api_server(objects: Path) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.api_server", str(port), str(objects)], cwd=TESTS)
    try:
        while True:
            try:
                http.client.HTTPConnection("127.0.0.1", port).connect()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def _settings(folder: Path, api: int) -> Object:
    """Settings and a kubeconfig for a cluster at a port."""
    kubeconfig = folder / "kubeconfig"
    server = {"name": "bench", "cluster": {"server": f"http://127.0.0.1:{api}"}}
    context = {"name": "bench", "context": {"cluster": "bench", "user": "bench"}}
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [server],
                "contexts": [context],
                "users": [{"name": "bench", "user": {}}],
                "current-context": "bench",
            }
        )
    )
    return {
        "inventory": {"source": "cluster", "kubeconfig": str(kubeconfig)},
        "rules": {"assume": "bind", "staleSeconds": 86_400},
    }


def _answers(port: int, nodes: Sequence[Node], rounds: int) -> list[float]:
    """Seconds of filter and prioritize together, of a known shape, on all nodes."""
    client, names = Client(port), [one.name for one in nodes]
    times = []
    for turn in range(-3, rounds):
        asked = pod(f"asked-{next(_numbers)}", ("6", "6Gi"), ("2", "2Gi"))
        took, answer = client.post(FILTER, orjson.dumps(question(asked, names)))
        fit = orjson.loads(answer)["NodeNames"]
        took_too, _ = client.post(PRIORITIZE, orjson.dumps(question(asked, fit)))
        if turn >= 0:
            times.append(took + took_too)
        time.sleep(0.005)  # as a scheduler that has other things to do too
    return times


def _taken_in(port: int) -> float:
    """How many updates the extender has taken in by now, as its metrics tell."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    label = f'resource="{TOPOLOGIES.rpartition("/")[2]}"'
    lines = [
        line for line in text.splitlines() if "watch_events_total{" in line and "MODIFIED" in line and label in line
    ]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@contextmanager
def _updates(api: int, nodes: Sequence[Node], rate: int) -> Iterator[Callable[[], int]]:
    """Has updates sent; yields what ends them and returns how many there were."""
    some = [one for one in nodes if one.pods][:: max(1, len(nodes) // 2000)]
    items = [orjson.dumps(changed(one, NOW + 1).topology) for one in some]
    items += [orjson.dumps(one.topology) for one in some]

    def post(path: str, lines: Sequence[bytes]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", api)
        connection.request("POST", f"{UPDATES}{path}", b"\n".join(lines))
        return int(connection.getresponse().read())

    post(f"{TOPOLOGIES}?rate={rate}", items)
    try:
        yield lambda: post("", ())
    finally:
        post("", ())
