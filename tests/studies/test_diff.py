"""How two studies differ."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from shardplan.studies.diff import StudyDiff, diff_studies
from shardplan.studies.expand import expand
from shardplan.studies.spec import StudySpec
from shardplan.studies.study import Study, make_row

if TYPE_CHECKING:
    from collections.abc import Mapping


def studied(study: Mapping[str, Any], step: float = 1.0, **changes: Any) -> Study:
    """A study whose points take as many seconds per step as they have hosts."""
    spec = StudySpec.of({**study, **changes})
    rows = tuple(
        make_row(
            spec,
            point,
            {
                "status": "feasible",
                "hosts": point.base.hosts,
                "step_time_s": step * (point.base.hosts or 1) ** 2,
                "bottleneck": "lookup",
            },
        )
        for point in expand(spec)
    )
    return Study(spec, rows)


def asked(found: StudyDiff) -> dict[str, tuple[Any, Any]]:
    return {change.key: (change.before, change.after) for change in found.asked}


def test_the_same_study_does_not_differ(study: dict[str, Any]) -> None:
    """Not even in the order of points."""
    one = studied(study, axes={"hosts": [1, 2]})
    other = studied(study, axes={"hosts": [2, 1]})
    found = diff_studies(one, other)
    assert found.changed == found.removed == found.added == ()
    assert found.num_same == 2
    assert asked(found) == {"axes.hosts": ([1, 2], [2, 1])}


def test_files_differ_by_keys(study: dict[str, Any]) -> None:
    """What is new has no value before, and dotted names stay one key."""
    prices = {"dgx-h100": {"per_host_hour": 98.0}}
    path = "workload.global_batch_size"
    found = diff_studies(
        studied(study, axes={path: [1024]}),
        studied(study, axes={path: [1024, 2048]}, prices=prices),
    )
    assert asked(found) == {
        f'axes."{path}"': ([1024], [1024, 2048]),
        "prices.dgx-h100.per_host_hour": (None, 98.0),
    }


def test_inputs_differ_by_fingerprint(study: dict[str, Any]) -> None:
    """Another topology is another input, and another base."""
    base = {**study["base"], "topology": "zionex"}
    found = asked(diff_studies(studied(study), studied(study, base=base)))
    assert found["base.topology"] == ("dgx-h100", "zionex")
    before, after = found["input topology dgx-h100"]
    assert (len(before), after) == (64, None)


def test_points_are_matched_by_values(study: dict[str, Any]) -> None:
    """Whole numbers match whatever they are written as; others have no partner."""
    one = studied(study, axes={"hosts": [1, 2, 4]})
    other = studied(study, 2.0, axes={"hosts": [2, 4, 8]})
    found = diff_studies(one, other)
    assert [row.point.values["hosts"] for row in found.removed] == [1]
    assert [row.point.values["hosts"] for row in found.added] == [8]
    (first, second) = found.changed
    assert [c.column for c in first.changes] == ["step_time_s"]
    assert first.changes[0].relative == second.changes[0].relative == 1.0


def test_an_axis_that_is_new_is_compared_with_the_base(study: dict[str, Any]) -> None:
    """Two hosts, once because the base says so and once because the axis does."""
    base = {**study["base"], "hosts": 2}
    path = "workload.global_batch_size"
    old = studied(study, base=base, axes={path: [1024, 2048]})
    new = studied(study, axes={"hosts": [2, 4], path: [1024, 2048]})
    found = diff_studies(old, new)
    assert found.num_same == 2
    assert [row.point.values["hosts"] for row in found.added] == [4, 4]


def test_largest_changes_come_first(study: dict[str, Any]) -> None:
    """A status is more than any number, a text less."""
    one = studied(study, axes={"hosts": [1, 2, 4, 8]})
    spec = one.spec
    values = [dict(row.values) for row in one.rows]
    values[0]["bottleneck"] = "dense"
    values[1]["step_time_s"] *= 1.5
    values[2]["status"] = "error"
    values[3]["step_time_s"] *= 0.25
    rows = zip(one.rows, values, strict=True)
    other = Study(spec, tuple(make_row(spec, row.point, v) for row, v in rows))
    found = diff_studies(one, other)
    order = [change.after.point.values["hosts"] for change in found.changed]
    assert order == [4, 8, 2, 1]
    assert math.isinf(found.changed[0].size)
    assert found.changed[1].changes[0].relative == -0.75
