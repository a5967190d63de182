"""
The smallest change after which a kubelet admits a pod that it refuses now: looked for by trying.

Each suggestion was tried: the changed pod on the node as it is, or the pod on the changed node, is admitted. Of each
way of changing things the cheapest form is kept; cheap comes first, and what its owner can do alone before what
takes other people's pods or a restart of the kubelet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from extender.kubelet.requests import CPU, MEMORY, is_memory
from extender.model.answer import Overfull, Suggestion, Way
from extender.model.pod import Container, Pod, Resources
from extender.model.question import Asked
from extender.model.verdict import Admission, Cause, Refusal
from extender.quantity import NANO, ZERO
from extender.what_if.amounts import Dial, set_amount
from extender.what_if.defaults import aggregate
from extender.what_if.fit import judged
from extender.what_if.less import less
from extender.what_if.node_changes import emptied, gated, reconfigured
from extender.what_if.site import Site
from extender.what_if.trial import Trial
from extender.what_if.work import Progress, Work, each

SHARING = 1000
"""Costs begin here where it is not an amount that is given up; see also ``node_changes``."""


def suggestions(site: Site, asked: Asked, progress: Progress) -> Work[list[Suggestion]]:
    """
    Returns what makes a pod fit on a node that refuses it, the smallest change first.

    For a pod that fits without being pinned although pinning is possible, returns what would pin it.
    """
    if site.snapshot is None:
        return []
    yield progress
    verdict = judged(site, asked.pod)
    if verdict is None:
        return []
    if not isinstance(verdict, Admission):
        trial = Trial(site, site.snapshot, asked, verdict, progress)
        ways = _TO_FIT if isinstance(verdict, Refusal) else _TO_FIT_AS_A_WHOLE
    elif site.snapshot.kubelet.cpu is not None and not _pinned(verdict):
        trial = Trial(site, site.snapshot, asked, verdict, progress, _pinned)
        ways = _TO_BE_PINNED
    else:
        return []
    found: list[Suggestion] = []
    for way in ways:
        found += yield from way(trial)
    return sorted(found, key=lambda one: (one.cost, list(Way).index(one.way)))


def cheapest(sites: Sequence[Site], asked: Asked, most: int, what: str = "suggest") -> Work[list[Suggestion]]:
    """
    Returns for each way its cheapest suggestion on any of the ``most`` nodes that lack least.

    A pod that is admitted somewhere is left alone, unless it is pinned nowhere.
    """
    ranked = _most_promising(sites, asked.pod) if most else []
    best: dict[Way, Suggestion] = {}
    for progress, site in each(what, ranked[:most], min(most, len(ranked))):
        for one in (yield from suggestions(site, asked, progress)):
            if one.way not in best or one.cost < best[one.way].cost:
                best[one.way] = one
    return sorted(best.values(), key=lambda one: (one.cost, list(Way).index(one.way)))


def _most_promising(sites: Sequence[Site], pod: Pod) -> list[Site]:
    """The nodes that admit the pod without pinning it, or, where none admits it, those that lack least first."""
    admitting, refusing = [], []
    for site in sites:
        verdict = judged(site, pod)
        if isinstance(verdict, Admission):
            admitting.append((site, verdict))
        elif verdict is not None:
            refusing.append((_lack(verdict), site.name, site))
    if admitting:
        return [] if any(_pinned(verdict) for _, verdict in admitting) else [site for site, _ in admitting]
    return [site for _, _, site in sorted(refusing, key=lambda one: one[:2])]


def _lack(refusal: Refusal | Overfull) -> int:
    """How much of the scarcest resource is missing in the best zone, or on the node, in thousandths of the request."""
    if isinstance(refusal, Overfull):
        return (refusal.requested - refusal.left) * 1000 // refusal.requested
    wants = [(one.requested, max(one.available.values(), default=0)) for one in refusal.shortages]
    wants += [(refusal.requested or 0, refusal.available or 0)]
    return max(max(0, wanted - free) * 1000 // wanted if wanted else 0 for wanted, free in wants)


def _pinned(admission: Admission) -> bool:
    return bool(admission.exclusive) or admission.pod_cpus is not None


def rounded(trial: Trial) -> Work[list[Suggestion]]:
    """Makes CPUs a multiple of the threads of a core, bytes whole numbers."""
    refusal, pod = trial.refusal, trial.pod
    if refusal.cause is Cause.SMT_NOT_MULTIPLE:
        per_core, dial = refusal.detail["cpusPerCore"], Dial(CPU, refusal.container)
        pod = dial.turned(pod, -(-dial.read(pod) // per_core) * per_core)
    elif refusal.cause is Cause.AMOUNT_NOT_AN_INTEGER:
        pod = _whole_bytes(pod)
    else:
        return []
    return [trial.suggestion(Way.ROUND, pod)] if (yield from trial.fits(pod)) else []


def _whole_bytes(pod: Pod) -> Pod:
    for container in pod.containers:
        for name in filter(is_memory, container.resources.requests):
            dial = Dial(name, container.name)
            pod = dial.turned(pod, dial.read(pod))
    return pod


def roomier(trial: Trial) -> Work[list[Suggestion]]:
    """
    Leaves something of the budget to containers that share it, where the exclusive ones take all of it.

    The budget grows, or, where there is no room for that, the largest exclusive container gives way. A kubelet tells
    an empty pod shared pool apart from a lack of room only under policy none: so it is looked for, not waited for.
    """
    short = _used_up(trial.pod)
    for steps in (1, 2, 4, 64, 1024) if short else ():
        pod, smaller = trial.pod, trial.pod
        for dial, container in short:
            pod = dial.turned(pod, dial.read(trial.pod) + steps * dial.step)
            less_of = Dial(dial.resource, container)
            smaller = less_of.turned(smaller, max(dial.step, less_of.read(trial.pod) - steps * dial.step))
        for candidate in (pod, smaller):
            if (yield from trial.fits(candidate)):
                return [trial.suggestion(Way.ROOM, candidate)]
    return []


def _used_up(pod: Pod) -> list[tuple[Dial, str]]:
    """Amounts of the budget that containers use up while others ask for nothing, and the largest of the containers."""
    if pod.resources is None or all(one.resources.requests for one in pod.containers):
        return []
    inside = aggregate(pod, lambda resources: resources.requests)
    found = []
    for name, amount in pod.resources.requests.items():
        if name in inside and inside[name].nanos >= amount.nanos > 0:
            largest = max(pod.containers, key=lambda one: one.resources.requests.get(name, ZERO).nanos)
            found.append((Dial(name), largest.name))
    return found


def shared(trial: Trial) -> Work[list[Suggestion]]:
    """Takes a CPU limit away: the pod is burstable then and nothing of it is pinned."""
    pod = trial.pod
    if pod.resources is not None and CPU in pod.resources.limits:
        pod = replace(pod, qos=None, resources=_unlimited(pod.resources))
    else:
        limited = next((one.name for one in pod.containers if CPU in one.resources.limits), None)
        if limited is None:
            return []
        pod = _with_containers(pod, lambda one: _unlimited(one.resources) if one.name == limited else one.resources)
    return [trial.suggestion(Way.SHARE, pod, SHARING)] if (yield from trial.fits(pod)) else []


def _unlimited(resources: Resources) -> Resources:
    return Resources(resources.requests, {name: limit for name, limit in resources.limits.items() if name != CPU})


def guaranteed(trial: Trial) -> Work[list[Suggestion]]:
    """Makes CPUs whole numbers, and requests and limits equal: whatever of the two is needed."""
    pod = trial.pod
    budgets = [pod.resources] if pod.resources is not None else [one.resources for one in pod.containers]
    if not any(map(_is_meant_to_be_pinned, budgets)):
        return []
    equal = _with_resources(pod, _equal)
    candidates = _with_resources(pod, _whole), equal, _with_resources(equal, _whole)
    for candidate in candidates:
        if candidate != pod and (yield from trial.fits(candidate)):
            return [trial.suggestion(Way.GUARANTEE, candidate)]
    return []


def _is_meant_to_be_pinned(resources: Resources) -> bool:
    """Whether CPU and memory are limited to what is requested, as no one does who does not care."""
    return all(
        name in resources.limits and resources.limits[name] == resources.requests[name] for name in (CPU, MEMORY)
    )


def _with_resources(pod: Pod, change: Callable[[Resources], Resources]) -> Pod:
    """The pod with its budget changed, or, where it has none, all its containers."""
    if pod.resources is not None:
        return replace(pod, qos=None, resources=change(pod.resources))
    return _with_containers(pod, lambda one: change(one.resources))


def _with_containers(pod: Pod, change: Callable[[Container], Resources]) -> Pod:
    return replace(pod, qos=None, containers=tuple(replace(one, resources=change(one)) for one in pod.containers))


def _whole(resources: Resources) -> Resources:
    """CPUs rounded up to whole ones."""
    cpu = resources.requests.get(CPU)
    return resources if cpu is None else set_amount(resources, CPU, -(-cpu.nanos // NANO))


def _equal(resources: Resources) -> Resources:
    """Requests raised to the limits; where there is no limit, it is the request."""
    largest = {
        name: resources.limits.get(name, resources.requests.get(name))
        for name in (CPU, MEMORY)
        if name in resources.limits or name in resources.requests
    }
    both = {name: amount for name, amount in largest.items() if amount is not None}
    return Resources({**resources.requests, **both}, {**resources.limits, **both})


_TO_FIT: Sequence[Callable[[Trial], Work[list[Suggestion]]]] = (less, rounded, roomier, shared, emptied, reconfigured)
_TO_FIT_AS_A_WHOLE: Sequence[Callable[[Trial], Work[list[Suggestion]]]] = (less, emptied)
_TO_BE_PINNED: Sequence[Callable[[Trial], Work[list[Suggestion]]]] = (guaranteed, gated)
