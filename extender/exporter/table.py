"""A report as a table for people, in plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from extender import cpuset
from extender.exporter.amounts import zone_cpus
from extender.exporter.managers import MEMORY
from extender.model.report import Amount, Report, ZoneQuantities
from extender.model.state import NodeState

HEAD = ("ZONE", "CPUS", "RESOURCE", "CAPACITY", "ALLOCATABLE", "AVAILABLE", "DISTANCES")
POD_HEAD = ("POD", "CONTAINER", "CPUS", "MEMORY", "DEVICES")


def table(report: Report) -> str:
    """Returns the whole report, ending with a newline."""
    lines = [*_about(report), "", *_aligned([HEAD, *_zones(report)])]
    pods = list(_pods(report.state))
    if pods:
        lines += ["", *_aligned([POD_HEAD, *pods])]
    return "\n".join(lines) + "\n"


def _about(report: Report) -> Iterator[str]:
    configuration = report.configuration
    yield f"node {report.node}, kubelet {report.kubelet_version or 'of unknown version'}"
    yield (
        f"topology manager {configuration.topology_policy}, scope {configuration.topology_scope}; "
        f"CPU manager {configuration.cpu_policy}, memory manager {configuration.memory_policy}"
    )
    if report.estimates:
        yield f"estimated: {', '.join(report.estimates)}"
    for warning in report.warnings:
        yield f"warning: {warning}"


def _zones(report: Report) -> Iterator[tuple[str, ...]]:
    cpus = zone_cpus(report.machine)
    for zone in report.zones:
        head = [f"node-{zone.zone}", cpuset.render(cpus.get(zone.zone, 0)) or "-"]
        for resource, amount in zone.resources.items():
            yield (*head, resource, *_amounts(resource, amount), _distances(zone) if head[0] else "")
            head = ["", ""]


def _amounts(resource: str, amount: Amount) -> tuple[str, str, str]:
    return (
        _shown(resource, amount.capacity),
        _shown(resource, amount.allocatable),
        _shown(resource, amount.available),
    )


def _shown(resource: str, amount: int) -> str:
    """Bytes as GiB with one decimal, rounded down, all else as it is."""
    if resource == MEMORY or resource.startswith("hugepages-"):
        return f"{amount >> 30}.{(amount >> 20) % 1024 * 10 // 1024}Gi"
    return str(amount)


def _distances(zone: ZoneQuantities) -> str:
    return " ".join(f"{other}:{cost}" for other, cost in zone.costs.items())


def _pods(state: NodeState) -> Iterator[tuple[str, ...]]:
    uids = dict.fromkeys(
        [
            *state.active,
            *state.cpu.entries,
            *state.cpu.pod_entries,
            *state.memory.entries,
            *state.memory.pod_entries,
            *state.device.entries,
        ]
    )
    for uid in uids:
        pod = state.active.get(uid)
        name = f"{pod.namespace}/{pod.name}" if pod and pod.name else uid if pod else f"{uid} (over)"
        if uid in state.cpu.pod_entries or uid in state.memory.pod_entries:
            yield name, "(pod)", cpuset.render(state.cpu.pod_entries.get(uid, 0)), _blocks(state, uid, None), ""
        entries = [state.cpu.entries.get(uid, {}), state.memory.entries.get(uid, {}), state.device.entries.get(uid, {})]
        for container in dict.fromkeys(each for held in entries for each in held):
            devices = state.device.entries.get(uid, {}).get(container, {})
            yield (
                name,
                container,
                cpuset.render(state.cpu.entries.get(uid, {}).get(container, 0)),
                _blocks(state, uid, container),
                " ".join(f"{resource}:{','.join(sorted(ids))}" for resource, ids in devices.items()),
            )


def _blocks(state: NodeState, uid: str, container: str | None) -> str:
    if container is None:
        blocks = state.memory.pod_entries.get(uid, ())
    else:
        blocks = state.memory.entries.get(uid, {}).get(container, ())
    return " ".join(f"{block.type}:{_shown(block.type, block.size)}@{cpuset.render(block.zones)}" for block in blocks)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
