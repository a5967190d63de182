"""The overlay secondary-scheduler as it is installed: what its manifests say is what runs, on the lab's nodes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from lab.api import Object
from lab.control_plane import ControlPlane
from lab.deployment import DEPLOY, Kubectl, Network, Place, Pod, one_of
from lab.kubelet import Kubelet
from lab.product import metric

NAMESPACE = "numa-system"
OVERLAYS = DEPLOY / "overlays"
SECONDARY = OVERLAYS / "secondary-scheduler"
NETWORK = f"127.{os.getpid() % 200 + 20}"
"""Two labs at the same time listen at different addresses."""
EXTENDER_PORT, SCHEDULER_PORT = 9447, 10259


def node_address(number: int) -> str:
    """The address of a node, from 1 on."""
    return f"{NETWORK}.1.{number}"


def with_component(overlay: Path, component: str, folder: Path) -> Path:
    """A kustomize folder that adds a component to an overlay."""
    document = {
        "resources": [os.path.relpath(overlay, folder)],
        "components": [os.path.relpath(DEPLOY / "components" / component, folder)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
    return folder


def install(kubectl: Kubectl, folder: Path) -> list[Object]:
    """Applies the overlay with the component that keeps exporters to their nodes; returns its objects."""
    return kubectl.apply(with_component(SECONDARY, "own-node-only", folder))


def exporter(
    control_plane: ControlPlane, installed: list[Object], kubelet: Kubelet, number: int, name: str = "numa-exporter"
) -> Pod:
    """The DaemonSet's pod on a node whose kubelet runs; no two pods of a lab may have one name."""
    template = one_of(installed, "DaemonSet", "numa-exporter")["spec"]["template"]
    place = Place(f"{NETWORK}.2.{number}", kubelet.name, kubelet.address, kubelet)
    return Pod(control_plane, f"{name}-{number}", template, NAMESPACE, place)


@contextmanager
def replicas(control_plane: ControlPlane, installed: list[Object], name: str = "numa-scheduler") -> Iterator[list[Pod]]:
    """The replicas of the secondary scheduler, each with its extender, for a while."""
    deployment = one_of(installed, "Deployment", "numa-scheduler")["spec"]
    made: list[Pod] = []
    try:
        for n in range(1, deployment["replicas"] + 1):
            title, address = f"{name}-{n}", f"{NETWORK}.3.{n}"
            place = Place(address, network=Network(control_plane, title, address, [EXTENDER_PORT, SCHEDULER_PORT]))
            made.append(Pod(control_plane, title, deployment["template"], NAMESPACE, place).start())
        yield made
    finally:
        for one in made:
            one.stop()


def health(of: Pod) -> str:
    """Where an extender tells how it is."""
    return f"http://{of.place.address}:{EXTENDER_PORT}"


def bound_by(of: Pod) -> float:
    """How many pods a replica has bound."""
    return metric(health(of), "numa_extender_bindings_total", result="bound")
