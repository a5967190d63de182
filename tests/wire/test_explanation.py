"""The sentences, case by case."""

from __future__ import annotations

import pytest
from builders import configuration

from extender import cpuset
from extender.model.configuration import KubeletConfiguration, Scope, TopologyPolicy
from extender.model.room import Room
from extender.model.state import Block
from extender.model.verdict import Admission, Cause, Reason, Refusal, Shortage
from extender.wire.explanation import admission_sentence, amounts, binary, refusal_sentence, room_sentence

GI = 1 << 30
POD, CONTAINER = configuration(), configuration(scope=Scope.CONTAINER)
RESTRICTED = configuration(policy=TopologyPolicy.RESTRICTED)
NONE = configuration(policy=TopologyPolicy.NONE)


def unaligned(*shortages: Shortage, container: str | None = None) -> Refusal:
    return Refusal(Reason.TOPOLOGY_AFFINITY, Cause.NO_ALIGNMENT, container=container, shortages=shortages)


def cpus(requested: int, *available: int) -> Shortage:
    return Shortage("cpu", requested, dict(enumerate(available)))


def memory(requested: int, *available: int) -> Shortage:
    return Shortage("memory", requested * GI, {zone: amount * GI for zone, amount in enumerate(available)})


@pytest.mark.parametrize(
    ("refusal", "told", "sentence"),
    [
        pytest.param(
            unaligned(cpus(8, 3, 6), memory(16, 40, 40)),
            POD,
            "pod scope wants 8 CPU and 16Gi in one zone (single-numa-node); zone 0 has 3 CPU free, zone 1 has 6",
            id="one scarce resource is told alone",
        ),
        pytest.param(
            unaligned(cpus(8, 3, 6), memory(16, 4, 10)),
            POD,
            "pod scope wants 8 CPU and 16Gi in one zone (single-numa-node); "
            "zone 0 has 3 CPU and 4Gi free, zone 1 has 6 CPU and 10Gi",
            id="two scarce resources are told together",
        ),
        pytest.param(
            unaligned(cpus(8, 8, 6), memory(16, 4, 20)),
            POD,
            "pod scope wants 8 CPU and 16Gi in one zone (single-numa-node); "
            "zone 0 has 8 CPU and 4Gi free, zone 1 has 6 CPU and 20Gi",
            id="where each fits somewhere and never together all are told",
        ),
        pytest.param(
            unaligned(cpus(4, 1, 1, 2, 3, 1, 2, 1, 3)),
            POD,
            "pod scope wants 4 CPU in one zone (single-numa-node); "
            "zone 2 has 2 CPU free, zone 3 has 3, zone 5 has 2, zone 7 has 3, 4 more zones have no more",
            id="of many zones the best four are named",
        ),
        pytest.param(
            unaligned(cpus(40, 14, 16)),
            RESTRICTED,
            "pod scope wants 40 CPU in the fewest zones that could ever hold it (restricted); "
            "zone 0 has 14 CPU free, zone 1 has 16",
            id="restricted",
        ),
        pytest.param(
            unaligned(cpus(4, 0, 24), container="server"),
            CONTAINER,
            "container server wants 4 CPU in one zone (single-numa-node); zone 0 has 0 CPU free, zone 1 has 24 "
            "(what the pod's init containers have must be used again)",
            id="a container held back by what the pod's earlier ones hold",
        ),
        pytest.param(
            unaligned(Shortage("vendor.com/nic", 2, {0: 1, 8: 0})),
            POD,
            "pod scope wants 2 vendor.com/nic in one zone (single-numa-node); "
            "zone 0 has 1 vendor.com/nic free, zone 8 has 0 vendor.com/nic",
            id="devices",
        ),
        pytest.param(unaligned(), POD, "pod scope wants nothing in one zone (single-numa-node)", id="no figures"),
        pytest.param(
            Refusal(Reason.UNEXPECTED, Cause.NOT_ENOUGH_CPUS, container="a", resource="cpu", requested=20, available=3),
            NONE,
            "container a wants 20 CPU; the node has 3 left",
            id="not enough CPUs on the whole node",
        ),
        pytest.param(
            Refusal(Reason.UNEXPECTED, Cause.NO_DEFAULT_HINT, container="a", resource="memory", requested=80 * GI),
            NONE,
            "container a wants 80Gi: the memory manager finds no group of zones that may hold it; "
            "zone 0 has 7Gi free, zone 8 has 9Gi",
            id="memory nowhere",
        ),
        pytest.param(
            Refusal(Reason.SMT_ALIGNMENT, Cause.SMT_NOT_MULTIPLE, resource="cpu", requested=3, available=8),
            POD,
            "pod scope wants 3 CPU: full-pcpus-only gives whole cores only",
            id="half a core",
        ),
        pytest.param(
            Refusal(Reason.SMT_ALIGNMENT, Cause.SMT_NOT_ENOUGH, resource="cpu", requested=8, available=6),
            POD,
            "pod scope wants 8 CPU: full-pcpus-only finds too few whole cores; zone 0 has 4 CPU free, zone 8 has 5",
            id="too few whole cores",
        ),
        pytest.param(
            Refusal(
                Reason.EMPTY_POD_SHARED_POOL,
                Cause.EMPTY_POOL_SUM,
                resource="cpu",
                requested=8,
                available=0,
                pod_level=True,
            ),
            POD,
            "pod scope wants 8 CPU: exclusive containers use the whole budget of the pod and others need a share",
            id="nothing left to share",
        ),
        pytest.param(
            Refusal(Reason.UNEXPECTED, Cause.AMOUNT_NOT_AN_INTEGER, container="a", resource="memory"),
            POD,
            "container a: the memory manager cannot use an amount that is no whole number of bytes",
            id="half a byte",
        ),
    ],
)
def test_a_refusal_in_one_sentence(refusal: Refusal, told: KubeletConfiguration, sentence: str) -> None:
    """The sentence names who wants how much of what, and what each zone has of what is scarce."""
    rooms = [Room(zone, {}, {"cpu": zone // 8 + 4, "memory": (7 + zone // 4) * GI}) for zone in (0, 8)]

    assert sentence == refusal_sentence(refusal, told, rooms)


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_its_words(cause: Cause) -> None:
    """No refusal is explained by the bare name of its cause."""
    sentence = refusal_sentence(
        Refusal(Reason.UNEXPECTED, cause, container="a", resource="cpu", requested=2, available=1), POD
    )

    assert sentence.startswith("container a wants 2 CPU")
    assert str(cause) not in sentence or cause is Cause.NO_ALIGNMENT


def test_a_budget_in_one_sentence() -> None:
    """A pod-level allocation is told with its exclusive slices, its shared pool and its memory."""
    admission = Admission(
        pod_cpus=cpuset.parse("1-4,17-20"),
        pod_memory=(Block(1, "memory", 16 * GI),),
        cpus={"db": cpuset.parse("1-3,17-19"), "a": cpuset.parse("4,20"), "b": cpuset.parse("4,20")},
        exclusive=frozenset({"db"}),
        shared_pool=cpuset.parse("4,20"),
    )
    before = [Room(0, {"cpu": 14}, {"cpu": 14}), Room(1, {"cpu": 16}, {"cpu": 16})]
    after = [Room(0, {"cpu": 14}, {"cpu": 6}), before[1]]

    assert admission_sentence(admission, before, after) == (
        "zone 0: CPUs 1-4,17-20, of which db has CPUs 1-3,17-19 alone, a and b share 4,20 (pod shared pool); "
        "memory 16Gi"
    )


def test_memory_of_other_zones_is_told_with_them() -> None:
    """Memory that does not lie in just the zones used is told with its zones; devices are named."""
    admission = Admission(
        cpus={"a": cpuset.parse("1")},
        memory={"a": (Block(0b11, "memory", GI), Block(0b11, "hugepages-1Gi", GI))},
        devices={"a": {"vendor.com/nic": frozenset({"n2", "n1"})}},
        exclusive=frozenset({"a"}),
    )
    before, after = [Room(0, {"cpu": 2}, {"cpu": 2})], [Room(0, {"cpu": 2}, {"cpu": 1})]

    assert admission_sentence(admission, before, after) == (
        "zone 0: a has CPUs 1 alone; memory 1Gi of zone 0-1, hugepages-1Gi 1Gi of zone 0-1; vendor.com/nic n1, n2"
    )


def test_a_pod_that_pins_nothing() -> None:
    """Where no zone changes, the sentence says so."""
    rooms = [Room(0, {"cpu": 2}, {"cpu": 2})]

    assert admission_sentence(Admission(), rooms, rooms) == "nothing is pinned, it runs in the node's shared pool"


def test_room_is_told_of_what_there_is() -> None:
    """What is left is told by zone; resources that a zone never had are not."""
    rooms = [
        Room(0, {"cpu": 4, "memory": GI, "hugepages-2Mi": 0}, {"cpu": 0, "memory": GI, "hugepages-2Mi": 0}),
        Room(8, {"memory": GI}, {"memory": 0}),
    ]

    assert room_sentence(rooms) == "0 CPU and 1Gi in zone 0, 0 in zone 8"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0"),
        (1023, "1023"),
        (1024, "1Ki"),
        (16 * GI, "16Gi"),
        (GI + GI // 2, "1.5Gi"),
        (GI + 1, "1024Mi"),
        (3 << 40, "3Ti"),
        ((1 << 20) - 1, "1023Ki"),
    ],
)
def test_bytes_in_few_digits(size: int, text: str) -> None:
    """Bytes are told in the largest unit that tells them exactly, or in whole Mi."""
    assert text == binary(size)


def test_three_amounts_are_a_list() -> None:
    """Three amounts are joined by a comma and an and."""
    assert amounts({"cpu": 1, "memory": GI, "v.com/x": 2}) == "1 CPU, 1Gi and 2 v.com/x"
