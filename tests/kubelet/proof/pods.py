"""
Pods at random, sized for the machine they are meant for, as the API server would store them.

Requests are defaulted from limits and ``status.qosClass`` is set, but for the few pods that stand for what a kubelet
can meet without an API server: static pods, and amounts written as no API server writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proof.configurations import Setup, binary
from proof.draw import Dice, Weighted
from proof.machines import GI, MI, SIZES, Hardware, Json
from proof.qos import qos_class
from proof.themes import Theme

Amounts = dict[str, str]

_APPS = Weighted((1, 62), (2, 28), (3, 10))
_INITS = Weighted(
    ("i", 34), ("ii", 16), ("s", 16), ("is", 7), ("si", 9), ("isi", 8), ("sis", 3), ("iis", 3), ("iii", 2), ("ss", 2)
)
_ODD_CPU = ("1500m", "500m", "100m", "2500m", "1999999900n", "1", "2", "0", "2000m", "3001m")
_ODD_MEMORY = ("1500m", "500m", "100Ti", "1Pi", "1.5Gi", "1000m", "1G", "0", "1073741825", "1e9", "512Mi", "1Gi")
_SHAPES = Weighted(("less requested", 30), ("no limits", 16), ("memory only", 12), ("cpu only", 12), ("nothing", 30))


@dataclass(slots=True)
class Sizes:
    """What is worth asking for on one node, and about how much of it is left."""

    cpus: list[int]
    """CPUs, small amounts more often."""
    memory: list[tuple[int, str]]
    wide_memory: list[tuple[int, str]]
    """More than a zone has."""
    hugepages: Mapping[str, list[str]]
    devices: Mapping[str, int]
    """Resource name to how many there are."""
    lists: int
    most_cpus: int
    left_cpus: int
    left_memory: int
    taken: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, uid: str, cpus: int, memory: int) -> None:
        """Notes what a pod probably got."""
        if cpus <= self.left_cpus and memory <= self.left_memory and uid not in self.taken:
            self.taken[uid] = (cpus, memory)
            self.left_cpus -= cpus
            self.left_memory -= memory

    def give_back(self, uid: str) -> None:
        """Notes that a pod is gone."""
        cpus, memory = self.taken.pop(uid, (0, 0))
        self.left_cpus += cpus
        self.left_memory += memory


def sizes(hardware: Hardware, setup: Setup, devices: Mapping[str, Sequence[Any]]) -> Sizes:
    """Finds amounts at and around the bounds of zones and groups of zones."""
    zones = [sum(map(len, zone)) for zone in hardware.cores]
    zone, total = max(zones), sum(zones) - setup.reserved_cpus
    cpus = [1, 1, 2, 2, 2, 3, 4, zone // 2, zone // 2 + 1, zone - 1, zone, zone + 1, 2 * zone, total, total // 2]
    cpus += [
        total * 3 // 4 // hardware.threads * hardware.threads,
        hardware.threads,
        2 * hardware.threads,
        3 * hardware.threads,
        *zones[:2],
    ]
    free = [max(0, have - kept) for have, kept in zip(hardware.memory, setup.reserved_memory, strict=True)]
    most = max(free)
    narrow = [most // 8, most // 4, most // 3, most // 2, most // 2, most * 3 // 4, most, *free[:2]]
    wide = [most + MI, most * 5 // 4, most * 3 // 2, most + free[0], sum(free) // 2, sum(free), sum(sorted(free)[-2:])]
    return Sizes(
        cpus=[amount for amount in cpus if amount > 0],
        memory=[(64 * MI, "64Mi"), (256 * MI, "256Mi"), (GI, "1Gi"), (2 * GI, "2Gi"), *_texts(narrow)],
        wide_memory=_texts(wide) or [(GI, "1Gi")],
        hugepages={
            type_: [binary(amount) for amount in _page_amounts(SIZES[type_], amounts)]
            for type_, amounts in hardware.hugepages.items()
        },
        devices={resource: len(listed) for resource, listed in devices.items()},
        lists=setup.lists,
        most_cpus=max(1, total),
        left_cpus=max(0, total),
        left_memory=sum(free),
    )


def _texts(amounts: Sequence[int]) -> list[tuple[int, str]]:
    """Amounts as texts, most of them rounded down to whole mebibytes as people write them."""
    rounded = [amount if index % 3 == 0 else amount // MI * MI for index, amount in enumerate(amounts)]
    return [(amount, binary(amount)) for amount in rounded if amount > 0]


def _page_amounts(size: int, amounts: Sequence[int]) -> list[int]:
    most, total = max(amounts), sum(amounts)
    whole = (size, most // 2 // size * size, most, most, most + size, total, total // 2 // size * size)
    return [0, *(amount for amount in whole if amount > 0)]


@dataclass(slots=True)
class PodMaker:
    """Draws the pods of one case."""

    dice: Dice
    theme: Theme
    sizes: Sizes

    def pod(self, uid: str) -> Json:
        """Draws one pod."""
        dice = self.dice
        lists = self.sizes.lists
        pages = [type_ for type_ in self.sizes.hugepages if dice.chance(0.5)][: max(0, lists - 2)]
        devices = [name for name in self.sizes.devices if dice.chance(0.6)][: max(0, lists - 2 - len(pages))]
        if dice.chance(self.theme.budgets):
            return self._budgeted(uid, pages, devices)
        guaranteed = not dice.chance(self.theme.unguaranteed)
        inits, apps = self._names()
        before = [self._container(name, pages, devices, guaranteed=guaranteed) for name in inits]
        after = [self._container(name, pages, devices, guaranteed=guaranteed) for name in apps]
        return self._finished(uid, before, after, None)

    def _names(self) -> tuple[list[str], list[str]]:
        """Names of init containers and app containers; a sidecar's begins with s."""
        dice = self.dice
        pattern = dice.weighted(_INITS) if dice.chance(self.theme.init) else ""
        inits = [f"{kind}{index}" for index, kind in enumerate(pattern)]
        return inits, [f"a{index}" for index in range(dice.weighted(_APPS))]

    def _container(self, name: str, pages: Sequence[str], devices: Sequence[str], *, guaranteed: bool) -> Json:
        dice = self.dice
        amounts: Amounts = {"cpu": self._cpu(), "memory": self._memory()}
        for type_ in pages:
            if dice.chance(0.7):
                amounts[type_] = dice.one(self.sizes.hugepages[type_])
        if self.theme.hugepages and dice.chance(self.theme.odd_amounts / 10):
            amounts[dice.one(("hugepages-2Mi", "hugepages-16Gi"))] = dice.one(("0", "64Mi"))
        held = self._devices(devices)
        if guaranteed:
            if pages and dice.chance(self.theme.odd_amounts):
                del amounts["memory"]  # no API server calls such a pod Guaranteed, but a status can
            both = amounts | held
            return _named(name, self._unlike(both) if dice.chance(0.02) else {"requests": both, "limits": both})
        return _named(name, self._modest(amounts, held))

    def _cpu(self) -> str:
        dice = self.dice
        if dice.chance(self.theme.odd_amounts + 0.03):
            return dice.one(_ODD_CPU)
        left = self.sizes.left_cpus
        if left > 0 and dice.chance(0.12):
            return str(left)
        if dice.chance(0.1):
            return str(dice.between(1, self.sizes.most_cpus))
        return str(dice.one(self.sizes.cpus))

    def _memory(self) -> str:
        dice = self.dice
        if dice.chance(self.theme.odd_amounts):
            return dice.one(_ODD_MEMORY)
        if dice.chance(self.theme.wide_memory):
            return dice.one(self.sizes.wide_memory)[1]
        left = self.sizes.left_memory
        if left > 0 and dice.chance(0.06):
            return binary(left)
        return dice.one(self.sizes.memory)[1]

    def _devices(self, resources: Sequence[str]) -> Amounts:
        dice = self.dice
        held = {}
        for resource in resources:
            if dice.chance(0.7):
                have = self.sizes.devices[resource]
                held[resource] = str(dice.one((1, 1, 1, 2, 2, 3, have // 2, have, have + 1, 0)))
        if resources and dice.chance(0.02):
            held["vendor.com/nowhere"] = "1"
        return held

    def _unlike(self, both: Amounts) -> Json:
        """Requests and limits that differ where a sane pod has none of the two, or one of them."""
        dice = self.dice
        requests, limits = dict(both), dict(both)
        for side in (requests, limits):
            if dice.chance(0.5):
                side.pop(dice.one(list(side)))
        return {"requests": requests, "limits": limits}

    def _modest(self, amounts: Amounts, held: Amounts) -> Json:
        """Resources of a Burstable or BestEffort container."""
        dice = self.dice
        match dice.weighted(_SHAPES):
            case "less requested":
                cpu = dice.one(("100m", "500m", "1"))
                return {"requests": {**amounts, "cpu": cpu, **held}, "limits": amounts | held}
            case "no limits":
                return {"requests": amounts | held, "limits": held}
            case "memory only":
                both = {"memory": amounts["memory"], **held}
                return {"requests": both, "limits": both}
            case "cpu only":
                both = {"cpu": amounts["cpu"], **held}
                return {"requests": both, "limits": both}
        return {"requests": held, "limits": held} if held else {}

    # Pods with pod-level resources

    def _budgeted(self, uid: str, pages: Sequence[str], devices: Sequence[str]) -> Json:
        """Draws a budget and containers with slices of it, others without."""
        dice = self.dice
        cpus = max(1, min(dice.one(self.sizes.cpus) + dice.below(3), 64))
        memory = dice.one(self.sizes.memory)[0] if dice.chance(0.9) else dice.one(self.sizes.wide_memory)[0]
        inits, apps = self._names()
        slices = self._slices(inits, apps, cpus, memory)
        containers = [_named(name, self._slice(slices.get(name), pages, devices)) for name in (*inits, *apps)]
        budget: Amounts = {"cpu": str(cpus), "memory": binary(memory)}
        if dice.chance(0.08):
            budget["cpu"] = dice.one(("1500m", "2500m", f"{cpus}001m", "500m"))
        for type_ in pages:
            if dice.chance(0.6):
                budget[type_] = dice.one(self.sizes.hugepages[type_])
        return self._finished(uid, containers[: len(inits)], containers[len(inits) :], self._budget(budget))

    def _slices(
        self, inits: Sequence[str], apps: Sequence[str], cpus: int, memory: int
    ) -> Mapping[str, tuple[int, int]]:
        """Says which containers have CPUs and bytes of their own; what is left of the budget may be nothing."""
        dice = self.dice
        slices = {}
        left_cpus, left_memory = cpus, memory
        exact = dice.chance(0.3)
        for name in (*inits, *apps):
            if dice.chance(0.4) or left_cpus < 1 or left_memory < MI:
                continue
            last = exact and dice.chance(0.5)
            own_cpus = left_cpus if last else dice.between(1, left_cpus)
            own_memory = left_memory if last or dice.chance(0.15) else dice.between(1, 4) * left_memory // 5 // MI * MI
            slices[name] = (own_cpus, own_memory)
            if not name.startswith("i"):
                left_cpus -= own_cpus
                left_memory -= own_memory
        return slices

    def _slice(self, own: tuple[int, int] | None, pages: Sequence[str], devices: Sequence[str]) -> Json:
        dice = self.dice
        held = self._devices(devices) if dice.chance(0.4) else {}
        if own is None:
            modest: Json = {"requests": held, "limits": held} if held else {}
            return modest if dice.chance(0.75) else self._modest({"cpu": "1", "memory": "64Mi"}, held)
        amounts: Amounts = {"cpu": str(own[0]), "memory": binary(max(own[1], MI)), **held}
        for type_ in pages:
            if dice.chance(0.4):
                amounts[type_] = dice.one(self.sizes.hugepages[type_])
        limits = dict(amounts)
        if dice.chance(0.08):
            amounts["cpu"] = limits["cpu"] = dice.one(("1500m", "500m", "1999999900n"))
        elif dice.chance(0.03):
            amounts["memory"] = limits["memory"] = dice.one(_ODD_MEMORY)
        elif dice.chance(0.08):
            limits[dice.one(("cpu", "memory"))] = dice.one(("64", "128Gi"))
        return {"requests": amounts, "limits": limits}

    def _budget(self, budget: Amounts) -> Json:
        dice = self.dice
        match dice.below(16):
            case 0:
                return {"requests": {**budget, "cpu": "500m"}, "limits": budget}
            case 1:
                return {"limits": {"memory": budget["memory"]}, "requests": {"memory": budget["memory"]}}
            case 2:
                return {"requests": budget}
            case 3 if dice.chance(0.5):
                return dice.one(({}, {"requests": {}, "limits": {}}, {"limits": {"cpu": budget["cpu"]}}))
        return {"requests": budget, "limits": budget}

    def _finished(self, uid: str, inits: list[Json], apps: list[Json], budget: Json | None) -> Json:
        dice = self.dice
        spec: Json = {"containers": apps}
        if inits:
            spec["initContainers"] = inits
        if budget is not None:
            spec["resources"] = budget
        pod: Json = {"metadata": {"name": uid, "namespace": "default", "uid": uid}, "spec": spec}
        if not dice.chance(0.06):
            pod["status"] = {"qosClass": qos_class(spec)}
            oddly = 0.5 if _lacks_memory(apps) else self.theme.odd_amounts / 2
            if dice.chance(oddly):
                pod["status"]["qosClass"] = dice.one(("Guaranteed", "Guaranteed", "Burstable"))
        return pod


def _named(name: str, resources: Json) -> Json:
    container: Json = {"name": name}
    if resources:
        container["resources"] = resources
    if name.startswith("s"):
        container["restartPolicy"] = "Always"
    return container


def _lacks_memory(containers: Sequence[Json]) -> bool:
    """Says whether a container requests hugepages and no memory."""
    requests = [container.get("resources", {}).get("requests", {}) for container in containers]
    return any("memory" not in each and any(name.startswith("hugepages-") for name in each) for each in requests)
