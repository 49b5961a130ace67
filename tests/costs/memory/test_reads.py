"""Which reads come from memory, from a cache, or over the link to the host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardplan.costs.cluster import Cluster
from shardplan.costs.memory.reads import (
    gradients_from_memory,
    rows_from_host,
    rows_from_memory,
)
from shardplan.costs.rates import ClassRates
from shardplan.costs.scopes import Scope
from shardplan.costs.shards import ShardArrays, Volumes, volumes_of
from shardplan.costs.usage import TableUsage
from shardplan.records.sharding import ComputeKernel
from tests.helpers import COST_MODEL, MIXED, workload

# 1000 samples * 100 ids, uniform over 10,000 rows of 128 fp32.
TABLE = {"num_embeddings": 10_000, "pooling_factor": 100.0}
UNIQUE = 1e4 * (1 - (1 - 1e-4) ** 1e5)


def case(**changes: Any) -> tuple[ShardArrays, Volumes, TableUsage, ClassRates]:
    """Return a table on one rank of a cluster of two classes, with changes."""
    values: dict[str, Any] = {
        "table": 0,
        "sharding_type": 1,
        "kernel": list(ComputeKernel).index(ComputeKernel.FUSED),
        "dtype": 0,
        "scope": Scope.RANK,
        "columns": 128,
        "rows": 10_000,
        "row_share": 1.0,
        "is_partial": False,
        "is_replicated": False,
        "hbm_share": 1.0,
        "ddr_share": 0.0,
        **changes,
    }
    for name in ("id_share", "unique_share"):
        values.setdefault(name, values["row_share"])
    shards = ShardArrays(**{name: np.array([value]) for name, value in values.items()})
    cluster = Cluster.of(MIXED)
    usage = TableUsage.of(workload(TABLE), cluster.world_size)
    rates = ClassRates.of(cluster, COST_MODEL)
    return shards, volumes_of(shards, usage, cluster.world_size), usage, rates


def test_rows_fit_a_cache_or_not() -> None:
    """A class without a cache reads every id, one of a tenth of the rows misses 0.9."""
    shards, volumes, usage, rates = case()
    rates = replace(rates, l2_forward_bytes=np.array([0.0, 1000 * 512.0]))
    found = rows_from_memory(shards, volumes, volumes.row, usage, rates)
    assert found == pytest.approx(np.array([[1e5, 9e4]]))
    rates = replace(rates, l2_forward_bytes=np.array([1e4 * 512.0, 1e12]))
    found = rows_from_memory(shards, volumes, volumes.row, usage, rates)
    assert found == pytest.approx(np.array([[UNIQUE, UNIQUE]]))


@pytest.mark.parametrize(
    ("dedup", "misses", "found"),
    [(False, 0.95, 9.5e4), (False, 0.02, UNIQUE), (True, 0.3, 3e4), (True, 0.95, None)],
)
def test_a_cache_misses_what_was_measured(
    dedup: bool, misses: float, found: float | None
) -> None:
    """Each different row at least, at most what is sent, which leaves out hits."""
    shards, _, _, rates = case()
    curve = {"miss_ratio": [(1000, misses), (10_000, 0.0)], "is_pooled": not dedup}
    usage = TableUsage.of(workload({**TABLE, **curve}, dedup=dedup), rates.world_size)
    volumes = volumes_of(shards, usage, rates.world_size)
    rates = replace(rates, l2_forward_bytes=np.array([1000 * 512.0] * 2))
    reads = rows_from_memory(shards, volumes, volumes.row, usage, rates)
    expected = volumes.ids[0] if found is None else found
    assert reads == pytest.approx(np.array([[expected, expected]]))


def test_shards_have_the_cache_for_themselves() -> None:
    """A quarter of the rows or of the columns fits four times as well."""
    *_, usage, rates = case()
    rates = replace(rates, l2_forward_bytes=np.array([1000 * 512.0, 1000 * 512.0]))
    for changes in ({"rows": 2500, "row_share": 0.25}, {"columns": 32}):
        shards, volumes, _, _ = case(**changes)
        found = rows_from_memory(shards, volumes, volumes.row, usage, rates)
        assert found == pytest.approx(volumes.ids[0] * 0.6)


def test_gradients_of_bags() -> None:
    """1000 gradient rows serve 100,000 ids, as far as they fit."""
    shards, volumes, _, rates = case()
    rates = replace(rates, l2_backward_bytes=np.array([400 * 512.0, 1e12]))
    found = gradients_from_memory(shards, volumes, rates)
    assert found == pytest.approx(np.array([[6e4, 1e3]]))


def test_multiprocessors_fetch_their_own_rows() -> None:
    """100 of them have 1000 ids each; a device that tells none fetches every id."""
    shards, volumes, usage, rates = case()
    rates = replace(rates, num_sms=np.array([100.0, 0.0]))
    found = rows_from_host(shards, volumes.ids, volumes.unique, usage, rates)
    own = 100 * 1e4 * (1 - (1 - 1e-4) ** 1000)
    assert found == pytest.approx(np.array([[own, 1e5]]))


@given(st.floats(0, 1e12), st.floats(0, 1e12), st.integers(0, 1000))
def test_reads_are_between_distinct_rows_and_ids(
    small: float, large: float, num_sms: int
) -> None:
    """A larger cache never reads more; bounds hold with any."""
    small, large = sorted((small, large))
    shards, volumes, usage, rates = case()
    rates = replace(
        rates,
        l2_forward_bytes=np.array([small, large]),
        l2_backward_bytes=np.array([small, large]),
        num_sms=np.array([num_sms, num_sms + 1.0]),
    )
    found = (
        rows_from_memory(shards, volumes, volumes.row, usage, rates),
        gradients_from_memory(shards, volumes, rates),
    )
    for reads, least in zip(found, (volumes.unique, volumes.outputs), strict=True):
        assert (reads[0, 0] >= reads[0, 1]).all()
        assert (reads >= least * (1 - 1e-12)).all()
        assert (reads <= volumes.ids).all()
    over = rows_from_host(shards, volumes.ids, volumes.unique, usage, rates)
    assert (over >= volumes.unique * (1 - 1e-12)).all()
    assert (over <= volumes.ids).all()
