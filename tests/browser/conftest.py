"""Pages in a real browser: Chromium without a window, driven by Selenium."""

from __future__ import annotations

import json
import os
import shutil
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.checking import examine
from shardplan.plans.evaluation import evaluate
from tests.browser.plans import hostile_plan, large_plan, small_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shardplan.plans.plan import Plan

ARTEFACTS = Path(__file__).resolve().parents[2] / "build" / "browser"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
MISSING = "no Chromium, chromedriver or Selenium: `make test-browser` sets them up"

WIDTHS = {"desktop": 1280, "phone": 400}


def program() -> str | None:
    """Find the browser on the PATH."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a browser, so that ``-m 'not browser'`` goes without."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """Start the browser once; it keeps what a page logs and asks the network for."""
    webdriver = pytest.importorskip("selenium.webdriver", reason=MISSING)
    browser, chromedriver = program(), shutil.which("chromedriver")
    if browser is None or chromedriver is None:
        pytest.skip(MISSING)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    logs = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logs)
    service = webdriver.ChromeService(executable_path=chromedriver)
    started = webdriver.Chrome(options=options, service=service)
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    yield started
    started.quit()


class Tab:
    """The browser at one page, with settings that a test may change."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def command(self, name: str, **values: Any) -> Any:
        """Send a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, values)

    def emulate(
        self, scheme: str = "light", media: str = "", width: int = 1280
    ) -> None:
        """Prefer a colour scheme, print or show, at a width."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", media=media, features=features)
        self.resize(width, 900)

    def resize(self, width: int, height: int) -> None:
        """Give the page so many pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.command("Emulation.setDeviceMetricsOverride", **size, mobile=False)

    def open(self, page: Path) -> None:
        """Load a page, and forget what was logged before."""
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        self.driver.get(page.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> Any:
        """Find one element."""
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        """Find all elements."""
        return list(self.driver.find_elements("css selector", selector))

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all elements."""
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".map((node) => node.textContent)"
        )
        return list(self.run(script, selector))

    def point(self, selector: str, across: float, down: float) -> None:
        """Move the pointer over a part of an element."""
        script = (
            "const node = document.querySelector(arguments[0]);"
            "node.scrollIntoView({block: 'center'});"
            "const box = node.getBoundingClientRect();"
            "return [box.left, box.top, box.width, box.height]"
        )
        left, top, width, height = self.run(script, selector)
        x, y = left + across * width, top + down * height
        self.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, *keys: str) -> None:
        """Press keys wherever the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def axe_findings(self) -> list[tuple[str, list[str]]]:
        """Open all details, and return what axe-core objects to, with some elements."""
        reason = "make test-browser has it"
        pytest.importorskip("axe_playwright_python", reason=reason)
        source = files("axe_playwright_python").joinpath("axe.min.js")
        self.run("for (const d of document.querySelectorAll('details')) d.open = true")
        self.command("Runtime.evaluate", expression=source.read_text(encoding="utf-8"))
        done = self.command(
            "Runtime.evaluate",
            expression="axe.run({resultTypes: ['violations']}).then(JSON.stringify)",
            awaitPromise=True,
            returnByValue=True,
        )
        return [
            (found["id"], [node["html"][:200] for node in found["nodes"][:3]])
            for found in json.loads(done["result"]["value"])["violations"]
        ]

    def picture(self, name: str, most: int = 12_000) -> None:
        """Keep a picture of the whole page."""
        width, height = self.run(
            "const root = document.documentElement;"
            "return [window.innerWidth, root.scrollHeight]"
        )
        self.resize(width, min(height, most))
        self.driver.save_screenshot(str(ARTEFACTS / f"{name}.png"))
        self.resize(width, 900)


@pytest.fixture
def tab(driver: Any) -> Iterator[Tab]:
    """A tab as a reader has it."""
    found = Tab(driver)
    found.emulate()
    yield found
    found.command("Emulation.setScriptExecutionDisabled", value=False)


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Write the page of a plan of `PLANS` once."""
    folder, written = tmp_path_factory.mktemp("pages"), dict[str, Path]()

    def write(name: str) -> Path:
        if name not in written:
            written[name] = folder / f"{name}.html"
            written[name].write_text(page_of(PLANS[name]()), encoding="utf-8")
        return written[name]

    return write


PLANS: dict[str, Callable[[], Plan]] = {
    "small": small_plan,
    "hostile": hostile_plan,
    "large": large_plan,
}


def page_of(plan: Plan) -> str:
    """Make the page of a plan."""
    from shardplan.report.pages.plan_data import plan_page_data
    from shardplan.report.pages.plan_page import plan_page

    return plan_page(plan_page_data(evaluate(plan), examine(plan)))
