"""
What the real scheduler sends, kept in tests/data/scheduler/ for the tests that run without it.

With LAB_RECORD=1 the test writes the files anew; without, it says when the scheduler has begun to speak otherwise.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from lab.api import Api, Object
from lab.control_plane import TOPOLOGIES, ControlPlane
from lab.machines import machine
from lab.picture import Picture
from lab.pods import is_running
from lab.process import start_together
from lab.product import metric
from lab.recorder import Recorder
from lab.scheduler import CONFIGURATION_FILE
from lab.waiting import eventually
from lab.workspace import REPOSITORY

from conftest import ExporterFactory, ExtenderFactory, KubeletFactory, SchedulerFactory

pytestmark = pytest.mark.cluster

SECONDS = 120
DATA = REPOSITORY / "tests" / "data" / "scheduler"
VERBS = ("filter", "prioritize", "bind")
KEPT = ("path", "headers", "request", "response")
# Of metadata, what tells of the object's history and not of its form.
FREE = {"annotations", "labels", "managedFields"}
ALIGNED = {
    "topologyManagerPolicy": "single-numa-node",
    "topologyManagerScope": "pod",
    "cpuManagerPolicy": "static",
    "reservedSystemCPUs": "0",
    "memoryManagerPolicy": "Static",
    "systemReserved": {"memory": "1Gi"},
    "featureGates": {"PodLevelResources": True, "PodLevelResourceManagers": True},
}


def test_the_scheduler_speaks_as_recorded(
    control_plane: ControlPlane,
    extender: ExtenderFactory,
    exporter: ExporterFactory,
    kubelet: KubeletFactory,
    scheduler: SchedulerFactory,
    api: Api,
    namespace: str,
    pods: Picture,
    tmp_path: Path,
) -> None:
    """
    With nodeCacheCapable true and false, requests of all three verbs have the fields of the recorded ones, and the
    answers, which made the scheduler bind the pod, too.
    """
    # Of different size, as prioritize has nothing to say of equal ones.
    roomy = [kubelet(f"roomy-{size}", machine(cores_per_zone=8 * size), ALIGNED) for size in (1, 2)]
    nodes = [*roomy, kubelet("small", machine(zones=3, cores_per_zone=2), ALIGNED)]
    start_together(nodes)
    for node in nodes:
        exporter(node)
    url = extender()
    eventually("the reports", SECONDS, lambda: metric(url, "numa_extender_nodes", knowledge="exact") == len(nodes))
    reports = api.items(TOPOLOGIES)
    exchanges: dict[str, Any] = {}
    for mode, sample in (("names", "database"), ("nodes", "sidecar")):
        recorder = Recorder(url, tmp_path / mode, control_plane.workspace.ports.take()).start()
        process = scheduler(_configuration(mode, tmp_path), extender_url=recorder.url).start()
        body = yaml.safe_load((REPOSITORY / "config" / "pods" / f"{sample}.yaml").read_text())
        body["metadata"]["namespace"] = namespace
        body["spec"] |= {"schedulerName": "numa-scheduler", "terminationGracePeriodSeconds": 0}
        (created,) = api.create_pods([body])
        pods.wait("the pod to run", SECONDS, lambda objects: any(map(is_running, objects.values())))
        process.stop()
        recorder.stop()
        api.delete_pods([created])
        pods.wait("the pod to be gone", SECONDS, lambda objects: not objects)
        exchanges |= {f"{mode}/{verb}": _exchange(tmp_path / mode, verb) for verb in VERBS}
    if os.environ.get("LAB_RECORD"):
        _record(exchanges, reports)

    stored = {name: orjson.loads((DATA / f"{name}.json").read_bytes()) for name in exchanges}
    assert {name: form(exchange) for name, exchange in stored.items()} == {
        name: form(exchange) for name, exchange in exchanges.items()
    }


def _configuration(mode: str, folder: Path) -> Path:
    """The scheduler's configuration that a user would take, with node names or with whole nodes in each request."""
    document = yaml.safe_load(CONFIGURATION_FILE.read_text())
    document["extenders"][0]["nodeCacheCapable"] = mode == "names"
    path = folder / f"{mode}.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def _exchange(folder: Path, verb: str) -> Mapping[str, Any]:
    """The last exchange of a verb, which is of the try that succeeded."""
    exchange = orjson.loads(max(folder.glob(f"*-{verb}.json")).read_bytes())
    return {name: exchange[name] for name in KEPT}


def _record(exchanges: Mapping[str, Any], reports: list[Object]) -> None:
    """Writes the exchanges, and the reports on which the answers rest."""
    for report in reports:
        report["metadata"].pop("managedFields", None)
    listed: Object = {"apiVersion": "v1", "kind": "List", "items": reports}
    for name, value in {**exchanges, "reports": listed}.items():
        path = DATA / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def form(value: object) -> object:
    """The fields and types of a JSON value: those of a list are those of its different items."""
    if isinstance(value, dict):
        return {name: "free" if name in FREE else form(item) for name, item in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(form(item), sort_keys=True) for item in value})
    return type(value).__name__
