"""
The burst of test_burst.py while something goes wrong: nothing that we let through is refused, and all settles.

Environment: BURST_NODES, BURST_PODS, BURST_SECONDS (of churn), SEED as there; BURST_BINDS is ``with``, ``without`` or
``with,without`` and says whether the scheduler leaves binding to the extender. In full: 24, 1000, 300 and both.

What a kubelet refuses that had been running on it is counted apart: kubelets up to 1.37.2 do so after a restart. And
what passed us may be refused where another scheduler, which does not ask us, binds to the same node in the same moment;
not so with a guard, where neither ours nor what the other one binds is refused. That one's pods may wait in vain there: it
does not know of zones and chooses a node again that has been denied.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from burst_faults import FAULTS, Scene
from burst_knowledge import Observer
from burst_nodes import STALE_SECONDS, Nodes, running
from burst_run import Run, following, told, wait_idle
from burst_size import asked
from lab.api import Api
from lab.control_plane import ControlPlane
from lab.guard import Guard, guarding
from lab.product import Product
from lab.scheduler import OURS, configuration_file
from lab.waiting import eventually

from conftest import SchedulerFactory

NODES, PODS, SECONDS, SEED, LIMIT = asked(pods=120, seconds=8)
BINDS = os.environ.get("BURST_BINDS", "with").split(",")
SECOND = "second-numa-scheduler"
FOREIGN = "default-scheduler"
GUARDED = "foreign pods, guarded"
SCHEDULERS: Mapping[str, tuple[str, ...]] = {
    "second scheduler": (OURS, SECOND),
    "foreign pods": (OURS, OURS, FOREIGN),
    GUARDED: (OURS, OURS, FOREIGN),
}
"""Of the pods, in turn; otherwise all are ours."""

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600 + 4 * LIMIT + 2 * SECONDS)]


@pytest.fixture(scope="module")
def nodes(control_plane: ControlPlane, product: Product) -> Iterator[Nodes]:
    """All nodes, once for this file."""
    with running(control_plane, product, NODES) as nodes:
        yield nodes


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("binds", BINDS)
def test_no_kubelet_refuses_whatever_goes_wrong(
    fault: str,
    binds: str,
    nodes: Nodes,
    product: Product,
    scheduler: SchedulerFactory,
    control_plane: ControlPlane,
    api: Api,
    namespace: str,
    tmp_path: Path,
    figures: list[str],
) -> None:
    """Whatever goes wrong in mid-burst and again in mid-churn, what passed us is admitted, and in the end nobody waits."""
    wait_idle(api, nodes)
    schedulers = SCHEDULERS.get(fault, (OURS,))
    run = Run(api, namespace, SEED, [{"schedulerName": name} for name in schedulers])

    def knows_zones(uid: str) -> bool:
        fate = run.record.fates.get(uid)
        return fault != GUARDED or fate is None or fate.scheduler != FOREIGN

    observer = Observer(control_plane.kubeconfig("observer", "system:masters"), knows_zones)
    with ExitStack() as stack:
        guard = (
            stack.enter_context(guarding(control_plane, product, namespace, _rules(binds)))
            if fault == GUARDED
            else None
        )
        extender, url = (guard.process, guard.url) if guard else stack.enter_context(_extender(product, binds))
        for name in dict.fromkeys(schedulers):
            path = configuration_file(
                tmp_path / f"{name}.yaml", binds=binds == "with", name=name, tls=guard.tls if guard else None
            )
            scheduler(path, extender_url=None if name == FOREIGN else url, name=f"{name}-{namespace}").start()
        scene = Scene(control_plane, nodes, run, extender, guard.health if guard else url)
        trouble = FAULTS[fault](scene)
        stack.enter_context(following(run))
        stack.enter_context(observer)
        bound: list[int] = []

        def midway() -> None:
            bound.append(run.record.placed())
            trouble.strike()

        seconds = run.burst(run.draw(PODS), LIMIT, midway)
        placed = run.record.placed()
        figures.append(
            f"{fault}, {binds} bindVerb, {NODES} nodes: struck when {bound[0]} pods were bound; {told(run)}, settled in {seconds:.0f} s"
        )
        run.churn(SECONDS / 2)
        trouble.strike()
        run.churn(SECONDS / 2)
        trouble.mend()
        run.settle(LIMIT)
        eventually("all bound pods to run", LIMIT, lambda: not run.record.halted())
        eventually("no pod to wait while a node would admit it", LIMIT, observer.nobody_waits_in_vain)
        outcomes = scene.placements()
        ours = sum((run.record.refusals(name) for name in {OURS, SECOND}), start=run.record.refusals("none"))
        figures.append(
            f"  after {SECONDS} s of churn: {told(run)}; placements {dict(outcomes)}; longest wait while a node would "
            f"admit {observer.longest[0]:.1f} s; refused that passed us {dict(ours) or 0}"
            + (", all as foreign bindings crossed" if FOREIGN in schedulers and ours else "")
            + (f"; drained {scene.drained}" if scene.drained else "")
        )
        if guard:
            _check_guard(guard, run, figures)

        assert bound[0] < placed, "the fault came when all was over"
        assert (run.record.raced(FOREIGN) if FOREIGN in schedulers and not guard else {}) == ours
        assert fault == "kubelets restarted" or not run.record.refused_again()
        assert outcomes["different"] <= outcomes.total() / 1000


def _check_guard(guard: Guard, run: Run, figures: list[str]) -> None:
    """Every Binding was asked about and answered, and so no pod is refused, whoever bound it."""
    foreign = [fate for fate in run.record.all() if fate.scheduler == FOREIGN]
    results = {result: guard.count(result) for result in ("allowed", "denied", "unknown")}
    refused = run.record.refusals(FOREIGN)
    figures.append(
        f"  the guard: Bindings {results}, without an answer {guard.unanswered()}; of {len(foreign)} foreign pods "
        f"{sum(fate.bound is not None for fate in foreign)} were bound, {sum(fate.waits and fate.denied for fate in foreign)} "
        f"wait, denied, and their kubelets refused {dict(refused) or 0}"
    )

    assert 0 == guard.unanswered()
    assert 0 == results["unknown"]
    assert results["allowed"] >= sum(fate.bound is not None for fate in run.record.all())
    assert 0 < results["denied"]
    assert {} == refused


def _rules(binds: str) -> dict[str, Any]:
    return {"rules": {"assume": "bind" if binds == "with" else "filter", "staleSeconds": STALE_SECONDS}}


@contextmanager
def _extender(product: Product, binds: str) -> Iterator[tuple[Any, str]]:
    process, url = product.extender(_rules(binds))
    process.start()
    try:
        yield process, url
    finally:
        process.stop()
