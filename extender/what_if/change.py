"""
The cluster after a change: other kubelets and machines, pods and nodes gone, nodes added.

A kubelet whose configuration or machine is different starts anew and admits the node's pods once more, in the order
of their first admission; those that it refuses are lost. The pods of a node that is drained have lost their node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from extender.fleet import Snapshot, rooms
from extender.kubelet import admission
from extender.kubelet.errors import KubeletCrash, StartError
from extender.model.answer import Lost
from extender.model.configuration import KubeletConfiguration, Version
from extender.model.machine import Machine
from extender.model.pod import Pod
from extender.model.question import Addition, Change, ConfigurationPatch
from extender.model.state import Devices, NodeState
from extender.model.verdict import Refusal
from extender.what_if.site import NO_PODS, NoSuchNodeError, Pods, Running, Site, chosen, matching
from extender.what_if.work import Work, each


class ImpossibleChangeError(ValueError):
    """The change contradicts itself or the cluster; the message is one sentence that names the field."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The cluster after a change."""

    sites: tuple[Site, ...]
    lost: tuple[Lost, ...] = ()
    """Running pods that their own node would not admit again."""
    displaced: tuple[Running, ...] = ()
    """Pods of the drained nodes."""


def changed(sites: Sequence[Site], change: Change) -> Work[Changed]:
    """
    Returns the cluster after a change.

    Raises:
        ImpossibleChangeError: an added node has a name that is taken, or nothing says what it is like.
        NoSuchNodeError: a pattern matches no node or no pod.
    """
    gone = {site.name for site in chosen(sites, change.drained, "change.drain")} if change.drained else set()
    touched = {site.name for site in chosen(sites, change.nodes, "change.nodes")} if change.restarts else set()
    removed = _removed(sites, change.removed)
    after: list[Site] = []
    lost: list[Lost] = []
    displaced: list[Running] = []
    for progress, site in each("change", sites, len(sites)):
        yield progress
        left = without(site, removed.get(site.name, ()))
        if site.name in gone:
            displaced += left.pods.values()
            continue
        if site.name in touched:
            left, refused = restarted(left, change.kubelet, change.version, change.machine)
            lost += refused
        after.append(left)
    after += _added(sites, change.added)
    return Changed(tuple(after), tuple(lost), tuple(displaced))


def without(site: Site, uids: Sequence[str]) -> Site:
    """Returns the node without some of its pods; its kubelet's next admission frees what they hold."""
    if not uids:
        return site
    pods = Pods({uid: running for uid, running in site.pods.items() if uid not in uids})
    if site.snapshot is None:
        return replace(site, pods=pods)
    state = site.snapshot.state
    for uid in uids:
        state = admission.remove(site.snapshot.kubelet, state, uid)
    return replace(site, pods=pods, snapshot=Snapshot(site.snapshot.kubelet, state))


def restarted(
    site: Site, patch: ConfigurationPatch | None, version: Version | None = None, machine: Machine | None = None
) -> tuple[Site, list[Lost]]:
    """Returns the node after its kubelet has started anew, and the pods that it does not admit any more."""
    if site.snapshot is None:
        return site, []
    was = site.snapshot.kubelet
    try:
        kubelet = admission.start(machine or was.machine, patched(was.configuration, patch), version or was.version)
    except StartError as error:
        fault = f"its kubelet would not start: {error}"
        return replace(site, snapshot=None, fault=fault, pods=NO_PODS), [
            Lost(site.name, running.pod, None, fault, configuration=was.configuration, rebuilt=running.rebuilt)
            for running in site.pods.values()
        ]
    state = admission.initial(kubelet, site.snapshot.state.device.reported)
    kept: dict[str, Running] = {}
    lost: list[Lost] = []
    for uid, running in site.pods.items():
        refused, state = _again(site.name, kubelet, state, running)
        if refused is None:
            kept[uid] = running
        else:
            lost.append(refused)
    return replace(site, pods=Pods(kept), snapshot=Snapshot(kubelet, state)), lost


def _again(name: str, kubelet: admission.Kubelet, state: NodeState, running: Running) -> tuple[Lost | None, NodeState]:
    """Admits a pod once more."""
    pod = running.pod
    lost = Lost(name, pod, None, configuration=kubelet.configuration, rebuilt=running.rebuilt)
    try:
        verdict, after = admission.admit(kubelet, state, pod)
    except KubeletCrash as crash:
        return replace(lost, why=str(crash)), state
    if isinstance(verdict, Refusal):
        return replace(lost, refusal=verdict, rooms=rooms(kubelet, state)), after
    return None, admission.started(kubelet, after, pod.uid) if running.started else after


def patched(configuration: KubeletConfiguration, patch: ConfigurationPatch | None) -> KubeletConfiguration:
    """Returns the configuration with some fields changed; in mappings only the named entries."""
    if patch is None:
        return configuration
    base = KubeletConfiguration() if patch.whole else configuration
    values: dict[str, object] = {}
    for name, value in patch.fields.items():
        if isinstance(value, Mapping):
            merged = {**(getattr(base, name) or {}), **value}
            values[name] = {key: each for key, each in merged.items() if each is not None}
        else:
            values[name] = getattr(KubeletConfiguration(), name) if value is None else value
    return replace(base, **values)  # type: ignore[arg-type] # names and types are the wire's promise


def _removed(sites: Sequence[Site], patterns: Sequence[str]) -> Mapping[str, list[str]]:
    """Node to the uids of its pods that match."""
    found: dict[str, list[str]] = {}
    for pattern in patterns:
        hits = list(_matching_pods(sites, pattern))
        if not hits:
            raise NoSuchNodeError(f"change.removePods: no pod matches {pattern!r}")
        for node, uid in hits:
            found.setdefault(node, []).append(uid)
    return found


def _matching_pods(sites: Sequence[Site], pattern: str) -> Iterator[tuple[str, str]]:
    for site in sites:
        names: dict[str, list[str]] = {}
        for uid, running in site.pods.items():
            names.setdefault(title(running.pod), []).append(uid)
        for name in matching(names, pattern):
            for uid in names[name]:
                yield site.name, uid
        if pattern in site.pods:
            yield site.name, pattern


def title(pod: Pod) -> str:
    """A pod's name as people write it."""
    return f"{pod.namespace}/{pod.name}" if pod.namespace else pod.name


def _added(sites: Sequence[Site], additions: Sequence[Addition]) -> list[Site]:
    by_name = {site.name: site for site in sites}
    made: list[Site] = []
    for index, addition in enumerate(additions):
        where = f"change.add[{index}]"
        made += [_new(name, addition, by_name, where) for name in _names(addition)]
    names = [site.name for site in made]
    taken = {name for name in names if names.count(name) > 1 or name in by_name}
    if taken:
        raise ImpossibleChangeError(f"change.add: there is more than one node {min(taken)!r}")
    return made


def _names(addition: Addition) -> list[str]:
    if addition.count == 1:
        return [addition.name]
    return [f"{addition.name}-{number}" for number in range(1, addition.count + 1)]


def _new(name: str, addition: Addition, by_name: Mapping[str, Site], where: str) -> Site:
    """A node without pods."""
    model = _model(addition, by_name, where)
    machine = addition.machine or (model.machine if model else None)
    if machine is None:
        raise ImpossibleChangeError(f"{where}: neither `like` nor `machine` says what node {name!r} is")
    configuration = addition.configuration or (model.configuration if model else KubeletConfiguration())
    version = addition.version or (model.version if model else list(Version)[-1])
    devices = addition.devices if addition.devices is not None else _devices(addition, by_name)
    try:
        kubelet = admission.start(machine, configuration, version)
    except StartError as error:
        return Site(name, fault=f"its kubelet would not start: {error}")
    return Site(name, Snapshot(kubelet, admission.initial(kubelet, devices)), knowledge="exact")


def _model(addition: Addition, by_name: Mapping[str, Site], where: str) -> admission.Kubelet | None:
    if not addition.like:
        return None
    site = by_name.get(addition.like)
    if site is None:
        raise NoSuchNodeError(f"{where}.like: there is no node {addition.like!r}")
    if site.snapshot is None:
        raise ImpossibleChangeError(f"{where}.like: node {addition.like!r} cannot be judged: {site.fault}")
    return site.snapshot.kubelet


def _devices(addition: Addition, by_name: Mapping[str, Site]) -> Devices:
    site = by_name.get(addition.like)
    if site is None or site.snapshot is None or addition.machine is not None:
        return {}  # devices sit on zones of the machine that they were reported from
    return site.snapshot.state.device.reported
