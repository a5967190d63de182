"""
Would it fit: one pod asked of one node, with the figures that explain the answer.

The verdict is ``extender.fleet``'s, the same that filter gives; the score is the one that prioritize gives.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

from extender.fleet import Fit, Snapshot, placement_score, rooms
from extender.model.answer import Finding, Outcome
from extender.model.pod import Pod
from extender.what_if.alike import standing
from extender.what_if.site import Site
from extender.what_if.work import Work, each


def ask(snapshot: Snapshot, pod: Pod) -> Fit:
    """Asks the law and remembers nothing: what people ask is too varied to be worth remembering."""
    return Snapshot(snapshot.kubelet, snapshot.state).fit(pod, None)


def findings(sites: Sequence[Site], pod: Pod, what: str = "fit") -> Work[list[Finding]]:
    """Asks each node for itself; of nodes that are alike, one."""
    known: dict[Hashable, Finding] = {}
    found = []
    for progress, site in each(what, sites, len(sites)):
        like = standing(site.snapshot) if site.snapshot else site.name
        if like not in known:
            known[like] = finding(site, pod)
        found.append(replace(known[like], node=site.name, knowledge=site.knowledge, estimates=site.estimates))
        yield progress
    return found


def finding(site: Site, pod: Pod) -> Finding:
    """Asks one node."""
    if site.snapshot is None:
        return Finding(site.name, Outcome.UNKNOWN, why=site.fault, knowledge=site.knowledge)
    return explained(site, site.snapshot, ask(site.snapshot, pod))


def explained(site: Site, snapshot: Snapshot, fit: Fit) -> Finding:
    """Returns the law's answer with what a reader needs to understand it."""
    admitted = fit.admit
    after = rooms(snapshot.kubelet, fit.state) if admitted else ()
    return Finding(
        site.name,
        Outcome.CRASH if fit.verdict is None else Outcome.ADMITTED if admitted else Outcome.REFUSED,
        fit.verdict,
        fit.crash,
        snapshot.rooms,
        after,
        placement_score(snapshot, fit) if admitted else 0,
        snapshot.kubelet.configuration,
        site.knowledge,
        site.estimates,
    )
