"""Hand-made replay cases, at least one for every rule family of the kubelet's resource managers.

`python cases.py > testdata/cases.jsonl` writes them; a case's id says what it is about. The cases are inputs only: their
answers (testdata/answers-VERSION.jsonl) come from the judges, and testdata/make.sh makes both anew. Amounts are written
as the API server stores them. Every case names version 1.37; any other version may be put in its place.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

GI = 1 << 30
NIC = "vendor.com/nic"
POD_LEVEL = {"PodLevelResourceManagers": True}
NO_POD_LEVEL = {
    "PodLevelResources": False,
    "PodLevelResourcesFixDefaulting": False,
    "PodLevelResourcesFixKubeletQOSClass": False,
    "InPlacePodLevelResourcesVerticalScaling": False,
}
ALPHA = {"CPUManagerPolicyAlphaOptions": True}
ALPHA_OPTIONS = {"align-by-socket", "distribute-cpus-across-cores"}
PAIRED = ((10, 30, 12, 30), (30, 10, 30, 12), (12, 30, 10, 30), (30, 12, 30, 10))


def machine(
    zones: int = 2,
    cores: int = 4,
    threads: int = 2,
    sockets: int | None = None,
    memory: int = 16 * GI,
    hugepages: Sequence[tuple[int, int]] = (),
    caches: int = 0,
    ids: Sequence[int] = (),
    distances: Sequence[Sequence[int]] | None = None,
) -> Json:
    """Returns a machine whose sibling threads are half the CPUs apart, as most firmware numbers them."""
    if distances is None:
        distances = [
            [10 if zone == other else 20 + abs(zone - other) for other in range(zones)] for zone in range(zones)
        ]
    ids = ids or range(zones)
    sockets = sockets or zones
    nodes = [
        {
            "node_id": ids[zone],
            "memory": memory,
            "hugepages": [{"page_size": size, "num_pages": pages} for size, pages in hugepages],
            "distances": list(distances[zone]) if distances else [],
            "cores": [_core(zone, core, zones, cores, threads, sockets, caches) for core in range(cores)],
        }
        for zone in range(zones)
    ]
    return {
        "num_cores": zones * cores * threads,
        "num_physical_cores": zones * cores,
        "num_sockets": sockets,
        "topology": nodes,
    }


def _core(zone: int, core: int, zones: int, cores: int, threads: int, sockets: int, caches: int) -> Json:
    first = zone * cores + core
    result: Json = {
        "core_id": core,
        "thread_ids": [first + thread * zones * cores for thread in range(threads)],
        "socket_id": zone * sockets // zones,
    }
    if caches:
        cache = zone * caches + core * caches // cores
        result["uncore_caches"] = [{"id": cache, "level": 3, "size": 33554432, "type": "Unified"}]
    return result


def kubelet(reserved: str = "0", zone: int = 0, **fields: Any) -> Json:
    """Returns a configuration with both static policies; 1Gi of the zone is reserved (924Mi and the eviction's 100Mi)."""
    config: Json = {
        "cpuManagerPolicy": "static",
        "memoryManagerPolicy": "Static",
        "topologyManagerPolicy": "single-numa-node",
        "reservedSystemCPUs": reserved,
        "systemReserved": {"memory": "924Mi"},
        "reservedMemory": [{"numaNode": zone, "limits": {"memory": "1Gi"}}],
    }
    return {name: value for name, value in (config | fields).items() if value is not None}


def amounts(cpu: str | None = None, memory: str | None = None, **hugepages: str) -> dict[str, str]:
    named = {"cpu": cpu, "memory": memory} | {name.replace("_", "-"): value for name, value in hugepages.items()}
    return {name: value for name, value in named.items() if value is not None}


def container(
    name: str, cpu: str | None = None, memory: str | None = None, *, nics: str | None = None, **hugepages: str
) -> Json:
    """Returns a container whose requests equal its limits."""
    both = amounts(cpu, memory, **hugepages) | ({NIC: nics} if nics else {})
    return {"name": name, "resources": {"requests": both, "limits": both} if both else {}}


def sidecar(name: str, cpu: str | None = None, memory: str | None = None) -> Json:
    return container(name, cpu, memory) | {"restartPolicy": "Always"}


def pod(
    uid: str,
    *containers: Json,
    init: Sequence[Json] = (),
    budget: Mapping[str, str] | None = None,
    qos: str = "Guaranteed",
) -> Json:
    spec: Json = {"containers": list(containers)}
    if init:
        spec["initContainers"] = list(init)
    if budget is not None:
        spec["resources"] = {"requests": dict(budget), "limits": dict(budget)}
    metadata = {"name": uid, "namespace": "default", "uid": uid}
    return {"metadata": metadata, "spec": spec, "status": {"qosClass": qos}}


def admit(uid: str, *containers: Json, **fields: Any) -> Json:
    return {"op": "admit", "pod": pod(uid, *containers, **fields)}


def remove(uid: str) -> Json:
    return {"op": "remove", "uid": uid}


def started(uid: str) -> Json:
    return {"op": "started", "uid": uid}


def case(name: str, host: Json, config: Json, *steps: Json, devices: Json | None = None) -> Json:
    return {"id": name, "machine": host, "kubelet": config, "steps": list(steps)} | (
        {"devices": devices} if devices else {}
    )


def plain(uid: str, cpu: str, memory: str = "1Gi") -> Json:
    return admit(uid, container("app", cpu, memory))


def device(name: str, *zones: int, healthy: bool = True) -> Json:
    return {"id": name, "numa": list(zones), "healthy": healthy}


def policies() -> Iterator[Json]:
    """Topology manager: policies, scopes, options."""
    for policy in ("none", "best-effort", "restricted", "single-numa-node"):
        for scope in ("container", "pod"):
            config = kubelet(topologyManagerPolicy=policy, topologyManagerScope=scope)
            two = admit("two", container("a", "4", "2Gi"), container("b", "4", "2Gi"))
            yield case(
                f"{policy} {scope}: one zone is too small",
                machine(),
                config,
                plain("wide", "10", "2Gi"),
                two,
                plain("last", "3"),
            )
    near = kubelet(
        topologyManagerPolicy="best-effort", topologyManagerPolicyOptions={"prefer-closest-numa-nodes": "true"}
    )
    steps = [plain("p1", "12"), plain("p2", "12")]
    yield case("prefer-closest: two of four zones", machine(zones=4, distances=PAIRED), near, *steps)
    yield case(
        "prefer-closest off: two of four zones",
        machine(zones=4, distances=PAIRED),
        kubelet(topologyManagerPolicy="best-effort"),
        *steps,
    )
    nine = machine(zones=9, cores=1, sockets=1)
    wide = kubelet(topologyManagerPolicyOptions={"max-allowable-numa-nodes": "9"})
    yield case("nine zones with the option", nine, wide, plain("p1", "2"), plain("p2", "1"))
    yield case("nine zones, policy none", nine, kubelet(topologyManagerPolicy="none"), plain("p1", "2"))
    yield case(
        "zone ids with holes",
        machine(zones=3, ids=(0, 2, 5)),
        kubelet(),
        plain("p1", "4"),
        plain("p2", "8"),
        plain("p3", "8"),
    )
    yield case("one zone", machine(zones=1, cores=8), kubelet(), plain("p1", "4"), plain("p2", "14"), plain("p3", "10"))


def cpus() -> Iterator[Json]:
    """CPU manager: options, reservations, amounts."""

    def options(*names: str, policy: str = "best-effort", reserved: str = "0,8", **fields: Any) -> Json:
        """Returns a configuration with these options, and the gate of those that are alpha."""
        chosen = dict.fromkeys(names, "true")
        fields["featureGates"] = ALPHA if ALPHA_OPTIONS & chosen.keys() else {}
        return kubelet(reserved, topologyManagerPolicy=policy, cpuManagerPolicyOptions=chosen, **fields)

    four = machine(zones=4, cores=4, sockets=2)
    steps = [plain("p1", "3"), plain("p2", "6"), plain("p3", "8"), remove("p1"), plain("p4", "5")]
    yield case("full-pcpus-only", machine(), options("full-pcpus-only"), *steps, plain("p5", "2"))
    yield case("full-pcpus-only: too few", machine(), options("full-pcpus-only"), plain("p1", "10"), plain("p2", "6"))
    yield case(
        "distribute-cpus-across-numa",
        four,
        options("distribute-cpus-across-numa", reserved="0,16"),
        plain("p0", "12"),
        *steps,
    )
    both = options("full-pcpus-only", "distribute-cpus-across-numa", reserved="0,16")
    yield case("full-pcpus-only and distribute-cpus-across-numa", four, both, plain("p0", "12"), *steps)
    yield case(
        "align-by-socket",
        four,
        options("align-by-socket", policy="restricted", reserved="0,16"),
        plain("p0", "12"),
        *steps,
    )
    both = options("align-by-socket", "distribute-cpus-across-numa", policy="restricted", reserved="0,16")
    yield case("align-by-socket and distribute-cpus-across-numa", four, both, plain("p0", "12"), *steps)
    yield case("distribute-cpus-across-cores", machine(), options("distribute-cpus-across-cores"), *steps)
    yield case("strict-cpu-reservation", machine(), options("strict-cpu-reservation"), *steps)
    shared = machine(zones=2, cores=8, caches=4)
    yield case(
        "prefer-align-cpus-by-uncorecache", shared, options("prefer-align-cpus-by-uncorecache", reserved="0,16"), *steps
    )
    yield case(
        "uncore: full-pcpus-only too",
        shared,
        options("prefer-align-cpus-by-uncorecache", "full-pcpus-only", reserved="0,16"),
        *steps,
    )
    yield case("no threads", machine(threads=1, cores=8), kubelet(), *steps)
    yield case("four threads", machine(threads=4, cores=2), kubelet(), *steps)
    yield case("more sockets than zones", machine(zones=1, cores=8, sockets=1) | {"num_sockets": 2}, kubelet(), *steps)
    count = kubelet(
        reservedSystemCPUs=None, systemReserved={"cpu": "500m", "memory": "924Mi"}, kubeReserved={"cpu": "1500m"}
    )
    yield case("reserved by amount", machine(), count, *steps)
    count = kubelet(reservedSystemCPUs=None, systemReserved={"cpu": "1000400u", "memory": "924Mi"})
    yield case("reserved by amount: 1.0004", machine(), count, *steps)
    yield case("reserved: one thread of each zone", machine(), kubelet("0,4"), *steps)
    mixed = admit(
        "mixed", container("two", "2", "1Gi"), container("half", "1500m", "1Gi"), container("one", "1", "1Gi")
    )
    yield case("amounts: whole and parted", machine(), kubelet(topologyManagerScope="pod"), mixed, plain("p2", "6"))
    yield case(
        "cpu manager none", machine(), kubelet(cpuManagerPolicy="none"), plain("p1", "12", "20Gi"), plain("p2", "12")
    )
    burst = admit("burst", container("app", "2", "1Gi"), qos="Burstable")
    yield case(
        "only Guaranteed pods are pinned",
        machine(),
        kubelet(),
        burst,
        admit("best", container("app"), qos="BestEffort"),
    )
    hybrid = machine(zones=1, cores=4, threads=1, sockets=1)
    hybrid["topology"][0]["cores"] = [
        {"core_id": 0, "thread_ids": [0, 1], "socket_id": 0},
        {"core_id": 1, "thread_ids": [2, 3], "socket_id": 0},
        {"core_id": 2, "thread_ids": [4], "socket_id": 0},
        {"core_id": 3, "thread_ids": [5], "socket_id": 0},
    ]
    yield case(
        "hybrid cores: a busy CPU is handed out",
        hybrid | {"num_cores": 6},
        kubelet("1"),
        plain("p1", "2"),
        plain("p2", "2"),
    )


def memory() -> Iterator[Json]:
    """Memory manager: groups of zones, extension, hugepages, shortages."""
    best = kubelet(topologyManagerPolicy="best-effort")
    restricted = kubelet(topologyManagerPolicy="restricted")
    steps = [
        plain("p1", "1", "20Gi"),
        plain("p2", "1", "4Gi"),
        plain("p3", "9", "4Gi"),
        remove("p1"),
        plain("p4", "2", "4Gi"),
    ]
    yield case("memory over two zones: best-effort", machine(), best, *steps)
    yield case("memory over two zones: restricted", machine(), restricted, *steps)
    yield case("memory over two zones: single-numa-node", machine(), kubelet(), *steps)
    yield case("memory over two zones: none", machine(), kubelet(topologyManagerPolicy="none"), *steps)
    fill = [plain("p1", "1", "14Gi"), plain("p2", "1", "15Gi"), plain("p3", "1", "2Gi"), plain("p4", "1", "512Mi")]
    for config in (best, restricted, kubelet(), kubelet(topologyManagerPolicy="none")):
        yield case(f"memory is short: {config['topologyManagerPolicy']}", machine(), config, *fill)
    three = machine(zones=3, cores=4, sockets=3)
    groups = [
        plain("p1", "1", "20Gi"),
        plain("p2", "1", "10Gi"),
        plain("p3", "1", "24Gi"),
        remove("p1"),
        plain("p4", "1", "20Gi"),
    ]
    yield case("groups of three zones", three, best, *groups)
    yield case("memory in parts of bytes is no amount", machine(), best, admit("odd", container("app", "1", "1500m")))
    huge = machine(hugepages=[(2048, 1024), (1048576, 2)])
    both = {"hugepages_2Mi": "1Gi", "hugepages_1Gi": "1Gi"}
    huge_steps = [admit(f"p{i}", container("app", "1", "1Gi", **both)) for i in range(5)]
    yield case("two hugepage sizes", huge, kubelet(), *huge_steps)
    yield case("two hugepage sizes: pod scope", huge, kubelet(topologyManagerScope="pod"), *huge_steps)
    only_init = admit("p1", container("app", "1", "1Gi"), init=[container("init", "1", "1Gi", hugepages_2Mi="1Gi")])
    yield case("hugepages of an init container only: pod scope", huge, kubelet(topologyManagerScope="pod"), only_init)
    yield case(
        "zone without CPUs",
        _without_cores(machine(zones=3), 2),
        best,
        plain("p1", "2", "40Gi"),
        plain("p2", "2", "2Gi"),
    )
    bare = machine(zones=3)
    bare["topology"][2]["memory"] = 0
    yield case(
        "zone without memory", bare, best, plain("p1", "6", "2Gi"), plain("p2", "8", "2Gi"), plain("p3", "8", "2Gi")
    )
    yield case(
        "memory manager None",
        machine(),
        kubelet(memoryManagerPolicy="None", reservedMemory=None),
        plain("p1", "1", "64Gi"),
    )
    small = machine(zones=2, memory=2 * GI)
    big = kubelet(systemReserved={"memory": "2972Mi"}, reservedMemory=[{"numaNode": 0, "limits": {"memory": "3Gi"}}])
    yield case("a zone reserves more than it has", small, big, plain("p1", "1", "1Gi"), plain("p2", "1", "4Gi"))


def _without_cores(host: Json, zone: int) -> Json:
    host["num_cores"] -= sum(len(core["thread_ids"]) for core in host["topology"][zone]["cores"])
    host["num_physical_cores"] -= len(host["topology"][zone]["cores"])
    host["num_sockets"] -= 1
    host["topology"][zone]["cores"] = []
    return host


def containers() -> Iterator[Json]:
    """Init containers, sidecars, and what becomes of a pod."""
    for scope in ("container", "pod"):
        config = kubelet(topologyManagerScope=scope)
        big = admit("big", container("app", "2", "2Gi"), init=[container("init", "6", "8Gi")])
        yield case(
            f"init bigger than app: {scope}",
            machine(),
            config,
            big,
            started("big"),
            plain("p2", "6", "12Gi"),
            remove("big"),
            plain("p3", "6"),
        )
        rise = admit(
            "rise", container("app", "3", "3Gi"), init=[container("i1", "2", "2Gi"), container("i2", "4", "4Gi")]
        )
        fall = admit(
            "fall", container("app", "1", "1Gi"), init=[container("i1", "4", "4Gi"), container("i2", "2", "2Gi")]
        )
        yield case(
            f"init containers: {scope}",
            machine(),
            config,
            rise,
            fall,
            started("rise"),
            started("fall"),
            plain("p3", "3", "8Gi"),
        )
        mixed = [container("i1", "2", "2Gi"), sidecar("side", "1", "1Gi"), container("i2", "3", "4Gi")]
        yield case(
            f"sidecar: {scope}",
            machine(),
            config,
            admit("p1", container("app", "2", "2Gi"), init=mixed),
            started("p1"),
            plain("p2", "6"),
        )
    wide = admit("wide", container("app", "2", "20Gi"), init=[container("init", "1", "4Gi")])
    yield case(
        "an init container blocks its own pod",
        machine(),
        kubelet(topologyManagerPolicy="best-effort"),
        wide,
        plain("p2", "1", "20Gi"),
    )
    full = kubelet("0,8", topologyManagerPolicy="best-effort", cpuManagerPolicyOptions={"full-pcpus-only": "true"})
    yield case(
        "full-pcpus-only does not count reuse",
        machine(),
        full,
        admit("p1", container("app", "14", "1Gi"), init=[container("init", "14", "1Gi")]),
    )
    refused = admit("refused", container("a", "6", "2Gi"), container("b", "9", "2Gi"))
    yield case(
        "what a refused pod took is free again", machine(), kubelet(), refused, plain("p2", "6"), plain("p3", "8")
    )
    yield case(
        "removed pods",
        machine(),
        kubelet(),
        plain("p1", "7"),
        plain("p2", "8"),
        remove("p1"),
        plain("p3", "7"),
        remove("nobody"),
    )
    yield case(
        "admitted again",
        machine(),
        kubelet(),
        plain("p1", "5", "4Gi"),
        plain("p1", "5", "4Gi"),
        plain("p1", "6", "5Gi"),
        plain("p2", "6"),
    )
    two = [container("a", "2", "2Gi"), container("b", "3", "3Gi")]
    yield case(
        "admitted again: pod scope",
        machine(),
        kubelet(topologyManagerScope="pod"),
        admit("p1", *two),
        admit("p1", *two),
    )
    yield case("admitted again: full-pcpus-only", machine(), full, plain("p1", "8"), plain("p1", "8"))
    done = admit("p1", container("app", "1", "4Gi"), init=[container("init", "1", "8Gi")])
    yield case(
        "admitted again after its init container",
        machine(),
        kubelet(),
        done,
        started("p1"),
        plain("p2", "1", "10Gi"),
        plain("p3", "1", "12Gi"),
        done,
    )


def devices() -> Iterator[Json]:
    """Device manager."""
    local = {NIC: [device("d0", 0), device("d1", 0), device("d2", 1), device("d3", 1)]}

    def asks(uid: str, count: str, cpu: str = "1", **fields: Any) -> Json:
        return admit(uid, container("app", cpu, "1Gi", nics=count), **fields)

    def made(name: str, config: Json, table: Json, *steps: Json) -> Json:
        return case(name, machine(), config, *steps, devices=table)

    for policy in ("none", "best-effort", "restricted", "single-numa-node"):
        steps = [asks("p1", "1"), asks("p2", "2", "6"), asks("p3", "2"), asks("p4", "1"), remove("p1"), asks("p5", "1")]
        yield made(f"devices: {policy}", kubelet(topologyManagerPolicy=policy), local, *steps)
    pod_scope = kubelet(topologyManagerScope="pod")
    pair = admit("pair", container("a", "1", "1Gi", nics="1"), container("b", "1", "1Gi", nics="1"))
    yield made("devices: pod scope", pod_scope, local, asks("p1", "1"), pair, pair, asks("p3", "1"))
    nowhere = {NIC: [device("d0"), device("d1"), device("d2")]}
    yield made("devices without topology", kubelet(), nowhere, asks("p1", "2"), asks("p2", "2"), asks("p3", "1"))
    some = {NIC: [device("d0", 0), device("d1", 0), device("d2"), device("d3")]}
    yield made("devices with and without topology", kubelet(), some, asks("p1", "3"), asks("p2", "2"), asks("p3", "1"))
    yield made(
        "devices with and without topology: best-effort",
        kubelet(topologyManagerPolicy="best-effort"),
        some,
        asks("p1", "3"),
    )
    spread = {NIC: [device("d0", 0, 1), device("d1", 1), device("d2", 99)]}
    yield made("device of two zones, device of an unknown zone", kubelet(), spread, asks("p1", "2"), asks("p2", "1"))
    sick = {NIC: [device("d0", 0, healthy=False), device("d1", 0), device("d2", 1, healthy=False)]}
    yield made(
        "unhealthy devices",
        kubelet(topologyManagerPolicy="restricted"),
        sick,
        asks("p1", "2"),
        asks("p2", "1"),
        asks("p3", "0"),
    )
    none_left = {NIC: [device("d0", 0, healthy=False)]}
    yield made("no healthy device", kubelet(topologyManagerPolicy="none"), none_left, asks("p1", "1"), asks("p2", "0"))
    yield made(
        "no device asked for: zero constrains",
        kubelet(),
        {NIC: [device("d0", 1)]},
        asks("p1", "0", "8"),
        asks("p2", "0", "4"),
    )
    reuse = admit(
        "p1",
        container("app", "1", "1Gi", nics="2"),
        init=[container("init", "1", "1Gi", nics="2")],
    )
    yield made("devices of an init container", kubelet(), local, reuse, asks("p2", "2"), asks("p3", "1"))
    burst = asks("p1", "2", qos="Burstable")
    yield made(
        "devices of a Burstable pod", kubelet(), local, burst, asks("p2", "2", qos="BestEffort"), asks("p3", "1")
    )
    yield made("devices: admitted again", kubelet(), local, asks("p1", "1"), asks("p1", "1"), asks("p1", "2"))
    yield made("an unknown resource is skipped", kubelet(), {"vendor.com/other": [device("d0", 0)]}, asks("p1", "3"))


def pod_level() -> Iterator[Json]:
    """Resources of a pod as a whole, with and without the gate."""
    big = machine(zones=2, cores=8, memory=64 * GI)
    for scope, gates in (("pod", POD_LEVEL), ("container", POD_LEVEL), ("pod", {})):
        config = kubelet("0,16", topologyManagerScope=scope, featureGates=gates)
        steps = [
            admit(
                f"p{i}", container("db", "6", "12Gi"), container("log"), container("web"), budget=amounts("8", "16Gi")
            )
            for i in range(1, 6 if scope == "container" else 5)
        ]
        yield case(f"mission: {scope} scope, gate {'on' if gates else 'off'}", big, config, *steps)

    def made(name: str, *steps: Json, policy: str = "single-numa-node", scope: str = "pod", **fields: Any) -> Json:
        gates = {"featureGates": POD_LEVEL} | fields
        return case(
            f"pod level: {name}",
            machine(),
            kubelet(topologyManagerPolicy=policy, topologyManagerScope=scope, **gates),
            *steps,
        )

    four = amounts("4", "4Gi")
    exclusive = [container("a", "2", "2Gi"), container("b", "2", "2Gi")]
    yield made("exclusive parts equal the budget", admit("p1", *exclusive, budget=four), remove("p1"), plain("p2", "7"))
    shared = [*exclusive, container("c")]
    for policy in ("best-effort", "single-numa-node", "none"):
        yield made(
            f"nothing left to share, {policy}", admit("p1", *shared, budget=four), plain("p2", "7"), policy=policy
        )
    early = admit(
        "p1", container("a", "2", "2Gi"), container("b"), init=[sidecar("s", "4", "4Gi"), container("i")], budget=four
    )
    yield made("an init container finds nothing to share", early, policy="best-effort")
    yield made(
        "memory left, no CPU left",
        admit("p1", container("a", "4", "2Gi"), container("b"), budget=four),
        policy="best-effort",
    )
    yield made(
        "CPU left, no memory left",
        admit("p1", container("a", "2", "4Gi"), container("b"), budget=four),
        policy="best-effort",
    )
    uneven = admit("p1", container("a", "2", "2Gi"), container("b"), budget=amounts("2500m", "4Gi"))
    yield made("parts of a CPU in the budget: pod scope", uneven, plain("p2", "6"))
    yield made("parts of a CPU in the budget: container scope", uneven, plain("p2", "6"), scope="container")
    odd = {"name": "odd", "resources": {"requests": amounts("1", "1Gi"), "limits": amounts("1", "2Gi")}}
    half = container("half", "1500m", "1Gi")
    yield made("containers that are not exclusive", admit("p1", container("a", "1", "1Gi"), odd, half, budget=four))
    full = [container("i1", "3", "3Gi"), sidecar("s", "1", "1Gi"), container("i2"), sidecar("t")]
    whole = admit("p1", container("a", "2", "1Gi"), container("b"), init=full, budget=four)
    yield made("init containers and sidecars", whole, started("p1"), plain("p2", "4"), remove("p1"), plain("p3", "4"))
    yield made(
        "container scope with a shared container",
        admit("p1", container("a", "2", "2Gi"), container("b"), budget=four),
        scope="container",
    )
    yield made(
        "too big", admit("p1", container("a", "2", "2Gi"), container("b"), budget=amounts("9", "4Gi")), plain("p2", "7")
    )
    yield made(
        "too big: container scope",
        admit("p1", container("a", "9", "2Gi"), budget=amounts("9", "4Gi")),
        scope="container",
    )
    again = admit("p1", container("a", "2", "2Gi"), container("b"), budget=four)
    for policy in ("best-effort", "single-numa-node"):
        yield made(f"admitted again, {policy}", again, again, plain("p2", "6"), plain("p3", "6"), policy=policy)
    yield made("pod-level resources off", again, featureGates=NO_POD_LEVEL)
    older = {name: on for name, on in NO_POD_LEVEL.items() if "Fix" not in name}
    yield made("pod-level resources off, gates of 1.36", again, featureGates=older)
    yield made(
        "full-pcpus-only",
        admit("p1", container("a", "1", "1Gi"), container("b"), budget=four),
        admit("p2", container("a", "1", "1Gi"), container("b"), budget=amounts("3", "4Gi")),
        reserved="0,8",
        cpuManagerPolicyOptions={"full-pcpus-only": "true"},
    )
    huge = machine(hugepages=[(2048, 1024)])
    lost = admit("p1", container("a", "2", "2Gi", hugepages_2Mi="1Gi"), container("b"), budget=four)
    yield case(
        "pod level: hugepages missing in the budget",
        huge,
        kubelet(topologyManagerScope="pod", featureGates=POD_LEVEL),
        lost,
    )
    uses = admit("p1", container("a", "2", "2Gi", nics="1"), container("b"), budget=four)
    yield case(
        "pod level: devices wait for the container",
        machine(),
        kubelet(topologyManagerScope="pod", featureGates=POD_LEVEL),
        uses,
        devices={NIC: [device("d0", 1)]},
    )


def errors() -> Iterator[Json]:
    """Configurations that do not start, and steps that do not end well."""
    one = plain("p1", "1")
    configs = {
        "unknown gate": kubelet(featureGates={"NoSuchGate": True}),
        "locked gate": kubelet(featureGates={"CPUManagerPolicyOptions": False}),
        "unknown CPU option": kubelet(cpuManagerPolicyOptions={"no-such-option": "true"}),
        "CPU option is no boolean": kubelet(cpuManagerPolicyOptions={"full-pcpus-only": "maybe"}),
        "CPU option of a gate that is off": kubelet(
            cpuManagerPolicyOptions={"align-by-socket": "true"}, featureGates={"CPUManagerPolicyAlphaOptions": False}
        ),
        "CPU options exclude each other": kubelet(
            cpuManagerPolicyOptions={"full-pcpus-only": "true", "distribute-cpus-across-cores": "true"}
        ),
        "CPU options with policy none": kubelet(
            cpuManagerPolicy="none", cpuManagerPolicyOptions={"full-pcpus-only": "true"}
        ),
        "align-by-socket with single-numa-node": kubelet(
            cpuManagerPolicyOptions={"align-by-socket": "true"}, featureGates={"CPUManagerPolicyAlphaOptions": True}
        ),
        "unknown topology option": kubelet(topologyManagerPolicyOptions={"no-such-option": "true"}),
        "unknown topology option, policy none": kubelet(
            topologyManagerPolicy="none", topologyManagerPolicyOptions={"no-such-option": "true"}
        ),
        "max-allowable-numa-nodes below eight": kubelet(topologyManagerPolicyOptions={"max-allowable-numa-nodes": "4"}),
        "unknown policy": kubelet(topologyManagerPolicy="double-numa-node"),
        "unknown scope": kubelet(topologyManagerScope="node"),
        "unknown CPU policy": kubelet(cpuManagerPolicy="dynamic"),
        "no CPU reserved": kubelet(reservedSystemCPUs=None),
        "reserved CPUs that do not exist": kubelet("0,99"),
        "reserved CPUs that are no set": kubelet("0-"),
        "reserved memory of an unknown zone": kubelet(zone=7),
        "reserved memory that does not add up": kubelet(systemReserved={"memory": "1Gi"}),
        "reserved memory in parts": kubelet(
            systemReserved={"memory": "1436Mi"}, reservedMemory=[{"numaNode": 0, "limits": {"memory": "1.5Gi"}}]
        ),
        "reserved memory missing": kubelet(reservedMemory=None),
        "reserved hugepages": kubelet(
            reservedMemory=[{"numaNode": 0, "limits": {"memory": "1Gi", "hugepages-2Mi": "2Mi"}}]
        ),
        "reserved quantity that is none": kubelet(systemReserved={"memory": "lots"}),
        "reserved resource that cannot be": kubelet(systemReserved={"memory": "924Mi", "vendor.com/nic": "1"}),
        "pod-level managers without pod-level resources": kubelet(
            featureGates={"PodLevelResources": False, "PodLevelResourceManagers": True}
        ),
        "eviction threshold of one's own": kubelet(evictionHard={"memory.available": "200Mi"}),
        "eviction threshold in percent": kubelet(
            evictionHard={"memory.available": "1%"}, systemReserved={"memory": "1Gi"}
        ),
    }
    for name, config in configs.items():
        yield case(f"error: {name}", machine(), config, one)
    yield case("error: nine zones", machine(zones=9, cores=1, sockets=1), kubelet(), one)
    closest = kubelet(topologyManagerPolicyOptions={"prefer-closest-numa-nodes": "true"})
    yield case("error: no distances", machine(distances=()), closest, one)
    yield case("error: more reserved than there is", machine(memory=GI // 4), kubelet(), one)
    yield case("error: no CPUs", machine() | {"num_cores": 0}, kubelet(), one)
    yield case(
        "panic: hugepages of an unknown size",
        machine(),
        kubelet(),
        admit("p1", container("app", "1", "1Gi", hugepages_2Mi="2Mi")),
    )
    yield case("panic: zone id 64", machine(ids=(0, 64)), kubelet(), one)
    holes = kubelet(
        topologyManagerPolicy="best-effort", topologyManagerPolicyOptions={"prefer-closest-numa-nodes": "true"}
    )
    yield case("panic: distances by id", machine(zones=3, ids=(0, 2, 5)), holes, plain("p1", "12"))
    aligned = kubelet(topologyManagerPolicy="restricted", cpuManagerPolicyOptions={"align-by-socket": "true"})
    aligned["featureGates"] = ALPHA
    # Every zone is needed, so that one might take the affinity for preferred without a look at the sockets.
    yield case("panic: align-by-socket without sockets", machine() | {"num_sockets": 0}, aligned, plain("p1", "12"))
    endless = kubelet(
        "0,3,6,9",
        topologyManagerPolicy="none",
        cpuManagerPolicyOptions={"full-pcpus-only": "true", "distribute-cpus-across-numa": "true"},
    )
    yield case("timeout: distribution without end", machine(zones=4, cores=3), endless, plain("p1", "14"))
    crossed = machine(zones=4, cores=3, sockets=2)
    for zone, other in enumerate((0, 1, 0, 0)):  # one core of each zone is of the other socket
        for number, core in enumerate(crossed["topology"][zone]["cores"]):
            core["socket_id"] = int(number == other)
    distributed = kubelet(
        "0,3,6,9", topologyManagerPolicy="none", cpuManagerPolicyOptions={"distribute-cpus-across-numa": "true"}
    )
    steps = [plain("p1", "6"), plain("p2", "3"), plain("p3", "10")]
    yield case("timeout: distribution, sockets across zones", crossed, distributed, *steps)


def main() -> None:
    for group in (policies, cpus, memory, containers, devices, pod_level, errors):
        for one in group():
            print(json.dumps({"id": one["id"], "version": "1.37"} | one))


if __name__ == "__main__":
    main()
