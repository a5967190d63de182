"""
The node as a whole: what all its pods request together, against what its kubelet leaves to pods.

The resource managers look at zones; after them the kubelet's general predicates look at sums, pods that are not pinned
included. A scheduler looks at the same sums before it asks an extender, but does not know of pods that
another scheduler is about to bind; and who asks without a scheduler in between has to be told. Only cpu, memory and hugepages are summed: devices are the device manager's.

Source: pkg/kubelet/lifecycle/predicate.go (generalFilter), scheduler noderesources.Fits,
cm/node_container_manager_linux.go (GetNodeAllocatable), component-helpers resource/helpers.go (PodRequests).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from extender.kubelet.admission import Kubelet
from extender.kubelet.memory_manager import hugepages_type
from extender.kubelet.requests import CPU, MEMORY, has_pod_level_resources, is_memory
from extender.kubelet.reservation import reservation
from extender.model.answer import Overfull
from extender.model.configuration import Version
from extender.model.pod import Kind, Pod
from extender.quantity import NANO

Sums = Mapping[str, int]
"""Resource name to billionths of its unit."""


def requested(pod: Pod) -> dict[str, int]:
    """Returns what a pod requests of its node: its containers' requests as they run, or its budget's."""
    sums = _of_containers(pod)
    if pod.resources is not None and has_pod_level_resources(pod):
        sums |= {name: amount.nanos for name, amount in pod.resources.requests.items()}
    return {name: nanos for name, nanos in sums.items() if name == CPU or is_memory(name)}


def _of_containers(pod: Pod) -> dict[str, int]:
    total: dict[str, int] = {}
    sidecars: dict[str, int] = {}
    init: dict[str, int] = {}
    for container in pod.containers:
        for name, amount in container.resources.requests.items():
            if container.kind is not Kind.INIT:
                total[name] = total.get(name, 0) + amount.nanos
            if container.kind is Kind.SIDECAR:
                sidecars[name] = sidecars.get(name, 0) + amount.nanos
            elif container.kind is Kind.INIT:
                init[name] = max(init.get(name, 0), sidecars.get(name, 0) + amount.nanos)
    for name, nanos in init.items():
        total[name] = max(total.get(name, 0), nanos)
    return total


def together(pods: Iterable[Pod]) -> dict[str, int]:
    """Returns what pods request together."""
    sums: dict[str, int] = {}
    for pod in pods:
        for name, nanos in requested(pod).items():
            sums[name] = sums.get(name, 0) + nanos
    return sums


def allocatable(kubelet: Kubelet) -> dict[str, int]:
    """Returns what a kubelet leaves to pods: what there is less what it reserves; memory also less the hugepages."""
    machine = kubelet.machine
    sums = {CPU: machine.cpus * NANO, MEMORY: sum(zone.memory for zone in machine.zones) * NANO}
    for zone in machine.zones:
        for pages in zone.hugepages:
            size, type_ = pages.pages * pages.page_kib * 1024 * NANO, hugepages_type(pages.page_kib)
            sums[type_] = sums.get(type_, 0) + size
            sums[MEMORY] -= size
    for name, amount in reservation(machine, kubelet.configuration, kubelet.version).amounts.items():
        sums[name] = max(0, sums.get(name, 0) - amount.nanos)
    return sums


class Allocatable:
    """What kubelets leave to pods, worked out once for those that were made of the same things."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, Version], tuple[Kubelet, Sums]] = {}
        """The kubelet is kept, so that nothing else takes the identity of what it was made of."""

    def of(self, kubelet: Kubelet) -> Sums:
        """Returns what one leaves to pods."""
        made_of = id(kubelet.machine), id(kubelet.configuration), kubelet.version
        if made_of not in self._known:
            self._known[made_of] = kubelet, allocatable(kubelet)
        return self._known[made_of][1]


def overfull(there: Sums, used: Sums, asked: Sums) -> Overfull | None:
    """
    Returns the resource of which a node as a whole has not enough left, if there is one.

    Args:
        there: what the kubelet leaves to pods.
        used: what its pods request together.
        asked: what one more pod requests.
    """
    for name, nanos in asked.items():
        if name in there and nanos > 0 and nanos > there[name] - used.get(name, 0):
            return Overfull(name, nanos, used.get(name, 0), there[name])
    return None


def copies(there: Sums, used: Sums, asked: Sums) -> int | None:
    """Returns how many equal pods the node as a whole has room for; None if they request nothing of it."""
    rooms = [(there[name] - used.get(name, 0)) // nanos for name, nanos in asked.items() if name in there and nanos > 0]
    return max(0, min(rooms)) if rooms else None
