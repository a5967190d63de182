"""
Our own attributes of a NodeResourceTopology: what standard attributes and quantities cannot say.

Each value is compact JSON with whole numbers only. Machine and configuration hardly ever change and are alike on
many nodes, so equal texts become one and the same value in memory.

=============================  ======================================================================
``numa-extender/format``       version of all of these, ``1``
``numa-extender/machine``      zones, cores, caches, memory, distances (``extender.wire.compact_machine``)
``numa-extender/kubelet``      version and the configuration's fields that differ from the defaults
``numa-extender/state``        shared CPUs, memory zones, devices of plugins (``extender.wire.node_state``)
``numa-extender/pods``         pod uid to name and allocations (``extender.wire.node_state``)
``numa-extender/report``       what it is based on, what is missing, warnings, reserved CPUs
=============================  ======================================================================
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import orjson

from extender import cpuset
from extender.model.configuration import KubeletConfiguration, Version
from extender.model.machine import Machine
from extender.model.report import Missing, Report
from extender.wire import fields, node_state
from extender.wire.compact_machine import compact_machine_from_json, compact_machine_to_json
from extender.wire.fields import WireError
from extender.wire.kubelet_configuration import configuration_from_json, configuration_to_json

Value = TypeVar("Value")

PREFIX = "numa-extender/"
FORMAT, MACHINE, KUBELET = f"{PREFIX}format", f"{PREFIX}machine", f"{PREFIX}kubelet"
STATE, PODS, REPORT = f"{PREFIX}state", f"{PREFIX}pods", f"{PREFIX}report"

_FORMAT = "1"
_DIFFERENT_TEXTS = 2**15
"""Machines and kubelets that are remembered by their text, at most: of all nodes, also where none is like another."""
_DEFAULTS = configuration_to_json(KubeletConfiguration())
_MINOR = re.compile(r"v?(\d{1,3}\.\d{1,3})(\.|$|-|\+)", re.ASCII)


def are_readable(attributes: Mapping[str, str]) -> bool:
    """Says whether an object carries our attributes in the form that this version reads."""
    return attributes.get(FORMAT) == _FORMAT


def to_texts(report: Report) -> dict[str, str]:
    """Writes the attributes of a report, by name."""
    about: dict[str, object] = {"sources": dict(report.sources)}
    if report.estimates:
        about["estimates"] = list(report.estimates)
    if report.warnings:
        about["warnings"] = list(report.warnings)
    if report.reserved is not None:
        about["reserved"] = cpuset.render(report.reserved)
    kubelet = {
        "version": report.kubelet_version,
        "minor": str(report.version),
        "configuration": _changed(configuration_to_json(report.configuration)),
    }
    return {
        FORMAT: _FORMAT,
        MACHINE: _dump(compact_machine_to_json(report.machine)),
        KUBELET: _dump(kubelet),
        STATE: _dump(node_state.state_to_json(report.state)),
        PODS: _dump(node_state.pods_to_json(report.state)),
        REPORT: _dump(about),
    }


def from_texts(attributes: Mapping[str, str], where: str) -> Mapping[str, object]:
    """
    Reads the attributes as the parts of a report, by field name.

    Raises:
        WireError: an attribute is missing or is not what it must be.
    """
    for name in (MACHINE, KUBELET, STATE, PODS, REPORT):
        if name not in attributes:
            raise WireError(f"{where} attribute {name}", None, "there, as its format demands")
    kubelet_version, version, configuration = _interned(_kubelet, attributes[KUBELET], f"{where} attribute {KUBELET}")
    state = node_state.state_from_json(_load(attributes, STATE, where), f"{where} attribute {STATE}")
    about, at = (
        fields.mapping(_load(attributes, REPORT, where), f"{where} attribute {REPORT}"),
        f"{where} attribute {REPORT}",
    )
    return {
        "machine": _interned(_machine, attributes[MACHINE], f"{where} attribute {MACHINE}"),
        "kubelet_version": kubelet_version,
        "version": version,
        "configuration": configuration,
        "state": node_state.with_pods(state, _load(attributes, PODS, where), f"{where} attribute {PODS}"),
        "sources": fields.texts(about.get("sources"), f"{at}.sources"),
        "estimates": tuple(
            fields.choice(entry, f"{at}.estimates[{index}]", Missing)
            for index, entry in enumerate(fields.sequence(about.get("estimates"), f"{at}.estimates"))
        ),
        "warnings": tuple(
            fields.text(entry, f"{at}.warnings[{index}]")
            for index, entry in enumerate(fields.sequence(about.get("warnings"), f"{at}.warnings"))
        ),
        "reserved": None if about.get("reserved") is None else node_state.cpus(about["reserved"], f"{at}.reserved"),
    }


def version_of(text: str) -> tuple[Version, bool]:
    """Returns the minor whose law stands for a kubelet version, and whether it is that version's own."""
    match = _MINOR.match(text)
    known = sorted(Version, key=_minor)
    if match is None:
        return known[-1], False
    if match[1] in known:
        return Version(match[1]), True
    older = [version for version in known if _minor(version) < _minor(match[1])]
    return (older[-1] if older else known[0]), False


def _minor(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def _changed(configuration: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in configuration.items() if name not in _DEFAULTS or value != _DEFAULTS[name]}


def _interned(read: Callable[[str, str], Value], text: str, field: str) -> Value:
    """Reads a text that many nodes share: once, unless it cannot be read; then again, to name where it stands."""
    try:
        return read(text, "")
    except WireError:
        return read(text, field)


@functools.lru_cache(_DIFFERENT_TEXTS)
def _machine(text: str, field: str) -> Machine:
    return compact_machine_from_json(_parse(text, field), field)


@functools.lru_cache(_DIFFERENT_TEXTS)
def _kubelet(text: str, field: str) -> tuple[str, Version, KubeletConfiguration]:
    kubelet = fields.mapping(_parse(text, field), field)
    return (
        fields.text(kubelet.get("version"), f"{field}.version", default=""),
        fields.choice(kubelet.get("minor"), f"{field}.minor", Version),
        configuration_from_json(kubelet.get("configuration"), f"{field}.configuration"),
    )


def _load(attributes: Mapping[str, str], name: str, where: str) -> object:
    return _parse(attributes[name], f"{where} attribute {name}")


def _parse(text: str, field: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise WireError(field, text, "JSON") from error


def _dump(value: object) -> str:
    return orjson.dumps(value).decode()
