"""
Asking for less: the largest smaller amounts with which a pod is admitted.

A kubelet's answer is not monotone in an amount (whole cores, groups of zones), so counts are tried one by one from
above; of bytes, what some group of zones has free is tried first, then fractions, and what is admitted is raised
again as far as it goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from extender import cpuset
from extender.kubelet.requests import CPU, MEMORY, is_memory
from extender.model.answer import Overfull, Suggestion, Way
from extender.model.pod import Pod
from extender.model.verdict import Refusal
from extender.quantity import NANO
from extender.what_if.amounts import Dial, cost
from extender.what_if.trial import Trial
from extender.what_if.work import Work

MOST_TRIALS = 256
"""Amounts of one kind that are tried; CPUs and devices of a zone are fewer."""
MOST_MASKS = 64
"""Groups of zones that are tried; on machines with more, single zones and the whole node."""
PARTS = 16
"""An amount is also tried in this many parts."""


def less(trial: Trial) -> Work[list[Suggestion]]:
    """Turns down one scarce amount, or, where one is not enough, several."""
    scarce = _scarce(trial)
    found = []
    for dial in scarce:
        smaller = yield from _one(trial, dial)
        if smaller is not None:
            found.append(trial.suggestion(Way.LESS, smaller))
    several = [*scarce, *_others(trial, scarce)]
    if not found and len(several) > 1:
        smaller = yield from _several(trial, several)
        if smaller is not None:
            found.append(trial.suggestion(Way.LESS, smaller))
    return [min(found, key=lambda one: (one.cost, len(one.edits)))] if found else []


def _scarce(trial: Trial) -> list[Dial]:
    """The amounts that the refusal speaks of, or CPUs and memory where it speaks of none."""
    if isinstance(trial.verdict, Overfull):
        return [Dial(trial.verdict.resource)]
    refusal = trial.refusal
    names = [shortage.resource for shortage in refusal.shortages if shortage.requested]
    names += [refusal.resource] if refusal.resource and refusal.resource not in names else []
    found = [Dial(name, refusal.container) for name in names or (CPU, MEMORY)]
    return [dial for dial in found if dial.read(trial.pod) > 0]


def _others(trial: Trial, scarce: Sequence[Dial]) -> list[Dial]:
    """The amounts that nothing is said of because admission ended before they were looked at."""
    names = {dial.resource for dial in scarce}
    container = trial.refusal.container if isinstance(trial.verdict, Refusal) else None
    rest = [Dial(name, container) for name in (CPU, MEMORY) if name not in names]
    return [dial for dial in rest if dial.read(trial.pod) > 0]


def _one(trial: Trial, dial: Dial) -> Work[Pod | None]:
    """The largest smaller amount that is admitted, all others as they are."""
    present = dial.read(trial.pod)
    for amount in _amounts(trial, dial, present):
        smaller = dial.turned(trial.pod, amount)
        if (yield from trial.fits(smaller)):
            return (yield from _raised(trial, smaller, dial, present))
    return None


def _amounts(trial: Trial, dial: Dial, present: int) -> Iterator[int]:
    """Amounts worth trying, descending."""
    free = [room.free.get(dial.resource, 0) for room in trial.snapshot.rooms]
    if isinstance(trial.verdict, Overfull):
        free = [trial.verdict.left // NANO]
    if not is_memory(dial.resource):
        most = min(present - 1, sum(free))
        yield from range(most, max(0, most - MOST_TRIALS), -1)
        return
    fractions = (present * part // PARTS for part in range(1, PARTS))
    steps = {amount // dial.step * dial.step for amount in (*_sums(free), *fractions)}
    yield from sorted((amount for amount in steps if 0 < amount < present), reverse=True)


def _raised(trial: Trial, pod: Pod, dial: Dial, below: int) -> Work[Pod]:
    """Turns an amount that is admitted up again, to one of which the next larger tried is not."""
    low, high, best = dial.read(pod) // dial.step, -(-below // dial.step), pod
    while high - low > 1:
        middle = (low + high) // 2
        larger = dial.turned(pod, middle * dial.step)
        if (yield from trial.fits(larger)):
            best, low = larger, middle
        else:
            high = middle
    return best


def _several(trial: Trial, scarce: Sequence[Dial]) -> Work[Pod | None]:
    """All scarce amounts as far down as some group of zones demands, or in equal parts; the form that costs least."""
    candidates = [*_down_to_free(trial, scarce), *_in_parts(trial.pod, scarce)]
    for pod in sorted(candidates, key=lambda one: cost(trial.pod, one)):
        if not (yield from trial.fits(pod)):
            continue
        best = pod
        for dial in scarce:
            best = yield from _raised(trial, best, dial, dial.read(trial.pod) + dial.step)
        return best
    return None


def _down_to_free(trial: Trial, scarce: Sequence[Dial]) -> Iterator[Pod]:
    rooms = trial.snapshot.rooms
    for places in _groups(len(rooms)):
        pod = trial.pod
        for dial in scarce:
            free = sum(rooms[place].free.get(dial.resource, 0) for place in places) // dial.step * dial.step
            if 0 < free < dial.read(pod):
                pod = dial.turned(pod, free)
        yield pod


def _in_parts(pod: Pod, scarce: Sequence[Dial]) -> Iterator[Pod]:
    for part in range(PARTS - 1, 0, -1):
        smaller = pod
        for dial in scarce:
            amount = dial.read(pod) * part // PARTS // dial.step * dial.step
            smaller = dial.turned(smaller, max(dial.step, amount))
        yield smaller


def _sums(amounts: Sequence[int]) -> set[int]:
    """What groups of zones have together."""
    return {sum(amounts[place] for place in places) for places in _groups(len(amounts))}


def _groups(count: int) -> Iterable[Sequence[int]]:
    """Groups of zones by place, the narrowest first; of many zones single ones and all together."""
    if 2**count - 1 > MOST_MASKS:
        return [*((place,) for place in range(count)), tuple(range(count))]
    return [tuple(cpuset.members(mask)) for mask in sorted(range(1, 2**count), key=int.bit_count)]
