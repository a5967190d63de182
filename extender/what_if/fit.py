"""
Would it fit: one pod asked of one node, with the figures that explain the answer.

The verdict is ``extender.fleet``'s, the same that filter gives, and then what the node as a whole has left, which a
scheduler looks at by itself; the score is the one that prioritize gives.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

from extender.fleet import Fit, Snapshot, placement_score, rooms
from extender.inventory.totals import Allocatable, Sums, allocatable, overfull, requested
from extender.model.answer import Finding, Outcome, Overfull
from extender.model.pod import Pod
from extender.model.verdict import Admission, Verdict
from extender.what_if.alike import standing
from extender.what_if.site import Site
from extender.what_if.work import Work, each


def ask(snapshot: Snapshot, pod: Pod) -> Fit:
    """Asks the law and remembers nothing: what people ask is too varied to be worth remembering."""
    return Snapshot(snapshot.kubelet, snapshot.state).fit(pod, None)


def judged(site: Site, pod: Pod) -> Verdict | Overfull | None:
    """Returns what the kubelet would say, its managers and its general predicates; None where nothing is to be said."""
    if site.snapshot is None:
        return None
    verdict = ask(site.snapshot, pod).verdict
    if not isinstance(verdict, Admission):
        return verdict
    return overfull(allocatable(site.snapshot.kubelet), site.pods.requested, requested(pod)) or verdict


def findings(sites: Sequence[Site], pod: Pod, what: str = "fit") -> Work[list[Finding]]:
    """Asks each node for itself; of nodes that are alike to the managers, one."""
    known: dict[Hashable, Finding] = {}
    there, asked = Allocatable(), requested(pod)
    found = []
    for progress, site in each(what, sites, len(sites)):
        like = standing(site.snapshot) if site.snapshot else site.name
        if like not in known:
            known[like] = managers(site, pod)
        own = replace(known[like], node=site.name, knowledge=site.knowledge, estimates=site.estimates)
        found.append(as_a_whole(site, asked, own, there))
        yield progress
    return found


def finding(site: Site, pod: Pod) -> Finding:
    """Asks one node."""
    return as_a_whole(site, requested(pod), managers(site, pod), Allocatable())


def managers(site: Site, pod: Pod) -> Finding:
    """Asks the resource managers of one node."""
    if site.snapshot is None:
        return Finding(site.name, Outcome.UNKNOWN, why=site.fault, knowledge=site.knowledge)
    return explained(site, site.snapshot, ask(site.snapshot, pod))


def as_a_whole(site: Site, asked: Sums, found: Finding, there: Allocatable) -> Finding:
    """Adds what the general predicates say to a pod that the managers admit."""
    if site.snapshot is None or not found.fits:
        return found
    lack = overfull(there.of(site.snapshot.kubelet), site.pods.requested, asked)
    return replace(found, outcome=Outcome.REFUSED, overfull=lack, after=(), score=0) if lack else found


def explained(site: Site, snapshot: Snapshot, fit: Fit) -> Finding:
    """Returns the law's answer with what a reader needs to understand it."""
    admitted = fit.admit
    return Finding(
        site.name,
        Outcome.CRASH if fit.verdict is None else Outcome.ADMITTED if admitted else Outcome.REFUSED,
        fit.verdict,
        why=fit.crash,
        before=snapshot.rooms,
        after=rooms(snapshot.kubelet, fit.state) if admitted else (),
        score=placement_score(snapshot, fit) if admitted else 0,
        configuration=snapshot.kubelet.configuration,
        knowledge=site.knowledge,
        estimates=site.estimates,
    )
