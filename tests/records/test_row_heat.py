"""What a workload may say of the heat of rows."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shardplan.records.row_heat import RowRouting
from tests.helpers import workload


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"block_heat": [0.5, 0.4]}, "must add up to 1, not 0.9"),
        ({"block_heat": [1.5, -0.5]}, "less than or equal to 1"),
        ({"row_skew": {"ratio": 9.0, "shards": 8}}, "at most n times the mean"),
        ({"row_skew": {"ratio": 0.5, "shards": 8}}, "greater than or equal to 1"),
        ({"row_skew": {"ratio": 1.5, "shards": 1}}, "greater than or equal to 2"),
        ({"row_routing": "random"}, "'blocks', 'modulo' or 'hash'"),
        (
            {"row_routing": "hash", "block_heat": [0.5, 0.5]},
            "give only one of row_routing and block_heat",
        ),
        (
            {"num_embeddings": 3, "block_heat": [0.25] * 4},
            "more blocks than the table has rows",
        ),
    ],
)
def test_what_is_refused(table: dict[str, Any], message: str) -> None:
    """Each message says which number is wrong, or what may not be together."""
    with pytest.raises(ValidationError, match=message):
        workload(table)


def test_shares_may_be_rounded() -> None:
    """Three digits of thirds add up to 0.999."""
    assert workload({"block_heat": [0.333] * 3}).tables[0].block_heat == (0.333,) * 3


def test_a_default_gives_way_to_what_was_measured() -> None:
    """A table's own routing, its blocks or its skew go before the workload's."""
    skew = {"ratio": 2.0, "shards": 8}
    tables = ({}, {"row_routing": "hash"}, {"block_heat": [1.0]}, {"row_skew": skew})
    model = workload(*tables, row_routing="blocks")
    found = [model.routing(table) for table in model.tables]
    assert found == [RowRouting.BLOCKS, RowRouting.HASH, None, None]
    assert workload({}).routing(workload({}).tables[0]) is None
