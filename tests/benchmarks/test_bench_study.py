"""The benchmark of studies is fair: what it samples, and that values are compared."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from shardplan.studies.expand import expand
from shardplan.studies.spec import StudySpec
from tests.benchmarks.bench_study.__main__ import VALUES, compare, sample, study


@pytest.mark.parametrize(("total", "count"), [(1000, 60), (200, 24), (7, 7), (12, 5)])
def test_sample_is_spread_over_the_study(total: int, count: int) -> None:
    """Points are different ones, and reach over all values of the first axis."""
    chosen = sample(total, count)
    assert len(set(chosen)) == count
    assert max(chosen) - min(chosen) >= total * (count - 1) // (count + 1)


def test_study_has_the_points_that_are_asked_for() -> None:
    """200 tables on 48 to 80 ranks, a thousand times."""
    spec = StudySpec.of(study(1000))
    assert len(expand(spec)) == 1000
    assert {point.base.hosts for point in expand(spec)} == {6, 7, 8, 9, 10}


@pytest.mark.parametrize(("step_s", "code"), [(3.0, 0), (3.5, 1)])
def test_other_values_are_told(
    step_s: float, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study whose values are not those of the loop fails the benchmark."""
    values = dict(zip(VALUES, (1.0, 2.0, step_s), strict=True))
    found = SimpleNamespace(rows=[SimpleNamespace(values=values)])
    assert compare([[1.0, 2.0, 3.0]], {1: (0.1, found)}, 1) == code
    assert ("DIFFERENT" in capsys.readouterr().out) == bool(code)
