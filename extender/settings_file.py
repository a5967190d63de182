"""
Settings files: YAML read once at start into frozen dataclasses, and refused with one sentence where they are wrong.

A section is a dataclass, a key one of its fields, spelled as Kubernetes spells its own (``staleSeconds`` for
``stale_seconds``); a field's metadata may hold its bounds, ``from`` and ``to``. Both programs share this form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

Section = TypeVar("Section")


class SettingsError(ValueError):
    """A setting is wrong; the message is one sentence for the person who wrote it."""


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
class Log:
    """What is logged, and how."""

    format: LogFormat = LogFormat.JSON
    """One JSON object a line, or text for a terminal."""
    level: LogLevel = LogLevel.INFO
    """The least severe line that is written."""


def load(kind: type[Section], path: str | Path) -> Section:
    """
    Reads a file of settings.

    Raises:
        SettingsError: if the file cannot be read or a setting is wrong.
    """
    try:
        return read(kind, yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def read(kind: type[Section], document: object) -> Section:
    """
    Reads settings from a parsed file; an empty file means the defaults.

    Raises:
        SettingsError: if a key is unknown or a value is not allowed.
    """
    settings = _section(kind, {} if document is None else document, "")
    check(settings)
    return settings


def check(settings: object) -> None:
    """
    Checks the bounds of all values.

    Raises:
        SettingsError: if a value is out of its range.
    """
    for key, option, value in options(settings):
        low, high = option.metadata.get("from"), option.metadata.get("to")
        if low is not None and not low <= value <= high:
            raise SettingsError(f"{key} must be from {low} to {high}, not {value}")


def options(settings: object) -> Iterator[tuple[str, Field[Any], Any]]:
    """Yields each setting's key as written in the file, its field and its value."""
    assert is_dataclass(settings)
    for section in fields(settings):
        part = getattr(settings, section.name)
        for option in fields(part):
            yield f"{spelled(section.name)}.{spelled(option.name)}", option, getattr(part, option.name)


def spelled(name: str) -> str:
    """Returns a field's name as its key is written: ``stale_seconds`` is ``staleSeconds``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def bounded(default: int, low: int, high: int) -> Any:
    """Returns a field for a whole number within bounds."""
    return field(default=default, metadata={"from": low, "to": high})


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
    if get_origin(kind) is Mapping:
        return _named(get_args(kind)[1], value, where)
    if issubclass(kind, StrEnum):
        allowed = [str(member) for member in kind]
        if value not in allowed:
            raise SettingsError(f"{where} must be one of {', '.join(allowed)}, not {value!r}")
        return kind(value)
    if type(value) is not kind:
        wanted = {int: "a whole number", str: "text", bool: "true or false"}[kind]
        raise SettingsError(f"{where} must be {wanted}, not {value!r}")
    return value


def _named(kind: Any, document: object, where: str) -> Mapping[str, object]:
    """Reads values by names that are the user's own."""
    if not isinstance(document, Mapping):
        raise SettingsError(f"{where} must be a mapping of names, not {document!r}")
    for name in document:
        if not isinstance(name, str):
            raise SettingsError(f"{where} must be a mapping of names, and {name!r} is none")
    return {name: _value(kind, value, _joined(where, name)) for name, value in document.items()}


def _joined(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)
