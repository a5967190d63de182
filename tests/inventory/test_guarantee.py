"""
The promise of the inventory, driven at random: what it lets through its kubelet does not refuse.

The model has one kubelet (the twin itself), which comes to bound pods in any order that the API server's order of
events allows, and news that reach the inventory late. Endings alone are heard at once: what ends unheard of, while
other pods are on their way, is the one thing that the inventory does not consider.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from builders import configuration, database, machine, pod, resources
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from extender.fleet import shape_of
from extender.inventory.comparison import Outcome, compare
from extender.inventory.live import Inventory
from extender.inventory.news import REPORT_DELAY_SECONDS
from extender.inventory.rules import Assume, Rules
from extender.kubelet import admission
from extender.model.configuration import Scope, TopologyPolicy, Version
from extender.model.observed import ObservedPod
from extender.model.pod import Container, Kind, Pod
from extender.model.report import Report

NODE = "n"
SHAPES = (
    *(
        pod("", cpu=str(cpus), memory=f"{memory}Gi")
        for cpus, memory in ((1, 1), (2, 40), (3, 2), (4, 20), (6, 2), (8, 60))
    ),
    database(""),
    Pod(
        "",
        "",
        (Container("first", Kind.INIT, resources("2", "30Gi")), Container("app", Kind.APP, resources("2", "4Gi"))),
    ),
    Pod("", "", tuple(Container(name, Kind.APP, resources("3", "4Gi")) for name in ("a", "b"))),
    Pod("", "", (Container("shared"),)),
)
"""Every kind of pod that admission tells apart, of sizes that get into each other's way."""
shapes = st.integers(0, len(SHAPES) - 1)


@dataclass
class Bound:
    """A pod as the API server has it."""

    pod: Pod
    foreign: bool
    deleting: bool = False
    admitted: bool = False
    started: bool = False
    terminal: bool = False

    def seen(self) -> ObservedPod:
        return ObservedPod(
            self.pod, NODE, terminal=self.terminal, admitted=self.admitted, started=self.started, deleting=self.deleting
        )


class Cluster(RuleBasedStateMachine):
    """One node, its kubelet, the API server, and an inventory that hears of it all a little later."""

    @initialize(
        policy=st.sampled_from(TopologyPolicy),
        scope=st.sampled_from(Scope),
        zones=st.integers(2, 3),
        assume=st.booleans(),
    )
    def start(self, policy: TopologyPolicy, scope: Scope, zones: int, *, assume: bool) -> None:
        """Chooses the node and the way in which pods are bound."""
        self.hardware = machine(zones=zones, cores=4)
        self.told = configuration(policy, scope, reserved_cpus=f"0,{zones * 4}")
        self.kubelet = admission.start(self.hardware, self.told, Version.V1_37)
        self.state = admission.initial(self.kubelet)
        self.chosen = Rules(assume=Assume.BIND if assume else Assume.FILTER)
        self.inventory = Inventory(self.chosen)
        self.number = self.beat = 0
        self.now = 0.0
        self.api: dict[str, Bound] = {}
        self.coming: list[str] = []
        """Bound and not seen by the kubelet yet, in the order of their binding."""
        self.answered: dict[str, Pod] = {}
        self.running: dict[str, Pod] = {}
        self.news: deque[Callable[[], object]] = deque()
        self.reports: deque[Report] = deque()
        self.published: Report | None = None
        self.excused: set[str] = set()
        """Pods in whose way another scheduler's pod came after they were bound."""
        self.refused: list[object] = []
        self.inventory.pods_observed([], self.now)
        self.report()
        self.hear_report()

    def new(self, shape: int) -> Pod:
        self.number += 1
        return replace(SHAPES[shape], uid=f"uid-{self.number}", name=f"p{self.number}")

    def tell(self, uid: str) -> None:
        seen = self.api[uid].seen()
        self.news.append(lambda: self.inventory.pod_observed(seen, self.now))

    # --- schedulers

    @rule(shapes=st.lists(shapes, min_size=1, max_size=2))
    def ask(self, shapes: list[int]) -> None:
        """The scheduler asks for pods, one after the other, and with bindVerb binds each where we let it."""
        for asked in map(self.new, shapes):
            if self.chosen.assume is Assume.BIND:
                if self.inventory.assume(NODE, asked, shape_of(asked), self.now).fits:
                    self.bind(asked, foreign=False)
            elif self.inventory.judge(NODE, asked, shape_of(asked)).fits:
                self.inventory.answered(asked, shape_of(asked), [NODE], self.now)
                self.answered[asked.uid] = asked

    @precondition(lambda self: self.answered)
    @rule(data=st.data())
    def bind_answered(self, data: st.DataObject) -> None:
        """Without bindVerb the scheduler binds by itself, in any order."""
        uid = data.draw(st.sampled_from(sorted(self.answered)))
        self.bind(self.answered.pop(uid), foreign=False)

    @rule(shape=shapes)
    def bind_foreign(self, shape: int) -> None:
        """Another scheduler binds a pod that we were not asked about; we hear of it before we are asked again."""
        self.bind(self.new(shape), foreign=True)
        self.hear_everything()
        self.excused.update(self.coming, self.answered)

    def bind(self, asked: Pod, *, foreign: bool) -> None:
        self.api[asked.uid] = Bound(asked, foreign)
        self.coming.append(asked.uid)
        self.tell(asked.uid)

    # --- the kubelet

    @precondition(lambda self: self.coming)
    @rule(data=st.data())
    def admit(self, data: st.DataObject) -> None:
        """The kubelet comes to any of the bound pods."""
        uid = data.draw(st.sampled_from(sorted(self.coming)))
        self.come_to(uid)

    def come_to(self, uid: str) -> None:
        self.coming.remove(uid)
        bound = self.api[uid]
        verdict, self.state = admission.admit(self.kubelet, self.state, bound.pod)
        if verdict.admit:
            self.running[uid] = bound.pod
            bound.admitted = True
        else:
            bound.terminal = True
            if not bound.foreign and uid not in self.excused:
                self.refused.append((bound.pod.name, verdict))
        self.tell(uid)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def run_app(self, data: st.DataObject) -> None:
        """The app containers of a pod start; its init containers are done."""
        uid = data.draw(st.sampled_from(sorted(self.running)))
        self.state = admission.started(self.kubelet, self.state, uid)
        self.api[uid].started = True
        self.tell(uid)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """A pod ends by itself; we hear of it before anything else happens."""
        uid = data.draw(st.sampled_from(sorted(self.running)))
        self.leave(uid)
        self.api[uid].terminal = True
        self.tell(uid)
        self.hear_everything()

    def leave(self, uid: str) -> None:
        del self.running[uid]
        self.state = admission.remove(self.kubelet, self.state, uid)

    @precondition(lambda self: self.api)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """A pod is told to end; we hear of it before it does."""
        uid = data.draw(st.sampled_from(sorted(self.api)))
        self.api[uid].deleting = True
        self.tell(uid)
        self.hear_everything()

    @precondition(lambda self: any(self.api[uid].deleting for uid in self.running))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """A pod that was told to end has ended, and the kubelet has its object deleted; the news are on their way."""
        uid = data.draw(st.sampled_from(sorted(uid for uid in self.running if self.api[uid].deleting)))
        self.leave(uid)
        self.vanish(uid)

    @precondition(lambda self: self.api)
    @rule(data=st.data())
    def delete_by_force(self, data: st.DataObject) -> None:
        """A pod's object is deleted: the kubelet hears of it before it hears of later bindings."""
        uid = data.draw(st.sampled_from(sorted(self.api)))
        if uid in self.running:
            self.leave(uid)
        elif uid in self.coming:
            self.coming.remove(uid)
        self.vanish(uid)
        self.hear_everything()

    def vanish(self, uid: str) -> None:
        del self.api[uid]
        self.news.append(lambda: self.inventory.pod_departed(uid, self.now))

    # --- news

    @rule()
    def report(self) -> None:
        """The exporter looks; what it saw is on its way."""
        self.beat += 1
        self.reports.append(Report(NODE, self.hardware, self.told, Version.V1_37, self.state, heartbeat=self.beat))

    @precondition(lambda self: self.reports)
    @rule()
    def hear_report(self) -> None:
        """A report arrives."""
        self.published = self.reports.popleft()
        for placement in compare(*self.inventory.reported(self.published, self.now)):
            assert placement.outcome is not Outcome.DIFFERENT

    @precondition(lambda self: self.news)
    @rule()
    def hear_of_pod(self) -> None:
        """News of a pod arrive."""
        self.news.popleft()()

    def hear_everything(self) -> None:
        while self.news:
            self.news.popleft()()

    @rule(seconds=st.sampled_from([REPORT_DELAY_SECONDS, 1000.0]))
    def wait(self, seconds: float) -> None:
        """Time passes, in which everything arrives that is on its way; an exporter may have fallen silent."""
        while self.answered:
            self.bind(self.answered.popitem()[1], foreign=False)
        self.hear_everything()
        while self.reports:
            self.hear_report()
        self.now += seconds
        self.inventory.tick(self.now)

    @rule()
    def list_anew(self) -> None:
        """The watch has broken: all pods are listed instead of what was on its way."""
        self.news.clear()
        self.inventory.pods_observed([bound.seen() for bound in self.api.values()], self.now)

    @rule(shape=shapes, data=st.data())
    def miss(self, shape: int, data: st.DataObject) -> None:
        """The watch has broken, and a pod that was there meanwhile, perhaps in another one's way, is never heard of."""
        missed = self.new(shape)
        self.bind(missed, foreign=True)
        self.excused.update(self.coming, self.answered)
        self.come_to(missed.uid)
        if self.coming:
            self.admit(data)
        if missed.uid in self.running:
            self.leave(missed.uid)
        self.vanish(missed.uid)
        self.list_anew()

    @rule()
    def restart(self) -> None:
        """The extender has died and begins anew; what it had answered has been bound by then."""
        while self.answered:
            self.bind(self.answered.popitem()[1], foreign=False)
        self.inventory = Inventory(self.chosen)
        self.list_anew()
        if self.published is not None:
            self.inventory.reported(self.published, self.now)

    # --- the promise

    @invariant()
    def nothing_was_refused(self) -> None:
        """The kubelet has admitted everything that we let through."""
        assert [] == getattr(self, "refused", [])

    def teardown(self) -> None:
        """The kubelet comes to the rest, the last bound first."""
        while getattr(self, "coming", None):
            self.come_to(self.coming[-1])
        self.nothing_was_refused()


Cluster.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
test_what_is_let_through_is_admitted = Cluster.TestCase
