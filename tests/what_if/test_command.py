"""The command line: sources, outputs, exit codes, and one sentence for what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings

sys.path.append(str(Path(__file__).parent.parent / "exporter"))  # machines as kernels show them

from machines import machines
from trees import folder, write

from extender.ask import completion
from extender.ask.command import kubectl_numa
from extender.cli import main
from extender.model.machine import Machine
from extender.samples import sample
from extender.wire.compact_machine import compact_machine_to_json

PLAIN = str(sample("pods/plain.yaml"))
SHARED = Path(__file__).resolve().parents[2].parent / "shared"
MACHINES = Path(os.environ.get("NUMA_EXTENDER_MACHINES", SHARED / "machines"))
INVENTORY = ["--inventory", str(sample("inventory"))]


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, ["what-if", *arguments], input=text)


def test_a_pod_from_standard_input_on_recorded_objects(tmp_path: Path) -> None:
    """``kubectl get … -o json`` records a cluster: nodes, reports and pods in one List."""
    report = yaml.safe_load((sample("inventory") / "nearly-full.yaml").read_text(encoding="utf-8"))
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "nearly-full"}}
    recorded = tmp_path / "cluster.json"
    recorded.write_text(json.dumps({"kind": "List", "items": [node, report]}), encoding="utf-8")
    printed = run("fit", "-f", "-", "--inventory", str(recorded), "-o", "json", text=Path(PLAIN).read_text("utf-8"))

    assert 0 == printed.exit_code
    assert ["nearly-full"] == [one["node"] for one in json.loads(printed.stdout)["pods"][0]["nodes"]]


def test_pods_that_were_recorded_count() -> None:
    """A pod that is bound and in no report yet takes its place before the pod that is asked about."""
    report = (sample("inventory") / "two-zones.yaml").read_text(encoding="utf-8")
    pod = yaml.safe_load(Path(PLAIN).read_text(encoding="utf-8"))
    pod["metadata"] |= {"uid": "bound", "namespace": "default"}
    pod["spec"]["nodeName"] = "two-zones"
    recorded = f"{report}\n---\n{yaml.safe_dump(pod)}"
    printed = run("capacity", "-f", PLAIN, "--inventory", "-", "-o", "json", text=recorded)

    assert 6 == json.loads(printed.stdout)["pods"][0]["total"]


@pytest.mark.parametrize("output", ["table", "wide"])
def test_tables_name_nodes_verdicts_and_reasons(output: str) -> None:
    """A person reads which nodes fit, why others do not, and what would help."""
    printed = run("fit", "-f", str(sample("pods/too-big.yaml")), "-n", "two-*", "-o", output, *INVENTORY)
    text = printed.stdout

    assert 1 == printed.exit_code
    assert "fits on 0 of 3 nodes" in text
    assert "zone 0 has 14 CPU and 63Gi free" in " ".join(text.split())
    assert "ask for less: cpu of server 20 → 16, memory of server 80Gi → 64Gi" in " ".join(text.split())
    assert ("SCORE" in text) is (output == "wide")


def test_a_change_is_shown_beside_today() -> None:
    """Both verdicts stand in one row, what is gained and lost below."""
    arguments = ["--set", "topologyManagerPolicy=best-effort", "--drain", "four-zones"]
    printed = run("fit", "-f", str(sample("pods/database.yaml")), *arguments, *INVENTORY)

    assert "TODAY" in printed.stdout
    assert "gained: nearly-full; lost: four-zones" in printed.stdout
    assert "Pods of drained nodes" in printed.stdout


def test_capacity_is_a_table_with_a_total() -> None:
    """The sum is told, and today's beside it."""
    printed = run("capacity", "-f", PLAIN, "--drain", "sparse-ids", "-o", "wide", *INVENTORY)

    assert "55 fit in total; 70 today" in printed.stdout


def test_nodes_and_their_holders_are_shown() -> None:
    """A named node is shown with who holds what."""
    assert "0: 3 CPU and 43Gi; 1: 6 CPU and 44Gi" in run("nodes", *INVENTORY).stdout
    assert "8-12,24-28  20Gi of zone 1" in run("nodes", "nearly-full", *INVENTORY).stdout


def test_replayed_cases_are_a_table() -> None:
    """Each admission of a case is a row."""
    case = {
        "id": "one",
        "version": "1.37",
        "machine": {
            "num_cores": 1,
            "num_sockets": 1,
            "topology": [{"node_id": 0, "memory": 1 << 30, "cores": [{"thread_ids": [0]}]}],
        },
        "kubelet": {},
        "steps": [{"op": "admit", "pod": {"metadata": {"uid": "u"}, "spec": {"containers": [{"name": "c"}]}}}],
    }
    printed = run("replay", text=json.dumps(case) + "\n{}\nno\n")

    assert 2 == printed.exit_code
    assert "one" in printed.stdout
    assert "line 2" in printed.stdout
    assert "line 3" in printed.stdout


@pytest.mark.parametrize(
    ("arguments", "text", "sentence"),
    [
        pytest.param(["-f", "nope.yaml"], None, "nope.yaml: No such file or directory", id="no file"),
        pytest.param(["-f", "-"], "a: [", "standard input: 'did not find expected node content", id="no YAML"),
        pytest.param(["-f", "-"], "kind: Service", "standard input: kind: Service", id="no pod"),
        pytest.param(
            ["-f", "-"],
            "{kind: Pod, metadata: {name: x}, spec: {containers: [{name: a, resources: {limits: {cpu: 2x}}}]}}",
            "standard input: Pod x.spec.containers[0].resources.limits.cpu: '2x' is not a Kubernetes quantity",
            id="file, field and value of a malformed pod",
        ),
        pytest.param(
            ["-f", "-"],
            "{kind: Pod, metadata: {name: x}, spec: {containers: [{name: a, resources: {limits: {cpu: -2}}}]}}",
            "standard input: Pod x: resources of container 'a': limits.cpu of -2 is below zero",
            id="file, field and value of an invalid pod",
        ),
        pytest.param(["-f", PLAIN, "--set", "x"], None, "--set x: this has not the form name=value", id="no value"),
        pytest.param(
            ["-f", PLAIN, "--set", "topologyManagerPolicy=fast"],
            None,
            "change.kubelet.topologyManagerPolicy: 'fast' is not one of none, best-effort",
            id="no such policy",
        ),
        pytest.param(
            ["-f", PLAIN, "--add", "big=1"], None, "--add big=1: this has not the form", id="no such addition"
        ),
        pytest.param(["-f", PLAIN, "-n", "x"], None, "nodes: no node matches 'x'", id="no such node"),
        pytest.param([], None, "nothing is asked: name a manifest with -f, or a change", id="no question"),
        pytest.param(["-f", PLAIN, "--cluster"], None, "--inventory and --cluster are two sources", id="two sources"),
        pytest.param(["-f", PLAIN, "--cpu", "many"], None, "amounts.cpu: 'many' is not a Kubernetes", id="no number"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(arguments: list[str], text: str | None, sentence: str) -> None:
    """Files, fields and values are named; there is no traceback."""
    failed = run("fit", *arguments, *INVENTORY, text=text)

    assert 2 == failed.exit_code
    if sentence == "standard input: kind: Service":
        sentence = "pods: ['Service'] is not a list with one of Pod"
    assert sentence in " ".join(failed.stderr.split())
    assert "Traceback" not in failed.output


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(
            "{topologyManagerPolicy: fast}", "kubelet.yaml.topologyManagerPolicy: 'fast' is not one", id="value"
        ),
        pytest.param("[1]", "kubelet.yaml: this is no KubeletConfiguration", id="no object"),
        pytest.param("a: 1\n---\nb: 2", "kubelet.yaml: there are 2 documents where one is needed", id="two documents"),
    ],
)
def test_a_mistake_in_a_configuration_names_its_file(tmp_path: Path, text: str, sentence: str) -> None:
    """A wrong field of --kubelet is named with the file."""
    file = tmp_path / "kubelet.yaml"
    file.write_text(text, encoding="utf-8")

    failed = run("fit", "-f", PLAIN, "--kubelet", str(file), *INVENTORY)
    assert 2 == failed.exit_code
    assert sentence in failed.stderr


def test_a_machine_that_is_none_names_its_file(tmp_path: Path) -> None:
    """What is no machine is said to be none, with the file."""
    file = tmp_path / "machine.json"
    file.write_text('{"cpus": 4}', encoding="utf-8")
    failed = run("fit", "-f", PLAIN, "--machine", str(file), *INVENTORY)

    assert 2 == failed.exit_code
    assert f"{file}: ['cpus'] is not cAdvisor's MachineInfo" in failed.stderr


def test_a_cluster_that_cannot_be_reached_is_said_to(tmp_path: Path) -> None:
    """No way to the API server is one sentence."""
    failed = run("fit", "-f", PLAIN, "--kubeconfig", str(tmp_path / "none"))

    assert 2 == failed.exit_code
    assert "no way to the API server" in failed.stderr


def test_as_a_plugin_of_kubectl_it_asks_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``kubectl numa`` asks the cluster that kubectl would ask, without being told to."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setattr("sys.argv", ["kubectl-numa", "nodes"])

    with pytest.raises(SystemExit) as ended:
        kubectl_numa()
    assert 2 == ended.value.code


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str) -> None:
    """The script asks this program for completions."""
    printed = CliRunner().invoke(main, ["what-if", "completion", shell], prog_name="numa-extender")

    assert f"_NUMA_EXTENDER_COMPLETE={shell}_complete" in printed.stdout


def test_shells_complete() -> None:
    """What the script asks for is answered with commands and options."""
    words = {"_NUMA_EXTENDER_COMPLETE": "bash_complete", "COMP_WORDS": "numa-extender what-if ca", "COMP_CWORD": "2"}
    command = [sys.executable, "-c", "from extender.cli import main; main(prog_name='numa-extender')"]
    completed = subprocess.run(command, env=os.environ | words, capture_output=True, text=True, check=True)

    assert "plain,capacity\n" == completed.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["ca"], ["capacity", ":4"], id="a command"),
        pytest.param(["fit", "--dr"], ["--drain", ":4"], id="an option"),
        pytest.param(["fit", "-o", "j"], ["json", ":4"], id="a value"),
        pytest.param(["fit", "-f", "x"], [":0"], id="files are left to the shell"),
    ],
)
def test_kubectl_completes(words: list[str], expected: list[str], monkeypatch: Any, capsys: Any) -> None:
    """``kubectl numa <TAB>`` gets words with descriptions, then a directive."""
    monkeypatch.setattr("sys.argv", ["kubectl_complete-numa", *words])
    completion.main()

    assert expected == [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]


@settings(max_examples=6, deadline=None)
@given(machines())
def test_a_copy_of_sys_is_a_machine(hardware: Machine) -> None:
    """--machine DIR means the same as --machine FILE with what the folder's kernel shows of the machine."""
    with folder() as root:
        file = root / "machine.json"
        file.write_text(json.dumps(compact_machine_to_json(hardware)), encoding="utf-8")
        shown = write(hardware, root / "sys")
        asked = ["capacity", "-f", PLAIN, "--on", "two-zones", "-o", "json", *INVENTORY]
        told = [run(*asked, "--machine", str(path)) for path in (shown, file)]

    assert (told[1].exit_code, told[1].output) == (told[0].exit_code, told[0].output)


def test_a_recorded_machine_is_asked_about(tmp_path: Path) -> None:
    """A dump of a real machine of four zones with 20 CPUs each: its zones' rooms and what they hold."""
    file = MACHINES / "nri-2-socket-4-node-40-core.json"
    if not file.exists():
        pytest.skip(f"there are no recorded machines in {MACHINES} (NUMA_EXTENDER_MACHINES names another folder)")
    for name, content in json.loads(file.read_text())["files"].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    asked = ["capacity", "-f", PLAIN, "--on", "two-zones", "-n", "two-zones", "-o", "json", *INVENTORY]
    answer = json.loads(run(*asked, "--machine", str(tmp_path)).stdout)
    (node,) = answer["pods"][0]["nodes"]

    assert answer["changed"]
    assert [18, 20, 20, 20] == [room["free"]["cpu"] for room in node["rooms"]]
    assert 4 + 5 + 5 + 5 == node["fits"]


def test_a_folder_that_is_no_machine_is_said_to_be_none(tmp_path: Path) -> None:
    """One sentence names the folder and where CPUs were looked for."""
    printed = run("capacity", "-f", PLAIN, "--machine", str(tmp_path), *INVENTORY)

    assert 2 == printed.exit_code
    assert f"--machine {tmp_path}: this is no copy of /sys: there are no CPUs in {tmp_path}/devices/system" in (
        " ".join(printed.output.split())
    )
