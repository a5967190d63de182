"""
Small typed readers for JSON: each takes a value and where it stands, and returns it as what it must be.

An absent value (None) is the empty one where Go's decoder makes it so. The only error is ``WireError``, one
sentence that names the field and shows the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from extender.cpuset import LARGEST_MEMBER
from extender.model.configuration import Amounts
from extender.model.sentence import one_line
from extender.quantity import Quantity, QuantityError, parse

Choice = TypeVar("Choice", bound=StrEnum)

LARGEST_INTEGER = 2**63 - 1
_SHOWN = 80


class WireError(ValueError):
    """The other side sent something that cannot be understood; the message is one sentence."""

    status_hint = 400

    def __init__(self, field: str, value: object, expected: str) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
        super().__init__(one_line(f"{field}: {shown} is not {expected}"))
        self.field = field


def mapping(value: object, field: str) -> Mapping[str, object]:
    """Reads an object; None is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WireError(field, value, "an object")
    for key in value:
        if not isinstance(key, str):
            raise WireError(field, key, "a text that can be a field's name")
    return value


def sequence(value: object, field: str) -> Sequence[object]:
    """Reads a list; None is an empty one."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise WireError(field, value, "a list")
    return value


def text(value: object, field: str, default: str | None = None) -> str:
    """Reads a text; None is the default where there is one."""
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise WireError(field, value, "a text")
    return value


def integer(value: object, field: str, default: int | None = None, least: int = 0, most: int = LARGEST_INTEGER) -> int:
    """Reads a whole number within bounds; None is the default where there is one."""
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        bounds = f"of at least {least}" if most == LARGEST_INTEGER else f"from {least} to {most}"
        raise WireError(field, value, f"a whole number {bounds}")
    return value


def boolean(value: object, field: str, *, default: bool | None = None) -> bool:
    """Reads a truth value; None is the default where there is one."""
    if value is None and default is not None:
        return default
    if not isinstance(value, bool):
        raise WireError(field, value, "true or false")
    return value


def choice(value: object, field: str, kind: type[Choice], default: Choice | None = None) -> Choice:
    """Reads one of an enumeration's texts; None and the empty text are the default where there is one."""
    if (value is None or value == "") and default is not None:
        return default
    if not isinstance(value, str) or value not in list(kind):
        raise WireError(field, value, f"one of {', '.join(kind)}")
    return kind(value)


def quantity(value: object, field: str) -> Quantity:
    """Reads a quantity: a text, or a whole number as JSON and YAML may have it."""
    if isinstance(value, float):
        value = repr(value)
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise WireError(field, value, "a Kubernetes quantity such as 2, 1500m or 16Gi")
    try:
        return parse(str(value))
    except (QuantityError, ValueError) as error:
        raise WireError(field, value, "a Kubernetes quantity such as 2, 1500m or 16Gi") from error


def amounts(value: object, field: str) -> Amounts:
    """Reads an object of quantities."""
    return {name: quantity(amount, f"{field}.{name}") for name, amount in mapping(value, field).items()}


def texts(value: object, field: str) -> Mapping[str, str]:
    """Reads an object of texts."""
    return {name: text(each, f"{field}.{name}") for name, each in mapping(value, field).items()}


def member(value: object, field: str) -> int:
    """Reads a CPU number or a zone id."""
    return integer(value, field, most=LARGEST_MEMBER)
