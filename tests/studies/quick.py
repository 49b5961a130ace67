"""A study whose points take milliseconds, as files that stand alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shardplan.records.record import dump
from shardplan.studies.spec import load_spec
from tests import helpers

if TYPE_CHECKING:
    from pathlib import Path

    from shardplan.studies.spec import StudySpec

STUDY = """\
schema_version = 1
name = "quick"

[base]
workload = "workload.json"
topology = "cluster.json"
cost_model = "software.json"

[axes]
hosts = [1, 2]
"workload.global_batch_size" = [1000, 2000, 4000]
"workload.tables.*.num_embeddings" = [1000, 10_000_000_000]
"""
"""Twelve points; those of large tables fit nowhere."""


def write(folder: Path, text: str = STUDY) -> Path:
    """Write the study and its inputs; return the path of the study."""
    instance = helpers.two_tables()
    names = ("workload.json", "cluster.json", "software.json")
    for name, record in zip(names, instance, strict=True):
        (folder / name).write_text(json.dumps(dump(record)), encoding="utf-8")
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def spec(folder: Path, text: str = STUDY) -> StudySpec:
    """Return the study."""
    return load_spec(write(folder, text))


def results(folder: Path) -> dict[str, bytes]:
    """Return the files that must be the same however a study came about."""
    return {path.name: path.read_bytes() for path in folder.glob("results.*")}


def values(status: str = "feasible", **others: Any) -> dict[str, Any]:
    """Return made-up results."""
    return {"status": status, "step_time_s": 0.5, **others}
