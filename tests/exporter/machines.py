"""Strategies of hypothesis: machines as kernels show them."""

from __future__ import annotations

from hypothesis import strategies as st

from extender.model.machine import Core, HugePages, Machine, Zone


@st.composite
def machines(draw: st.DrawFn, most_zones: int = 4) -> Machine:
    """
    Any machine: sparse ids, memory-only zones, SMT on some cores, caches of part of a zone, CPUs numbered at random.

    In the order in which cAdvisor lists what it finds: by name, so zone 10 comes before zone 2.
    """
    ids = draw(st.lists(st.integers(0, 63), min_size=1, max_size=most_zones, unique=True))
    counts = [draw(st.lists(st.integers(1, 2), max_size=6)) for _ in ids]
    if not any(counts):
        counts[0] = [1]
    numbers = draw(st.permutations(range(sum(map(sum, counts)))))
    sizes = draw(st.lists(st.sampled_from([64, 2048, 32768, 1048576]), max_size=2, unique=True))
    distances = draw(st.booleans())
    zones, taken = [], 0
    for id_, threads in zip(ids, counts, strict=True):
        members = [
            sorted(numbers[taken + sum(threads[:core]) :][:count], key=str) for core, count in enumerate(threads)
        ]
        taken += sum(threads)
        zones.append(
            Zone(
                id=id_,
                memory=draw(st.integers(0, 2**40)) * 1024,
                cores=_cores(draw, members, ids.index(id_)),
                hugepages=tuple(HugePages(size, draw(st.integers(0, 4096))) for size in sorted(sizes, key=str)),
                distances=tuple(draw(st.integers(10, 254)) for _ in ids) if distances else (),
            )
        )
    ordered = sorted(zones, key=lambda zone: str(zone.id))
    sockets = {core.socket for zone in zones for core in zone.cores}
    return Machine(tuple(ordered), sum(map(sum, counts)), len(sockets))


def _cores(draw: st.DrawFn, members: list[list[int]], position: int) -> tuple[Core, ...]:
    """
    A zone's cores in order of their first thread; its last-level caches each hold half of them, or there are none.

    A cache that holds as many CPUs as a zone of such cores has counts as the zone's, so halves are made only where
    no such coincidence can happen: two cores or more, all with the same threads.
    """
    socket = position // draw(st.integers(1, 2))
    ordered = sorted(members, key=lambda threads: str(threads[0]))
    alike = len({len(threads) for threads in members}) == 1
    halves = len(ordered) > 1 and alike and draw(st.booleans())
    return tuple(
        Core(tuple(threads), socket, 2 * position + (core * 2 // len(ordered)) if halves else None)
        for core, threads in enumerate(ordered)
    )
