"""
The picture of docs/score.md: ``python tests/score_picture.py`` makes docs/score.svg anew from the code of the score.

Above, one pod in five places, as zones before and after, with each strategy's score; below, the score of each strategy
by which part of a free zone a pod takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from extender.model.room import Room
from extender.score import BEST, Strategy, score

FILE = Path(__file__).parent.parent / "docs" / "score.svg"
CPUS, GIBIBYTES = 32, 128
"""Of an idle zone."""
GIB = 1 << 30


@dataclass(frozen=True)
class Place:
    """A node's zones that a pod would use, and what it takes of each: (CPUs, GiB)."""

    name: str
    free: tuple[tuple[int, int], ...]
    taken: tuple[tuple[int, int], ...]
    distance: int = 10

    def score(self, strategy: Strategy) -> int:
        """What the place is worth."""
        before = [_room(zone, *free) for zone, free in enumerate(self.free)]
        after = [
            _room(zone, cpus - taken, memory - bytes_)
            for zone, ((cpus, memory), (taken, bytes_)) in enumerate(zip(self.free, self.taken, strict=True))
        ]
        return score(before, after, lambda one, other: 10 if one == other else self.distance, strategy)


PLACES = (
    Place("a hole that it fills", ((8, 32),), ((8, 32),)),
    Place("a larger hole", ((16, 64),), ((8, 32),)),
    Place("an idle zone", ((32, 128),), ((8, 32),)),
    Place("few CPUs, much memory", ((8, 128),), ((8, 32),)),
    Place("two zones apart (21)", ((4, 16), (4, 16)), ((4, 16), (4, 16)), 21),
)
"""One pod of 8 CPU and 32Gi, on zones of 32 CPU and 128Gi."""


def _room(zone: int, cpus: int, gibibytes: int) -> Room:
    able = {"cpu": CPUS, "memory": GIBIBYTES * GIB}
    return Room(zone, able, {"cpu": cpus, "memory": gibibytes * GIB})


STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1b1f24 } .small { font-size: 11px } .strong { font-weight: 600 }
.end { text-anchor: end } .middle { text-anchor: middle }
.held { fill: #9aa4b0 } .take { fill: #1f6feb } .free { fill: none; stroke: #9aa4b0 } .cell { fill: #1f6feb }
@media (prefers-color-scheme: dark) { text { fill: #e6e9ee } .take, .cell { fill: #58a6ff } .held { fill: #6b7684 } }
"""
WIDTH, BAR, HEIGHT = 880, 26, 84
COLUMN, LEFT, TOP = 152, 120, 34
CELL, STEPS = 20, 8


def picture() -> str:
    """The picture as SVG."""
    body = "\n".join([*_places(), *_maps()])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 500" role="img">\n'
        f"<title>Scores of one pod in five places, and by what part of a free zone a pod takes</title>\n"
        f"<style>{STYLE}</style>\n{body}\n</svg>\n"
    )


def _places() -> Iterator[str]:
    yield _text(0, 16, "A pod of 8 CPU and 32Gi in five places: held before, taken by it, left", "strong")
    for number, place in enumerate(PLACES):
        x = LEFT + COLUMN * number
        for zone, (free, taken) in enumerate(zip(place.free, place.taken, strict=True)):
            for which, whole in enumerate((CPUS, GIBIBYTES)):
                at = x + zone * 2 * (BAR + 4) + which * (BAR + 2)
                yield from _bar(at, whole, free[which], taken[which])
                yield _text(at + BAR / 2, TOP + HEIGHT + 14, ("CPU", "mem")[which], "small middle")
        yield _text(x, TOP + HEIGHT + 34, place.name, "small")
        for row, strategy in enumerate(Strategy):
            yield _text(x + 8, TOP + HEIGHT + 58 + 20 * row, str(place.score(strategy)), "strong")
    for row, strategy in enumerate(Strategy):
        yield _text(0, TOP + HEIGHT + 58 + 20 * row, f"score, {strategy}")


def _bar(x: float, whole: int, free: int, taken: int) -> Iterator[str]:
    """What was held at the bottom, then what is taken, then what is left."""
    held, take = (HEIGHT * part / whole for part in (whole - free, taken))
    yield f'<rect class="free" x="{x:g}" y="{TOP:g}" width="{BAR}" height="{HEIGHT}"/>'
    yield f'<rect class="held" x="{x:g}" y="{TOP + HEIGHT - held:g}" width="{BAR}" height="{held:g}"/>'
    yield f'<rect class="take" x="{x:g}" y="{TOP + HEIGHT - held - take:g}" width="{BAR}" height="{take:g}"/>'


def _maps() -> Iterator[str]:
    top = 254
    yield _text(0, top, "The score by which part of an idle zone's CPUs and memory a pod takes", "strong")
    for number, strategy in enumerate(Strategy):
        x, y = LEFT + 256 * number, top + 34
        yield _text(x, y - 10, f"{strategy}")
        for row in range(STEPS):
            for column in range(STEPS):
                cpus, memory = (column + 1) * CPUS // STEPS, (STEPS - row) * GIBIBYTES // STEPS
                value = Place("", ((CPUS, GIBIBYTES),), ((cpus, memory),)).score(strategy)
                at = x + column * CELL, y + row * CELL
                yield (
                    f'<rect class="cell" x="{at[0]}" y="{at[1]}" width="{CELL}" height="{CELL}" '
                    f'fill-opacity="{0.8 * value / BEST:g}"/>'
                )
                yield _text(at[0] + CELL / 2, at[1] + CELL - 5, str(value), "small middle")
        yield _text(x + STEPS * CELL, y + STEPS * CELL + 16, "CPUs taken: all", "small end")
        yield _text(x - 6, y + STEPS * CELL - 5, "an eighth", "small end")
        yield _text(x - 6, y + 11, "memory: all", "small end")


def _text(x: float, y: float, words: str, style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:g}" y="{y:g}"{kind}>{escape(words)}</text>'


if __name__ == "__main__":
    FILE.write_text(picture(), encoding="utf-8")
