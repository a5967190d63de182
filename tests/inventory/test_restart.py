"""An extender that begins in the middle of things: what it lets through is admitted, whoever was there before it."""

from __future__ import annotations

from builders import configuration, machine
from hypothesis import event, given, settings
from hypothesis import strategies as st
from test_orders import SHAPES, named

from extender.fleet import shape_of
from extender.inventory.comparison import Outcome, compare
from extender.inventory.live import Inventory
from extender.inventory.rules import Assume, Rules
from extender.kubelet import admission
from extender.model.configuration import Scope, TopologyPolicy, Version
from extender.model.observed import ObservedPod
from extender.model.report import Report

NODE = "n"
shapes = st.integers(0, len(SHAPES) - 1)


@settings(max_examples=150, deadline=None)
@given(
    policy=st.sampled_from(TopologyPolicy),
    scope=st.sampled_from(Scope),
    settled=st.lists(shapes, max_size=3),
    came=st.lists(st.tuples(shapes, st.booleans()), min_size=1, max_size=4),
    shown=st.booleans(),
    asked=shapes,
)
def test_pods_that_are_never_heard_of_harm_nobody(
    policy: TopologyPolicy, scope: Scope, settled: list[int], came: list[tuple[int, bool]], asked: int, *, shown: bool
) -> None:
    """After the last report pods have come, and some of them have gone again, before the extender began to listen."""
    hardware, told = machine(zones=2, cores=4), configuration(policy, scope, "0,8")
    kubelet = admission.start(hardware, told, Version.V1_37)
    state = admission.initial(kubelet)
    for number, shape in enumerate(settled):
        state = admission.admit(kubelet, state, named(shape, f"settled-{number}"))[1]
    before = Report(NODE, hardware, told, Version.V1_37, state, heartbeat=1)
    pods = {}
    for number, (shape, _) in enumerate(came):
        verdict, state = admission.admit(kubelet, state, named(shape, f"came-{number}"))
        if verdict.admit:
            pods[number] = named(shape, f"came-{number}")
    for number in [number for number in pods if came[number][1]]:
        state = admission.remove(kubelet, state, pods.pop(number).uid)

    inventory = Inventory(Rules(assume=Assume.BIND))
    inventory.reported(before, now=0.0)
    there = [*before.state.active.values(), *pods.values()]
    inventory.pods_observed([ObservedPod(pod, NODE, admitted=shown) for pod in there], now=0.0)
    one = named(asked, "asked")
    verdict, after = admission.admit(kubelet, state, one)
    judgement = inventory.assume(NODE, one, shape_of(one), now=0.0)
    event(f"let through: {judgement.fits}, admitted: {verdict.admit}")
    assert verdict.admit or not judgement.fits

    then = Report(NODE, hardware, told, Version.V1_37, after if judgement.fits else state, heartbeat=2)
    placements = compare(*inventory.reported(then, now=1.0))
    assert Outcome.DIFFERENT not in {placement.outcome for placement in placements}
