"""
Answers as tables for a terminal: the figures of the JSON, the same sentences.

``wide`` adds what helps an operator: how well a node is known, the score, what each zone has left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from extender.wire.explanation import amounts

Json = dict[str, Any]

FITS, REFUSED, UNKNOWN = Text("yes", "bold green"), Text("no", "bold red"), Text("?", "bold yellow")
MOST_ROWS = 60
"""Rows of a table; the rest is counted, ``-o wide`` shows all."""


def show(console: Console, answer: Json, *, wide: bool) -> None:
    """Prints the answer to a question."""
    for pod in answer.get("pods", ()):
        _about(console, pod, wide=wide)
    if "together" in answer:
        _together(console, answer["together"], answer["placed"], wide=wide)
    for title, kind in (
        ("Running pods that would not be admitted again", "lost"),
        ("Pods of drained nodes", "displaced"),
    ):
        if answer.get(kind):
            console.print(f"\n{title}:", style="bold")
            console.print(_pods(answer[kind]))


def _about(console: Console, pod: Json, *, wide: bool) -> None:
    console.print(f"\n{pod['kind']} {pod['namespace']}/{pod['name']}", style="bold", end="")
    console.print(f"  {amounts(pod['amounts'])}, {pod['qosClass']}", style="dim")
    if "total" in pod:
        console.print(_capacity(pod, wide=wide))
        _total(console, pod)
        return
    console.print(_verdicts(pod, wide=wide))
    counted = pod["summary"]
    line = f"fits on {counted['admitted']} of {len(pod['nodes'])} nodes"
    if "gains" in pod:
        line += f"; gained: {_names(pod['gains'])}; lost: {_names(pod['loses'])}"
    console.print(line)
    if pod["suggestions"]:
        console.print("\nThe smallest changes that work, each of them tried:", style="bold")
        for one in pod["suggestions"]:
            console.print(f"  {one['sentence']}", Text(f"(on {one['node']})", "dim"))


def _total(console: Console, pod: Json) -> None:
    total = f"{pod['total']} fit in total" if pod["limited"] else f"at least {pod['total']} fit in total"
    console.print(f"{total}; {pod['totalBefore']} today" if "totalBefore" in pod else total)


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5]) or "none"
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def _verdicts(pod: Json, *, wide: bool) -> Table:
    before = {one["node"]: one for one in pod.get("before", ())}
    table = _table(
        "NODE", *(("TODAY", "THEN") if "before" in pod else ("FITS",)), *(("SCORE", "KNOWN") if wide else ()), ""
    )
    for one in _cut(table, pod["nodes"], wide=wide):
        cells: list[RenderableType] = [one["node"]]
        if "before" in pod:
            cells.append(_fits(before.get(one["node"])))
        cells.append(_fits(one))
        if wide:
            cells += [str(one["score"]) if one["fits"] else "", one["knowledge"]]
        table.add_row(*cells, one["sentence"])
    return table


def _fits(finding: Json | None) -> Text:
    if finding is None:
        return Text("-")
    return UNKNOWN if finding.get("outcome") == "unknown" else FITS if finding["fits"] else REFUSED


def _capacity(pod: Json, *, wide: bool) -> Table:
    before = {one["node"]: one for one in pod.get("before", ())}
    table = _table(
        "NODE",
        *(("TODAY",) if "before" in pod else ()),
        "FIT",
        *(("KNOWN", "LEFT IN THE ZONES") if wide else ()),
        "THEN",
    )
    for one in _cut(table, pod["nodes"], wide=wide):
        cells = [one["node"]]
        if "before" in pod:
            cells.append(_number(before[one["node"]]) if one["node"] in before else "-")
        cells.append(_number(one))
        if wide:
            cells += [one["knowledge"], _left(one["left"])]
        table.add_row(*cells, one["sentence"])
    return table


def _number(one: Json) -> str:
    return str(one["fits"]) if one["limited"] else f"≥{one['fits']}"


def _left(rooms: Iterable[Json]) -> str:
    return "; ".join(f"{room['zone']}: {amounts(room['free'])}" for room in rooms)


def _together(console: Console, places: Sequence[Json], placed: int, *, wide: bool) -> None:
    table = _table("POD", "NODE", *(("SCORE",) if wide else ()), "")
    for place in _cut(table, places, wide=wide):
        name = f"{place['namespace']}/{place['name']}"
        if place["fits"]:
            cells = [name, place["node"], *([str(place["score"])] if wide else []), place["sentence"]]
        else:
            cells = [name, "none", *([""] if wide else []), _reasons(place["reasons"])]
        table.add_row(*cells)
    console.print(table)
    console.print(f"{placed} of {len(places)} pods have a place, one after the other")


def _reasons(reasons: Sequence[Json]) -> str:
    return "\n".join(f"{one['nodes']} nodes: {one['sentence']}" for one in reasons)


def _pods(pods: Iterable[Json]) -> Table:
    table = _table("POD", "NODE", "")
    for one in pods:
        said = one["sentence"] if "sentence" in one else _reasons(one.get("reasons", ()))
        table.add_row(f"{one['namespace']}/{one['name']}", one.get("node", "none"), said)
    return table


def nodes(console: Console, listed: Sequence[Json], *, wide: bool) -> None:
    """Prints nodes and what their zones have left."""
    table = _table(
        "NODE",
        "POLICY",
        "SCOPE",
        *(("VERSION", "CPUS", "MEMORY", "PODS") if wide else ()),
        "KNOWN",
        "FREE FOR EXCLUSIVE USE",
    )
    for one in listed:
        if "fault" in one:
            table.add_row(one["name"], *[""] * (6 if wide else 2), one["knowledge"], one["fault"])
            continue
        more = [one["version"], one["cpuPolicy"], one["memoryPolicy"], str(one["pods"])] if wide else []
        table.add_row(one["name"], one["policy"], one["scope"], *more, one["knowledge"], _left(one["zones"]))
    console.print(table)


def maps(console: Console, node: Json) -> None:
    """Prints one node: its zones, and who holds what."""
    nodes(console, [node], wide=True)
    if not node.get("holders"):
        return
    table = _table("POD", "CPUS", "MEMORY", "DEVICES")
    for pod in node["holders"]:
        containers = pod["containers"]
        cpus = pod.get("cpus") or " + ".join(one["cpus"] for one in containers if "cpus" in one)
        blocks = pod.get("memory") or [block for one in containers for block in one.get("memory", ())]
        devices = [id_ for one in containers for ids in one.get("devices", {}).values() for id_ in ids]
        table.add_row(f"{pod['namespace']}/{pod['name']}", cpus, _blocks(blocks), ", ".join(devices))
    console.print(table)


def _blocks(blocks: Iterable[Json]) -> str:
    return "; ".join(
        f"{amounts({block['type']: block['size']})} of zone {','.join(map(str, block['numa']))}" for block in blocks
    )


def replayed(console: Console, answers: Iterable[Json]) -> None:
    """Prints the verdicts of replayed cases."""
    table = _table("CASE", "ADMISSION", "FITS", "")
    for answer in answers:
        if "error" in answer:
            table.add_row(answer["id"], "", UNKNOWN, answer["error"])
        for number, verdict in enumerate(answer.get("verdicts", ()), start=1):
            said = verdict.get("message") or "; ".join(
                f"{name}: {cpus}" for name, cpus in verdict.get("cpus", {}).items()
            )
            table.add_row(answer["id"], str(number), FITS if verdict["admit"] else REFUSED, said)
    console.print(table)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(
            heading,
            overflow="fold",
            no_wrap=heading in {"FITS", "FIT", "TODAY", "THEN", "SCORE"} and heading != headings[-1],
        )
    return table


def _cut(table: Table, rows: Sequence[Json], *, wide: bool) -> Sequence[Json]:
    """The first rows, and under the table how many more there are."""
    if wide or len(rows) <= MOST_ROWS:
        return rows
    table.caption = f"and {len(rows) - MOST_ROWS} more; -o wide shows all"
    return rows[:MOST_ROWS]
