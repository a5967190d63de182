"""
The Memory Manager: which zones' memory and hugepages are pinned, which zones form groups, and what admission does.

Works on a ``MemoryState`` that it may change. Amounts are bytes; the kubelet's are unsigned 64-bit, so what it
lets run below zero wraps here too.

Source: cm/memorymanager/policy_static.go, cm/memorymanager/memory_manager.go (reservations, AddContainer).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from extender import cpuset
from extender.kubelet.errors import KubeletCrash, StartError
from extender.kubelet.hints import IMPOSSIBLE, LARGEST_ZONE_ID, UINT64, Hints, MaskTable, mask_table, narrowest_first
from extender.kubelet.requests import HUGEPAGES, MEMORY, Bytes, ContainerRequest, PodRequest, is_memory
from extender.kubelet.topology_manager import Affinity
from extender.model.configuration import Amounts, ReservedMemory, Version
from extender.model.machine import Machine, Zone
from extender.model.pod import Kind
from extender.model.state import Block, MemoryState, ZoneMemory
from extender.model.verdict import Cause, Reason, Refusal
from extender.quantity import ZERO, Format, Quantity, of

Reusable = Mapping[tuple[int, str], int]
"""Exact mask and memory type to bytes of init containers."""


@dataclass(frozen=True, slots=True)
class MemoryManager:
    """The static policy of one kubelet."""

    table: MaskTable
    """Over all zones, ascending."""
    allocatable: Mapping[int, Bytes]
    """Zone id to memory type to bytes that pods can have."""
    version: Version
    pod_level: bool
    """Gate PodLevelResourceManagers."""

    def initial(self) -> MemoryState:
        """Returns the state of a kubelet that starts for the first time (getDefaultMachineState)."""
        return MemoryState({zone: ZoneMemory(0, 1 << zone, dict(table)) for zone, table in self.allocatable.items()})

    # Hints

    def container_hints(self, state: MemoryState, pod: PodRequest, container: ContainerRequest) -> list[Hints]:
        """Hints of one container, one list for each requested type (GetTopologyHints)."""
        amounts = container.memory
        if not pod.guaranteed or pod.skipped or not amounts:
            return []
        blocks = state.entries.get(pod.uid, {}).get(container.name)
        if blocks is not None:
            return _regenerate(blocks, amounts)
        return self._lists(state, pod.uid, amounts)

    def pod_hints(self, state: MemoryState, pod: PodRequest) -> list[Hints]:
        """Hints of the pod as a whole (GetPodTopologyHints)."""
        amounts = pod.memory
        if not pod.guaranteed or pod.skipped or amounts is None:
            return []
        if pod.managed and (_unrepresentable(pod) or _empty_pool(pod) is not None):
            return [IMPOSSIBLE for _ in amounts]
        if not amounts:
            return []
        entries = state.entries.get(pod.uid, {})
        for container in pod.containers:
            if container.name in entries:
                return _regenerate(entries[container.name], amounts)
        return self._lists(state, pod.uid, amounts)

    def _lists(self, state: MemoryState, uid: str, amounts: Bytes) -> list[Hints]:
        """All types share one list; where nothing fits the kubelet has *no preference*, not an impossible one."""
        hints = self._hints(state, uid, amounts)
        return [hints for _ in amounts] if hints.masks else []

    def _hints(self, state: MemoryState, uid: str, amounts: Bytes) -> Hints:
        """
        The affinities that can hold the amounts (calculateHints).

        Steps, for each affinity: 1. enough allocatable of every type, which also sets the narrowest width;
        2. the rule of groups; 3. enough free of every type, the pod's own reusable memory included.
        """
        if self.table.zones[-1] > LARGEST_ZONE_ID:
            raise KubeletCrash("panic: a NUMA node id above 63 does not fit the bit mask")
        zones = [state.zones[zone] for zone in self.table.zones]
        columns = []
        for type_, amount in amounts.items():
            for zone in self.table.zones:
                self._require(zone, type_)
            capacity = self._sums([self.allocatable[zone][type_] for zone in self.table.zones])
            columns.append((type_, amount, capacity, self._sums([zone.free[type_] for zone in zones])))
        reusable = _reusable(state, uid)
        grouped = _Groups(state)
        narrowest, masks = len(zones), []
        for index, mask in enumerate(self.table.masks):
            if any(capacity[index] < amount for _, amount, capacity, _ in columns):
                continue
            narrowest = min(narrowest, mask.bit_count())
            if not grouped.allow(mask):
                continue
            if all(free[index] + reusable.get((mask, type_), 0) >= amount for type_, amount, _, free in columns):
                masks.append(mask)
        return Hints(tuple(masks), frozenset(mask for mask in masks if mask.bit_count() == narrowest))

    def _sums(self, amounts: Sequence[int]) -> list[int]:
        """Sums along the table, wrapped where a zone reserves more than it has."""
        sums = self.table.sums(amounts)
        return [total & UINT64 for total in sums] if max(amounts) >> 63 else sums

    def _require(self, zone: int, type_: str) -> None:
        """A size of hugepages that a zone has no table for is a nil pointer to the kubelet, even for amount 0."""
        if type_ not in self.allocatable[zone]:
            raise KubeletCrash(f"panic: nil pointer dereference: zone {zone} has no {type_}")

    # Allocation

    def allocate(
        self, state: MemoryState, pod: PodRequest, container: ContainerRequest, affinity: Affinity
    ) -> Refusal | None:
        """Gives one container its blocks (Allocate)."""
        if not pod.guaranteed or pod.skipped:
            return None
        amounts = container.memory
        held = state.entries.get(pod.uid, {}).get(container.name)
        if self.version < Version.V1_37 and held is not None:
            _update_reusable(state, pod.uid, container, held)
            return None
        if amounts is None:
            return Refusal(Reason.UNEXPECTED, Cause.AMOUNT_NOT_AN_INTEGER, container=container.name, resource=MEMORY)
        if not amounts and self.version >= Version.V1_37:
            return None
        if held is not None:
            _update_reusable(state, pod.uid, container, held)
            return None
        mask = self._zones_for(state, pod.uid, amounts, affinity)
        if isinstance(mask, Cause):
            return _refusal(mask, amounts, container.name)
        reusable = _reusable(state, pod.uid)
        for type_, amount in amounts.items():
            self._book(state, mask, type_, max(0, amount - reusable.get((mask, type_), 0)))
        blocks = tuple(Block(mask, type_, amount) for type_, amount in amounts.items())
        _update_reusable(state, pod.uid, container, blocks)
        state.entries[pod.uid] = {**state.entries.get(pod.uid, {}), container.name: blocks}
        _shrink_init_containers(state, pod, container, blocks)
        return None

    def allocate_pod(self, state: MemoryState, pod: PodRequest, affinity: Affinity) -> Refusal | None:
        """
        Gives a pod its pod-level blocks and notes its containers' shares of them (AllocatePod).

        Only the total is booked; the shares lie on the same zones. A total that is no integer is passed over,
        unlike in ``allocate``.
        """
        amounts = pod.memory
        if not pod.guaranteed or amounts is None:
            return None
        if _unrepresentable(pod):
            return Refusal(Reason.EMPTY_POD_SHARED_POOL, Cause.AMOUNT_NOT_AN_INTEGER, resource=MEMORY, pod_level=True)
        empty = _empty_pool(pod)
        if empty is not None:
            cause, type_ = empty
            return Refusal(
                Reason.EMPTY_POD_SHARED_POOL,
                cause,
                resource=type_,
                requested=amounts[type_],
                available=0,
                pod_level=True,
            )
        mask = self._zones_for(state, pod.uid, amounts, affinity)
        if isinstance(mask, Cause):
            return _refusal(mask, amounts, None)
        state.pod_entries[pod.uid] = tuple(Block(mask, type_, amount) for type_, amount in amounts.items())
        for type_, amount in amounts.items():
            self._book(state, mask, type_, amount)
        shares = _partition(pod, amounts)
        state.entries[pod.uid] = {
            **state.entries.get(pod.uid, {}),
            **{
                name: tuple(Block(mask, type_, size) for type_, size in share.items()) for name, share in shares.items()
            },
        }
        return None

    def _zones_for(self, state: MemoryState, uid: str, amounts: Bytes, affinity: Affinity) -> int | Cause:
        """
        The zones that the blocks go to, or why there are none.

        Steps: 1. without an affinity, the best of the manager's own hints; 2. if that has too little free
        memory (reusable memory not counted), the best hint that contains it; 3. the rule of groups.
        """
        mask, preferred = affinity.mask, affinity.preferred
        if mask is None:
            hints = self._hints(state, uid, amounts)
            if not hints.masks or not amounts:
                return Cause.NO_DEFAULT_HINT
            # Only the list of regular memory is looked at; a request of hugepages alone has none.
            best = _best(hints.masks, hints) if MEMORY in amounts else None
            if preferred and (best is None or best not in hints.preferred):
                return Cause.NO_PREFERRED_DEFAULT_HINT
            if best is None:
                raise KubeletCrash("panic: nil pointer dereference: hugepages without memory and no affinity")
            mask, preferred = best, best in hints.preferred
        if not self._satisfies(state, mask, amounts):
            hints = self._hints(state, uid, amounts)
            wider = [other for other in hints.masks if mask & other == mask] if MEMORY in amounts else []
            if not wider:
                return Cause.NO_EXTENDED_HINT
            best = _best(wider, hints)
            if preferred and best not in hints.preferred:
                return Cause.NO_PREFERRED_EXTENDED_HINT
            mask = best
        return mask if _Groups(state).respected(mask) else Cause.GROUP_VIOLATION

    def _satisfies(self, state: MemoryState, mask: int, amounts: Bytes) -> bool:
        """Says whether the zones have enough free of every type (isAffinitySatisfyRequest)."""
        zones = list(cpuset.members(mask))
        for type_ in amounts:
            for zone in zones:
                self._require(zone, type_)
        return all(
            sum(state.zones[zone].free[type_] for zone in zones) & UINT64 >= amount for type_, amount in amounts.items()
        )

    def _book(self, state: MemoryState, mask: int, type_: str, size: int) -> None:
        """Books bytes on the zones, ascending, each as far as it goes (updateMachineState)."""
        for zone in cpuset.members(mask):
            memory = state.zones[zone]
            taken = min(size, memory.free[type_])
            size -= taken
            free = {**memory.free, type_: memory.free[type_] - taken} if taken else memory.free
            state.zones[zone] = ZoneMemory(memory.assignments + 1, mask, free)

    # Release

    def remove(self, state: MemoryState, uid: str, container: str) -> None:
        """Releases what one container of a pod holds (RemoveContainer)."""
        entries = state.entries.get(uid, {})
        blocks = entries.get(container)
        if blocks is None:
            return
        rest = {name: held for name, held in entries.items() if name != container}
        if rest:
            state.entries[uid] = rest
        else:
            del state.entries[uid]
        if self.pod_level and uid in state.pod_entries:
            if not rest:
                self._release(state, state.pod_entries.pop(uid))
            return
        self._release(state, blocks)

    def _release(self, state: MemoryState, blocks: Iterable[Block]) -> None:
        """Gives bytes back to the zones, ascending, each up to what is reserved there (releaseMemory)."""
        for block in blocks:
            size = block.size
            for zone in cpuset.members(block.zones):
                memory = state.zones[zone]
                reserved = (self.allocatable[zone][block.type] - memory.free[block.type]) & UINT64
                given = min(size, reserved)
                size -= given
                free = {**memory.free, block.type: memory.free[block.type] + given} if given else memory.free
                left = memory.assignments - 1
                state.zones[zone] = ZoneMemory(left, memory.cells if left else 1 << zone, free)


class _Groups:
    """
    The rule of groups: a zone serves requests of one zone or of one and the same group of zones, not both.

    Sets of zones, so that an affinity is judged without looking at its zones one by one.
    """

    __slots__ = ("_cells", "_grouped", "_single")

    def __init__(self, state: MemoryState) -> None:
        self._grouped = 0
        self._single = 0
        self._cells: list[tuple[int, int]] = []
        for zone, memory in state.zones.items():
            bit = 1 << zone
            if memory.cells & (memory.cells - 1):
                self._grouped |= bit
                if memory.assignments > 0:
                    self._cells.append((bit, memory.cells))
            elif memory.assignments > 0:
                self._single |= bit

    def allow(self, mask: int) -> bool:
        """Says whether an affinity may be a hint (calculateHints)."""
        if mask & (mask - 1) == 0:
            return not mask & self._grouped
        return self.respected(mask)

    def respected(self, mask: int) -> bool:
        """Says whether blocks may go to these zones (isAffinityViolatingNUMAAllocations); one zone always may."""
        if mask & (mask - 1) == 0:
            return True
        if mask & self._single:
            return False
        return all(cells == mask for bit, cells in self._cells if bit & mask)


def memory_manager(
    machine: Machine, reservation: Amounts, reserved: Sequence[ReservedMemory], version: Version, *, pod_level: bool
) -> MemoryManager:
    """
    Sets the static policy up as a kubelet does (NewManager, getSystemReservedMemory, getDefaultMachineState).

    Args:
        machine: with all its zones.
        reservation: what the kubelet reserves of each resource, eviction threshold included.
        reserved: reservedMemory.
        version: the kubelet's minor.
        pod_level: gate PodLevelResourceManagers.

    Raises:
        StartError: reservedMemory does not add up to the reservation, or names a zone that is not there.
    """
    _check_reservation(machine, reservation, reserved)
    by_zone: dict[int, dict[str, int]] = {zone.id: {} for zone in machine.zones}
    for entry in reserved:
        for type_, amount in entry.limits.items():
            if amount.as_int64 is None:
                raise StartError("could not covert a variable of type Quantity to int64")
            by_zone[entry.zone][type_] = amount.as_int64
    if sum(table.get(MEMORY, 0) for table in by_zone.values()) <= 0:
        raise StartError("[memorymanager] you should specify the system reserved memory")
    return MemoryManager(
        table=mask_table(tuple(sorted(by_zone))),
        allocatable={zone.id: _allocatable(zone, by_zone[zone.id]) for zone in machine.zones},
        version=version,
        pod_level=pod_level,
    )


def _allocatable(zone: Zone, reserved: Mapping[str, int]) -> dict[str, int]:
    """Bytes per type; a zone that reserves more than it has wraps around, as unsigned numbers do."""
    table: dict[str, int] = {}
    pages = 0
    for huge in zone.hugepages:
        size = huge.pages * huge.page_kib * 1024
        pages += size
        type_ = hugepages_type(huge.page_kib)
        table[type_] = (size - reserved.get(type_, 0)) & UINT64
    table[MEMORY] = (zone.memory - reserved.get(MEMORY, 0) - pages) & UINT64
    return table


def hugepages_type(page_kib: int) -> str:
    """Returns the resource name of pages of a size, e.g. ``hugepages-2Mi`` for 2048."""
    return f"{HUGEPAGES}{of(page_kib * 1024, Format.BINARY_SI)}"


def _check_reservation(machine: Machine, reservation: Amounts, reserved: Sequence[ReservedMemory]) -> None:
    """The sums over the zones must equal what node allocatable reserves, type by type (validateReservedMemory)."""
    zones = {zone.id for zone in machine.zones}
    totals: dict[str, int] = {}
    for entry in reserved:
        if entry.zone not in zones:
            raise StartError(
                "the reserved memory configuration references a NUMA node "
                f"{entry.zone} that does not exist on this machine"
            )
        for type_, amount in entry.limits.items():
            totals[type_] = totals.get(type_, 0) + amount.nanos
    for type_ in sorted(totals.keys() | {name for name in reservation if is_memory(name)}):
        wanted = reservation.get(type_, ZERO)
        if totals.get(type_, 0) != wanted.nanos:
            total = Quantity(totals.get(type_, 0), None, Format.BINARY_SI)
            raise StartError(
                f'the total amount "{total}" of type "{type_}" is not equal to the value "{wanted}" '
                "determined by Node Allocatable feature"
            )


def _regenerate(blocks: Sequence[Block], amounts: Bytes) -> list[Hints]:
    """
    Hints from blocks that are held already (regenerateHints).

    Blocks that are not exactly the request mean *no preference*, where the CPU manager says impossible.
    """
    if len(blocks) != len(amounts):
        return []
    lists = []
    for block in blocks:
        if amounts.get(block.type) != block.size:
            return []
        lists.append(Hints((block.zones,), frozenset((block.zones,))))
    return lists


def _best(masks: Iterable[int], hints: Hints) -> int:
    """The narrowest of the preferred, else the narrowest (findBestHint)."""
    return min(masks, key=lambda mask: (mask not in hints.preferred, narrowest_first(mask)))


def _reusable(state: MemoryState, uid: str) -> Reusable:
    owner, table = state.reusable
    return table if owner == uid else {}


def _update_reusable(state: MemoryState, uid: str, container: ContainerRequest, blocks: Iterable[Block]) -> None:
    """Init containers leave the largest block per zones and type; others use it up (updatePodReusableMemory)."""
    table = dict(_reusable(state, uid))
    for block in blocks:
        key = (block.zones, block.type)
        have = table.get(key, 0)
        if container.kind is Kind.INIT:
            table[key] = max(have, block.size)
        elif have:
            table[key] = max(0, have - block.size)
    state.reusable = (uid, table)


def _shrink_init_containers(
    state: MemoryState, pod: PodRequest, container: ContainerRequest, blocks: Iterable[Block]
) -> None:
    """Takes over blocks of earlier init containers, so that the entries add up to what is booked."""
    before = takewhile(lambda one: one.name != container.name and one.kind is not Kind.APP, pod.containers)
    possible = [earlier for earlier in before if earlier.kind is not Kind.SIDECAR]
    for block in blocks:
        left = block.size
        for earlier in possible:
            if left == 0:
                break
            held = state.entries[pod.uid].get(earlier.name)
            if not held:
                continue
            shrunk = []
            for other in held:
                given = min(left, other.size) if (other.zones, other.type) == (block.zones, block.type) else 0
                left -= given
                shrunk.append(Block(other.zones, other.type, other.size - given))
            state.entries[pod.uid] = {**state.entries[pod.uid], earlier.name: tuple(shrunk)}


def _unrepresentable(pod: PodRequest) -> bool:
    return any(container.memory is None for container in pod.containers)


def _empty_pool(pod: PodRequest) -> tuple[Cause, str] | None:
    """Finds containers that would share a pod pool without memory (validatePodScopeResources)."""
    total = pod.memory or {}
    exclusive: dict[str, int] = {}
    shared = False
    for container in pod.containers:
        if container.kind is Kind.INIT:
            if not container.memory:
                for type_, amount in total.items():
                    if exclusive.get(type_, 0) >= amount:
                        return Cause.EMPTY_POOL_INIT, type_
        elif not container.memory:
            shared = True
        else:
            for type_, amount in container.memory.items():
                exclusive[type_] = exclusive.get(type_, 0) + amount
    if shared:
        for type_, amount in total.items():
            if exclusive.get(type_, 0) >= amount:
                return Cause.EMPTY_POOL_SUM, type_
    return None


def _partition(pod: PodRequest, total: Bytes) -> dict[str, dict[str, int]]:
    """Shares of the pod's memory by container; what a container names and the pod does not runs below zero."""
    shares: dict[str, dict[str, int]] = {}
    pool = dict(total)
    for container in pod.containers:
        amounts = container.memory
        if not amounts:
            if container.kind is Kind.INIT:
                shares[container.name] = {type_: size for type_, size in pool.items() if size > 0}
            continue
        shares[container.name] = {type_: size for type_, size in amounts.items() if size > 0}
        if container.kind is not Kind.INIT:
            for type_, size in shares[container.name].items():
                if container.kind is Kind.APP or type_ in pool:
                    pool[type_] = (pool.get(type_, 0) - size) & UINT64
    rest = {type_: size for type_, size in pool.items() if size > 0}
    return {container.name: shares.get(container.name, rest) for container in pod.containers}


def _refusal(cause: Cause, amounts: Bytes, container: str | None) -> Refusal:
    type_ = MEMORY if MEMORY in amounts or not amounts else next(iter(amounts))
    return Refusal(Reason.UNEXPECTED, cause, container=container, resource=type_, requested=amounts.get(type_, 0))
