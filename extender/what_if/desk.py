"""
Questions in, answers out: which of the computations a question needs, and on which nodes.

The command line and the HTTP interface both ask here, so their figures are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from extender.model.answer import Answer, Finding, PodAnswer, PodCount
from extender.model.pod import Pod
from extender.model.question import Asked, Question
from extender.what_if.amounts import Dial
from extender.what_if.capacity import capacities
from extender.what_if.change import Changed, changed
from extender.what_if.defaults import InvalidPodError, as_stored
from extender.what_if.fit import findings
from extender.what_if.site import Site, chosen
from extender.what_if.smallest import cheapest
from extender.what_if.together import placed
from extender.what_if.work import Work


@dataclass(frozen=True, slots=True)
class Clusters:
    """The nodes in question, today and after the change."""

    today: Sequence[Site]
    then: Sequence[Site] | None
    """None where no change was asked about."""
    change: Changed

    @property
    def latest(self) -> Sequence[Site]:
        """The nodes that count: after the change, where there is one."""
        return self.today if self.then is None else self.then


def stored(question: Question, where: str = "") -> Question:
    """
    Returns the question about the pods that kubelets would get: with the amounts that are asked about, and what the
    API server would add.

    Args:
        question: as read.
        where: begins what is said of a pod, a file's name perhaps.

    Raises:
        InvalidPodError: an API server would not take one of the pods; one sentence.
    """
    return replace(question, asked=tuple(_stored(asked, question.amounts, where) for asked in question.asked))


def _stored(asked: Asked, amounts: Mapping[str, int], where: str) -> Asked:
    try:
        pod = as_stored(asked.pod)
        for resource, amount in amounts.items():
            pod = Dial(resource).turned(pod, amount)
        pod = as_stored(pod) if amounts else pod
        names = {name for one in pod.containers for name in one.resources.requests} | {"cpu", "memory"}
        totals = {name: Dial(name).read(pod) for name in sorted(names)}
        return replace(asked, pod=pod, amounts={name: total for name, total in totals.items() if total})
    except InvalidPodError as error:
        raise InvalidPodError(f"{where}{asked.kind} {asked.pod.name}: {error}") from None


def clusters(sites: Sequence[Site], question: Question) -> Work[Clusters]:
    """
    Returns the nodes in question, today and after the change.

    Raises:
        NoSuchNodeError, ImpossibleChangeError: the question does not suit the cluster; one sentence.
    """
    if not question.change:
        return Clusters(chosen(sites, question.nodes), None, Changed(tuple(sites)))
    after = yield from changed(sites, question.change)
    every = {site.name: site for site in (*sites, *after.sites)}
    names = {site.name for site in chosen(list(every.values()), question.nodes)}
    today = [site for site in sites if site.name in names]
    return Clusters(today, [site for site in after.sites if site.name in names], after)


def fits(among: Clusters, question: Question) -> Work[Answer]:
    """Answers whether pods fit: each for itself, or all together."""
    answer, moved = yield from _after(among, question)
    if question.together:
        names = {site.name for site in among.latest}
        free = [site for site in moved if site.name in names]
        places, _ = yield from placed(free, [pod for asked in question.asked for pod in copies(asked)])
        return replace(answer, together=tuple(places))
    pods = []
    for asked in question.asked:
        pods.append((yield from _about(asked, among, question.suggest)))  # noqa: PERF401 - a comprehension cannot yield
    return replace(answer, pods=tuple(pods))


def counts(among: Clusters, question: Question) -> Work[Answer]:
    """Answers how many copies of each pod fit, one after the other."""
    answer, _ = yield from _after(among, question)
    counted = []
    for asked in question.asked:
        today = yield from capacities(among.today, asked.pod, question.most, "count")
        then = None
        if among.then is not None:
            then = tuple((yield from capacities(among.then, asked.pod, question.most, "count after the change")))
        counted.append(PodCount(asked, tuple(today), then))
    return replace(answer, counts=tuple(counted))


def _after(among: Clusters, question: Question) -> Work[tuple[Answer, Sequence[Site]]]:
    """What the change alone does, and the nodes once the displaced pods have found a new place."""
    change = among.change
    displaced, moved = yield from placed(change.sites, [one.pod for one in change.displaced], "move")
    return Answer(lost=change.lost, displaced=tuple(displaced), changed=bool(question.change)), moved


def copies(asked: Asked) -> list[Pod]:
    """Returns the pods that a workload makes."""
    if asked.replicas == 1:
        return [asked.pod]
    return [
        replace(asked.pod, uid=f"{asked.pod.uid}-{number}", name=f"{asked.pod.name}-{number}")
        for number in range(asked.replicas)
    ]


def _about(asked: Asked, among: Clusters, suggest: int) -> Work[PodAnswer]:
    today = yield from findings(among.today, asked.pod)
    then: tuple[Finding, ...] | None = None
    if among.then is not None:
        then = tuple((yield from findings(among.then, asked.pod, "fit after the change")))
    answer = PodAnswer(asked, tuple(today), then)
    suggestions = yield from cheapest(among.latest, asked, suggest)
    return replace(answer, suggestions=tuple(suggestions))
