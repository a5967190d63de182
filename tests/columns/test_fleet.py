"""The fleet answers as each node's twin does, whatever has changed in between."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent.parent / "kubelet"))  # the generator of the proof

from agreement import by_law
from builders import configuration, database, machine, pod

from extender.columns.answers import Answers
from extender.columns.fleet import ALONG, FEW, Entry, Fleet, Way
from extender.columns.kernel import Fate
from extender.columns.names import UNHEARD
from extender.columns.table import Ints
from extender.fleet import Shape, Snapshot, placement_score, shape_of
from extender.kubelet import admission
from extender.model.configuration import Version
from extender.model.pod import Pod
from extender.score import Strategy


class World:
    """What is known of each node, and a fleet that reads it."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.fleet = Fleet(self.entries.get)

    def put(self, name: str, snapshot: Snapshot, way: Way = Way.LAW) -> None:
        self.entries[name] = Entry(way, snapshot, label=len(name), about=name)
        self.fleet.note(name)

    def fill(self, *names: str, cpu: str = "4") -> None:
        """Has one more pod admitted to each of some nodes."""
        for name in names:
            snapshot = self.entries[name].snapshot
            assert snapshot is not None
            self.put(
                name,
                Snapshot(snapshot.kubelet, admission.admit(snapshot.kubelet, snapshot.state, pod("q", cpu=cpu))[1]),
            )

    def remove(self, name: str) -> None:
        del self.entries[name]
        self.fleet.note(name)


def snapshots(seed: str, mix: str) -> tuple[list[Snapshot], list[Pod]]:
    """Nodes of many laws, and pods to ask of them."""
    drawn = by_law(seed, 12, "1.37", mix).values()
    return (
        [Snapshot(kubelet, state) for nodes in drawn for kubelet, state in nodes.nodes],
        [one for nodes in drawn for one in nodes.pods],
    )


def told(world: World, asked: Pod, names: list[str], strategy: Strategy) -> list[tuple[bool, int]]:
    fates = world.fleet.ask(asked, shape_of(asked), names, strategy).fate.tolist()
    scores = world.fleet.scores(asked, shape_of(asked), names, strategy).tolist()
    return [(fate == Fate.ADMITTED, score) for fate, score in zip(fates, scores, strict=True)]


def twins(world: World, asked: Pod, names: list[str], strategy: Strategy) -> list[tuple[bool, int]]:
    found = []
    for name in names:
        snapshot = world.entries[name].snapshot
        assert snapshot is not None
        fit = snapshot.ask(asked)
        found.append((fit.admit, placement_score(snapshot, fit, strategy) if fit.admit else 0))
    return found


@pytest.mark.parametrize("mix", ["plain", "devices", "budgets"])
def test_known_questions_see_every_change(mix: str) -> None:
    """However nodes come, change, go and come again between questions, each answer is the twin's of that moment."""
    states, pods = snapshots("fleet", mix)
    dice, world = random.Random(mix), World()
    asked = dice.sample(pods, 4)
    for _ in range(60):
        for _ in range(dice.randrange(5)):
            name = f"n{dice.randrange(40)}"
            if name in world.entries and dice.random() < 0.3:
                world.remove(name)
            else:
                world.put(name, dice.choice(states))
        names = dice.sample(sorted(world.entries), dice.randrange(len(world.entries) + 1))
        one, strategy = dice.choice(asked), dice.choice(list(Strategy))

        assert twins(world, one, names, strategy) == told(world, one, names, strategy)


@pytest.mark.parametrize("mix", ["plain", "devices", "budgets"])
def test_where_there_is_room_for_a_crowd_every_order_is_admitted(mix: str) -> None:
    """Ample is a promise: whoever of the pod and its crowd comes first, the twin admits them all."""
    states, pods = snapshots("crowd", mix)
    dice, world = random.Random(mix), World()
    for number, snapshot in enumerate(dice.sample(states, min(60, len(states)))):
        world.put(f"n{number}", snapshot)
    names, found = list(world.entries), 0
    for _ in range(60):
        drawn = [replace(one, uid=f"uid-{place}") for place, one in enumerate(dice.sample(pods, 3))]
        crowd = [(one, shape_of(one)) for one in drawn[1:]]
        answer = world.fleet.ask(drawn[0], shape_of(drawn[0]), names, crowd=crowd)
        for place in np.flatnonzero(answer.ample).tolist():
            start = world.entries[names[place]].snapshot
            assert start is not None
            found += 1
            for order in permutations(drawn):
                snapshot = start
                for one in order:
                    fit = snapshot.ask(one)
                    assert fit.admit, (names[place], order, fit)
                    snapshot = Snapshot(snapshot.kubelet, fit.state)
    assert found > 20


def test_a_budget_counts_as_a_whole_in_a_crowd() -> None:
    """A budget of 8 whose containers are limited to 6 takes 8: two of them and 3 more are more than the 16 of a zone."""
    world, asked = world_of(1), pod("asked", cpu="3")
    budgets = [database("one"), database("two")]

    assert [[True], [False]] == [
        world.fleet.ask(asked, shape_of(asked), ["n0"], crowd=[(one, shape_of(one)) for one in crowd]).ample.tolist()
        for crowd in (budgets[:1], budgets)
    ]


def world_of(count: int) -> World:
    world = World()
    kubelet = admission.start(machine(), configuration(), Version.V1_37)
    for number in range(count):
        world.put(f"n{number}", Snapshot(kubelet, admission.initial(kubelet)))
    return world


def test_a_known_question_asks_about_changes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again, only what has changed is judged again: by columns, and by the twin where that is little."""
    world, asked = world_of(100), database("p")
    names = list(world.entries)
    assert 0 == world.fleet.ask(asked, shape_of(asked), names).twins
    judged = judged_by_columns(monkeypatch)

    def change(*changed: str) -> int:
        world.fill(*changed)
        return world.fleet.ask(asked, shape_of(asked), names).twins

    assert FEW == change(*names[:FEW])
    assert [] == judged
    assert 0 == change(*names[: FEW + 1])
    assert [FEW + 1] == judged
    assert 0 == change()
    assert [FEW + 1] == judged


def test_scores_are_of_the_nodes_as_they_were_let_through() -> None:
    """Who has just been let through is scored as the nodes were then; anybody else, and on other nodes, as they are."""
    world, asked = world_of(3), pod("p", cpu="16")
    names, shape = list(world.entries), shape_of(asked)

    def scores(one: Pod, *places: int) -> list[int]:
        return [int(score) for score in world.fleet.scores(one, shape, [names[place] for place in places])]

    told = world.fleet.ask(asked, shape, names)
    world.fleet.remember(told.lines, told.slots, told.members)
    then = scores(asked, 0, 1, 2)
    world.fill(names[0], cpu="16")

    assert [then[0]] * 3 == then
    assert then == scores(asked, 0, 1, 2)
    assert [0, then[0]] == scores(asked, 0, 1)
    assert [0, *then[1:]] == scores(pod("other", cpu="16"), 0, 1, 2)


def judged_by_columns(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many nodes columns have judged, each time from now on."""
    judged: list[int] = []
    real = Fleet._judge

    def counting(fleet: Fleet, answers: Answers, one: Pod, slots: Ints, strategy: Strategy) -> None:
        judged.append(len(slots))
        real(fleet, answers, one, slots, strategy)

    monkeypatch.setattr(Fleet, "_judge", counting)
    return judged


def test_what_has_changed_elsewhere_is_judged_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler that asks about a part of the nodes at a time has each change judged by columns, with all others."""
    world, asked = world_of(100), pod("p", cpu="16")
    names = list(world.entries)
    world.fleet.ask(asked, shape_of(asked), names)
    judged = judged_by_columns(monkeypatch)
    world.fill(*names[::10], cpu="16")
    parts = [world.fleet.ask(asked, shape_of(asked), names[start : start + 10]) for start in range(0, 100, 10)]

    assert [10] == judged
    assert [0] * 10 == [part.twins for part in parts]
    fates = np.concatenate([part.fate for part in parts]).tolist()
    snapshots = [entry.snapshot for entry in world.entries.values()]
    assert {Fate.ADMITTED, Fate.REFUSED} == set(fates)
    assert fates == [Fate.ADMITTED if one and one.ask(asked).admit else Fate.REFUSED for one in snapshots]


def test_only_some_are_judged_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new question about a part of a large fleet costs little more than that part."""
    world, asked = world_of(2 * ALONG), pod("p")
    judged = judged_by_columns(monkeypatch)
    world.fleet.ask(asked, shape_of(asked), list(world.entries)[-10:])

    assert [ALONG + 10] == judged


def test_who_is_not_judged_by_law_is_left_to_the_inventory() -> None:
    """Nodes that a rule decides, or that nobody has heard of, have no fate here."""
    world = world_of(1)
    for name, way in (("passes", Way.PASSES), ("refused", Way.REFUSED)):
        world.entries[name] = Entry(way, label=len(name))
        world.fleet.note(name)
    answer = world.fleet.ask(database("p"), shape_of(database("p")), ["n0", "passes", "refused", "nobody"])

    assert [Fate.ADMITTED, *[Fate.UNDECIDED] * 3] == answer.fate.tolist()
    assert [Way.LAW, Way.PASSES, Way.REFUSED] == answer.way[:3].tolist()
    assert UNHEARD == answer.slots[3]
    assert [2, 6, 7, 0] == answer.label.tolist()


def test_the_inventory_is_asked_once_about_a_node_in_doubt() -> None:
    """Only nodes in doubt that would admit the pod are looked at, once for each change of theirs."""
    looked_at: list[str] = []

    def doubt(entry: Entry, _pod: Pod, _shape: Shape) -> str | None:
        looked_at.append(str(entry.about))
        return "taken" if entry.about == "taken" else None

    world = world_of(1)
    world.fleet = Fleet(world.entries.get, doubt)
    snapshot = world.entries["n0"].snapshot
    assert snapshot is not None
    for name, way in (("n0", Way.LAW), ("safe", Way.DOUBT), ("taken", Way.DOUBT)):
        world.put(name, snapshot, way)
    names = list(world.entries)
    for _ in range(2):
        answer = world.fleet.ask(database("p"), shape_of(database("p")), names)

        assert [Fate.ADMITTED, Fate.ADMITTED, Fate.REFUSED] == answer.fate.tolist()
        assert "taken" == answer.reasons[answer.why[2]].because
    world.fleet.ask(pod("large", cpu="64"), shape_of(pod("large", cpu="64")), names)

    assert ["safe", "taken"] == looked_at


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many shapes are asked about, few questions are remembered."""
    monkeypatch.setattr("extender.columns.fleet.REMEMBERED_BYTES", 0)
    world = world_of(3)
    for cpus in range(1, 40):
        asked = pod("p", cpu=str(cpus))
        world.fleet.ask(asked, shape_of(asked), ["n0", "n1"])

    assert 16 == len(world.fleet._answers)
