"""
``numa-extender replay``: cases on standard input, answers on standard output, a line each, in the same order.

The kubelet's own code answers the same JSON in the test suite, so that anyone can hold both side by side.
"""

from __future__ import annotations

from typing import BinaryIO

import orjson

from extender.kubelet import admission
from extender.kubelet.errors import KubeletCrash, StartError
from extender.wire.fields import WireError
from extender.wire.replay import Case, Op, case_from_json, verdict_to_json


def answer(value: object) -> dict[str, object]:
    """
    Answers one case, given as decoded JSON.

    Returns:
        The answer with ``verdicts``, or with ``error`` where there is none: the case is malformed, or the kubelet
        would not start, or would crash or hang on the way.
    """
    id_ = value.get("id", "") if isinstance(value, dict) else ""
    try:
        case = case_from_json(value)
        return {"id": id_, "verdicts": verdicts(case)}
    except (WireError, StartError, KubeletCrash) as error:
        return {"id": id_, "error": str(error)}


def verdicts(case: Case) -> list[dict[str, object]]:
    """
    Runs the steps of a case on a kubelet that starts with it.

    Raises:
        StartError: it would not start.
        KubeletCrash: it would crash or hang on the way.
    """
    kubelet = admission.start(case.machine, case.configuration, case.version)
    state = admission.initial(kubelet, case.devices)
    given = []
    for step in case.steps:
        if step.op is Op.ADMIT:
            assert step.pod is not None
            verdict, state = admission.admit(kubelet, state, step.pod)
            given.append(verdict_to_json(verdict, step.uid))
        elif step.op is Op.REMOVE:
            state = admission.remove(kubelet, state, step.uid)
        else:
            state = admission.started(kubelet, state, step.uid)
    return given


def replay(lines: BinaryIO, out: BinaryIO) -> int:
    """Answers every line and returns how many were no JSON; those are answered with an ``error`` too."""
    broken = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            broken += 1
            out.write(orjson.dumps({"id": "", "error": f"line {number} is no JSON: {error}"}) + b"\n")
            continue
        out.write(orjson.dumps(answer(value)) + b"\n")
        out.flush()
    return broken
