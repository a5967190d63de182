"""Cases written are the cases read."""

from __future__ import annotations

import orjson
import pytest
from builders import configuration, database, machine, pod, resources

from extender.model.configuration import Version
from extender.model.pod import Container, Kind, Pod, QoS
from extender.model.state import Device
from extender.wire.case import case_to_json
from extender.wire.replay import Case, Op, Step, case_from_json

PODS = (
    pod("plain"),
    database("budget"),
    Pod(
        "uid-init",
        "init",
        (
            Container("first", Kind.INIT, resources("1500m", "1Gi")),
            Container("side", Kind.SIDECAR, resources("1", "512Mi")),
            Container("app"),
        ),
        namespace="other",
        qos=QoS.BURSTABLE,
    ),
)


@pytest.mark.parametrize("one", PODS, ids=lambda one: one.name)
def test_a_case_survives_its_writing(one: Pod) -> None:
    """What is written as JSON and read again is the same case."""
    case = Case(
        id="n@7",
        version=Version.V1_37,
        machine=machine(),
        configuration=configuration(),
        devices={"vendor.example/nic": (Device("a", 0b10), Device("b", located=False), Device("c", 1, healthy=False))},
        steps=(Step(Op.ADMIT, one.uid, one), Step(Op.STARTED, one.uid), Step(Op.REMOVE, one.uid)),
    )

    assert case == case_from_json(orjson.loads(orjson.dumps(case_to_json(case))))
