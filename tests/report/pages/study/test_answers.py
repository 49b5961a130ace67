"""Answers of a search on the page of a study."""

from __future__ import annotations

from shardplan.report.pages.study.answers import search_answers
from shardplan.report.pages.study.folder import study_page
from tests.report.pages.conftest import Page
from tests.report.pages.study.made import BATCH, made_subject

SEARCH = {"search": {"minimise": "hosts", "subject_to": []}}


def test_a_study_without_a_search_has_none() -> None:
    """Nor a section for them."""
    subject = made_subject()
    assert search_answers(subject) is None
    assert "Answers of the search" not in Page(study_page(subject, "")).text


def test_the_best_value_and_why_the_next_is_not() -> None:
    """Two hosts are too full with a small batch, and too small with a large one."""
    subject = made_subject(SEARCH)
    answers = search_answers(subject)
    assert answers is not None
    assert answers["key"] == "hosts"
    assert next(axis.name for axis in answers["others"]) == BATCH
    assert {line["value"] for line in answers["lines"]} == {"4"}
    assert {line["failed"] for line in answers["lines"]} == {
        "2 misses hbm_fill <= 0.8",
        "2 is infeasible",
    }
    assert "2 misses hbm_fill <= 0.8" in Page(study_page(subject, "")).text


def test_no_answer_says_what_failed() -> None:
    """No cluster of the axis is large enough."""
    subject = made_subject({**SEARCH, "subject_to": ["hbm_fill <= 0.1"]})
    answers = search_answers(subject)
    assert answers is not None
    assert {line["value"] for line in answers["lines"]} == {"none"}
    assert {line["failed"] for line in answers["lines"]} == {
        "16 misses hbm_fill <= 0.1"
    }
