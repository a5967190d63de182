"""
How each piece of news changes what is known of a node.

A verdict is made on the last report, on what has certainly happened since, and on every pod known to be bound here
and not in the report, bindings on their way included: in the order in which we learned of them, and then, as that need
not be the kubelet's order, in every other one (``courses``).
"""

from __future__ import annotations

from dataclasses import replace

from extender.fleet import Shape, shape_of
from extender.inventory.courses import looked_out
from extender.inventory.ground import Ground
from extender.inventory.node import NO_REPORT, Held, Node, in_report
from extender.kubelet import admission
from extender.kubelet.admission import Kubelet
from extender.kubelet.errors import KubeletCrash, StartError
from extender.model.observed import ObservedPod
from extender.model.pod import Pod
from extender.model.report import Report

OTHER_NODE = "its report is about an earlier node of its name"
REPORT_DELAY_SECONDS = 10.0
"""
For so long a pod that was here and is over is remembered, and until a report came so long after it: others may have been
admitted while it was there.
"""


def listed(node: Node, *, known: bool, uid: str) -> Node:
    """Takes note whether the API server has a Node of this name, and which one."""
    if (node.listed, node.uid) == (known, uid):
        return node
    return _settled(replace(node, listed=known, uid=uid))


def told(node: Node) -> Node:
    """Takes note that all pods that the API server has are known: what a report has besides is about to go."""
    return _settled(replace(node, told=True))


def reported(node: Node, report: Report, now: float, age: float, owner: str = "") -> Node:
    """
    Takes a report in.

    Args:
        node: what was known.
        report: the news.
        now: our own clock.
        age: seconds since the report's heartbeat by the clocks of node and extender. They are trusted only for the
            first report of a node; from then on a new heartbeat is news, whatever its time.
        owner: uid of the Node that it is about; empty where it does not tell.
    """
    old = node.report if owner == node.owner else None
    if old is None or report.heartbeat is None:
        heard = now - max(0.0, age)
    else:
        heard = node.heard if report.heartbeat == old.heartbeat else now
    fresh = replace(node, report=report, heard=heard, owner=owner, fault="")
    if old is not None and node.snapshot is not None and replace(old, heartbeat=report.heartbeat) == report:
        same = replace(fresh, report=replace(report, state=old.state))
        pruned = _pruned(same, now)
        return same if pruned is same else _settled(pruned)
    held = {
        uid: replace(one, included=one.seen.started and one.over is None, reported=one.reported and old is not None)
        for uid, one in node.held.items()
    }
    return _settled(_pruned(replace(fresh, held=held, kubelet=_kubelet(node, report)), now))


def unreported(node: Node, fault: str = NO_REPORT) -> Node:
    """Takes note that the node has no report any more, or one that cannot be used, and why."""
    return replace(_blind(node), report=None, fault=fault, kubelet=None, owner="", stale=False)


def observed(node: Node, seen: ObservedPod, now: float, *, passed: bool = False, after_silence: bool = False) -> Node:
    """
    Takes in a pod that is bound to the node.

    Args:
        node: what was known.
        seen: the pod.
        now: our own clock.
        passed: whether we have let it through to this node.
        after_silence: whether others may have come and gone since it was bound of whom we have not heard.
    """
    before = node.held.get(seen.pod.uid)
    late = (before.late if before is not None else seen.admitted) or (after_silence and not _counted(node, before))
    if before is not None and before.until is None and (before.over is not None or _same(before, seen, late=late)):
        return node
    if before is not None and _confirms(before, seen, late=late):
        return replace(node, held={**node.held, seen.pod.uid: replace(before, seen=seen, until=None)})
    shape = before.shape if before is not None and before.pod == seen.pod else shape_of(seen.pod)
    if before is not None and before.shape == shape:
        held = replace(before, seen=seen, until=None, late=late)
    else:
        held = Held(seen, shape, late=late, passed=passed or (before is not None and before.passed))
    if seen.terminal:
        held = replace(held, over=now)
    return _settled(_pruned(replace(node, held={**node.held, seen.pod.uid: held}), now))


def _same(held: Held, seen: ObservedPod, *, late: bool) -> bool:
    return held.seen == seen and held.late == late


def _confirms(held: Held, seen: ObservedPod, *, late: bool) -> bool:
    """Whether a pod is here as it was assumed to be: then nothing else follows from it."""
    known = replace(held.seen, priority=seen.priority, plain=seen.plain)
    return held.until is not None and held.over is None and held.late == late and known == seen


def _counted(node: Node, held: Held | None) -> bool:
    return held is not None and node.report is not None and in_report(node.report, held.pod.uid, held)


def departed(node: Node, uid: str, now: float) -> Node:
    """
    Takes note that a pod was deleted from the API.

    Its kubelet hears of it before it hears of any pod that is bound later, and frees what it held although its
    containers may still be ending (HandlePodRemoves, removeStaleState).
    """
    held = node.held.get(uid)
    if held is None:
        return node
    over = replace(held, over=now if held.over is None else held.over)
    return _settled(_pruned(replace(node, held={**node.held, uid: over}), now))


def assumed(node: Node, pod: Pod, shape: Shape, until: float) -> Node:
    """Counts a pod as being on the node although the API server has not shown it there yet."""
    held = Held(ObservedPod(pod, node.name), shape, passed=True, until=until)
    return _settled(replace(node, held={**node.held, pod.uid: held}))


def renewed(node: Node, uid: str, until: float) -> Node:
    """Counts an assumed pod for longer."""
    return replace(node, held={**node.held, uid: replace(node.held[uid], until=until)})


def forgotten(node: Node, uid: str) -> Node:
    """Takes an assumed pod back."""
    return _settled(replace(node, held={other: held for other, held in node.held.items() if other != uid}))


def ages(node: Node) -> bool:
    """Whether anything about its pods is known only for a time."""
    return any(held.until is not None or held.over is not None for held in node.held.values())


def aged(node: Node, now: float, stale_seconds: float) -> Node:
    """Takes the time into account: silence of the exporter, and assumed bindings that never came true."""
    overdue = [uid for uid, held in node.held.items() if held.until is not None and held.until <= now]
    heartbeat = node.report.heartbeat if node.report else None
    stale = heartbeat is not None and node.heard < now - stale_seconds
    if overdue:
        node = replace(node, held={uid: held for uid, held in node.held.items() if uid not in overdue})
    pruned = _pruned(node, now)
    return node if stale == node.stale and pruned is node and not overdue else _settled(replace(pruned, stale=stale))


def _pruned(node: Node, now: float) -> Node:
    """The node without pods that are over, not in the report, and too long ago to have been in anybody's way."""
    if all(held.over is None for held in node.held.values()):
        return node
    there = {uid for uid, held in node.held.items() if node.report and in_report(node.report, uid, held)}
    waiting = any(held.over is None and uid not in there for uid, held in node.held.items())
    kept = {
        uid: held
        for uid, held in node.held.items()
        if held.over is None or uid in there or (waiting and min(now, node.heard) - held.over < REPORT_DELAY_SECONDS)
    }
    return node if len(kept) == len(node.held) else replace(node, held=kept)


def _kubelet(node: Node, report: Report) -> Kubelet | None:
    """The kubelet of a report; the old one serves where nothing that makes it has changed."""
    old = node.report
    if old is None:
        return None
    same = (old.machine, old.configuration, old.version) == (report.machine, report.configuration, report.version)
    return node.kubelet if same else None


def _settled(node: Node) -> Node:
    """The node with the snapshot and the outlook that follow from everything known of it."""
    report = node.report
    if report is None:
        return node
    if node.uid and node.owner and node.uid != node.owner:
        return replace(_blind(node), fault=OTHER_NODE)
    try:
        kubelet = node.kubelet or admission.start(report.machine, report.configuration, report.version)
        ground = node.ground
        if ground is None or ground.kubelet is not kubelet or ground.state is not report.state:
            outlines = ground.outlines if ground is not None and ground.kubelet is kubelet else None
            ground = Ground(kubelet, report.state, outlines)
        view = looked_out(ground, node, report)
    except StartError as error:
        return replace(_blind(node), kubelet=None, fault=f"its kubelet would not start: {error}")
    except KubeletCrash as crash:
        return replace(_blind(node), fault=f"its kubelet would crash or hang on a pod bound to it: {crash}")
    held = {
        uid: replace(one, reported=True, late=False) if uid in view.there and (one.late or not one.reported) else one
        for uid, one in node.held.items()
    }
    return replace(
        node, held=held, kubelet=kubelet, ground=view.ground, snapshot=view.likely, outlook=view.outlook, fault=""
    )


def _blind(node: Node) -> Node:
    return replace(node, ground=None, snapshot=None, outlook=None)
