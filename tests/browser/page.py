"""
The page in Debian's Chromium: the server on the sample inventory or on thousands of nodes, and a browser to drive.

Where there is no Chromium, ``chromium()`` says so.
"""

from __future__ import annotations

import base64
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flask import Flask
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from werkzeug.serving import WSGIRequestHandler, make_server

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "what_if")]

from many_nodes import inventory  # noqa: E402 - the path is set above

from extender.app import create_app  # noqa: E402
from extender.feeds import ReportReader  # noqa: E402
from extender.files import objects_in  # noqa: E402
from extender.inventory.live import Inventory  # noqa: E402
from extender.metrics import Metrics  # noqa: E402
from extender.process import World  # noqa: E402
from extender.samples import sample  # noqa: E402
from extender.settings import Settings, WhatIf  # noqa: E402

PATIENCE_SECONDS = 30
LONG = Settings(what_if=WhatIf(seconds=60))
"""A test's machine may be busy; what is measured is measured, not given up."""


def programs() -> tuple[str, str] | None:
    """Chromium and its driver, if they are there."""
    found = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
    return (found[0], found[1]) if found[0] and found[1] else None


def samples() -> Flask:
    """The app on the sample inventory."""
    known, metrics = Inventory(), Metrics()
    ReportReader(known, metrics, live=False).replace(objects_in(sample("inventory")))
    return create_app(LONG, World(known, metrics))


def thousands(count: int) -> Flask:
    """The app on so many nodes."""
    return create_app(LONG, World(inventory(count)))


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serves an app on a free port and yields its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions["what-if"].close()


@contextmanager
def chromium() -> Iterator[Page]:
    """A browser without a window."""
    found = programs()
    assert found is not None
    options = Options()
    options.binary_location = found[0]
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(found[1]))
    try:
        yield Page(driver)
    finally:
        driver.quit()


class Silent(WSGIRequestHandler):
    """Logs nothing."""

    def log(self, *_: object) -> None:
        """Passes a line over."""


class Page:
    """The page, with the words that tests need."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def size(self, width: int, height: int) -> None:
        """Sets the size of what is seen."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 800}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, name: str) -> None:
        """Chooses ``dark`` or ``light``."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, url: str) -> float:
        """Opens the page and returns the seconds until it shows the nodes and the answer to what its link asks."""
        self.driver.get("about:blank")
        begun = time.monotonic()
        self.driver.get(url)
        self.until(lambda: self.js("return document.documentElement.dataset.ready"), "the page is ready")
        return time.monotonic() - begun

    def js(self, script: str, *arguments: Any) -> Any:
        """Runs a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """Waits until something holds, and returns it."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(StaleElementReferenceException):  # drawn anew while it was looked at
                value = holds()
                if value:
                    return value
            assert time.monotonic() < end, (
                f"it never came about that {what}; the page says:\n{self.text('body')[:2000]}"
            )
            time.sleep(0.05)

    def find(self, selector: str) -> WebElement:
        """The first element of a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """What the first element of a CSS selector says; empty where there is none."""
        return str(self.js("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def texts(self, selector: str) -> list[str]:
        """What all elements of a CSS selector say."""
        return list(self.js("return [...document.querySelectorAll(arguments[0])].map(one => one.innerText)", selector))

    def count(self, selector: str) -> int:
        """How many elements there are of a CSS selector."""
        return int(self.js("return document.querySelectorAll(arguments[0]).length", selector))

    def rows(self) -> list[str]:
        """Names of the nodes in sight, from the top."""
        script = "return [...document.querySelectorAll('.node')].sort((a, b) => a.dataset.place - b.dataset.place)"
        return list(self.js(f"{script}.map(row => row.querySelector('h3').innerText)"))

    def row(self, name: str) -> WebElement:
        """The row of a node in sight."""
        row: WebElement = self.js(
            "return [...document.querySelectorAll('.node')].find(row => row.querySelector('h3').innerText === arguments[0])",
            name,
        )
        return row

    def click(self, selector: str) -> None:
        """Clicks on the first element of a CSS selector, again if it is drawn anew at that moment."""
        self._click(lambda: self.find(selector), selector)

    def click_row(self, name: str) -> None:
        """Clicks on a node in sight."""
        self._click(lambda: self.row(name), name)

    def _click(self, find: Callable[[], WebElement], what: str) -> None:
        def click() -> bool:
            find().click()
            return True

        self.until(click, f"{what} can be clicked")

    def value(self, selector: str) -> str:
        """What is written in a field."""
        return str(self.js("return document.querySelector(arguments[0]).value", selector))

    def attribute(self, selector: str, name: str) -> str:
        """An attribute of the first element of a CSS selector."""
        return str(self.js("return document.querySelector(arguments[0]).getAttribute(arguments[1])", selector, name))

    def says(self, selector: str, part: str) -> None:
        """Waits until an element says something."""
        self.until(lambda: part in self.text(selector), f"{selector} says {part!r}")

    def shot(self, file: Path, quality: int = 60) -> None:
        """Takes a small picture."""
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": quality})
        file.write_bytes(base64.b64decode(taken["data"]))

    def complaints(self) -> list[str]:
        """What the browser complained about since the last time, answers that say what is wrong with a question aside."""
        logged = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [
            entry["message"] for entry in logged if " 422 " not in entry["message"] and " 429 " not in entry["message"]
        ]
