"""What a step asks of each table."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.costs.memory import access
from shardplan.costs.usage import TableUsage
from shardplan.records.sharding import Phase
from tests.helpers import workload

EVERYTHING = workload(
    {"pooling_factor": 8.0, "coverage": 0.25, "num_outputs": 3},
    {"pooling_factor": 8.0, "coverage": 0.25, "is_pooled": False},
    {"is_weighted": True, "access": {"kind": "zipf", "alpha": 1.0}},
    optimizer="rowwise_adagrad",
    index_bytes=4,
)


def test_counts() -> None:
    """Ids, outputs and bytes per id of pooled, sequence and weighted tables."""
    usage = TableUsage.of(EVERYTHING, 4)
    # 1000 samples * 8 * 0.25
    assert usage.num_lookups.tolist() == [2000, 2000, 1000]
    # 3 features per sample; a sequence has an output per id
    assert usage.num_outputs.tolist() == [3000, 2000, 1000]
    # 4 bytes of index, 4 of weight
    assert usage.id_bytes.tolist() == [4, 4, 8]
    # 1000 rows * (128 * 4 + 4 of state)
    assert usage.stored_bytes.tolist() == [516_000] * 3


@pytest.mark.parametrize("per_rank", [True, False])
def test_a_table_with_its_own_batch(per_rank: bool) -> None:
    """Ids, outputs and lengths follow the table's own batch, not the workload's."""
    table = {"pooling_factor": 50.0, "num_outputs": 2, "batch_factor": 1 / 64}
    sequence = {"pooling_factor": 6.0, "is_pooled": False, "batch_factor": 3.0}
    found = workload(table, sequence, {})
    if per_rank:
        found = found.replace(global_batch_size=None, batch_size=250)
    usage = TableUsage.of(found, 4)
    assert usage.num_samples.tolist() == [1000 / 64, 3000, 1000]
    assert usage.num_lookups.tolist() == [1000 / 64 * 50, 18_000, 1000]
    assert usage.num_outputs.tolist() == [1000 / 64 * 2, 18_000, 1000]
    assert usage.num_lengths.tolist() == [1000 / 64 * 2, 3000, 1000]
    # The dense layers see the vectors of a request for each of its samples.
    assert usage.sample_shape == ((2 + 6 + 1) * 128, 2 + 1 + 1)


def test_ids_that_ranks_send_once() -> None:
    """Different ids of each rank's batch go out, but to no pooled table."""
    curve = [[10, 10], [1000, 100], [2000, 150]]
    sequence = {"pooling_factor": 4.0, "is_pooled": False}
    measured = {**sequence, "unique_ids": curve}
    tables = (measured, sequence, {**measured, "is_pooled": True})
    plain = TableUsage.of(workload(*tables), 4)
    assert plain.num_sent.tolist() == [4000] * 3
    # Each of 4 ranks has 1000 ids; those of a table without a curve are independent.
    usage = TableUsage.of(workload(*tables, dedup=True), 4)
    expected = 4 * 1000 * (1 - (1 - 1 / 1000) ** 1000)
    np.testing.assert_allclose(usage.num_sent, [400, expected, 4000])
    assert usage.sends_once.tolist() == [True, True, False]


def test_measured_unique_ids_are_touched_rows() -> None:
    """Rows of a batch follow the curve, and never exceed the table's."""
    table = {"pooling_factor": 4.0, "unique_ids": [[1000, 100], [4000, 200]]}
    usage = TableUsage.of(workload(table), 4)
    assert usage.unique_rows[0] == pytest.approx(200)
    own = usage.unique_rows_among(np.array([0]), np.array([2000.0]))
    assert own[0] == pytest.approx(100 * 2**0.5)
    beyond = usage.unique_rows_among(np.array([0]), np.array([4e9]))
    assert 200 < beyond[0] <= 1000


def test_nobody_looks_up() -> None:
    """A table that is off has lengths and outputs, but neither ids nor rows."""
    usage = TableUsage.of(
        workload({"pooling_factor": 0.0}, {"coverage": 0.0, "is_pooled": False}), 4
    )
    assert usage.num_lookups.tolist() == usage.unique_rows.tolist() == [0, 0]
    assert usage.num_outputs.tolist() == [1000, 0]
    assert usage.num_lengths.tolist() == [1000, 1000]
    assert usage.hit_rate(np.array([0, 1]), np.array([0.5, 1.0])).tolist() == (
        pytest.approx([0.5, 1.0])
    )


def test_batch_per_rank_grows_with_the_cluster() -> None:
    """A batch size per rank is multiplied by the world size."""
    grows = EVERYTHING.replace(global_batch_size=None, batch_size=250)
    assert TableUsage.of(grows, 4).batch_size == 1000
    assert TableUsage.of(grows, 8).batch_size == 2000
    assert TableUsage.of(EVERYTHING, 8).batch_size == 1000


@pytest.mark.parametrize(
    ("pipeline", "depth"),
    [("none", 1), ("sparse_dist", 2), ("prefetch_sparse_dist", 3)],
)
def test_pipeline_depth(pipeline: str, depth: int) -> None:
    """Each stage that runs ahead keeps one more batch of ids."""
    usage = TableUsage.of(workload({}, pipeline=pipeline), 4)
    assert usage.pipeline_depth == depth


def test_wire_types() -> None:
    """Outputs and gradients have their own element sizes."""
    dtypes = {"forward": "fp16", "backward": "mxfp8"}
    usage = TableUsage.of(workload({}, comm_dtypes=dtypes), 4)
    assert usage.element_bytes(Phase.FWD_COMMS) == 2
    assert usage.element_bytes(Phase.BWD_COMMS) == 8.25 / 8


def test_distinct_rows_have_a_closed_form() -> None:
    """Uniform lookups touch E * (1 - (1 - 1/E)^n) rows, of all or of some ids."""
    usage = TableUsage.of(workload({"num_embeddings": 500}), 4)
    assert usage.unique_rows[0] == pytest.approx(500 * (1 - (1 - 1 / 500) ** 1000))
    some = usage.unique_rows_among(np.array([0]), np.array([250.0]))
    assert some[0] == pytest.approx(500 * (1 - (1 - 1 / 500) ** 250))


def test_access_is_the_tables_own_or_the_default() -> None:
    """A table without a distribution has the workload's."""
    tables = workload(
        {}, {"access": {"kind": "uniform"}}, access={"kind": "zipf", "alpha": 2.0}
    )
    unique = TableUsage.of(tables, 4).unique_rows
    assert unique[0] < unique[1] / 2


def test_shares_are_worked_out_once_per_pair() -> None:
    """Hit rates and hot masses of many shards equal those of one table each."""
    usage = TableUsage.of(EVERYTHING, 4)
    table = np.array([2, 0, 2, 1, 2])
    share = np.array([0.1, 0.5, 0.1, 1.0, 0.5])
    bins = access.RowBins(usage.bins.probability[table], usage.bins.num_rows[table])
    np.testing.assert_allclose(
        usage.hit_rate(table, share), access.lru_hit_rate(bins, share * 1000)
    )
    np.testing.assert_allclose(
        usage.hottest_mass(table, share), access.hottest_mass(bins, share * 1000)
    )
    nothing = np.zeros(0, dtype=np.int64)
    assert usage.hit_rate(nothing, np.zeros(0)).shape == (0,)


def test_measured_misses_are_those_of_caches() -> None:
    """Straight between points, the last one beyond; others stay as they are."""
    curve = [[100, 0.5], [500, 0.2]]
    usage = TableUsage.of(workload({"miss_ratio": curve}, {}), 4)
    shares = np.array([0.0, 0.05, 0.1, 0.3, 0.9])
    found = usage.hit_rate(np.zeros(5, dtype=np.int64), shares)
    np.testing.assert_allclose(found, [0, 0.25, 0.5, 0.65, 0.8])
    plain = TableUsage.of(workload({}, {}), 4)
    other = np.ones(5, dtype=np.int64)
    assert (usage.hit_rate(other, shares) == plain.hit_rate(other, shares)).all()
