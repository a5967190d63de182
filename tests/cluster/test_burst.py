"""
A burst of pods on nodes of every kind, then pods that come and go: no kubelet refuses one.

The control is the same burst with the scheduler alone. BURST_NODES, BURST_PODS, BURST_SECONDS (of churn) and SEED in
the environment ask for more and for others; the full form is 24, 1000 and 300.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from burst_knowledge import Observer, reports
from burst_nodes import STALE_SECONDS, Nodes, running
from burst_run import Run, following, placements, share, told, wait_idle
from burst_size import LEAST_SHARE, LONGEST_WAIT_SECONDS, asked
from lab.api import Api
from lab.control_plane import ControlPlane
from lab.product import Product, metric

from conftest import ExtenderFactory, SchedulerFactory

NODES, PODS, SECONDS, SEED, LIMIT = asked(pods=150, seconds=30)
OURS: dict[str, Any] = {"schedulerName": "numa-scheduler"}

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200 + 4 * LIMIT + 2 * SECONDS)]


@pytest.fixture(scope="module")
def nodes(control_plane: ControlPlane, product: Product) -> Iterator[Nodes]:
    """All nodes, once for this file."""
    with running(control_plane, product, NODES) as nodes:
        yield nodes


def test_without_the_extender_kubelets_refuse(
    nodes: Nodes, scheduler: SchedulerFactory, api: Api, namespace: str, tmp_path: Path, figures: list[str]
) -> None:
    """The control: the same pods, placed by the scheduler alone, are refused by the dozen."""
    path = tmp_path / "scheduler.yaml"
    path.write_text("apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n")
    scheduler(path, extender_url=None).start()
    wait_idle(api, nodes)
    with following(Run(api, namespace, SEED)) as run:
        seconds = run.burst(run.draw(PODS), LIMIT)
        figures.append(f"burst on {NODES} nodes, the scheduler alone: {told(run)}, settled in {seconds:.0f} s")

        assert run.record.refusals().total() > 0


def test_with_the_extender_no_kubelet_refuses(
    binds: bool,
    configuration: Path,
    nodes: Nodes,
    extender: ExtenderFactory,
    scheduler: SchedulerFactory,
    control_plane: ControlPlane,
    api: Api,
    namespace: str,
    figures: list[str],
) -> None:
    """All pods that full knowledge would place are placed, soon, where the twin foretold, and none is refused."""
    wait_idle(api, nodes)
    before = reports(api)
    url = extender({"rules": {"assume": "bind" if binds else "filter", "staleSeconds": STALE_SECONDS}})
    scheduler(configuration, extender_url=url).start()
    observer = Observer(control_plane.kubeconfig("observer", "system:masters"))
    with following(Run(api, namespace, SEED, [OURS])) as run, observer:
        pods = run.draw(PODS)
        seconds = run.burst(pods, LIMIT)
        placed, possible = share(run, before, pods)
        figures.append(
            f"burst on {NODES} nodes, {'with' if binds else 'without'} bindVerb: {told(run)}, settled in {seconds:.0f} s; "
            f"{placed} of {possible} that full knowledge places ({placed / possible:.1%})"
        )
        run.churn(SECONDS)
        run.settle(LIMIT)
        outcomes = placements(url)
        busy = metric(url, "numa_extender_refusals_total", cause="too-many-orders")
        conflicts = metric(url, "numa_extender_bindings_total", result="conflict")
        figures.append(
            f"  after {SECONDS} s of churn: {told(run)}; placements {outcomes}; longest wait while a node would admit "
            f"{observer.longest[0]:.1f} s; nodes called busy {busy:.0f} times, bindings in conflict {conflicts:.0f}"
        )

        assert {} == run.record.refusals()
        assert placed >= LEAST_SHARE * possible
        assert observer.longest[0] <= LONGEST_WAIT_SECONDS, observer.longest
        assert 0 == metric(url, "numa_extender_kubelet_refusals_total", passed="true")
        assert outcomes["different"] <= sum(outcomes.values()) / 1000
