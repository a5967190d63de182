"""The scheduler's own words: requests that a real kube-scheduler sent, and the answers that it understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from extender.app import create_app
from extender.feeds import PodReader, ReportReader
from extender.files import objects_in
from extender.inventory.live import Inventory
from extender.inventory.rules import Assume, Rules
from extender.metrics import Metrics
from extender.model.pod import Kind
from extender.process import World
from extender.settings import Settings
from extender.wire import scheduler
from extender.wire.pod import pod_from_json
from extender.wire.scheduler import Binding

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "scheduler"
SAMPLES = {"names": "database", "nodes": "sidecar"}
MODES = [
    pytest.param("names", id="nodeCacheCapable true, names are sent"),
    pytest.param("nodes", id="nodeCacheCapable false, whole nodes are sent"),
]


def recorded(mode: str, verb: str) -> dict[str, Any]:
    """One exchange: ``request``, ``response``, ``path``, ``headers``."""
    exchange: dict[str, Any] = json.loads((DATA / mode / f"{verb}.json").read_bytes())
    return exchange


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("verb", ["filter", "prioritize"])
def test_a_recorded_question_is_read(mode: str, verb: str) -> None:
    """The pod that was created is read as the sample says, and the nodes in the order in which they were sent."""
    request = recorded(mode, verb)["request"]
    args = scheduler.args_from_json(request)
    sample = yaml.safe_load((ROOT / "config" / "pods" / f"{SAMPLES[mode]}.yaml").read_text())
    sample["metadata"]["uid"] = args.pod.uid
    sent = request["NodeNames"] or [node["metadata"]["name"] for node in request["Nodes"]["items"]]

    assert pod_from_json(sample).containers == args.pod.containers
    assert pod_from_json(sample).resources == args.pod.resources
    assert (request["Pod"]["status"]["qosClass"], sent) == (args.pod.qos, list(args.names))
    assert (mode == "nodes") == (args.nodes is not None)


def test_kinds_of_containers_survive_the_way() -> None:
    """The recorded pod has an ordinary init container, a sidecar and an app container, and is read so."""
    pod = scheduler.args_from_json(recorded("nodes", "filter")["request"]).pod

    assert {"prepare": Kind.INIT, "proxy": Kind.SIDECAR, "server": Kind.APP} == {
        container.name: container.kind for container in pod.containers
    }


def by_host(scores: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The scheduler reads scores by host, in any order."""
    return sorted(scores, key=lambda entry: str(entry["Host"]))


@pytest.mark.parametrize("mode", MODES)
def test_answers_are_written_as_the_scheduler_understood_them(mode: str) -> None:
    """What was let through and refused then gives, written today, the recorded answers."""
    filtered, prioritized = recorded(mode, "filter"), recorded(mode, "prioritize")
    args = scheduler.args_from_json(filtered["request"])
    refusals = filtered["response"]["FailedAndUnresolvableNodes"]
    passed = [name for name in args.names if name not in refusals]
    scores: dict[int, list[str]] = {}
    for entry in prioritized["response"]:
        scores.setdefault(entry["Score"], []).append(entry["Host"])

    assert refusals
    assert filtered["response"] == scheduler.filter_result(args, passed, {}, refusals)
    assert by_host(prioritized["response"]) == by_host(json.loads(scheduler.priorities(scores)))
    assert recorded(mode, "bind")["response"] == scheduler.binding_result()


@pytest.mark.parametrize("mode", MODES)
def test_a_recorded_binding_is_read(mode: str) -> None:
    """Bind names the pod of the filter call, and one of the nodes that were let through."""
    binding = scheduler.binding_from_json(recorded(mode, "bind")["request"])
    pod = recorded(mode, "filter")["request"]["Pod"]["metadata"]

    assert (pod["name"], pod["namespace"], pod["uid"]) == (binding.name, binding.namespace, binding.uid)
    assert binding.node in {"roomy-1", "roomy-2"}


@pytest.mark.parametrize("mode", MODES)
def test_the_recorded_questions_have_the_recorded_answers(mode: str) -> None:
    """On the reports of then, the whole program lets through, scores and binds what it did in the cluster."""
    posted: list[Binding] = []
    inventory, metrics = Inventory(Rules(assume=Assume.BIND)), Metrics()
    ReportReader(inventory, metrics, live=False).replace(objects_in(DATA / "reports.json"))
    PodReader(inventory, metrics).put(recorded(mode, "filter")["request"]["Pod"])

    def post(binding: Binding) -> str:
        posted.append(binding)
        return ""

    client = create_app(Settings(), World(inventory, metrics, post=post)).test_client()

    def answer(verb: str) -> Any:
        exchange = recorded(mode, verb)
        response = client.post(exchange["path"], json=exchange["request"], headers=exchange["headers"])
        assert 200 == response.status_code
        return response.get_json()

    filtered, told = answer("filter"), recorded(mode, "filter")["response"]
    # How a reason is worded and what a place is worth may change; what is refused and who is scored may not.
    for one in (filtered, told):
        one["FailedAndUnresolvableNodes"] = list(one["FailedAndUnresolvableNodes"])
    assert told == filtered
    scores = answer("prioritize")
    assert [{**entry, "Score": 0} for entry in recorded(mode, "prioritize")["response"]] == [
        {**entry, "Score": 0} for entry in scores
    ]
    assert all(0 < entry["Score"] <= 10 for entry in scores)
    assert recorded(mode, "bind")["response"] == answer("bind")
    assert [scheduler.binding_from_json(recorded(mode, "bind")["request"])] == posted
