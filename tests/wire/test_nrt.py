"""NodeResourceTopology: our own objects are read back equal, others' at the level of quantities, bad ones are named."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from builders import database, pod, report
from hypothesis import given, settings
from hypothesis import strategies as st

from extender import cpuset
from extender.kubelet import admission
from extender.model.configuration import CpuPolicy, KubeletConfiguration, MemoryPolicy, Scope, TopologyPolicy, Version
from extender.model.machine import Core, HugePages, Machine, Zone
from extender.model.pod import Container, Kind, Pod, Resources
from extender.model.report import Amount, Missing, Report, ZoneQuantities
from extender.model.state import Block, CpuState, Device, DeviceState, MemoryState, NodeState, ZoneMemory
from extender.model.verdict import Admission
from extender.quantity import of, parse
from extender.wire.fields import WireError
from extender.wire.nrt import report_from_nrt, report_to_nrt

# --- our own objects

names = st.text("abz019-", min_size=1, max_size=8)
sets = st.integers(0, 2**70)
sizes = st.integers(0, 2**64 - 1)
blocks = st.lists(
    st.builds(Block, zones=sets, type=st.sampled_from(["memory", "hugepages-2Mi"]), size=sizes), max_size=2
)
kinds = st.sampled_from(Kind)
amounts = st.integers(0, 2**62)


def by_uid(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(names, values, max_size=3)


def held(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return by_uid(st.dictionaries(names, values, min_size=1, max_size=2))


devices = st.lists(
    st.builds(Device, id=names, zones=st.integers(1, 2**8), healthy=st.booleans())
    | st.builds(Device, id=names, zones=st.just(0), located=st.booleans(), healthy=st.booleans()),
    max_size=4,
    unique_by=lambda device: device.id,
).map(lambda found: tuple(sorted(found, key=lambda device: device.id)))

machines = st.lists(
    st.builds(
        Zone,
        id=st.integers(0, 300),
        memory=sizes,
        cores=st.lists(
            st.builds(
                Core,
                threads=st.lists(st.integers(0, 999), min_size=1, max_size=3).map(tuple),
                socket=st.integers(-1, 3),
                uncore=st.none() | st.integers(0, 40),
            ),
            max_size=4,
        ).map(tuple),
        hugepages=st.lists(st.builds(HugePages, st.integers(1, 2**20), st.integers(0, 999)), max_size=2).map(tuple),
        distances=st.lists(st.integers(0, 255), max_size=3).map(tuple),
    ),
    max_size=3,
    unique_by=lambda zone: zone.id,
).map(lambda zones: Machine(tuple(zones), sum(len(core.threads) for zone in zones for core in zone.cores), len(zones)))

configurations = st.builds(
    KubeletConfiguration,
    topology_policy=st.sampled_from(TopologyPolicy),
    topology_scope=st.sampled_from(Scope),
    cpu_policy=st.sampled_from(CpuPolicy),
    cpu_options=st.dictionaries(names, st.sampled_from(["true", "false"]), max_size=2),
    reserved_system_cpus=sets.map(cpuset.render),
    kube_reserved=st.dictionaries(st.sampled_from(["cpu", "memory"]), st.integers(0, 10**12).map(of), max_size=2),
    eviction_hard=st.none() | st.just({"memory.available": "5%"}),
    memory_policy=st.sampled_from(MemoryPolicy),
    feature_gates=st.dictionaries(names, st.booleans(), max_size=2),
)


@st.composite
def states(draw: st.DrawFn) -> NodeState:
    """Any state; its active pods have containers for what they hold, as a report's have."""
    cpu = CpuState(draw(sets), draw(held(sets)), draw(by_uid(sets)))
    memory = MemoryState(
        draw(
            st.dictionaries(
                st.integers(0, 300),
                st.builds(ZoneMemory, st.integers(-2, 5), sets, st.dictionaries(names, sizes, max_size=2)),
                max_size=3,
            )
        ),
        draw(held(blocks.map(tuple))),
        draw(by_uid(blocks.map(tuple))),
    )
    table = st.dictionaries(names, st.frozensets(names, max_size=2), max_size=2)
    device = DeviceState(draw(st.dictionaries(names, devices, max_size=2)), draw(held(table)))
    state = NodeState(cpu, memory, device)
    for uid in draw(st.lists(names, max_size=4, unique=True)):
        holding = {name for entries in (cpu.entries, memory.entries, device.entries) for name in entries.get(uid, {})}
        containers = tuple(Container(name, draw(kinds)) for name in sorted(holding))
        state.active[uid] = Pod(uid, draw(names), containers, draw(names))
    return state


reports = st.builds(
    Report,
    node=names,
    machine=machines,
    configuration=configurations,
    version=st.sampled_from(Version),
    state=states(),
    estimates=st.frozensets(st.sampled_from(Missing)).map(lambda parts: tuple(sorted(parts))),
    kubelet_version=st.sampled_from(["", "v1.37.2"]),
    reserved=st.none() | sets,
    zones=st.lists(
        st.builds(
            ZoneQuantities,
            zone=st.integers(0, 300),
            resources=st.dictionaries(
                st.sampled_from(["memory", "hugepages-1Gi"]), st.builds(Amount, amounts, amounts, amounts)
            ),
            costs=st.dictionaries(st.integers(0, 300), st.integers(0, 255), max_size=3),
        ),
        max_size=3,
        unique_by=lambda zone: zone.zone,
    ).map(lambda zones: tuple(sorted(zones, key=lambda zone: zone.zone))),
    fingerprint=st.sampled_from(["", "pfp0v001ef46db3751d8e999"]),
    fingerprint_method=st.sampled_from(["", "all"]),
    sources=st.dictionaries(names, names, max_size=2),
    warnings=st.lists(st.text(max_size=9), max_size=2).map(tuple),
    heartbeat=st.none() | st.integers(0, 2**33),
)


@settings(max_examples=60, deadline=None)
@given(made=reports)
def test_any_report_is_read_back_equal(made: Report) -> None:
    """What is written of a report, as JSON and back, is the report."""
    assert made == report_from_nrt(json.loads(json.dumps(report_to_nrt(made))))


def test_a_large_node_stays_small() -> None:
    """The hardware of 256 CPUs takes less than 3 KB."""
    zones = tuple(
        Zone(zone, 2**38, tuple(Core((cpu, cpu + 128), zone, cpu // 8) for cpu in range(64 * zone, 64 * zone + 64)))
        for zone in range(2)
    )
    made = report_to_nrt(Report("n", Machine(zones, 256, 2), KubeletConfiguration(), Version.V1_37, NodeState()))

    assert 3_000 > len(json.dumps(made))


def test_equal_hardware_of_many_nodes_is_one_value() -> None:
    """Machines and configurations written alike are kept in memory once."""
    first, second = (report_from_nrt(report_to_nrt(report(name))) for name in ("n1", "n2"))

    assert first.machine is second.machine
    assert first.configuration is second.configuration


def test_the_standard_part_is_what_others_read() -> None:
    """Zones, costs, quantities, attributes and the owner are as NodeResourceTopology has them."""
    quantities = (
        ZoneQuantities(0, {"cpu": Amount(8, 6, 2), "memory": Amount(64, 32, 16)}, {0: 10, 8: 40}),
        ZoneQuantities(8, {"cpu": Amount(8, 8, 8)}, {0: 40, 8: 10}),
    )
    configuration = KubeletConfiguration(
        topology_policy=TopologyPolicy.RESTRICTED,
        topology_scope=Scope.POD,
        topology_options={"max-allowable-numa-nodes": "12"},
    )
    made = Report(
        "n1",
        Machine((), 0, 0),
        configuration,
        Version.V1_37,
        NodeState(),
        zones=quantities,
        fingerprint="pfp0v001ef46db3751d8e999",
        fingerprint_method="with-exclusive-resources",
        heartbeat=1767225600,
    )
    written: Any = report_to_nrt(made, owner="node-uid")

    assert {
        "name": "n1",
        "annotations": {"numa-extender/heartbeat": "2026-01-01T00:00:00Z"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "node-uid"}],
    } == written["metadata"]
    assert {
        "name": "node-0",
        "type": "Node",
        "costs": [{"name": "node-0", "value": 10}, {"name": "node-8", "value": 40}],
        "resources": [
            {"name": "cpu", "capacity": "8", "allocatable": "6", "available": "2"},
            {"name": "memory", "capacity": "64", "allocatable": "32", "available": "16"},
        ],
    } == written["zones"][0]
    assert [
        {"name": "topologyManagerPolicy", "value": "restricted"},
        {"name": "topologyManagerScope", "value": "pod"},
        {"name": "topologyManagerMaxNUMANodes", "value": "12"},
        {"name": "nodeTopologyPodsFingerprint", "value": "pfp0v001ef46db3751d8e999"},
        {"name": "nodeTopologyPodsFingerprintMethod", "value": "with-exclusive-resources"},
    ] == written["attributes"][:5]


def test_the_state_predicts_the_next_admission() -> None:
    """A kubelet started from the object alone answers the next pods as the kubelet does that the object is of."""
    original = report("n1", database("a"), pod("b"))
    read = report_from_nrt(report_to_nrt(original))
    answers = []
    for made in (original, read):
        kubelet = admission.start(made.machine, made.configuration, made.version)
        verdict, after = admission.admit(kubelet, made.state, database("c"))
        answers.append((verdict, after.cpu.default, after.cpu.entries, after.memory.zones, after.memory.entries))

    assert answers[0] == answers[1]


def test_attributes_of_others_are_kept_out_of_the_way() -> None:
    """What other exporters and later versions add changes nothing."""
    written: Any = report_to_nrt(report("n1"))
    more = copy.deepcopy(written)
    more["attributes"] += [{"name": "cpu_core", "value": "0-7"}, {"name": "numa-extender/news", "value": "{"}]
    more["zones"].append({"name": "pool", "type": "Pool", "resources": [], "attributes": [{"name": "x", "value": "y"}]})

    assert report_from_nrt(written) == report_from_nrt(more)


# --- objects of other exporters


def resource(name: str, capacity: object, allocatable: object, available: object) -> dict[str, object]:
    return {"name": name, "capacity": capacity, "allocatable": allocatable, "available": available}


def rte() -> dict[str, Any]:
    """An object as the resource topology exporter writes it, of two zones of 16 CPUs with static managers."""
    return {
        "apiVersion": "topology.node.k8s.io/v1alpha2",
        "kind": "NodeResourceTopology",
        "metadata": {
            "name": "n1",
            "annotations": {
                "k8stopoawareschedwg/rte-update": "periodic",
                "topology.node.k8s.io/fingerprint": "pfp0v001ef46db3751d8e999",
            },
        },
        "topologyPolicies": ["SingleNUMANodePodLevel"],
        "attributes": [
            {"name": "topologyManagerPolicy", "value": "single-numa-node"},
            {"name": "topologyManagerScope", "value": "pod"},
            {"name": "nodeTopologyPodsFingerprint", "value": "pfp0v001ef46db3751d8e999"},
            {"name": "nodeTopologyPodsFingerprintMethod", "value": "with-exclusive-resources"},
            {"name": "topology.node.k8s.io/numaplacement-metadata", "value": "npv0v001::ve=leb89::cc=0::nn=2::bn=0"},
        ],
        "zones": [
            {
                "name": "node-0",
                "type": "Node",
                "attributes": [{"name": "topology.node.k8s.io/numaplacement-vector", "value": "!"}],
                "costs": [{"name": "node-0", "value": 10}, {"name": "node-1", "value": 21}],
                "resources": [
                    resource("cpu", "16", "14", "6"),
                    resource("memory", "34359738368", "32212254720", "16106127360"),
                    resource("hugepages-2Mi", "1Gi", "1Gi", "512Mi"),
                    resource("vendor.com/nic", "4", "4", "3"),
                ],
            },
            {
                "name": "node-1",
                "type": "Node",
                "costs": [{"name": "node-0", "value": 21}, {"name": "node-1", "value": 10}],
                "resources": [
                    resource("cpu", 16, 16, 16),
                    resource("memory", "32Gi", "31Gi", "31Gi"),
                    resource("hugepages-2Mi", "1Gi", "1Gi", "1Gi"),
                ],
            },
        ],
    }


def nfd() -> dict[str, Any]:
    """An object as NFD's topology updater writes it for a kubelet without static managers: no CPU is allocatable."""
    return {
        "metadata": {
            "name": "n1",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Namespace", "name": "nfd", "uid": "x"}],
        },
        "attributes": [
            {"name": "topologyManagerPolicy", "value": "none"},
            {"name": "topologyManagerScope", "value": "container"},
            {"name": "cpu_core", "value": "0-7"},
        ],
        "zones": [{"name": "node-0", "type": "Node", "resources": [resource("cpu", "8", "0", "0")]}],
    }


def asked(cpu: str, memory: str, **more: str) -> Pod:
    amounts = {"cpu": parse(cpu), "memory": parse(memory), **{name: parse(text) for name, text in more.items()}}
    return Pod("new", "new", (Container("main", Kind.APP, Resources(amounts, amounts)),))


ANSWERS = [
    pytest.param(asked("6", "15Gi"), 0b01, id="what is left of the first zone"),
    pytest.param(asked("7", "1Gi"), 0b10, id="more CPUs than the first zone has left"),
    pytest.param(asked("16", "31Gi"), 0b10, id="all of the second zone"),
    pytest.param(asked("2", "16Gi"), 0b10, id="more memory than the first zone has left"),
    pytest.param(asked("2", "1Gi", **{"vendor.com/nic": "3"}), 0b01, id="the devices that are left"),
    pytest.param(asked("2", "1Gi", **{"vendor.com/nic": "4"}), None, id="a device too many"),
    pytest.param(asked("17", "1Gi"), None, id="more than any zone"),
    pytest.param(asked("2", "1Gi", **{"hugepages-2Mi": "1Gi"}), 0b10, id="hugepages of a whole zone"),
]


@pytest.mark.parametrize(("new", "zones"), ANSWERS)
def test_a_foreign_object_is_judged_by_its_quantities(new: Pod, zones: int | None) -> None:
    """The same law runs on a machine that matches the quantities, and everything about it is called an estimate."""
    made = report_from_nrt(rte())
    kubelet = admission.start(made.machine, made.configuration, made.version)
    verdict, _ = admission.admit(kubelet, made.state, new)

    assert (zones is not None) == verdict.admit
    if isinstance(verdict, Admission):
        assert {"main": zones} == verdict.affinity
    assert tuple(sorted(Missing)) == made.estimates


def test_a_foreign_object_keeps_its_fingerprint() -> None:
    """Who knows the pods of the node can tell by it which of them the quantities count."""
    made = report_from_nrt(rte())

    assert ("pfp0v001ef46db3751d8e999", "with-exclusive-resources", None) == (
        made.fingerprint,
        made.fingerprint_method,
        made.heartbeat,
    )


def test_no_allocatable_cpu_means_policy_none() -> None:
    """A kubelet without the static policy pins nothing, so every pod is admitted."""
    made = report_from_nrt(nfd())
    kubelet = admission.start(made.machine, made.configuration, made.version)

    assert (CpuPolicy.NONE, MemoryPolicy.NONE) == (made.configuration.cpu_policy, made.configuration.memory_policy)
    assert admission.admit(kubelet, made.state, asked("64", "1Gi"))[0].admit


POLICIES = [
    pytest.param(["SingleNUMANodeContainerLevel"], [], ("single-numa-node", "container"), id="a deprecated name"),
    pytest.param(["RestrictedPodLevel"], [], ("restricted", "pod"), id="another one"),
    pytest.param(["BestEffort"], [], ("none", "container"), id="a bare name, which nobody maps"),
    pytest.param(
        ["RestrictedPodLevel"], [("topologyManagerPolicy", "best-effort")], ("best-effort", "pod"), id="overridden"
    ),
    pytest.param([], [("topologyManagerScope", "pod")], ("none", "pod"), id="an attribute alone"),
    pytest.param([], [], ("none", "container"), id="nothing"),
]


@pytest.mark.parametrize(("deprecated", "attributes", "expected"), POLICIES)
def test_policy_and_scope_come_from_attributes_before_deprecated_names(
    deprecated: list[str], attributes: list[tuple[str, str]], expected: tuple[str, str]
) -> None:
    """Attributes override topologyPolicies field by field; what neither says has the kubelet's default."""
    written = {
        **nfd(),
        "topologyPolicies": deprecated,
        "attributes": [{"name": name, "value": value} for name, value in attributes],
    }
    configuration = report_from_nrt(written).configuration

    assert expected == (configuration.topology_policy, configuration.topology_scope)


@pytest.mark.parametrize("count", [1, 2, 8, 9, 16])
def test_a_law_can_be_run_on_any_number_of_zones(count: int) -> None:
    """A kubelet of more than eight zones must have been allowed them; one without reserved amounts gets the least."""
    zones = [
        {
            "name": f"node-{zone * 2}",
            "type": "Node",
            "resources": [resource("cpu", 4, 4, 4), resource("memory", "4Gi", "4Gi", "4Gi")],
        }
        for zone in range(count)
    ]
    written = {
        "metadata": {"name": "n1"},
        "attributes": [{"name": "topologyManagerPolicy", "value": "restricted"}],
        "zones": zones,
    }
    made = report_from_nrt(written)
    kubelet = admission.start(made.machine, made.configuration, made.version)

    assert admission.admit(kubelet, made.state, asked("4", "4Gi"))[0].admit


def test_our_object_in_a_later_form_is_read_by_its_quantities() -> None:
    """A form that this version does not know leaves the standard part."""
    later: Any = report_to_nrt(report("n1"))
    for attribute in later["attributes"]:
        if attribute["name"] == "numa-extender/format":
            attribute["value"] = "2"

    assert tuple(sorted(Missing)) == report_from_nrt(later).estimates


# --- bad values


def own(name: str, value: str | None) -> dict[str, Any]:
    """Our object with one attribute replaced, or taken out."""
    written: Any = report_to_nrt(report("n1"))
    rest = [attribute for attribute in written["attributes"] if attribute["name"] != name]
    return {**written, "attributes": rest if value is None else [*rest, {"name": name, "value": value}]}


def foreign(path: list[str | int], value: object) -> dict[str, Any]:
    """A foreign object with one field replaced."""
    written: Any = rte()
    place = written
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return dict(written)


BAD = [
    pytest.param([], "NodeResourceTopology: [] is not an object", id="no object"),
    pytest.param({"metadata": {}}, "NodeResourceTopology metadata.name: None is not a text", id="no name"),
    pytest.param(
        foreign(["attributes", 0, "value"], "single"),
        "NodeResourceTopology n1 attribute topologyManagerPolicy: 'single' is not one of none, best-effort, restricted, "
        "single-numa-node",
        id="an unknown policy",
    ),
    pytest.param(
        foreign(["attributes", 2], {"name": "topologyManagerMaxNUMANodes", "value": "many"}),
        "NodeResourceTopology n1 attribute topologyManagerMaxNUMANodes: 'many' is not a whole number above 1",
        id="a limit that is no number",
    ),
    pytest.param(
        foreign(["attributes", 0, "value"], 7),
        "NodeResourceTopology n1 attribute topologyManagerPolicy: 7 is not a text",
        id="a number for text",
    ),
    pytest.param(
        foreign(["zones", 0, "name"], "zone 0"),
        "NodeResourceTopology n1 zones[0].name: 'zone 0' is not a zone name such as node-0",
        id="a zone without an id",
    ),
    pytest.param(
        foreign(["zones", 1, "name"], "node-0"),
        "NodeResourceTopology n1 zones[1].name: 'node-0' is not a name that occurs once",
        id="a zone twice",
    ),
    pytest.param(
        foreign(["zones", 0, "resources", 0, "available"], "lots"),
        "NodeResourceTopology n1 zone node-0 resource cpu available: 'lots' is not a Kubernetes quantity such as 2, 1500m or 16Gi",
        id="no quantity",
    ),
    pytest.param(
        foreign(["zones", 0, "resources", 0, "capacity"], "1E"),
        "NodeResourceTopology n1 zone node-0 resource cpu capacity: '1E' is not an amount from 0 to 65535",
        id="more CPUs than there can be",
    ),
    pytest.param(
        foreign(["zones", 0, "resources", 1, "allocatable"], "-1"),
        "NodeResourceTopology n1 zone node-0 resource memory allocatable: '-1' is not an amount from 0 to 9223372036854775807",
        id="less than nothing",
    ),
    pytest.param(
        foreign(["zones", 0, "costs", 0, "value"], "near"),
        "NodeResourceTopology n1 zone node-0 cost of node-0: 'near' is not a whole number of at least 0",
        id="a cost that is no number",
    ),
    pytest.param(
        foreign(["metadata", "annotations", "numa-extender/heartbeat"], "noon"),
        "NodeResourceTopology n1 annotation numa-extender/heartbeat: 'noon' is not a time such as 2026-01-31T12:00:00Z",
        id="a heartbeat that is no time",
    ),
    pytest.param(
        own("numa-extender/machine", None),
        "NodeResourceTopology n1 attribute numa-extender/machine: None is not there, as its format demands",
        id="our object without its machine",
    ),
    pytest.param(
        own("numa-extender/machine", "{"),
        "NodeResourceTopology n1 attribute numa-extender/machine: '{' is not JSON",
        id="a machine that is no JSON",
    ),
    pytest.param(
        own("numa-extender/machine", '{"cpus":1,"sockets":1,"zones":[{"id":0,"memory":1,"cores":[[0,null,"0,x"]]}]}'),
        "NodeResourceTopology n1 attribute numa-extender/machine.zones[0].cores[0][2]: 'x' is not a CPU number",
        id="a CPU that is no number",
    ),
    pytest.param(
        own("numa-extender/kubelet", '{"minor":"9.9"}'),
        f"NodeResourceTopology n1 attribute numa-extender/kubelet.minor: '9.9' is not one of {', '.join(Version)}",
        id="a minor that nobody knows",
    ),
    pytest.param(
        own("numa-extender/state", '{"cpus":"all"}'),
        "NodeResourceTopology n1 attribute numa-extender/state.cpus: 'all' is not a list such as 0-3,8",
        id="CPUs that are no list",
    ),
    pytest.param(
        own("numa-extender/pods", '{"u":{"containers":{"c":{"memory":[["memory","0"]]}}}}'),
        "NodeResourceTopology n1 attribute numa-extender/pods.u.containers.c.memory[0]: ['memory', '0'] is not a list of type, "
        "zones and bytes",
        id="a block without its size",
    ),
    pytest.param(
        own("numa-extender/report", '{"estimates":["everything"]}'),
        f"NodeResourceTopology n1 attribute numa-extender/report.estimates[0]: 'everything' is not one of {', '.join(Missing)}",
        id="an unknown estimate",
    ),
]


@pytest.mark.parametrize(("written", "sentence"), BAD)
def test_a_bad_value_is_one_sentence(written: object, sentence: str) -> None:
    """It names the object, the attribute or field, and the value."""
    with pytest.raises(WireError) as raised:
        report_from_nrt(written)

    assert sentence == str(raised.value)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_damage_is_worse_than_a_sentence(data: st.DataObject) -> None:
    """Whatever is put in place of a part of an object, reading it gives a report or a WireError."""
    written: Any = data.draw(st.sampled_from([rte, nfd, lambda: report_to_nrt(report("n1", database("a")))]))()
    place = written
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.integers(0, 3)) == 0:
            break
        place = place[key]
    place[key] = data.draw(st.none() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({}) | st.just([{}]))
    sentence = sentence_about(written)

    assert sentence is None or "NodeResourceTopology" in sentence


def sentence_about(written: object) -> str | None:
    """What reading an object raises, if it raises anything."""
    try:
        report_from_nrt(written)
    except WireError as error:
        return str(error)
    return None
