"""
What people ask: pods, on which nodes, after which change.

The values are as asked; whether the pods are ones that an API server would take, and the names ones that exist, is
for ``extender.what_if`` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from extender.model.configuration import KubeletConfiguration, Version
from extender.model.machine import Machine
from extender.model.pod import Pod
from extender.model.state import Devices


@dataclass(frozen=True, slots=True)
class Asked:
    """One pod, or the pods that one workload makes."""

    pod: Pod
    kind: str = "Pod"
    """Kind of the object that it comes from."""
    replicas: int = 1
    """How many pods the object makes."""
    spec: str = "spec"
    """Where the pod's spec stands in that object."""
    amounts: Mapping[str, int] = field(default_factory=dict)
    """What the pod asks for altogether, by resource name; CPUs, bytes or devices; known once it is complete."""

    @property
    def title(self) -> str:
        """The object's kind and name, for people."""
        return f"{self.kind} {self.pod.namespace}/{self.pod.name}"


@dataclass(frozen=True, slots=True)
class ConfigurationPatch:
    """
    Some fields of a KubeletConfiguration.

    ``fields`` has the fields that change, by attribute name; of mappings (options, gates, reservations) only the
    entries that change, None where one is taken out; None instead of a mapping takes all of them out.
    """

    fields: Mapping[str, object] = field(default_factory=dict)
    whole: bool = False
    """The fields that are not named get their defaults, instead of staying as they are."""


@dataclass(frozen=True, slots=True)
class Addition:
    """Nodes that are not there yet."""

    name: str
    """Of one node; several are numbered."""
    count: int = 1
    like: str = ""
    """The node that they resemble, empty of pods; what is given below is different."""
    machine: Machine | None = None
    configuration: KubeletConfiguration | None = None
    version: Version | None = None
    devices: Devices | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What is imagined to be different."""

    nodes: tuple[str, ...] = ()
    """Patterns of the names of the nodes whose kubelet or machine is different; none means all."""
    kubelet: ConfigurationPatch | None = None
    version: Version | None = None
    machine: Machine | None = None
    removed: tuple[str, ...] = ()
    """Patterns of the pods that are gone: ``namespace/name`` or uid."""
    drained: tuple[str, ...] = ()
    """Patterns of the names of the nodes that are gone; their pods look for a new one."""
    added: tuple[Addition, ...] = ()

    @property
    def restarts(self) -> bool:
        """Whether kubelets start anew, and admit their pods once more."""
        return self.kubelet is not None or self.version is not None or self.machine is not None

    def __bool__(self) -> bool:
        return self != Change()


@dataclass(frozen=True, slots=True)
class Question:
    """One question."""

    asked: tuple[Asked, ...] = ()
    amounts: Mapping[str, int] = field(default_factory=dict)
    """What each pod asks for altogether instead, by resource name; CPUs, bytes or devices."""
    nodes: tuple[str, ...] = ()
    """Patterns of the names of the nodes in question; none means all."""
    change: Change = field(default_factory=Change)
    together: bool = False
    """All pods, one after the other, instead of each for itself."""
    suggest: int = 0
    """On how many nodes, the most promising ones first, the smallest change that works is looked for."""
    most: int = 110
    """Replicas per node after which counting ends; 110 is the kubelet's default for maxPods."""
