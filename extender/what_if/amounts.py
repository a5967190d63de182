"""
A pod with other amounts: what a person would change in its manifest, and how the change is told field by field.

A *dial* is one amount of a pod that can be turned down: of the whole budget, of one container, or of all containers
together. A pod that comes out of a dial is one that an API server would take.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from extender.kubelet.requests import HUGEPAGES, is_memory
from extender.model.answer import Edit
from extender.model.configuration import Amounts
from extender.model.pod import Container, Kind, Pod, Resources
from extender.quantity import NANO, ZERO, Format, Quantity, of, parse

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Dial:
    """One amount that can be turned down; CPUs, bytes or devices."""

    resource: str
    container: str | None = None
    """The container that it belongs to; None for the pod: its budget, or all containers together."""

    @property
    def step(self) -> int:
        """The smallest change that makes sense."""
        return _step(self.resource)

    def read(self, pod: Pod) -> int:
        """Returns the present amount, rounded up to a whole unit."""
        if self.container is not None:
            return _amount(_container(pod, self.container).resources.requests, self.resource)
        if _has_budget(pod, self.resource):
            assert pod.resources is not None
            return _amount(pod.resources.requests, self.resource)
        return _total(pod, self.resource)

    def turned(self, pod: Pod, amount: int) -> Pod:
        """Returns the pod with another amount; a pod that asks for none of the resource stays as it is."""
        if self.container is not None:
            return _with_amounts(pod, self.resource, {self.container: amount})
        if _has_budget(pod, self.resource):
            return _with_budget(pod, self.resource, amount)
        if amount > self.read(pod) > 0:
            return _raised(pod, self.resource, amount)
        return _leveled(pod, self.resource, amount)


def _step(resource: str) -> int:
    """One CPU or device, a page, or a mebibyte."""
    if resource.startswith(HUGEPAGES):
        return max(1, parse(resource.removeprefix(HUGEPAGES)).value)
    return MEBIBYTE if is_memory(resource) else 1


def _container(pod: Pod, name: str) -> Container:
    return next(container for container in pod.containers if container.name == name)


def _amount(amounts: Amounts, resource: str) -> int:
    return -(-amounts.get(resource, ZERO).nanos // NANO)


def _has_budget(pod: Pod, resource: str) -> bool:
    return pod.resources is not None and resource in pod.resources.requests


def quantity(resource: str, amount: int) -> Quantity:
    """Returns an amount as people write it."""
    return of(amount, Format.BINARY_SI if is_memory(resource) else Format.DECIMAL_SI)


def set_amount(resources: Resources, resource: str, amount: int) -> Resources:
    """Returns resources with another amount, in requests and limits, as far as they have one."""
    text = quantity(resource, amount)

    def changed(amounts: Amounts) -> Amounts:
        return {**amounts, resource: text} if resource in amounts else amounts

    return Resources(changed(resources.requests), changed(resources.limits))


def _with_amounts(pod: Pod, resource: str, amounts: Mapping[str, int]) -> Pod:
    """The pod with other amounts in the named containers."""
    containers = tuple(
        replace(container, resources=set_amount(container.resources, resource, amounts[container.name]))
        if container.name in amounts
        else container
        for container in pod.containers
    )
    return replace(pod, containers=containers)


def _with_budget(pod: Pod, resource: str, amount: int) -> Pod:
    """The pod with a smaller budget; containers give way only if they must, and leave the others a share as before."""
    assert pod.resources is not None
    before, inside = _amount(pod.resources.requests, resource), _total(pod, resource)
    shared = max(0, before - inside)
    kept = min(shared, max(1, shared * amount // before)) if shared else 0
    smaller = replace(pod, resources=set_amount(pod.resources, resource, amount))
    return _leveled(smaller, resource, max(0, amount - kept)) if inside > amount - kept else smaller


def _total(pod: Pod, resource: str) -> int:
    """What the containers ask for together, in the order in which they run (AggregateContainerRequests)."""
    amounts = {container.name: _amount(container.resources.requests, resource) for container in pod.containers}
    return _effective(pod, amounts)


def _effective(pod: Pod, amounts: Mapping[str, int]) -> int:
    init, sidecars, apps = 0, 0, 0
    for container in pod.containers:
        amount = amounts.get(container.name, 0)
        if container.kind is Kind.SIDECAR:
            sidecars += amount
            init = max(init, sidecars)
        elif container.kind is Kind.INIT:
            init = max(init, sidecars + amount)
        else:
            apps += amount
    return max(init, apps + sidecars)


def _leveled(pod: Pod, resource: str, total: int) -> Pod:
    """
    The pod whose containers ask for no more than ``total`` together.

    The largest give way first, down to a common level; what is left below the level goes to the first of them.
    """
    asking = {
        container.name: amount
        for container in pod.containers
        if (amount := _amount(container.resources.requests, resource)) > 0
    }
    names = list(asking)
    if not names:
        return pod
    unit = _step(resource) if total >= _step(resource) * len(names) or resource.startswith(HUGEPAGES) else 1

    def at(level: int) -> dict[str, int]:
        low, extra = divmod(level, len(names))
        return {name: min(asking[name], (low + (place < extra)) * unit) for place, name in enumerate(names)}

    low, high = 0, (max(asking.values()) // unit + 1) * len(names)
    while low < high:
        middle = (low + high + 1) // 2
        if _effective(pod, at(middle)) <= total:
            low = middle
        else:
            high = middle - 1
    chosen = at(low)
    return _with_amounts(pod, resource, {name: amount for name, amount in chosen.items() if amount != asking[name]})


def _raised(pod: Pod, resource: str, total: int) -> Pod:
    """The pod whose largest app container asks for so much more that all ask for ``total`` together."""
    apps = [one for one in pod.containers if one.kind is Kind.APP and _amount(one.resources.requests, resource)]
    if not apps:
        return pod
    largest = max(apps, key=lambda one: _amount(one.resources.requests, resource))
    rest = _total(_with_amounts(pod, resource, {largest.name: 0}), resource)
    others = sum(_amount(one.resources.requests, resource) for one in pod.containers if one.kind is not Kind.INIT)
    others -= _amount(largest.resources.requests, resource)
    return _with_amounts(pod, resource, {largest.name: total - min(rest, others)})


def edits(before: Pod, after: Pod, spec: str) -> tuple[Edit, ...]:
    """
    Returns the fields in which two forms of a pod differ.

    Args:
        before: as asked.
        after: the same containers with other amounts.
        spec: where the pod's spec stands in the object that was asked about.
    """
    found: list[Edit] = []
    names = ["the pod", *(container.name for container in before.containers)]
    places = zip(names, _places(before, spec), _places(after, spec), strict=True)
    for owner, (path, old), (_, new) in places:
        for section in ("limits", "requests"):
            was, now = getattr(old, section), getattr(new, section)
            for name in dict.fromkeys([*was, *now]):
                if was.get(name) != now.get(name):
                    at = f"{path}.{section}{_key(name)}"
                    found.append(Edit("pod", at, _text(was.get(name)), _text(now.get(name)), f"{name} of {owner}"))
    return tuple(found)


def _places(pod: Pod, spec: str) -> Iterator[tuple[str, Resources]]:
    yield f"{spec}.resources", pod.resources or Resources()
    counted = {"initContainers": 0, "containers": 0}
    for container in pod.containers:
        listed = "containers" if container.kind is Kind.APP else "initContainers"
        yield f"{spec}.{listed}[{counted[listed]}].resources", container.resources
        counted[listed] += 1


def _key(name: str) -> str:
    return f".{name}" if name.replace("-", "").isalnum() else f'["{name}"]'


def _text(amount: Quantity | None) -> str | None:
    return None if amount is None else str(amount)


def cost(before: Pod, after: Pod) -> int:
    """Returns the largest relative change of an amount, in thousandths, rounded up."""
    largest = 0
    for (_, old), (_, new) in zip(_places(before, ""), _places(after, ""), strict=True):
        for section in ("limits", "requests"):
            was, now = getattr(old, section), getattr(new, section)
            for name in was.keys() & now.keys():
                if was[name].nanos and was[name] != now[name]:
                    largest = max(largest, -(-abs(was[name].nanos - now[name].nanos) * 1000 // was[name].nanos))
    return largest
