"""
What became of what was foretold: counted, and, where it went otherwise, logged with all it takes to replay it.

``case`` of a log line is a line for ``numa-extender replay``: the pods of the node's last report, as far as they are
known, in the order of their admission, then those on their way. ``held`` is what the report says that each pod holds,
as the report's own attribute has it, for cases whose history matters.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

from extender.inventory.comparison import Outcome, compare
from extender.inventory.live import Disappointment
from extender.inventory.node import Node
from extender.metrics import Metrics
from extender.model.pod import Pod
from extender.wire.case import case_to_json
from extender.wire.node_state import pods_to_json
from extender.wire.replay import Case, Op, Step

log = logging.getLogger(__name__)

_REASON = re.compile(r"[A-Za-z-]{1,40}")
"""Reasons of the kubelet; ``OutOf<extended resource>`` are as many as there are resources and count as other."""


def placed(metrics: Metrics, before: Node, after: Node) -> None:
    """Takes note of the pods that a report has for the first time."""
    for placement in compare(before, after):
        metrics.placements.labels(str(placement.outcome)).inc()
        if placement.outcome is Outcome.DIFFERENT:
            assert before.snapshot is not None
            assert after.report is not None
            uid = placement.pod.uid
            details = {
                **_named(after.name, placement.pod),
                "foretold": pods_to_json(before.snapshot.state).get(uid),
                "found": pods_to_json(after.report.state).get(uid),
                **_case(before),
            }
            log.warning("a pod is not where it was foretold to be", extra=details)


def refused(metrics: Metrics, disappointment: Disappointment) -> None:
    """Takes note of a pod that its kubelet has refused."""
    seen, before = disappointment.seen, disappointment.before
    reason = seen.refusal if _REASON.fullmatch(seen.refusal) else "other"
    passed = "true" if disappointment.passed else "false"
    metrics.kubelet_refusals.labels(reason, passed).inc()
    details = {**_named(seen.node, seen.pod), "reason": seen.refusal, "passed": disappointment.passed}
    level = logging.WARNING if disappointment.passed else logging.INFO
    log.log(level, "a kubelet has refused a pod", extra={**details, **_case(before, seen.pod)})


def _named(node: str, pod: Pod) -> dict[str, object]:
    return {"node": node, "pod": f"{pod.namespace}/{pod.name}", "uid": pod.uid}


def _case(node: Node, *more: Pod) -> dict[str, object]:
    """The case that a node is, where it is known."""
    report = node.report
    if report is None:
        return {}
    case = Case(
        id=f"{node.name}@{report.resource_version or report.heartbeat}",
        version=report.version,
        machine=report.machine,
        configuration=report.configuration,
        devices=report.state.device.reported,
        steps=tuple(_steps(node, more)),
    )
    return {"case": case_to_json(case), "held": pods_to_json(report.state), "estimates": list(report.estimates)}


def _steps(node: Node, more: tuple[Pod, ...]) -> Iterator[Step]:
    assert node.report is not None
    active = node.report.state.active
    ordered = [node.held[uid] for uid in active if uid in node.held]
    ordered += [held for uid, held in node.held.items() if uid not in active and held.over is None]
    for held in ordered:
        yield Step(Op.ADMIT, held.pod.uid, held.pod)
        if held.started:
            yield Step(Op.STARTED, held.pod.uid)
    known = {held.pod.uid for held in ordered}
    yield from (Step(Op.ADMIT, pod.uid, pod) for pod in more if pod.uid not in known)
