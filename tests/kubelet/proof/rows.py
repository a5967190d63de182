"""
The edge cases that the proof must reach, each with a question that tells whether a case has reached it.

The rows are those at which the kubelet's managers do something that a straightforward reading of their documentation
would not expect. A few cannot be reached by a replay case; they are named with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from extender import cpuset
from extender.quantity import parse
from proof.facts import Admitted, Container, Facts, quantity
from proof.themes import CORES, DISTRIBUTE, FULL, SOCKET, STRICT, UNCORE

Question = Callable[[Facts], bool]

TITLES: dict[int, str] = {}
QUESTIONS: dict[int, Question] = {}
UNREACHABLE = {
    14: "a kubelet that restarts and reads its state files: a case starts with a new kubelet; the state at which it would "
    "fail (strict reservation, every CPU exclusive) is reached and counted",
    58: "about the judge itself: it keeps the pod that is admitted among the active ones",
    59: "a handler after the resource managers refuses, or the kubelet has not heard of all its pods yet: a case has neither",
}
"""Rows that no case can reach as they are meant, and why."""

OF_BUDGETS = frozenset(range(48, 57))
"""Rows that need the managers of pod-level resources."""

NOT_ENOUGH_MEMORY = ("failed to get the default NUMA affinity", "failed to find NUMA nodes to extend")
VIOLATION = "violates NUMA node allocation"
UNALIGNED = "TopologyAffinityError"


def row(number: int, title: str) -> Callable[[Question], Question]:
    """Registers the question of a row."""

    def register(question: Question) -> Question:
        TITLES[number] = title
        QUESTIONS[number] = question
        return question

    return register


def reached(facts: Facts) -> Iterator[int]:
    """Yields the numbers of the rows that a case has reached."""
    for number, question in QUESTIONS.items():
        if question(facts):
            yield number


def _any(facts: Facts, says: Callable[[Admitted], bool]) -> bool:
    return any(map(says, facts.admissions))


def _exclusive(facts: Facts) -> bool:
    return _any(facts, lambda one: "cpus" in one.verdict)


def _managed(facts: Facts, one: Admitted) -> bool:
    return facts.gate and one.budget is not None


# Machine


@row(1, "one NUMA zone")
def _(facts: Facts) -> bool:
    return len(facts.zones) == 1 and _exclusive(facts)


@row(2, "zone ids with holes")
def _(facts: Facts) -> bool:
    ids = [zone["node_id"] for zone in facts.zones]
    return ids != list(range(len(ids))) and bool(facts.admissions)


@row(3, "a zone without CPUs or without memory")
def _(facts: Facts) -> bool:
    bare = any(not zone["cores"] or zone["memory"] == 0 for zone in facts.zones)
    return bare and any(zone["cores"] for zone in facts.zones) and _any(facts, lambda one: one.admit)


@row(4, "more than eight zones")
def _(facts: Facts) -> bool:
    return len(facts.zones) > 8


@row(5, "five zones and more, distributed over four, six or seven of them")
def _(facts: Facts) -> bool:
    if DISTRIBUTE not in facts.options or len(facts.zones) < 5:
        return False
    return any(
        facts.spans(cpus) in {4, 6, 7} for one in facts.admissions for cpus in one.verdict.get("cpus", {}).values()
    )


@row(6, "cores of one, two and four threads; an odd request on cores of more than one")
def _(facts: Facts) -> bool:
    siblings = any(len(core["thread_ids"]) > 1 for _, core in facts.cores)
    return siblings and _any(facts, lambda one: any(part.cpus % 2 and part.cpus > 1 for part in one.containers))


@row(7, "cores of different kinds, sockets of different size, CPUs offline")
def _(facts: Facts) -> bool:
    return len({len(core["thread_ids"]) for _, core in facts.cores}) > 1 and _exclusive(facts)


@row(8, "more sockets than zones, or fewer")
def _(facts: Facts) -> bool:
    return facts.case["machine"]["num_sockets"] != len(facts.zones) and _exclusive(facts)


@row(9, "several uncore caches in a zone, or none known, with the option for them")
def _(facts: Facts) -> bool:
    if UNCORE not in facts.options or not _exclusive(facts):
        return False
    caches = {cache["id"] for _, core in facts.cores for cache in core.get("uncore_caches", ())}
    return not caches or len(caches) > len(facts.zones)


@row(10, "CPU ids of siblings side by side, and far apart")
def _(facts: Facts) -> bool:
    far = any(max(core["thread_ids"]) - min(core["thread_ids"]) >= len(core["thread_ids"]) for _, core in facts.cores
              if core["thread_ids"])  # fmt: skip
    return far and _exclusive(facts)


# Reservation


@row(11, "CPUs reserved by an amount that is no whole number")
def _(facts: Facts) -> bool:
    amounts = [facts.kubelet.get(name, {}).get("cpu", "0") for name in ("systemReserved", "kubeReserved")]
    return bool(facts.admissions) and any(quantity(amount).milli % 1000 for amount in amounts)


@row(12, "a reserved CPU whose sibling is not reserved")
def _(facts: Facts) -> bool:
    reserved = _reserved(facts)
    split = any(0 < len(reserved & set(core["thread_ids"])) < len(core["thread_ids"]) for _, core in facts.cores)
    return split and bool(facts.admissions)


def _reserved(facts: Facts) -> set[int]:
    try:
        return set(cpuset.members(cpuset.parse(facts.kubelet.get("reservedSystemCPUs", ""))))
    except cpuset.CpuSetError:
        return set()


@row(13, "distribution over zones that never ends")
def _(facts: Facts) -> bool:
    return facts.error.startswith("timeout") and {FULL, DISTRIBUTE} <= facts.options


@row(14, "strict reservation, and every other CPU is exclusive")
def _(facts: Facts) -> bool:
    if STRICT not in facts.options or not facts.static_cpu:
        return False
    all_, reserved = cpuset.of(facts.zone_of_cpu), cpuset.of(_reserved(facts))
    return bool(reserved) and _fill(facts) == all_ & ~reserved


def _fill(facts: Facts) -> int:
    """The CPUs that are exclusive at once, at most."""
    held: dict[str, int] = {}
    most = 0
    for one in facts.admissions:
        held = {uid: cpus for uid, cpus in held.items() if uid in one.before}
        if one.admit:
            held[one.uid] = 0
            for cpus in one.verdict.get("cpus", {}).values():
                held[one.uid] |= cpuset.parse(cpus)
        taken = 0
        for cpus in held.values():
            taken |= cpus
        most = max(most, taken, key=int.bit_count)
    return most


@row(15, "reserved memory that does not add up, or is more than the zone has")
def _(facts: Facts) -> bool:
    if any(text in facts.error for text in ("the total amount", "could not covert", "does not exist on this machine")):
        return True
    return any(
        quantity(entry["limits"].get("memory", "0")).value > zone["memory"]
        for entry in facts.kubelet.get("reservedMemory") or ()
        for zone in facts.zones
        if zone["node_id"] == entry["numaNode"]
    )


# Amounts


@row(16, "no QoS class in the status, an empty budget, or a CPU amount finer than a thousandth")
def _(facts: Facts) -> bool:
    return _any(
        facts,
        lambda one: (
            "status" not in one.pod
            or (one.pod["spec"].get("resources") is not None and one.budget is None)
            or any(part.requests["cpu"].nanos % 10**6 for part in one.containers if "cpu" in part.requests)
        ),
    )


@row(17, "parts of a CPU in a Guaranteed pod")
def _(facts: Facts) -> bool:
    return facts.static_cpu and _any(facts, lambda one: one.guaranteed and any(map(_fraction, one.containers)))


def _fraction(part: Container) -> bool:
    return "cpu" in part.requests and part.requests["cpu"].milli % 1000 != 0


@row(18, "an amount of memory that is no 64-bit integer to the kubelet")
def _(facts: Facts) -> bool:
    return _any(facts, lambda one: "failed to represent quantity as int64" in one.message)


@row(19, "an amount of memory that only its way of writing makes unusable")
def _(facts: Facts) -> bool:
    return facts.static_memory and _any(
        facts,
        lambda one: any(
            part.requests["memory"].as_int64 is None and parse(str(part.requests["memory"])).as_int64 is not None
            for part in one.containers
            if "memory" in part.requests
        ),
    )


@row(20, "hugepages of amount zero, of two sizes, or of a size that the machine does not have")
def _(facts: Facts) -> bool:
    if "nil pointer dereference" in facts.error and facts.static_memory:
        return True
    return facts.static_memory and _any(
        facts,
        lambda one: any(
            sum(name.startswith("hugepages-") for name in part.requests) > 1
            or any(part.texts[name] == "0" for name in part.texts if name.startswith("hugepages-"))
            for part in one.containers
        ),
    )


@row(21, "hugepages that only init containers or sidecars request, pod scope")
def _(facts: Facts) -> bool:
    if facts.scope != "pod" or not facts.static_memory:
        return False

    def only_early(one: Admitted) -> bool:
        apps = {name for part in one.kinds("app") for name in part.requests}
        early = {name for part in one.containers if part.kind != "app" for name in part.requests}
        return one.guaranteed and any(name.startswith("hugepages-") for name in early - apps)

    return _any(facts, only_early)


# Init containers


@row(22, "an init container bigger than the app container")
def _(facts: Facts) -> bool:
    return _any(
        facts,
        lambda one: (
            one.admit
            and one.guaranteed
            and bool(one.kinds("init"))
            and max(part.cpus for part in one.kinds("init")) > max(part.cpus for part in one.kinds("app"))
        ),
    )


@row(23, "two init containers, the second bigger or smaller")
def _(facts: Facts) -> bool:
    return _any(
        facts,
        lambda one: one.admit and any(left.cpus != right.cpus for left, right in pairwise(one.kinds("init"))),
    )


@row(24, "a sidecar between init containers")
def _(facts: Facts) -> bool:
    return _any(facts, lambda one: one.admit and "init sidecar init" in " ".join(part.kind for part in one.containers))


@row(25, "full-pcpus-only does not count the CPUs that an init container hands on")
def _(facts: Facts) -> bool:
    return _any(facts, lambda one: "not enough free physical CPUs" in one.message and bool(one.kinds("init")))


@row(26, "memory of an init container in one zone, of the app container in two")
def _(facts: Facts) -> bool:
    most = facts.most_memory
    return facts.static_memory and _any(
        facts,
        lambda one: (
            one.guaranteed
            and any(0 < part.bytes() <= most for part in one.kinds("init"))
            and any(part.bytes() > most for part in one.kinds("app"))
        ),
    )


# Memory


def _groups(one: Admitted) -> set[tuple[int, ...]]:
    """The groups of zones that a pod's memory lies on."""
    blocks = [block for held in one.verdict.get("memory", {}).values() for block in held]
    blocks += one.verdict.get("podMemory", [])
    return {tuple(block["numa"]) for block in blocks}


@row(27, "a group of zones is used again, and is free for others once nobody uses it")
def _(facts: Facts) -> bool:
    wide = [(one.uid, group) for one in facts.admissions for group in _groups(one) if len(group) > 1 and not one.again]
    groups = [group for _, group in wide]
    again = len(set(groups)) < len(groups)
    return again and any(set(left) & set(right) and left != right for left in groups for right in groups)


@row(28, "a zone could hold the request, but has too little left")
def _(facts: Facts) -> bool:
    return _any(
        facts,
        lambda one: (
            one.reason == UNALIGNED
            and bool(one.before)
            and all(part.cpus <= facts.most_cpus and part.bytes() <= facts.most_memory for part in one.containers)
        ),
    )


@row(29, "no memory left anywhere")
def _(facts: Facts) -> bool:
    return _any(facts, lambda one: any(text in one.message for text in NOT_ENOUGH_MEMORY))


@row(30, "best-effort refuses, because a zone of the affinity is used singly or in another group")
def _(facts: Facts) -> bool:
    return facts.policy == "best-effort" and _any(facts, lambda one: VIOLATION in one.message)


@row(31, "best-effort puts memory on one zone of a group")
def _(facts: Facts) -> bool:
    if facts.policy != "best-effort":
        return False
    held: dict[str, set[tuple[int, ...]]] = {}
    for one in facts.admissions:
        held = {uid: groups for uid, groups in held.items() if uid in one.before and uid != one.uid}
        new = _groups(one)
        grouped = {zone for groups in held.values() for group in groups if len(group) > 1 for zone in group}
        if any(len(group) == 1 and group[0] in grouped for group in new):
            return True
        held[one.uid] = new
    return False


# Merge


@row(32, "best-effort chooses among affinities that no manager prefers")
def _(facts: Facts) -> bool:
    if facts.policy != "best-effort" or len(facts.zones) < 3 or not (facts.static_cpu and facts.static_memory):
        return False
    return _any(
        facts,
        lambda one: (
            one.guaranteed
            and any(
                part.cpus and _width(part.cpus, facts.most_cpus) != _width(part.bytes(), facts.most_memory)
                for part in one.containers
            )
        ),
    )


def _width(amount: int, zone: int) -> int:
    return -(-amount // zone) if zone else 0


@row(33, "prefer-closest-numa-nodes with equal and with one-sided distances")
def _(facts: Facts) -> bool:
    if "prefer-closest-numa-nodes" not in facts.options or facts.policy not in {"best-effort", "restricted"}:
        return False
    rows = [zone["distances"] for zone in facts.zones]
    square = all(len(row) == len(rows) for row in rows)
    uneven = square and any(rows[i][j] != rows[j][i] for i in range(len(rows)) for j in range(i))
    return uneven and _any(
        facts, lambda one: any(facts.spans(cpus) > 1 for cpus in one.verdict.get("cpus", {}).values())
    )


@row(34, "align-by-socket with several zones to a socket")
def _(facts: Facts) -> bool:
    return SOCKET in facts.options and facts.case["machine"]["num_sockets"] < len(facts.zones) and _exclusive(facts)


@row(35, "align-by-socket together with distribute-cpus-across-numa")
def _(facts: Facts) -> bool:
    return {SOCKET, DISTRIBUTE} <= facts.options and any(
        facts.spans(cpus) > 1 for one in facts.admissions for cpus in one.verdict.get("cpus", {}).values()
    )


# Assignment


@row(36, "a partly used core in a cache, and a request that spans caches")
def _(facts: Facts) -> bool:
    if UNCORE not in facts.options:
        return False
    cache_of = {cpu: core["uncore_caches"][0]["id"] for _, core in facts.cores if core.get("uncore_caches")
                for cpu in core["thread_ids"]}  # fmt: skip
    given = [cpuset.parse(cpus) for one in facts.admissions for cpus in one.verdict.get("cpus", {}).values()]
    odd = any(cpus.bit_count() % 2 for cpus in given)
    return odd and any(len({cache_of.get(cpu) for cpu in cpuset.members(cpus)}) > 1 for cpus in given)


@row(37, "distribute-cpus-across-cores; distribution of a number that is no multiple of a core")
def _(facts: Facts) -> bool:
    return _exclusive(facts) and (CORES in facts.options or {FULL, DISTRIBUTE} <= facts.options)


@row(38, "distribution over zones with different amounts left")
def _(facts: Facts) -> bool:
    return (
        DISTRIBUTE in facts.options and len(facts.zones) > 2 and sum("cpus" in o.verdict for o in facts.admissions) > 2
    )


# Devices


def _with_devices(facts: Facts) -> list[Admitted]:
    resources = facts.case.get("devices", {})
    return [
        one for one in facts.admissions if any(name in resources for part in one.containers for name in part.limits)
    ]


@row(39, "devices without zones, alone or beside others that have some")
def _(facts: Facts) -> bool:
    return any(not device["numa"] for device in facts.devices) and bool(_with_devices(facts))


@row(40, "a device near a zone that the machine does not have")
def _(facts: Facts) -> bool:
    ids = {zone["node_id"] for zone in facts.zones}
    return any(set(device["numa"]) - ids for device in facts.devices) and bool(_with_devices(facts))


@row(41, "a limit of zero devices")
def _(facts: Facts) -> bool:
    resources = facts.case.get("devices", {})
    return any(
        part.limits[name].nanos == 0
        for one in _with_devices(facts)
        for part in one.containers
        for name in part.limits
        if name in resources
    )


@row(42, "unhealthy devices")
def _(facts: Facts) -> bool:
    return any(not device["healthy"] for device in facts.devices) and bool(_with_devices(facts))


@row(43, "devices of an init container are used again")
def _(facts: Facts) -> bool:
    for one in _with_devices(facts):
        held = one.verdict.get("devices", {})
        early = {
            (name, id_) for part in one.kinds("init") for name, ids in held.get(part.name, {}).items() for id_ in ids
        }
        late = {
            (name, id_) for part in one.kinds("app") for name, ids in held.get(part.name, {}).items() for id_ in ids
        }
        if early & late:
            return True
    return False


@row(44, "two kinds of devices, and one of them is short")
def _(facts: Facts) -> bool:
    resources = facts.case.get("devices", {})
    return any(
        "requested number of devices unavailable" in one.message
        and any(sum(name in resources for name in part.limits) > 1 for part in one.containers)
        for one in facts.admissions
    )


@row(45, "devices only requested, or only limited")
def _(facts: Facts) -> bool:
    resources = set(facts.case.get("devices", {}))
    return any((part.limits.keys() ^ part.requests.keys()) & resources
               for one in facts.admissions for part in one.containers)  # fmt: skip


@row(46, "devices of a pod that is not Guaranteed")
def _(facts: Facts) -> bool:
    return facts.policy != "none" and any(not one.guaranteed and "status" in one.pod for one in _with_devices(facts))


# Pod-level resources


@row(47, "a budget whose managers are off")
def _(facts: Facts) -> bool:
    return not facts.gate and _any(facts, lambda one: one.budget is not None)


@row(48, "exclusive slices that use up the budget")
def _(facts: Facts) -> bool:
    return facts.gate and _any(
        facts,
        lambda one: (
            "podCpus" in one.verdict
            and all(part.equal and part.cpus for part in one.containers)
            and sum(part.cpus for part in one.kinds("app") + one.kinds("sidecar")) == _budget_cpus(one)
        ),
    )


def _budget_cpus(one: Admitted) -> int:
    amount = quantity((one.budget or {}).get("requests", {}).get("cpu", "0"))
    return amount.value if amount.milli % 1000 == 0 else 0


@row(49, "nothing is left for the pod's shared pool")
def _(facts: Facts) -> bool:
    return _any(facts, lambda one: one.reason == "EmptyPodSharedPoolError")


@row(50, "a budget with parts of a CPU")
def _(facts: Facts) -> bool:
    return facts.gate and _any(
        facts,
        lambda one: (
            one.budget is not None
            and quantity(one.budget.get("requests", {}).get("cpu", "0")).milli % 1000 != 0
            and any(part.cpus and part.equal for part in one.containers)
        ),
    )


@row(51, "a container with a budget whose amounts differ in one field, or are parts of a CPU")
def _(facts: Facts) -> bool:
    return facts.gate and _any(
        facts,
        lambda one: (
            one.budget is not None
            and any(
                part.requests.keys() >= {"cpu", "memory"} and (not part.equal or _fraction(part))
                for part in one.containers
            )
        ),
    )


@row(52, "a budget under container scope, with a container that shares")
def _(facts: Facts) -> bool:
    return facts.scope == "container" and facts.static_memory and _any(facts, lambda one: _shares(facts, one))


def _shares(facts: Facts, one: Admitted) -> bool:
    return _managed(facts, one) and one.guaranteed and any(not part.equal for part in one.containers)


@row(53, "a budget under policy none")
def _(facts: Facts) -> bool:
    return facts.policy == "none" and _any(facts, lambda one: _managed(facts, one))


@row(54, "devices of a pod with a budget, pod scope")
def _(facts: Facts) -> bool:
    return facts.scope == "pod" and any(_managed(facts, one) and one.admit for one in _with_devices(facts))


@row(55, "hugepages of a container that the budget does not name")
def _(facts: Facts) -> bool:
    return facts.static_memory and _any(
        facts,
        lambda one: (
            _managed(facts, one)
            and any(
                name.startswith("hugepages-") and part.equal and name not in (one.budget or {}).get("requests", {})
                for part in one.containers
                for name in part.requests
            )
        ),
    )


@row(56, "a pod with a budget is admitted again")
def _(facts: Facts) -> bool:
    return _any(facts, lambda one: one.again and _managed(facts, one) and one.guaranteed)


# Sequences


@row(57, "a pod is refused, and the next one gets what it left")
def _(facts: Facts) -> bool:
    return _any(facts, lambda one: one.after_refusal and "cpus" in one.verdict)


@row(60, "a pod of two containers is admitted again, pod scope")
def _(facts: Facts) -> bool:
    return facts.scope == "pod" and _any(
        facts, lambda one: one.again and one.guaranteed and one.budget is None and len(one.containers) > 1
    )


@row(61, "a pod is admitted again after its init containers, and their memory is not free any more")
def _(facts: Facts) -> bool:
    return facts.static_memory and _any(
        facts, lambda one: one.started and not one.changed and bool(one.kinds("init")) and not one.admit
    )


@row(62, "a pod is admitted again with another request")
def _(facts: Facts) -> bool:
    return _any(facts, lambda one: one.changed and one.guaranteed)


@row(63, "a pod is admitted again under full-pcpus-only")
def _(facts: Facts) -> bool:
    return FULL in facts.options and _any(
        facts, lambda one: one.again and not one.changed and any(part.cpus for part in one.containers)
    )


@row(64, "containers of a pod that its common affinity cannot hold together")
def _(facts: Facts) -> bool:
    if facts.scope != "pod":
        return False

    def beyond(one: Admitted) -> bool:
        held = [cpuset.parse(cpus) for cpus in one.verdict.get("cpus", {}).values()]
        zones = [{facts.zone_of_cpu.get(cpu) for cpu in cpuset.members(cpus)} for cpus in held]
        return len(held) > 1 and "podCpus" not in one.verdict and any(a != b for a in zones for b in zones)

    return _any(facts, beyond)
