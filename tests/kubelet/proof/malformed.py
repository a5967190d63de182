"""
Malformed cases: valid ones in which one place is made wrong, each with the words by which an error must name the place.

What is wrong is wrong in any reading: a text where a number belongs, a list that is an object, a quantity that is
none, a name that is missing or given twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import orjson

from proof.draw import Dice, Weighted
from proof.generate import cases
from proof.machines import Json
from proof.themes import PLAIN

Spoil: TypeAlias = Callable[[Dice, Json], str | None]
"""Makes a case wrong and returns what the error must name; None if the case has no such place."""

SOUND = Weighted((replace(PLAIN, broken=0.0, devices=0.5, hugepages=0.5), 1.0))
"""Cases that are well formed."""

_NO_NUMBERS: Sequence[object] = ("x", "1", 1.5, -1, True, [], {}, 2**64, "0x10")
_NO_TEXTS: Sequence[object] = (1, 2.5, True, [], {}, ["a"])
_NO_LISTS = ("x", 7, True, {"a": 1})
_NO_OBJECTS = ("x", 7, True, ["a"])
_NO_QUANTITIES: Sequence[object] = (
    "abc",
    "1..5",
    "1 Gi",
    "",
    "-",
    "Gi",
    "1GiB",
    "1e",
    "0x1",
    "\uff11",
    [],
    {},
    True,
    None,
    "1,5",
    "9" * 80,
)
_NO_TRUTHS: Sequence[object] = ("true", 1, 0, [], {}, "no")


def malformed(seed: str, count: int) -> Iterator[tuple[Json, str]]:
    """Yields malformed cases and what their errors must name."""
    dice = Dice(seed)
    valid = cases(seed, 10**9, "1.37", SOUND)
    while count:
        case: Json = orjson.loads(orjson.dumps(next(valid)))
        named = dice.one(SPOILS)(dice, case)
        if named is not None:
            count -= 1
            yield case, named


def _put(dice: Dice, holder: Any, key: str | int, values: Sequence[object]) -> None:
    holder[key] = dice.one(values)


def _case(dice: Dice, case: Json) -> str | None:
    match dice.below(5):
        case 0:
            _put(dice, case, "version", ("1.2", "", None, 1.37, [], "v1.37"))
            return "version"
        case 1:
            _put(dice, case, "steps", _NO_LISTS)
            return "steps"
        case 2:
            step = dice.one(case["steps"])
            _put(dice, step, "op", ("fly", "", None, 1, [], "Admit"))
            return ".op"
        case 3:
            case["steps"].append({"op": dice.one(("remove", "started")), "uid": dice.one((None, *_NO_TEXTS))})
            return ".uid"
        case _:
            _put(dice, case, "id", _NO_TEXTS)
            return "id"


def _machine(dice: Dice, case: Json) -> str | None:
    machine = case["machine"]
    match dice.below(4):
        case 0:
            _put(dice, case, "machine", _NO_OBJECTS)
            return "machine"
        case 1:
            field = dice.one(("num_cores", "num_sockets"))
            _put(dice, machine, field, _NO_NUMBERS)
            return f"machine.{field}"
        case 2:
            _put(dice, machine, "topology", _NO_LISTS)
            return "machine.topology"
        case _:
            machine["topology"].append(machine["topology"][0])
            return "machine.topology"


def _zone(dice: Dice, case: Json) -> str | None:
    topology = case["machine"]["topology"]
    index = dice.below(len(topology))
    zone, at = topology[index], f"machine.topology[{index}]"
    match dice.below(6):
        case 0:
            topology[index] = dice.one(_NO_OBJECTS)
            return at
        case 1:
            _put(dice, zone, "node_id", (*_NO_NUMBERS, 70_000, None))
            return f"{at}.node_id"
        case 2:
            _put(dice, zone, "memory", _NO_NUMBERS)
            return f"{at}.memory"
        case 3:
            field = dice.one(("cores", "hugepages", "distances"))
            _put(dice, zone, field, _NO_LISTS)
            return f"{at}.{field}"
        case 4:
            zone["distances"] = [10, dice.one(_NO_NUMBERS)]
            return f"{at}.distances[1]"
        case _:
            field = dice.one(("page_size", "num_pages"))
            zone["hugepages"] = [{"page_size": 2048, "num_pages": 1, field: dice.one(_NO_NUMBERS)}]
            return f"{at}.hugepages[0].{field}"


def _core(dice: Dice, case: Json) -> str | None:
    zones = [index for index, zone in enumerate(case["machine"]["topology"]) if zone["cores"]]
    if not zones:
        return None
    index = dice.one(zones)
    core, at = case["machine"]["topology"][index]["cores"][0], f"machine.topology[{index}].cores[0]"
    match dice.below(4):
        case 0:
            core["thread_ids"] = [0, dice.one((*_NO_NUMBERS, 70_000))]
            return f"{at}.thread_ids[1]"
        case 1:
            _put(dice, core, "thread_ids", _NO_LISTS)
            return f"{at}.thread_ids"
        case 2:
            _put(dice, core, "socket_id", ("x", 1.5, True, [], {}))
            return f"{at}.socket_id"
        case _:
            core["uncore_caches"] = dice.one(({"id": 1}, [7], "x", [{"id": "x"}]))
            return f"{at}.uncore_caches"


def _kubelet(dice: Dice, case: Json) -> str | None:
    kubelet = case["kubelet"]
    wrong: dict[str, Sequence[object]] = {
        "topologyManagerPolicy": ("strict", 1, [], True),
        "topologyManagerScope": ("node", 1, [], True),
        "cpuManagerPolicy": ("dynamic", 1, {}),
        "memoryManagerPolicy": ("dynamic", 1, {}),
        "topologyManagerPolicyOptions": _NO_OBJECTS,
        "cpuManagerPolicyOptions": (*_NO_OBJECTS, {"full-pcpus-only": True}, {"full-pcpus-only": None}),
        "reservedSystemCPUs": ("a", "3-1", "0-", "1;2", 3, [], "0-70000", "-1", "1,,2"),
        "systemReserved": (*_NO_OBJECTS, *({"cpu": amount} for amount in _NO_QUANTITIES)),
        "kubeReserved": (*_NO_OBJECTS, *({"memory": amount} for amount in _NO_QUANTITIES)),
        "evictionHard": (*_NO_OBJECTS, {"memory.available": 5}, {"memory.available": "many"}),
        "reservedMemory": (*_NO_LISTS, [7], [{"numaNode": "0"}], [{"numaNode": 0, "limits": {"memory": "much"}}]),
        "featureGates": (*_NO_OBJECTS, *({"PodLevelResources": value} for value in _NO_TRUTHS)),
    }
    if dice.chance(0.05):
        _put(dice, case, "kubelet", _NO_OBJECTS)
        return "kubelet"
    field = dice.one(list(wrong))
    _put(dice, kubelet, field, wrong[field])
    return field


def _pod(dice: Dice, case: Json) -> str | None:
    pods = [(index, step["pod"]) for index, step in enumerate(case["steps"]) if step["op"] == "admit"]
    if not pods:
        return None
    index, pod = dice.one(pods)
    at = f"steps[{index}].pod"
    match dice.below(9):
        case 0:
            case["steps"][index]["pod"] = dice.one((*_NO_OBJECTS, None, {}))
            return at
        case 1:
            _put(dice, pod["metadata"], "uid", (None, "", *_NO_TEXTS))
            return f"{at}.metadata.uid"
        case 2:
            _put(dice, pod["spec"], "containers", (None, [], *_NO_LISTS, [7]))
            return f"{at}.spec.containers"
        case 3:
            pod["spec"]["containers"].append(pod["spec"]["containers"][0])
            return f"{at}.spec"
        case 4:
            pod["status"] = dice.one(("Guaranteed", [], {"qosClass": "Gold"}, {"qosClass": 1}, {"qosClass": []}))
            return f"{at}.status"
        case 5:
            _put(dice, pod["spec"], "initContainers", (*_NO_LISTS, [7]))
            return f"{at}.spec.initContainers"
        case 6:
            field = dice.one(("metadata", "spec"))
            _put(dice, pod, field, (*_NO_OBJECTS, None, {}))
            return f"{at}.{field}"
        case 7:
            pod["spec"]["resources"] = dice.one((*_NO_OBJECTS, {"requests": {"cpu": "many"}}, {"limits": [1]}))
            return f"{at}.spec.resources"
        case _:
            return _container(dice, pod["spec"]["containers"], f"{at}.spec.containers")


def _container(dice: Dice, containers: list[Json], at: str) -> str:
    index = dice.below(len(containers))
    container, at = containers[index], f"{at}[{index}]"
    match dice.below(4):
        case 0:
            _put(dice, container, "name", (None, "", *_NO_TEXTS))
            return f"{at}.name"
        case 1:
            _put(dice, container, "resources", _NO_OBJECTS)
            return f"{at}.resources"
        case 2:
            side = dice.one(("requests", "limits"))
            container["resources"] = {side: dice.one(_NO_OBJECTS)}
            return f"{at}.resources.{side}"
        case _:
            side, name = (
                dice.one(("requests", "limits")),
                dice.one(("cpu", "memory", "hugepages-2Mi", "vendor.com/gpu")),
            )
            container["resources"] = {side: {name: dice.one(_NO_QUANTITIES)}}
            return f"{at}.resources.{side}.{name}"


def _devices(dice: Dice, case: Json) -> str | None:
    good: Json = {"id": "d0", "numa": [0], "healthy": True}
    wrong: Sequence[tuple[object, str]] = (
        (dice.one(_NO_LISTS), "devices.vendor.com/x"),
        ([dice.one(_NO_OBJECTS)], "devices.vendor.com/x[0]"),
        ([good | {"id": dice.one((None, *_NO_TEXTS))}], "devices.vendor.com/x[0].id"),
        ([good | {"numa": dice.one(_NO_LISTS)}], "devices.vendor.com/x[0].numa"),
        ([good | {"numa": [0, dice.one(("x", 1.5, True, [], 2**40))]}], "devices.vendor.com/x[0].numa[1]"),
        ([good | {"healthy": dice.one(_NO_TRUTHS)}], "devices.vendor.com/x[0].healthy"),
    )
    if dice.chance(0.1):
        _put(dice, case, "devices", _NO_OBJECTS)
        return "devices"
    value, named = dice.one(wrong)
    case["devices"] = {"vendor.com/x": value}
    return named


SPOILS: Sequence[Spoil] = (_case, _machine, _zone, _core, _kubelet, _kubelet, _pod, _pod, _pod, _devices)
