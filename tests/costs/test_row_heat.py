"""Shares of the fullest row shard, against sums over single rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardplan.costs.row_heat import HEAT_WEIGHTS, RowHeat
from shardplan.costs.usage import TableUsage
from tests.helpers import workload

ROWS = 1000
ZIPF = {"kind": "zipf", "alpha": 1.05}
HOT = {"pooling_factor": 5.0, "access": ZIPF}


def heat_of(*tables: dict[str, Any], **changes: Any) -> RowHeat:
    return TableUsage.of(workload(*tables, **changes), 4).row_heat


def fullest(heat: RowHeat, shards: int, weight: float = 0.0) -> list[float]:
    """Return what shards of table 0 have at most: ids, distinct rows, rows."""
    one = np.array([0])
    found = heat.shares(one, np.array([shards]), np.array([weight]))
    return [float(values[0]) for values in found]


def test_ids_that_are_sent_once() -> None:
    """Distinct rows are those of a rank's own batch, so more of them are hot ones."""
    table = {**HOT, "is_pooled": False}
    found = fullest(heat_of(table, row_routing="blocks", dedup=True), 4)
    distinct = 1.0 - (1.0 - popularity()) ** (5000 / 4)
    assert found[1] == pytest.approx(distinct[:250].sum() / distinct.sum(), rel=0.01)
    assert found[0] == fullest(heat_of(table, row_routing="blocks"), 4)[0]


def popularity(alpha: float = 1.05, rows: int = ROWS) -> np.ndarray:
    weight = np.arange(1, rows + 1.0) ** -alpha
    return weight / weight.sum()


def test_nothing_said_is_equally_hot() -> None:
    """Without a word all shares are the same numbers as ever, to the last bit."""
    heat = heat_of(HOT)
    assert heat.known == {}
    for shards in (1, 3, 7, 64):
        assert fullest(heat, shards) == [1 / shards, 1 / shards, -(-ROWS // shards)]


def test_ids_in_order_of_popularity() -> None:
    """The first block has the first rows, so their lookups and distinct rows."""
    found = fullest(heat_of(HOT, row_routing="blocks"), 4)
    share = popularity()
    distinct = 1.0 - (1.0 - share) ** 5000
    # 1 %: rows behind the first 32 are in bins of equally likely ones.
    assert found[0] == pytest.approx(share[:250].sum(), rel=0.01)
    assert found[1] == pytest.approx(distinct[:250].sum() / distinct.sum(), rel=0.01)
    assert found[0] > 0.75
    assert found[2] == 250


@pytest.mark.parametrize("shards", [2, 4, 32, 200])
def test_dealt_rows(shards: int) -> None:
    """Shard 0 has ids 0, k, 2k and so on; popular ids are as good as dealt."""
    found = fullest(heat_of(HOT, row_routing="modulo"), shards)
    assert found[0] == pytest.approx(popularity()[::shards].sum(), rel=0.01)
    assert found[1] == 1 / shards


@pytest.mark.parametrize("alpha", [0.6, 0.95, 1.2, 1.6])
@pytest.mark.parametrize("shards", [4, 8, 64])
def test_shuffled_rows(alpha: float, shards: int) -> None:
    """The hottest of random parts: within 6 % of a simulation of 200 of them."""
    rows, rng = 20_000, np.random.default_rng(3)
    share = popularity(alpha, rows)
    each = -(-rows // shards)
    starts = np.arange(0, rows, each)
    tries = [np.add.reduceat(rng.permutation(share), starts).max() for _ in range(200)]
    table = {**HOT, "num_embeddings": rows, "access": {**ZIPF, "alpha": alpha}}
    found = fullest(heat_of(table, row_routing="hash"), shards)
    assert found[0] == pytest.approx(np.mean(tries), rel=0.06)


def test_shuffled_equal_rows_are_equal() -> None:
    """Where no row is hotter than another, no part is."""
    heat = heat_of({}, row_routing="hash")
    assert fullest(heat, 8)[0] == pytest.approx(1 / 8, rel=1e-9)


def test_measured_blocks() -> None:
    """Shards add up the blocks that they have, and parts of them."""
    heat = heat_of({"block_heat": [0.1, 0.6, 0.2, 0.1]})
    assert fullest(heat, 4)[:1] == [pytest.approx(0.6)]
    assert fullest(heat, 2)[:1] == [pytest.approx(0.7)]
    assert fullest(heat, 8)[:1] == [pytest.approx(0.3)]
    # 1,000 lookups in 1,000 equal rows touch 632; the hot block has only 250.
    touched = 1000 * (1 - (1 - 1e-3) ** 1000)
    assert fullest(heat, 4)[1] == pytest.approx(250 / touched)


def test_measured_skew() -> None:
    """A ratio holds where it was measured; half as many halvings, its root."""
    heat = heat_of({"row_skew": {"ratio": 2.25, "shards": 16}})
    assert fullest(heat, 16)[0] == pytest.approx(2.25 / 16)
    assert fullest(heat, 4)[0] == pytest.approx(1.5 / 4)
    assert fullest(heat, 256)[0] == pytest.approx(2.25**2 / 256)
    assert fullest(heat, 1)[0] == 1.0
    every = [fullest(heat, shards)[0] for shards in range(1, 300)]
    assert every == sorted(every, reverse=True)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=40).filter(lambda s: sum(s) > 0.01),
    st.integers(40, 10**9),
    st.integers(2, 40),
    st.sampled_from(HEAT_WEIGHTS),
)
def test_uneven_cuts(
    shares: list[float], rows: int, shards: int, weight: float
) -> None:
    """They tile the table, and hold what the weight promises, up to one row."""
    blocks = (np.array(shares) / sum(shares)).tolist()
    heat = heat_of({"num_embeddings": rows, "block_heat": blocks})
    sizes = heat.cut(0, shards, weight)
    assert sum(sizes) == rows
    assert min(sizes) > 0
    assert len(sizes) == shards
    if rows < 10_000:
        return  # a row may be a shard's whole share
    hottest_row = max(blocks) * len(blocks) / rows
    ids, _ = heat.of_sizes(0, sizes)
    assert ids <= 1 / (weight * shards) + (shards + 1) * hottest_row
    if weight < 1.0:
        assert max(sizes) <= rows / ((1.0 - weight) * shards) + shards + 1


def test_a_row_that_is_hotter_than_a_shard() -> None:
    """It gets a shard of its own, as far as rows can be cut."""
    steep = {**HOT, "access": {"kind": "zipf", "alpha": 2.0}}
    heat = heat_of(steep, row_routing="blocks")
    sizes = heat.cut(0, 4, 1.0)
    assert sizes[:2] == (1, 1)
    found = fullest(heat, 4, 1.0)
    assert found[0] == pytest.approx(popularity(2.0)[0], rel=1e-3)
    assert found[2] == max(sizes)


def test_uneven_cuts_are_cooler() -> None:
    """Ids by popularity put most on the first of 8 even shards, a row at most else."""
    heat = heat_of({**HOT, "num_embeddings": 10**6}, row_routing="blocks")
    even, half, most, only = (fullest(heat, 8, w)[0] for w in (0.0, *HEAT_WEIGHTS))
    assert even > 0.7
    hottest = float(popularity(rows=10**6)[0])
    assert only < most < half < 2 / 8 + hottest
    assert only < 1 / 8 + hottest


def test_sizes_from_elsewhere() -> None:
    """A shard of twice the even rows counts as twice the fullest even one."""
    heat = heat_of({"row_skew": {"ratio": 1.5, "shards": 4}})
    assert heat.of_sizes(0, (250,) * 4).ids == pytest.approx(1.5 / 4)
    assert heat.of_sizes(0, (500, 200, 200, 100)).ids == pytest.approx(3 / 4)
    assert heat.of_sizes(0, (1000, 0, 0, 0)).ids == 1.0


def test_nobody_looks_up() -> None:
    """A table that is off has even shares of nothing, whatever is said of its heat."""
    off = {"pooling_factor": 0.0, "access": ZIPF}
    skew = {"ratio": 2.0, "shards": 4}
    for table in (
        {**off, "row_routing": "blocks"},
        {**off, "block_heat": [0.7, 0.3]},
        {**off, "row_skew": skew},
    ):
        ids, unique, _ = fullest(heat_of(table), 4)
        assert 0.25 <= unique <= ids < 1.0


def test_a_few_rows_make_a_skew() -> None:
    """The fullest shard has more ids, but no more distinct rows than others."""
    heat = heat_of({**HOT, "row_skew": {"ratio": 2.0, "shards": 4}})
    assert fullest(heat, 4) == [0.5, 0.25, 250]
