"""
The scheduler extender protocol, version 1: what kube-scheduler asks and what it wants to hear.

The types have no JSON tags, so that requests carry Go's field names (``NodeNames``) and unused ones as null; Go reads
either case and so do we. A list of names in an answer is never null: two nulls mean "no node and no reason".

Source: k8s.io/kube-scheduler/extender/v1/types.go; k8s.io/kubernetes/pkg/scheduler/extender.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import orjson

from extender.model.pod import Pod
from extender.wire import fields
from extender.wire.fields import WireError
from extender.wire.pod import pod_from_json
from extender.wire.preemption import priority_of

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Args:
    """ExtenderArgs: what filter and prioritize are asked."""

    pod: Pod
    names: Sequence[str]
    """The nodes in question, in the scheduler's order."""
    nodes: Mapping[str, object] | None = None
    """The same as whole Node objects by name, with nodeCacheCapable false; None with true."""
    priority: int = 0
    """The pod's."""
    profile: str = ""
    """Of the scheduler that places the pod: its ``schedulerName``."""


@dataclass(frozen=True, slots=True)
class Binding:
    """ExtenderBindingArgs: which pod to bind to which node."""

    name: str
    namespace: str
    uid: str
    node: str


def args_from_json(value: object, read: Callable[[object, str], Pod] = pod_from_json) -> Args:
    """
    Reads ExtenderArgs.

    Args:
        value: as it came.
        read: reads a pod of it, as ``pod_from_json``.

    Raises:
        WireError: it names no pod or no nodes.
    """
    args = _any_case(value, "ExtenderArgs")
    document = fields.mapping(args.get("pod"), "Pod")
    pod = read(document, "Pod")
    spec = fields.mapping(document.get("spec"), "Pod.spec")
    priority = priority_of(spec, "Pod.spec")
    profile = fields.text(spec.get("schedulerName"), "Pod.spec.schedulerName", default="")
    if args.get("nodenames") is not None:
        return Args(pod, _names(fields.sequence(args["nodenames"], "NodeNames")), None, priority, profile)
    if args.get("nodes") is None:
        raise WireError("NodeNames", None, "a list of names, and Nodes is no list of nodes either")
    listed = fields.mapping(args["nodes"], "Nodes")
    nodes = {_node_name(node): node for node in fields.sequence(listed.get("items"), "Nodes.items")}
    return Args(pod, list(nodes), nodes, priority, profile)


def binding_from_json(value: object) -> Binding:
    """
    Reads ExtenderBindingArgs.

    Raises:
        WireError: a part is missing.
    """
    args = _any_case(value, "ExtenderBindingArgs")
    texts = {name: fields.text(args.get(name.lower()), name) for name in ("PodName", "PodNamespace", "PodUID", "Node")}
    for name, text in texts.items():
        if not text:
            raise WireError(name, text, "a name")
    return Binding(*texts.values())


def filter_result(
    args: Args, passed: Sequence[str], failed: Mapping[str, str], unresolvable: Mapping[str, str]
) -> Json:
    """
    Writes ExtenderFilterResult.

    Args:
        args: the question, whose form the answer takes.
        passed: names of the nodes let through.
        failed: node to reason, where evicting pods might help.
        unresolvable: node to reason, where it would not.
    """
    nodes = None if args.nodes is None else {"metadata": {}, "items": [args.nodes[name] for name in passed]}
    return {
        "Nodes": nodes,
        "NodeNames": passed if args.nodes is None else None,
        "FailedNodes": failed,
        "FailedAndUnresolvableNodes": unresolvable,
        "Error": "",
    }


def filter_error(sentence: str) -> Json:
    """Writes an ExtenderFilterResult that fails the whole pod."""
    return {
        "Nodes": None,
        "NodeNames": [],
        "FailedNodes": {},
        "FailedAndUnresolvableNodes": {},
        "Error": sentence,
    }


def priorities(by_score: Mapping[int, Sequence[str]]) -> bytes:
    """Writes a HostPriorityList, score by score; as text, because it is long and made of a few pieces only."""
    parts = [_hosts(names, score) for score, names in by_score.items() if names]
    return f"[{','.join(parts)}]".encode()


def _hosts(names: Sequence[str], score: int) -> str:
    together = "".join(names)
    if len(orjson.dumps(together)) == len(together) + len('""'):  # nothing in it needs more than itself
        between = f'","Score":{score}}},{{"Host":"'
        return f'{{"Host":"{between.join(names)}","Score":{score}}}'
    return ",".join(orjson.dumps({"Host": name, "Score": score}).decode() for name in names)


def binding_result(error: str = "") -> Json:
    """Writes ExtenderBindingResult; no error means bound."""
    return {"Error": error}


def binding_object(binding: Binding) -> Json:
    """Writes the core/v1 Binding that makes it so."""
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": binding.name, "namespace": binding.namespace, "uid": binding.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": binding.node},
    }


def _any_case(value: object, field: str) -> Mapping[str, object]:
    """The fields of a Go struct, which match in any case, by lower-case name."""
    if not isinstance(value, dict):
        raise WireError(field, value, "an object")
    return {name.lower(): each for name, each in fields.mapping(value, field).items()}


def _names(listed: Sequence[object]) -> Sequence[str]:
    """Reads names of nodes, thousands of them in each question."""
    names = cast("Sequence[str]", listed)
    try:
        "".join(names)  # the quickest way to tell that all are texts
    except TypeError:
        return [fields.text(name, "NodeNames") for name in listed]
    return names


def _node_name(node: object) -> str:
    metadata = fields.mapping(fields.mapping(node, "Nodes.items").get("metadata"), "Nodes.items.metadata")
    return fields.text(metadata.get("name"), "Nodes.items.metadata.name")
