"""Quantities read as Kubernetes reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extender import quantity
from extender.quantity import QuantityError


@pytest.mark.parametrize(
    ("text", "value", "milli", "as_int64", "canonical"),
    [
        ("0", 0, 0, 0, "0"),
        ("2", 2, 2000, 2, "2"),
        ("1500m", 2, 1500, None, "1500m"),
        ("0.5", 1, 500, None, "500m"),
        ("1.9999999", 2, 2000, None, "1999999900n"),
        ("1000m", 1, 1000, None, "1"),
        ("2000", 2000, 2_000_000, 2000, "2k"),
        ("1e3", 1000, 1_000_000, 1000, "1e3"),
        ("+3", 3, 3000, 3, "3"),
        (".5", 1, 500, None, "500m"),
        ("1024", 1024, 1_024_000, 1024, "1024"),
        ("1Ki", 1024, 1_024_000, 1024, "1Ki"),
        ("16Gi", 17179869184, 17179869184000, 17179869184, "16Gi"),
        ("1536Mi", 1610612736, 1610612736000, 1610612736, "1536Mi"),
        ("1.5Gi", 1610612736, 1610612736000, None, "1536Mi"),
        ("0.1Gi", 107374183, 107374182400, None, "107374182400m"),
        ("99Ti", 108851651149824, 108851651149824000, 108851651149824, "99Ti"),
        ("100Ti", 109951162777600, 109951162777600000, None, "100Ti"),
        ("1Pi", 1125899906842624, 1125899906842624000, None, "1Pi"),
        ("9223372036854775807", 9223372036854775807, 9223372036854775807000, None, "9223372036854775807"),
        ("1n", 1, 1, None, "1n"),
        ("1.5n", 1, 1, None, "2n"),
        ("0m", 0, 0, None, "0"),
    ],
)
def test_a_quantity_has_the_values_that_go_gives_it(
    text: str, value: int, milli: int, as_int64: int | None, canonical: str
) -> None:
    """Value, MilliValue, AsInt64 and the canonical text of each were printed by the Go library."""
    parsed = quantity.parse(text)

    assert (value, milli, as_int64, canonical) == (parsed.value, parsed.milli, parsed.as_int64, str(parsed))


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "0x10", "1Kii", "1e3k", "1.5.2", "one", "e3", "1e999", "9" * 99])
def test_what_is_no_quantity_is_named(text: str) -> None:
    """A text that is no quantity is refused with a sentence that shows it."""
    with pytest.raises(QuantityError, match=r"quantity|out of range"):
        quantity.parse(text)


@given(st.integers(0, 10**18), st.sampled_from(["", "m", "u", "k", "M", "Ki", "Mi", "Gi", "e2"]))
def test_the_canonical_text_means_the_same(number: int, suffix: str) -> None:
    """Writing a quantity and reading it again changes neither its amount nor its text."""
    once = quantity.parse(f"{number}{suffix}")
    again = quantity.parse(str(once))

    assert (once.nanos, str(once)) == (again.nanos, str(again))


def test_a_trip_through_the_api_server_makes_an_amount_a_plain_integer() -> None:
    """The API server re-writes 1.5Gi as 1536Mi, which the memory manager can read."""
    assert (None, 1610612736) == (quantity.parse("1.5Gi").as_int64, quantity.parse_canonical("1.5Gi").as_int64)
