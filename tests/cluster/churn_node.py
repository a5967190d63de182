"""
One node of the lab under churn: pods come and go, exporter and kubelet restart, and each next admission is foretold by
the twin on the published object alone.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any

import orjson
import twin_node
import yaml
from churn_figures import Figures
from lab.api import Api, Object
from lab.control_plane import TOPOLOGIES
from lab.devices import Device
from lab.errors import LabError
from lab.kubelet import Kubelet
from lab.machines import Machine
from lab.picture import Picture, key
from lab.pods import is_settled, phase
from lab.process import Process
from lab.product import metric
from lab.waiting import answers, eventually
from twin_pods import PodMaker, cpus_of, sizes

from extender.exporter import checkpoints
from extender.kubelet import admission
from extender.kubelet.errors import KubeletCrash
from extender.model.pod import Kind, Pod
from extender.model.report import Report
from extender.model.state import NodeState
from extender.model.verdict import Admission, Verdict
from extender.wire.nrt import report_from_nrt
from extender.wire.pod import pod_from_json

SECONDS = 120
QUIET_SECONDS, QUIET_AFTER_RESTART = 0.3, 12.0
"""How long report and pods must stay as they are to be called settled; refusals at a start show after ten seconds."""
START_SECONDS = 2
"""After these a kubelet that is not going to start has ended."""
TIMED = frozenset({"plain", "several containers", "budget"})
"""Kinds for which the kubelet writes its checkpoints at their admission and not again before they run."""
EXPORTER_EVERY, KUBELET_EVERY = 25, 50
"""Admissions of a node from one restart to the next; the first one comes after half of them."""

DRAIN = "drain node and remove policy state file"
"""In the kubelet's message when it does not start on its own files."""
NIC = "example.com/nic"


@dataclass(frozen=True)
class Setup:
    """A machine, the kubelet on it, and its devices."""

    machine: Machine
    configuration: Mapping[str, Any]
    devices: Sequence[Device] = ()


class Node:
    """A kubelet of the lab with its exporter."""

    def __init__(self, kubelet: Kubelet, setup: Setup, exporter: Process) -> None:
        self.kubelet, self.setup, self.exporter, self.name = kubelet, setup, exporter, kubelet.name
        settings = yaml.safe_load((kubelet.folder.parent / f"{exporter.name}.yaml").read_text())
        self.url = f"http://127.0.0.1:{settings['serve']['port']}"

    def restart_exporter(self) -> None:
        self.exporter.restart()
        eventually(f"{self.exporter.name} to have published", SECONDS, lambda: answers(f"{self.url}/readyz"))

    def published(self) -> tuple[float, float]:
        """The sum (seconds) and the count of the times to publication that the exporter tells since its start."""
        name = "numa_exporter_publish_seconds"
        return metric(self.url, f"{name}_sum"), metric(self.url, f"{name}_count")

    def written(self) -> float:
        """When the kubelet last wrote a checkpoint."""
        return max(
            (self.kubelet.state_dir / name).stat().st_mtime for name in (checkpoints.CPU_FILE, checkpoints.MEMORY_FILE)
        )


class Reports:
    """The published objects, and when each pod was first in one."""

    def __init__(self, api: Api) -> None:
        self.first: dict[str, float] = {}
        self.picture = Picture(api, TOPOLOGIES, listener=self._note).start()

    def _note(self, _kind: str, item: Object) -> None:
        now = time.time()
        for uid in report_from_nrt(item).state.active:
            self.first.setdefault(uid, now)


class Course:
    """What happens on one node."""

    def __init__(
        self, node: Node, api: Api, reports: Reports, pods: Picture, namespace: str, seen: Figures, seed: str
    ) -> None:
        self._node, self._api, self._reports, self._pods, self._seen = node, api, reports, pods, seen
        self._dice = Random(f"{seed}/{node.name}")
        devices = {NIC: len(node.setup.devices)} if node.setup.devices else {}
        step = 2 if "full-pcpus-only" in node.setup.configuration.get("cpuManagerPolicyOptions", {}) else 1
        self._maker = PodMaker(self._dice, sizes(node.kubelet.machine, devices, step), node.name, namespace)
        self._written: dict[str, float] = {}

    def run(self, quota: int) -> None:
        """Admits so many pods."""
        number = 0
        while number < quota:
            item = self._settled(QUIET_SECONDS)
            alive = [one for one in self._mine() if phase(one) != "Failed"]
            if alive and self._dice.random() < 0.08 + 0.03 * len(alive):
                self._delete(alive)
            elif self._admit(f"{self._node.name}-{number}", item):
                number += 1
                if number % EXPORTER_EVERY == EXPORTER_EVERY // 2:
                    self._restart_exporter()
                if number % KUBELET_EVERY == KUBELET_EVERY // 2:
                    self._restart_kubelet()
        self._settled(QUIET_SECONDS)
        self._keep_published()
        first = self._reports.first
        waits = [first[uid] - written for uid, written in self._written.items() if uid in first]
        with self._seen.lock:
            # A wait below zero: by the time of the look the kubelet had written again, for another change.
            self._seen.latencies += [wait for wait in waits if wait >= 0]

    def _admit(self, name: str, item: Object) -> bool:
        """Predicts and compares; nothing where the kubelet would crash or hang, by the word of the twin."""
        report = report_from_nrt(item)
        kind, body = self._maker.draw(name)
        try:
            _admit(report, report.state, pod_from_json(body | {"metadata": {"uid": "nobody"}}))
        except KubeletCrash:
            self._seen.count("not sent, as they would crash the kubelet")
            return False
        (created,) = self._api.create_pods([body])
        place = key(created)
        look = f"{name} to be decided about"
        self._pods.wait(look, SECONDS, lambda objects: is_settled(objects.get(place, {})))
        decided = self._pods.objects[place]
        differences = self._compare(report, decided)
        refused = phase(decided) == "Failed"
        if not refused:
            self._maker.taken[name] = cpus_of(body)
            if kind in TIMED:
                self._written[decided["metadata"]["uid"]] = self._node.written()
        with self._seen.lock:
            self._seen.answers[decided["status"].get("reason", "none") if refused else "admitted"] += 1
            self._seen.kinds[self._node.name, kind, not refused] += 1
            self._seen.differences += [f"{name}, {kind}: {difference}" for difference in differences]
        if differences:
            case = {"report": item, "pod": decided, "differences": differences}
            (self._node.kubelet.folder / f"{name}.case.json").write_bytes(orjson.dumps(case))
        return True

    def _compare(self, report: Report, decided: Object) -> list[str]:
        """
        What the kubelet did otherwise than the published object lets expect.

        Memory of several gone pods is given back in the order of a Go map, see README.md: any order may have come true.
        """
        differences = self._differences(report, report.state, decided)
        if differences:
            orders = twin_node._orders(report.state, decided["metadata"]["uid"])
            for state in islice(orders, twin_node.MOST_ORDERS):
                if not self._differences(report, state, decided):
                    self._seen.count("memory given back in another order of the kubelet's map")
                    return []
        return differences

    def _differences(self, report: Report, state: NodeState, decided: Object) -> list[str]:
        wanted = pod_from_json(decided)
        verdict = _admit(report, state, wanted)
        differences = list(twin_node._verdicts(decided, verdict))
        if not differences and isinstance(verdict, Admission) and phase(decided) != "Failed":
            differences += self._allocations(wanted, verdict)
        return differences

    def _allocations(self, admitted: Pod, verdict: Admission) -> Iterator[str]:
        """CPUs and memory in the kubelet's files against the verdict's; what init containers had is given back."""
        folder, uid = self._node.kubelet.state_dir, admitted.uid
        cpu = checkpoints.cpu_checkpoint((folder / checkpoints.CPU_FILE).read_bytes())
        memory = checkpoints.memory_checkpoint((folder / checkpoints.MEMORY_FILE).read_bytes())
        ended = {one.name for one in admitted.containers if one.kind is Kind.INIT}
        pairs: list[tuple[str, object, object]] = [
            ("CPUs", dict(cpu.entries.get(uid, {})), dict(verdict.cpus)),
            ("CPUs of the pod", cpu.pod_entries.get(uid), verdict.pod_cpus),
            ("memory", _blocks(memory.entries.get(uid, {}), ended), _blocks(verdict.memory, ended)),
            ("memory of the pod", Counter(memory.pod_entries.get(uid, ())), Counter(verdict.pod_memory)),
        ]
        for what, real, foreseen in pairs:
            if real != foreseen:
                yield f"{what}: the kubelet gave {real!r}, foreseen was {foreseen!r}"

    def _delete(self, alive: Sequence[Object]) -> None:
        """Deletes one to four pods at once, and those that were refused."""
        going = self._dice.sample(alive, min(len(alive), self._dice.randint(1, 4)))
        for one in going:
            self._maker.taken.pop(one["metadata"]["name"], None)
        going += [one for one in self._mine() if phase(one) == "Failed"]
        self._api.delete_pods(going, grace_seconds=self._dice.choice((0, None)))
        places = {key(one) for one in going}
        self._pods.wait(f"{sorted(places)} to be gone", SECONDS, lambda objects: not places & objects.keys())

    def _restart_exporter(self) -> None:
        self._keep_published()
        self._node.restart_exporter()
        self._seen.count("exporter restarts")

    def _restart_kubelet(self) -> None:
        """
        Restarts the kubelet, which judges its own running pods anew; what it refuses then is counted apart.

        Kubelets up to 1.37.2 refuse their pods with pod-level resources, see README.md. They also lose CPUs or memory
        from their files at times, and then do not start on them: the node is drained and the files are removed, as the
        kubelet's message asks for.
        """
        item = self._settled(QUIET_SECONDS)
        alive = {one["metadata"]["uid"] for one in self._mine() if phase(one) != "Failed"}
        self._seen.count("kubelet restarts")
        if not self._starts_again():
            self._seen.count("kubelets that did not start on their own files")
            self._seen.count("of these with a warning in the object before", bool(report_from_nrt(item).warnings))
            self._drain()
        self._settled(QUIET_AFTER_RESTART)
        refused = [one for one in self._mine() if one["metadata"]["uid"] in alive and phase(one) == "Failed"]
        with_budget = sum("resources" in one["spec"] for one in refused)
        self._seen.count("running pods with a budget refused after them", with_budget)
        self._seen.count("other running pods refused after them", len(refused) - with_budget)

    def _starts_again(self) -> bool:
        """Whether the restarted kubelet stays; one that does not start on its files may have been ready for a moment."""
        kubelet = self._node.kubelet
        try:
            kubelet.restart()
            time.sleep(START_SECONDS)
            end = "" if kubelet.process.running else kubelet.process.tail()
        except LabError as error:
            end = str(error)
        if end and DRAIN not in end:
            raise LabError(end)
        return not end

    def _drain(self) -> None:
        """Deletes all pods of a node whose kubelet is down, and starts it without its files."""
        self._api.delete_pods(self._mine())
        self._pods.wait(f"{self._node.name} to be empty", SECONDS, lambda _: not self._mine())
        self._maker.taken.clear()
        self._node.kubelet.restart(forget_state=True)

    def _keep_published(self) -> None:
        figures = self._node.published()
        with self._seen.lock:
            self._seen.published.append(figures)

    def _mine(self) -> list[Object]:
        return [one for one in self._pods.objects.values() if one["spec"].get("nodeName") == self._node.name]

    def _settled(self, quiet: float) -> Object:
        """
        Waits until the published object lists the node's pods, estimates nothing, and has stayed so for a while.

        Returns the object.
        """
        since, before = time.monotonic(), None

        def look() -> Object | None:
            nonlocal since, before
            item, mine = self._reports.picture.objects.get(("", self._node.name)), self._mine()
            now = item and (item["attributes"], item["zones"]), [(one["metadata"]["uid"], phase(one)) for one in mine]
            if now != before:
                since, before = time.monotonic(), now
            return item if time.monotonic() - since > quiet and item and _is_current(item, mine) else None

        return eventually(f"{self._node.name} to settle", SECONDS, look) or {}


def _admit(report: Report, state: NodeState, wanted: Pod) -> Verdict:
    kubelet = admission.start(report.machine, report.configuration, report.version)
    verdict, _ = admission.admit(kubelet, state, wanted)
    return verdict


def _is_current(item: Object, mine: Sequence[Object]) -> bool:
    """Whether the object estimates nothing and lists those of a node's pods that have not ended, all of them settled."""
    report = report_from_nrt(item)
    alive = {one["metadata"]["uid"] for one in mine if phase(one) not in {"Failed", "Succeeded"}}
    steady = all(is_settled(one) and not one["metadata"].get("deletionTimestamp") for one in mine)
    return steady and not report.estimates and alive == set(report.state.active)


def _blocks(held: Mapping[str, Sequence[Any]], ended: set[str]) -> dict[str, Counter[Any]]:
    """Blocks without their order, which is chance in the kubelet's files."""
    return {name: Counter(blocks) for name, blocks in held.items() if name not in ended}
