"""
The options of the command line as a question: the same object that goes over HTTP.

What is wrong with an option is said by its name; what is wrong in a file by the file, the field and the value.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from extender.ask.sources import SourceError, document
from extender.wire.what_if import imagined_machine_from_json, patch_from_json

Json = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """Options of a question, as given."""

    nodes: Sequence[str] = ()
    amounts: Mapping[str, str] = field(default_factory=dict)
    replicas: int | None = None
    together: bool = False
    suggest: int = 0
    most: int | None = None
    on: Sequence[str] = ()
    kubelet: str = ""
    """File of a KubeletConfiguration, or of some fields of one."""
    values: Sequence[str] = ()
    """``field=value``."""
    version: str = ""
    machine: str = ""
    """File, or folder that stands for /sys."""
    drained: Sequence[str] = ()
    removed: Sequence[str] = ()
    added: Sequence[str] = ()
    """``like=NODE,count=N,name=NAME``, or a file."""


def question(options: Options, pods: Sequence[object]) -> Json:
    """
    Returns the question.

    Raises:
        SourceError: the form of an option is wrong, or a file cannot be read.
        WireError: a file is not what it must be.
    """
    asked: Json = {}
    if pods:
        asked["pods"] = list(pods)
    change = _change(options)
    given = {
        "nodes": list(options.nodes),
        "amounts": dict(options.amounts),
        "replicas": options.replicas,
        "together": options.together,
        "suggest": options.suggest,
        "most": options.most,
        "change": change,
    }
    return asked | {name: value for name, value in given.items() if value not in (None, False, 0, [], {})}


def _change(options: Options) -> Json:
    kubelet = _kubelet(options)
    given = {
        "nodes": list(options.on),
        "kubelet": kubelet,
        "version": options.version,
        "machine": _machine(options.machine) if options.machine else None,
        "drain": list(options.drained),
        "removePods": list(options.removed),
        "add": [_addition(text) for text in options.added],
    }
    return {name: value for name, value in given.items() if value}


def _kubelet(options: Options) -> Json:
    base = document(options.kubelet) if options.kubelet else {}
    if not isinstance(base, dict):
        raise SourceError(f"{options.kubelet}: this is no KubeletConfiguration")
    patch_from_json(base, options.kubelet)
    for text in options.values:
        _put(base, *_split(text, "--set"))
    return base


def _put(base: Json, path: str, value: object) -> None:
    """Sets a field; the name of an option or a gate is all that comes after the first dot."""
    name, dot, inner = path.partition(".")
    if not dot:
        base[name] = value
        return
    entries = base.setdefault(name, {})
    if not isinstance(entries, dict):
        raise SourceError(f"--set {path}: {name} has no fields")
    entries[inner] = value


def _split(text: str, option: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise SourceError(f"{option} {text}: this has not the form name=value")
    if name.startswith(("featureGates.", "reservedMemory")) or not value:
        return name, yaml.safe_load(value)
    return name, value


def _addition(text: str) -> object:
    if "=" not in text:
        return document(text)
    parts = dict(_pair(part, text) for part in text.split(","))
    if "count" in parts and parts["count"].isdigit():
        return {**parts, "count": int(parts["count"])}
    return parts


def _pair(part: str, text: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    if name not in {"name", "like", "count"} or not equals:
        raise SourceError(f"--add {text}: this has not the form like=NODE,count=N,name=NAME")
    return name, value


def _machine(path: str) -> object:
    """A machine from a file, or from a copy of /sys, which the exporter reads as it reads a real one."""
    machine = _from_sysfs(path) if Path(path).is_dir() else document(path)
    imagined_machine_from_json(machine, path)
    return machine


def _from_sysfs(path: str) -> object:
    command = [sys.executable, "-m", "extender.exporter.scan", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, our own program
    if done.returncode:
        raise SourceError(f"--machine {path}: this is no copy of /sys: {_last(done.stderr.splitlines())}")
    return json.loads(done.stdout)


def _last(lines: Iterable[str]) -> str:
    said = [line for line in lines if line.strip()]
    return said[-1][:200] if said else "it says nothing"
