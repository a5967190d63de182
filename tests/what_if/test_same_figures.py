"""One table of questions, answered by the command line and over HTTP with the same figures, on the sample inventory."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from click.testing import CliRunner
from openapi_schema_validator import OAS31Validator
from what_if_nodes import samples

from extender.cli import main
from extender.samples import sample
from extender.web.exchange import Request
from extender.web.service import Service, openapi

Json = dict[str, Any]
CASES = Path(__file__).parents[1] / "kubelet" / "judge" / "testdata" / "cases.jsonl"


@pytest.fixture(scope="module")
def service() -> Service:
    sites = samples()
    return Service(lambda: sites)


def manifest(name: str) -> str:
    return str(sample(f"pods/{name}.yaml"))


def documents(name: str) -> list[object]:
    return list(yaml.safe_load_all(Path(manifest(name)).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("path", "body", "arguments", "code"),
    [
        pytest.param(
            "what-if",
            {"pods": documents("database")},
            ["fit", "-f", manifest("database")],
            0,
            id="would the example be admitted, where, with which CPUs, slices and pool",
        ),
        pytest.param(
            "what-if",
            {"pods": documents("too-big"), "nodes": ["two-*", "nearly-full"], "suggest": 8},
            ["fit", "-f", manifest("too-big"), "-n", "two-*", "-n", "nearly-full"],
            1,
            id="which zone lacks how much, and the smallest change that works",
        ),
        pytest.param(
            "capacity",
            {"pods": documents("plain")},
            ["capacity", "-f", manifest("plain")],
            0,
            id="how many copies fit, per node and in total",
        ),
        pytest.param(
            "capacity",
            {"pods": documents("sidecar"), "most": 3, "nodes": ["two-zones"]},
            ["capacity", "-f", manifest("sidecar"), "--most", "3", "-n", "two-zones"],
            0,
            id="how many, up to a limit",
        ),
        pytest.param(
            "what-if",
            {"pods": [*documents("database"), *documents("plain")], "together": True, "replicas": 12},
            ["fit", "-f", manifest("database"), "-f", manifest("plain"), "--together", "--replicas", "12"],
            0,
            id="which of these pods together",
        ),
        pytest.param(
            "what-if",
            {"pods": documents("database"), "amounts": {"cpu": "24", "memory": "48Gi"}, "suggest": 8},
            ["fit", "-f", manifest("database"), "--cpu", "24", "--memory", "48Gi"],
            0,
            id="with another budget",
        ),
        pytest.param(
            "what-if",
            {
                "pods": documents("too-big"),
                "suggest": 8,
                "change": {
                    "kubelet": {
                        "topologyManagerPolicy": "restricted",
                        "topologyManagerScope": "container",
                        "featureGates": {"PodLevelResourceManagers": False},
                    }
                },
            },
            [
                *("fit", "-f", manifest("too-big"), "--set", "topologyManagerPolicy=restricted"),
                *("--set", "topologyManagerScope=container", "--set", "featureGates.PodLevelResourceManagers=false"),
            ],
            0,
            id="under another kubelet configuration",
        ),
        pytest.param(
            "capacity",
            {"pods": documents("plain"), "change": {"nodes": ["sparse-ids"], "version": "1.36"}},
            ["capacity", "-f", manifest("plain"), "--kubelet-version", "1.36", "--on", "sparse-ids"],
            0,
            id="under another version",
        ),
        pytest.param(
            "what-if",
            {"pods": documents("plain"), "change": {"drain": ["nearly-full", "four-*"]}},
            ["fit", "-f", manifest("plain"), "--drain", "nearly-full", "--drain", "four-*"],
            0,
            id="with nodes drained: where their pods go",
        ),
        pytest.param(
            "what-if",
            {"pods": documents("database"), "change": {"removePods": ["default/right"]}, "nodes": ["nearly-full"]},
            ["fit", "-f", manifest("database"), "--remove", "default/right", "-n", "nearly-full"],
            0,
            id="with pods removed",
        ),
        pytest.param(
            "capacity",
            {"pods": documents("database"), "change": {"add": [{"like": "two-zones", "count": 3, "name": "new"}]}},
            ["capacity", "-f", manifest("database"), "--add", "like=two-zones,count=3,name=new"],
            0,
            id="with nodes added",
        ),
        pytest.param(
            "what-if",
            {"change": {"kubelet": {"topologyManagerPolicy": "single-numa-node"}, "nodes": ["two-zones-restricted"]}},
            ["fit", "--set", "topologyManagerPolicy=single-numa-node", "--on", "two-zones-restricted"],
            0,
            id="which running pods would no longer be admitted",
        ),
    ],
)
def test_command_line_and_http_answer_alike(
    service: Service, path: str, body: Json, arguments: list[str], code: int
) -> None:
    """The same question has the same answer, figure by figure, and it is what the OpenAPI document says it is."""
    reply = service.answer(Request("POST", f"/api/v1/{path}", body=orjson.dumps(body)))
    inventory = ["--inventory", str(sample("inventory"))]
    printed = CliRunner().invoke(main, ["what-if", *arguments, *inventory, "-o", "json"])

    assert 200 == reply.status, reply.body
    assert code == printed.exit_code, printed.output
    assert json.loads(printed.stdout) == orjson.loads(reply.body)
    check("Count" if path == "capacity" else "Answer", orjson.loads(reply.body))


def check(schema: str, value: Json) -> None:
    validator(schema).validate(value)


@functools.cache
def validator(schema: str) -> OAS31Validator:
    document: Any = openapi()
    return OAS31Validator({"$ref": f"#/components/schemas/{schema}", **document})


def test_another_machine_from_a_file(service: Service) -> None:
    """A machine may be a whole report of a node, as the exporter prints it."""
    inventory = sample("inventory")
    report = inventory / "four-zones.yaml"
    change = {"machine": yaml.safe_load(report.read_text(encoding="utf-8")), "nodes": ["two-zones"]}
    reply = service.answer(
        Request("POST", "/api/v1/capacity", body=orjson.dumps({"pods": documents("plain"), "change": change}))
    )
    arguments = ["what-if", "capacity", "-f", manifest("plain"), "--machine", str(report), "--on", "two-zones"]
    printed = CliRunner().invoke(main, [*arguments, "--inventory", str(inventory), "-o", "yaml"])

    assert yaml.safe_load(printed.stdout) == orjson.loads(reply.body)


def test_nodes_are_alike(service: Service) -> None:
    """Lists and maps of nodes are the same from both, and as the document says."""
    brief = orjson.loads(service.answer(Request("GET", "/api/v1/nodes")).body)
    printed = CliRunner().invoke(main, ["what-if", "nodes", "--inventory", str(sample("inventory")), "-o", "json"])
    whole = orjson.loads(service.answer(Request("GET", "/api/v1/nodes/nearly-full")).body)
    arguments = ["what-if", "nodes", "nearly-full", "--inventory", str(sample("inventory")), "-o", "json"]

    assert brief["nodes"] == json.loads(printed.stdout)["nodes"]
    assert [whole] == json.loads(CliRunner().invoke(main, arguments).stdout)["nodes"]
    for node in (*brief["nodes"], whole):
        check("Node", node)


def test_recorded_cases_are_replayed_alike(service: Service) -> None:
    """A case has the same verdicts from both, and from a log line that carries it."""
    lines = CASES.read_text(encoding="utf-8").splitlines()[:8]
    answers = [
        orjson.loads(service.answer(Request("POST", "/api/v1/replay", body=line.encode())).body) for line in lines
    ]
    printed = CliRunner().invoke(main, ["what-if", "replay", "-o", "json"], input="\n".join(lines))
    logged = "\n".join(json.dumps({"message": "different", "case": json.loads(line)}) for line in lines)
    from_log = CliRunner().invoke(main, ["what-if", "replay", "-o", "json"], input=logged)

    assert answers == json.loads(printed.stdout)["answers"] == json.loads(from_log.stdout)["answers"]
    assert all("verdicts" in answer for answer in answers)
    for answer in answers:
        check("Replayed", answer)
