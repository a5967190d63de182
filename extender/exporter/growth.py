"""Whether a node has more to give than before: then pods that were refused are worth another try."""

from __future__ import annotations

from extender.model.report import Report


def has_grown(before: Report, after: Report) -> bool:
    """Says whether something became available: an amount, what a pod held that is over, or a device without a zone."""
    old = {zone.zone: zone.resources for zone in before.zones}
    for zone in after.zones:
        for resource, amount in zone.resources.items():
            known = old.get(zone.zone, {}).get(resource)
            if known is None or amount.available > known.available:
                return True
    if any(uid not in after.state.active for uid in before.state.active if _holds(before, uid)):
        return True
    return any(
        _free_devices(after, resource) > _free_devices(before, resource) for resource in after.state.device.reported
    )


def _holds(report: Report, uid: str) -> bool:
    state = report.state
    return any(uid in entries for entries in (state.cpu.entries, state.memory.entries, state.device.entries))


def _free_devices(report: Report, resource: str) -> int:
    """Healthy devices that no active pod holds."""
    healthy = {device.id for device in report.state.device.reported.get(resource, ()) if device.healthy}
    held = {
        id_
        for uid in report.state.active
        for by_resource in report.state.device.entries.get(uid, {}).values()
        for id_ in by_resource.get(resource, ())
    }
    return len(healthy - held)
