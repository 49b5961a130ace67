"""The report of the difference of two studies."""

from __future__ import annotations

import json

from shardplan.report.layout import to_text
from shardplan.report.study_diff import render_study_diff, study_diff_data
from shardplan.studies.diff import diff_studies
from tests.report.pages.study.made import BATCH, made_study

AXES = {"hosts": [4, 8], BATCH: [16_384, 65_536]}


def test_text_and_json_say_what_changed() -> None:
    """Prices halve, two points go, two come."""
    before = made_study({"axes": AXES})
    cheaper = {"zionex": {"per_host_hour": 15.0}}
    after = made_study({"axes": {**AXES, "hosts": [8, 16]}, "prices": cheaper})
    found = diff_studies(before, after)
    data = study_diff_data(before, after, found, versions=("0.2.0", "0.3.0"), limit=1)
    json.dumps(data, allow_nan=False)
    assert (data["num_changed"], data["num_removed"], data["num_added"]) == (2, 2, 2)
    assert len(data["changed"]) == len(data["removed"]) == len(data["added"]) == 1
    text = to_text(render_study_diff(data), 140)
    for words in (
        "which-cluster: 4 feasible (shardplan 0.3.0)",
        "prices.zionex.per_host_hour",
        "-50.0 %",
        "Only before: 2 points",
        "... and 1 more; see --limit",
    ):
        assert words in text, words


def test_no_difference() -> None:
    """Said in a word."""
    study = made_study({"axes": AXES})
    found = diff_studies(study, study)
    data = study_diff_data(study, study, found, versions=("", ""))
    text = to_text(render_study_diff(data))
    assert "The same in both." in text
    assert "4 points of both have the same results." in text
