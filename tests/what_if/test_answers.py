"""What questions answer: fit, capacity, pods together, changes; on small nodes where the answer can be seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import GATES, configuration, database, machine, pod
from what_if_nodes import container, pod_json, samples, site

from extender.ask import questions
from extender.fleet import shape_of
from extender.kubelet import admission
from extender.model.configuration import CpuPolicy, MemoryPolicy, Scope, TopologyPolicy
from extender.model.machine import Core
from extender.model.pod import Container, Kind, Pod
from extender.model.state import Device
from extender.what_if.holdings import rebuilt
from extender.what_if.site import Site
from extender.what_if.work import Progress, run
from extender.wire.machine import machine_to_json

Json = dict[str, Any]

LEFT_THREE_AND_SIX = pod("left", "11", "20Gi"), pod("right", "10", "20Gi")
"""On a node of the builders: 3 CPUs are left in zone 0, 6 in zone 1."""


def ask(sites: list[Site], kind: str = "what-if", **question: Any) -> Json:
    return run(questions.answered(kind, questions.read(question), sites))


def test_an_admission_is_told_with_cpus_memory_slices_and_pool() -> None:
    """The example's answer names the zone, the slice of db, and what the others share."""
    budget = {"requests": {"cpu": "8", "memory": "16Gi"}, "limits": {"cpu": "8", "memory": "16Gi"}}
    document = pod_json("database", container("db", "6", "12Gi"), {"name": "metrics"}, budget=budget)
    (answer,) = ask([site()], pods=[document])["pods"]
    (finding,) = answer["nodes"]

    assert "zone 0: CPUs 1-4,17-20, of which db has CPUs 1-3,17-19 alone" in finding["sentence"]
    assert ["db"] == finding["admission"]["exclusive"]
    assert "1-4,17-20" == finding["admission"]["podCpus"]
    assert "4,20" == finding["admission"]["podSharedPool"]
    assert [{"type": "memory", "size": 16 << 30, "numa": [0]}] == finding["admission"]["podMemory"]
    assert [14, 6] == [rooms[0]["free"]["cpu"] for rooms in (finding["rooms"], finding["left"])]


def test_a_refusal_is_told_with_what_each_zone_lacks() -> None:
    """A refusal has the kubelet's own reason and message, and per zone what was available."""
    (answer,) = ask([site("n", *LEFT_THREE_AND_SIX)], pods=[pod_json("p", container(cpu="8"))])["pods"]
    (finding,) = answer["nodes"]

    assert "TopologyAffinityError" == finding["refusal"]["reason"]
    assert "Resources cannot be allocated with Topology locality" == finding["refusal"]["message"]
    assert {"resource": "cpu", "requested": 8, "available": {"0": 3, "1": 6}} in finding["refusal"]["shortages"]
    assert (
        "pod scope wants 8 CPU and 8Gi in one zone (single-numa-node); zone 0 has 3 CPU free, zone 1 has 6"
        == (finding["sentence"])
    )


def test_nodes_come_with_the_best_placement_first() -> None:
    """Nodes on which it fits come first, by score; those that cannot be judged last."""
    tight = site("tight", pod("a", "10", "4Gi"))
    sites = [Site("unknown", fault="no report"), site("idle"), site("full", pod("b", "12"), pod("c", "16")), tight]
    (answer,) = ask(sites, pods=[pod_json("p", container(cpu="4"))])["pods"]

    assert ["tight", "idle", "full", "unknown"] == [one["node"] for one in answer["nodes"]]
    assert {"admitted": 2, "refused": 1, "crash": 0, "unknown": 1} == answer["summary"]


def test_a_kubelet_that_would_crash_is_no_fit() -> None:
    """The kubelet looks a distance up by zone id; on zones 0 and 8 that is an index out of range, and a panic."""
    options = {"prefer-closest-numa-nodes": "true"}
    change = {"kubelet": {"topologyManagerPolicy": "restricted", "topologyManagerPolicyOptions": options}}
    (answer,) = ask(samples(), nodes=["sparse-ids"], pods=[pod_json("p", container())], change=change)["pods"]

    assert "crash" == answer["nodes"][0]["outcome"]
    assert "would crash or hang the kubelet: panic: index out of range" in answer["nodes"][0]["sentence"]
    assert ["sparse-ids"] == answer["loses"]


def test_nodes_that_are_alike_get_the_same_answer_and_their_own_name() -> None:
    """Asking one node of a kind is as good as asking all: the holders of what is taken do not matter."""
    first, second = site("a", pod("x", "4")), site("b", pod("y", "4"))
    assert first.snapshot
    assert second.snapshot
    second = replace(second, snapshot=type(second.snapshot)(first.snapshot.kubelet, second.snapshot.state))
    (answer,) = ask([first, second], pods=[pod_json("p", container())])["pods"]
    one, other = answer["nodes"]

    assert ["a", "b"] == [one.pop("node"), other.pop("node")]
    assert one == other


# Capacity


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(container(cpu="4", memory="1Gi"), 7, id="14 and 16 CPUs hold 3 and 4 pods of 4"),
        pytest.param(container(cpu="8", memory="1Gi"), 3, id="1 and 2 of 8"),
        pytest.param(container(cpu="1", memory="30Gi"), 4, id="memory runs out first"),
        pytest.param(container(cpu="17", memory="1Gi"), 0, id="more than a zone has"),
    ],
)
def test_capacity_is_what_the_kubelet_admits_one_after_the_other(asked: Json, expected: int) -> None:
    """Copies are admitted until the first refusal, and the answer agrees with the twin asked pod by pod."""
    node = site()
    (answer,) = ask([node], "capacity", pods=[pod_json("p", asked)])["pods"]
    assert node.snapshot
    kubelet, state, admitted = node.snapshot.kubelet, node.snapshot.state, 0
    for number in range(40):
        copy = replace(questions.read({"pods": [pod_json("p", asked)]}).asked[0].pod, uid=f"copy-{number}")
        verdict, state = admission.admit(kubelet, state, copy)
        if not verdict.admit:
            break
        admitted += 1

    assert expected == admitted == answer["total"] == answer["nodes"][0]["fits"]
    assert answer["limited"]


def test_a_pod_that_is_not_pinned_has_no_limit() -> None:
    """A pod that requests nothing takes nothing that could run out."""
    document = pod_json("p", {"name": "a"})
    (answer,) = ask([site()], "capacity", pods=[document], most=20)["pods"]

    assert (20, False) == (answer["total"], answer["limited"])
    assert "NUMA sets no limit" in answer["nodes"][0]["sentence"]


def test_counting_goes_on_while_refusals_change_what_the_next_one_finds() -> None:
    """
    A kubelet without the gate frees of a pod-level allocation that a gated one left only what containers hold.

    A refused pod of two containers has taken CPUs for the first one, which the next admission gives back: nothing is
    left to count, and the answer says so.
    """
    document = pod_json("p", container("first", "6", "4Gi"), container("second", "9", "4Gi"))
    (answer,) = ask([site(by=configuration(scope=Scope.CONTAINER))], "capacity", pods=[document])["pods"]

    assert (1, 0) == (answer["nodes"][0]["fits"], answer["nodes"][0]["beyond"])


def test_counting_ends_where_it_is_told_to() -> None:
    """``most`` bounds the count, and the answer says that it was not a refusal that ended it."""
    (answer,) = ask([site()], "capacity", pods=[pod_json("p", container(cpu="1", memory="1Gi"))], most=5)["pods"]

    assert 5 == answer["total"]
    assert "counting ended before the first refusal" == answer["nodes"][0]["sentence"]


# The node as a whole


def burstable(cpu: str, limit: str) -> Json:
    """A pod that is not pinned."""
    return pod_json("p", {"name": "a", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": limit}}})


def test_pods_that_are_not_pinned_fill_the_node_as_a_whole() -> None:
    """The kubelet's general predicates sum requests of all pods: 30 CPUs are there, 21 are requested."""
    (answer,) = ask([site("n", *LEFT_THREE_AND_SIX)], pods=[burstable("10", "12")])["pods"]
    (finding,) = answer["nodes"]

    assert "refused" == finding["outcome"]
    assert "the pod requests 10 CPU; all pods together leave 9 of 30 on the node" == finding["sentence"]
    assert "OutOfcpu" == finding["refusal"]["reason"]
    assert (
        "Node didn't have enough resource: cpu, requested: 10000, used: 21000, capacity: 30000"
        == (finding["refusal"]["message"])
    )


def test_the_node_as_a_whole_bounds_the_count() -> None:
    """Where zones set no limit the node's sums do, and the answer says which."""
    (answer,) = ask([site("n", *LEFT_THREE_AND_SIX)], "capacity", pods=[burstable("2", "4")])["pods"]

    assert (4, True) == (answer["total"], answer["limited"])
    assert "the pod requests 2 CPU; all pods together leave 1 of 30 on the node" == answer["nodes"][0]["sentence"]


def test_budgets_count_whole_although_only_a_part_is_pinned() -> None:
    """In scope container a budget of 8 CPUs pins the 6 of its container; three of them fill a node of 30 with 2 taken."""
    budget = {"requests": {"cpu": "8", "memory": "16Gi"}, "limits": {"cpu": "8", "memory": "16Gi"}}
    document = pod_json("p", container("db", "6", "12Gi"), {"name": "metrics"}, budget=budget)
    loose = configuration(policy=TopologyPolicy.BEST_EFFORT, scope=Scope.CONTAINER)
    (answer,) = ask([site("n", pod("before", "2", "2Gi"), by=loose)], "capacity", pods=[document])["pods"]

    assert 3 == answer["total"]
    assert "all pods together leave 4 of 30" in answer["nodes"][0]["sentence"]


def test_less_or_fewer_pods_make_room_on_the_node_as_a_whole() -> None:
    """What helps a node that is full is less of it, or one pod less; no setting of the kubelet does."""
    (answer,) = ask([site("n", *LEFT_THREE_AND_SIX)], pods=[burstable("10", "12")], suggest=1)["pods"]

    assert ["ask for less: cpu of a 12 → 9, cpu of a 10 → 9", "remove default/right"] == [
        one["sentence"] for one in answer["suggestions"]
    ]


# Together


def test_pods_together_find_what_the_ones_before_have_left() -> None:
    """Two pods of 12 CPUs each fit on a node for themselves; three do not fit together."""
    sites = [site("n")]
    answer = ask(sites, pods=[pod_json("p", container(cpu="12", memory="1Gi"))], replicas=3, together=True)

    assert [True, True, False] == [place["fits"] for place in answer["together"]]
    assert 2 == answer["placed"]
    assert not answer["fits"]
    assert [[0], [1]] == [place["zones"] for place in answer["together"][:2]]
    assert 1 == answer["together"][2]["reasons"][0]["nodes"]


def test_pods_together_go_to_the_node_that_scores_highest() -> None:
    """A pod fills a hole before it breaks an idle zone, and the next one finds it there."""
    sites = [site("idle"), site("used", pod("a", "8", "4Gi"), pod("b", "16", "4Gi"))]
    documents = [
        pod_json("first", container(cpu="6", memory="1Gi")),
        pod_json("second", container(cpu="6", memory="1Gi")),
    ]
    answer = ask(sites, pods=documents, together=True)

    assert ["used", "idle"] == [place["node"] for place in answer["together"]]


# Changes


def test_another_policy_gains_a_node() -> None:
    """3 and 6 CPUs in two zones are enough for 8 once the kubelet may spread them."""
    sites = [site("n", *LEFT_THREE_AND_SIX)]
    change = {"kubelet": {"topologyManagerPolicy": "best-effort"}}
    (answer,) = ask(sites, pods=[pod_json("p", container(cpu="8", memory="1Gi"))], change=change)["pods"]

    assert (["n"], []) == (answer["gains"], answer["loses"])
    assert [False, True] == [answer["before"][0]["fits"], answer["nodes"][0]["fits"]]


def test_a_stricter_kubelet_does_not_admit_a_running_pod_again() -> None:
    """A pod that lies on two zones is lost once one zone is demanded, and the answer says which and why."""
    wide = pod("wide", "20", "8Gi")
    loose = configuration(policy=TopologyPolicy.BEST_EFFORT)
    answer = ask([site("n", wide, by=loose)], change={"kubelet": {"topologyManagerPolicy": "single-numa-node"}})

    (lost,) = answer["lost"]
    assert ("default", "wide", "n", "TopologyAffinityError") == (
        lost["namespace"],
        lost["name"],
        lost["node"],
        lost["reason"],
    )
    assert "wants 20 CPU" in lost["sentence"]
    assert not answer["fits"]


def test_only_the_named_nodes_change() -> None:
    """``change.nodes`` keeps the rest as it is."""
    sites = [site("a", *LEFT_THREE_AND_SIX), site("b", *LEFT_THREE_AND_SIX)]
    change = {"nodes": ["b"], "kubelet": {"topologyManagerPolicy": "best-effort"}}
    (answer,) = ask(sites, pods=[pod_json("p", container(cpu="8", memory="1Gi"))], change=change)["pods"]

    assert ["b"] == answer["gains"]


def test_a_kubelet_that_would_not_start_is_said_to() -> None:
    """More reserved memory per zone than the node reserves stops a kubelet; its pods are lost with it."""
    change = {"kubelet": {"reservedMemory": [{"numaNode": 0, "limits": {"memory": "2Gi"}}]}}
    answer = ask([site("n", pod("a"))], pods=[pod_json("p", container())], change=change)

    assert "its kubelet would not start" in answer["pods"][0]["nodes"][0]["sentence"]
    assert ["a"] == [one["name"] for one in answer["lost"]]


def test_drained_pods_look_for_another_node() -> None:
    """The pods of a drained node are placed on the others, or are told to have no place."""
    sites = [site("gone", pod("a", "12"), pod("b", "14")), site("stays", pod("c", "12"))]
    answer = ask(sites, change={"drain": ["gone"]})

    assert {"a": False, "b": True} == {place["name"]: place["fits"] for place in answer["displaced"]} or {
        "a": True,
        "b": False,
    } == {place["name"]: place["fits"] for place in answer["displaced"]}
    assert not answer["fits"]


def test_a_removed_pod_makes_room() -> None:
    """What a pod held is free for the next admission."""
    sites = [site("n", *LEFT_THREE_AND_SIX)]
    change = {"removePods": ["default/right"]}
    (answer,) = ask(sites, pods=[pod_json("p", container(cpu="12"))], change=change)["pods"]

    assert ["n"] == answer["gains"]
    assert "zone 1: main has CPUs" in answer["nodes"][0]["sentence"]


def test_nodes_are_added_like_others_or_from_a_description() -> None:
    """Added nodes are idle; their number and their names are as asked."""
    cores = [{"core_id": core, "thread_ids": [core], "socket_id": 0} for core in range(16)]
    zone = {"node_id": 3, "memory": 64 << 30, "cores": cores}
    described = {"num_cores": 16, "num_sockets": 1, "topology": [zone]}
    change = {"add": [{"like": "n", "count": 2, "name": "new"}, {"name": "small", "machine": described}]}
    (answer,) = ask([site("n", *LEFT_THREE_AND_SIX)], pods=[pod_json("p", container(cpu="12"))], change=change)["pods"]

    assert ["new-1", "new-2", "small"] == answer["gains"]


def test_another_machine_changes_the_answer() -> None:
    """The same kubelet on a machine with larger zones admits what it refused."""
    change = {"machine": machine_to_json(machine(cores=16, gibibytes=256)), "kubelet": {"reservedSystemCPUs": "0,32"}}
    (answer,) = ask([site("n")], pods=[pod_json("p", container(cpu="24", memory="100Gi"))], change=change)["pods"]

    assert ["n"] == answer["gains"]


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        pytest.param({"nodes": ["nope"]}, "nodes: no node matches 'nope'", id="no such node"),
        pytest.param({"change": {"drain": ["x*"]}}, "change.drain: no node matches 'x*'", id="no such node to drain"),
        pytest.param(
            {"change": {"removePods": ["default/x"]}}, "change.removePods: no pod matches 'default/x'", id="no such pod"
        ),
        pytest.param(
            {"change": {"add": [{"name": "n", "like": "n"}]}}, "change.add: there is more than one node 'n'", id="taken"
        ),
        pytest.param(
            {"change": {"add": [{"name": "m"}]}},
            "change.add[0]: neither `like` nor `machine` says what node 'm' is",
            id="a node without a machine",
        ),
        pytest.param(
            {"change": {"kubelet": {"topologyManagerPolcy": "none"}}},
            "change.kubelet: 'topologyManagerPolcy' is not a field that decides admission",
            id="a misspelt field",
        ),
        pytest.param({"change": {"nodes": ["n"]}}, "change.nodes: ['n'] is not of use without", id="nothing to change"),
        pytest.param(
            {"amounts": {"cpu": "1500m"}}, "amounts.cpu: '1500m' is not a whole number above 0", id="half a CPU"
        ),
        pytest.param({"wrong": 1}, "the question: 'wrong' is not one of its fields", id="an unknown field"),
    ],
)
def test_a_question_that_does_not_suit_the_cluster_is_refused(question: Json, sentence: str) -> None:
    """One sentence names the field and the value."""
    with pytest.raises(questions.MISTAKES) as wrong:
        ask([site("n")], **{"pods": [pod_json("p", container())], **question})

    assert str(wrong.value).startswith(sentence)


def test_a_gate_or_an_option_is_taken_out_with_null() -> None:
    """Null takes an entry back to its default, and leaves the others."""
    whole = replace(configuration(), cpu_options={"full-pcpus-only": "true"})
    change = {"kubelet": {"cpuManagerPolicyOptions": {"full-pcpus-only": None}}}
    (answer,) = ask([site("n", by=whole)], pods=[pod_json("p", container(cpu="3"))], change=change)["pods"]

    assert ["n"] == answer["gains"]


def test_a_whole_configuration_replaces_the_old_one() -> None:
    """A document of kind KubeletConfiguration is whole: what it does not name has its default."""
    change = {"kubelet": {"kind": "KubeletConfiguration", "clusterDNS": ["10.0.0.10"]}}
    answer = run(questions.answered("what-if", questions.read({"change": change}), [site("n", pod("a"))], maps=True))

    assert "none" == answer["maps"][0]["policy"]  # type: ignore[index]


# What a pod holds


@pytest.mark.parametrize(
    ("held", "by"),
    [
        pytest.param(pod("plain", "4", "8Gi"), configuration(), id="a plain pod"),
        pytest.param(database("db"), configuration(), id="a pod-level budget with a pod shared pool"),
        pytest.param(
            Pod(
                "uid-init",
                "init",
                (
                    replace(pod("x", "3", "2Gi").containers[0], name="prepare", kind=Kind.INIT),
                    *pod("x", "4").containers,
                ),
            ),
            configuration(scope=Scope.CONTAINER),
            id="an init container",
        ),
        pytest.param(
            pod("memory", "4", "8Gi"), replace(configuration(), cpu_policy=CpuPolicy.NONE), id="memory manager alone"
        ),
        pytest.param(
            pod("cpus", "4", "8Gi"), replace(configuration(), memory_policy=MemoryPolicy.NONE), id="CPU manager alone"
        ),
    ],
)
def test_a_rebuilt_pod_takes_what_the_pod_holds(held: Pod, by: Any) -> None:
    """On an idle node the pod that was rebuilt from a pod's holdings gets exactly what that pod got."""
    node, idle = site("n", held, by=by), site("n", by=by)
    assert node.snapshot
    assert idle.snapshot
    again = rebuilt(node.snapshot.state, held.uid)
    verdict = idle.snapshot.fit(again, shape_of(again)).verdict
    expected = idle.snapshot.fit(held, shape_of(held)).verdict

    assert verdict is not None
    assert expected is not None
    assert (expected.admit, expected.cpus, expected.pod_cpus) == (verdict.admit, verdict.cpus, verdict.pod_cpus)  # type: ignore[union-attr]
    assert sizes(expected) == sizes(verdict)


def sizes(verdict: Any) -> int:
    return sum(block.size for blocks in verdict.memory.values() for block in blocks)


def test_devices_count_and_their_holder_is_shown() -> None:
    """A device runs out like a CPU, and the map shows who holds it."""
    devices = {"vendor.com/gpu": (Device("g0", 1), Device("g1", 2))}
    asked = container(**{"vendor.com/gpu": "1"})
    node = site("n", devices=devices)
    (count,) = ask([node], "capacity", pods=[pod_json("p", asked)])["pods"]
    holder = questions.read({"pods": [pod_json("holder", asked)]}).asked[0].pod
    mapped = questions.mapped(site("n", holder, devices=devices))

    assert 2 == count["total"]
    assert ["default/holder", None] == [one.get("holder") for one in mapped["devices"]["vendor.com/gpu"]]  # type: ignore[index]


def test_work_pauses_often() -> None:
    """A computation gives control back after every few verdicts, and tells how far it is."""
    seen: list[Progress] = []
    question = questions.read({"pods": [pod_json("p", container(cpu="40"))], "suggest": 2})
    run(questions.answered("what-if", question, [site("a"), site("b")]), seen.append)

    assert {"fit", "suggest"} <= {one.what for one in seen}
    assert len(seen) > 20
    assert all(1 <= one.done <= one.of for one in seen)


def test_gates_of_a_change_are_merged() -> None:
    """A patch of gates leaves the other gates alone."""
    answer = run(
        questions.answered(
            "what-if",
            questions.read({"change": {"kubelet": {"featureGates": {"PodLevelResourceManagers": False}}}}),
            [site("n")],
            maps=True,
        )
    )

    assert {**GATES, "PodLevelResourceManagers": False} == answer["maps"][0]["configuration"]["featureGates"]  # type: ignore[index]


def test_the_map_shows_cores_holders_and_pool() -> None:
    """A map has every core with its siblings, the reserved CPUs, and for each pod what it holds."""
    mapped: Json = questions.mapped(site("n", database("db")))

    assert [0, 16] == mapped["zones"][0]["cores"][0]["cpus"]
    assert "0,16" == mapped["reserved"]
    (holder,) = mapped["holders"]
    assert ("1-4,17-20", "4,20") == (holder["cpus"], holder["pool"])
    assert Core((0, 16), 0) == machine().zones[0].cores[0]
    assert ["db", "metrics", "backup"] == [one["name"] for one in holder["containers"]]
    assert Container("metrics") in database("db").containers
