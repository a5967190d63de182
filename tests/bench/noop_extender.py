"""
An extender that lets every node through and has no preference: the least that any HTTP extender in Python costs.

Served by gunicorn with one gthread worker. With KUBECONFIG in the environment it binds as well, over the official
client's connections.
"""

from __future__ import annotations

import os

import orjson
from flask import Flask, Response, request
from kubernetes.client.configuration import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import load_kube_config

from extender.wire.scheduler import Binding, binding_object

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


if "KUBECONFIG" in os.environ:
    configuration = Configuration()
    load_kube_config(os.environ["KUBECONFIG"], client_configuration=configuration)  # type: ignore[no-untyped-call]
    pool = RESTClientObject(configuration).pool_manager

    @app.post("/scheduler/bind")
    def bind() -> Response:
        """Posts the Binding."""
        args = orjson.loads(request.get_data(cache=False))
        name, namespace = args["PodName"], args["PodNamespace"]
        binding = binding_object(Binding(name, namespace, args["PodUID"], args["Node"]))
        url = f"{configuration.host}/api/v1/namespaces/{namespace}/pods/{name}/binding"
        answer = pool.request("POST", url, body=orjson.dumps(binding), headers={"Content-Type": "application/json"})
        error = "" if answer.status < 400 else answer.data.decode()
        return Response(orjson.dumps({"Error": error}), mimetype="application/json")


@app.get("/readyz")
def readyz() -> str:
    """It needs nothing to be ready."""
    return "ok\n"
