"""
Holds the columns against the twin: ``PYTHONPATH=tests/kubelet python tests/columns/agreement.py --count 400``.

Nodes come from the generator of the proof: the states that its cases run through, put together by law into tables of
many rows. Pods of those cases are then judged on all rows at once and by the twin on each. What the columns decide
must be the twin's verdict, down to the cause and the container of a refusal, and what they say is left of a node must
be what its twin has left.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import click
import numpy as np
from numpy.typing import NDArray
from proof.generate import cases
from proof.themes import MIXES

from extender.columns import kernel
from extender.columns.answers import NO_SCORE, Answers
from extender.columns.demand import POD, Demand, demand
from extender.columns.kernel import CAUSES, Fate, Outcome
from extender.columns.law import Law, law_of
from extender.columns.reasons import reasons_of, why_of
from extender.columns.standing import standing
from extender.columns.table import Table
from extender.columns.worth import worth
from extender.fleet import Fit, Snapshot, placement_score
from extender.kubelet import admission
from extender.kubelet.admission import Kubelet, KubeletCrash, StartError
from extender.kubelet.device_manager import available_by_zone, available_ids
from extender.model.pod import Pod
from extender.model.state import NodeState
from extender.model.verdict import Admission, Refusal
from extender.score import Strategy
from extender.wire.fields import WireError
from extender.wire.replay import Case, Op, case_from_json


@dataclass
class Nodes:
    """Nodes of one law and pods to judge on them."""

    nodes: list[tuple[Kubelet, NodeState]] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)


def by_law(seed: str, count: int, version: str, mix: str) -> dict[Law | None, Nodes]:
    """Draws cases and returns the nodes that they run through, by law."""
    drawn: dict[Law | None, Nodes] = {}
    for json in cases(seed, count, version, MIXES[mix]):
        try:
            case = case_from_json(json)
            kubelet = admission.start(case.machine, case.configuration, case.version)
        except (WireError, StartError):
            continue
        nodes = drawn.setdefault(law_of(kubelet), Nodes())
        for state in _states(kubelet, case):
            nodes.nodes.append((kubelet, admission.settled(kubelet, state)))
        nodes.pods += [replace(step.pod, uid="new") for step in case.steps if step.pod is not None]
    return drawn


def _states(kubelet: Kubelet, case: Case) -> Iterator[NodeState]:
    state = admission.initial(kubelet, case.devices)
    yield state
    for step in case.steps:
        try:
            if step.op is Op.ADMIT:
                assert step.pod is not None
                _, state = admission.admit(kubelet, state, step.pod)
            else:
                change = admission.remove if step.op is Op.REMOVE else admission.started
                state = change(kubelet, state, step.uid)
        except KubeletCrash:
            return
        yield state


def differences(law: Law, nodes: Nodes, dice: random.Random, pods: int, rows: int) -> Iterator[str | Counter[str]]:
    """Judges some pods on some nodes of a law in both ways; yields what differs, and counts."""
    chosen = dice.sample(nodes.nodes, min(rows, len(nodes.nodes)))
    table = Table(law)
    for kubelet, state in chosen:
        table.put(table.add(), kubelet, state)
    for pod in dice.sample(nodes.pods, min(pods, len(nodes.pods))):
        asked = demand(pod, law)
        if asked is None:
            yield Counter({"no demand": len(chosen)})
            continue
        every = slice(0, table.rows)
        outcome = kernel.admit(table, every, standing(table, every, asked.resources), asked)
        answers = Answers.of_none(0)
        strategy = dice.choice(list(Strategy))
        judged = Judged(
            outcome,
            asked,
            pod,
            answers,
            reasons_of(answers, table, every, outcome, asked, pod, chosen[0][0].configuration),
            strategy,
            worth(table, every, outcome, asked, strategy),
        )
        yield Counter(Fate(fate).name.lower() for fate in outcome.fate)
        for row, (kubelet, state) in enumerate(chosen):
            if outcome.fate[row] != Fate.UNDECIDED:
                wrong = _difference(judged, row, kubelet, state)
                if wrong:
                    yield f"{wrong}\n  {law}\n  {pod}\n  {asked}\n  {state}"


@dataclass
class Judged:
    """What the columns say of a pod on all rows."""

    outcome: Outcome
    asked: Demand
    pod: Pod
    answers: Answers
    why: NDArray[np.int16]
    strategy: Strategy
    score: NDArray[np.int8]


def _difference(judged: Judged, row: int, kubelet: Kubelet, state: NodeState) -> str:
    snapshot, outcome = Snapshot(kubelet, state), judged.outcome
    fit = snapshot.ask(judged.pod)
    if fit.verdict is None:
        return "decided, but the kubelet crashes"
    if outcome.fate[row] == Fate.ADMITTED:
        if not isinstance(fit.verdict, Admission):
            return f"admitted, but the twin says {fit.verdict}"
        score = placement_score(snapshot, fit, judged.strategy)
        if judged.score[row] not in {NO_SCORE, score}:
            return f"score {judged.score[row]} for {judged.strategy}, but the twin's is {score}"
        return _difference_left(outcome, judged.asked, row, kubelet, admission.settled(kubelet, fit.state))
    cause, stage = CAUSES[outcome.cause[row]], int(outcome.stage[row])
    container = None if stage == POD else judged.pod.containers[stage].name
    if not isinstance(fit.verdict, Refusal):
        return f"refused for {cause} at {container}, but the twin admits"
    if (fit.verdict.cause, fit.verdict.container) != (cause, container):
        return f"refused for {cause} at {container}, but the twin says {fit.verdict}"
    return _difference_why(judged, row, kubelet, fit)


def _difference_why(judged: Judged, row: int, kubelet: Kubelet, fit: Fit) -> str:
    """The reason without figures must be the twin's."""
    ours = judged.answers.reasons[judged.why[row]]
    twins = Answers.of_none(0)
    why_of(twins, fit, kubelet.configuration)
    (theirs,) = twins.reasons
    assert ours.refusal is not None
    assert theirs.refusal is not None
    pairs: list[tuple[object, object]] = [
        (ours.refusal.reason, theirs.refusal.reason),
        (ours.refusal.resource, theirs.refusal.resource),
    ]
    pairs.append((sorted(map(str, ours.refusal.shortages)), sorted(map(str, theirs.refusal.shortages))))
    if not judged.asked.reuses_cpus:
        pairs.append((sorted(ours.scarce), sorted(theirs.scarce)))
    return "; ".join(f"reason {mine}, but the twin's is {twin}" for mine, twin in pairs if mine != twin)


def _difference_left(outcome: Outcome, asked: Demand, row: int, kubelet: Kubelet, state: NodeState) -> str:
    """What the columns are sure of after an admission must be so."""
    left, zones = outcome.standing, kubelet.machine.zones
    ids = sorted(zone.id for zone in zones)
    pairs: dict[str, tuple[object, object]] = {}
    if kubelet.cpu and not asked.reuses_cpus:
        free = kubelet.cpu.available_by_zone(state.cpu)
        pairs["cpu sum"] = sum(free.values()), left.cpu_sum[row]
        if left.cpu_sure[row]:
            pairs["cpu"] = [free.get(id_, 0) for id_ in ids], left.cpu[:, row].tolist()
        if kubelet.cpu.options.full_pcpus_only and left.whole_sure[row]:
            pairs["whole"] = (state.cpu.default & ~kubelet.cpu.reserved_physical).bit_count(), left.whole[row]
    if kubelet.memory and left.memory_sure[row]:
        for type_, memory in left.memory.items():
            booked = left.reusable[type_][:, row] if type_ in left.reusable else 0
            pairs[type_] = [state.memory.zones[id_].free[type_] for id_ in ids], (memory[:, row] - booked).tolist()
        pairs["used"] = [state.memory.zones[id_].assignments > 0 for id_ in ids], left.used[:, row].tolist()
    for resource, devices in left.devices.items():
        if resource in state.device.reported:
            pairs[f"{resource} available"] = len(available_ids(state.device, resource)), devices.available[row]
            if devices.sure[row]:
                near = available_by_zone(state.device, resource, ids)
                pairs[resource] = [near[id_] for id_ in ids], devices.free[:, row].tolist()
    return "; ".join(f"{what}: twin {twin}, columns {ours}" for what, (twin, ours) in pairs.items() if twin != ours)


@click.command()
@click.option("--seed", default="0", show_default=True)
@click.option("--count", default=400, show_default=True, help="Cases to draw for each mix and version.")
@click.option("--version", "versions", multiple=True, default=("1.37", "1.36", "1.35"), show_default=True)
@click.option("--mix", "mixes", multiple=True, default=tuple(MIXES), show_default=True)
@click.option("--pods", default=60, show_default=True, help="Pods to judge for each law, at most.")
@click.option("--rows", default=60, show_default=True, help="Nodes to judge them on, at most.")
def main(seed: str, count: int, versions: tuple[str, ...], mixes: tuple[str, ...], pods: int, rows: int) -> None:
    """Hold the columns against the twin; the exit status is 1 if they differ."""
    total: Counter[str] = Counter()
    different = 0
    for mix in mixes:
        for version in versions:
            dice = random.Random(f"{seed}/{mix}/{version}")
            found: Counter[str] = Counter()
            for law, nodes in by_law(seed, count, version, mix).items():
                if law is None:
                    found["no law"] += len(nodes.nodes)
                    continue
                for one in differences(law, nodes, dice, pods, rows):
                    if isinstance(one, Counter):
                        found.update(one)
                    else:
                        different += 1
                        print(one)
            print(mix, version, dict(sorted(found.items())), flush=True)
            total.update(found)
    print("all", dict(sorted(total.items())), "different", different)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
