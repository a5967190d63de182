"""
The CPU Manager: which CPUs are exclusive, which are shared, and what a pod's admission does to them.

Works on a ``CpuState`` that it may change; every refusal leaves the state as the kubelet leaves it, which is not
always as it was.

Source: cm/cpumanager/policy_static.go, cm/cpumanager/cpu_manager.go (removeStaleState).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from extender import cpuset
from extender.kubelet.cpu_assignment import AllocationFailure, Assignment
from extender.kubelet.errors import KubeletCrash, StartError
from extender.kubelet.hints import IMPOSSIBLE, LARGEST_ZONE_ID, Hints, MaskTable, mask_table
from extender.kubelet.options import CpuOptions
from extender.kubelet.requests import ContainerRequest, PodRequest
from extender.kubelet.topology import CpuTopology
from extender.kubelet.topology_manager import Affinity
from extender.model.configuration import Version
from extender.model.pod import Kind
from extender.model.state import CpuState
from extender.model.verdict import Cause, Reason, Refusal


@dataclass(frozen=True, slots=True)
class CpuManager:
    """The static policy of one kubelet."""

    topology: CpuTopology
    options: CpuOptions
    assignment: Assignment
    table: MaskTable
    """Over the zones that have CPUs."""
    totals: tuple[int, ...]
    """CPUs of each zone of the table, reserved and busy ones included."""
    reserved: int
    reserved_physical: int
    """The reserved CPUs and their siblings."""
    pod_level: bool
    """Gate PodLevelResourceManagers."""

    @property
    def version(self) -> Version:
        """The kubelet's minor."""
        return self.assignment.version

    def initial(self) -> CpuState:
        """Returns the state of a kubelet that starts for the first time (validateState)."""
        return CpuState(self.topology.all & ~self.reserved if self.options.strict_reservation else self.topology.all)

    def available(self, state: CpuState) -> int:
        """CPUs that can become exclusive (GetAvailableCPUs)."""
        return state.default & ~self.reserved

    def available_by_zone(self, state: CpuState) -> dict[int, int]:
        """Zone id to how many CPUs can become exclusive there."""
        free = self.available(state)
        return {zone: (free & cpus).bit_count() for zone, cpus in self.topology.zones.items()}

    # Hints

    def container_hints(self, state: CpuState, pod: PodRequest, container: ContainerRequest) -> Hints | None:
        """Hints of one container (getTopologyHintsForAdd)."""
        if container.cpus == 0 or pod.skipped:
            return None
        held = state.entries.get(pod.uid, {}).get(container.name)
        if held is not None:
            return IMPOSSIBLE if held.bit_count() != container.cpus else self._hints(held, 0, container.cpus)
        return self._hints(self.available(state), _reusable(state, pod.uid), container.cpus)

    def pod_hints(self, state: CpuState, pod: PodRequest) -> Hints | None:
        """Hints of the pod as a whole (getPodTopologyHintsForAdd)."""
        if pod.cpus == 0 or pod.skipped:
            return None
        if pod.managed and _empty_pool(pod) is not None:
            return IMPOSSIBLE
        entries = state.entries.get(pod.uid, {})
        assigned = 0
        for container in pod.containers:
            held = entries.get(container.name)
            if held is not None:
                # A container of a pod shared pool has an entry and no exclusive CPUs: never equal.
                if held.bit_count() != container.cpus:
                    return IMPOSSIBLE
                assigned |= held
        if assigned.bit_count() == pod.cpus:
            return self._hints(assigned, 0, pod.cpus)
        return self._hints(self.available(state), _reusable(state, pod.uid) | assigned, pod.cpus)

    def _hints(self, available: int, reusable: int, requested: int) -> Hints:
        """
        The affinities that can hold a request (generateCPUTopologyHints).

        An affinity is a hint if its free CPUs and the reusable ones, all of which must lie in it, cover the
        request; it is preferred if no narrower one would cover the request on an idle machine.
        """
        if self.table.zones and self.table.zones[-1] > LARGEST_ZONE_ID:
            raise KubeletCrash("panic: a NUMA node id above 63 does not fit the bit mask")
        zones = self.topology.zones
        must = cpuset.of(zone for zone, cpus in zones.items() if cpus & reusable) if reusable else 0
        missing = requested - reusable.bit_count()
        frees = self.table.sums([(available & cpus).bit_count() for cpus in zones.values()])
        masks = tuple(
            mask for mask, free in zip(self.table.masks, frees, strict=True) if free >= missing and mask & must == must
        )
        narrowest = self._narrowest(requested)
        return Hints(masks, frozenset(mask for mask in masks if self._preferred(mask, narrowest)))

    def _narrowest(self, requested: int) -> int:
        """How many zones an idle machine would need, every CPU counted, reserved ones too."""
        total = 0
        for width, cpus in enumerate(sorted(self.totals, reverse=True), start=1):
            total += cpus
            if total >= requested:
                return width
        return len(self.totals)

    def _preferred(self, mask: int, narrowest: int) -> bool:
        if self.options.align_by_socket:
            # On a machine that reports no sockets the kubelet divides by zero here, however wide the affinity is.
            per_socket = len(self.topology.zones) // self.topology.reported_sockets
            if per_socket != 0 and len(self._sockets_of(mask)) == (narrowest + per_socket - 1) // per_socket:
                return True
        return mask.bit_count() == narrowest

    def _sockets_of(self, mask: int) -> set[int]:
        sockets = self.topology.zone_sockets
        return {socket for zone in cpuset.members(mask) for socket in sockets.get(zone, ())}

    # Allocation

    def allocate(
        self, state: CpuState, pod: PodRequest, container: ContainerRequest, affinity: Affinity
    ) -> Refusal | None:
        """Gives one container its exclusive CPUs (allocateForAdd)."""
        if container.cpus == 0 or pod.skipped:
            return None
        held = state.entries.get(pod.uid, {}).get(container.name)
        if held is not None and self.version >= Version.V1_37:
            _update_reusable(state, pod.uid, container, held)
            return None
        refusal = self._enforce_smt(state, container.cpus, container.name)
        if refusal is not None:
            return refusal
        if held is not None:
            _update_reusable(state, pod.uid, container, held)
            return None
        cpus = self._allocate_cpus(state, container.cpus, affinity.mask, _reusable(state, pod.uid))
        if isinstance(cpus, AllocationFailure):
            return _refusal(cpus, container.name)
        state.entries[pod.uid] = {**state.entries.get(pod.uid, {}), container.name: cpus}
        _update_reusable(state, pod.uid, container, cpus)
        return None

    def allocate_pod(self, state: CpuState, pod: PodRequest, affinity: Affinity) -> Refusal | None:
        """
        Gives a pod its pod-level CPUs and splits them among its containers (allocatePodForAdd).

        There is no test for an allocation that the pod has already: a second admission takes a second one.
        """
        if pod.cpus == 0:
            return None
        empty = _empty_pool(pod)
        if empty is not None:
            return Refusal(
                Reason.EMPTY_POD_SHARED_POOL, empty, resource="cpu", requested=pod.cpus, available=0, pod_level=True
            )
        refusal = self._enforce_smt(state, pod.cpus, None)
        if refusal is not None:
            return refusal
        bubble = self._allocate_cpus(state, pod.cpus, affinity.mask, 0)
        if isinstance(bubble, AllocationFailure):
            return _refusal(bubble, None)
        state.pod_entries[pod.uid] = bubble
        shares = self._partition(pod, bubble)
        if isinstance(shares, AllocationFailure):
            return _refusal(shares, None)
        state.entries[pod.uid] = {**state.entries.get(pod.uid, {}), **shares}
        return None

    def _partition(self, pod: PodRequest, bubble: int) -> Mapping[str, int] | AllocationFailure:
        """Exclusive slices for the containers that have one, what is left over for the rest."""
        slices: dict[str, int] = {}
        pool = bubble  # less the sidecars so far; plain init containers give back what they take
        for container in pod.containers:
            if container.cpus > 0:
                cpus = self.assignment.take(pool, container.cpus)
                if isinstance(cpus, AllocationFailure):
                    return cpus
                slices[container.name] = cpus
                if container.kind is not Kind.INIT:
                    pool &= ~cpus
            elif container.kind is Kind.INIT:
                slices[container.name] = pool
        return {container.name: slices.get(container.name, pool) for container in pod.containers}

    def _enforce_smt(self, state: CpuState, count: int, container: str | None) -> Refusal | None:
        """Whole cores only, and enough CPUs on cores without a reserved one (enforceSMTAlignment)."""
        if not self.options.full_pcpus_only:
            return None
        per_core = self.topology.cpus_per_core
        physical = (state.default & ~self.reserved_physical).bit_count()
        aligned = count % per_core == 0
        if aligned and count <= physical:
            return None
        return Refusal(
            Reason.SMT_ALIGNMENT,
            Cause.SMT_NOT_ENOUGH if aligned else Cause.SMT_NOT_MULTIPLE,
            container=container,
            resource="cpu",
            requested=count,
            available=physical,
            detail={"cpusPerCore": per_core},
        )

    def _allocate_cpus(self, state: CpuState, count: int, mask: int | None, reusable: int) -> int | AllocationFailure:
        """Takes CPUs, those of the affinity first, out of the shared pool (allocateCPUs)."""
        allocatable = self.available(state) | reusable
        first = 0
        if mask is not None:
            aligned = allocatable & self._aligned(mask)
            taken = self.assignment.take(aligned, min(count, aligned.bit_count()))
            if isinstance(taken, AllocationFailure):
                return taken
            first = taken
        rest = self.assignment.take(allocatable & ~first, count - first.bit_count())
        if isinstance(rest, AllocationFailure):
            return rest
        state.default &= ~(first | rest)
        return first | rest

    def _aligned(self, mask: int) -> int:
        """CPUs of the affinity, with align-by-socket those of all its sockets (getAlignedCPUs)."""
        topology = self.topology
        if self.options.align_by_socket:
            groups = (topology.sockets[socket] for socket in self._sockets_of(mask))
        else:
            groups = (topology.zones.get(zone, 0) for zone in cpuset.members(mask))
        aligned = 0
        for cpus in groups:
            aligned |= cpus
        return aligned

    # Release

    def remove(self, state: CpuState, uid: str, container: str) -> None:
        """Releases what one container of a pod holds, which must hold something (RemoveContainer)."""
        entries = state.entries[uid]
        held = entries[container]
        rest = {name: cpus for name, cpus in entries.items() if name != container}
        if rest:
            state.entries[uid] = rest
        else:
            del state.entries[uid]
        if self.pod_level and uid in state.pod_entries:
            if not rest:
                state.default |= state.pod_entries.pop(uid)
            return
        for cpus in rest.values():
            held &= ~cpus
        state.default |= held


def cpu_manager(
    topology: CpuTopology, assignment: Assignment, reserved_count: int, reserved_list: int, *, pod_level: bool
) -> CpuManager:
    """
    Sets the static policy up as a kubelet does (NewStaticPolicy).

    Args:
        topology: of the machine.
        assignment: how it takes CPUs; the reserved ones are taken in the same way.
        reserved_count: CPUs to reserve.
        reserved_list: reservedSystemCPUs, empty where not set.
        pod_level: gate PodLevelResourceManagers.

    Raises:
        StartError: the reserved CPUs cannot be taken, or the option does not suit the machine.
    """
    options = assignment.options
    if options.align_by_socket and topology.reported_sockets > len(topology.zones):
        raise StartError(
            "Align by socket is not compatible with hardware where number of sockets are more than number of NUMA"
        )
    reserved: int | AllocationFailure = reserved_list or assignment.take(topology.all, reserved_count)
    if isinstance(reserved, AllocationFailure):
        reserved = 0  # the kubelet ignores the error and sees an empty set
    if reserved.bit_count() != reserved_count:
        raise StartError(
            "[cpumanager] unable to reserve the required amount of CPUs "
            f"(size of {cpuset.render(reserved)} did not equal {reserved_count})"
        )
    physical = 0
    for cpu in cpuset.members(reserved):  # all of the machine's: a list was held against it before
        physical |= topology.cpu_core[cpu]
    return CpuManager(
        topology=topology,
        options=options,
        assignment=assignment,
        table=mask_table(tuple(topology.zones)),
        totals=tuple(map(int.bit_count, topology.zones.values())),
        reserved=reserved,
        reserved_physical=physical,
        pod_level=pod_level,
    )


def _empty_pool(pod: PodRequest) -> Cause | None:
    """Finds containers that would share a pod pool without CPUs (validatePodScopeResources)."""
    exclusive, shared = 0, False
    for container in pod.containers:
        if container.kind is Kind.INIT:
            if container.cpus == 0 and exclusive >= pod.cpus:
                return Cause.EMPTY_POOL_INIT
        elif container.cpus == 0:
            shared = True
        else:
            exclusive += container.cpus
    return Cause.EMPTY_POOL_SUM if shared and exclusive >= pod.cpus else None


def _reusable(state: CpuState, uid: str) -> int:
    """CPUs of the pod's own init containers that a later container may take over."""
    owner, cpus = state.reusable
    return cpus if owner == uid else 0


def _update_reusable(state: CpuState, uid: str, container: ContainerRequest, cpus: int) -> None:
    """Plain init containers give their CPUs on, others keep theirs (updateCPUsToReuse)."""
    reusable = _reusable(state, uid)
    state.reusable = (uid, reusable | cpus if container.kind is Kind.INIT else reusable & ~cpus)


def _refusal(failure: AllocationFailure, container: str | None) -> Refusal:
    return Refusal(
        Reason.UNEXPECTED,
        failure.cause,
        container=container,
        resource="cpu",
        requested=failure.requested,
        available=failure.available,
    )
