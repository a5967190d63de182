"""
The promise of the inventory, driven at random: what it lets through its kubelet does not refuse.

The model has one kubelet (the twin itself), which admits bound pods in the order of their binding, and news that
reach the inventory late: bindings, endings, deletions and reports each wait in a queue of their own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from builders import configuration, database, machine, pod
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from extender.fleet import shape_of
from extender.inventory.live import Inventory
from extender.inventory.node import REPORT_DELAY_SECONDS
from extender.inventory.rules import Assume, Rules
from extender.kubelet import admission
from extender.model.configuration import Version
from extender.model.observed import ObservedPod
from extender.model.pod import Pod
from extender.model.report import Report
from extender.model.state import NodeState

NODE = "n"


class Cluster(RuleBasedStateMachine):
    """One node, its kubelet, the API server, and an inventory that hears of it all a little later."""

    def __init__(self) -> None:
        super().__init__()
        self.hardware, self.told = machine(cores=4), configuration(reserved_cpus="0,8")
        self.kubelet = admission.start(self.hardware, self.told, Version.V1_37)
        self.state: NodeState = admission.initial(self.kubelet)
        self.inventory = Inventory(Rules(assume=Assume.BIND))
        self.number = self.beat = 0
        self.now = 0.0
        self.bound: deque[Pod] = deque()
        """Bound, and not seen by the kubelet yet."""
        self.running: dict[str, Pod] = {}
        self.pod_news: deque[Callable[[], None]] = deque()
        self.reports: deque[Report] = deque()
        self.refused: list[object] = []
        self.report()
        self.hear_report()

    @rule(cpus=st.integers(1, 8), example=st.booleans())
    def bind(self, cpus: int, *, example: bool) -> None:
        """The scheduler asks for a pod and binds it where we let it."""
        self.number += 1
        name = f"p{self.number}"
        asked = database(name) if example else pod(name, cpu=str(cpus))
        if self.inventory.assume(NODE, asked, shape_of(asked), self.now).fits:
            self.bound.append(asked)
            self.pod_news.append(lambda: self.inventory.pod_observed(ObservedPod(asked, NODE)))

    @precondition(lambda self: self.bound)
    @rule()
    def admit(self) -> None:
        """The kubelet comes to the next bound pod."""
        asked = self.bound.popleft()
        verdict, self.state = admission.admit(self.kubelet, self.state, asked)
        self.running[asked.uid] = asked
        if not verdict.admit:
            self.refused.append((asked.name, verdict))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """A pod ends by itself; the kubelet knows first."""
        ended = self.running.pop(data.draw(st.sampled_from(sorted(self.running))))
        self.state = admission.remove(self.kubelet, self.state, ended.uid)
        self.pod_news.append(lambda: self.inventory.pod_observed(ObservedPod(ended, NODE, terminal=True)))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """A pod is deleted by force: the API server forgets it while its kubelet goes on running it."""
        uid = data.draw(st.sampled_from(sorted(self.running)))
        self.pod_news.append(lambda: self.inventory.pod_departed(uid, self.now))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        """The kubelet has ended a pod and nobody else has heard of it."""
        ended = self.running.pop(data.draw(st.sampled_from(sorted(self.running))))
        self.state = admission.remove(self.kubelet, self.state, ended.uid)

    @rule()
    def report(self) -> None:
        """The exporter looks; what it saw is on its way."""
        self.beat += 1
        self.reports.append(Report(NODE, self.hardware, self.told, Version.V1_37, self.state, heartbeat=self.beat))

    @precondition(lambda self: self.reports)
    @rule()
    def hear_report(self) -> None:
        """A report arrives."""
        self.inventory.reported(self.reports.popleft(), self.now)

    @rule()
    def wait(self) -> None:
        """Time passes, in which reports that are on their way arrive."""
        while self.reports:
            self.hear_report()
        self.now += REPORT_DELAY_SECONDS

    @precondition(lambda self: self.pod_news)
    @rule()
    def hear_of_pod(self) -> None:
        """News of a pod arrive."""
        self.pod_news.popleft()()

    @invariant()
    def nothing_was_refused(self) -> None:
        """The kubelet has admitted everything that we let through."""
        assert not self.refused


Cluster.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_what_is_let_through_is_admitted = Cluster.TestCase
