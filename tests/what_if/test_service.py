"""The HTTP interface: what is wrong is said as problem details, limits hold, the document is one that clients take."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from what_if_nodes import container, pod_json, samples, site

from extender.web.exchange import Reply, Request
from extender.web.service import Limits, Service, openapi

Json = dict[str, Any]
STEPS = b'{"steps": [' + b",".join([b"0"] * 600) + b"]}"
PLAIN = orjson.dumps({"pods": [pod_json("p", container())]})


@pytest.fixture(scope="module")
def service() -> Service:
    sites = samples()
    return Service(lambda: sites)


def ask(service: Service, path: str, body: bytes = b"", method: str = "", query: str = "", **more: Any) -> Reply:
    return service.answer(Request(method or ("POST" if body else "GET"), f"/api/v1/{path}", query, body, **more))


@pytest.mark.parametrize(
    ("request_", "status", "detail"),
    [
        pytest.param(("POST", "what-if", "", b"{"), 400, "the question is no JSON: ", id="no JSON"),
        pytest.param(("POST", "what-if", "", b"[]"), 422, "the question: [] is not an object", id="no object"),
        pytest.param(("POST", "what-if", "", b"{}"), 422, "pods: [] is not a list with one of Pod", id="no pod"),
        pytest.param(
            ("POST", "what-if", "", b'{"pod": 1}'), 422, "the question: 'pod' is not one of", id="unknown field"
        ),
        pytest.param(
            ("POST", "what-if", "", b'{"manifest": "a: ["}'), 422, "manifest: 'did not find expected node", id="no YAML"
        ),
        pytest.param(("POST", "what-if", "detail=all", PLAIN), 400, "detail: 'all' is not brief or full", id="detail"),
        pytest.param(("POST", "what-if", "x=1", PLAIN), 400, "'x' is no parameter of this query", id="parameter"),
        pytest.param(("GET", "what-if", "", b""), 405, "/api/v1/what-if takes POST", id="method"),
        pytest.param(("DELETE", "nodes", "", b""), 405, "/api/v1/nodes takes GET", id="another method"),
        pytest.param(("GET", "nope", "", b""), 404, "there is nothing at /api/v1/nope", id="path"),
        pytest.param(("GET", "nodes/nope", "", b""), 404, "there is no node 'nope'", id="node"),
        pytest.param(("GET", "nodes", "limit=-1", b""), 400, "limit: '-1' is not a whole number", id="limit"),
        pytest.param(("GET", "nodes", "policy=x", b""), 400, "policy: 'x' is not one of none", id="policy"),
        pytest.param(
            ("GET", "nodes", "&" * 9999 + "a&" * 99, b""), 400, "the query string has too many parts", id="parts"
        ),
        pytest.param(("POST", "replay", "", b'{"steps": 1}'), 200, "", id="a case whose error is in the answer"),
        pytest.param(("POST", "replay", "", STEPS), 422, "steps: 600 are more than the 500", id="too many steps"),
    ],
)
def test_what_is_wrong_is_told_as_problem_details(
    service: Service, request_: tuple[str, str, str, bytes], status: int, detail: str
) -> None:
    """RFC 9457: status, title and one sentence, of their own media type."""
    method, path, query, body = request_
    reply = service.answer(Request(method, f"/api/v1/{path}", query, body))
    said = orjson.loads(reply.body)

    assert status == reply.status, said
    if status != 200:
        assert "application/problem+json" == reply.mimetype
        assert said["detail"].startswith(detail)
        assert status == said["status"]
        check("Problem", said)


def check(schema: str, value: Json) -> None:
    document: Any = openapi()
    OAS31Validator({"$ref": f"#/components/schemas/{schema}", **document}).validate(value)


def test_a_wrong_field_is_named(service: Service) -> None:
    """A client finds the field without reading the sentence."""
    body = orjson.dumps({"pods": [pod_json("p", container())], "most": 0})

    assert "most" == orjson.loads(ask(service, "capacity", body).body)["field"]


def test_a_question_that_takes_too_long_is_given_up() -> None:
    """The limit of time is kept by a clock that the computation does not know."""
    ticks = iter(range(1000))
    slow = Service(lambda: [site(f"n{number}") for number in range(8)], Limits(seconds=3), lambda: float(next(ticks)))
    reply = ask(slow, "what-if", PLAIN)

    assert 422 == reply.status
    assert b"takes more than 3 s" in reply.body


def test_a_question_that_is_too_large_is_not_read() -> None:
    """The limit of size holds before anything is parsed."""
    small = Service(list, Limits(body_bytes=100))

    assert 413 == ask(small, "what-if", b"{" * 101).status


def test_a_fault_of_ours_is_told_and_logged_and_does_not_end_the_service() -> None:
    """What should never happen is a 500 with a traceback for the log, not for the client."""

    def broken() -> Any:
        raise KeyError("bug")

    reply = ask(Service(broken), "nodes")
    assert 500 == reply.status
    assert b"KeyError" not in reply.body
    assert "KeyError" in reply.fault


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("search=two%20zones&limit=2", ["two-zones", "two-zones-container-scope"]),
        ("policy=none", ["policy-none"]),
        ("names=sparse-ids,two-zones,nope", ["sparse-ids", "two-zones"]),
        ("offset=9", ["two-zones-restricted"]),
        ("search=nothing-like-it", []),
    ],
)
def test_nodes_are_found(service: Service, query: str, names: list[str]) -> None:
    """By words of their names, by policy, by name, page by page."""
    found = orjson.loads(ask(service, "nodes", query=query).body)

    assert names == [node["name"] for node in found["nodes"]]


def test_answers_are_compressed_for_those_who_take_it(service: Service) -> None:
    """A long answer is sent as gzip where the client says so."""
    plain, packed = ask(service, "nodes"), ask(service, "nodes", gzip=True)

    assert "gzip" == packed.headers["Content-Encoding"]
    assert plain.body == gzip.decompress(packed.body)
    assert len(packed.body) < len(plain.body) // 3


def test_brief_answers_and_maps_are_what_the_document_says(service: Service) -> None:
    """Every form of an answer satisfies its schema."""
    body = orjson.dumps({"pods": [pod_json("p", container(cpu="20"))], "change": {"drain": ["nearly-full"]}})
    for query in ("detail=brief", "maps=true", "detail=brief&maps=true"):
        check("Answer", orjson.loads(ask(service, "what-if", body, query=query).body))
        check("Count", orjson.loads(ask(service, "capacity", body, query=query).body))


def test_the_document_is_valid_and_names_every_path(service: Service) -> None:
    """OpenAPI 3.1, published by the service itself."""
    document = orjson.loads(ask(service, "openapi.json").body)
    validate(document)

    assert {"/nodes", "/nodes/{name}", "/what-if", "/capacity", "/replay", "/openapi.json"} == set(document["paths"])
    assert document == openapi()


def test_the_examples_of_the_document_are_answered(service: Service) -> None:
    """What a reader copies works."""
    document: Any = openapi()
    examples: Mapping[str, Any] = document["components"]["requestBodies"]["Question"]["content"]["application/json"][
        "examples"
    ]
    for name, example in examples.items():
        assert 200 == ask(service, "what-if", orjson.dumps(example["value"])).status, name


def test_a_client_generator_takes_the_document(tmp_path: Path) -> None:
    """A client is made from it without a warning, with a function for every operation."""
    source = tmp_path / "openapi.json"
    source.write_bytes(orjson.dumps(openapi()))
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(source)]
    hooks = tmp_path / "config.yaml"
    hooks.write_text("post_hooks: []\n", encoding="utf-8")
    command += [
        "--output-path",
        str(tmp_path / "client"),
        "--meta",
        "none",
        "--fail-on-warning",
        "--config",
        str(hooks),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr
    made = {file.stem for file in (tmp_path / "client" / "api").rglob("*.py")}
    assert {"list_nodes", "get_node", "ask_what_if", "ask_capacity", "replay", "get_openapi"} <= made
