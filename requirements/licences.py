"""Prints the table of what the images hold, with versions and licences, from their SBOMs: ``licences.py FILE...``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

OURSELVES = "numa-extender"


def licence(component: dict[str, Any]) -> str:
    """A component's licences as it declares them; of texts the first line is enough."""
    told = []
    for one in component.get("licenses", []):
        inner = one.get("license", {})
        name = one.get("expression") or inner.get("id") or inner.get("name", "")
        if name and not name.startswith("declared license of"):
            told.append(name.splitlines()[0].removeprefix("License :: OSI Approved :: "))
    return ", ".join(dict.fromkeys(told)) or "see its package"


def main(files: list[str]) -> None:
    """Prints a row for each package, with the images that hold it."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for file in files:
        program = Path(file).name.partition(".")[0]
        for component in json.loads(Path(file).read_text())["components"]:
            if component["name"] != OURSELVES:
                key = component["name"].lower(), component["version"], licence(component)
                rows.setdefault(key, []).append(program)
    print("# What the images hold\n\nMade by `make sbom`, from the SBOMs.\n")
    print("| package | version | licence | in |\n|---|---|---|---|")
    for (name, version, text), programs in sorted(rows.items()):
        print(f"| {name} | {version} | {text} | {', '.join(programs)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
