"""The twin against the answers that the kubelet's own code gave to the cases written by hand, texts of errors included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from proof.difference import difference, messages
from proof.endings import same_ending

from extender.replay import answer

DATA = Path(__file__).parent / "judge" / "testdata"
VERSIONS = ("1.37", "1.36", "1.35")


def recorded() -> Iterator[tuple[str, str, dict[str, object], dict[str, object]]]:
    cases = {case["id"]: case for case in map(orjson.loads, (DATA / "cases.jsonl").read_bytes().splitlines())}
    for version in VERSIONS:
        for line in (DATA / f"answers-{version}.jsonl").read_bytes().splitlines():
            given = orjson.loads(line)
            yield version, given["id"], {**cases[given["id"]], "version": version}, given


ALL = list(recorded())
DEPENDS = "depends on features that are disabled"
OWN_WORDS = {
    "error: unknown policy": "kubelet.topologyManagerPolicy: 'double-numa-node' is not one of "
    "none, best-effort, restricted, single-numa-node",
    "error: unknown scope": "kubelet.topologyManagerScope: 'node' is not one of container, pod",
    "error: unknown CPU policy": "kubelet.cpuManagerPolicy: 'dynamic' is not one of none, static",
    "error: reserved CPUs that are no set": "kubelet.reservedSystemCPUs: '0-' is not a CPU list such as 0-3,8",
    "error: reserved quantity that is none": "kubelet.systemReserved.memory: 'lots' is not a Kubernetes quantity "
    "such as 2, 1500m or 16Gi",
    "error: more reserved than there is": 'invalid Node Allocatable configuration. Resource "memory" has a reservation '
    "of 1Gi but capacity of 536870912. Expected capacity >= reservation.",
    "panic: hugepages of an unknown size": "panic: nil pointer dereference: zone 0 has no hugepages-2Mi",
    "panic: zone id 64": "panic: a NUMA node id above 63 does not fit the bit mask",
    "panic: distances by id": "panic: index out of range: zone 0 lists no distance to zone 5",
    "timeout: distribution without end": "timeout: distribute-cpus-across-numa never finishes: "
    "the CPUs left are in no whole group",
    "timeout: distribution, sockets across zones": "timeout: distribute-cpus-across-numa never finishes: "
    "no zone is left for the rest",
}
"""Case to what the twin says where the kubelet prints a Go value, or nothing that a person could use."""


@pytest.mark.parametrize(
    ("case", "given"), [(case, given) for _, _, case, given in ALL], ids=[f"{v} {i}" for v, i, *_ in ALL]
)
def test_twin_answers_as_the_kubelet_did(case: dict[str, object], given: dict[str, object]) -> None:
    """Verdicts, messages and state are the kubelet's, and where it ends instead, so does the twin, for its reason."""
    mine = answer(case)

    assert difference(case, given, mine) is None
    assert [] == list(messages(given, mine))
    if "error" in given:
        assert same_ending(str(given["error"]), str(mine["error"]))
        told = OWN_WORDS.get(str(case["id"]))
        if told is not None:
            assert told == mine["error"]
        elif DEPENDS not in str(given["error"]):  # which of several gates is named is chance
            assert str(mine["error"]) in str(given["error"])
