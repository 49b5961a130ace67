"""Knobs: which values a range or choices have, and what they refuse."""

from __future__ import annotations

import math

import pytest

from shardplan.records.study import Knob
from shardplan.studies.codesign.space import (
    DesignSpace,
    DesignVariable,
    read_knob,
)

BANDWIDTH = "topology.host_groups.*.scale_out.nic_bw"
MEMORY = "topology.host_groups.*.device.hbm_bytes"


def knob(
    key: str = "topology.fabric.oversubscription", **data: object
) -> DesignVariable:
    """The variable of a knob as a file has it."""
    return read_knob(key, Knob.model_validate(data))


def test_a_range_has_units() -> None:
    """100 Gb/s are 12.5 GB/s, and so are its ends."""
    found = knob(BANDWIDTH, low="100 Gb/s", high="1600 Gb/s", log=True)
    assert (found.low, found.high, found.is_log) == (12.5e9, 200e9, True)
    assert found.size == math.inf


def test_a_value_without_step_has_three_digits() -> None:
    """Nobody builds a link of 123.4567 GB/s; the ends are as they are."""
    found = knob(BANDWIDTH, low=12.345e9, high=200e9, log=True)
    assert found.settle(123.4567e9) == 123e9
    assert found.settle(12.345e9) == 12.345e9
    assert found.value(123e9) == 123_000_000_000


@pytest.mark.parametrize("log", [True, False])
def test_steps(log: bool) -> None:
    """Values are low and so many steps more, as far as high."""
    found = knob(low=0.1, high=0.75, step=0.2, log=log)
    assert found.size == 4
    drawn = [found.settle(0.1 + 0.005 * i) for i in range(131)]
    assert sorted(set(drawn)) == [0.1, 0.3, 0.5, 0.7]
    low, high = found.bounds
    assert (found.settle(low), found.settle(high)) == (0.1, 0.7)
    assert low > 0 if log else low == 0


def test_whole_numbers() -> None:
    """They are integers, as the field of a file wants them."""
    found = knob("hosts", low=1, high=8, integer=True)
    assert found.size == 8
    assert [found.value(found.settle(x)) for x in (0.5, 3.4, 8.5)] == [1, 3, 8]
    assert type(found.value(3.0)) is int


def test_choices_keep_their_types() -> None:
    """A choice may be text, a number or a list."""
    texts = knob("workload.comm_dtypes.forward", choices=["fp32", "fp16"])
    assert texts.value(1) == "fp16"
    numbers = knob(MEMORY, choices=[40_000_000_000, 80_000_000_000])
    assert numbers.value(0) == 40_000_000_000


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        ({"low": 8, "high": 1}, "low must be below high"),
        ({"low": 1, "high": 1}, "low must be below high"),
        ({"low": 0, "high": 1, "log": True}, "log needs low above 0"),
        ({"low": 1, "high": 8, "step": 0}, "step must be above 0"),
        ({"low": 1, "high": 8, "step": 9}, "step must be above 0"),
        ({"low": 0.5, "high": 8, "integer": True}, "whole numbers"),
        ({"low": 1, "high": 8, "step": 0.5, "integer": True}, "whole numbers"),
        ({"low": "1 Gb/s", "high": 8}, "number"),
        ({"choices": [1, 2, 1]}, "twice"),
    ],
)
def test_refused(data: dict[str, object], rule: str) -> None:
    """Each says the rule that it breaks."""
    with pytest.raises(ValueError, match=rule):
        knob(**data)


def test_space() -> None:
    """A design is one coordinate per knob; sizes multiply."""
    space = DesignSpace(
        (knob("hosts", low=1, high=4, integer=True), knob(choices=["a"]))
    )
    assert space.size == 4
    assert space.values(space.settle((2.2, 0))) == {
        "hosts": 2,
        "topology.fabric.oversubscription": "a",
    }
