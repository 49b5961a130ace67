"""Bytes of rows, elements and optimizer states, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.costs.memory.storage import (
    device_state_bytes,
    element_bytes,
    row_bytes,
    state_bytes,
)
from shardplan.records.optimizers import FACTS
from shardplan.records.tables import DType
from shardplan.records.workload import Optimizer


@pytest.mark.parametrize(
    ("dtype", "columns", "expected"),
    [
        ("fp32", 128, 512),  # 128 * 4
        ("fp16", 128, 256),  # 128 * 2
        ("bf16", 12, 24),  # 12 * 2
        ("fp8", 128, 128),  # 128 * 1
        ("int8", 128, 136),  # 128 + scale and bias, 2 * 4
        ("int8", 64, 72),
        ("int4", 128, 80),  # 64 + scale and bias, 2 * 2, to 16
        ("int4", 32, 32),  # 16 + 4, to 16
        ("int4", 10, 16),  # 5 + 4, to 16
        ("mxfp8", 128, 132),  # 4 blocks of 32 * 8 / 8 + 1 = 33
        ("mxfp6", 128, 100),  # 4 blocks of 32 * 6 / 8 + 1 = 25
        ("mxfp4", 128, 68),  # 4 blocks of 32 * 4 / 8 + 1 = 17
        ("mxfp4", 36, 34),  # 36 columns need 2 whole blocks
        ("mxfp8", 4, 33),  # 4 columns still pay for a block
    ],
)
def test_row_bytes(dtype: str, columns: int, expected: float) -> None:
    """A row costs its elements, its scales and its padding."""
    assert row_bytes(DType(dtype), columns) == expected
    assert row_bytes(DType(dtype), np.array([columns] * 2)).tolist() == [expected] * 2


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [
        ("fp32", 32),
        ("tf32", 32),
        ("fp16", 16),
        ("bf16", 16),
        ("fp8", 8),
        ("int8", 8),
        ("int4", 4),
        ("mxfp8", 8.25),
        ("mxfp6", 6.25),
        ("mxfp4", 4.25),
    ],
)
def test_element_bytes(dtype: str, bits: float) -> None:
    """MX elements carry 1/32 of a scale byte; scales of int8 and int4 are not sent."""
    assert element_bytes(DType(dtype)) == bits / 8


def test_every_dtype_has_a_size() -> None:
    """No type is forgotten in either table of sizes."""
    for dtype in DType:
        assert row_bytes(dtype, 32) >= 32 * 4 / 8
        assert element_bytes(dtype) >= 0.5


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("sgd", 0),
        ("none", 0),
        ("rowwise_adagrad", 4),  # one fp32 per row
        ("emainplace_rowwise_adagrad", 4),
        ("adagrad", 512),  # 128 * 4
        ("lars_sgd", 512),
        ("partial_rowwise_adam", 516),  # one moment per element, one per row
        ("partial_rowwise_lamb", 516),
        ("ensemble_rowwise_adagrad", 516),
        ("adam", 1024),  # two moments
        ("lamb", 1024),
    ],
)
def test_state_bytes(optimizer: str, expected: float) -> None:
    """Optimizer states are fp32: per row, or one or two per element."""
    assert state_bytes(Optimizer(optimizer), 128) == expected


@pytest.mark.parametrize(
    ("optimizer", "expected", "expected_on_ssd"),
    [
        ("sgd", 0, 0),
        ("rowwise_adagrad", 4, 4),
        ("adam", 0, 0),
        ("partial_rowwise_adam", 4, 0),  # what is per element takes it along
    ],
)
def test_device_state_bytes(
    optimizer: str, expected: float, expected_on_ssd: float
) -> None:
    """State per row is on the device, wherever the row is."""
    found = device_state_bytes(Optimizer(optimizer), is_on_ssd=np.array([False, True]))
    assert found.tolist() == [expected, expected_on_ssd]


def test_every_optimizer_has_its_facts() -> None:
    """No optimizer is forgotten, and none has facts by default."""
    assert set(FACTS) == set(Optimizer)


def test_column_shards_repeat_the_row_state() -> None:
    """Four column shards keep four row-wise states, but the same element states."""
    four = 4 * state_bytes(Optimizer.ROWWISE_ADAGRAD, 32)
    assert four == 4 * state_bytes(Optimizer.ROWWISE_ADAGRAD, 128)
    assert 4 * state_bytes(Optimizer.ADAM, 32) == state_bytes(Optimizer.ADAM, 128)
    partial = state_bytes(Optimizer.PARTIAL_ROWWISE_ADAM, np.array([4, 32]))
    assert partial.tolist() == [4 * 4 + 4, 32 * 4 + 4]
