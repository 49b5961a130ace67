"""The values that lists and rules of axes make."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardplan.records.study import Axis
from shardplan.studies.values import count_of, values_of

NIC = "topology.host_groups.*.scale_out.nic_bw"
BATCH = "workload.global_batch_size"


@pytest.mark.parametrize(
    ("key", "axis", "values"),
    [
        ("gap", {"linear": [0.1, 0.4], "step": 0.1}, [0.1, 0.2, 0.3, 0.4]),
        ("hosts", {"linear": [1, 9], "step": 3}, [1, 4, 7]),
        ("hosts", {"linear": [4, 4], "step": 1}, [4]),
        ("hosts", {"geometric": [1, 31], "factor": 2}, [1, 2, 4, 8, 16]),
        ("gap", {"geometric": [0.001, 1.0], "factor": 10}, [0.001, 0.01, 0.1, 1.0]),
        (BATCH, {"geometric": ["16 Ki", "64 Ki"], "factor": 2}, [16384, 32768, 65536]),
        (BATCH, {"linear": ["1 k", "3 k"], "step": "1 k"}, [1000, 2000, 3000]),
        (
            NIC,
            {"linear": ["100 Gb/s", 25e9], "step": "50 Gb/s"},
            [12.5e9, 18.75e9, 25e9],
        ),
        (NIC, {"scale": [0.5, 2]}, [0.5, 2.0]),
        (NIC, ["200 Gb/s", 5e10], ["200 Gb/s", 5e10]),
    ],
)
def test_values(key: str, axis: Any, values: list[object]) -> None:
    """Ends are met in decimal arithmetic; whole numbers stay whole, text text."""
    found = values_of(key, Axis.model_validate(axis))
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("key", "axis", "rule"),
    [
        ("hosts", {"linear": [2, 1], "step": 1}, "FIRST <= LAST"),
        ("hosts", {"linear": [1, 2], "step": 0}, "step > 0"),
        ("hosts", {"linear": [1, 2], "step": -1}, "step > 0"),
        ("hosts", {"geometric": [0, 2], "factor": 2}, "0 < FIRST"),
        ("hosts", {"geometric": [4, 2], "factor": 2}, "FIRST <= LAST"),
        ("hosts", {"linear": [1, "two"], "step": 1}, "must be a number"),
        ("hosts", {"linear": [1, None], "step": 1}, "must be a number"),
        ("hosts", {"linear": [1, True], "step": 1}, "must be a number"),
        (NIC, {"linear": ["1 Gb/s", "2 GB"], "step": 1}, "unit of bytes, not bytes/s"),
        ("gap", {"linear": [0, 1], "step": 1e-7}, "more than 1,000,000 values"),
        (
            "gap",
            {"geometric": [1e-300, 1e300], "factor": 1.0001},
            "more than 1,000,000",
        ),
    ],
)
def test_rules_that_make_none(key: str, axis: Any, rule: str) -> None:
    """Ends in the wrong order, of another unit, or too far apart."""
    for function in (values_of, count_of):
        with pytest.raises(ValueError, match=rule):
            function(key, Axis.model_validate(axis))


@given(
    st.integers(1, 1000),
    st.integers(0, 1000),
    st.fractions(1, 50, max_denominator=100).filter(lambda step: step > 1),
    st.sampled_from(["linear", "geometric"]),
)
def test_count_says_how_many(first: int, more: int, by: Any, kind: str) -> None:
    """Counting makes as many as listing; all lie between the ends and increase."""
    extra = {"linear": "step", "geometric": "factor"}[kind]
    axis = Axis.model_validate({kind: [first, first + more], extra: float(by)})
    values = values_of("hosts", axis)
    assert len(values) == count_of("hosts", axis)
    assert values[0] == first
    assert values == sorted(set(values))
    assert values[-1] <= (first + more) * (1 + 1e-6)
