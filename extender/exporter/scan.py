"""
The machine of a folder that stands for /sys, as JSON: ``python -m extender.exporter.scan DIR``.

For whoever imagines a node on hardware that somebody else has: the same reading as on a node, and nothing else of it.
The memory of a machine without NUMA directories is looked for in ``proc/meminfo`` beside the folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from extender.exporter.sysfs import read_hardware
from extender.wire.compact_machine import compact_machine_to_json


def main() -> None:
    """Prints the machine, or says in one sentence that there is none."""
    root = Path(sys.argv[1])
    hardware = read_hardware(root, root.parent / "proc" / "meminfo")
    if not hardware.machine.cpus:
        sys.exit(f"there are no CPUs in {root / 'devices/system'}")
    for warning in hardware.warnings:
        print(warning, file=sys.stderr)  # noqa: T201 - what this program is for
    print(json.dumps(compact_machine_to_json(hardware.machine)))  # noqa: T201


if __name__ == "__main__":
    main()
