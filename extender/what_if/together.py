"""
Several pods, one after the other: each goes to the node that this extender would prefer, and the next finds it there.

The scheduler's other plugins have a say too in a real cluster; which node a pod would go to is therefore one good
answer of several, whether it can be placed after the ones before it is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from extender.fleet import Shape, Snapshot, shape_of
from extender.model.answer import Finding, Place
from extender.model.pod import Pod
from extender.what_if.fit import finding
from extender.what_if.site import Pods, Running, Site
from extender.what_if.work import Progress, Work


def placed(sites: Sequence[Site], pods: Sequence[Pod], what: str = "place") -> Work[tuple[list[Place], list[Site]]]:
    """
    Places pods in their order.

    Returns:
        Where each went, and the nodes with all that were placed.
    """
    fleet = _Fleet(sites)
    places = []
    for number, pod in enumerate(pods, start=1):
        found = yield from fleet.ask(pod, Progress(what, number, len(pods)))
        best = _best(found)
        if best is None:
            places.append(Place(pod, refusals={one.node: one for one in found}))
        else:
            places.append(Place(pod, best))
            fleet.add(best.node, pod)
    return places, list(fleet.sites.values())


class _Fleet:
    """The nodes, and what they answered to each shape of pod; only a node that has changed is asked again."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self.sites = {site.name: site for site in sites}
        self._known: dict[Shape, dict[str, Finding]] = {}

    def ask(self, pod: Pod, progress: Progress) -> Work[list[Finding]]:
        shape = shape_of(pod)
        known = self._known.setdefault(shape, {})
        yield progress
        for name, site in self.sites.items():
            if name not in known:
                known[name] = finding(site, pod)
                yield progress
        return [known[name] for name in self.sites]

    def add(self, name: str, pod: Pod) -> None:
        site = self.sites[name]
        assert site.snapshot is not None
        after: Snapshot = site.snapshot.after(pod)
        pods = Pods({**site.pods, pod.uid: Running(pod, started=False)})
        self.sites[name] = replace(site, snapshot=after, pods=pods)
        for known in self._known.values():
            known.pop(name, None)


def _best(found: Sequence[Finding]) -> Finding | None:
    """The highest score, and of equal ones the first by name."""
    fitting = [one for one in found if one.fits]
    return min(fitting, key=lambda one: (-one.score, one.node), default=None)
