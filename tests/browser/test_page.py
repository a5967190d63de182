"""The page in a real Chromium: paste, drop, sliders, compare, deep link, keyboard, small screens, 5,000 nodes."""

from __future__ import annotations

import itertools
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from page import Page, chromium, programs, samples, served, thousands
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from extender.samples import sample

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        programs() is None, reason="there is no Chromium with its driver (Debian: chromium, chromium-driver)"
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # selenium leaves sockets to the collector
]

DATABASE = sample("pods/database.yaml").read_text(encoding="utf-8")
TOO_BIG = sample("pods/too-big.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(samples()) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with chromium() as page:
        yield page


@pytest.fixture
def page(browser: Page, url: str) -> Iterator[Page]:
    browser.size(1360, 900)
    browser.scheme("light")
    browser.open(url)
    yield browser
    assert [] == browser.complaints()


def paste(page: Page, text: str) -> None:
    """Copies a text and pastes it with the keyboard, as a person does."""
    permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": page.driver.current_url}
    page.driver.execute_cdp_cmd("Browser.grantPermissions", permissions)
    page.find("#manifest").click()
    page.driver.execute_async_script("navigator.clipboard.writeText(arguments[0]).then(arguments[1])", text)
    ActionChains(page.driver).key_down(Keys.CONTROL).send_keys("v").key_up(Keys.CONTROL).perform()


def choose(page: Page, select: str, value: str) -> None:
    page.js(
        "const it = document.getElementById(arguments[0]); it.value = arguments[1]; it.dispatchEvent(new Event('change', {bubbles: true}))",
        select,
        value,
    )


def test_it_shows_every_node_with_zones_cores_and_holders(page: Page) -> None:
    """Without a question the page is a map: cores with siblings, what is held and reserved, memory."""
    assert "10 nodes" == page.text("#count")
    page.until(lambda: page.count(".node .core") > 100, "cores are drawn")
    row = page.row("nearly-full")

    assert 32 == len(row.find_elements("css selector", ".cell"))
    assert 21 == len(row.find_elements("css selector", ".cell.held"))
    assert 2 == len(row.find_elements("css selector", ".cell.reserved"))
    assert 2 == len(row.find_elements("css selector", ".bar"))
    assert 2 == len(row.find_elements("css selector", ".core")[0].find_elements("css selector", ".cell"))


def test_a_pasted_pod_is_judged_on_every_node(page: Page) -> None:
    """Ctrl-V, and each node says whether it fits, what it would take, and if not, what is missing."""
    paste(page, DATABASE)
    page.says("#answer", "Fits on 9 of 10 nodes")
    page.until(lambda: page.count(".cell.take") > 20, "the map shows what the pod would take")

    assert "nearly-full" == page.rows()[-1]
    assert "✕ does not fit" in page.row("nearly-full").text
    said = page.row("nearly-full").find_element("css selector", ".said")
    assert "zone 0 has 3 CPU free, zone 1 has 6" in str(said.get_attribute("title"))
    assert 8 == len(page.row("two-zones").find_elements("css selector", ".cell.take"))
    assert 2 == len(page.row("two-zones").find_elements("css selector", ".cell.take.pool"))


def test_a_dropped_file_is_asked_about(page: Page) -> None:
    """A manifest can be dropped anywhere on the page."""
    page.js(
        """const transfer = new DataTransfer();
        transfer.items.add(new File([arguments[0]], 'pod.yaml'));
        document.body.dispatchEvent(new DragEvent('dragover', {dataTransfer: transfer, bubbles: true, cancelable: true}));
        document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true}));""",
        TOO_BIG,
    )
    page.says("#answer", "Fits on 3 of 10 nodes")

    assert "name: too-big" in page.value("#manifest")


def test_the_sliders_change_the_budget_and_the_verdict(page: Page) -> None:
    """Fewer CPUs, and a node that refused says that it fits; more replicas, and the answer tells how many have a place."""
    paste(page, DATABASE)
    page.says("#answer", "Fits on 9 of 10 nodes")
    slider = page.find("#cpu")
    assert "8" == page.value("#cpu")
    slider.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    page.until(lambda: "✓ fits" in page.row("nearly-full").text, "6 CPUs fit where 8 did not")
    assert "6" == page.text("#cpu-shown")
    assert "✕ does not fit" in page.row("sparse-ids").text  # whole cores of four threads only

    page.find("#memory").send_keys(Keys.END)
    page.until(lambda: "✕" in page.row("nearly-full").text, "so much memory does not fit")
    assert "changed" in page.attribute("#memory-shown", "class")
    page.find("#memory").send_keys(Keys.HOME)
    page.find("#replicas").send_keys(*[Keys.ARROW_RIGHT] * 39)
    page.says("#answer", "of 40 copies have a place, one after the other")
    page.until(
        lambda: any("takes" in row for row in page.texts(".node .verdict")), "rows tell how many copies they take"
    )


def test_todays_answer_and_the_changed_one_are_compared(page: Page) -> None:
    """Another policy: which nodes are gained, and both maps of a node side by side."""
    paste(page, DATABASE)
    page.says("#answer", "Fits on 9 of 10 nodes")
    choose(page, "policy", "best-effort")
    page.says("#answer", "1 node gained, 0 lost")
    page.find('input[value="gains"]').click()
    page.until(lambda: page.rows() == ["nearly-full"], "only the gained node is shown")
    page.click_row("nearly-full")
    page.says("#detail", "After the change")
    page.until(lambda: page.count("#detail .sides figure:first-child .zone") == 2, "today's map is there")

    assert 0 == page.count("#detail .sides figure:first-child .cell.take")
    page.until(
        lambda: page.count("#detail .sides figure:last-child .cell.take") == 8, "the other shows what would be taken"
    )


def test_running_pods_that_a_change_would_lose_are_named(page: Page) -> None:
    """A node drained in the mind: its pods are told to find a place, or not."""
    page.click_row("nearly-full")
    page.says("#detail", "Who holds what")
    page.click("#detail > p button")
    page.says("#answer", "All 2 pods of the drained nodes find another one")
    assert "nearly-full is drained" in page.text("#changes")

    page.click("#changes button")
    page.until(lambda: not page.text("#changes"), "the change is taken back")


def test_a_pod_taken_away_makes_room(page: Page) -> None:
    """A holder can be wished away in the node's table."""
    paste(page, DATABASE)
    page.says("#answer", "Fits on 9 of 10 nodes")
    page.js("document.getElementById('nodes').scrollTop = 1e6")
    page.until(lambda: page.row("nearly-full"), "the node is in sight")
    page.click_row("nearly-full")
    page.says("#detail", "What would make it fit here")
    assert "remove default/right" in page.text("#ways")
    page.click('#detail button[aria-label="What if default/right were gone?"]')
    page.says("#answer", "Fits on 10 of 10 nodes")


def test_the_smallest_change_is_told_where_nothing_fits(page: Page) -> None:
    """A pod that fits nowhere is answered with what would help."""
    paste(page, TOO_BIG.replace('"20"', '"60"'))
    page.says("#answer", "Fits on none of 10 nodes")
    page.says("#answer", "The smallest change that works")
    page.says("#answer", "ask for less: cpu of server 60 →")


def paste_over(page: Page, text: str) -> None:
    page.find("#manifest").send_keys(Keys.CONTROL, "a")
    page.find("#manifest").send_keys(Keys.DELETE)
    paste(page, text)


def test_the_link_holds_the_question(page: Page) -> None:
    """The address opens the same question, filters and node elsewhere."""
    paste(page, DATABASE)
    page.says("#answer", "Fits on 9 of 10 nodes")
    choose(page, "scope", "container")
    page.find("#search").send_keys("two")
    page.says("#count", "3 of 10 nodes")
    page.click_row("two-zones")
    page.says("#detail", "two-zones")
    link = settled_link(page)
    answer, rows = page.text("#answer"), page.rows()
    page.open(link)

    page.says("#answer", answer.splitlines()[0])
    assert (DATABASE.strip(), "container", "two") == (
        page.value("#manifest").strip(),
        page.value("#scope"),
        page.value("#search"),
    )
    assert rows == page.rows()
    page.says("#detail", "two-zones")


def settled_link(page: Page) -> str:
    """The address once it has not changed for half a second."""
    seen = [page.driver.current_url]

    def still() -> bool:
        time.sleep(0.5)
        seen.append(page.driver.current_url)
        return "#q=" in seen[-1] and seen[-1] == seen[-2]

    page.until(still, "the address holds the question")
    return seen[-1]


def test_a_damaged_link_is_an_empty_question(page: Page, url: str) -> None:
    """A link that was cut off on its way opens the map."""
    page.open(f"{url}#q=abcdef")

    assert "10 nodes" == page.text("#count")


def test_everything_is_done_from_the_keyboard(page: Page) -> None:
    """/ finds, n goes to the nodes, arrows choose, Escape closes, p asks; focus is always seen."""
    keys = ActionChains(page.driver)
    keys.send_keys("/").perform()
    assert "search" == page.js("return document.activeElement.id")
    page.find("#search").send_keys("zones")
    page.says("#count", "4 of 10 nodes")
    page.find("#search").send_keys(Keys.ESCAPE)
    ActionChains(page.driver).send_keys("n").perform()
    assert "nodes" == page.js("return document.activeElement.id")
    ActionChains(page.driver).send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN).perform()
    page.says("#detail", page.rows()[1])
    assert page.js("return document.getElementById('nodes').getAttribute('aria-activedescendant')") == "row-1"
    ActionChains(page.driver).send_keys(Keys.END).perform()
    page.says("#detail", page.rows()[-1])
    ActionChains(page.driver).send_keys(Keys.ESCAPE).perform()
    page.until(lambda: not page.find("#detail").is_displayed(), "the node is closed")
    assert "nodes" == page.js("return document.activeElement.id")
    ActionChains(page.driver).send_keys("p").perform()
    assert "manifest" == page.js("return document.activeElement.id")
    assert "none" != page.js("return getComputedStyle(document.activeElement).outlineStyle")


def test_everything_that_takes_focus_has_a_name(page: Page) -> None:
    """A screen reader can say what each control is."""
    page.click_row("nearly-full")
    page.says("#detail", "Who holds what")
    page.driver.execute_cdp_cmd("Accessibility.enable", {})
    tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    nameless = [
        node["role"]["value"]
        for node in tree
        if not node["ignored"]
        and any(one["name"] == "focusable" and one["value"]["value"] for one in node.get("properties", ()))
        and not node.get("name", {}).get("value")
        and node["role"]["value"] not in {"RootWebArea", "generic"}
    ]

    assert [] == nameless


def test_a_wrong_manifest_is_said_to_be_wrong(page: Page) -> None:
    """The sentence names field and value; the map stays; the next question is answered."""
    paste(page, DATABASE.replace('cpu: "6"', 'cpu: "six"'))
    page.says("#wrong", "Pod database.spec.containers[0].resources.requests.cpu: 'six' is not a Kubernetes quantity")
    assert "10 nodes" == page.text("#count")
    paste_over(page, DATABASE)
    page.says("#answer", "Fits on 9 of 10 nodes")

    assert not page.text("#wrong")


def test_several_pods_of_one_text_can_be_looked_at(page: Page) -> None:
    """A text with two pods offers both."""
    paste(page, f"{DATABASE}\n---\n{TOO_BIG}")
    page.says("#answer", "Fits on 9 of 10 nodes")
    page.js(
        "const it = document.querySelector('#answer select'); it.value = '1'; it.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    page.says("#answer", "Fits on 3 of 10 nodes")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(page: Page, scheme: str) -> None:
    """Text has a contrast of at least 4.5 to its ground (WCAG AA)."""
    page.scheme(scheme)
    ink, ground = (
        colors(page, ["--ink", "--muted", "--accent", "--good", "--bad"]),
        colors(page, ["--bg", "--card", "--soft"]),
    )
    for text, behind in itertools.product(ink.items(), ground.items()):
        assert contrast(text[1], behind[1]) >= 4.5, (scheme, text[0], behind[0], contrast(text[1], behind[1]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("eye", ["any", "protanopia", "deuteranopia", "tritanopia", "achromatopsia"])
def test_cells_are_told_apart_by_any_eye(page: Page, scheme: str, eye: str) -> None:
    """Free, held and taken CPUs look different to eyes that do not see red, green, blue, or any colour."""
    page.scheme(scheme)
    seen = {name: lab(simulated(color, eye)) for name, color in colors(page, ["--free", "--held", "--take"]).items()}
    for one, other in itertools.combinations(seen, 2):
        difference = math.dist(seen[one], seen[other])
        assert difference >= 12, (scheme, eye, one, other, difference)


def test_schemes_differ(page: Page) -> None:
    """Dark is dark and light is light."""
    light = luminance(colors(page, ["--bg"])["--bg"])
    page.scheme("dark")

    assert luminance(colors(page, ["--bg"])["--bg"]) < 0.05
    assert light > 0.8


@pytest.mark.parametrize("width", [360, 768, 1024])
def test_it_fits_small_screens(page: Page, width: int) -> None:
    """Nothing is wider than the screen, and a node's details can be read and closed."""
    page.size(width, 740)
    paste(page, DATABASE)
    page.says("#answer", "Fits on 9 of 10 nodes")
    assert page.js("return document.documentElement.scrollWidth") <= width
    page.js("document.querySelector('.node').scrollIntoView()")
    page.click(".node")
    page.says("#detail", "Who holds what")
    assert page.js("return document.documentElement.scrollWidth") <= width
    page.click("#detail header button")
    page.until(lambda: not page.find("#detail").is_displayed(), "the node is closed")


def test_nothing_comes_from_elsewhere(page: Page, url: str) -> None:
    """Every file is the extender's own: no network is needed, and there is little of it."""
    loaded = page.js("return performance.getEntriesByType('resource').map(one => [one.name, one.decodedBodySize])")
    scripts = sum(size for name, size in loaded if name.endswith(".js"))

    assert all(name.startswith(url) for name, _ in loaded)
    assert 0 < scripts < 40_000


def test_five_thousand_nodes(browser: Page) -> None:
    """5,000 nodes are there in two seconds, are found and scrolled at once, and only those in sight are drawn."""
    app = thousands(5000)
    with served(app) as url:
        app.extensions["what-if"].warm_up()  # as the server does when it starts
        browser.size(1360, 900)
        cold = browser.open(url)
        warm = min(browser.open(url) for _ in range(3))
        print(f"5,000 nodes: {cold:.2f} s at first, {warm:.2f} s afterwards")
        assert "5,000 nodes" == browser.text("#count")
        assert browser.count(".node") < 40
        assert warm < 2

        begun = browser.js("return performance.now()")
        browser.find("#search").send_keys("gpu-a 49")
        browser.until(
            lambda: all(re.match(r"gpu-a.*49", name) for name in browser.rows()), "only what was sought is shown"
        )
        assert 0 < len(browser.rows()) < 20
        assert browser.js("return performance.now()") - begun < 2000

        browser.find("#search").send_keys(Keys.CONTROL, "a")
        browser.find("#search").send_keys(Keys.DELETE)
        browser.js("document.getElementById('nodes').scrollTop = 1e9")
        last = browser.until(lambda: len(browser.rows()) > 5 and browser.rows()[-1], "the end is in sight")
        browser.js("document.getElementById('nodes').scrollTop = 0")
        paste(browser, DATABASE)
        browser.says("#answer", "of 5,000 nodes")
        browser.until(lambda: browser.count(".node .cell.take") > 20, "the best are on top, with what would be taken")
        scores = [int(text.split("score ")[1]) for text in browser.texts(".node .verdict") if "score" in text]
        assert sorted(scores, reverse=True) == scores
        assert last


# Colours


def colors(page: Page, names: list[str]) -> dict[str, tuple[float, float, float]]:
    """Values of colour variables, from 0 to 1."""
    script = """return arguments[0].map(name => { const it = document.createElement('i'); it.style.color = `var(${name})`;
        document.body.append(it); const shown = getComputedStyle(it).color; it.remove(); return shown })"""
    shown = page.js(script, names)
    numbers = [[int(part) / 255 for part in re.findall(r"\d+", text)[:3]] for text in shown]
    return {name: (red, green, blue) for name, (red, green, blue) in zip(names, numbers, strict=True)}


def linear(color: tuple[float, float, float]) -> list[float]:
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color]


def luminance(color: tuple[float, float, float]) -> float:
    red, green, blue = linear(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


# Machado, Oliveira and Fernandes 2009, severity 1; the last one is luminance alone.
EYES = {
    "any": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
    "achromatopsia": ((0.2126, 0.7152, 0.0722),) * 3,
}


def simulated(color: tuple[float, float, float], eye: str) -> list[float]:
    """A colour in linear light as an eye sees it."""
    seen = linear(color)
    return [min(1, max(0, sum(weight * part for weight, part in zip(row, seen, strict=True)))) for row in EYES[eye]]


def lab(seen: list[float]) -> tuple[float, float, float]:
    """CIE L*a*b* of linear light, D65; a distance of about 2 is just noticeable."""
    red, green, blue = seen
    xyz = (
        (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505,
        0.2126 * red + 0.7152 * green + 0.0722 * blue,
        (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089,
    )
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def test_the_pictures_of_the_readme_are_there() -> None:
    """The README's pictures exist and are small; ``python tests/browser/screenshots.py`` makes them anew."""
    folder = Path(__file__).parents[2] / "docs" / "page"
    pictures = sorted(folder.glob("*.webp"))

    assert ["compare.webp", "map.webp", "small.webp"] == [picture.name for picture in pictures]
    assert all(picture.stat().st_size < 120_000 for picture in pictures)
