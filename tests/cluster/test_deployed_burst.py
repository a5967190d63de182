"""
The burst of test_burst.py on what deploy/ installs: the exporters of the DaemonSet and the replicas of the secondary
scheduler, with exactly the accounts, rights, settings and arguments of the manifests.

Environment: BURST_NODES, BURST_PODS, BURST_SECONDS (of churn), SEED as there.
"""

from collections import Counter
from collections.abc import Iterator

import pytest
from burst_knowledge import Observer, reports
from burst_nodes import Nodes, started
from burst_run import Run, following, placements, share, told, wait_idle
from burst_size import LEAST_SHARE, LONGEST_WAIT_SECONDS, asked
from lab.api import Api, Object
from lab.control_plane import ControlPlane
from lab.deployment import Kubectl, Pod
from lab.installation import bound_by, exporter, health, install, node_address, replicas
from lab.kubelet import Kubelet
from lab.process import Process
from lab.scheduler import OURS
from lab.waiting import eventually

NODES, PODS, SECONDS, SEED, LIMIT = asked(pods=120, seconds=8)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900 + 4 * LIMIT + 2 * SECONDS)]


@pytest.fixture(scope="module")
def installed(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """The objects of the overlay secondary-scheduler, applied."""
    return install(Kubectl(control_plane), tmp_path_factory.mktemp("overlay"))


@pytest.fixture(scope="module")
def nodes(control_plane: ControlPlane, installed: list[Object]) -> Iterator[Nodes]:
    """Nodes of every kind, with a pod of the DaemonSet each."""
    numbers: dict[str, int] = {}

    def exported(kubelet: Kubelet) -> Process:
        number = numbers[kubelet.name] = len(numbers) + 1
        (container,) = exporter(control_plane, installed, kubelet, number, "burst-exporter").containers.values()
        return container

    with started(Nodes(control_plane, NODES, exported, node_address)) as nodes:
        yield nodes


@pytest.fixture(scope="module", name="replicas")
def installed_replicas(
    control_plane: ControlPlane,
    installed: list[Object],
    nodes: Nodes,  # noqa: ARG001 - they are there first
) -> Iterator[list[Pod]]:
    """The replicas of the secondary scheduler, each with its extender."""
    with replicas(control_plane, installed, "burst-scheduler") as made:
        yield made


@pytest.mark.parametrize("leader_dies", [False, True], ids=["all well", "the leader dies"])
def test_a_burst_on_what_is_installed(
    leader_dies: bool,
    nodes: Nodes,
    replicas: list[Pod],
    control_plane: ControlPlane,
    api: Api,
    namespace: str,
    figures: list[str],
) -> None:
    """
    No kubelet refuses a pod, all that full knowledge would place are placed, soon, and where the twin foretold; also
    where the scheduler that leads is killed with its extender in the midst of it.
    """
    wait_idle(api, nodes)
    before = reports(api)
    bound = {one.name: bound_by(one) for one in replicas}
    compared = {one.name: Counter(placements(health(one))) for one in replicas}
    observer = Observer(control_plane.kubeconfig("observer", "system:masters"))
    dead: list[Pod] = []

    def midway() -> None:
        if leader_dies:
            leading = max(replicas, key=lambda one: bound_by(one) - bound[one.name])
            leading.kill()
            dead.append(leading)

    with following(Run(api, namespace, SEED, [{"schedulerName": OURS}])) as run, observer:
        pods = run.draw(PODS)
        seconds = run.burst(pods, LIMIT, midway)
        placed, possible = share(run, before, pods)
        figures.append(
            f"installed, {NODES} nodes, {'the leader dies' if dead else 'all well'}: {told(run)}, settled in {seconds:.0f} s; "
            f"{placed} of {possible} that full knowledge places ({placed / possible:.1%})"
        )
        alive = [one for one in replicas if one not in dead]
        run.churn(SECONDS)
        run.settle(LIMIT)
        eventually("no pod to wait while a node would admit it", LIMIT, observer.nobody_waits_in_vain)
        outcomes = sum((Counter(placements(health(one))) - compared[one.name] for one in alive), start=Counter[str]())
        binders = sum(bound_by(one) > bound[one.name] for one in alive)
        figures.append(
            f"  after {SECONDS} s of churn: {told(run)}; placements {dict(outcomes)}; longest wait while a node would "
            f"admit {observer.longest[0]:.1f} s"
        )
        for one in dead:
            for container in one.containers.values():
                container.start()

        assert {} == run.record.refusals()
        assert placed >= LEAST_SHARE * possible
        assert 1 == binders
        assert dead or observer.longest[0] <= LONGEST_WAIT_SECONDS, observer.longest
        assert outcomes["different"] <= outcomes.total() / 1000
