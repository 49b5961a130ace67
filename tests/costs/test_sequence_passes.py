"""Passes over sequences around their exchange, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.costs.cluster import Cluster
from shardplan.costs.rates import ClassRates
from shardplan.costs.scopes import Scope
from shardplan.costs.sequence_passes import (
    buffer_bytes,
    exchange_seconds,
    expand_seconds,
    id_seconds,
)
from shardplan.costs.usage import TableUsage
from shardplan.records.cost_model import SequenceModel
from shardplan.records.sharding import Phase
from tests.costs.test_pricing import shard
from tests.helpers import COST_MODEL, ONE_HOST, topology, workload

if TYPE_CHECKING:
    from shardplan.costs.shards import ShardArrays

# A rank of four has 2,500 of 10,000 ids, 400 of them different; vectors of 512 bytes.
IDS, UNIQUE, ROW = 10_000.0, 1600.0, 512.0
TABLE = {
    "num_embeddings": 1_000_000,
    "pooling_factor": 10.0,
    "is_pooled": False,
    "unique_ids": [[2500, 400]],
}
# Of 1 TB/s.
PASS_BW, SCATTER_BW = 0.5e12, 0.1e12
WHOLE = shard()
ROWS = shard(rows=250_000, row_share=0.25, is_partial=True, scope=Scope.ALL)
COLUMNS = shard(columns=64)
FORWARD, BACKWARD = Phase.FWD_COMMS, Phase.BWD_COMMS


def _rates(cluster: Cluster) -> ClassRates:
    def share(value: float) -> dict[str, Any]:
        return {"value": value, "unit": "fraction", "source": "made up for tests"}

    sequences = SequenceModel.model_validate(
        {"pass_efficiency": share(0.5), "scatter_efficiency": share(0.1)}
    )
    return ClassRates.of(cluster, COST_MODEL.replace(sequences=sequences))


RATES = _rates(Cluster.of(ONE_HOST))


def usage_of(**changes: Any) -> TableUsage:
    """Use the table on four ranks, with changes of the workload."""
    return TableUsage.of(workload(TABLE, **changes), 4)


def passes(phase: Phase, shards: ShardArrays, **changes: Any) -> float:
    """Return the bytes that a shard's vectors move, in vectors of 128 columns."""
    found = exchange_seconds(phase, shards, usage_of(**changes), RATES)
    return float(found[0, 0] * PASS_BW / ROW)


def test_whole_vectors_are_put_in_order() -> None:
    """Forward into the order of the ranks; backward back, and divided."""
    assert passes(FORWARD, WHOLE) == pytest.approx(2 * IDS)
    assert passes(BACKWARD, WHOLE) == pytest.approx((2 + 2) * IDS)


def test_row_shards_come_out_of_buckets() -> None:
    """The receiver undoes what it cut its ids into, and sums gradients back."""
    assert passes(FORWARD, ROWS) == pytest.approx((2 + 2) * IDS / 4)
    assert passes(BACKWARD, ROWS) == pytest.approx((2 + 2 + 4) * IDS / 4)


def test_a_hot_row_shard_has_more_to_put_in_order() -> None:
    """Half of the ids are its own; ranks receive no more than others for that."""
    hot = shard(
        rows=250_000, row_share=0.25, id_share=0.5, is_partial=True, scope=Scope.ALL
    )
    assert passes(FORWARD, hot) == pytest.approx(2 * IDS / 2 + 2 * IDS / 4)
    assert passes(BACKWARD, hot) == pytest.approx((2 + 2) * IDS / 2 + 4 * IDS / 4)


def test_column_shards_are_put_together() -> None:
    """Half as wide vectors, read and written once more in both directions."""
    assert passes(FORWARD, COLUMNS) == pytest.approx((2 + 2) * IDS / 2)
    assert passes(BACKWARD, COLUMNS) == pytest.approx((2 + 2 + 2) * IDS / 2)


def test_a_narrow_wire_is_encoded_and_decoded() -> None:
    """fp16: 3.5 vectors to clamp and cast, 1.5 to cast back."""
    narrow = {"comm_dtypes": {"forward": "fp16", "backward": "bf16"}}
    assert passes(FORWARD, WHOLE, **narrow) == pytest.approx((2 + 3.5 + 1.5) * IDS)
    assert passes(BACKWARD, WHOLE, **narrow) == pytest.approx((4 + 3.5 + 1.5) * IDS)


def test_ids_that_are_sent_once() -> None:
    """All but the copy to all ids is done for the different ones."""
    assert passes(FORWARD, ROWS, dedup=True) == pytest.approx(
        (2 + 2 + 1) * UNIQUE / 4 + IDS / 4
    )
    atomic = 2 * IDS / 4 * PASS_BW / SCATTER_BW
    assert passes(BACKWARD, ROWS, dedup=True) == pytest.approx(
        (2 + 2 + 4 + 1) * UNIQUE / 4 + atomic
    )
    assert passes(FORWARD, COLUMNS, dedup=True) == pytest.approx(
        ((2 + 1) * UNIQUE + (1 + 2) * IDS) / 2
    )


@pytest.mark.parametrize("phase", [FORWARD, BACKWARD])
def test_nothing_is_expanded_that_is_sent_for_each_id(phase: Phase) -> None:
    """Only ids that are sent once have vectors to be copied."""
    assert not expand_seconds(phase, ROWS, usage_of(), RATES).any()


def test_ids() -> None:
    """72 bytes per id and row shard, 32 without; the sort of all of a rank's own."""

    def seconds(shards: ShardArrays, **changes: Any) -> float:
        return float(id_seconds(shards, usage_of(**changes), RATES)[0, 0])

    sort = COST_MODEL.lookup.sort_s_per_id.value
    assert seconds(WHOLE) == pytest.approx(32 * IDS / PASS_BW)
    assert seconds(ROWS) == pytest.approx(72 * IDS / 4 / PASS_BW)
    assert seconds(ROWS, dedup=True) == pytest.approx(
        72 * UNIQUE / 4 / PASS_BW + sort * IDS / 4
    )


def test_buffers() -> None:
    """Vectors in order of the ranks, and on a narrow wire clamped and encoded."""
    narrow = {"comm_dtypes": {"forward": "fp16"}}
    for changes, copies in (({}, 1.0), (narrow, 2.5)):
        held = buffer_bytes(ROWS, usage_of(**changes), RATES)
        np.testing.assert_allclose(held, copies * IDS / 4 * ROW)
    held = buffer_bytes(WHOLE, usage_of(dedup=True), RATES)
    np.testing.assert_allclose(held, UNIQUE * ROW)


def test_what_stays_on_its_rank() -> None:
    """Copies, bags, and the tables of a rank alone are not exchanged."""
    copy = shard(is_replicated=True, scope=Scope.ALL)
    bags = TableUsage.of(workload({**TABLE, "is_pooled": True}, dedup=True), 4)
    alone = _rates(Cluster.of(topology(local_world_size=1)))
    for shards, usage, rates in (
        (copy, usage_of(), RATES),
        (WHOLE, bags, RATES),
        (WHOLE, TableUsage.of(workload(TABLE), 1), alone),
    ):
        for phase in (FORWARD, BACKWARD):
            assert not exchange_seconds(phase, shards, usage, rates).any()
        assert not id_seconds(shards, usage, rates).any()
        assert not buffer_bytes(shards, usage, rates).any()
