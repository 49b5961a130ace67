"""The page of a study as HTML."""

from __future__ import annotations

import json
import re

import pytest

from shardplan.report.pages.study.folder import study_page
from shardplan.report.pages.study.subject import PageSubject, PointPage
from shardplan.studies.study import Study
from shardplan.version import VERSION
from tests.report.pages.conftest import Page
from tests.report.pages.study.made import BATCH, made_front, made_study, made_subject

HOSTILE = "</script><script>alert(1)</script>\u202e{{7*7}}<img src=x onerror=alert(1)>"


def page_of(subject: PageSubject, source: str = 'name = "x"\n') -> Page:
    return Page(study_page(subject, source))


def test_page_says_what_was_asked_and_found() -> None:
    """File, base, axes, constraints, counts, the front and what misses it."""
    page = page_of(made_subject(), 'name = "which"\nschema_version = 1\n')
    for words in (
        "which-cluster",
        "dlrm-dcnv2",
        "hbm_fill <= 0.8",
        "least cost_per_hour, most throughput_samples_per_s",
        'name = "which" schema_version = 1',
        "16,384, 65,536 (2)",
        "knee",
        "hbm_fill <= 0.8 by 12.5 %",  # 0.9 of 0.8
        "HBM is 12.3 GB too small for t1, t2",
        "lookup, busiest link nic",
        f"results by shardplan {VERSION}",
        "shardplan report DIR --point N -o point-N.html",
    ):
        assert words in page.text, words


def test_every_point_of_the_front_links_to_its_page() -> None:
    """In the figure, in the table of the front, in that of all points, on the maps."""
    subject = made_subject()
    links = page_of(subject).values("href")
    for number in subject.on_front:
        assert links.count(f"points/{number}.html") >= 3


def test_names_of_others_are_text() -> None:
    """Nothing that a file says is obeyed by a browser or a template."""
    changes = {
        "name": HOSTILE,
        "description": HOSTILE,
        "scenarios": {HOSTILE: ["a"], "other": []},
        "overrides": {"a": {BATCH: 32_768}},
        "axes": {"hosts": [2, 4]},
    }
    text = study_page(made_subject(changes), HOSTILE)
    page = Page(text)
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert "49" not in re.sub(r"[0-9.]*[0-8]49|49[0-9]", "", page.text)
    assert "\u202e" not in text
    assert "{{7*7}}" in page.text


def test_a_plan_that_is_not_the_same_is_said() -> None:
    """A difference is shown beside the link, and where there is no plan any more."""
    subject = made_subject()
    first, second = sorted(subject.on_front)[:2]
    pages = {
        first: PointPage("points/1.html", "not the plan that the study found"),
        second: PointPage(None, "no plan is found now"),
    }
    page = page_of(PageSubject(subject.study, subject.front, pages))
    assert "plan not the plan that the study found" in page.text
    assert "no plan is found now" in page.text
    assert "None" not in page.values("href")


def test_missing_prices_are_said() -> None:
    """Cost is never guessed."""
    page = page_of(made_subject({"prices": {}}))
    assert 'Costs are empty: [prices."zionex"] has no per_host_hour.' in page.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subject_to": ["hbm_fill <= 0.1"]}, "No point meets all constraints"),
        ({"axes": {"hosts": [2], BATCH: [65_536]}}, "No point has a plan"),
        ({"axes": {"hosts": [2, 4], BATCH: [65_536]}}, "does not fit"),
        ({"axes": {}}, "None: the study has one point."),
        ({"axes": {"hosts": [2, 4]}}, "cost_per_hour"),
        ({"pareto": {"x": "hosts", "y": "hosts"}}, "least hosts"),
    ],
)
def test_poor_studies_have_pages(changes: dict[str, object], words: str) -> None:
    """Nothing feasible, one axis, no axis, one goal."""
    assert words in page_of(made_subject(changes)).text


def test_a_study_without_results_has_a_page() -> None:
    """It says what to do."""
    study = made_study()
    empty = Study(study.spec, (), tuple(row.point for row in study.rows))
    page = page_of(PageSubject(empty, made_front(empty), {}))
    assert "No point has finished yet: run the study first." in page.text
    assert "16 no result yet" in page.text


def test_page_needs_nothing_else_and_has_the_same_bytes() -> None:
    """No address of anything but the pages of plans; no style or script in places."""
    text = study_page(made_subject(), "")
    assert text == study_page(made_subject(), "")
    page = Page(text)
    links = [
        link for link in page.values("href") if not link.startswith(("#", "points/"))
    ]
    assert links == ["data:,"]
    assert page.values("src") == []
    assert page.values("style") == []
    assert not [name for _, a in page.elements for name in a if name.startswith("on")]
    ids = page.values("id")
    assert len(set(ids)) == len(ids)


def test_data_for_the_script_is_that_of_the_rows() -> None:
    """Columns are as long as there are points."""
    subject = made_subject()
    text = study_page(subject, "")
    found = re.search(r'id="data">(.*?)</script>', text)
    assert found is not None
    data = json.loads(found[1])
    assert data["numbers"] == subject.numbers
    assert all(len(column["cells"]) == 16 for column in data["columns"])
    assert sorted(map(int, data["pages"])) == sorted(subject.on_front)
