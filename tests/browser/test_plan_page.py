"""The page of a plan in a browser: quiet, usable with mouse and keys, harmless."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from shardplan.printable import one_line
from tests.browser.conftest import ARTEFACTS, WIDTHS
from tests.browser.plans import HOSTILE, small_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.conftest import Tab

    Pages = Callable[[str], Path]

DOWN, END, ENTER, RIGHT, TAB = "\ue015", "\ue010", "\ue007", "\ue014", "\ue004"
ROWS = "#table-of-tables tbody tr"


def quiet(tab: Tab) -> bool:
    """Whether nothing was logged, and nothing asked for but the page itself."""
    assert tab.driver.get_log("browser") == []
    messages = [
        json.loads(entry["message"])["message"]
        for entry in tab.driver.get_log("performance")
    ]
    asked = {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    foreign = {url for url in asked if not url.startswith(("data:", "file:"))}
    return not foreign and sum(url.startswith("file:") for url in asked) <= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["small", "hostile"])
def test_it_is_quiet_and_fits(
    tab: Tab, page: Pages, name: str, width: str, scheme: str
) -> None:
    """No message, no request, and nothing beside the window."""
    tab.emulate(scheme, width=WIDTHS[width])
    tab.open(page(name))
    assert tab.run("return document.documentElement.dataset.ready") == "true"
    assert tab.run("return document.documentElement.scrollWidth") <= WIDTHS[width]
    assert quiet(tab)
    tab.picture(f"{name}-{width}-{scheme}")
    back = tab.run("return getComputedStyle(document.body).backgroundColor")
    assert back == {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 22, 29)"}[scheme]


def test_filter(tab: Tab, page: Pages) -> None:
    """Words of names and types, and ranks; all must match."""
    tab.open(page("small"))
    assert len(tab.all(ROWS)) == 26
    tab.find("#filter").send_keys("DATA_par")
    kinds = tab.texts(f"{ROWS} td:nth-child(5)")
    assert set(kinds) == {"data_parallel"}
    tab.find("#filter").clear()
    tab.find("#filter").send_keys("cat_1 rank:0")
    names = tab.texts(f"{ROWS} th")
    assert names
    assert all(name.startswith("cat_1") for name in names)
    tab.find("#filter").send_keys(" nothing")
    assert tab.texts("#count") == ["No table matches."]
    assert not tab.all(ROWS)


def test_sort_with_mouse_and_keys(tab: Tab, page: Pages) -> None:
    """A heading is a button that says how its column is sorted."""
    tab.open(page("small"))
    heads = "#table-of-tables thead th"
    assert tab.find(f"{heads}:nth-child(8)").get_attribute("aria-sort") == "descending"
    rows = f"{heads}:nth-child(2)"
    tab.find(f"{rows} button").click()
    assert tab.find(rows).get_attribute("aria-sort") == "descending"
    sizes = [int(s.replace(",", "")) for s in tab.texts(f"{ROWS} td:nth-child(2)")]
    assert sizes == sorted(sizes, reverse=True)
    tab.run("arguments[0].focus()", tab.find(f"{heads}:nth-child(1) button"))
    tab.press(ENTER)
    names = tab.texts(f"{ROWS} th")
    assert names == sorted(names)
    tab.press(ENTER)
    assert tab.texts(f"{ROWS} th") == names[::-1]
    assert tab.find(rows).get_attribute("aria-sort") == "none"


def test_small_tables_are_sorted_by_value(tab: Tab, page: Pages) -> None:
    """Microseconds come below milliseconds."""
    tab.open(page("small"))
    tab.run("for (const d of document.querySelectorAll('details')) d.open = true")
    tab.find("#operations thead th:nth-child(4) button").click()
    cells = tab.all("#operations tbody td:nth-child(4)")
    values = [float(cell.get_attribute("data-value")) for cell in cells]
    assert values == sorted(values, reverse=True)


def test_columns_are_read_out(tab: Tab, page: Pages) -> None:
    """By pointer and by keys; all figures of ranks follow."""
    tab.open(page("small"))
    tab.point("#fig-phases svg.plot", (5 + 0.5) / 16, 0.5)
    (read,) = tab.texts("#fig-phases output")
    assert read.startswith("rank 5: ")
    assert "bwd_compute" in read
    assert tab.texts("#fig-memory-hbm output")[0].startswith("rank 5: ")
    tab.run("arguments[0].focus()", tab.find("#fig-memory-hbm input"))
    tab.press(RIGHT)
    assert tab.texts("#fig-phases output")[0].startswith("rank 6: ")
    tab.press(END)
    (read,) = tab.texts("#fig-memory-hbm output")
    assert read.startswith("rank 15: ")
    assert "usable" in read


def test_a_layer_is_lit(tab: Tab, page: Pages) -> None:
    """A key of the legend is a switch."""
    tab.open(page("small"))
    button = tab.find("#fig-phases .legend button")
    for pressed, lit in (("true", 1), ("false", 0)):
        button.click()
        assert button.get_attribute("aria-pressed") == pressed
        assert len(tab.all("#fig-phases.dimmed path.lit")) == lit


def test_the_map_tells_what_lies_there(tab: Tab, page: Pages) -> None:
    """Table, rank, sharding type and share; a click shows the rank's tables."""
    tab.open(page("small"))
    tab.point("[data-figure=map] img", (3 + 0.5) / 16, 0.5 / 26)
    (first,) = tab.texts(f"{ROWS}:first-child th")
    (read,) = tab.texts("[data-figure=map] output")
    (kind,) = [t.sharding_type for t in small_plan().tables if t.name == first]
    assert read == f"rank 3, {first}: {first} ({kind}, 6.3 % of it)"
    tab.find("#map-show").click()
    assert tab.find("#filter").get_attribute("value") == "rank:3"
    assert 0 < len(tab.all(ROWS)) < 26


def test_the_timeline_zooms_and_is_read_out(tab: Tab, page: Pages) -> None:
    """Bars by pointer, operations by keys, and more room for both."""
    tab.open(page("small"))
    width = "return document.querySelector('.lanes svg.plot').clientWidth"
    before = tab.run(width)
    for _ in range(3):
        tab.find("#zoom-in").click()
    assert tab.run(width) == pytest.approx(8 * before, rel=0.01)
    assert tab.all("[data-figure=lanes].zoomed")
    tab.run("arguments[0].focus()", tab.find("#operation"))
    tab.press(DOWN)
    (read,) = tab.texts("[data-figure=lanes] output")
    assert read.startswith("rank ")
    assert "bound by" in read
    assert len(tab.all(".span.chosen")) == 1
    for _ in range(3):
        tab.find("#zoom-out").click()
    assert not tab.find("#zoom-out").is_enabled()
    tab.point("[data-lanes='0'] .span[data-span='1'] rect", 0.5, 0.5)
    assert tab.texts("[data-figure=lanes] output") != [read]
    tab.picture("small-timeline")


def test_keys_reach_everything(tab: Tab, page: Pages) -> None:
    """The first stop skips to the content; every stop has a visible ring and a name."""
    tab.open(page("small"))
    tab.press(TAB)
    assert tab.run("return document.activeElement.className") == "skip"
    assert tab.run("return document.activeElement.getBoundingClientRect().left") == 0
    tab.press(ENTER)
    assert tab.run("return document.activeElement.id") == "main"
    seen = set()
    for _ in range(60):
        tab.press(TAB)
        stop, ring = tab.run(
            "const node = document.activeElement;"
            "return [node.id || node.tagName, getComputedStyle(node).outlineStyle]"
        )
        assert ring != "none" or stop == "BODY", stop
        seen.add(stop)
    assert {"map-rank", "filter"} <= seen


def test_without_javascript(tab: Tab, page: Pages) -> None:
    """Figures and tables are there; controls that would do nothing are not."""
    tab.command("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(page("small"))
    assert len(tab.texts(f"{ROWS} th")) == 26
    assert len(tab.all("svg.plot path.layer")) > 10
    assert len(tab.all(".span rect")) > 10
    controls = "return getComputedStyle(document.querySelector('.controls')).display"
    assert tab.run(controls) == "none"
    assert tab.run("return document.querySelector('.map img').naturalWidth") == 16
    tab.picture("small-without-javascript")


def test_hostile_names_are_text(tab: Tab, page: Pages) -> None:
    """Nothing runs, nothing is made of them, and all can be read."""
    tab.open(page("hostile"))
    assert tab.run("return document.title") == f"{HOSTILE[0]} on {HOSTILE[1]}"
    assert len(tab.all("script")) == 2
    assert sorted(tab.texts(f"{ROWS} th")) == sorted(map(one_line, HOSTILE))
    tab.find("#filter").send_keys("<script>")
    assert len(tab.all(ROWS)) == 2
    tab.point("[data-figure=map] img", 0.1, 0.05)
    assert len(tab.texts("[data-figure=map] output")[0]) > 10
    shown = tab.run("return document.body.innerText")
    odd = sorted({c for c in shown if not c.isprintable() and c not in "\n\t"})
    assert odd == []
    assert quiet(tab)


def test_print(tab: Tab, page: Pages) -> None:
    """A PDF without controls, on white whatever the screen prefers."""
    tab.emulate("dark", media="print")
    tab.open(page("small"))
    shown = "return getComputedStyle(document.querySelector(arguments[0])).display"
    assert tab.run(shown, "nav") == "none"
    assert tab.run(shown, ".controls") == "none"
    back = tab.run("return getComputedStyle(document.body).backgroundColor")
    assert back == "rgb(255, 255, 255)"
    done = tab.command("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
    content = base64.b64decode(done["data"])
    assert content.startswith(b"%PDF")
    (ARTEFACTS / "small.pdf").write_bytes(content)
    tab.picture("small-print")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["small", "hostile"])
def test_axe_finds_nothing(tab: Tab, page: Pages, name: str, scheme: str) -> None:
    """The rules of axe-core: labels, contrast, roles, headings, landmarks."""
    tab.emulate(scheme)
    tab.open(page(name))
    assert tab.axe_findings() == []


@pytest.mark.slow
def test_a_large_page_opens(tab: Tab, page: Pages) -> None:
    """4,096 ranks and 10,000 tables: small, few elements, everything reachable."""
    path = page("large")
    size = path.stat().st_size
    assert size < 10e6
    tab.open(path)
    timing = tab.run(
        "const entry = performance.getEntriesByType('navigation')[0];"
        "return [entry.domContentLoadedEventEnd, entry.loadEventEnd]"
    )
    nodes = tab.run("return document.querySelectorAll('*').length")
    print(f"\n{size / 1e6:.2f} MB, {nodes} elements, loaded {timing[1]:.0f} ms")  # noqa: T201
    assert nodes < 8_000
    assert tab.texts("#count") == ["1 to 100 of 10,000"]
    tab.find("#next").click()
    assert tab.texts("#count") == ["101 to 200 of 10,000"]
    tab.find("#filter").send_keys("table_09999")
    assert tab.texts(f"{ROWS} th") == ["table_09999"]
    tab.point("#fig-phases svg.plot", 0.5, 0.5)
    assert tab.texts("#fig-phases output")[0].startswith("rank 204")
    tab.point("[data-figure=map] img", 0.25, 0.25)
    assert "tables" in tab.texts("[data-figure=map] output")[0]
    assert quiet(tab)
    tab.picture("large")
