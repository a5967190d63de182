"""
Whether pods that were refused are worth another try: the node has more to give than before, or more of it is known.

The extender refuses what might take the place of a pod on its way, until a report tells that pod's place.
"""

from __future__ import annotations

from extender.model.report import Report


def has_grown(before: Report, after: Report) -> bool:
    """
    Says whether something became available: an amount, what a pod held that is over, a device without a zone; or whether
    a pod has come of which it was not known what it would hold.
    """
    old = {zone.zone: zone.resources for zone in before.zones}
    for zone in after.zones:
        for resource, amount in zone.resources.items():
            known = old.get(zone.zone, {}).get(resource)
            if known is None or amount.available > known.available:
                return True
    if any(uid not in after.state.active for uid in before.state.active if _holds(before, uid)):
        return True
    if any(uid not in before.state.active for uid in after.state.active if _holds(after, uid)):
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
