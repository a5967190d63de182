"""
Placement quality: how many pods of a trace find a place, by how nodes are ranked for them.

Pods come and go at random, from a seed, so that the cluster is nearly full. All rankings choose among the same nodes:
those on which the kubelet would admit the pod; the twin admits it where it is put. A pod that fits nowhere when it comes is
lost. The bound is of whoever knows the future and may split pods and zones at will: a linear program over what all
nodes have together.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import highspy
import numpy as np
from builders import configuration

from bench.figures import Figures
from bench.strategies import DEFAULT, OTHERS, RANKS, Question, Rank
from extender.columns.demand import Demand, demand
from extender.columns.kernel import Fate, admit
from extender.columns.law import Law, law_of
from extender.columns.standing import standing
from extender.columns.table import Table
from extender.kubelet import admission
from extender.kubelet.admission import Kubelet
from extender.model.configuration import (
    Scope,
    TopologyPolicy,
    Version,
)
from extender.model.machine import Core, Machine, Zone
from extender.model.pod import Container, Kind, Pod, QoS, Resources
from extender.model.state import NodeState
from extender.quantity import Format, of

GIB, MIB = 1 << 30, 1 << 20
LOAD = 0.95
"""Of the scarcer resource that pods would use if all found a place."""
LIFETIMES = 2.0
"""How long pods come and go, in mean lifetimes, after the cluster has been filled."""
MOMENTS = 100
"""At which the bound looks whether what runs fits into the cluster; fewer only make it larger."""

Budget = tuple[tuple[int, int], ...]
"""CPUs and MiB of each container."""


def _weighted(dice: random.Random, *choices: tuple[Budget, float]) -> Budget:
    return dice.choices([budget for budget, _ in choices], [weight for _, weight in choices])[0]


def _one(cpus: int, mebibytes: int) -> Budget:
    return ((cpus, mebibytes),)


def _powers(dice: random.Random) -> Budget:
    return _weighted(dice, *((_one(cpus, cpus * 3072), 16 / cpus) for cpus in (1, 2, 4, 8, 16)))


def _odd(dice: random.Random) -> Budget:
    cpus = dice.choice((3, 5, 7, 11, 13))
    return _one(cpus, cpus * dice.choice((2048, 3584, 4096)))


def _lean_and_heavy(dice: random.Random) -> Budget:
    return _weighted(
        dice, (_one(2, 16384), 4), (_one(4, 24576), 2), (_one(6, 6144), 3), (_one(12, 16384), 2), (_one(8, 49152), 1)
    )


def _containers(dice: random.Random) -> Budget:
    count = dice.choice((1, 2, 3))
    return tuple((dice.choice((1, 2, 3, 4)), dice.choice((2048, 4096, 8192))) for _ in range(count))


def _large_and_small(dice: random.Random) -> Budget:
    return _weighted(dice, (_one(2, 6144), 7), (_one(18, 40960), 3))


def _databases(dice: random.Random) -> Budget:
    return _weighted(
        dice,
        (((6, 12288), (2, 4096)), 3),
        (_one(2, 4096), 4),
        (_one(4, 8192), 2),
        (((12, 24576), (2, 4096), (1, 2048)), 1),
    )


def _zones_and_crumbs(dice: random.Random) -> Budget:
    return _weighted(dice, (_one(2, 6144), 6), (_one(4, 12288), 3), (_one(15, 40960), 1), (_one(22, 61440), 1))


MIXES: dict[str, Callable[[random.Random], Budget]] = {
    "powers of two": _powers,
    "odd sizes": _odd,
    "lean and heavy": _lean_and_heavy,
    "several containers": _containers,
    "large and small": _large_and_small,
    "databases": _databases,
    "zones and crumbs": _zones_and_crumbs,
}
KINDS = (
    (2, 12, 96, 2, TopologyPolicy.SINGLE_NUMA_NODE),
    (4, 8, 64, 1, TopologyPolicy.SINGLE_NUMA_NODE),
    (2, 16, 128, 1, TopologyPolicy.RESTRICTED),
)
"""Zones, cores and GiB of a zone, share of the nodes, policy."""


@dataclass(frozen=True)
class Arrival:
    """A pod of a trace."""

    at: float
    until: float
    budget: Budget


def kubelets(nodes: int) -> list[Kubelet]:
    """The nodes of the cluster."""
    found = []
    shares = sum(share for *_, share, _ in KINDS)
    for zones, cores, gibibytes, share, policy in KINDS:
        kubelet = admission.start(
            _machine(zones, cores, gibibytes), configuration(policy, Scope.POD, f"0,{zones * cores}"), Version.V1_37
        )
        found += [kubelet] * (nodes * share // shares)
    return found


def _machine(zones: int, cores: int, gibibytes: int) -> Machine:
    return Machine(
        zones=tuple(
            Zone(
                id=zone,
                memory=gibibytes * GIB,
                cores=tuple(Core((cpu, cpu + zones * cores), zone) for cpu in range(zone * cores, (zone + 1) * cores)),
                distances=tuple(10 if zone == other else 21 for other in range(zones)),
            )
            for zone in range(zones)
        ),
        cpus=2 * zones * cores,
        sockets=zones,
    )


def capacity(nodes: Sequence[Kubelet]) -> tuple[int, int]:
    """CPUs and MiB of all nodes together."""
    cpus = mebibytes = 0
    for kubelet in nodes:
        assert kubelet.cpu is not None
        assert kubelet.memory is not None
        cpus += sum(kubelet.cpu.available_by_zone(kubelet.cpu.initial()).values())
        mebibytes += sum(table["memory"] for table in kubelet.memory.allocatable.values()) // MIB
    return cpus, mebibytes


def trace(mix: str, seed: int, nodes: Sequence[Kubelet]) -> list[Arrival]:
    """Draws a trace: first as many pods at once as the load means, then one after the other as they end."""
    dice = random.Random(f"{mix}/{seed}")
    draw = MIXES[mix]
    cpus, mebibytes = capacity(nodes)
    sample = [draw(dice) for _ in range(2000)]
    use = max(
        sum(cpu for budget in sample for cpu, _ in budget) / cpus,
        sum(memory for budget in sample for _, memory in budget) / mebibytes,
    ) / len(sample)
    running = LOAD / use
    arrivals: list[Arrival] = []
    now = 0.0
    while now < LIFETIMES:
        now += 0.0 if len(arrivals) < int(running) else dice.expovariate(running)
        arrivals.append(Arrival(now, now + dice.expovariate(1.0), draw(dice)))
    return arrivals


class Cluster:
    """Nodes with a rank for each pod."""

    def __init__(self, nodes: Sequence[Kubelet], rank: Rank, seed: int) -> None:
        self._kubelets = nodes
        self._states: list[NodeState] = [admission.initial(kubelet) for kubelet in nodes]
        self._rank = rank
        self._dice = random.Random(seed)
        self._tables: dict[Law, tuple[Table, list[int]]] = {}
        self._rows: list[tuple[Table, int]] = []
        self._demands: dict[tuple[Law, Budget], Demand] = {}
        for number, kubelet in enumerate(nodes):
            law = law_of(kubelet)
            assert law is not None
            table, members = self._tables.setdefault(law, (Table(law), []))
            self._rows.append((table, table.add()))
            members.append(number)
            self._put(number, self._states[number])

    def place(self, uid: str, budget: Budget) -> int | None:
        """Puts a pod on the node that ranks highest, of equal ones on any; returns its number."""
        asked = _pod(uid, budget)
        best, chosen = -1, np.zeros(0, np.int64)
        for table, members in self._tables.values():
            rows = slice(0, table.rows)
            wanted = self._demand(table.law, budget, asked)
            outcome = admit(table, rows, standing(table, rows), wanted)
            assert not (outcome.fate == Fate.UNDECIDED).any()
            ranks = np.where(outcome.fate == Fate.ADMITTED, self._rank(Question(table, rows, wanted, outcome)), -1)
            top = int(ranks.max())
            if top >= best:
                here = np.array(members)[ranks == top]
                chosen = here if top > best else np.concatenate([chosen, here])
                best = top
        if best < 0:
            return None
        number = int(self._dice.choice(chosen))
        verdict, state = admission.admit(self._kubelets[number], self._states[number], asked)
        assert verdict.admit
        self._put(number, state)
        return number

    def _demand(self, law: Law, budget: Budget, asked: Pod) -> Demand:
        known = self._demands.get((law, budget))
        if known is None:
            known = demand(asked, law)
            assert known is not None
            self._demands[law, budget] = known
        return known

    def remove(self, number: int, uid: str) -> None:
        """Ends a pod."""
        self._put(number, admission.remove(self._kubelets[number], self._states[number], uid))

    def _put(self, number: int, state: NodeState) -> None:
        state = admission.settled(self._kubelets[number], state)
        self._states[number] = state
        table, row = self._rows[number]
        table.put(row, self._kubelets[number], state)

    def fill(self, budget: Budget) -> int:
        """Puts pods of one kind on until none fits any more; returns how many."""
        return sum(1 for _ in self._filling(budget))

    def _filling(self, budget: Budget) -> Iterator[int]:
        number = 0
        while self.place(f"fill-{number}", budget) is not None:
            yield number
            number += 1


def _pod(uid: str, budget: Budget) -> Pod:
    containers = []
    for number, (cpus, mebibytes) in enumerate(budget):
        amounts = {"cpu": of(cpus), "memory": of(mebibytes * MIB, Format.BINARY_SI)}
        containers.append(Container(f"c{number}", Kind.APP, Resources(amounts, amounts)))
    return Pod(uid, uid, tuple(containers), qos=QoS.GUARANTEED)


def run(mix: str, seed: int, name: str, count: int) -> tuple[int, int]:
    """Returns how many pods of a trace are placed, and how many of the mix's largest would still fit in the end."""
    nodes = kubelets(count)
    arrivals = trace(mix, seed, nodes)
    cluster = Cluster(nodes, RANKS[name], seed)
    ends: list[tuple[float, int, str]] = []
    placed = 0
    for number, arrival in enumerate(arrivals):
        while ends and ends[0][0] <= arrival.at:
            _, node, uid = heapq.heappop(ends)
            cluster.remove(node, uid)
        node_or_none = cluster.place(f"p{number}", arrival.budget)
        if node_or_none is not None:
            placed += 1
            heapq.heappush(ends, (arrival.until, node_or_none, f"p{number}"))
    largest = max((arrival.budget for arrival in arrivals), key=lambda budget: sum(cpus for cpus, _ in budget))
    return placed, cluster.fill(largest)


def bound(mix: str, seed: int, count: int) -> int:
    """At most so many pods of a trace can be placed, by anyone."""
    nodes = kubelets(count)
    arrivals = trace(mix, seed, nodes)
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    placed = [solver.addVariable(0, 1, obj=1) for _ in arrivals]
    cpus, mebibytes = capacity(nodes)
    for moment in np.linspace(0, LIFETIMES, MOMENTS):
        here = [(one, arrival.budget) for one, arrival in zip(placed, arrivals, strict=True)
                if arrival.at <= moment < arrival.until]  # fmt: skip
        solver.addConstr(sum(one * sum(cpu for cpu, _ in budget) for one, budget in here) <= cpus)
        solver.addConstr(sum(one * sum(memory for _, memory in budget) for one, budget in here) <= mebibytes)
    solver.maximize(sum(placed))
    return int(solver.getObjectiveValue() + 1e-6)


def measure(count: int, seeds: int, mixes: Sequence[str], workers: int) -> Figures:
    """Runs every ranking on every mix, or on those named."""
    rows = []
    mixes = mixes or tuple(MIXES)
    with ProcessPoolExecutor(workers) as pool:
        bounds = {mix: [pool.submit(bound, mix, seed, count) for seed in range(seeds)] for mix in mixes}
        runs = {
            (mix, name): [pool.submit(run, mix, seed, name, count) for seed in range(seeds)]
            for mix in mixes
            for name in RANKS
        }
        for mix in mixes:
            asked = sum(len(trace(mix, seed, kubelets(count))) for seed in range(seeds))
            found = {name: [one.result() for one in runs[mix, name]] for name in RANKS}
            placed = {name: sum(one for one, _ in results) for name, results in found.items()}
            holes = {name: sum(hole for _, hole in results) for name, results in found.items()}
            best = max(placed[name] for name in OTHERS)
            rows.append(
                {
                    "mix": mix,
                    "asked": asked,
                    "bound": sum(one.result() for one in bounds[mix]),
                    **placed,
                    f"{DEFAULT} to best other, %": 100 * placed[DEFAULT] / best,
                    "largest that still fit": holes[DEFAULT],
                    "of best other": max(holes[name] for name in OTHERS),
                }
            )
    return Figures("placement", f"Pods placed on {count} nodes, by ranking", rows)
