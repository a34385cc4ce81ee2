"""A headless browser: Debian's Chromium, driven by its own driver, and axe-core in its pages."""

import json
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.journeys.conftest import ROOT

DESK, PHONE = (1280, 900), (390, 844)
_AXE = ROOT / ".cache" / "axe-core" / "axe.min.js"
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--disable-dev-shm-usage",
)
_SEEN = """
const seen = [...document.querySelectorAll(arguments[0])].filter((each) => each.checkVisibility());
"""
_SERIOUS = """
axe.run().then((found) => JSON.stringify(found.violations
  .filter((each) => ["serious", "critical"].includes(each.impact))
  .map((each) => [each.id, ...each.nodes.map((node) => node.html.slice(0, 200))])))
"""
_WAIT_S = 30  # a machine may be busy


class Browser:
    """One window. It is kept; a page is opened in it anew for each size and each set of colours."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver  # selenium's; its types are partial

    def open(self, address: str, size: tuple[int, int] = DESK, *, dark: bool = False) -> None:
        """Open an address, at a size, in light or dark colours."""
        width, height = size
        screen = {"width": width, "height": height, "deviceScaleFactor": 1}
        self._command("Emulation.setDeviceMetricsOverride", screen | {"mobile": width < 500})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._command("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(address)

    def _command(self, name: str, words: dict[str, Any]) -> dict[str, Any]:
        return self.driver.execute_cdp_cmd(name, words)

    def all(self, selector: str) -> list[WebElement]:
        """Every element like this that is to be seen."""
        return self.run(f"{_SEEN} return seen;", selector)

    def texts(self, selector: str) -> list[str]:
        """What is to be read in each element like this."""
        # In one call: between two of them the page may have made its elements anew.
        return self.run(f"{_SEEN} return seen.map((each) => each.innerText);", selector)

    def text(self, selector: str) -> str:
        """What is to be read in all of them."""
        return "\n".join(self.texts(selector))

    def until(self, is_so: Callable[[], object], what: str) -> None:
        """Wait until something is so. Raises: it never is."""
        WebDriverWait(self.driver, _WAIT_S, poll_frequency=0.05).until(
            lambda _: is_so(), f"never: {what}"
        )

    def press(self, *keys: str) -> None:
        """Press keys, one after another, wherever the focus is."""
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def run(self, script: str, *values: str) -> Any:
        """What a script returns; values: its `arguments`."""
        return self.driver.execute_script(script, *values)

    def serious_findings(self) -> list[list[str]]:
        """What axe-core finds wrong with the page as it is, of what is serious."""
        if not _AXE.is_file():
            pytest.skip("no axe-core here: make browser")
        # By the driver's own way in: the page's policy lets no script in by any other.
        self._command("Runtime.evaluate", {"expression": _AXE.read_text(encoding="utf-8")})
        asked = {"expression": _SERIOUS, "awaitPromise": True, "returnByValue": True}
        return json.loads(self._command("Runtime.evaluate", asked)["result"]["value"])

    @property
    def scrolls_sideways(self) -> bool:
        """Whether the page is wider than its window."""
        return self.run("return document.documentElement.scrollWidth > innerWidth")

    @property
    def complaints(self) -> list[str]:
        """What the browser's console says since this was asked last."""
        return [each["message"] for each in self.driver.get_log("browser")]

    def picture(self, path: Path) -> None:
        """Keep what is to be seen."""
        self.driver.save_screenshot(str(path))


@contextmanager
def a_browser() -> Generator[Browser]:
    """A browser with nothing in it; tests are skipped where there is none."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium with its driver here: make browser")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = chromium
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        window = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield Browser(window)
        finally:
            window.quit()


ESCAPE, ENTER = Keys.ESCAPE, Keys.ENTER
