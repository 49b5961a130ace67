"""From a study to its points."""

from __future__ import annotations

from typing import Any

from shardplan.studies.expand import axis_names, expand
from shardplan.studies.spec import StudySpec


def test_points_come_as_from_nested_loops(study: dict[str, Any]) -> None:
    """Scenarios outermost, then axes and zips in the file's order."""
    study["axes"] = {"hosts": [1, 2], "solver": ["greedy", "ldm"]}
    study["zip"] = {"io": {"gap": [0, 0.1], "rounds": [0, 1]}}
    study["overrides"] = {"low": {"workload.tables.*.dtype": "int8"}}
    study["scenarios"] = {"today": [], "cheap": ["low"]}
    spec = StudySpec.of(study)
    points = expand(spec)
    assert axis_names(spec) == ("scenario", "hosts", "solver", "gap", "rounds")
    assert [tuple(point.values.values()) for point in points] == [
        (scenario, hosts, solver, gap, rounds)
        for scenario in ("today", "cheap")
        for hosts in (1, 2)
        for solver in ("greedy", "ldm")
        for gap, rounds in ((0, 0), (0.1, 1))
    ]
    assert [point.number for point in points] == list(range(16))
    assert len({point.id for point in points}) == 16
    assert [s.path for s in points[-1].settings] == ["workload.tables.*.dtype"]
