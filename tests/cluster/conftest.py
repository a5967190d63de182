"""Fixtures of the tests on real Kubernetes: one control plane for the whole run, kubelets and schedulers per test."""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lab.api import Api
from lab.control_plane import ControlPlane
from lab.kubelet import Configuration, Kubelet, remove_all
from lab.machines import Machine
from lab.picture import Picture
from lab.process import Process
from lab.product import Product
from lab.scheduler import configuration_file
from lab.scheduler import scheduler as make_scheduler
from lab.workspace import Workspace, missing_binaries

FOLDER = pytest.StashKey[Path]()
FIGURES = pytest.StashKey[list[str]]()

ExporterFactory = Callable[[Kubelet], Process]
ExtenderFactory = Callable[..., str]
KubeletFactory = Callable[..., Kubelet]
SchedulerFactory = Callable[..., Process]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)
    folder = config.stash.get(FOLDER, None)
    if folder is not None and folder.exists():
        terminalreporter.write_line(f"The lab's files are kept: {folder}, logs in {folder / 'logs'}.")


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Lines that the run prints at its end."""
    return request.config.stash.setdefault(FIGURES, [])


@pytest.fixture(scope="session")
def workspace(request: pytest.FixtureRequest) -> Iterator[Workspace]:
    """The run's own folder, ports and processes. Kept when a test failed, or when LAB_KEEP is set."""
    if missing := missing_binaries():
        pytest.skip(f"The lab's programs are not built ({', '.join(missing)}): run tests/cluster/build.sh.")
    if os.geteuid() != 0:
        pytest.skip("The lab gives kubelets mount namespaces of their own, which needs root.")
    workspace = Workspace()
    request.config.stash[FOLDER] = workspace.folder
    try:
        yield workspace
    finally:
        workspace.close(keep=request.session.testsfailed > 0 or "LAB_KEEP" in os.environ)


@pytest.fixture(scope="session")
def control_plane(workspace: Workspace) -> Iterator[ControlPlane]:
    """etcd, kube-apiserver, and the lab's few controllers."""
    control_plane = ControlPlane(workspace)
    try:
        control_plane.start()
        yield control_plane
    finally:
        control_plane.stop()


@pytest.fixture
def api(control_plane: ControlPlane) -> Api:
    """The API as its administrator."""
    return control_plane.api


@pytest.fixture(scope="session")
def product(control_plane: ControlPlane) -> Product:
    """Makes the product's programs; what they need in the cluster is there."""
    return Product(control_plane)


@pytest.fixture
def extender(product: Product) -> Iterator[ExtenderFactory]:
    """Starts extenders, which end with the test: `extender(changes of its settings)` returns the URL of one."""
    made: list[Process] = []

    def start(changes: Mapping[str, Any] | None = None) -> str:
        process, url = product.extender(changes)
        made.append(process)
        process.start()
        return url

    yield start
    for one in made:
        one.stop()


@pytest.fixture
def exporter(product: Product, kubelet: KubeletFactory) -> Iterator[ExporterFactory]:  # noqa: ARG001 - they end first
    """Starts exporters of nodes, which end with the test, before the nodes do."""
    made: list[Process] = []

    def start(kubelet: Kubelet) -> Process:
        made.append(product.exporter(kubelet))
        return made[-1].start()

    yield start
    for one in made:
        one.stop()


NAMESPACES = itertools.count(1)


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace of the test's own; its pods are deleted afterwards."""
    name = f"test-{next(NAMESPACES)}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    api.delete_pods(api.items(f"/api/v1/namespaces/{name}/pods"))


@pytest.fixture
def pods(api: Api, namespace: str) -> Iterator[Picture]:
    """The pods of the test's namespace, as they are now."""
    picture = Picture(api, f"/api/v1/namespaces/{namespace}/pods").start()
    yield picture
    picture.stop()


@pytest.fixture
def kubelet(control_plane: ControlPlane) -> Iterator[KubeletFactory]:
    """Makes kubelets, not started yet: `kubelet(name, machine, configuration)`. Their Nodes are gone after the test."""
    made: list[Kubelet] = []

    def make(name: str, machine: Machine, configuration: Configuration, **options: Any) -> Kubelet:
        made.append(Kubelet(control_plane, name, machine, configuration, **options))
        return made[-1]

    yield make
    remove_all(made)


@pytest.fixture
def scheduler(control_plane: ControlPlane) -> Iterator[SchedulerFactory]:
    """Makes schedulers, not started yet: `scheduler(configuration file, extender_url=...)`."""
    made: list[Process] = []

    def make(configuration: Path, *, extender_url: str | None, **options: Any) -> Process:
        made.append(make_scheduler(control_plane, configuration, extender_url=extender_url, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(params=[pytest.param(True, id="with bindVerb"), pytest.param(False, id="without bindVerb")])
def binds(request: pytest.FixtureRequest) -> bool:
    """Whether the scheduler leaves binding to the extender."""
    return bool(request.param)


@pytest.fixture
def configuration(binds: bool, tmp_path: Path) -> Path:
    """The scheduler's configuration that a user would take, or the same without bindVerb."""
    return configuration_file(tmp_path / "scheduler.yaml", binds=binds)
