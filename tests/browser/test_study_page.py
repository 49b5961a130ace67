"""The page of a study in a browser: filters, order, maps, and the way to a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.report.pages.study.folder import study_page, write_report
from shardplan.report.pages.study.subject import PageSubject
from shardplan.studies import run
from shardplan.studies.front import study_front
from tests.browser.conftest import WIDTHS
from tests.report.pages.study.made import (
    BATCH,
    BW,
    made_front,
    made_study,
    made_subject,
)
from tests.studies.codesign import small

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Tab

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
COUNT = "#points-count"


class Quiet:
    """An observer of reports that says nothing."""

    def made(self, pages: int, total: int) -> None:
        """Ignore it."""


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study of sixteen points."""
    path = tmp_path_factory.mktemp("study") / "index.html"
    source = 'name = "which-cluster"\nschema_version = 1\n'
    path.write_text(study_page(made_subject(), source), encoding="utf-8")
    return path


def cells(tab: Tab, column: str) -> list[str]:
    """The cells of a column of the table of all points."""
    at = [head.strip() for head in tab.texts("#points thead th")].index(column)
    return tab.texts(f"#points tbody tr > :nth-child({at + 1})")


def choose(tab: Tab, selector: str, text: str) -> None:
    """Choose an entry of a list by what it says."""
    from selenium.webdriver.support.select import Select

    Select(tab.find(selector)).select_by_visible_text(text)


def fill(tab: Tab, selector: str, text: str) -> None:
    """Write into a field in place of what is there."""
    field = tab.find(selector)
    field.clear()
    field.send_keys(text)


def test_filters(index: Path, tab: Tab) -> None:
    """By a value, by conditions, by words, by what is on the front; and back."""
    tab.open(index)
    assert tab.texts(COUNT) == ["1 to 16 of 16 points"]
    choose(tab, '#filters select[data-column="hosts"]', "4")
    assert cells(tab, "hosts") == ["4"] * 4
    fill(tab, "#where", f"{BATCH} >= 60_000, nic_bw < 1")
    assert cells(tab, "global_batch_size") == ["65,536"]
    tab.find("#clear").click()
    assert tab.texts(COUNT) == ["1 to 16 of 16 points"]
    fill(tab, "#search", "12.3 gb too small")
    assert cells(tab, "status") == ["infeasible"] * 2
    tab.find("#clear").click()
    choose(tab, "#only", "the front")
    assert len(cells(tab, "status")) == len(made_subject().on_front)
    fill(tab, "#where", "step_time > 1")
    assert tab.texts("#where-fault") == ['There is no column "step_time".']
    assert tab.find("#where").get_attribute("aria-invalid") == "true"


def test_order(index: Path, tab: Tab) -> None:
    """A heading sorts, again the other way; empty cells come last both ways."""
    tab.open(index)
    tab.run("document.querySelector('#points button[data-name=hbm_fill]').click()")
    up = cells(tab, "hbm_fill")
    tab.press("\ue007")  # Enter: the heading has the focus
    down = cells(tab, "hbm_fill")
    assert up[-2:] == down[-2:] == ["-"] * 2
    values = [float(text.removesuffix(" %")) for text in up[:-2]]
    assert values == sorted(values)
    assert down[:-2] == up[:-2][::-1]
    assert tab.texts('#points th[aria-sort="descending"]') == ["hbm_fill"]


def test_columns_are_chosen(index: Path, tab: Tab) -> None:
    """What is empty is not offered."""
    tab.open(index)
    assert tab.all('#choose input[value="watts"]') == []
    for name in ("feasible", "hbm_fill"):
        tab.run(f"document.querySelector('#choose input[value={name}]').click()")
    heads = tab.texts("#points thead th")
    assert "feasible" in heads
    assert "hbm_fill" not in heads


def test_maps_have_controls(index: Path, tab: Tab) -> None:
    """Other axes, which change places if they meet, and other values of the rest."""
    tab.open(index)
    drawn = tab.texts("#map-hbm_fill td")
    assert tab.find(f'[data-held="{BW}"]').is_displayed()
    assert not tab.find('[data-held="hosts"]').is_displayed()
    choose(tab, "#across", "hosts")
    assert tab.find("#down").get_property("value") == BATCH
    heads = tab.texts("#map-hbm_fill thead th")
    assert heads == ["global_batch_size \\ hosts", "2", "4", "8", "16"]
    choose(tab, "#across", "global_batch_size")
    assert tab.texts("#map-hbm_fill td") == drawn
    choose(tab, "#down", "nic_bw")
    choose(tab, '[data-held="hosts"] select', "2")
    assert tab.texts("#map-hbm_fill td.infeasible") == ["does not fit"] * 2


def test_the_script_draws_what_the_page_has(index: Path, tab: Tab) -> None:
    """Numbers are written alike with and without a script."""
    tab.open(index)
    drawn = tab.texts(".grid-map td")
    choose(tab, "#across", "hosts")
    choose(tab, "#across", "global_batch_size")
    assert tab.texts(".grid-map td") == drawn
    rows = tab.texts("#points tbody td.n")
    tab.command("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(index)
    assert tab.texts("#points tbody td.n") == rows


def test_how_to_make_the_page_of_a_point(index: Path, tab: Tab) -> None:
    """A point without a page has a command."""
    tab.open(index)
    tab.run("document.querySelector('#points tbody button').click()")
    command = "shardplan report DIR --point 0 -o point-0.html"
    assert tab.find("#command").text == command


def test_from_the_front_to_a_plan_and_back(tmp_path: Path, tab: Tab) -> None:
    """One click in the figure, or a key; the page of the plan leads back."""
    study = made_study({"axes": {"hosts": [1, 2]}, "subject_to": []})
    folder = tmp_path / "report"
    pages = write_report(study, made_front(study), "", "1", folder, Quiet())
    tab.open(folder / "index.html")
    tab.find("#front svg a path").click()
    assert "/points/" in tab.driver.current_url
    assert "not the plan that the study found" in tab.find("header").text
    assert all(plan.remark for plan in pages.values())
    tab.find("header a").click()
    assert tab.driver.current_url.endswith("/index.html")
    tab.run("document.querySelector('#front-points a').focus()")
    tab.press("\ue007")
    assert "/points/" in tab.driver.current_url
    tab.driver.back()
    assert tab.texts(COUNT) == ["1 to 2 of 2 points"]


def test_names_of_others_do_nothing(tmp_path: Path, tab: Tab) -> None:
    """In the page and in what the script makes of it."""
    changes: dict[str, Any] = {
        "name": HOSTILE,
        "description": HOSTILE,
        "scenarios": {HOSTILE: ["a"], "\u202eplain": []},
        "overrides": {"a": {BATCH: 32_768}},
        "axes": {"hosts": [2, 4]},
    }
    path = tmp_path / "index.html"
    path.write_text(study_page(made_subject(changes), HOSTILE), encoding="utf-8")
    tab.open(path)
    choose(tab, "#across", "hosts")
    fill(tab, "#search", "onerror")
    assert cells(tab, "scenario") == [HOSTILE] * 2
    assert tab.all("img") == []
    assert tab.texts("h1") == [HOSTILE]
    assert tab.texts("#map-hbm_fill tbody th") == [HOSTILE, "\\u202eplain"]


def test_without_javascript(index: Path, tab: Tab) -> None:
    """Figures, maps and rows are there; controls that do nothing are not."""
    tab.command("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(index)
    assert len(tab.all("#front svg .dot")) == 14
    assert "does not fit" in tab.find("#map-hbm_fill").text
    assert len(tab.all("#points tbody tr")) == 16
    assert not tab.find("#filters").is_displayed()
    assert not tab.find("#map-controls").is_displayed()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_fits_the_screen(index: Path, tab: Tab, scheme: str, width: str) -> None:
    """Nothing but tables is wider than a screen; a picture of each is kept."""
    tab.emulate(scheme, width=WIDTHS[width])
    tab.open(index)
    wide = tab.run("return document.documentElement.scrollWidth")
    assert wide <= WIDTHS[width]
    tab.picture(f"study-{scheme}-{width}")


@pytest.fixture(scope="session")
def designs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a co-design, which has no axes but a history."""
    folder = tmp_path_factory.mktemp("designs")
    study = run(small.spec(folder))
    front = study_front(study)
    path = folder / "index.html"
    path.write_text(study_page(PageSubject(study, front, {}), ""), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a search along an axis."""
    path = tmp_path_factory.mktemp("answers") / "index.html"
    search = {"minimise": "hosts", "subject_to": ["hbm_fill <= 0.8"]}
    path.write_text(study_page(made_subject({"search": search}), ""), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["index", "designs", "answers"])
def test_axe_finds_nothing(
    kind: str, scheme: str, tab: Tab, request: pytest.FixtureRequest
) -> None:
    """The rules of axe-core: labels, contrast, roles, headings, landmarks."""
    tab.emulate(scheme)
    tab.open(request.getfixturevalue(kind))
    assert tab.axe_findings() == []


def test_the_growth_of_designs_is_drawn(designs: Path, tab: Tab) -> None:
    """The figure, and a row per batch."""
    tab.open(designs)
    assert tab.find("#growth-figure-title").get_attribute("textContent")
    assert len(tab.all("#growth tbody tr")) == 5
    tab.picture("study-designs")


def test_ten_thousand_points(tmp_path: Path, tab: Tab) -> None:
    """Under 10 MB; rows that nobody sees are no elements of the page."""
    axes = {
        "hosts": list(range(1, 26)),
        BATCH: [1024 * n for n in range(1, 21)],
        BW: {"scale": [0.1 * n for n in range(1, 21)]},
    }
    subject = made_subject({"axes": axes})
    path = tmp_path / "index.html"
    path.write_text(study_page(subject, ""), encoding="utf-8")
    assert len(subject.numbers) == 10_000
    assert path.stat().st_size < 10e6
    tab.open(path)
    assert tab.run("return document.querySelectorAll('*').length") < 15_000
    fill(tab, "#where", "hosts = 25, nic_bw = 2")
    assert tab.texts(COUNT) == ["1 to 20 of 20 points"]
    tab.picture("study-10000")
