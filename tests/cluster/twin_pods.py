"""
Pods at random for one node, as an API server takes them: sized at and around what its zones hold.

Every draw is of one kind, so that a run can say which kinds it has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from lab.api import Object
from lab.machines import GIB, Machine
from lab.pods import container, pod, sidecar

MIB = 1 << 20
PAGES = {2048: "hugepages-2Mi", 1048576: "hugepages-1Gi"}
"""KiB of a page to the resource's name."""
Amounts = dict[str, str]


@dataclass
class Sizes:
    """What is worth asking for on one node."""

    zones: Sequence[int]
    """CPUs of each zone that has any."""
    memory: Sequence[int]
    """Bytes of each zone, without hugepages."""
    pages: Mapping[str, Sequence[int]]
    """Hugepages resource to bytes in each zone."""
    devices: Mapping[str, int]
    """Resource name to how many devices there are."""
    step: int = 1
    """CPUs come in multiples of this, mostly."""


def sizes(machine: Machine, devices: Mapping[str, int], step: int) -> Sizes:
    """Finds a node's sizes."""
    zones = machine["topology"]
    pages: dict[str, list[int]] = {}
    for zone in zones:
        for pool in zone["hugepages"]:
            pages.setdefault(PAGES[pool["page_size"]], []).append(pool["num_pages"] * pool["page_size"] * 1024)
    return Sizes(
        zones=[count for zone in zones if (count := sum(len(core["thread_ids"]) for core in zone["cores"]))],
        memory=[
            zone["memory"] - sum(pool["num_pages"] * pool["page_size"] * 1024 for pool in zone["hugepages"])
            for zone in zones
        ],
        pages=pages,
        devices=devices,
        step=step,
    )


@dataclass
class PodMaker:
    """Draws pods that are bound to a node."""

    dice: Random
    sizes: Sizes
    node: str
    namespace: str
    taken: dict[str, int] = field(default_factory=dict)
    """Name of a pod that runs to the CPUs it asked for."""

    def draw(self, name: str) -> tuple[str, Object]:
        """Returns a pod's kind and the pod."""
        kinds: dict[str, tuple[int, Callable[[], Object]]] = {
            "plain": (24, self._plain),
            "several containers": (10, self._several),
            "init containers": (14, self._with_init),
            "sidecars": (12, self._with_sidecars),
            "budget": (16, self._budget),
            "budget with init containers": (6, self._budget_with_init),
            "burstable": (5, self._burstable),
            "fractions": (3, self._fractions),
        }
        if self.sizes.pages:
            kinds["hugepages"] = (12, self._hugepages)
        if self.sizes.devices:
            kinds["devices"] = (16, self._devices)
        kind = self.dice.choices(list(kinds), [weight for weight, _ in kinds.values()])[0]
        body = kinds[kind][1]()
        body["metadata"] |= {"name": name, "namespace": self.namespace}
        body["spec"] |= {"nodeName": self.node, "terminationGracePeriodSeconds": self.dice.choice((0, 0, 1))}
        return kind, body

    # --- kinds

    def _plain(self) -> Object:
        return pod("", container("app", self._amounts()))

    def _several(self) -> Object:
        count = self.dice.choice((2, 2, 3))
        return pod("", *(container(f"app-{n}", self._amounts(share=count)) for n in range(count)))

    def _with_init(self) -> Object:
        init = [container(f"init-{n}", self._amounts()) for n in range(self.dice.choice((1, 1, 2)))]
        apps = [container(f"app-{n}", self._amounts()) for n in range(self.dice.choice((1, 1, 2)))]
        return pod("", *apps, init=tuple(init))

    def _with_sidecars(self) -> Object:
        init = [sidecar(f"sidecar-{n}", self._amounts(share=4)) for n in range(self.dice.choice((1, 1, 2)))]
        for place in range(self.dice.choice((0, 1, 2))):
            init.insert(self.dice.randrange(len(init) + 1), container(f"init-{place}", self._amounts()))
        return pod("", container("app", self._amounts(share=2)), init=tuple(init))

    def _budget(self) -> Object:
        """A budget, of which some containers have a part alone; now and then nothing is left for the others."""
        cpus, memory = self._cpus(), self._memory(least=256 * MIB)
        own = container("own", _amounts(min(cpus, self._whole(self.dice.randint(1, cpus))), self._part(memory)))
        shared = [container(f"shared-{n}") for n in range(self.dice.choice((0, 1, 1, 2)))]
        containers = self.dice.choice(([own, *shared], [own, *shared], [own, *shared], [*shared, container("lone")]))
        return pod("", *containers, budget=_amounts(cpus, memory))

    def _budget_with_init(self) -> Object:
        cpus, memory = max(2, self._cpus()), self._memory(least=256 * MIB)
        first = self.dice.choice((container("init"), container("init", _amounts(cpus, memory // 2 // MIB * MIB))))
        beside = [sidecar("sidecar", _amounts(1, 64 * MIB))] if self.dice.random() < 0.4 else []
        left_cpus, left_memory = cpus - len(beside), memory - 64 * MIB * len(beside)
        own = container(
            "own", _amounts(min(left_cpus, self._whole(self.dice.randint(1, left_cpus))), self._part(left_memory))
        )
        return pod("", own, container("shared"), init=(first, *beside), budget=_amounts(cpus, memory))

    def _burstable(self) -> Object:
        amounts = self._amounts()
        asked = self.dice.choice(({"cpu": "100m"}, {"memory": "64Mi"}, {}, {"cpu": "1", "memory": "64Mi"}))
        return pod("", container("app", asked, amounts if asked else {}), container("other"))

    def _fractions(self) -> Object:
        cpus = self.dice.choice(("500m", "1500m", "2500m"))
        return pod("", container("app", {"cpu": cpus, "memory": "256Mi"}), container("whole", self._amounts(share=4)))

    def _hugepages(self) -> Object:
        amounts = self._amounts(share=2)
        resource = self.dice.choice(list(self.sizes.pages))
        zones = self.sizes.pages[resource]
        page = 2 * MIB if resource == "hugepages-2Mi" else GIB
        wanted = self.dice.choice((page, max(zones) // 2, max(zones), max(zones) + page, sum(zones) // 4))
        amounts[resource] = _binary(max(page, wanted // page * page))
        return pod("", container("app", amounts), container("beside", _amounts(1, 64 * MIB)))

    def _devices(self) -> Object:
        resource = self.dice.choice(list(self.sizes.devices))
        wanted = self.dice.choice((1, 1, 2, 2, 3, self.sizes.devices[resource]))
        app = container("app", self._amounts(share=2) | {resource: str(wanted)})
        if self.dice.random() < 0.3:
            return pod("", app, init=(container("init", self._amounts(share=2) | {resource: "1"}),))
        return pod("", app)

    # --- amounts

    def _amounts(self, share: int = 1) -> Amounts:
        return _amounts(self._whole(max(1, self._cpus() // share)), self._memory() // share // MIB * MIB)

    def _cpus(self) -> int:
        """CPUs, often such as fill a zone or the node, seldom more than it has."""
        zone, total = self.dice.choice(self.sizes.zones), sum(self.sizes.zones)
        left = max(1, total - 2 - sum(self.taken.values()))
        around = (zone // 2, zone // 2 + 1, zone - 2, zone - 1, zone, zone + 1, left, total // 2)
        cpus = max(1, self.dice.choice((1, 1, 2, 2, 2, 3, 4, 4, 6, self.dice.choice(around), self.dice.choice(around))))
        return self._whole(cpus)

    def _whole(self, cpus: int) -> int:
        """Rounds up to whole cores where the node's kubelet gives no others, in nine of ten cases."""
        return cpus if self.dice.random() < 0.1 else -(-cpus // self.sizes.step) * self.sizes.step

    def _memory(self, least: int = 64 * MIB) -> int:
        zone = max(self.sizes.memory)
        amounts = (64 * MIB, 256 * MIB, GIB, GIB, 2 * GIB, zone // 4, zone // 3, zone // 2, zone, zone * 5 // 4)
        weights = (2, 2, 4, 4, 4, 3, 2, 2, 0.7, 0.7)
        return max(least, self.dice.choices(amounts, weights)[0] // MIB * MIB)

    def _part(self, memory: int) -> int:
        return max(MIB, self.dice.choice((memory, memory // 2, memory * 3 // 4, memory // 4)) // MIB * MIB)


def cpus_of(body: Mapping[str, Any]) -> int:
    """About how many CPUs a pod takes."""
    spec = body["spec"]
    if "resources" in spec:
        return int(spec["resources"]["requests"]["cpu"])
    asked = [one["resources"].get("requests", {}).get("cpu", "0") for one in spec["containers"]]
    return sum(int(cpu) for cpu in asked if cpu.isdigit())


def _amounts(cpus: int, memory: int) -> Amounts:
    return {"cpu": str(cpus), "memory": _binary(memory)}


def _binary(amount: int) -> str:
    return f"{amount // GIB}Gi" if amount % GIB == 0 else f"{amount // MIB}Mi"
