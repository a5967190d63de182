"""What the twin says to input that is none: one sentence that names the place, and never a traceback."""

from __future__ import annotations

import io

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proof.draw import Dice
from proof.generate import cases
from proof.machines import Json
from proof.malformed import malformed

from extender.replay import answer, replay

LONGEST = 400

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("seed", range(10))
def test_malformed_input_gets_one_sentence(seed: int) -> None:
    """Each of a hundred malformed cases has an error of one line that names the field."""
    for case, named in malformed(f"malformed-{seed}", 100):
        given = answer(case)

        assert ["error", "id"] == sorted(given), (named, given)
        error = given["error"]
        assert isinstance(error, str)
        assert named in error, (named, error)
        assert "\n" not in error
        assert len(error) < LONGEST
        assert "Traceback" not in error


@settings(max_examples=500, deadline=None)
@given(value=JSON)
def test_any_json_gets_an_answer(value: object) -> None:
    """Whatever JSON is given, the answer is an error or verdicts."""
    assert {"error", "verdicts"} & answer(value).keys()


@settings(max_examples=1000, deadline=None)
@given(seed=st.integers(0, 10**6), junk=JSON, choice=st.integers(0, 10**9))
def test_junk_at_any_place_of_a_case_gets_an_answer(seed: int, junk: object, choice: int) -> None:
    """Whatever one member of a case is replaced by, the answer is an error of one line or verdicts."""
    case: Json = orjson.loads(orjson.dumps(next(cases(seed, 1, "1.37"))))
    places = list(_places(case))
    holder, key = places[Dice(choice).below(len(places))]
    holder[key] = junk  # type: ignore[index]

    given = answer(case)

    assert {"error", "verdicts"} & given.keys()
    assert "\n" not in str(given.get("error", ""))


@pytest.mark.parametrize("name", ["a\nb", "tab\there", "\x1b[2J"])
def test_names_from_outside_break_no_line(name: str) -> None:
    """A name with control characters is shown with escapes, whoever complains about it."""
    case: Json = orjson.loads(orjson.dumps(next(cases(0, 1, "1.37"))))
    case["kubelet"] = {"cpuManagerPolicy": "static", "reservedSystemCPUs": "0"}
    unknown = case | {"kubelet": case["kubelet"] | {"cpuManagerPolicyOptions": {name: "true"}}}
    unread = case | {"kubelet": case["kubelet"] | {"cpuManagerPolicyOptions": {name: None}}}

    for asked in (unknown, unread):
        error = str(answer(asked)["error"])
        assert error.isprintable()
        assert repr(name)[1:-1] in error


def _places(value: object) -> list[tuple[object, object]]:
    found: list[tuple[object, object]] = []
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        found.append((value, key))
        found += _places(member)
    return found


def test_a_line_that_is_no_json_is_answered_in_its_place() -> None:
    """A broken line has an error with its number, and the lines around it have their answers."""
    good = orjson.dumps(next(cases(0, 1, "1.37")))
    out = io.BytesIO()

    broken = replay(io.BytesIO(good + b"\n{\n\n" + good + b"\n"), out)

    answers = [orjson.loads(line) for line in out.getvalue().splitlines()]
    assert 1 == broken
    assert 3 == len(answers)
    assert answers[0] == answers[2]
    assert "line 2 is no JSON" in answers[1]["error"]
