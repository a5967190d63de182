"""
Makes the sample inventory of config/ from descriptions of machines: ``python tests/sample_inventory.py``.

Each node is a real admission history: its kubelet is started by the twin and admits the pods named here, and the
report of what it then holds is written as the exporter would write it. ``foreign.yaml`` is written by hand.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from builders import configuration, machine, pod

from extender.fleet import rooms
from extender.kubelet import admission
from extender.model.configuration import KubeletConfiguration, Scope, TopologyPolicy, Version
from extender.model.machine import Core, HugePages, Machine, Zone
from extender.model.pod import Pod
from extender.model.report import Amount, Report, ZoneQuantities
from extender.quantity import parse
from extender.wire.nrt import report_to_nrt

CONFIG = Path(__file__).parent.parent / "config"


@dataclass(frozen=True)
class Sample:
    """One node."""

    what: str
    """Why it is interesting, for the reader of the file."""
    machine: Machine
    configuration: KubeletConfiguration
    version: Version = Version.V1_37
    pods: Sequence[Pod] = ()


def four_zones() -> Machine:
    """Two sockets of two zones each; the second socket is far away."""
    near = {(0, 1), (1, 0), (2, 3), (3, 2)}
    made = machine(zones=4, cores=8, gibibytes=32)
    zones = tuple(
        replace(
            zone,
            cores=tuple(replace(core, socket=zone.id // 2) for core in zone.cores),
            distances=tuple(10 if zone.id == to else 12 if (zone.id, to) in near else 32 for to in range(4)),
        )
        for zone in made.zones
    )
    return Machine(zones, made.cpus, sockets=2)


def sparse() -> Machine:
    """Zones 0 and 8 of four-thread cores, as POWER machines number them."""
    zones = tuple(
        Zone(
            id=zone,
            memory=128 << 30,
            cores=tuple(Core(tuple(range(cpu, cpu + 4)), socket=zone) for cpu in range(first, first + 32, 4)),
            distances=row,
        )
        for zone, first, row in ((0, 0, (10, 40)), (8, 32, (40, 10)))
    )
    return Machine(zones, cpus=64, sockets=2)


def memory_only() -> Machine:
    """Two ordinary zones and one of memory without CPUs (CXL)."""
    made = machine()
    distances = ((10, 21, 14), (21, 10, 24), (14, 24, 10))
    zones = (*made.zones, Zone(id=2, memory=256 << 30))
    return replace(made, zones=tuple(replace(zone, distances=distances[zone.id]) for zone in zones))


def hugepages() -> Machine:
    """Two zones with sixteen 1Gi pages each."""
    made = machine()
    pages = (HugePages(page_kib=1 << 20, pages=16), HugePages(page_kib=2048, pages=0))
    return replace(made, zones=tuple(replace(zone, hugepages=pages) for zone in made.zones))


SAMPLES = {
    "two-zones": Sample(
        "Two zones of 8 cores with SMT, CPUs 0 and 16 reserved: the machine of the example, idle.",
        machine(),
        configuration(),
    ),
    "two-zones-container-scope": Sample(
        "The same machine with topologyManagerScope container: budgets are ignored, only containers are pinned.",
        machine(),
        configuration(scope=Scope.CONTAINER),
    ),
    "two-zones-restricted": Sample(
        "Policy restricted: a pod may span zones only if no single zone could ever hold it; zone 1 is in use.",
        machine(),
        configuration(policy=TopologyPolicy.RESTRICTED),
        pods=(pod("filler", cpu="13", memory="30Gi"), pod("tenant", cpu="4", memory="8Gi")),
    ),
    "four-zones": Sample(
        "Two sockets of two zones, policy best-effort with prefer-closest-numa-nodes, a kubelet of 1.36.",
        four_zones(),
        replace(
            configuration(policy=TopologyPolicy.BEST_EFFORT, reserved_cpus="0,32"),
            topology_options={"prefer-closest-numa-nodes": "true"},
        ),
        version=Version.V1_36,
        pods=(pod("tenant", cpu="12", memory="16Gi"),),
    ),
    "sparse-ids": Sample(
        "Zones 0 and 8, four threads a core, full-pcpus-only.",
        sparse(),
        replace(configuration(reserved_cpus="0-3"), cpu_options={"full-pcpus-only": "true"}),
    ),
    "memory-only-zone": Sample(
        "A third zone has memory and no CPUs.",
        memory_only(),
        configuration(),
        pods=(pod("tenant", cpu="10", memory="20Gi"),),
    ),
    "huge-pages": Sample(
        "Sixteen pages of 1Gi in each zone.",
        hugepages(),
        configuration(scope=Scope.CONTAINER),
    ),
    "policy-none": Sample(
        "Topology policy none: CPUs are exclusive but wherever they are free.",
        machine(),
        configuration(policy=TopologyPolicy.NONE),
        pods=(pod("tenant", cpu="4", memory="8Gi"),),
    ),
    "nearly-full": Sample(
        "3 CPUs are left in zone 0 and 6 in zone 1: more than the example wants, but in no single zone.",
        machine(),
        configuration(),
        pods=(pod("left", cpu="11", memory="20Gi"), pod("right", cpu="10", memory="20Gi")),
    ),
}


def report(name: str, sample: Sample) -> Report:
    """The report of a sample node once its pods were admitted."""
    kubelet = admission.start(sample.machine, sample.configuration, sample.version)
    state = admission.initial(kubelet)
    for one in sample.pods:
        verdict, state = admission.admit(kubelet, state, one)
        assert verdict.admit, (name, one.name, verdict)
    assert kubelet.cpu is not None
    ids = sorted(zone.id for zone in sample.machine.zones)
    capacity = {zone.id: {"cpu": sum(len(core.threads) for core in zone.cores)} for zone in sample.machine.zones}
    for zone in sample.machine.zones:
        capacity[zone.id]["memory"] = zone.memory
        for pages in zone.hugepages:
            capacity[zone.id][_type(pages)] = pages.page_kib * pages.pages << 10
    return Report(
        node=name,
        machine=sample.machine,
        configuration=sample.configuration,
        version=sample.version,
        state=state,
        kubelet_version=f"v{sample.version}.2",
        reserved=kubelet.cpu.reserved,
        zones=tuple(
            ZoneQuantities(
                room.zone,
                {
                    resource: Amount(capacity[room.zone][resource], allocatable, room.free[resource])
                    for resource, allocatable in room.allocatable.items()
                },
                dict(
                    zip(ids, next(zone for zone in sample.machine.zones if zone.id == room.zone).distances, strict=True)
                ),
            )
            for room in rooms(kubelet, state)
        ),
    )


def _type(pages: HugePages) -> str:
    return f"hugepages-{parse(f'{pages.page_kib}Ki')}"


def text(name: str, sample: Sample) -> str:
    """The file of a sample node."""
    document = report_to_nrt(report(name, sample))
    return f"# {sample.what}\n" + yaml.safe_dump(document, sort_keys=False, width=10**6, allow_unicode=True)


def request() -> str:
    """A question of filter about the example pod and all sample nodes, as a scheduler with nodeCacheCapable asks it."""
    one = yaml.safe_load((CONFIG / "pods" / "database.yaml").read_text(encoding="utf-8"))
    one["metadata"] |= {"namespace": "default", "uid": "5f4d3b2a-0000-4000-8000-000000000001"}
    spec = one["spec"]
    spec |= {"schedulerName": "numa-scheduler", "restartPolicy": "Always", "priority": 0}
    for container in spec["containers"]:
        container.setdefault("resources", {})
    nodes = sorted(file.stem for file in (CONFIG / "inventory").iterdir())
    asked = {"metadata": one["metadata"], "spec": spec, "status": {"phase": "Pending", "qosClass": "Guaranteed"}}
    return json.dumps({"Pod": asked, "Nodes": None, "NodeNames": nodes}, indent=2) + "\n"


def files() -> dict[Path, str]:
    """Every file that is made here, with its text."""
    made = {CONFIG / "inventory" / f"{name}.yaml": text(name, sample) for name, sample in SAMPLES.items()}
    return {**made, CONFIG / "requests" / "filter.json": request()}


def main() -> None:
    """Writes all files."""
    for file, content in files().items():
        file.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
