"""
Writes an imagined machine as the sysfs tree that Linux would show on it, in the kernel's own formats.

`test_lab.py` lets cAdvisor read such trees: it finds the machine that was written.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab.machines import Machine

KIB = 1024


def write_sysfs(machine: Machine, root: Path) -> Path:
    """Writes the tree below `root`, which stands for /sys and is returned."""
    zones = sorted(machine["topology"], key=lambda zone: int(zone["node_id"]))
    _write_nodes(zones, root / "devices/system/node")
    _write_cpus(zones, root / "devices/system/cpu")
    for zone in zones:
        folder = root / f"devices/system/node/node{zone['node_id']}"
        for cpu in _threads(zone):
            (folder / f"cpu{cpu}").symlink_to(f"../../cpu/cpu{cpu}")
    return root


def cpu_list(ids: Iterable[int]) -> str:
    """The kernel's list format: `0-3,8`."""
    runs: list[list[int]] = []
    for number in sorted(ids):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def cpu_map(ids: Iterable[int], count: int) -> str:
    """
    The kernel's mask format for `count` CPUs: words of 32 bits in hexadecimal, the highest first,
    `00000001,0000ffff`.
    """
    mask = sum(1 << number for number in ids)
    words = [(mask >> (32 * place)) & 0xFFFFFFFF for place in range((count + 31) // 32)]
    return ",".join(f"{word:08x}" for word in reversed(words))


def _write_nodes(zones: list[dict[str, Any]], folder: Path) -> None:
    ids = [zone["node_id"] for zone in zones]
    with_cpus = [zone["node_id"] for zone in zones if zone["cores"]]
    count = _count(zones)
    _write(folder, online=cpu_list(ids), possible=cpu_list(ids), has_cpu=cpu_list(with_cpus))
    _write(folder, has_memory=cpu_list(ids), has_normal_memory=cpu_list(ids))
    for zone in zones:
        node, kib = folder / f"node{zone['node_id']}", zone["memory"] // KIB
        pages = sum(pool["num_pages"] * pool["page_size"] for pool in zone["hugepages"])
        _write(
            node,
            cpulist=cpu_list(_threads(zone)),
            cpumap=cpu_map(_threads(zone), count),
            distance=" ".join(str(distance) for distance in zone["distances"]),
            meminfo="\n".join(
                f"Node {zone['node_id']} {name + ':':<15}{value:>9} kB"
                for name, value in {"MemTotal": kib, "MemFree": kib - pages, "MemUsed": pages}.items()
            ),
        )
        for pool in zone["hugepages"]:
            number = str(pool["num_pages"])
            pool_folder = node / "hugepages" / f"hugepages-{pool['page_size']}kB"
            _write(pool_folder, nr_hugepages=number, free_hugepages=number, surplus_hugepages="0")


def _write_cpus(zones: list[dict[str, Any]], folder: Path) -> None:
    everyone, count = cpu_list(cpu for zone in zones for cpu in _threads(zone)), _count(zones)
    _write(folder, online=everyone, possible=everyone, present=everyone, offline="")
    for zone in zones:
        for core in zone["cores"]:
            siblings = core["thread_ids"]
            for cpu in siblings:
                place = folder / f"cpu{cpu}"
                # Linux on x86 has no such file for the CPU that it booted on.
                _write(place, **({"online": "1"} if cpu else {}))
                _write(
                    place / "topology",
                    core_id=str(core["core_id"]),
                    physical_package_id=str(core["socket_id"]),
                    die_id="0",
                    thread_siblings_list=cpu_list(siblings),
                    core_cpus_list=cpu_list(siblings),
                    thread_siblings=cpu_map(siblings, count),
                    core_cpus=cpu_map(siblings, count),
                )
                _write_cache(zone, core, count, place / "cache/index3")


def _write_cache(zone: dict[str, Any], core: dict[str, Any], count: int, folder: Path) -> None:
    for cache in core["uncore_caches"] or zone.get("caches", []):
        sharers = [other for other in zone["cores"] if other["uncore_caches"] == core["uncore_caches"]]
        cpus = [cpu for sharer in sharers for cpu in sharer["thread_ids"]]
        _write(
            folder,
            id=str(cache["id"]),
            level=str(cache["level"]),
            type=cache["type"],
            size=f"{cache['size'] // KIB}K",
            shared_cpu_list=cpu_list(cpus),
            shared_cpu_map=cpu_map(cpus, count),
        )


def _threads(zone: dict[str, Any]) -> list[int]:
    return [cpu for core in zone["cores"] for cpu in core["thread_ids"]]


def _count(zones: list[dict[str, Any]]) -> int:
    return max(cpu for zone in zones for cpu in _threads(zone)) + 1


def _write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")
