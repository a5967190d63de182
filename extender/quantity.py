"""
Kubernetes quantities as exact integers.

A quantity is text such as ``1500m`` or ``16Gi``. The kubelet asks three things of it: its value rounded up to
whole units, the same in thousandths, and whether its in-memory form is a plain 64-bit integer. The last depends
on how the text was *written* (``1000m`` is not, ``1`` is), so it is settled here, once, and carried along.

Source: apimachinery pkg/api/resource quantity.go (ParseQuantity, CanonicalizeBytes), amount.go (AsInt64).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from enum import Enum

NANO = 10**9
MAX_INT64 = 2**63 - 1

_DECIMAL_EXPONENTS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_EXPONENTS = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIXES = {exponent: suffix for suffix, exponent in _DECIMAL_EXPONENTS.items()}
_BINARY_SUFFIXES = {exponent: suffix for suffix, exponent in _BINARY_EXPONENTS.items()}
_PATTERN = re.compile(
    r"(?P<sign>[+-]?)0*(?P<whole>\d*)(?:\.(?P<fraction>\d*))?(?P<suffix>[eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?",
    re.ASCII,
)
_MOST_CHARACTERS = 64  # the longest sensible quantity has about 30; the limit keeps hostile text cheap


class QuantityError(ValueError):
    """A text that is not a quantity; the message is one sentence that shows it."""


class Format(Enum):
    """How a quantity was written, which decides how it is printed again."""

    DECIMAL_SI = "DecimalSI"
    BINARY_SI = "BinarySI"
    DECIMAL_EXPONENT = "DecimalExponent"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity."""

    nanos: int
    """Exact amount in billionths; what is finer was rounded away from zero, as Kubernetes does."""
    as_int64: int | None
    """The amount where the kubelet's AsInt64 succeeds; None where it fails for the way the text is written."""
    format: Format = Format.DECIMAL_SI

    @property
    def value(self) -> int:
        """Whole units, rounded away from zero (Quantity.Value)."""
        return _ceil_away(self.nanos, NANO)

    @property
    def milli(self) -> int:
        """Thousandths, rounded away from zero (Quantity.MilliValue)."""
        return _ceil_away(self.nanos, 10**6)

    def __str__(self) -> str:
        return _canonical(self)


def of(amount: int, format: Format = Format.DECIMAL_SI) -> Quantity:  # noqa: A002 - the API's own word
    """Returns the quantity of a whole amount, in the form that the API server would store."""
    return Quantity(amount * NANO, amount if abs(amount) <= MAX_INT64 else None, format)


ZERO = of(0)


@functools.lru_cache(maxsize=16384)
def parse(text: str) -> Quantity:
    """
    Reads a quantity as Kubernetes reads it.

    Raises:
        QuantityError: if the text is no quantity.
    """
    match = _PATTERN.fullmatch(text) if len(text) <= _MOST_CHARACTERS else None
    if match is None or not any(character.isdigit() for character in text.partition("e")[0].partition("E")[0]):
        raise QuantityError(f"{text[:_MOST_CHARACTERS]!r} is not a Kubernetes quantity such as 2, 1500m or 16Gi")
    whole, fraction, suffix = match["whole"] or "0", match["fraction"] or "", match["suffix"] or ""
    digits = int(whole + fraction) * (-1 if match["sign"] == "-" else 1)
    if suffix in _BINARY_EXPONENTS:
        return _binary(digits, whole, fraction, _BINARY_EXPONENTS[suffix])
    if suffix in _DECIMAL_EXPONENTS:
        return _decimal(digits, whole, fraction, _DECIMAL_EXPONENTS[suffix], Format.DECIMAL_SI)
    exponent = int(suffix[1:])
    if abs(exponent) > _MOST_CHARACTERS:
        raise QuantityError(f"the exponent of {text!r} is out of range")
    return _decimal(digits, whole, fraction, exponent, Format.DECIMAL_EXPONENT)


def parse_canonical(text: str) -> Quantity:
    """Reads a quantity and returns what is left of it after a trip through the API server, which re-writes it."""
    return parse(str(parse(text)))


def _decimal(digits: int, whole: str, fraction: str, exponent: int, form: Format) -> Quantity:
    scale = exponent - len(fraction)
    nanos = _scaled(digits, scale + 9)
    fast = digits == 0 or (18 - len(whole) - len(fraction) >= 0 and scale >= -9)
    return Quantity(nanos, _int64(digits, scale) if fast else None, form)


def _binary(digits: int, whole: str, fraction: str, exponent: int) -> Quantity:
    nanos = _ceil_away(digits * 2**exponent * NANO, 10 ** len(fraction))
    limit = MAX_INT64 * NANO
    fast = not fraction and 15 - len(whole) - exponent * 3 // 10 - 1 >= 0
    as_int64 = digits * 2**exponent if fast else None
    form = Format.DECIMAL_SI if not fast and 0 < nanos < NANO else Format.BINARY_SI
    return Quantity(max(-limit, min(nanos, limit)), as_int64, form)


def _int64(digits: int, scale: int) -> int | None:
    """int64Amount.AsInt64: a negative scale is never an integer, a positive one only without overflow."""
    if scale < 0:
        return None
    amount = digits * 10**scale
    return amount if abs(amount) <= MAX_INT64 else None


def _scaled(digits: int, exponent: int) -> int:
    return digits * 10**exponent if exponent >= 0 else _ceil_away(digits, 10**-exponent)


def _ceil_away(numerator: int, denominator: int) -> int:
    """Divides and rounds away from zero (inf.RoundUp)."""
    magnitude = -(-abs(numerator) // denominator)
    return magnitude if numerator >= 0 else -magnitude


def _canonical(quantity: Quantity) -> str:
    if quantity.nanos == 0:
        return "0"
    whole, rest = divmod(quantity.nanos, NANO)
    if quantity.format is Format.BINARY_SI and rest == 0 and abs(whole) >= 1024:
        exponent = 0
        while whole % 1024 == 0 and exponent < 60:
            whole, exponent = whole // 1024, exponent + 10
        return f"{whole}{_BINARY_SUFFIXES.get(exponent, '')}"
    mantissa, exponent = quantity.nanos, -9
    while mantissa % 10 == 0:
        mantissa, exponent = mantissa // 10, exponent + 1
    while exponent % 3:
        mantissa, exponent = mantissa * 10, exponent - 1
    if quantity.format is Format.DECIMAL_EXPONENT or exponent not in _DECIMAL_SUFFIXES:
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    return f"{mantissa}{_DECIMAL_SUFFIXES[exponent]}"
