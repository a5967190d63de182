"""Who would have to leave: the right ones, as few as there may be, and nobody in vain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from builders import database, pod, report
from hypothesis import given, settings
from hypothesis import strategies as st

from extender.fleet import shape_of
from extender.inventory.live import Inventory
from extender.inventory.preemption import helps, is_coming, requested, victims
from extender.inventory.rules import Assume, Rules
from extender.kubelet import admission
from extender.model.observed import ObservedPod
from extender.model.pod import Pod
from extender.quantity import NANO
from extender.verbs import preempt, resolvable
from extender.wire.preemption import Preemption, Victims

HIGH = 1000
FULL = (pod("a", cpu="8"), pod("b", cpu="6"), pod("c", cpu="8"), pod("d", cpu="8"))
"""Zone 0, with 14 CPUs, has a and b; zone 1, with 16, has c and d."""


def known(*pods: Pod, priorities: Mapping[str, int] | None = None, not_plain: Sequence[str] = ()) -> Inventory:
    """A node with these pods, all of them seen in the API."""
    inventory = Inventory(Rules(assume=Assume.BIND, preemption=True))
    inventory.reported(report("n", *pods), now=0.0)
    for one in pods:
        priority = (priorities or {}).get(one.name, 0)
        seen = ObservedPod(one, "n", admitted=True, priority=priority, plain=one.name not in not_plain)
        inventory.pod_observed(seen, now=0.0)
    return inventory


def chosen(inventory: Inventory, asked: Pod, *given: str, plain: bool = True) -> tuple[str, ...] | None:
    found = victims(inventory.node("n"), asked, HIGH, [f"uid-{name}" for name in given], plain=plain)
    return found and tuple(uid.removeprefix("uid-") for uid in found)


def test_victims_that_free_a_zone_stay_as_they_are() -> None:
    """The scheduler has spared whom it could: where its victims are the right ones they are not changed."""
    assert ("c", "d") == chosen(known(*FULL), pod("high", cpu="16"), "c", "d")


def test_victims_that_free_no_zone_are_exchanged() -> None:
    """One of each zone frees enough in sum and nothing in one zone; two of one zone do, the most important stay."""
    assert ("c", "d") == chosen(known(*FULL), pod("high", cpu="16"), "a", "d")


def test_a_victim_that_amounts_do_not_explain_is_kept() -> None:
    """A pod that may be in the way for another reason leaves, and with it whoever frees a zone."""
    assert ("a", "c", "d") == chosen(known(*FULL, not_plain=["a"]), pod("high", cpu="16"), "a", "d")
    assert ("a", "c", "d") == chosen(known(*FULL), pod("high", cpu="16"), "a", "d", plain=False)


def test_victims_are_exchanged_only_for_as_much() -> None:
    """Of the scheduler's victims none is spared if the rest free less: its own plugins would refuse the pod."""
    assert ("c", "d") == chosen(known(*FULL), pod("high", cpu="14", memory="1Gi"), "a", "c")
    only_zone_0 = known(*FULL, priorities={"d": HIGH})
    assert ("a", "b", "c") == chosen(only_zone_0, pod("high", cpu="14", memory="1Gi"), "a", "c")


def test_nobody_leaves_where_it_would_not_help() -> None:
    """A pod that no zone could hold, or that those of higher priority leave no room for, evicts nobody."""
    assert chosen(known(*FULL), pod("high", cpu="20"), "a", "c") is None
    high = {"c": HIGH, "d": HIGH + 1}
    assert chosen(known(*FULL, priorities=high), pod("high", cpu="16"), "a", "b") is None
    assert chosen(known(*FULL, priorities=high), pod("high", cpu="14", memory="1Gi"), "a") == ("a", "b")


def test_the_least_important_leave_first() -> None:
    """By priority, then the latest: whoever can be spared is, the most important first."""
    assert ("d",) == chosen(known(*FULL), pod("high", cpu="8"))
    assert ("c",) == chosen(known(*FULL, priorities={"a": 5, "b": 5, "d": 5}), pod("high", cpu="8"))


def test_who_leaves_anyway_is_not_evicted() -> None:
    """Pods that were told to end count as gone, and are no victims."""
    inventory = known(*FULL)
    inventory.pod_observed(ObservedPod(FULL[3], "n", admitted=True, deleting=True), now=1.0)

    assert is_coming(inventory.node("n"), pod("high", cpu="8"))
    assert () == chosen(inventory, pod("high", cpu="8"))
    assert ("c",) == chosen(inventory, pod("high", cpu="16"))


def test_pods_that_the_scheduler_may_not_know_are_no_victims() -> None:
    """A uid that the scheduler does not find on the node would fail the whole call."""
    inventory = known(*FULL[:3])
    inventory.assume("n", FULL[3], shape_of(FULL[3]), now=0.0)

    assert chosen(inventory, pod("high", cpu="16")) is None


def test_evictions_that_would_open_a_node_are_told() -> None:
    """With rules.preemption a refused node is resolvable if pods of lower priority are in the way, else not."""
    inventory = known(*FULL)
    names = ["n", "unknown"]
    assert {"n"} == resolvable(inventory, pod("high", cpu="16"), HIGH, names)
    assert set() == resolvable(inventory, pod("low", cpu="16"), 0, names)
    assert set() == resolvable(inventory, pod("high", cpu="20"), HIGH, names)
    assert set() == resolvable(Inventory(), pod("high", cpu="16"), HIGH, names)


def asked(one: Pod, candidates: Mapping[str, Victims], nominated: str = "") -> Preemption:
    return Preemption(one, HIGH, nominated, plain=True, candidates=candidates)


def test_the_verb_drops_nodes_and_exchanges_victims() -> None:
    """Each candidate is answered for itself; a node that nobody knows is left to the scheduler."""
    inventory = known(*FULL)
    inventory.reported(report("full", pod("x", cpu="14"), pod("y", cpu="16")), now=0.0)
    given = {"n": Victims(("uid-a", "uid-d"), 2), "full": Victims(("uid-x",)), "unknown": Victims(("uid-z",), 1)}

    assert {"n": Victims(("uid-c", "uid-d"), 2), "unknown": Victims(("uid-z",), 1)} == preempt(
        inventory, asked(pod("high", cpu="16"), given)
    )


def test_a_pod_whose_place_is_being_made_evicts_nobody_else() -> None:
    """While the victims of an earlier round are ending, nobody is evicted elsewhere; afterwards it may be."""
    inventory = known(*FULL)
    inventory.reported(report("m", pod("x", cpu="8")), now=0.0)
    inventory.pod_observed(ObservedPod(pod("x", cpu="8"), "m"), now=0.0)
    inventory.pod_observed(ObservedPod(FULL[3], "n", deleting=True), now=1.0)
    question = asked(pod("high", cpu="8"), {"m": Victims(("uid-x",))}, nominated="n")
    assert {} == preempt(inventory, question)

    inventory.pod_departed("uid-d", now=2.0)
    inventory.reported(report("n", *FULL[:3], heartbeat=1001), now=3.0)
    assert {"m": Victims(("uid-x",))} == preempt(inventory, question)


def test_what_a_pod_requests_is_what_the_scheduler_counts() -> None:
    """Containers together, or init containers where they ask for more; a budget in place of the sum."""
    assert {"cpu": 4 * NANO, "memory": (4 << 30) * NANO} == requested(pod("a"))
    assert 8 * NANO == requested(database("a"))["cpu"]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 8), min_size=1, max_size=8),
    wanted=st.integers(1, 16),
    mask=st.integers(0, 255),
    priorities=st.lists(st.integers(0, 2), min_size=8, max_size=8),
)
def test_whoever_leaves_makes_room_and_nobody_too_many(
    sizes: list[int], wanted: int, mask: int, priorities: list[int]
) -> None:
    """The pod fits without its victims, fits with none of those spared that we chose, and nobody is above it."""
    there = [pod(f"p{number}", cpu=str(size), memory="1Gi") for number, size in enumerate(sizes)]
    there = [one for number, one in enumerate(there) if sum(sizes[: number + 1]) <= 28]
    try:
        inventory = known(*there, priorities={f"p{number}": value for number, value in enumerate(priorities)})
    except AssertionError:
        return  # they do not fit the node at all
    node, high = inventory.node("n"), pod("high", cpu=str(wanted), memory="1Gi")
    given = [one.uid for number, one in enumerate(there) if mask >> number & 1 and priorities[number] < 2]
    found = victims(node, high, 2, given, plain=True)
    assert node.snapshot is not None
    kubelet, state = node.snapshot.kubelet, node.snapshot.state

    def fits(leaving: Sequence[str]) -> bool:
        after = state
        for uid in leaving:
            after = admission.remove(kubelet, after, uid)
        return admission.admit(kubelet, after, high)[0].admit

    lower = [uid for uid, held in node.held.items() if held.seen.priority < 2]
    assert (found is not None) == fits(lower)
    if found is None:
        assert not (lower and helps(node, high, 2))
        return
    assert fits(found)
    assert set(found) <= set(lower)
    ours = [uid for uid in found if uid not in given]
    assert not any(fits([other for other in found if other != uid]) for uid in ours)
