"""Constraints that contradict are named when a workload is made."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.helpers import workload

KINDS: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "all types forbidden": (
        [{"sharding_types": ["row_wise"], "forbidden_sharding_types": ["row_wise"]}],
        {},
        "table 't0': forbidden_sharding_types leaves none of the types row_wise",
    ),
    "a default forbids what a table asks for": (
        [{"sharding_types": ["row_wise"]}],
        {"constraints": {"forbidden_sharding_types": ["row_wise"]}},
        "table 't0': forbidden_sharding_types leaves none",
    ),
    "every rank forbidden": (
        [{"ranks": [0, 1], "forbidden_ranks": [0, 1, 2]}],
        {},
        "table 't0': ranks [0, 1] are all among forbidden_ranks",
    ),
    "copies without the dense kernel": (
        [{"sharding_types": ["data_parallel"], "compute_kernels": ["fused"]}],
        {},
        "types data_parallel and compute_kernels fused have no pair",
    ),
    "the dense kernel without copies": (
        [{"forbidden_sharding_types": ["data_parallel"], "compute_kernels": ["dense"]}],
        {},
        "compute_kernels dense have no pair",
    ),
    "shards wider than the table": (
        [{"min_column_width": 129, "sharding_types": ["column_wise"]}],
        {},
        "min_column_width 129 at least, and the table has 128 columns",
    ),
    "no room for two shards": (
        [{"sharding_types": ["column_wise", "grid_shard"]}],
        {"constraints": {"min_column_width": 96}},
        "type column_wise, grid_shard needs two shards of min_column_width 96",
    ),
    "together and apart": (
        [{}, {}, {}],
        {"colocate": [["t0", "t1"], ["t1", "t2"]], "separate": [["t0", "t2"]]},
        "separate[0] keeps 't0' apart from 't2', and colocate keeps them together",
    ),
    "apart from itself": (
        [{}, {}],
        {"separate": [["t0", "t1"], ["t1", "t1"]]},
        "separate[1] keeps 't1' apart from itself",
    ),
    "apart, but on every rank": (
        [{"sharding_types": ["data_parallel"]}, {}],
        {"separate": [["t0", "t1"]]},
        "separate[0] keeps 't0' from the ranks of others, and data_parallel",
    ),
    "together without a common type": (
        [{"sharding_types": ["row_wise"]}, {"sharding_types": ["table_wise"]}],
        {"colocate": [["t0", "t1"]]},
        "colocate: 't0', 't1' have no sharding type in common",
    ),
    "together without a common kernel": (
        [{"compute_kernels": ["fused"]}, {"compute_kernels": ["fused_uvm"]}],
        {"colocate": [["t0", "t1"]]},
        "colocate: 't0', 't1' have no compute kernel in common",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_contradictions_are_named(kind: str) -> None:
    """The error names the table or group and both sides."""
    limits, changes, message = KINDS[kind]
    with pytest.raises(ValidationError) as caught:
        workload(*({"constraints": limit} for limit in limits), **changes)
    assert "contradiction: " in str(caught.value)
    assert message in str(caught.value)


def test_what_can_be_met() -> None:
    """A width that only keeps tables whole, ranks that are left, groups of groups."""
    model = workload(
        {"constraints": {"min_column_width": 200}},
        {"embedding_dim": 16},
        {"constraints": {"forbidden_sharding_types": ["data_parallel"]}},
        {"constraints": {"sharding_types": ["column_wise"], "min_column_width": 64}},
        {"constraints": {"ranks": [0, 1], "forbidden_ranks": [1]}},
        constraints={"min_column_width": 32},
        colocate=[["t1", "t2"]],
        separate=[["t2", "t3"], ["t1", "t4"]],
    )
    assert "data_parallel" not in model.tables[2].constraints.usable_types


def test_many_contradictions_are_cut_short() -> None:
    """Ten are listed, and how many more there are."""
    with pytest.raises(ValidationError, match="; and 5 more"):
        workload(*[{"constraints": {"ranks": [0], "forbidden_ranks": [0]}}] * 15)
