"""Bytes that ranks exchange for their shards, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.costs import messages
from shardplan.costs.cluster import Cluster
from shardplan.costs.rates import ClassRates
from shardplan.costs.scopes import Scope
from shardplan.costs.shards import (
    ShardArrays,
    num_ids,
    num_outputs,
    num_requests,
)
from shardplan.costs.usage import TableUsage
from shardplan.records.sharding import Phase
from tests.costs.test_pricing import shard
from tests.helpers import CLUSTERS, COST_MODEL, workload

WORLD = 8
# Of 1,000 samples each: 10 ids of 8 bytes and a bag with a length of 8 bytes.
TABLES = [
    {"num_embeddings": 1_000_000, "pooling_factor": 10.0},
    {"num_embeddings": 1_000_000, "pooling_factor": 10.0, "is_pooled": False},
]


def both(**changes) -> ShardArrays:
    """Make the same shard of the pooled table and of the one that is not."""
    parts = [shard(table=table, **changes) for table in (0, 1)]
    return ShardArrays(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in vars(parts[0])
        }
    )


def usage_of(**changes) -> TableUsage:
    """Use both tables on eight ranks, with changes of the workload."""
    return TableUsage.of(workload(*TABLES, **changes), WORLD)


RATES = ClassRates.of(Cluster.of(CLUSTERS["two_hosts"]), COST_MODEL)
WHOLE = both()
ROWS = both(row_share=0.25, rows=250_000, scope=Scope.HOST, is_partial=True)
COPY = both(is_replicated=True, scope=Scope.ALL)


@pytest.mark.parametrize(
    ("shards", "ids", "lengths"),
    [(WHOLE, 80_000.0, 8_000.0), (ROWS, 20_000.0, 8_000.0), (COPY, 0.0, 0.0)],
)
def test_ids(shards: ShardArrays, ids: float, lengths: float) -> None:
    """A row shard gets its share of the ids, but all lengths; copies get neither."""
    usage = usage_of()
    np.testing.assert_allclose(messages.id_bytes(shards, usage, WORLD), ids)
    np.testing.assert_allclose(messages.length_bytes(shards, usage), lengths)


def test_outputs() -> None:
    """Bags are sent by every rank with some of their rows, single rows by one."""

    def sent(shards: ShardArrays, phase: Phase = Phase.FWD_COMMS) -> list[float]:
        found = messages.output_bytes(phase, shards, usage_of(), RATES)
        assert not found.encode_s[0].any()
        return found.num_bytes.tolist()

    # 1,000 bags, or 10,000 rows, of 128 fp32.
    assert sent(WHOLE) == sent(WHOLE, Phase.BWD_COMMS) == [512e3, 5120e3]
    assert sent(ROWS) == [512e3, 1280e3]
    assert sent(COPY) == [0.0, 0.0]


def test_a_hot_shard() -> None:
    """It gets its share of the ids; where each is sent once, of the distinct rows."""
    hot = both(rows=250_000, row_share=0.25, id_share=0.5, unique_share=0.3)
    plain, once = usage_of(), usage_of(dedup=True)
    assert num_ids(hot, plain, WORLD).tolist() == [5000.0, 5000.0]
    found = num_ids(hot, once, WORLD)
    assert found.tolist() == [5000.0, 0.3 * once.num_sent[1]]
    assert num_outputs(hot, once, WORLD)[1] == found[1]
    assert num_requests(hot, once, WORLD).tolist() == [5000.0, 5000.0]


def test_what_is_added_up() -> None:
    """Partial sums of a scope wider than a rank, where outputs are sums."""
    usage = usage_of()
    assert messages.reduces(ROWS, usage).tolist() == [True, False]
    alone = both(row_share=0.25, is_partial=True)
    for shards in (WHOLE, alone, COPY):
        assert not messages.reduces(shards, usage).any()


def test_sums_stay_plain() -> None:
    """A fourth of whole outputs is sent, of rows that are not summed, too."""
    packed = {"method": "dct", "ratio": 4, "passes": 0}
    usage = usage_of(comm_dtypes={"forward_compression": packed})
    sent = messages.output_bytes(Phase.FWD_COMMS, WHOLE, usage, RATES)
    assert sent.num_bytes.tolist() == [128e3, 1280e3]
    sent = messages.output_bytes(Phase.FWD_COMMS, ROWS, usage, RATES)
    assert sent.num_bytes.tolist() == [512e3, 320e3]
    plain = messages.output_bytes(Phase.BWD_COMMS, WHOLE, usage, RATES)
    assert plain.num_bytes.tolist() == [512e3, 5120e3]


def test_gradients_of_copies() -> None:
    """A copy's gradients are all rows in the type of dense gradients."""
    usage = usage_of(comm_dtypes={"dense": "fp16"})
    assert messages.replica_bytes(COPY, usage).tolist() == [256e6, 256e6]
    assert messages.replica_bytes(WHOLE, usage).tolist() == [0.0, 0.0]
