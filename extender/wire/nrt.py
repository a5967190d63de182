"""
NodeResourceTopology v1alpha2 to a report and back: the standard part, and who wrote the object.

The standard part is what every consumer reads: zones ``node-<id>``, quantities, costs, attributes of the topology
manager. What makes verdicts exact stands in attributes of our own (``extender.wire.own_attributes``). An object
without them, or with them in a form that a later version writes, is read at the level of quantities
(``extender.wire.quantities``). Attributes of others are left alone.

Source: noderesourcetopology-api pkg/apis/topology/v1alpha2/types.go, helper/numanode.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from extender.cpuset import LARGEST_MEMBER
from extender.model.configuration import Scope, TopologyPolicy
from extender.model.report import Amount, Report, ZoneQuantities
from extender.wire import fields, own_attributes, quantities
from extender.wire.fields import WireError
from extender.wire.own_attributes import PREFIX

API_VERSION = "topology.node.k8s.io/v1alpha2"
KIND = "NodeResourceTopology"
PATH = "/apis/topology.node.k8s.io/v1alpha2/noderesourcetopologies"

POLICY, SCOPE, MOST_ZONES = "topologyManagerPolicy", "topologyManagerScope", "topologyManagerMaxNUMANodes"
FINGERPRINT, FINGERPRINT_METHOD = "nodeTopologyPodsFingerprint", "nodeTopologyPodsFingerprintMethod"
HEARTBEAT = f"{PREFIX}heartbeat"

DEFAULT_MOST_ZONES = "8"
"""max-allowable-numa-nodes of a kubelet that sets none."""
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_ZONE_NAME = re.compile(r"node-(0|[1-9][0-9]{0,4})", re.ASCII)
_NANO = 10**9


def report_to_nrt(report: Report, owner: str = "") -> dict[str, object]:
    """
    Writes a report as the object that is applied; what the API server adds to its metadata is left out.

    Args:
        report: what to write.
        owner: uid of the Node, with which the object goes away; without it the object has no owner.
    """
    metadata: dict[str, object] = {"name": report.node}
    if owner:
        metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "Node", "name": report.node, "uid": owner}]
    if report.heartbeat is not None:
        metadata["annotations"] = {HEARTBEAT: datetime.fromtimestamp(report.heartbeat, UTC).strftime(_TIME)}
    attributes = _standard_attributes(report) | own_attributes.to_texts(report)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": metadata,
        "attributes": [{"name": name, "value": value} for name, value in attributes.items()],
        "zones": [_zone_to_json(zone) for zone in report.zones],
    }


def report_from_nrt(item: object) -> Report:
    """
    Reads an object, of whatever exporter.

    Raises:
        WireError: one sentence with the object's name, the attribute or field, and the value.
    """
    document = fields.mapping(item, KIND)
    metadata = fields.mapping(document.get("metadata"), f"{KIND} metadata")
    name = fields.text(metadata.get("name"), f"{KIND} metadata.name")
    where = f"{KIND} {name}"
    attributes = _attributes(document.get("attributes"), where)
    zones = _zones(document.get("zones"), where)
    common = {
        "node": name,
        "zones": zones,
        "fingerprint": attributes.get(FINGERPRINT, ""),
        "fingerprint_method": attributes.get(FINGERPRINT_METHOD, ""),
        "heartbeat": _heartbeat(metadata.get("annotations"), where),
        "resource_version": fields.text(
            metadata.get("resourceVersion"), f"{where} metadata.resourceVersion", default=""
        ),
    }
    if own_attributes.are_readable(attributes):
        return Report(**common, **own_attributes.from_texts(attributes, where))  # type: ignore[arg-type]
    manager = _topology_manager(attributes, document.get("topologyPolicies"), where)
    return Report(**common, **quantities.reconstruct(zones, manager))  # type: ignore[arg-type]


def _standard_attributes(report: Report) -> dict[str, str]:
    configuration = report.configuration
    options = configuration.topology_options
    written = {
        POLICY: str(configuration.topology_policy),
        SCOPE: str(configuration.topology_scope),
        MOST_ZONES: options.get("max-allowable-numa-nodes", DEFAULT_MOST_ZONES),
    }
    if report.fingerprint:
        written[FINGERPRINT] = report.fingerprint
    if report.fingerprint_method:
        written[FINGERPRINT_METHOD] = report.fingerprint_method
    return written


def _zone_to_json(zone: ZoneQuantities) -> dict[str, object]:
    return {
        "name": f"node-{zone.zone}",
        "type": "Node",
        "costs": [{"name": f"node-{other}", "value": cost} for other, cost in zone.costs.items()],
        "resources": [
            {
                "name": resource,
                "capacity": str(amount.capacity),
                "allocatable": str(amount.allocatable),
                "available": str(amount.available),
            }
            for resource, amount in zone.resources.items()
        ],
    }


def _attributes(value: object, where: str) -> Mapping[str, str]:
    """Name to value; where a name occurs twice the first one counts, as for other consumers."""
    found: dict[str, str] = {}
    for index, entry in enumerate(fields.sequence(value, f"{where} attributes")):
        attribute = fields.mapping(entry, f"{where} attributes[{index}]")
        name = fields.text(attribute.get("name"), f"{where} attributes[{index}].name")
        found.setdefault(name, fields.text(attribute.get("value"), f"{where} attribute {name}"))
    return found


def _heartbeat(annotations: object, where: str) -> int | None:
    text = fields.mapping(annotations, f"{where} metadata.annotations").get(HEARTBEAT)
    if text is None:
        return None
    try:
        return _seconds(str(text))
    except ValueError as error:
        raise WireError(f"{where} annotation {HEARTBEAT}", text, "a time such as 2026-01-31T12:00:00Z") from error


@lru_cache(maxsize=64)
def _seconds(time: str) -> int:
    """Seconds since 1970; in one second many nodes report."""
    return int(datetime.strptime(time, _TIME).replace(tzinfo=UTC).timestamp())


def _zones(value: object, where: str) -> tuple[ZoneQuantities, ...]:
    """The NUMA zones, ascending; zones of other types belong to other consumers."""
    found: dict[int, ZoneQuantities] = {}
    for index, entry in enumerate(fields.sequence(value, f"{where} zones")):
        zone = fields.mapping(entry, f"{where} zones[{index}]")
        if zone.get("type") != "Node":
            continue
        name = fields.text(zone.get("name"), f"{where} zones[{index}].name")
        at = f"{where} zone {name}"
        id_ = _zone_id(name, f"{where} zones[{index}].name")
        if id_ in found:
            raise WireError(f"{where} zones[{index}].name", name, "a name that occurs once")
        found[id_] = ZoneQuantities(id_, _resources(zone.get("resources"), at), _costs(zone.get("costs"), at))
    return tuple(zone for _, zone in sorted(found.items()))


def _zone_id(name: str, field: str) -> int:
    match = _ZONE_NAME.fullmatch(name)
    if match is None:
        raise WireError(field, name, "a zone name such as node-0")
    return fields.member(int(match[1]), field)


def _resources(value: object, where: str) -> Mapping[str, Amount]:
    found: dict[str, Amount] = {}
    for index, entry in enumerate(fields.sequence(value, f"{where} resources")):
        resource = fields.mapping(entry, f"{where} resources[{index}]")
        name = fields.text(resource.get("name"), f"{where} resources[{index}].name")
        most = fields.LARGEST_INTEGER if quantities.is_memory(name) else LARGEST_MEMBER
        found[name] = Amount(
            capacity=_amount(resource, "capacity", f"{where} resource {name}", most),
            allocatable=_amount(resource, "allocatable", f"{where} resource {name}", most),
            available=_amount(resource, "available", f"{where} resource {name}", most),
        )
    return found


def _amount(resource: Mapping[str, object], which: str, where: str, most: int) -> int:
    """Whole units, rounded down: a fraction of a CPU is of no use to an exclusive allocation."""
    amount = fields.quantity(resource.get(which), f"{where} {which}").nanos // _NANO
    if not 0 <= amount <= most:
        raise WireError(f"{where} {which}", resource.get(which), f"an amount from 0 to {most}")
    return amount


def _costs(value: object, where: str) -> Mapping[int, int]:
    found: dict[int, int] = {}
    for index, entry in enumerate(fields.sequence(value, f"{where} costs")):
        cost = fields.mapping(entry, f"{where} costs[{index}]")
        name = fields.text(cost.get("name"), f"{where} costs[{index}].name")
        found[_zone_id(name, f"{where} costs[{index}].name")] = fields.integer(
            cost.get("value"), f"{where} cost of {name}"
        )
    return found


def _topology_manager(
    attributes: Mapping[str, str], deprecated: object, where: str
) -> quantities.TopologyManagerAttributes:
    """The attributes, where they are there, override the deprecated list field by field."""
    policies = fields.sequence(deprecated, f"{where} topologyPolicies")
    old = quantities.from_deprecated(fields.text(policies[0], f"{where} topologyPolicies[0]")) if policies else None
    fallback = old or quantities.TopologyManagerAttributes()
    return quantities.TopologyManagerAttributes(
        policy=fields.choice(attributes.get(POLICY), f"{where} attribute {POLICY}", TopologyPolicy, fallback.policy),
        scope=fields.choice(attributes.get(SCOPE), f"{where} attribute {SCOPE}", Scope, fallback.scope),
        most_zones=_most_zones(attributes.get(MOST_ZONES), f"{where} attribute {MOST_ZONES}"),
    )


def _most_zones(value: str | None, field: str) -> int | None:
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 6 and int(value) > 1):
        raise WireError(field, value, "a whole number above 1")
    return int(value)
