"""
KubeletConfiguration as JSON, from a file or from /configz: the fields that decide admission.

Source: kubelet.config.k8s.io/v1beta1 KubeletConfiguration.
"""

from __future__ import annotations

from extender import cpuset
from extender.model.configuration import (
    CpuPolicy,
    KubeletConfiguration,
    MemoryPolicy,
    ReservedMemory,
    Scope,
    TopologyPolicy,
)
from extender.wire import fields
from extender.wire.fields import WireError


def configuration_from_json(value: object, field: str = "kubelet") -> KubeletConfiguration:
    """
    Reads a configuration; fields that are absent have the kubelet's defaults.

    Raises:
        WireError: a field is not what a KubeletConfiguration has there.
    """
    settings = fields.mapping(value, field)

    def at(name: str) -> str:
        return f"{field}.{name}"

    eviction = settings.get("evictionHard")
    return KubeletConfiguration(
        topology_policy=fields.choice(
            settings.get("topologyManagerPolicy"), at("topologyManagerPolicy"), TopologyPolicy, TopologyPolicy.NONE
        ),
        topology_scope=fields.choice(
            settings.get("topologyManagerScope"), at("topologyManagerScope"), Scope, Scope.CONTAINER
        ),
        topology_options=fields.texts(settings.get("topologyManagerPolicyOptions"), at("topologyManagerPolicyOptions")),
        cpu_policy=fields.choice(settings.get("cpuManagerPolicy"), at("cpuManagerPolicy"), CpuPolicy, CpuPolicy.NONE),
        cpu_options=fields.texts(settings.get("cpuManagerPolicyOptions"), at("cpuManagerPolicyOptions")),
        reserved_system_cpus=_cpus(settings.get("reservedSystemCPUs"), at("reservedSystemCPUs")),
        system_reserved=fields.amounts(settings.get("systemReserved"), at("systemReserved")),
        kube_reserved=fields.amounts(settings.get("kubeReserved"), at("kubeReserved")),
        eviction_hard=None if eviction is None else fields.texts(eviction, at("evictionHard")),
        memory_policy=fields.choice(
            settings.get("memoryManagerPolicy"), at("memoryManagerPolicy"), MemoryPolicy, MemoryPolicy.NONE
        ),
        reserved_memory=tuple(
            _reserved_memory(entry, f"{at('reservedMemory')}[{index}]")
            for index, entry in enumerate(fields.sequence(settings.get("reservedMemory"), at("reservedMemory")))
        ),
        feature_gates={
            name: fields.boolean(enabled, f"{at('featureGates')}.{name}")
            for name, enabled in fields.mapping(settings.get("featureGates"), at("featureGates")).items()
        },
    )


def _cpus(value: object, field: str) -> str:
    listed = fields.text(value, field, default="")
    try:
        cpuset.parse(listed)
    except cpuset.CpuSetError as error:
        raise WireError(field, value, "a CPU list such as 0-3,8") from error
    return listed


def _reserved_memory(value: object, field: str) -> ReservedMemory:
    entry = fields.mapping(value, field)
    return ReservedMemory(
        zone=fields.integer(entry.get("numaNode"), f"{field}.numaNode", default=0, least=-(2**31), most=2**31 - 1),
        limits=fields.amounts(entry.get("limits"), f"{field}.limits"),
    )


def configuration_to_json(configuration: KubeletConfiguration) -> dict[str, object]:
    """Writes a configuration with the field names of the API; what has its default is written too."""
    written: dict[str, object] = {
        "topologyManagerPolicy": str(configuration.topology_policy),
        "topologyManagerScope": str(configuration.topology_scope),
        "topologyManagerPolicyOptions": dict(configuration.topology_options),
        "cpuManagerPolicy": str(configuration.cpu_policy),
        "cpuManagerPolicyOptions": dict(configuration.cpu_options),
        "reservedSystemCPUs": configuration.reserved_system_cpus,
        "systemReserved": {name: str(amount) for name, amount in configuration.system_reserved.items()},
        "kubeReserved": {name: str(amount) for name, amount in configuration.kube_reserved.items()},
        "memoryManagerPolicy": str(configuration.memory_policy),
        "reservedMemory": [
            {"numaNode": entry.zone, "limits": {name: str(amount) for name, amount in entry.limits.items()}}
            for entry in configuration.reserved_memory
        ],
        "featureGates": dict(configuration.feature_gates),
    }
    if configuration.eviction_hard is not None:
        written["evictionHard"] = dict(configuration.eviction_hard)
    return written
