"""
Questions as JSON: what the body of ``/api/v1/what-if`` and ``/api/v1/capacity`` says.

The same object is written by the command line and by the page, so that a question can be kept, sent and asked again.
Manifests are objects here; who takes them as YAML text parses it before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields as attributes
from dataclasses import replace

from extender.model.configuration import KubeletConfiguration, Version
from extender.model.machine import Machine
from extender.model.question import Addition, Change, ConfigurationPatch, Question
from extender.wire import fields
from extender.wire.compact_machine import compact_machine_from_json
from extender.wire.fields import WireError
from extender.wire.kubelet_configuration import configuration_from_json
from extender.wire.machine import machine_from_json
from extender.wire.manifests import MOST_REPLICAS, asked_from_json
from extender.wire.nrt import KIND, report_from_nrt
from extender.wire.replay import devices_from_json

MOST_PODS = 1000
"""Pods of one question, replicas counted."""
MOST_PATTERNS = 200
LONGEST_NAME = 253
"""Of a DNS subdomain; a pattern is no longer."""
MOST_ADDED = 10_000
MOST_ZONES, MOST_CPUS = 8, 4096
"""Of a machine that is only imagined; kubelets that align resources start on no more zones unless told to."""
MOST_REPLICAS_PER_NODE = 10_000

_JSON_NAMES = {
    "topologyManagerPolicy": "topology_policy",
    "topologyManagerScope": "topology_scope",
    "topologyManagerPolicyOptions": "topology_options",
    "cpuManagerPolicy": "cpu_policy",
    "cpuManagerPolicyOptions": "cpu_options",
    "reservedSystemCPUs": "reserved_system_cpus",
    "systemReserved": "system_reserved",
    "kubeReserved": "kube_reserved",
    "evictionHard": "eviction_hard",
    "memoryManagerPolicy": "memory_policy",
    "reservedMemory": "reserved_memory",
    "featureGates": "feature_gates",
}
assert set(_JSON_NAMES.values()) == {attribute.name for attribute in attributes(KubeletConfiguration)}
_QUESTION = ("pods", "nodes", "replicas", "amounts", "together", "suggest", "most", "change")
_CHANGE = ("nodes", "kubelet", "version", "machine", "removePods", "drain", "add")
_ADDITION = ("name", "count", "like", "machine", "kubelet", "version", "devices")


def question_from_json(value: object) -> Question:
    """
    Reads a question.

    Raises:
        WireError: a field is missing, unknown, or not what it must be.
    """
    if not isinstance(value, dict):
        raise WireError("the question", value, "an object")
    question = _known(value, "", _QUESTION)
    manifests = fields.sequence(question.get("pods"), "pods")
    change = change_from_json(question.get("change"))
    asked = asked_from_json(manifests) if manifests or not change else ()
    if question.get("replicas") is not None:
        replicas = fields.integer(question["replicas"], "replicas", most=MOST_REPLICAS)
        asked = tuple(replace(one, replicas=replicas) for one in asked)
    together = fields.boolean(question.get("together"), "together", default=False)
    count = sum(one.replicas for one in asked) if together else len(asked)
    if count > MOST_PODS:
        raise WireError("pods", f"{count} pods", f"a list of at most {MOST_PODS}")
    return Question(
        asked=asked,
        amounts=_amounts(question.get("amounts")),
        nodes=_patterns(question.get("nodes"), "nodes"),
        change=change,
        together=together,
        suggest=fields.integer(question.get("suggest"), "suggest", default=0, most=100),
        most=fields.integer(question.get("most"), "most", default=110, least=1, most=MOST_REPLICAS_PER_NODE),
    )


def change_from_json(value: object, field: str = "change") -> Change:
    """Reads a change; absent, it is none."""
    change = _known(fields.mapping(value, field), field, _CHANGE)
    added = fields.sequence(change.get("add"), f"{field}.add")
    read = Change(
        nodes=_patterns(change.get("nodes"), f"{field}.nodes"),
        kubelet=patch_from_json(change.get("kubelet"), f"{field}.kubelet"),
        version=_version(change.get("version"), f"{field}.version"),
        machine=imagined_machine_from_json(change.get("machine"), f"{field}.machine"),
        removed=_patterns(change.get("removePods"), f"{field}.removePods"),
        drained=_patterns(change.get("drain"), f"{field}.drain"),
        added=tuple(_addition(each, f"{field}.add[{index}]") for index, each in enumerate(added)),
    )
    if sum(addition.count for addition in read.added) > MOST_ADDED:
        raise WireError(f"{field}.add", f"{len(added)} entries", f"a list of at most {MOST_ADDED} nodes")
    if read.nodes and not read.restarts:
        raise WireError(f"{field}.nodes", list(read.nodes), "of use without kubelet, version or machine")
    return read


def _known(value: Mapping[str, object], field: str, names: tuple[str, ...]) -> Mapping[str, object]:
    for name in value:
        if name not in names:
            raise WireError(field or "the question", name, f"one of its fields; there are {', '.join(names)}")
    return value


def _patterns(value: object, field: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    listed = fields.sequence(value, field)
    if len(listed) > MOST_PATTERNS:
        raise WireError(field, f"{len(listed)} entries", f"a list of at most {MOST_PATTERNS}")
    found = []
    for index, each in enumerate(listed):
        text = fields.text(each, f"{field}[{index}]")
        if not text or len(text) > 2 * LONGEST_NAME or text.count("*") > 8:
            raise WireError(f"{field}[{index}]", text, "a name or a pattern such as gpu-*")
        found.append(text)
    return tuple(found)


def _amounts(value: object) -> Mapping[str, int]:
    """Whole units by resource name."""
    found = {}
    for name, amount in fields.amounts(value, "amounts").items():
        if amount.nanos <= 0 or amount.nanos % 10**9:
            raise WireError(f"amounts.{name}", str(amount), "a whole number above 0")
        found[name] = amount.value
    return found


def patch_from_json(value: object, field: str) -> ConfigurationPatch | None:
    """
    Reads fields of a KubeletConfiguration; null takes a field or an entry back to its default.

    A document that says that it is a KubeletConfiguration is a whole one, which may have fields that do not matter.
    """
    if value is None:
        return None
    document = fields.mapping(value, field)
    whole = document.get("kind") == "KubeletConfiguration"
    given = {name: each for name, each in document.items() if name in _JSON_NAMES}
    unknown = sorted(document.keys() - _JSON_NAMES.keys() - {"kind", "apiVersion"})
    if unknown and not whole:
        raise WireError(field, unknown[0], f"a field that decides admission; there are {', '.join(_JSON_NAMES)}")
    return ConfigurationPatch(dict(_patched(given, field)), whole)


def _patched(given: Mapping[str, object], field: str) -> Iterator[tuple[str, object]]:
    for name, value in given.items():
        attribute = _JSON_NAMES[name]
        entries = value if isinstance(value, dict) else {}
        gone = {key: None for key, each in entries.items() if each is None}
        kept = {key: each for key, each in entries.items() if each is not None} if entries else value
        read = getattr(configuration_from_json({name: kept}, field), attribute)
        if isinstance(read, Mapping) and value is not None:
            yield attribute, {**read, **gone}
        elif isinstance(read, Mapping):
            yield attribute, None
        else:
            yield attribute, read


def _version(value: object, field: str) -> Version | None:
    return None if value is None else fields.choice(value, field, Version)


def imagined_machine_from_json(value: object, field: str) -> Machine | None:
    """Reads a machine as cAdvisor tells it (``topology``), in the compact form of the reports, or a whole report."""
    if value is None:
        return None
    document = fields.mapping(value, field)
    if document.get("kind") == KIND:
        machine = report_from_nrt(document).machine
    elif "zones" in document:
        machine = compact_machine_from_json(document, field)
    elif "topology" in document:
        machine = machine_from_json(document, field)
    else:
        known = f"cAdvisor's MachineInfo (topology), a machine of a report (zones), or a {KIND}"
        raise WireError(field, sorted(document)[:5], known)
    threads = sum(len(core.threads) for zone in machine.zones for core in zone.cores)
    if len(machine.zones) > MOST_ZONES or threads > MOST_CPUS:
        shown = f"{len(machine.zones)} zones with {threads} CPUs"
        raise WireError(field, shown, f"a machine of at most {MOST_ZONES} zones and {MOST_CPUS} CPUs")
    return machine


def _addition(value: object, field: str) -> Addition:
    addition = _known(fields.mapping(value, field), field, _ADDITION)
    name = fields.text(addition.get("name") or addition.get("like"), f"{field}.name")
    configuration = addition.get("kubelet")
    devices = addition.get("devices")
    added = Addition(
        name=name if addition.get("name") else f"{name}-new",
        count=fields.integer(addition.get("count"), f"{field}.count", default=1, least=1, most=MOST_ADDED),
        like=fields.text(addition.get("like"), f"{field}.like", default=""),
        machine=imagined_machine_from_json(addition.get("machine"), f"{field}.machine"),
        configuration=None if configuration is None else configuration_from_json(configuration, f"{field}.kubelet"),
        version=_version(addition.get("version"), f"{field}.version"),
        devices=None if devices is None else devices_from_json(devices, f"{field}.devices"),
    )
    if not added.name or len(added.name) > LONGEST_NAME:
        raise WireError(f"{field}.name", added.name, "a node's name")
    return added
