"""What goes wrong while pods come and go, and what puts it right again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import urllib3
from burst_nodes import Nodes
from burst_run import Run, placements
from lab.api import PODS
from lab.control_plane import ControlPlane
from lab.errors import LabError
from lab.kubelet import Kubelet
from lab.process import Process

START_SECONDS = 3.0
"""For so long a kubelet may seem to run that does not start on its own files."""
DRAIN = "drain node and remove policy state file"
"""In its message then."""
ANSWER_SECONDS = 5.0
"""The scheduler's own patience, if nothing else is configured."""


@dataclass
class Scene:
    """All that something may go wrong with."""

    control_plane: ControlPlane
    nodes: Nodes
    run: Run
    extender: Process
    url: str
    earlier: Counter[str] = field(default_factory=Counter)
    """Placements that extenders have compared which are no more."""
    drained: list[str] = field(default_factory=list)
    """Nodes whose kubelet did not start on its own files, each time that it did not."""

    def placements(self) -> Counter[str]:
        """Outcome to placements that all extenders have compared."""
        return self.earlier + Counter(placements(self.url))


class Fault:
    """One kind of mishap: it may strike several times, and is mended in the end."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def strike(self) -> None:
        """Goes wrong."""

    def mend(self) -> None:
        """Puts right what is not right by itself."""


class ExtenderKilled(Fault):
    """The extender dies without a word, what it was about to answer or to bind with it, and is started again."""

    def strike(self) -> None:
        scene = self.scene
        scene.earlier += Counter(placements(scene.url))
        scene.extender.kill()
        scene.extender.start()


class ExportersStopped(Fault):
    """A third of the nodes fall silent; the next time they speak again, and another third fall silent."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._silent: list[str] = []
        self._struck = 0

    def strike(self) -> None:
        self.mend()
        self._silent = sorted(self.scene.nodes.exporters)[self._struck % 3 :: 3]
        self._struck += 1
        for name in self._silent:
            self.scene.nodes.exporters[name].kill()

    def mend(self) -> None:
        for name in self._silent:
            self.scene.nodes.exporters[name].launch()
        for name in self._silent:
            self.scene.nodes.exporters[name].wait_ready()
        self._silent = []


class ApiServerRestarted(Fault):
    """The API server is away for a moment; meanwhile the extender answers, as it answers from memory."""

    def strike(self) -> None:
        server = self.scene.control_plane.apiserver
        (asked,) = self.scene.run.draw(1)
        asked["metadata"]["uid"] = "asked-while-the-api-server-is-away"
        server.stop(seconds=2)
        names = list(self.scene.nodes.kubelets)
        question = {"Pod": asked, "Nodes": None, "NodeNames": names}
        answer = _post(f"{self.scene.url}/scheduler/filter", question)
        server.start()
        told = {*answer["NodeNames"], *answer["FailedNodes"], *answer["FailedAndUnresolvableNodes"]}
        assert "" == answer["Error"]
        assert set(names) == told


class KubeletsRestarted(Fault):
    """
    A third of the kubelets die and start again on their checkpoints, under their running containers.

    Kubelets up to 1.37.2 do not start on every state that they have written: not on one without shared CPUs, and not
    where they have lost something. Their message asks for a drained node without that file, and this is what is done.
    """

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._struck = 0

    def strike(self) -> None:
        kubelets = [
            self.scene.nodes.kubelets[name] for name in sorted(self.scene.nodes.kubelets)[self._struck % 3 :: 3]
        ]
        self._struck += 1
        for kubelet in kubelets:
            kubelet.kill()
        for kubelet in kubelets:
            kubelet.process.launch()
        time.sleep(START_SECONDS)
        for kubelet in kubelets:
            if not kubelet.process.running:
                self._drain(kubelet)
        for kubelet in kubelets:
            kubelet.wait_ready()

    def _drain(self, kubelet: Kubelet) -> None:
        if DRAIN not in kubelet.process.tail():
            raise LabError(f"{kubelet.name} does not start. {kubelet.process.tail()}")
        self.scene.drained.append(kubelet.name)
        api = self.scene.control_plane.api
        api.delete_pods(api.items(PODS, fieldSelector=f"spec.nodeName={kubelet.name}"))
        kubelet.restart(forget_state=True)


class Nothing(Fault):
    """Nothing goes wrong but that others bind pods too."""


FAULTS: dict[str, Callable[[Scene], Fault]] = {
    "extender killed": ExtenderKilled,
    "exporters stopped": ExportersStopped,
    "api server restarted": ApiServerRestarted,
    "kubelets restarted": KubeletsRestarted,
    "second scheduler": Nothing,
    "foreign pods": Nothing,
    "foreign pods, guarded": Nothing,
}


def _post(url: str, body: object) -> dict[str, Any]:
    response = urllib3.request(
        "POST",
        url,
        body=orjson.dumps(body),
        headers={"Content-Type": "application/json"},
        timeout=ANSWER_SECONDS,
        retries=False,
    )
    answer: dict[str, Any] = orjson.loads(response.data)
    return answer
