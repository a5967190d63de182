"""
The extender's settings: one file, read once at start, checked before anything else happens.

Keys are spelled as Kubernetes spells its own (``staleSeconds`` for ``stale_seconds``). What is wrong is said in
one sentence that names the key, the value and what is allowed. ``config/extender.yaml`` explains every key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from extender.inventory.rules import Rules

VARIABLE = "NUMA_EXTENDER_CONFIG"
"""Environment variable that names the settings file for a program started by gunicorn."""

Section = TypeVar("Section")


class SettingsError(ValueError):
    """A setting is wrong; the message is one sentence for the person who wrote it."""


class Source(StrEnum):
    """Where the inventory comes from."""

    CLUSTER = "cluster"
    FILES = "files"


class LogFormat(StrEnum):
    """How a log line looks."""

    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    """The least severe log line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Listen:
    """The HTTP server."""

    address: str = "127.0.0.1"
    """Address to listen on. It is plain HTTP: loopback, unless something else protects the way."""
    port: int = field(default=8099, metadata={"from": 1, "to": 65_535})
    """TCP port."""
    threads: int = field(default=8, metadata={"from": 1, "to": 256})
    """Requests answered at the same time."""
    keep_alive_seconds: int = field(default=120, metadata={"from": 91, "to": 3600})
    """How long an idle connection stays open; the scheduler keeps its own for 90 s and does not retry a POST."""
    graceful_seconds: int = field(default=20, metadata={"from": 1, "to": 600})
    """How long a stop waits for requests under way."""
    max_body_bytes: int = field(default=64 * 2**20, metadata={"from": 2**16, "to": 2**30})
    """Largest request body; with nodeCacheCapable false the scheduler sends whole nodes, about 9 kB each."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Where the nodes' reports come from."""

    source: Source = Source.FILES
    """The API server, or files."""
    path: str = ""
    """Of source files: a file or a folder of NodeResourceTopology objects in YAML; empty is the sample inventory."""
    kubeconfig: str = ""
    """Of source cluster: a kubeconfig file; empty is the pod's own service account."""


@dataclass(frozen=True, slots=True)
class Log:
    """What is logged, and how."""

    format: LogFormat = LogFormat.JSON
    """One JSON object a line, or text for a terminal."""
    level: LogLevel = LogLevel.INFO
    """The least severe line that is written; verdicts are info."""


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Everything that can be set.

    Raises:
        SettingsError: if a value is out of its range.
    """

    listen: Listen = field(default_factory=Listen)
    inventory: Inventory = field(default_factory=Inventory)
    rules: Rules = field(default_factory=Rules)
    log: Log = field(default_factory=Log)

    def __post_init__(self) -> None:
        for key, option, value in options(self):
            low, high = option.metadata.get("from"), option.metadata.get("to")
            if low is not None and not low <= value <= high:
                raise SettingsError(f"{key} must be from {low} to {high}, not {value}")


def options(settings: Settings) -> Iterator[tuple[str, Field[Any], Any]]:
    """Yields each setting's key as written in the file, its field and its value."""
    for section in fields(settings):
        part = getattr(settings, section.name)
        for option in fields(part):
            yield f"{section.name}.{spelled(option.name)}", option, getattr(part, option.name)


def spelled(name: str) -> str:
    """Returns a field's name as its key is written: ``stale_seconds`` is ``staleSeconds``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def load(path: str | Path | None = None) -> Settings:
    """
    Reads a settings file; without one, the file that ``NUMA_EXTENDER_CONFIG`` names; without that, the defaults.

    Raises:
        SettingsError: if the file cannot be read or a setting is wrong.
    """
    path = path or os.environ.get(VARIABLE)
    if not path:
        return Settings()
    try:
        return settings_from(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def settings_from(document: object) -> Settings:
    """
    Reads settings from a parsed file; an empty file means the defaults.

    Raises:
        SettingsError: if a key is unknown or a value is not allowed.
    """
    return _section(Settings, {} if document is None else document, "")


def _section(kind: type[Section], document: object, where: str) -> Section:
    assert is_dataclass(kind)
    known = {spelled(option.name): option.name for option in fields(kind)}
    if not isinstance(document, Mapping):
        raise SettingsError(f"{where or 'the file'} must be a mapping with keys {', '.join(known)}, not {document!r}")
    for key in document:
        if key not in known:
            raise SettingsError(f"{_joined(where, key)} is not a setting; allowed here: {', '.join(known)}")
    types = get_type_hints(kind)
    values = {known[key]: _value(types[known[key]], document[key], _joined(where, key)) for key in document}
    return kind(**values)


def _value(kind: Any, value: object, where: str) -> object:
    if is_dataclass(kind) and isinstance(kind, type):
        return _section(kind, value, where)
    if issubclass(kind, StrEnum):
        allowed = [str(member) for member in kind]
        if value not in allowed:
            raise SettingsError(f"{where} must be one of {', '.join(allowed)}, not {value!r}")
        return kind(value)
    if type(value) is not kind:
        wanted = {int: "a whole number", str: "text", bool: "true or false"}[kind]
        raise SettingsError(f"{where} must be {wanted}, not {value!r}")
    return value


def _joined(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)
