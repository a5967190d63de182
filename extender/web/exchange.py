"""
What passes between the extender and the process that answers questions: requests, replies, and news of nodes.

Both ends are the same program on the same machine, so pickle is the format, with a reducer for each of the model's
values that is three times as fast as the one that frozen dataclasses with slots bring along.
"""

from __future__ import annotations

import io
import operator
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from extender.model.configuration import KubeletConfiguration, ReservedMemory, Version
from extender.model.machine import Core, HugePages, Machine, Zone
from extender.model.pod import Container, Pod, Resources
from extender.model.state import Block, CpuState, Device, DeviceState, MemoryState, NodeState, ZoneMemory
from extender.quantity import Quantity


@dataclass(frozen=True)
class Request:
    """What an HTTP client asks."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    gzip: bool = False
    """Whether the client takes a compressed answer."""


@dataclass(frozen=True)
class Reply:
    """What an HTTP client is told."""

    status: int
    mimetype: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    """The traceback of a fault of ours, for the log."""


@dataclass(frozen=True)
class Kubelet:
    """What makes a kubelet; alike on many nodes, so it is sent once."""

    key: int
    machine: Machine
    configuration: KubeletConfiguration
    version: Version


@dataclass(frozen=True)
class Parcel:
    """One node as it is now."""

    name: str
    knowledge: str
    fault: str = ""
    estimates: Sequence[str] = ()
    kubelet_version: str = ""
    kubelet: int | None = None
    """Key of its kubelet; None where the node cannot be judged."""
    state: NodeState | None = None
    pods: Sequence[tuple[Pod, bool]] = ()
    """Pods that the API server has shown on the node, and whether they are started."""


@dataclass(frozen=True)
class News:
    """What has changed of the inventory since the last news."""

    kubelets: Sequence[Kubelet] = ()
    parcels: Sequence[Parcel] = ()
    gone: Sequence[str] = ()


_Reducer = Callable[[Any], tuple[Callable[..., Any], tuple[Any, ...]]]


def _reducer(kind: type) -> _Reducer:
    names = [attribute.name for attribute in fields(kind)]
    if len(names) == 1:
        return lambda value: (kind, (getattr(value, names[0]),))
    values = operator.attrgetter(*names)
    return lambda value: (kind, values(value))


_REDUCERS: dict[type, _Reducer] = {
    kind: _reducer(kind)
    for kind in (
        *(Block, Container, Core, CpuState, Device, DeviceState, HugePages, KubeletConfiguration, Machine, MemoryState),
        *(NodeState, Pod, Quantity, ReservedMemory, Resources, Zone, ZoneMemory),
    )
}


def dump(value: Request | Reply | News) -> bytes:
    """Writes a message."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = _REDUCERS
    pickler.dump(value)
    return buffer.getvalue()


def load(message: bytes) -> Any:
    """Reads a message; only ever one of our own."""
    return pickle.loads(message)  # noqa: S301 - written by the other half of this program
