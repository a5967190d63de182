"""
All nodes, as of now: the one place that changes, and the only one that is written to.

News and questions come from several threads. Each piece of news replaces the value of the nodes that it concerns,
under a lock that is held for computation only; questions read those values without a lock. Times are seconds of a
monotonic clock, which the caller reads. The module is long so that everything that takes the lock is in one place.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np

from extender.columns.fleet import Entry, Fleet
from extender.columns.kernel import Fate
from extender.columns.table import Scores
from extender.fleet import Shape
from extender.inventory import news
from extender.inventory.judgement import Judgement, Whole, judge, whole
from extender.inventory.node import NO_REPORT, Knowledge, Node, standings
from extender.inventory.orders import Why
from extender.inventory.outlook import Outlook
from extender.inventory.rules import Assume, Rules
from extender.inventory.survey import Footings, Survey, entry, fits_by, footing
from extender.model.observed import ObservedPod
from extender.model.pod import Pod
from extender.model.report import Report
from extender.score import Strategy


def _hazard(entry: Entry, pod: Pod, shape: Shape) -> Why | None:
    """Says for the fleet what keeps a pod off a node whose likely state admits it."""
    outlook = entry.about
    assert isinstance(outlook, Outlook)
    hazard = outlook.hazard(pod, shape)
    return None if hazard is None else hazard.why


LATELY_SECONDS = 5.0
"""For so long a scheduler may not have heard of what another one has bound."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A pod that filter let through and that is not bound yet, as far as we know."""

    pod: Pod
    shape: Shape
    nodes: frozenset[str]
    """Where it may be bound."""
    until: float
    scheduler: str = ""
    """Whose pod it is: what else its own scheduler binds, that scheduler has summed up."""


@dataclass(frozen=True, slots=True)
class Disappointment:
    """A pod that its kubelet has refused."""

    before: Node
    """The node as it was known until then."""
    seen: ObservedPod
    passed: bool
    """Whether we had let it through."""


class Inventory:
    """What is known of every node."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._nodes: dict[str, Node] = {}
        self._where: dict[str, str] = {}
        """Pod uid to the node that holds it."""
        self._waiting: dict[str, Pod] = {}
        """Pods that are not bound, by uid: what bind asks for is named by uid alone."""
        self._answered: tuple[Answered, ...] = ()
        self._lately: dict[str, dict[str, Answered]] = {}
        """
        By scheduler and uid, what was bound a moment ago, and where, if bind does not tell: other schedulers may not have
        heard of it.
        """
        self._refused: set[str] = set()
        """Uids of pods whose refusal is known: their node forgets them long before the API server does."""
        self._told = False
        """Whether all pods have been listed."""
        self._wholes: dict[str, Whole] = {}
        """Sums of nodes that were looked at, for as long as the nodes stay as they are."""
        self._aging: set[str] = set()
        """Nodes of which something is known only for a time."""
        self._warm = False
        self._footings = Footings()
        self._fleet = Fleet(self._entry, _hazard)

    # --- questions: no lock

    def node(self, name: str) -> Node:
        """Returns what is known of a node, which may be nothing."""
        return self._nodes.get(name) or Node(name, told=self._told)

    def all_nodes(self) -> list[Node]:
        """Returns all nodes of which anything is known, by name."""
        return sorted(self._nodes.values(), key=lambda node: node.name)

    def waiting(self, uid: str) -> Pod | None:
        """Returns a pod that is not bound yet."""
        return self._waiting.get(uid)

    def waiting_named(self, namespace: str, name: str) -> Pod | None:
        """Returns a pod that is not bound yet, and the later one of two: not every Binding tells a uid."""
        named = (
            pod for pod in reversed(list(self._waiting.values())) if (pod.namespace, pod.name) == (namespace, name)
        )
        return next(named, None)

    def judge(self, name: str, pod: Pod, shape: Shape) -> Judgement:
        """Judges a pod on a node; pods that may be on their way there count, the pod itself does not."""
        # First what may be on its way, then the node: a pod that is seen bound meanwhile is found in one of both.
        answered = self._answered
        node = self.node(name)
        possibly = [
            (other.pod, other.shape)
            for other in answered
            if name in other.nodes and other.pod.uid != pod.uid and other.pod.uid not in node.held
        ]
        return judge(node, pod, shape, self.rules, possibly)

    def survey(
        self,
        names: Sequence[str],
        pod: Pod,
        shape: Shape,
        strategy: Strategy = Strategy.PACK,
        *,
        scheduler: str = "",
    ) -> Survey:
        """
        Judges a pod on many nodes: the same as ``judge`` on each of them.

        Args:
            names: of the nodes.
            pod: the pod.
            shape: its shape.
            strategy: by which placements are going to be scored.
            scheduler: whose pod it is.
        """
        others = [other for other in self._answered if other.pod.uid != pod.uid]
        crowd = [(other.pod, other.shape) for other in others]
        told = self._fleet.ask(pod, shape, names, strategy, crowd=crowd)
        fits = fits_by(told, self.rules)
        alone = set()
        if others:
            unsure = np.flatnonzero(fits & (told.fate == Fate.ADMITTED) & ~told.ample).tolist()
            alone |= {place for place in unsure if any(names[place] in other.nodes for other in others)}
        here = self._where.get(pod.uid)
        if here is not None and here in names:
            alone.add(names.index(here))
        judgements = {place: self.judge(names[place], pod, shape) for place in sorted(alone)}
        for place, judgement in judgements.items():
            fits[place] = judgement.fits
        rivals = [other for other in others if other.scheduler != scheduler]
        lately = [
            one for other, came in list(self._lately.items()) if other != scheduler for one in list(came.values())
        ]
        visited = frozenset().union(*(one.nodes for one in lately))
        for place in np.flatnonzero(fits).tolist() if rivals or visited else ():
            refused = self._beside(names[place], pod, others, rivals, visited)
            if refused is not None:
                judgements[place], fits[place] = refused, False
        return Survey(names, told, fits, self._footings.known, judgements)

    def scored(self, names: Sequence[str], pod: Pod, shape: Shape, strategy: Strategy = Strategy.PACK) -> Scores:
        """
        Scores the placement that the kubelet would choose on each node; (N,), 0 where there is none or nobody knows.

        Who else may be on the way plays no part: the scheduler asks about nodes that were let through a moment ago.
        """
        scores = self._fleet.scores(pod, shape, names, strategy)
        here = self._where.get(pod.uid)
        if here is not None and here in names:
            scores[names.index(here)] = 0
        return scores

    def _beside(
        self,
        name: str,
        pod: Pod,
        others: Iterable[Answered],
        rivals: Iterable[Answered],
        visited: Container[str],
    ) -> Judgement | None:
        """
        Refuses a pod where pods of other schedulers, which its own cannot know of, may have taken what is left.

        Where there are any, what its own scheduler is about to bind there counts as well: those sums are without theirs.
        """
        if name not in visited and not any(name in rival.nodes for rival in rivals):
            return None
        possibly = (other.pod for other in others if name in other.nodes and other.pod.uid not in self._where)
        lacks = self._whole_of(name).lacks(pod, possibly)
        return None if lacks is None else Judgement(self.node(name), fits=False, overfull=lacks)

    def _whole_of(self, name: str) -> Whole:
        node, known = self.node(name), self._wholes.get(name)
        if known is None or known.node is not node:
            known = whole(node, known)
            if name in self._nodes:
                self._wholes[name] = known
        return known

    def expect(self, survey: Survey) -> None:
        """Takes note that the nodes that a survey let through may be asked about next, in the same order."""
        told, passed = survey.told, survey.passed
        if passed is survey.names:
            self._fleet.remember(told.lines, told.slots, told.members)
        else:
            self._fleet.remember("\n".join(passed), told.slots[survey.fits], told.members)

    def count_nodes(self) -> Mapping[str, int]:
        """Returns how many nodes are known how well."""
        found = Counter(node.knowledge for node in list(self._nodes.values()))
        return {str(knowledge): found[knowledge] for knowledge in Knowledge}

    def count_pods(self) -> Mapping[str, int]:
        """Returns how many pods are known how: in a report, bound since, assumed bound, let through."""
        found: Counter[str] = Counter(answered=len(self._answered))
        for node in list(self._nodes.values()):
            found.update(standings(node))
        return {standing: found[standing] for standing in ("reported", "pending", "assumed", "answered")}

    # --- news of nodes and reports

    def nodes_listed(self, nodes: Mapping[str, str]) -> None:
        """Takes these as all Node objects: name to uid."""
        with self._lock:
            for name in nodes.keys() | self._nodes.keys():
                self._change(
                    name, lambda node: news.listed(node, known=node.name in nodes, uid=nodes.get(node.name, ""))
                )

    def node_listed(self, name: str, *, known: bool, uid: str = "") -> None:
        """Takes note that a Node object exists, or is gone."""
        with self._lock:
            self._change(name, lambda node: news.listed(node, known=known, uid=uid))

    def reported(self, report: Report, now: float, age: float = 0.0, owner: str = "") -> tuple[Node, Node]:
        """
        Takes a node's report in; ``age`` and ``owner`` as in ``extender.inventory.news.reported``.

        Returns the node as it was known before and after.
        """
        with self._lock:
            before = self.node(report.node)
            self._change(report.node, lambda node: news.reported(node, report, now, age, owner))
            return before, self.node(report.node)

    def unreported(self, name: str, fault: str = NO_REPORT) -> None:
        """Takes note that a node has no report that can be used, and why."""
        with self._lock:
            self._change(name, lambda node: news.unreported(node, fault))

    def only_reports_of(self, names: Iterable[str]) -> None:
        """Takes note that no node but these has a report."""
        kept = set(names)
        with self._lock:
            for name in [name for name, node in self._nodes.items() if node.report is not None and name not in kept]:
                self._change(name, news.unreported)

    # --- news of pods

    def pods_observed(self, seen: Iterable[ObservedPod], now: float) -> list[Disappointment]:
        """Takes these as all pods that exist; returns those that their kubelets have refused since."""
        seen = list(seen)
        exist = {one.pod.uid for one in seen}
        with self._lock:
            for uid in [uid for uid in self._where if uid not in exist]:
                self._depart(uid, now)
            self._waiting = {one.pod.uid: one.pod for one in seen if not one.node}
            refused = [self._observe(one, now, after_silence=True) for one in seen]
            if not self._told:
                self._told = True
                for name in list(self._nodes):
                    self._change(name, news.told)
        return [one for one in refused if one is not None]

    def pod_observed(self, seen: ObservedPod, now: float) -> Disappointment | None:
        """Takes in a pod that is new or changed; returns it if its kubelet has just refused it."""
        with self._lock:
            return self._observe(seen, now)

    def pod_departed(self, uid: str, now: float) -> None:
        """Takes note that a pod was deleted."""
        with self._lock:
            self._depart(uid, now)

    # --- our own doing

    def turn(self) -> AbstractContextManager[object]:
        """
        Returns what a filter's question is asked in, up to the note of its answer.

        Without bindVerb that note is all that the next question knows of this one: of two schedulers that ask at the same
        moment one waits for the other, else both would be let through to the same place. With bindVerb nobody waits.
        """
        return self._turn if self.rules.assume is Assume.FILTER else nullcontext()

    def answered(self, pod: Pod, shape: Shape, let_through: Iterable[str], now: float, scheduler: str = "") -> None:
        """Notes where a pod was let through to, in place of an earlier note; nothing where bind tells it exactly."""
        if self.rules.assume is Assume.FILTER:
            with self._lock:
                others = tuple(one for one in self._answered if one.pod.uid != pod.uid)
                mine = Answered(pod, shape, frozenset(let_through), now + self.rules.answered_seconds, scheduler)
                self._answered = (*others, mine) if mine.nodes else others

    def assume(self, name: str, pod: Pod, shape: Shape, now: float, *, dry: bool = False) -> Judgement:
        """
        Judges a pod on a node once more and, if it fits, counts it as being there from now on: in one step.

        Here the node as a whole is looked at too: another scheduler may have bound a pod there since this one looked.
        In a ``dry`` run nothing is counted.
        """
        with self._lock:
            judgement = judge(self.node(name), pod, shape, self.rules)
            lacks = self._whole_of(name).lacks(pod) if judgement.fits else None
            if lacks is not None:
                judgement = replace(judgement, fits=False, overfull=lacks)
            if judgement.fits and not dry:
                self._change(name, lambda node: news.assumed(node, pod, shape, now + self.rules.assumed_seconds))
                self._where[pod.uid] = name
        return judgement

    def counts(self, name: str, uid: str, now: float) -> bool:
        """Whether a pod counts as being on a node already; where that is about to be given up it counts for longer."""
        with self._lock:
            held = self.node(name).held.get(uid)
            if held is None or held.over is not None:
                return False
            if held.until is not None and held.until - now < self.rules.assumed_seconds / 2:
                self._change(name, lambda node: news.renewed(node, uid, now + self.rules.assumed_seconds))
            return True

    def forget(self, name: str, uid: str) -> None:
        """Takes an assumed binding back, unless the API server has shown it by now."""
        with self._lock:
            held = self.node(name).held.get(uid)
            if held is not None and held.until is not None:
                self._change(name, lambda node: news.forgotten(node, uid))
                self._where.pop(uid, None)

    def tick(self, now: float) -> None:
        """Lets time pass: what was only assumed or possible is given up, silent exporters are noticed."""
        with self._lock:
            self._answered = tuple(one for one in self._answered if one.until > now)
            lately = (
                (scheduler, {uid: one for uid, one in came.items() if one.until > now})
                for scheduler, came in self._lately.items()
            )
            self._lately = {scheduler: came for scheduler, came in lately if came}
            since = now - self.rules.stale_seconds
            silence = {name for name, node in self._nodes.items() if (node.heard < since) != node.stale}
            for name in self._aging | silence:
                self._change(name, lambda node: news.aged(node, now, self.rules.stale_seconds))
        self.catch_up()

    def catch_up(self) -> None:
        """Makes of news what the next question would otherwise have to make of it."""
        self._fleet.refresh()

    def warm_up(self) -> None:
        """Works out once what the first question would have to wait for."""
        if not self._warm:
            self._warm = True
            self.catch_up()

    # --- under the lock

    def _change(self, name: str, change: Callable[[Node], Node]) -> None:
        before = self.node(name)
        after = change(before)
        if after is before:
            return
        if after.listed or after.report is not None or after.held or after.fault not in {"", NO_REPORT}:
            self._nodes[name] = after
        else:
            self._nodes.pop(name, None)
            self._wholes.pop(name, None)
        (self._aging.add if news.ages(after) else self._aging.discard)(name)
        self._fleet.note(name)

    def _entry(self, name: str) -> Entry | None:
        """What the fleet is to know of a node; called without the lock."""
        node = self._nodes.get(name)
        return None if node is None else entry(node, self.rules, self._footings.number(footing(node)))

    def _observe(self, seen: ObservedPod, now: float, *, after_silence: bool = False) -> Disappointment | None:
        uid = seen.pod.uid
        if not seen.node:
            self._waiting[uid] = seen.pod
            return None
        self._waiting.pop(uid, None)
        elsewhere = self._where.get(uid)
        self._where[uid] = seen.node
        before = self.node(seen.node)
        passed = any(one.pod.uid == uid and seen.node in one.nodes for one in self._answered)
        self._change(seen.node, lambda node: news.observed(node, seen, now, passed=passed, after_silence=after_silence))
        if elsewhere not in {None, seen.node}:
            self._change(elsewhere, lambda node: news.forgotten(node, uid))
        # Last, as questions take no lock: at no moment may the pod be neither on its way nor on its node.
        self._bound(seen, now)
        if not seen.refusal or uid in self._refused:
            return None
        self._refused.add(uid)
        held = before.held.get(uid)
        if (held is not None and held.over is not None) or (held is None and not self._told):
            return None
        return Disappointment(before, seen, passed=passed or (held is not None and held.passed))

    def _bound(self, seen: ObservedPod, now: float) -> None:
        """Takes note that a pod is not on its way any more, but where it was let through to."""
        uid = seen.pod.uid
        came = next((one for one in self._answered if one.pod.uid == uid), None)
        if came is not None:
            bound = replace(came, nodes=frozenset({seen.node}), until=now + LATELY_SECONDS)
            self._lately.setdefault(came.scheduler, {})[uid] = bound
            self._answered = tuple(one for one in self._answered if one.pod.uid != uid)

    def _depart(self, uid: str, now: float) -> None:
        self._waiting.pop(uid, None)
        self._refused.discard(uid)
        self._answered = tuple(one for one in self._answered if one.pod.uid != uid)
        name = self._where.pop(uid, None)
        if name is not None:
            for came in self._lately.values():
                came.pop(uid, None)
            self._change(name, lambda node: news.departed(node, uid, now))
