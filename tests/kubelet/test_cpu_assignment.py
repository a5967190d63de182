"""What holds of every assignment of CPUs, whatever the machine and the options."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from proof.draw import Dice
from proof.machines import hardware
from proof.themes import CPUS, WIDE

from extender import cpuset
from extender.kubelet.cpu_assignment import AllocationFailure, Assignment, _deviation, take_packed
from extender.kubelet.errors import KubeletCrash
from extender.kubelet.options import CpuOptions
from extender.kubelet.topology import CpuTopology, discover
from extender.model.configuration import Version
from extender.model.verdict import Cause
from extender.wire.machine import machine_from_json

OPTIONS = {
    "packed": CpuOptions(),
    "packed by cache": CpuOptions(prefer_uncore=True),
    "spread over cores": CpuOptions(distribute_across_cores=True),
    "distributed over zones": CpuOptions(distribute_across_numa=True),
    "whole cores distributed over zones": CpuOptions(distribute_across_numa=True, full_pcpus_only=True),
    "distributed over the zones of a socket": CpuOptions(distribute_across_numa=True, align_by_socket=True),
}


@st.composite
def topologies(draw: st.DrawFn) -> CpuTopology:
    """
    The CPUs of a machine whose cores, sockets and caches have the sizes that the kubelet reckons with.

    Nor does a cache reach into two zones: the kubelet would list it under both and count its CPUs twice.
    """
    theme = draw(st.sampled_from((CPUS, WIDE)))
    dice = Dice(draw(st.integers(0, 10**9)))
    regular = replace(theme, odd_cores=0.0, broken=0.0)
    topology = discover(machine_from_json(hardware(dice, regular).json))
    sockets = {cpus.bit_count() for cpus in topology.sockets.values()}
    assume(len(sockets) == 1 and topology.reported_sockets <= len(topology.zones))
    assume(sum(map(len, topology.zone_uncores.values())) == len(topology.uncores))
    return topology


@st.composite
def requests(draw: st.DrawFn) -> tuple[CpuTopology, int, int]:
    """A machine, its available CPUs, and how many of them are wanted; sometimes more than there are."""
    topology = draw(topologies())
    cpus = list(cpuset.members(topology.all))
    taken = draw(st.sets(st.sampled_from(cpus), max_size=len(cpus)))
    available = topology.all & ~cpuset.of(taken)
    return topology, available, draw(st.integers(0, available.bit_count() + 1))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@settings(max_examples=150, deadline=None)
@given(request=requests())
def test_assignment_takes_what_is_asked_of_what_is_there(
    options: CpuOptions, request: tuple[CpuTopology, int, int]
) -> None:
    """The CPUs are as many as asked for and all of them available; only a lack of CPUs is a failure."""
    topology, available, count = request
    assume(len({cpus.bit_count() for cpus in topology.zones.values()}) == 1 or not options.distribute_across_numa)
    try:
        taken = Assignment(topology, options, Version.V1_37).take(available, count)
    except KubeletCrash:
        assert options.full_pcpus_only, "only distribution in groups of several CPUs can go round for ever"
        return

    if count > available.bit_count():
        assert AllocationFailure(Cause.NOT_ENOUGH_CPUS, count, available.bit_count()) == taken
    else:
        assert isinstance(taken, int)
        assert count == taken.bit_count()
        assert 0 == taken & ~available


@settings(max_examples=300, deadline=None)
@given(request=requests())
def test_packed_assignment_breaks_at_most_one_core_of_an_idle_machine(request: tuple[CpuTopology, int, int]) -> None:
    """On an idle machine a packed request uses whole cores, but for the rest that is no whole core."""
    topology, _, count = request
    assume(count <= topology.all.bit_count())
    taken = take_packed(topology, topology.all, count)

    assert isinstance(taken, int)
    broken = [cpus for cpus in topology.cores.values() if 0 < (cpus & taken).bit_count() < cpus.bit_count()]
    assert (1 if count % topology.cpus_per_core else 0) == len(broken)


@settings(max_examples=300, deadline=None)
@given(topology=topologies(), data=st.data())
def test_distribution_is_even_on_an_idle_machine(topology: CpuTopology, data: st.DataObject) -> None:
    """
    As few zones as can hold the request are used, and their numbers of CPUs differ by one at most.

    Of up to three zones: with more the kubelet reads combinations that it has overwritten since.
    """
    sizes = {cpus.bit_count() for cpus in topology.zones.values()}
    assume(len(sizes) == 1 and len(topology.zones) <= 3)
    count = data.draw(st.integers(1, topology.all.bit_count()))
    options = CpuOptions(distribute_across_numa=True)
    taken = Assignment(topology, options, Version.V1_37).take(topology.all, count)

    assert isinstance(taken, int)
    shares = [(cpus & taken).bit_count() for cpus in topology.zones.values() if cpus & taken]
    assert max(shares) - min(shares) <= 1
    assert -(-count // sizes.pop()) == len(shares)


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        pytest.param([4, 4, 4], 0.0, id="even"),
        pytest.param([1, 2, 4], 1.247, id="mean and result are rounded to thousandths"),
        pytest.param([0, 1], 0.5, id="halves"),
        pytest.param([3, 4, 4, 4, 4, 4, 4, 4], 0.331, id="one less than the others"),
    ],
)
def test_balance_is_measured_as_go_does(free: list[int], expected: float) -> None:
    """The standard deviation of what zones have left, as cpu_assignment.go reckons it."""
    assert expected == _deviation(free)
