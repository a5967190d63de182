"""
All nodes as columns, and one pod asked of many of them: a known question costs what has changed since.

Whoever keeps the inventory tells which nodes have changed, at any time and from any thread; what that means is read
when the next question comes. Questions take turns; what they remember is bounded.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from extender.columns.answers import BYTES_A_NODE, NO_REASON, NO_SCORE, Answers, Why
from extender.columns.crowd import ample
from extender.columns.demand import Demand, demand
from extender.columns.kernel import Fate, admit
from extender.columns.law import Law, law_of
from extender.columns.names import UNHEARD, Names
from extender.columns.reasons import reasons_of, why_of
from extender.columns.standing import Rows, standing
from extender.columns.table import Bools, Ints, Scores, Table
from extender.columns.worth import worth
from extender.fleet import Shape, Snapshot, placement_score
from extender.kubelet.admission import Kubelet
from extender.model.pod import Pod
from extender.score import Strategy

REMEMBERED_BYTES = 32 << 20
"""What answers may take; with 5,000 nodes that is about 500 questions."""
FEWEST_QUESTIONS = 16
FEW = 2
"""Nodes that the twin has judged before columns have begun."""
ALONG = 256
"""Nodes that columns judge in hardly more time than one, so that others are judged along with those asked about."""
LISTS = 4
"""Lists of names that are remembered: one for each pod under way."""


class Way(IntEnum):
    """How a node is judged."""

    LAW = 0
    """By its state, which is known for certain."""
    DOUBT = 1
    """By its likely state, and then by whoever keeps the inventory: it may have become another one."""
    PASSES = 2
    """It is let through by a rule."""
    REFUSED = 3
    """It is refused by a rule."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the inventory says of one node."""

    way: Way
    snapshot: Snapshot | None = None
    """Its state; there is one unless a rule decides."""
    label: int = 0
    """A small number that the inventory wants to count by."""
    about: object = None
    """Whatever the inventory wants to be told when it is asked about a doubt; another one is a change."""


@dataclass(frozen=True, slots=True)
class Told:
    """Answers about the nodes asked for, in their order."""

    lines: str
    """The names."""
    slots: Ints
    """(N,) ``UNHEARD`` where the fleet knows of no node of that name."""
    way: NDArray[np.int8]
    """(N,) a ``Way``; of no meaning where the node is unheard of."""
    label: NDArray[np.int16]
    """(N,) the inventory's own number; 0 where the node is unheard of."""
    ruled: bool
    """Whether a rule may decide about any of them."""
    fate: NDArray[np.int8]
    """(N,) a ``Fate``; undecided where a rule decides, or nothing is known."""
    why: NDArray[np.int16]
    """(N,) places in ``reasons``; ``NO_REASON`` where it is not refused here."""
    reasons: Sequence[Why]
    answers: Answers
    """All that is known of this question."""
    members: int
    """As of which membership of the fleet."""
    ample: Bools
    """(N,) where the pod is admitted: whether there is room for the crowd as well, whoever comes first."""
    twins: int
    """How many of the nodes the twin had to be asked about."""


Doubt = Callable[[Entry, Pod, Shape], Hashable | None]
"""What keeps a pod off a node although its likely state admits it, as the node's ``Why``; None if nothing does."""


def no_doubt(_entry: Entry, _pod: Pod, _shape: Shape) -> Hashable | None:
    """Says that nothing keeps any pod off."""
    return None


class Fleet:
    """All nodes, by slot."""

    def __init__(self, read: Callable[[str], Entry | None], doubt: Doubt = no_doubt) -> None:
        """
        Begins without nodes.

        Args:
            read: what is known of a node now; None if there is none of that name.
            doubt: asked about nodes in doubt.
        """
        self._read, self._doubt = read, doubt
        self._lock = threading.Lock()
        self._news_lock = threading.Lock()
        self._news: dict[str, None] = {}
        self._names = Names()
        self._free: list[int] = []
        self._entries: list[Entry | None] = []
        self._kubelets: list[Kubelet | None] = []
        self._tables: list[Table] = []
        self._tables_by_law: dict[Law, int] = {}
        self._slots_of: list[list[int]] = []
        """Per table, the slot of each row."""
        self._generation = 0
        self._members = 0
        """How often a name has come or gone."""
        self._lists: deque[tuple[str, Ints]] = deque(maxlen=LISTS)
        """Names, none of which has a line break, as lines, and their slots."""
        self._ruled = self._doubtful = self._twins = 0
        """How many nodes are judged by a rule, and how many are in doubt; twins asked for the question under way."""
        self._answers: OrderedDict[tuple[Shape, Strategy], Answers] = OrderedDict()
        self._resize(64)

    def _resize(self, capacity: int) -> None:
        have = len(self._entries)
        self._entries += [None] * (capacity - have)
        self._kubelets += [None] * (capacity - have)
        self._free += range(capacity - 1, have - 1, -1)
        for name, kind in (
            ("_changed", np.int64),
            ("_table", np.int32),
            ("_row", np.int64),
            ("_way", np.int8),
            ("_label", np.int16),
        ):
            wide = np.zeros(capacity, kind)
            if have:
                wide[:have] = getattr(self, name)
            setattr(self, name, wide)
        for answers in self._answers.values():
            answers.grow(capacity)

    # typed here, made by _resize
    _changed: Ints
    """(N,) the number of the node's last change; 0 where there is no node."""
    _table: NDArray[np.int32]
    """(N,) its table; -1 where no columns can follow its law."""
    _row: Ints
    _way: NDArray[np.int8]
    _label: NDArray[np.int16]

    # --- news

    def note(self, name: str) -> None:
        """Takes note that what is known of a node has changed."""
        with self._news_lock:
            self._news[name] = None

    def refresh(self) -> None:
        """Reads what has changed; every question does so first."""
        with self._lock:
            self._refresh()

    def _refresh(self) -> None:
        with self._news_lock:
            names, self._news = self._news, {}
        for name in names:
            self._put(name, self._read(name))

    def _put(self, name: str, entry: Entry | None) -> None:
        slot = self._names.get(name)
        if slot is None:
            if entry is None:
                return
            if not self._free:
                self._resize(2 * len(self._entries))
            slot = self._free.pop()
            self._names.add(name, slot)
            self._members += 1
            self._lists.clear()
            self._table[slot] = -1
        before = self._entries[slot]
        if entry is not None and before is not None and _same(before, entry):
            return
        for one, sign in ((before, -1), (entry, 1)):
            if one is not None:
                self._ruled += sign * (one.way > Way.DOUBT)
                self._doubtful += sign * (one.way == Way.DOUBT)
        self._generation += 1
        self._changed[slot] = self._generation
        if entry is None:
            self._leave_table(slot)
            self._entries[slot] = self._kubelets[slot] = None
            self._changed[slot] = 0
            self._names.remove(name)
            self._members += 1
            self._lists.clear()
            self._free.append(slot)
            return
        self._entries[slot] = entry
        self._way[slot], self._label[slot] = entry.way, entry.label
        if entry.snapshot is not None:
            self._put_row(slot, entry.snapshot)

    def _put_row(self, slot: int, snapshot: Snapshot) -> None:
        kubelet = snapshot.kubelet
        if self._kubelets[slot] is not kubelet:
            self._leave_table(slot)
            self._kubelets[slot] = kubelet
            law = law_of(kubelet)
            if law is not None:
                self._enter_table(slot, law)
        if self._table[slot] >= 0:
            self._tables[self._table[slot]].put(int(self._row[slot]), kubelet, snapshot.settled)

    def _enter_table(self, slot: int, law: Law) -> None:
        index = self._tables_by_law.get(law)
        if index is None:
            index = self._tables_by_law[law] = len(self._tables)
            self._tables.append(Table(law))
            self._slots_of.append([])
        self._table[slot] = index
        self._row[slot] = self._tables[index].add()
        self._slots_of[index].append(slot)

    def _leave_table(self, slot: int) -> None:
        """Takes a row out; the last row of the table moves to its place."""
        index = int(self._table[slot])
        if index < 0:
            return
        table, slots, row = self._tables[index], self._slots_of[index], int(self._row[slot])
        last = slots.pop()
        if last != slot:
            table.copy(table.rows - 1, row)
            slots[row] = last
            self._row[last] = row
        table.rows -= 1
        self._table[slot] = -1
        self._kubelets[slot] = None

    # --- questions

    def ask(
        self,
        pod: Pod,
        shape: Shape,
        names: Sequence[str],
        strategy: Strategy = Strategy.PACK,
        *,
        crowd: Sequence[tuple[Pod, Shape]] = (),
    ) -> Told:
        """
        Asks a pod of nodes that it is not on.

        Args:
            pod: the pod.
            shape: its shape; pods of one shape have one answer.
            names: which nodes.
            strategy: by which placements are going to be scored.
            crowd: other pods that may be on their way to any of the nodes.
        """
        with self._lock:
            self._refresh()
            lines = "\n".join(names)
            slots = self._slots_named(names, lines)
            answers = self._remembered(shape, strategy)
            way, label = self._way[slots], self._label[slots]
            judged, ruled = self._judged(slots)
            if ruled:
                label = np.where(slots != UNHEARD, label, np.int16(0))
            answers.asked = pod.uid
            self._renew(answers, pod, slots, judged, strategy)
            self._decide(answers, pod, shape, slots, judged, strategy)
            fate = np.where(judged, answers.fate[slots], np.int8(Fate.UNDECIDED))
            admitted = fate == Fate.ADMITTED
            return Told(
                lines=lines,
                slots=slots,
                way=way,
                label=label,
                ruled=ruled,
                fate=fate,
                why=np.where(fate == Fate.REFUSED, answers.why[slots], np.int16(NO_REASON)),
                reasons=answers.reasons,
                answers=answers,
                ample=self._ample(slots, admitted, pod, answers, crowd, strategy),
                members=self._members,
                twins=self._twins,
            )

    def scores(self, pod: Pod, shape: Shape, names: Sequence[str], strategy: Strategy = Strategy.PACK) -> Scores:
        """
        Scores the placement of a pod on each node that would admit it, (N,) 0 to 10; 0 where there is none.

        Nodes that this pod was let through to a moment ago are scored as they were then, for that is what the scheduler
        chooses from; others as they are now.
        """
        with self._lock:
            lines = "\n".join(names)
            answers = self._remembered(shape, strategy)
            listed = self._listed(names, lines) if answers.asked == pod.uid else None
            if listed is None:
                self._refresh()
            slots = self._slots_named(names, lines) if listed is None else listed
            judged, _ = self._judged(slots)
            if listed is None:
                self._renew(answers, pod, slots, judged, strategy)
            self._decide(answers, pod, shape, slots, judged, strategy, scored=True)
            placed = judged & (answers.fate[slots] == Fate.ADMITTED)
            found: Scores = np.where(placed, answers.score[slots], np.int8(0))
            return found

    def _judged(self, slots: Ints) -> tuple[Bools, bool]:
        """(N,) which nodes no rule decides about, and whether a rule may decide about any."""
        if self._ruled == 0 and (len(slots) == 0 or int(slots.min()) != UNHEARD):
            return np.ones(len(slots), np.bool_), False
        return (slots != UNHEARD) & (self._way[slots] <= Way.DOUBT), True

    def _renew(self, answers: Answers, pod: Pod, slots: Ints, judged: Bools, strategy: Strategy) -> None:
        """Forgets what is known of nodes that have changed, and has columns judge them where they are not few."""
        changed = self._changed > answers.seen  # all nodes together are quicker looked through than those asked about
        if changed.any():
            stale = slots[judged & changed[slots]]
            if len(stale):
                stale = self._along(stale, changed)
                answers.renew(stale, self._changed[stale])
            if len(stale) > FEW:
                self._judge(answers, pod, stale, strategy)

    def _decide(
        self,
        answers: Answers,
        pod: Pod,
        shape: Shape,
        slots: Ints,
        judged: Bools,
        strategy: Strategy,
        *,
        scored: bool = False,
    ) -> None:
        """Asks the twin for what is not known yet; ``scored`` where the scores have to be known as well."""
        fate = answers.fate[slots]
        undecided = judged & (fate == Fate.UNDECIDED)
        if scored:
            undecided |= judged & (fate == Fate.ADMITTED) & (answers.score[slots] == NO_SCORE)
        asked = slots[undecided].tolist()
        self._twins = len(asked)
        for slot in asked:
            self._ask_twin(answers, pod, slot, strategy)
        if self._doubtful:
            self._dispel(answers, pod, shape, slots[judged])

    def _along(self, stale: Ints, changed: Bools) -> Ints:
        """
        Nodes asked about, and some others that have changed.

        A scheduler that looks at a part of the nodes for each pod asks about one changed node at a time, and comes to the
        others a moment later.
        """
        if len(stale) >= ALONG:
            return stale
        others = np.flatnonzero(changed & (self._way <= Way.DOUBT))
        return np.union1d(stale, others[:ALONG]) if len(others) > len(stale) else stale

    def _slots_named(self, names: Sequence[str], lines: str) -> Ints:
        listed = self._listed(names, lines)
        return self._names.find(names, lines) if listed is None else listed

    def _listed(self, names: Sequence[str], lines: str) -> Ints | None:
        """The slots of names that were remembered together: what filter lets through is what prioritize asks about."""
        for known, slots in self._lists:
            if len(slots) == len(names) and known == lines:
                return slots
        return None

    def remember(self, lines: str, slots: Ints, members: int) -> None:
        """Remembers a list of names that may be asked about soon, as of a membership of the fleet."""
        with self._lock:
            if members == self._members and lines.count("\n") == len(slots) - 1:
                self._lists.append((lines, slots))

    def _remembered(self, shape: Shape, strategy: Strategy) -> Answers:
        key = shape, strategy
        answers = self._answers.get(key)
        if answers is None:
            most = max(FEWEST_QUESTIONS, REMEMBERED_BYTES // (BYTES_A_NODE * len(self._entries)))
            while len(self._answers) >= most:
                self._answers.popitem(last=False)
            answers = self._answers[key] = Answers.of_none(len(self._entries))
        self._answers.move_to_end(key)
        return answers

    def _judge(self, answers: Answers, pod: Pod, slots: Ints, strategy: Strategy) -> None:
        """Judges by columns, table by table."""
        tables = self._table[slots]
        for index in np.unique(tables).tolist():
            if index < 0:
                continue
            table, chosen = self._tables[index], slots[tables == index]
            asked = _demand(answers, pod, table.law)
            if asked is None:
                continue
            rows: Rows = self._row[chosen]
            if len(chosen) == table.rows:
                rows, chosen = slice(0, table.rows), np.array(self._slots_of[index], np.int64)
            outcome = admit(table, rows, standing(table, rows, asked.resources), asked)
            answers.fate[chosen] = outcome.fate
            answers.score[chosen] = worth(table, rows, outcome, asked, strategy)
            kubelet = self._kubelets[chosen[0]]
            assert kubelet is not None
            answers.why[chosen] = reasons_of(answers, table, rows, outcome, asked, pod, kubelet.configuration)

    def _ample(
        self,
        slots: Ints,
        admitted: Bools,
        pod: Pod,
        answers: Answers,
        crowd: Sequence[tuple[Pod, Shape]],
        strategy: Strategy,
    ) -> Bools:
        if not crowd:
            return admitted
        room = np.zeros(len(slots), np.bool_)
        others = [(other, self._remembered(shape, strategy)) for other, shape in crowd]
        certain = np.flatnonzero(admitted & (self._way[slots] == Way.LAW))
        tables = self._table[slots[certain]]
        for index in np.unique(tables).tolist():
            if index < 0:
                continue
            table, places = self._tables[index], certain[tables == index]
            everyone = [(one, _demand(known, one, table.law)) for one, known in [*others, (pod, answers)]]
            room[places] = ample(table, self._row[slots[places]], everyone)
        return room

    def _dispel(self, answers: Answers, pod: Pod, shape: Shape, slots: Ints) -> None:
        """Has the inventory look at the nodes in doubt that would admit the pod."""
        doubtful = (self._way[slots] == Way.DOUBT) & ~answers.doubted[slots] & (answers.fate[slots] == Fate.ADMITTED)
        for slot in slots[doubtful].tolist():
            entry = self._entries[slot]
            assert entry is not None
            because = self._doubt(entry, pod, shape)
            answers.doubted[slot] = True
            if because is not None:
                kubelet = self._kubelets[slot]
                assert kubelet is not None
                answers.fate[slot] = Fate.REFUSED
                answers.why[slot] = answers.place(because, Why(None, kubelet.configuration, because=because))

    def _ask_twin(self, answers: Answers, pod: Pod, slot: int, strategy: Strategy) -> None:
        entry = self._entries[slot]
        assert entry is not None
        assert entry.snapshot is not None
        snapshot = entry.snapshot
        fit = snapshot.ask(pod)
        if fit.admit:
            answers.fate[slot] = Fate.ADMITTED
            answers.score[slot] = placement_score(snapshot, fit, strategy)
        else:
            answers.fate[slot] = Fate.REFUSED
            answers.why[slot] = why_of(answers, fit, snapshot.kubelet.configuration)


def _demand(answers: Answers, pod: Pod, law: Law) -> Demand | None:
    if law not in answers.demands:
        answers.demands[law] = demand(pod, law)
    return answers.demands[law]


def _same(one: Entry, other: Entry) -> bool:
    """Whether two entries have the same answers to all questions."""
    alike = (one.way, one.label) == (other.way, other.label)
    return alike and one.snapshot is other.snapshot and one.about is other.about
