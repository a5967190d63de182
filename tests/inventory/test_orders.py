"""Every order, held against going through all of them one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from builders import configuration, database, machine, pod, resources
from hypothesis import event, given, settings
from hypothesis import strategies as st

from extender.fleet import shape_of
from extender.inventory.course import Course, Stage, may_start
from extender.inventory.ground import Ground
from extender.inventory.orders import Why
from extender.inventory.outlook import Outlook
from extender.kubelet import admission
from extender.kubelet.admission import Kubelet
from extender.model.configuration import Scope, TopologyPolicy, Version
from extender.model.pod import Container, Kind, Pod
from extender.model.state import NodeState

ABSENT, ADMITTED, STARTED, GONE = Stage

SHAPES = (
    *(pod("", cpu=str(cpus), memory=f"{memory}Gi") for cpus, memory in ((1, 1), (2, 40), (3, 2), (4, 20), (6, 2))),
    database(""),
    Pod("", "", (Container("i", Kind.INIT, resources("2", "30Gi")), Container("a", Kind.APP, resources("2", "4Gi")))),
    Pod("", "", tuple(Container(name, Kind.APP, resources("3", "4Gi")) for name in ("a", "b"))),
)


def named(shape: int, name: str) -> Pod:
    return replace(SHAPES[shape], uid=f"uid-{name}", name=name)


@dataclass(frozen=True)
class Doubt:
    """A pod that is not known for certain: its shape, what is known, and whether the report has it."""

    shape: int
    over: bool = False
    deleting: bool = False
    evident: bool = False
    resident: bool = False


KNOWN: tuple[dict[str, bool], ...] = (
    {},
    {},
    {"evident": True},
    {"deleting": True},
    {"over": True},
    {"resident": True, "deleting": True},
    {"resident": True, "over": True},
)
shapes = st.integers(0, len(SHAPES) - 1)
doubts = st.builds(lambda shape, known: Doubt(shape, **known), shapes, st.sampled_from(KNOWN))


def course(doubt: Doubt, name: str) -> Course:
    """As ``courses`` makes it from what is known."""
    one = named(doubt.shape, name)
    starts = may_start(one)
    if doubt.over:
        now = {GONE} if doubt.resident else {ABSENT, GONE}
    else:
        now = {ADMITTED, *({STARTED} if starts else ()), *({GONE} if doubt.deleting else ())}
        if not (doubt.resident or doubt.evident):
            now.add(ABSENT)
    return Course(one, shape_of(one), ADMITTED if doubt.resident else ABSENT, frozenset(now), starts)


def step(kubelet: Kubelet, state: NodeState, one: Pod, stage: Stage) -> NodeState | None:
    """The state after a pod has reached a stage; None if it is refused."""
    if stage is ADMITTED:
        verdict, after = admission.admit(kubelet, state, one)
        return after if verdict.admit else None
    return (admission.started if stage is STARTED else admission.remove)(kubelet, state, one.uid)


def alike(one: Course, other: Course) -> bool:
    """Whether it makes no difference which of two pods comes first."""
    return one.arrives and not one.loose and replace(one, pod=other.pod) == other


def one_by_one(kubelet: Kubelet, state: NodeState, courses: Sequence[Course], asked: Pod) -> bool | None:
    """
    Whether a pod may be let through, by trying each sequence of events: slow, and nothing is left out.

    None where no sequence agrees with what is known.
    """
    asker = Course(asked, shape_of(asked), ABSENT, frozenset({ABSENT, ADMITTED, STARTED}), may_start(asked))
    everyone = (*courses, asker)
    coming = [each for each in courses if not each.over]
    doomed: set[int] = set()
    after: list[tuple[NodeState, tuple[Stage, ...]]] = []
    verdicts: list[bool] = []

    def waits(stages: tuple[Stage, ...], place: int) -> bool:
        """Of pods that are alike the first one stands for all."""
        return any(
            stages[other] is stages[place] is ABSENT and alike(everyone[other], everyone[place])
            for other in range(place)
        )

    def agrees(stages: tuple[Stage, ...]) -> bool:
        return all(stage in course.now for course, stage in zip(courses, stages, strict=False))

    def moves(
        state: NodeState, stages: tuple[Stage, ...], those: Sequence[Course]
    ) -> Iterator[tuple[int, NodeState | None, tuple[Stage, ...]]]:
        """All that may happen next to some pods: to whom, the state after it or None if it is refused, and the stages."""
        for place, each in enumerate(everyone):
            for stage in () if each not in those or waits(stages, place) else each.next(stages[place]):
                yield place, step(kubelet, state, each.pod, stage), (*stages[:place], stage, *stages[place + 1 :])

    def anyway(state: NodeState, stages: tuple[Stage, ...]) -> None:
        """Who may be refused from now on although the asker does not come."""
        for place, then, onward in moves(state, stages, coming):
            if then is None:
                doomed.add(place)
            else:
                anyway(then, onward)

    def before(state: NodeState, stages: tuple[Stage, ...]) -> None:
        if agrees(stages):
            anyway(state, stages)
            then = step(kubelet, state, asked, ADMITTED)
            verdicts.append(then is not None)
            if then is not None:
                after.append((then, (*stages[:-1], ADMITTED)))
        for _, then, onward in moves(state, stages, courses):
            if then is not None:
                before(then, onward)

    def later(state: NodeState, stages: tuple[Stage, ...]) -> bool:
        for place, then, onward in moves(state, stages, [*coming, asker]):
            if then is None:
                if place not in doomed:
                    return False
            elif not later(then, onward):
                return False
        return True

    before(state, tuple(each.origin for each in everyone))
    return all(verdicts) and all(later(*one) for one in after) if verdicts else None


@settings(max_examples=80, deadline=None)
@given(
    policy=st.sampled_from(TopologyPolicy),
    scope=st.sampled_from(Scope),
    zones=st.integers(2, 3),
    settled=st.lists(shapes, min_size=1, max_size=4),
    unsure=st.lists(doubts, min_size=1, max_size=3),
    asked=shapes,
)
def test_the_answer_is_that_of_all_orders_tried_one_by_one(
    policy: TopologyPolicy, scope: Scope, zones: int, settled: list[int], unsure: list[Doubt], asked: int
) -> None:
    """A pod is let through if and only if no order of events refuses it, or another one because of it."""
    kubelet = admission.start(
        machine(zones=zones, cores=4), configuration(policy, scope, f"0,{zones * 4}"), Version.V1_37
    )
    state = admission.initial(kubelet)
    for place, shape in enumerate(settled):
        verdict, after = admission.admit(kubelet, state, named(shape, f"settled-{place}"))
        state = after if verdict.admit else state
    courses = []
    for place, doubt in enumerate(unsure):
        each = course(doubt, f"unsure-{place}")
        if each.origin is ADMITTED:
            verdict, after = admission.admit(kubelet, state, each.pod)
            if not verdict.admit:
                continue
            state = after
        courses.append(each)
    one = named(asked, "asked")
    if not admission.admit(kubelet, state, one)[0].admit:
        return
    truth = one_by_one(kubelet, state, courses, one)
    if truth is None:
        return
    found = Outlook(Ground(kubelet, state), courses).hazard(one, shape_of(one))
    event(f"{truth}, {found.why if found else 'let through'}")

    assert truth == (found is None) or (found is not None and found.why is Why.BUSY)


def test_who_came_once_there_was_room_is_not_refused_anyway() -> None:
    """
    A pod that would have been refused while another one was still there was let through once that one was over: whoever
    may take its place now is kept off, although a moment without room for it lies between the report and now.
    """
    kubelet = admission.start(machine(), configuration(), Version.V1_37)
    state = admission.initial(kubelet)
    for name, cpus in (("over", "10"), ("far", "8"), ("near", "2")):  # 2 CPUs are free in zone 0, 8 in zone 1
        verdict, state = admission.admit(kubelet, state, pod(name, cpu=cpus))
        assert verdict.admit
    over, coming, asker = pod("over", cpu="10"), pod("coming", cpu="10"), pod("asker", cpu="8")
    courses = [
        Course(over, shape_of(over), ADMITTED, frozenset({GONE})),
        Course(coming, shape_of(coming), ABSENT, frozenset({ABSENT, ADMITTED})),
    ]
    hazards = [Outlook(Ground(kubelet, state), some).hazard(asker, shape_of(asker)) for some in (courses[:1], courses)]

    assert [None, Why.DISPLACES] == [hazard and hazard.why for hazard in hazards]
