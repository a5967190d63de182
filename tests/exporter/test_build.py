"""From what the sources say to the report: what is believed, and what is called an estimate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from observed import (
    CONFIGURATION,
    EVERYTHING,
    GI,
    MACHINE,
    NIC,
    RESERVED,
    api_pod,
    block,
    cpu_checkpoint,
    cpus,
    listed_pod,
    memory_checkpoint,
    nics,
    observation,
    pods,
)

from extender.exporter.build import Built, Pair, build
from extender.exporter.observation import (
    Allocatable,
    ApiNode,
    CheckpointFault,
    DeviceCheckpoint,
    ListedContainer,
    MemoryCheckpoint,
    Observation,
    Source,
)
from extender.exporter.sysfs import Hardware
from extender.kubelet import admission
from extender.model.configuration import CpuPolicy, KubeletConfiguration, MemoryPolicy, Version
from extender.model.machine import HugePages, Machine
from extender.model.pod import Container, Kind, Pod
from extender.model.report import Amount, Missing, Report
from extender.model.state import CpuState, Device, MemoryState, NodeState, ZoneMemory
from extender.wire.nrt import report_from_nrt, report_to_nrt


def report(**changes: Any) -> Report:
    """The report of a node whose sources are changed."""
    return build(observation(**changes)).report


def zone_amounts(made: Report, resource: str) -> dict[int, tuple[int, int, int]]:
    """Zone to capacity, allocatable and available of one resource."""
    return {
        zone.zone: (amount.capacity, amount.allocatable, amount.available)
        for zone in made.zones
        for amount in (zone.resources[resource],)
    }


def test_a_node_of_which_everything_is_known_is_exact() -> None:
    """The report of an idle node is the state in which the law starts such a kubelet, and nothing is an estimate."""
    made = report()
    kubelet = admission.start(made.machine, made.configuration, made.version)

    assert (True, Version.V1_37, "v1.37.2", RESERVED) == (
        made.exact,
        made.version,
        made.kubelet_version,
        made.reserved,
    )
    assert admission.initial(kubelet) == made.state


def test_the_object_is_read_back_equal() -> None:
    """What is published of a busy node is what a reader of the object finds."""
    made = report(
        pods=pods(api_pod("u1", "db")),
        listed=(listed_pod("db", ListedContainer(cpus("1,9"), (block(2, 0),))),),
        cpu=cpu_checkpoint("0,2-8,10-15", {"u1": {"init": "1-2,9-10", "main": "1,9"}}),
        memory=memory_checkpoint({0: 13, 1: 16}, {"u1": {"main": (block(2, 0),)}}),
    )

    assert made == report_from_nrt(report_to_nrt(made))


# --- who is who

MAIN = {"u1": {"main": "1,9"}}
HOLDING = {"cpu": cpu_checkpoint("0,2-8,10-15", MAIN)}
LISTED = (listed_pod("db", ListedContainer(cpus("1,9"))),)

ACTIVE = [
    pytest.param({"pods": pods(api_pod("u1", "db")), "listed": LISTED, **HOLDING}, {"u1"}, id="listed and holding"),
    pytest.param(
        {"pods": pods(api_pod("u1", "web")), "listed": (listed_pod("web"),)}, {"u1"}, id="listed, holds nothing"
    ),
    pytest.param({"pods": pods(api_pod("u1", "web")), "listed": ()}, set(), id="bound, not seen by the kubelet yet"),
    pytest.param(
        {"pods": pods(api_pod("u1", "db")), "listed": (), "fresh": True, **HOLDING},
        {"u1"},
        id="holding while a fresh kubelet lists nobody",
    ),
    pytest.param(
        {"pods": pods(api_pod("u1", "db")), "listed": (), **HOLDING},
        set(),
        id="holding, not listed by a kubelet that has had its time",
    ),
    pytest.param(
        {
            "pods": pods(api_pod("u1", "db", created="2026-01-01"), api_pod("u2", "web", created="2026-01-02")),
            "listed": (listed_pod("web"),),
            "fresh": True,
            **HOLDING,
        },
        {"u2"},
        id="holding, passed over by a fresh kubelet that lists a younger pod",
    ),
    pytest.param(
        {
            "pods": pods(api_pod("u1", "db", created="2026-01-02"), api_pod("u2", "web", created="2026-01-01")),
            "listed": (listed_pod("web"),),
            "fresh": True,
            **HOLDING,
        },
        {"u1", "u2"},
        id="holding, younger than what a fresh kubelet has come to",
    ),
    pytest.param(
        {"pods": pods(api_pod("u1", "db", acknowledged=False)), "listed": None, **HOLDING},
        {"u1"},
        id="holding, kubelet away",
    ),
    pytest.param({"pods": pods(api_pod("u1", "db", terminal=True)), "listed": (), **HOLDING}, set(), id="over"),
    pytest.param({"pods": {}, "listed": (), "departed": pods(api_pod("u1", "db")), **HOLDING}, set(), id="deleted"),
    pytest.param(
        {"pods": {}, "listed": LISTED, "departed": pods(api_pod("u1", "db")), **HOLDING},
        set(),
        id="deleted, which the kubelet has not heard yet",
    ),
    pytest.param(
        {"pods": {}, "listed": (), "recent": frozenset({"u1"}), **HOLDING},
        {"u1"},
        id="so new that news of it is on its way",
    ),
    pytest.param({"pods": {}, "listed": (), **HOLDING}, set(), id="unknown to the API server and to the kubelet"),
    pytest.param({"pods": {}, "listed": LISTED, **HOLDING}, {"u1"}, id="static, its mirror not there yet"),
    pytest.param(
        {
            "pods": pods(api_pod("u2", "db", acknowledged=False)),
            "departed": pods(api_pod("u1", "db")),
            "listed": (listed_pod("db"),),
        },
        set(),
        id="listed under a name that an earlier pod had",
    ),
    pytest.param(
        {"pods": pods(api_pod("u2", "db")), "departed": pods(api_pod("u1", "db")), "listed": (listed_pod("db"),)},
        {"u2"},
        id="listed under an earlier pod's name, with a status from the kubelet",
    ),
    pytest.param({"pods": pods(api_pod("u1", "web")), "listed": None}, {"u1"}, id="with a status, kubelet away"),
    pytest.param(
        {"pods": pods(api_pod("u1", "web", acknowledged=False)), "listed": None},
        set(),
        id="without a status, kubelet away",
    ),
    pytest.param({"pods": None, "listed": LISTED, **HOLDING}, {"u1"}, id="holding, API server never heard"),
]


@pytest.mark.parametrize(("changes", "active"), ACTIVE)
def test_a_pod_is_active_if_the_kubelet_has_seen_it_and_it_is_not_over(changes: Any, active: set[str]) -> None:
    """Each way of being known decides whether what a pod holds counts or is a leftover."""
    assert active == report(**changes).state.active.keys()


def test_a_static_pod_is_known_by_its_mirrors_uid() -> None:
    """The kubelet has a uid of its own for a static pod; the report has the one that the API server knows."""
    made = report(pods=pods(api_pod("mirror", "db", kubelet_uid="u1")), listed=LISTED, **HOLDING)

    assert {"mirror": {"main": cpus("1,9")}} == made.state.cpu.entries
    assert {"mirror"} == made.state.active.keys()


def test_a_pod_that_only_podresources_knows_stands_by_its_name() -> None:
    """Without a checkpoint and before the API server's news, a name serves in place of a uid."""
    made = report(pods={}, listed=LISTED, cpu=CheckpointFault.UNKNOWN_FORM)

    assert {"default/db": {"main": cpus("1,9")}} == made.state.cpu.entries
    assert {"default/db"} == made.state.active.keys()


def test_without_the_api_server_pods_are_an_estimate() -> None:
    """Who is over cannot be known then, so every holder counts as active and the report says so."""
    made = report(pods=None, listed=LISTED, **HOLDING)

    assert (Missing.PODS,) == made.estimates


def test_active_pods_have_the_containers_that_hold_something() -> None:
    """Kinds and order are the kubelet's; what holds nothing is left out."""
    kinds = {"setup": Kind.INIT, "proxy": Kind.SIDECAR, "main": Kind.APP, "idle": Kind.APP}
    made = report(
        pods=pods(api_pod("u1", "db", kinds=kinds)),
        listed=(listed_pod("db"),),
        cpu=cpu_checkpoint("0,3-8,10-15", {"u1": {"main": "1", "proxy": "2", "setup": "1,9"}}),
    )

    assert {
        "u1": Pod(
            "u1",
            "db",
            (Container("setup", Kind.INIT), Container("proxy", Kind.SIDECAR), Container("main", Kind.APP)),
            "default",
        )
    } == made.state.active


# --- managers


def test_the_checkpoint_shows_what_init_containers_hold() -> None:
    """CPUs of an init container that PodResources never lists are in the state."""
    made = report(
        pods=pods(api_pod("u1", "db")),
        listed=LISTED,
        cpu=cpu_checkpoint("0,3-8,11-15", {"u1": {"init": "1-2,9-10", "main": "1,9"}}),
    )

    assert CpuState(cpus("0,3-8,11-15"), {"u1": {"init": cpus("1-2,9-10"), "main": cpus("1,9")}}) == made.state.cpu
    assert {0: (8, 6, 2), 1: (8, 8, 8)} == zone_amounts(made, "cpu")


def test_pod_level_cpus_are_not_counted_twice() -> None:
    """Of a pod-level allocation the whole counts, and its containers' slices are within it."""
    made = report(
        pods=pods(api_pod("u1", "db")),
        listed=(listed_pod("db", ListedContainer(cpus("1,9")), cpus=cpus("1-2,9-10")),),
        cpu=cpu_checkpoint("0,3-8,11-15", {"u1": {"main": "1,9", "side": "2,10"}}, {"u1": "1-2,9-10"}),
    )

    assert {"u1": cpus("1-2,9-10")} == made.state.cpu.pod_entries
    assert {0: (8, 6, 2), 1: (8, 8, 8)} == zone_amounts(made, "cpu")


def test_an_unknown_checkpoint_leaves_podresources() -> None:
    """What runs is still seen, what init containers hold is not, and the report names that as an estimate."""
    made = report(pods=pods(api_pod("u1", "db")), listed=LISTED, cpu=CheckpointFault.UNKNOWN_FORM)

    assert CpuState(EVERYTHING & ~cpus("1,9"), {"u1": {"main": cpus("1,9")}}) == made.state.cpu
    assert ((Missing.CPU_STATE,), "podresources") == (made.estimates, made.sources["cpus"])


def test_strict_reservation_keeps_reserved_cpus_out_of_the_shared_pool() -> None:
    """Without a checkpoint the shared pool follows from what is allocatable, as the option demands."""
    strict = replace(CONFIGURATION, cpu_options={"strict-cpu-reservation": "true"})
    made = report(configuration=strict, cpu=CheckpointFault.MISSING)

    assert EVERYTHING & ~RESERVED == made.state.cpu.default


def test_a_checkpoint_that_contradicts_podresources_is_not_used() -> None:
    """PodResources is what the kubelet has in memory: its word stands, the disagreement is counted, the part estimated."""
    built = build(
        observation(
            pods=pods(api_pod("u1", "db")),
            listed=(listed_pod("db", ListedContainer(cpus("2,10"))),),
            cpu=cpu_checkpoint("0,2-8,10-15", MAIN),
        )
    )

    assert {"u1": {"main": cpus("2,10")}} == built.report.state.cpu.entries
    assert {Pair.CPU_CHECKPOINT_POD_RESOURCES} == built.disagreements
    assert (Missing.CPU_STATE,) == built.report.estimates


def test_memory_comes_with_groups_and_free_amounts() -> None:
    """Only the checkpoint tells how a block lies on its zones and which zones form a group."""
    made = report(
        pods=pods(api_pod("u1", "db")),
        listed=(listed_pod("db", ListedContainer(memory=(block(20, 0, 1),))),),
        memory=memory_checkpoint({0: 0, 1: 11}, {"u1": {"main": (block(20, 0, 1),)}}, cells={0: 3, 1: 3}),
    )

    assert {
        0: ZoneMemory(1, 0b11, {"memory": 0}),
        1: ZoneMemory(1, 0b11, {"memory": 11 * GI}),
    } == made.state.memory.zones
    assert {0: (16 * GI, 15 * GI, 0), 1: (16 * GI, 16 * GI, 11 * GI)} == zone_amounts(made, "memory")


def test_without_its_checkpoint_memory_is_booked_as_the_kubelet_books_it() -> None:
    """A block on two zones takes from the lower one first; both form a group."""
    made = report(
        pods=pods(api_pod("u1", "db")),
        listed=(listed_pod("db", ListedContainer(memory=(block(20, 0, 1),))),),
        memory=CheckpointFault.UNKNOWN_FORM,
    )

    assert (
        MemoryState(
            {0: ZoneMemory(1, 0b11, {"memory": 0}), 1: ZoneMemory(1, 0b11, {"memory": 11 * GI})},
            {"u1": {"main": (block(20, 0, 1),)}},
        )
        == made.state.memory
    )
    assert (Missing.MEMORY_STATE,) == made.estimates


def test_pod_level_memory_is_booked_once() -> None:
    """Without a checkpoint a pod-level block is taken off, its containers' shares of it are not."""
    made = report(
        pods=pods(api_pod("u1", "db")),
        listed=(listed_pod("db", ListedContainer(memory=(block(2, 1),)), memory=(block(4, 1),)),),
        memory=CheckpointFault.UNKNOWN_FORM,
    )

    assert {0: (16 * GI, 15 * GI, 15 * GI), 1: (16 * GI, 16 * GI, 12 * GI)} == zone_amounts(made, "memory")


def test_memory_that_contradicts_podresources_is_estimated() -> None:
    """A block of which the checkpoint knows nothing makes the checkpoint unusable."""
    built = build(
        observation(pods=pods(api_pod("u1", "db")), listed=(listed_pod("db", ListedContainer(memory=(block(2, 1),))),))
    )

    assert {Pair.MEMORY_CHECKPOINT_POD_RESOURCES} == built.disagreements
    assert (Missing.MEMORY_STATE,) == built.report.estimates


def test_leftovers_are_kept_and_not_counted() -> None:
    """The state has what a pod that is over still holds; the standard quantities have it free already."""
    made = report(
        pods=pods(api_pod("u1", "db", terminal=True)),
        cpu=cpu_checkpoint("0,2-8,10-15", MAIN),
        memory=memory_checkpoint({0: 13, 1: 16}, {"u1": {"main": (block(2, 0),)}}),
    )

    assert ({"u1": {"main": cpus("1,9")}}, {}) == (made.state.cpu.entries, made.state.active)
    assert {0: (8, 6, 6), 1: (8, 8, 8)} == zone_amounts(made, "cpu")
    assert {0: (16 * GI, 15 * GI, 15 * GI), 1: (16 * GI, 16 * GI, 16 * GI)} == zone_amounts(made, "memory")


# --- devices

HELD = {"u1": {"main": {NIC: frozenset("a")}}}


def with_devices(**changes: Any) -> Observation:
    """A node with two devices, one near each zone."""
    allocatable = observation().allocatable
    assert allocatable is not None
    defaults = {
        "allocatable": replace(allocatable, devices={NIC: nics(0, 1)}),
        "device": DeviceCheckpoint({}, frozenset({NIC})),
        "api_node": ApiNode("node-uid", "v1.37.2", {NIC: 2}),
    }
    return observation(**{**defaults, **changes})


def test_devices_are_counted_by_zone() -> None:
    """A device that is held is not available in the zone that it is near."""
    made = build(
        with_devices(
            pods=pods(api_pod("u1", "db")),
            listed=(listed_pod("db", ListedContainer(devices={NIC: frozenset("a")}, near=1)),),
            device=DeviceCheckpoint(HELD, frozenset({NIC})),
        )
    ).report

    assert made.exact
    assert HELD == made.state.device.entries
    assert {0: (1, 1, 0), 1: (1, 1, 1)} == zone_amounts(made, NIC)


def test_devices_without_topology_are_in_no_zone_and_in_the_state() -> None:
    """Other consumers see no zone that has them; the state keeps them."""
    allocatable = observation().allocatable
    assert allocatable is not None
    made = build(with_devices(allocatable=replace(allocatable, devices={NIC: nics(None, None)}))).report

    assert all(NIC not in zone.resources for zone in made.zones)
    assert {NIC: nics(None, None)} == made.state.device.reported


def test_init_containers_devices_come_from_the_checkpoint() -> None:
    """PodResources is right about what it lists, the checkpoint adds what it does not list."""
    built = build(
        with_devices(
            pods=pods(api_pod("u1", "db")),
            listed=(listed_pod("db", ListedContainer(devices={NIC: frozenset("b")}, near=2)),),
            device=DeviceCheckpoint(
                {"u1": {"init": {NIC: frozenset("a")}, "main": {NIC: frozenset("a")}}}, frozenset({NIC})
            ),
        )
    )

    assert {"u1": {"init": {NIC: frozenset("a")}, "main": {NIC: frozenset("b")}}} == built.report.state.device.entries
    assert {Pair.DEVICE_CHECKPOINT_POD_RESOURCES} == built.disagreements


def test_an_unhealthy_device_is_remembered_while_the_node_counts_it() -> None:
    """A device that was healthy once and is in the Node's capacity still is unhealthy now, and the report is exact."""
    allocatable = observation().allocatable
    assert allocatable is not None
    one_left = replace(allocatable, devices={NIC: nics(0)})
    remembered = {NIC: {device.id: device for device in nics(0, 1)}}
    made = build(with_devices(allocatable=one_left, remembered=remembered)).report

    assert made.exact
    assert {NIC: (Device("a", 0b01), Device("b", 0b10, healthy=False))} == made.state.device.reported
    assert {0: (1, 1, 1), 1: (1, 0, 0)} == zone_amounts(made, NIC)


def test_a_device_that_the_node_no_longer_counts_is_gone() -> None:
    """When the capacity is what is healthy, nothing else is there."""
    allocatable = observation().allocatable
    assert allocatable is not None
    made = build(
        with_devices(
            allocatable=replace(allocatable, devices={NIC: nics(0)}),
            remembered={NIC: {device.id: device for device in nics(0, 1)}},
            api_node=ApiNode("node-uid", "v1.37.2", {NIC: 1}),
        )
    ).report

    assert {NIC: nics(0)} == made.state.device.reported


def test_devices_that_nobody_lists_are_an_estimate() -> None:
    """A capacity above what is known means unhealthy devices of unknown zones."""
    made = build(with_devices(api_node=ApiNode("node-uid", "v1.37.2", {NIC: 3}))).report

    assert (Missing.DEVICES,) == made.estimates


def test_a_node_that_counts_late_is_no_estimate() -> None:
    """Devices that are listed before the Node's status counts them are known all the same."""
    assert build(with_devices(api_node=ApiNode("node-uid", "v1.37.2", {}))).report.exact
    assert build(with_devices(api_node=ApiNode("node-uid", "v1.37.2", {NIC: 1}))).report.exact


def test_a_registered_resource_without_devices_is_known() -> None:
    """After a restart the kubelet knows a plugin's resource before the plugin has named its devices again."""
    assert {NIC: ()} == report(device=DeviceCheckpoint({}, frozenset({NIC}))).state.device.reported


def test_without_its_checkpoint_devices_are_an_estimate() -> None:
    """Init containers' devices are unseen then."""
    assert (Missing.DEVICES,) == build(with_devices(device=CheckpointFault.UNKNOWN_FORM)).report.estimates


# --- machine, configuration, version


def test_memory_is_what_the_kubelet_found_when_it_started() -> None:
    """Hugepages and memory that changed since are as the checkpoint's totals say, which the kubelet works with."""
    zones = (replace(MACHINE.zones[0], hugepages=(HugePages(2048, 7),)), MACHINE.zones[1])
    checkpoint = observation().memory
    assert isinstance(checkpoint, MemoryCheckpoint)
    totals = {0: {"memory": 15 * GI, "hugepages-2Mi": 3 << 21}, 1: {"memory": 16 * GI}}
    built = build(observation(hardware=Hardware(Machine(zones, 16, 2)), memory=replace(checkpoint, totals=totals)))

    assert (15 * GI, (HugePages(2048, 3),)) == (
        built.report.machine.zones[0].memory,
        built.report.machine.zones[0].hugepages,
    )
    assert {Pair.MEMORY_CHECKPOINT_SYSFS} == built.disagreements
    assert built.report.exact


def test_cpus_that_only_the_checkpoint_has_make_the_machine_an_estimate() -> None:
    """The kubelet started with CPUs that are offline by now."""
    built = build(observation(cpu=cpu_checkpoint("0-17")))

    assert {Pair.CPU_CHECKPOINT_SYSFS} == built.disagreements
    assert (Missing.MACHINE,) == built.report.estimates


def test_another_policy_in_the_checkpoint_makes_the_configuration_an_estimate() -> None:
    """A file that names another policy than the kubelet runs with is not what it runs with."""
    built = build(observation(configuration=replace(CONFIGURATION, cpu_policy=CpuPolicy.NONE)))

    assert {Pair.CHECKPOINT_CONFIGURATION} == built.disagreements
    assert (Missing.CONFIGURATION,) == built.report.estimates


SOURCES = [
    pytest.param(Source.CONFIGZ, (), id="what the kubelet tells"),
    pytest.param(Source.CONFIGURATION_FILE, (), id="the file that was named as the source"),
    pytest.param(Source.STAND_IN, (Missing.CONFIGURATION,), id="the file, because the kubelet does not tell"),
]


@pytest.mark.parametrize(("source", "estimates"), SOURCES)
def test_a_file_in_place_of_configz_is_an_estimate(source: Source, estimates: tuple[Missing, ...]) -> None:
    """It lacks what flags and drop-in files change, unless somebody has said that it is the source."""
    made = report(configuration_source=source)

    assert (estimates, str(source)) == (made.estimates, made.sources["configuration"])


def test_an_unknown_configuration_is_guessed_so_that_the_law_applies() -> None:
    """Policies and reservations follow from checkpoints and answers; a kubelet with them starts."""
    made = report(configuration=None)
    kubelet = admission.start(made.machine, made.configuration, made.version)

    assert (Missing.CONFIGURATION,) == made.estimates
    assert (CpuPolicy.STATIC, MemoryPolicy.STATIC, "0,8") == (
        made.configuration.cpu_policy,
        made.configuration.memory_policy,
        made.configuration.reserved_system_cpus,
    )
    assert admission.initial(kubelet).memory == made.state.memory


VERSIONS = [
    pytest.param("v1.37.2", Version.V1_37, True, id="a known minor"),
    pytest.param("v1.36.0-eks-1234", Version.V1_36, True, id="a vendor's build"),
    pytest.param("v1.99.1", max(Version), False, id="newer than any known"),
    pytest.param("v1.9.1", min(Version), False, id="older than any known"),
    pytest.param("", max(Version), False, id="unknown"),
]


@pytest.mark.parametrize(("text", "version", "known"), VERSIONS)
def test_the_nearest_known_minor_stands_for_an_unknown_one(text: str, version: Version, *, known: bool) -> None:
    """An unknown minor is judged by the nearest older one that is known, and called an estimate."""
    made = report(api_node=ApiNode("node-uid", text, {}))

    assert (version, () if known else (Missing.VERSION,)) == (made.version, made.estimates)


def test_policy_none_falls_back_to_the_machine() -> None:
    """Without a static policy nothing is pinned; allocatable is what is not reserved, and all of it is available."""
    none = KubeletConfiguration(reserved_system_cpus="0,8")
    made = report(
        configuration=none,
        cpu=replace(cpu_checkpoint(""), policy="none"),
        memory=MemoryCheckpoint("None", {}, {}, {}, {}, {}),
        allocatable=Allocatable(0, {}, {}),
    )

    assert made.exact
    assert NodeState() == made.state
    assert {0: (8, 6, 6), 1: (8, 8, 8)} == zone_amounts(made, "cpu")
    assert {0: (16 * GI, 16 * GI, 16 * GI), 1: (16 * GI, 16 * GI, 16 * GI)} == zone_amounts(made, "memory")


def test_costs_belong_to_ascending_ids() -> None:
    """A row of distances lists zones in ascending order, whatever the order in which they were found."""
    zones = (replace(MACHINE.zones[0], id=10, distances=(20, 10)), replace(MACHINE.zones[1], id=2, distances=(10, 20)))
    made = report(hardware=Hardware(Machine(zones, 16, 2)), memory=CheckpointFault.MISSING, allocatable=None)

    assert {2: {2: 10, 10: 20}, 10: {2: 20, 10: 10}} == {zone.zone: dict(zone.costs) for zone in made.zones}


def test_warnings_of_the_hardware_are_in_the_report() -> None:
    """What is wrong with the machine is told to whoever reads the object."""
    assert ("broken",) == report(hardware=Hardware(MACHINE, ("broken",))).warnings


LOST = (
    "CPUs 9 are lost: no container holds them and they are not in the kubelet's shared pool; "
    "it will not start again with this cpu_manager_state"
)
STRICT = replace(CONFIGURATION, cpu_options={"strict-cpu-reservation": "true"})
LEAKS = [
    pytest.param({"cpu": cpu_checkpoint("0-15")}, (), id="all CPUs shared"),
    pytest.param({"cpu": cpu_checkpoint("0,2-8,10-15", MAIN)}, (), id="some held"),
    pytest.param({"cpu": cpu_checkpoint("0-8,10-15")}, (LOST,), id="one neither shared nor held"),
    pytest.param(
        {"cpu": cpu_checkpoint("1-7,9-15"), "configuration": STRICT}, (), id="reserved ones left out by the option"
    ),
    pytest.param(
        {"cpu": cpu_checkpoint("1-7,10-15"), "configuration": STRICT}, (LOST,), id="one more than those left out"
    ),
    pytest.param({"cpu": CheckpointFault.MISSING}, (), id="no checkpoint"),
]


@pytest.mark.parametrize(("changes", "warnings"), LEAKS)
def test_cpus_that_the_kubelet_has_lost_are_a_warning(changes: Any, warnings: tuple[str, ...]) -> None:
    """The owner learns of it before the kubelet's next start does not come."""
    assert warnings == report(pods=pods(api_pod("u1", "db")), **changes).warnings


def test_nothing_but_sysfs_is_enough_for_a_report() -> None:
    """With no kubelet and no API server the machine is reported and everything else called an estimate or unknown."""
    built: Built = build(Observation("n1", Hardware(MACHINE)))

    assert (Missing.CONFIGURATION, Missing.VERSION) == built.report.estimates
    assert Amount(8, 8, 8) == built.report.zones[0].resources["cpu"]
    assert built.report == report_from_nrt(report_to_nrt(built.report))
