"""Makes the pictures of the README: ``python tests/browser/screenshots.py``."""

from __future__ import annotations

from pathlib import Path

from page import Page, chromium, samples, served
from selenium.webdriver.common.keys import Keys

FOLDER = Path(__file__).parents[2] / "docs" / "page"


def main() -> None:
    """Takes each picture of the sample inventory."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with served(samples()) as url, chromium() as page:
        the_map(page, url)
        compare(page, url)
        small(page, url)


def the_map(page: Page, url: str) -> None:
    """The example pod on all nodes, and why one refuses it."""
    page.size(1400, 880)
    page.scheme("light")
    page.open(url)
    page.find("#example").click()
    page.says("#answer", "Fits on 9 of 10 nodes")
    page.find("#nodes").send_keys(Keys.END)
    page.says("#ways", "ask for less")
    page.until(lambda: page.count(".node .cell.take") > 40, "the map is drawn")
    page.js("document.activeElement.blur()")
    page.shot(FOLDER / "map.webp")


def compare(page: Page, url: str) -> None:
    """The same node today and with another policy, in the dark."""
    page.size(1400, 760)
    page.scheme("dark")
    page.open(url)
    page.find("#example").click()
    page.says("#answer", "Fits on 9 of 10 nodes")
    page.js(
        "const it = document.getElementById('policy'); it.value = 'best-effort'; it.dispatchEvent(new Event('change'))"
    )
    page.says("#answer", "1 node gained")
    page.until(lambda: page.row("nearly-full"), "the node is in sight")
    page.click_row("nearly-full")
    page.until(lambda: page.count("#detail figure .cell") >= 64, "both maps are drawn")
    page.until(lambda: page.count(".node .cell.take") > 40, "the list is drawn")
    page.shot(FOLDER / "compare.webp")


def small(page: Page, url: str) -> None:
    """On a telephone."""
    page.size(390, 780)
    page.scheme("light")
    page.open(url)
    page.find("#example").click()
    page.says("#answer", "Fits on 9 of 10 nodes")
    page.js("document.getElementById('show').scrollIntoView()")
    page.until(lambda: page.count(".node .cell.take") > 40, "the list is drawn")
    page.shot(FOLDER / "small.webp")


if __name__ == "__main__":
    main()
