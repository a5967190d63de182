"""Scores of the placements that columns know: the formula of ``extender.score`` on what an admission has taken."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from extender.columns.answers import NO_SCORE
from extender.columns.demand import Demand
from extender.columns.kernel import Fate, Outcome
from extender.columns.standing import Rows
from extender.columns.table import Bools, Table
from extender.score import KIB, Strategy, Take, scores


def worth(table: Table, rows: Rows, outcome: Outcome, asked: Demand, strategy: Strategy) -> NDArray[np.int8]:
    """
    Scores each row's placement.

    Returns:
        (N,) 0 to 10; ``NO_SCORE`` where the pod is not admitted, or where only the twin knows its zones.
    """
    left, steps = outcome.standing, asked.steps
    known: Bools = outcome.fate == Fate.ADMITTED
    alive: Bools | bool = True
    cpu = None
    if any(step.cpus for step in steps):
        free = table.cpu[:, rows]
        cpu = Take(table.cpu_able[:, rows], free, free - left.cpu)
        known &= left.cpu_sure
        taken = np.add.reduce(free) - left.cpu_sum
        alive = (table.shared[rows] > taken) | (taken == 0)
    memory = []
    for type_ in sorted({type_ for step in steps for type_, _ in step.memory}):
        free = table.memory[type_][:, rows]
        taken = (free - left.memory[type_]) >> KIB
        memory.append(Take(table.allocatable[type_][:, rows] >> KIB, free >> KIB, taken))
        known &= left.memory_sure
    if cpu is None and not memory:
        return np.where(known, np.int8(0), np.int8(NO_SCORE))
    scored = scores(strategy, cpu, memory, table.distances, alive)
    return np.where(known, scored, NO_SCORE).astype(np.int8)
