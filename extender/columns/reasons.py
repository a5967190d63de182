"""
Why nodes refuse a pod: one reason for all nodes to which the same applies, with the amounts asked for and no figures.

The figures of a node are for its twin to tell, to whoever wants to read them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from extender.columns.answers import NO_REASON, Answers, Why
from extender.columns.demand import POD, Ask, Demand
from extender.columns.kernel import CAUSES, Fate, Outcome
from extender.columns.standing import Rows
from extender.columns.table import Ints, Table
from extender.fleet import Fit
from extender.kubelet.requests import CPU, MEMORY
from extender.model.configuration import KubeletConfiguration, TopologyPolicy
from extender.model.pod import Pod
from extender.model.verdict import Cause, Reason, Refusal, Shortage
from extender.wire.explanation import scarce

_REASONS = {
    Cause.NO_ALIGNMENT: Reason.TOPOLOGY_AFFINITY,
    Cause.SMT_NOT_MULTIPLE: Reason.SMT_ALIGNMENT,
    Cause.SMT_NOT_ENOUGH: Reason.SMT_ALIGNMENT,
}
"""Of the causes that columns find; all others are unexpected to the kubelet."""
_OF_CPUS = {Cause.SMT_NOT_MULTIPLE, Cause.SMT_NOT_ENOUGH, Cause.NOT_ENOUGH_CPUS}
_OF_DEVICES = {Cause.DEVICE_NONE_HEALTHY, Cause.DEVICE_NOT_ENOUGH}
_MOST_SCARCE = 16
"""Resources of one request that are told apart."""


def reasons_of(
    answers: Answers,
    table: Table,
    rows: Rows,
    outcome: Outcome,
    asked: Demand,
    pod: Pod,
    configuration: KubeletConfiguration,
) -> NDArray[np.int16]:
    """Returns the place of each row's reason in the answers; ``NO_REASON`` where it is not refused."""
    places = np.full(len(outcome.fate), NO_REASON, np.int16)
    refused = np.flatnonzero(outcome.fate == Fate.REFUSED)
    if not len(refused):
        return places
    found = _found(table, rows, outcome, asked, refused)
    codes, inverse = np.unique(found, axis=1, return_inverse=True)
    known = [
        answers.place((table.law, *code), _why(table, code, asked, pod, configuration)) for code in codes.T.tolist()
    ]
    places[refused] = np.array(known, np.int16)[inverse.reshape(-1)]
    return places


def why_of(answers: Answers, fit: Fit, configuration: KubeletConfiguration) -> int:
    """Returns the place of the twin's reason in the answers."""
    if not isinstance(fit.verdict, Refusal):
        return answers.place(fit.crash, Why(None, configuration, crash=fit.crash))
    short = tuple(one.resource for one in scarce(fit.verdict.shortages, configuration))
    asked = tuple(Shortage(one.resource, one.requested, {}) for one in fit.verdict.shortages)
    refusal = replace(fit.verdict, available=None, detail={}, shortages=asked)
    wants = tuple((one.resource, one.requested) for one in asked)
    key = (
        configuration.topology_policy,
        configuration.topology_scope,
        refusal.cause,
        refusal.container,
        refusal.resource,
        refusal.requested,
        wants,
        short,
    )
    return answers.place(key, Why(refusal, configuration, short))


def _found(table: Table, rows: Rows, outcome: Outcome, asked: Demand, refused: Ints) -> Ints:
    """(5, R) cause, stage, which device, and bits for the resources merged and the scarce ones, of refused rows."""
    cause = outcome.cause[refused].astype(np.int64)
    stage = outcome.stage[refused].astype(np.int64)
    merged, short = np.zeros(len(refused), np.int64), np.zeros(len(refused), np.int64)
    unaligned = cause == CAUSES.index(Cause.NO_ALIGNMENT)
    for place in np.unique(stage[unaligned]).tolist():
        ask = _ask(asked, place)
        here = np.flatnonzero(unaligned & (stage == place))
        merged[here], short[here] = _short(table, rows, outcome, ask, refused[here])
    return np.stack([cause, stage, outcome.which[refused].astype(np.int64), merged, short])


def _ask(asked: Demand, stage: int) -> Ask:
    if stage == POD and asked.whole is not None:
        return asked.whole
    return next(step for step in asked.steps if step.stage == stage)


def _resources(table: Table, ask: Ask) -> list[tuple[str, int]]:
    """What took part in the merge."""
    devices = [(resource, amount) for resource, amount in ask.devices if resource in table.devices]
    return [*([(CPU, ask.cpus)] if ask.cpus else []), *ask.memory, *devices][:_MOST_SCARCE]


def _short(table: Table, rows: Rows, outcome: Outcome, ask: Ask, places: Ints) -> tuple[Ints, Ints]:
    """
    A bit for each resource that took part, and for each of which no zone has enough.

    Where the policy allows several zones, all of them count together; where no resource is short alone, all are.
    """
    reach = np.maximum if table.law.policy is TopologyPolicy.SINGLE_NUMA_NODE else np.add
    left = outcome.standing
    bits = np.zeros(len(places), np.int64)
    every = np.zeros(len(places), np.int64)
    for number, (resource, amount) in enumerate(_resources(table, ask)):
        there = np.ones(len(places), np.bool_)
        if resource == CPU:
            free = left.cpu
        elif resource in left.memory:
            free = left.memory[resource] - left.reusable.get(resource, 0)
        else:
            free = left.devices[resource].free
            there = table.devices[resource].present[rows][places]
        lacking = there & (reach.reduce(free[:, places]) < amount)
        bits |= lacking.astype(np.int64) << number
        every |= there.astype(np.int64) << number
    return every, np.where(bits == 0, every, bits)


def _why(table: Table, code: list[int], asked: Demand, pod: Pod, configuration: KubeletConfiguration) -> Why:
    number, stage, which, merged, short = code
    cause, ask = CAUSES[number], _ask(asked, stage)
    container = None if stage == POD else pod.containers[stage].name
    reason = _REASONS.get(cause, Reason.UNEXPECTED)
    if cause is Cause.NO_ALIGNMENT:
        wants = list(enumerate(_resources(table, ask)))
        shortages = tuple(Shortage(resource, amount, {}) for place, (resource, amount) in wants if merged >> place & 1)
        lacking = tuple(resource for place, (resource, _) in wants if short >> place & 1)
        return Why(Refusal(reason, cause, container, shortages=shortages), configuration, lacking)
    if cause in _OF_CPUS:
        resource, amount = CPU, ask.cpus
    elif cause in _OF_DEVICES:
        resource, amount = ask.devices[which]
    else:
        amounts = dict(ask.memory)
        resource = MEMORY if MEMORY in amounts or not amounts else next(iter(amounts))
        amount = amounts.get(resource, 0)
    return Why(Refusal(reason, cause, container, resource, amount), configuration)
