"""The record of a study file."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from shardplan.errors import InputError
from shardplan.io.validate import validate
from shardplan.records.record import dump
from shardplan.records.study import StudyFile

LEAST = {
    "schema_version": 1,
    "name": "s",
    "base": {"workload": "w.toml", "topology": "zionex"},
}
FULL: dict[str, Any] = {
    **LEAST,
    "description": "all sections",
    "subject_to": ["hbm_fill <= 0.9"],
    "axes": {
        "hosts": [1, 2],
        "workload.tables.*.pooling_factor": {"scale": [0.5, 2.0]},
        "workload.global_batch_size": {"geometric": ["16 Ki", "64 Ki"], "factor": 2},
        "rounds": {"linear": [0, 4], "step": 2},
    },
    "zip": {"z": {"gap": [0.1, 0.2], "seed": [1, 2]}},
    "overrides": {"o": {"workload.optimizer": "sgd"}},
    "scenarios": {"today": [], "sgd": ["o"]},
    "exclude": [{"hosts": 1, "gap": [0.1]}],
    "search": {"minimise": "hosts", "subject_to": ["gap <= 1"]},
    "prices": {"zionex": {"per_host_hour": 2.5, "watts_per_host_per": {"hosts": 1.5}}},
    "failures": {"mtbf_hours_per_host": 2e4, "checkpoint_bw": "5 GB/s"},
    "pareto": {"x": "gap", "y": "hosts"},
    "parameter_servers": {"batch_size": 512},
    "codesign": {
        "points": 9,
        "maximise": ["goodput"],
        "knobs": {"hosts": {"low": 1, "high": 8, "integer": True}},
    },
}


def test_all_sections_read_back() -> None:
    """What is dumped is what a file may have, and means the same."""
    study = validate(StudyFile, FULL, "s.toml")
    assert validate(StudyFile, dump(study), "s.toml") == study
    assert dump(study)["axes"] == FULL["axes"]
    assert study.failures is not None
    assert study.failures.checkpoint_bw == 5e9


@pytest.mark.parametrize(
    ("section", "content", "key", "rule"),
    [
        ("axes", {"hosts": []}, "axes.hosts", "has no values"),
        ("axes", {"hosts": {}}, "axes.hosts", "must be a list of values, or a group"),
        ("axes", {"hosts": 4}, "axes.hosts", "must be a group of keys and values"),
        ("axes", {"hosts": {"scale": []}}, "axes.hosts", "has no values"),
        ("axes", {"hosts": {"scale": [0]}}, "axes.hosts.scale[0]", "must be > 0"),
        ("axes", {"hosts": {"linear": [1, 2]}}, "axes.hosts", "come together"),
        ("axes", {"hosts": {"scale": [1], "step": 1}}, "axes.hosts", "come together"),
        ("axes", {"hosts": {"geometric": [1, 2], "step": 1}}, "axes.hosts", "together"),
        ("axes", {"hosts": {"scal": [1]}}, "axes.hosts.scal", "did you mean 'scale'"),
        ("axes", {"hosts": [float("nan")]}, "axes.hosts.values[0].float", "finite"),
        ("axes", {"hosts": [date.min]}, "axes.hosts.values[0]", "must be text, a num"),
        ("zip", {"z": {}}, "zip.z", "must have at least 1 entry"),
        ("zip", {"z": [1]}, "zip.z", "must be a group of keys and values"),
        ("exclude", [{}], "exclude[0]", "must have at least 1 entry"),
        ("search", {}, "search", "exactly one of minimise and maximise"),
        ("codesign", {"points": 1, "knobs": {}}, "codesign.knobs", "at least 1 entry"),
        (
            "codesign",
            {"points": 1, "knobs": {"a": {"choices": [1]}}},
            "codesign",
            "needs a column",
        ),
        (
            "codesign",
            {"points": 1, "minimise": ["x"], "knobs": {"a": {"low": 1}}},
            "codesign.knobs.a",
            "needs low and high, or choices",
        ),
        ("prices", {"a": {"per_host": 1}}, "prices.a.per_host", "per_host_hour"),
        ("failures", {"checkpoint_bw": 1}, "failures.mtbf_hours_per_host", "required"),
    ],
)
def test_what_a_section_may_not_have(
    section: str, content: object, key: str, rule: str
) -> None:
    """Each problem has its key path."""
    with pytest.raises(InputError) as caught:
        validate(StudyFile, {**LEAST, section: content}, "s.toml")
    assert [p for p in caught.value.problems if p.key == key and rule in p.rule], (
        caught.value
    )
