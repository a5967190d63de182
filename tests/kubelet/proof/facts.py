"""What a case and its answer are about, read once, so that many questions can be asked of it quickly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from extender import cpuset
from extender.quantity import NANO, ZERO, Quantity, QuantityError, parse
from proof.machines import Json
from proof.qos import GUARANTEED

GATE = "PodLevelResourceManagers"
_TRUE = {"true", "1", "t", "T", "True", "TRUE"}


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod."""

    name: str
    kind: str
    """``init``, ``sidecar`` or ``app``."""
    requests: Mapping[str, Quantity]
    limits: Mapping[str, Quantity]
    texts: Mapping[str, str]
    """Requests as written."""

    @property
    def cpus(self) -> int:
        """Whole CPUs requested, 0 for parts of them."""
        nanos = self.requests.get("cpu", ZERO).nanos
        return nanos // NANO if nanos % NANO == 0 else 0

    def bytes(self, type_: str = "memory") -> int:
        """Bytes requested."""
        return self.requests.get(type_, ZERO).nanos // NANO

    @property
    def equal(self) -> bool:
        """CPUs and memory are requested, and as much of them as is allowed."""
        return all(
            self.requests.get(name, ZERO).nanos == self.limits.get(name, ZERO).nanos != 0 for name in ("cpu", "memory")
        )


@dataclass(slots=True)
class Admitted:
    """One admission: the pod and the verdict, in the light of what came before."""

    pod: Json
    verdict: Json
    uid: str
    containers: list[Container]
    before: dict[str, Json]
    """Pods that are active, by uid."""
    again: bool = False
    changed: bool = False
    started: bool = False
    """Admitted again after its init containers were done."""
    after_refusal: bool = False

    @property
    def admit(self) -> bool:
        """The verdict."""
        return bool(self.verdict["admit"])

    @property
    def reason(self) -> str:
        """Of a refusal."""
        return str(self.verdict.get("reason", ""))

    @property
    def message(self) -> str:
        """Of a refusal."""
        return str(self.verdict.get("message", ""))

    @property
    def guaranteed(self) -> bool:
        """By its status."""
        return bool(self.pod.get("status", {}).get("qosClass") == GUARANTEED)

    @property
    def budget(self) -> Mapping[str, Any] | None:
        """spec.resources, if it names an amount."""
        resources = self.pod["spec"].get("resources")
        return resources if resources and (resources.get("requests") or resources.get("limits")) else None

    def kinds(self, kind: str) -> list[Container]:
        """Containers of one kind."""
        return [container for container in self.containers if container.kind == kind]


@dataclass
class Facts:
    """A case and the answer to it."""

    case: Json
    answer: Json
    admissions: list[Admitted] = field(default_factory=list)

    def __post_init__(self) -> None:
        if "verdicts" in self.answer:
            self._follow()

    def _follow(self) -> None:
        verdicts = iter(self.answer["verdicts"])
        active: dict[str, Json] = {}
        started: set[str] = set()
        refused = False
        for step in self.case["steps"]:
            if step["op"] == "remove":
                active.pop(step["uid"], None)
            elif step["op"] == "started":
                started.add(step["uid"])
            else:
                pod = step["pod"]
                uid = pod["metadata"]["uid"]
                admitted = Admitted(pod, next(verdicts), uid, _containers(pod), dict(active))
                admitted.again = uid in active
                admitted.changed = admitted.again and active[uid] != pod
                admitted.started = admitted.again and uid in started
                admitted.after_refusal = refused
                self.admissions.append(admitted)
                refused = not admitted.admit
                if refused:
                    active.pop(uid, None)
                else:
                    active[uid] = pod

    @property
    def error(self) -> str:
        """Of the answer."""
        return str(self.answer.get("error", ""))

    @property
    def kubelet(self) -> Json:
        """The configuration."""
        return dict(self.case["kubelet"])

    @property
    def policy(self) -> str:
        """Of the topology manager."""
        return str(self.case["kubelet"].get("topologyManagerPolicy") or "none")

    @property
    def scope(self) -> str:
        """In force; policy none knows no scope."""
        return "-" if self.policy == "none" else str(self.case["kubelet"].get("topologyManagerScope") or "container")

    @cached_property
    def options(self) -> set[str]:
        """Options of both managers that are on."""
        fields = ("cpuManagerPolicyOptions", "topologyManagerPolicyOptions")
        return {
            name
            for options in fields
            for name, value in (self.case["kubelet"].get(options) or {}).items()
            if value in _TRUE or value.isdigit()
        }

    @property
    def static_cpu(self) -> bool:
        """CPU manager policy."""
        return bool(self.case["kubelet"].get("cpuManagerPolicy") == "static")

    @property
    def static_memory(self) -> bool:
        """Memory manager policy."""
        return bool(self.case["kubelet"].get("memoryManagerPolicy") == "Static")

    @property
    def gate(self) -> bool:
        """Pod-level resources are managed."""
        return bool((self.case["kubelet"].get("featureGates") or {}).get(GATE))

    @property
    def zones(self) -> Sequence[Json]:
        """Of the machine."""
        return self.case["machine"]["topology"]  # type: ignore[no-any-return]

    @cached_property
    def cores(self) -> list[tuple[int, Json]]:
        """All cores with the ids of their zones."""
        return [(zone["node_id"], core) for zone in self.zones for core in zone.get("cores") or ()]

    @cached_property
    def zone_of_cpu(self) -> dict[int, int]:
        """CPU to zone id."""
        return {cpu: zone for zone, core in self.cores for cpu in core["thread_ids"]}

    @cached_property
    def most_memory(self) -> int:
        """Bytes of the largest zone, hugepages not counted."""
        return max(
            int(zone["memory"] - sum(pages["page_size"] * 1024 * pages["num_pages"] for pages in zone["hugepages"]))
            for zone in self.zones
        )

    @cached_property
    def most_cpus(self) -> int:
        """CPUs of the largest zone."""
        counts = [0]
        counts += [sum(len(core["thread_ids"]) for core in zone.get("cores") or ()) for zone in self.zones]
        return max(counts)

    @cached_property
    def devices(self) -> list[Json]:
        """All devices."""
        return [device for listed in self.case.get("devices", {}).values() for device in listed]

    def spans(self, cpus: str) -> int:
        """How many zones a CPU set touches."""
        return len({self.zone_of_cpu.get(cpu) for cpu in cpuset.members(cpuset.parse(cpus))})


def _containers(pod: Json) -> list[Container]:
    spec = pod["spec"]
    listed = []
    for kind, members in (("init", spec.get("initContainers", ())), ("app", spec["containers"])):
        for container in members:
            resources = container.get("resources", {})
            requests, limits = resources.get("requests", {}), resources.get("limits", {})
            kind_ = "sidecar" if container.get("restartPolicy") == "Always" else kind
            listed.append(Container(container["name"], kind_, _parsed(requests), _parsed(limits), requests))
    return listed


def _parsed(amounts: Mapping[str, str]) -> dict[str, Quantity]:
    return {name: quantity(text) for name, text in amounts.items()}


def quantity(text: str) -> Quantity:
    """Reads a quantity; what is none counts as zero."""
    try:
        return parse(text)
    except QuantityError:
        return ZERO
