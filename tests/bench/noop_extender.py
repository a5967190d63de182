"""
An extender that lets every node through and has no preference: the least that any HTTP extender in Python costs.

Served as the extender is, by gunicorn with one gthread worker.
"""

from __future__ import annotations

import orjson
from flask import Flask, Response, request

app = Flask("noop_extender")


@app.post("/scheduler/filter")
def filter_nodes() -> Response:
    """Every node that was asked about."""
    args = orjson.loads(request.get_data(cache=False))
    answer = {
        "Nodes": None,
        "NodeNames": args["NodeNames"],
        "FailedNodes": {},
        "FailedAndUnresolvableNodes": {},
        "Error": "",
    }
    return Response(orjson.dumps(answer), mimetype="application/json")


@app.post("/scheduler/prioritize")
def prioritize() -> Response:
    """Each node scores 0."""
    args = orjson.loads(request.get_data(cache=False))
    answer = [{"Host": name, "Score": 0} for name in args["NodeNames"]]
    return Response(orjson.dumps(answer), mimetype="application/json")


@app.get("/readyz")
def readyz() -> str:
    """It needs nothing to be ready."""
    return "ok\n"
