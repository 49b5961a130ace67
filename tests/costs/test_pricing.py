"""Prices of shards: seconds per phase and bytes per tier, each derived by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardplan.costs.cluster import Cluster
from shardplan.costs.pricing import ShardPrices, price
from shardplan.costs.rates import ClassRates
from shardplan.costs.scopes import SCOPES, Scope
from shardplan.costs.shards import DTYPES, KERNELS, ShardArrays
from shardplan.costs.usage import TableUsage
from shardplan.records.sharding import PHASES, ComputeKernel, Phase
from shardplan.records.tables import DType
from tests.helpers import (
    CLUSTERS,
    COST_MODEL,
    ONE_HOST,
    TWO_HOSTS,
    host_group,
    topology,
    workload,
)

if TYPE_CHECKING:
    from shardplan.records.topology import Topology

# 1000 samples * 10 ids, uniform over a million rows of 128 fp32.
TABLE = {"num_embeddings": 1_000_000, "pooling_factor": 10.0}
IDS = 10_000.0
UNIQUE = 1e6 * (1 - (1 - 1e-6) ** IDS)
ROW = 512.0
FORWARD_BW, BACKWARD_BW = 0.8e12, 0.5e12
SORT = 2.5e-10


def shard(**changes: Any) -> ShardArrays:
    """Make a whole table on one rank, with changes."""
    values: dict[str, Any] = {
        "table": 0,
        "sharding_type": 1,
        "kernel": "fused",
        "dtype": "fp32",
        "scope": Scope.RANK,
        "columns": 128,
        "rows": 1_000_000,
        "row_share": 1.0,
        "is_partial": False,
        "is_replicated": False,
        "hbm_share": 1.0,
        "ddr_share": 0.0,
        **changes,
    }
    for name in ("id_share", "unique_share"):
        values.setdefault(name, values["row_share"])
    values["kernel"] = KERNELS.index(ComputeKernel(values["kernel"]))
    values["dtype"] = DTYPES.index(DType(values["dtype"]))
    return ShardArrays(**{name: np.array([value]) for name, value in values.items()})


def prices(
    shards: ShardArrays,
    *tables: dict[str, Any],
    topology: Topology = ONE_HOST,
    **changes: Any,
) -> ShardPrices:
    cluster = Cluster.of(topology)
    usage = TableUsage.of(
        workload(*(tables or (TABLE,)), **changes), cluster.world_size
    )
    return price(shards, usage, ClassRates.of(cluster, COST_MODEL))


def seconds(found: ShardPrices, phase: Phase) -> float:
    return float(found.cost[0, 0, PHASES.index(phase)])


def test_table_wise() -> None:
    """A whole table in HBM on one of four ranks."""
    found = prices(shard())
    # Each id reads 8 bytes and a row; each of 1000 outputs 8 bytes and a row.
    forward = IDS * (8 + ROW) + 1000 * (8 + ROW)
    assert seconds(found, Phase.FWD_COMPUTE) == pytest.approx(forward / FORWARD_BW)
    # Each id reads a gradient; each distinct row is read and written.
    backward = (IDS * ROW + 2 * UNIQUE * ROW) / BACKWARD_BW + IDS * SORT
    assert seconds(found, Phase.BWD_COMPUTE) == pytest.approx(backward)
    assert seconds(found, Phase.PREFETCH_COMPUTE) == 0
    # 3/4 of everything leaves the rank at 80 GB/s: ids, outputs, gradients.
    per_byte = 0.75 / 0.8e11
    ids = IDS * 8 + 1000 * 8
    assert seconds(found, Phase.INPUT_DIST) == pytest.approx(ids * per_byte)
    assert seconds(found, Phase.FWD_COMMS) == pytest.approx(1000 * ROW * per_byte)
    assert seconds(found, Phase.BWD_COMMS) == pytest.approx(1000 * ROW * per_byte)
    # Rows; ids of 2 batches in flight; outputs and their gradients.
    stored = 1e6 * ROW + 2 * IDS * 8 + 2 * 1000 * ROW
    assert found.tier_bytes[0].tolist() == [stored, 0, 0]


def test_batch_of_a_table() -> None:
    """A table of 1/4 of the samples costs what it costs at 1/4 of the batch."""
    own = prices(shard(), {**TABLE, "batch_factor": 0.25})
    small = prices(shard(), TABLE, global_batch_size=250)
    assert own.cost.tolist() == small.cost.tolist()
    assert own.tier_bytes.tolist() == small.tier_bytes.tolist()


def test_poolings_are_outputs() -> None:
    """Twenty poolings of one id each send twenty vectors, for twenty ids."""
    table = {"num_embeddings": 1_000_000, "pooling_factor": 20.0, "num_outputs": 20}
    found = prices(shard(), table)
    sent = 0.75 / 0.8e11 * ROW * 20 * 1000
    assert seconds(found, Phase.FWD_COMMS) == pytest.approx(sent)
    forward = 20_000 * (8 + ROW) + 20_000 * (8 + ROW)
    assert seconds(found, Phase.FWD_COMPUTE) == pytest.approx(forward / FORWARD_BW)


def test_a_table_without_lookups() -> None:
    """Zeros are pooled, sent and held; no row is read or updated."""
    found = prices(shard(), {**TABLE, "pooling_factor": 0.0})
    forward = 1000 * (8 + ROW) / FORWARD_BW
    assert seconds(found, Phase.FWD_COMPUTE) == pytest.approx(forward)
    assert seconds(found, Phase.BWD_COMPUTE) == 0
    per_byte = 0.75 / 0.8e11
    assert seconds(found, Phase.INPUT_DIST) == pytest.approx(1000 * 8 * per_byte)
    assert seconds(found, Phase.FWD_COMMS) == pytest.approx(1000 * ROW * per_byte)
    assert found.tier_bytes[0].tolist() == [1e6 * ROW + 2 * 1000 * ROW, 0, 0]


@pytest.mark.parametrize(
    ("optimizer", "state"),
    [("adam", 1024), ("lamb", 1024), ("partial_rowwise_lamb", 516), ("lars_sgd", 512)],
)
def test_state_is_read_written_and_stored(optimizer: str, state: float) -> None:
    """Each touched row's state moves twice; every row keeps it."""
    found, plain = prices(shard(), optimizer=optimizer), prices(shard())
    extra = 2 * UNIQUE * state / BACKWARD_BW
    assert seconds(found, Phase.BWD_COMPUTE) == pytest.approx(
        seconds(plain, Phase.BWD_COMPUTE) + extra
    )
    assert found.tier_bytes[0, 0] == plain.tier_bytes[0, 0] + 1e6 * state


def test_keys_of_a_hash_table() -> None:
    """Every row of a shard has its key, also in each of several column shards."""
    plain, narrow = prices(shard()), prices(shard(columns=32))
    table = {**TABLE, "key_bytes": 12}
    found = prices(shard(), table).tier_bytes[0, 0]
    assert found == plain.tier_bytes[0, 0] + 12e6
    found = prices(shard(columns=32), table).tier_bytes[0, 0]
    assert found == narrow.tier_bytes[0, 0] + 12e6


def test_gradients_without_an_update() -> None:
    """Gradients of touched rows are written for another to apply, and held."""
    found = prices(shard(dtype="fp16"), {**TABLE, "dtype": "fp16"}, optimizer="none")
    backward = (IDS * ROW + 2 * UNIQUE * ROW) / BACKWARD_BW + IDS * SORT
    assert seconds(found, Phase.BWD_COMPUTE) == pytest.approx(backward)
    plain = prices(shard(dtype="fp16"), {**TABLE, "dtype": "fp16"})
    held = found.tier_bytes[0, 0] - plain.tier_bytes[0, 0]
    assert held == pytest.approx(UNIQUE * ROW)


def test_messages_in_fewer_bits() -> None:
    """Outputs travel in their type: fp16 forward, MX of 8.25 bits backward."""
    dtypes = {"forward": "fp16", "backward": "mxfp8"}
    found = prices(shard(), comm_dtypes=dtypes)
    per_byte = 0.75 / 0.8e11
    assert seconds(found, Phase.FWD_COMMS) == pytest.approx(1000 * 256 * per_byte)
    assert seconds(found, Phase.BWD_COMMS) == pytest.approx(1000 * 132 * per_byte)


def test_column_shard() -> None:
    """A quarter of the columns sees all ids, and pays for narrow rows."""
    found = prices(shard(columns=32))
    forward = 1.5 * (IDS * (8 + 128) + 1000 * (8 + 128))
    assert seconds(found, Phase.FWD_COMPUTE) == pytest.approx(forward / FORWARD_BW)
    whole = prices(shard())
    assert seconds(found, Phase.INPUT_DIST) == seconds(whole, Phase.INPUT_DIST)
    assert seconds(found, Phase.FWD_COMMS) == pytest.approx(
        seconds(whole, Phase.FWD_COMMS) / 4
    )


def test_row_shard_over_all_ranks() -> None:
    """A quarter of the rows gets a quarter of the ids and reduces all outputs."""
    found = prices(
        shard(rows=250_000, row_share=0.25, is_partial=True, scope=Scope.ALL)
    )
    forward = IDS / 4 * (8 + ROW) + 1000 * (8 + ROW)
    assert seconds(found, Phase.FWD_COMPUTE) == pytest.approx(forward / FORWARD_BW)
    backward = (IDS / 4 * ROW + 2 * UNIQUE / 4 * ROW) / BACKWARD_BW + IDS / 4 * SORT
    assert seconds(found, Phase.BWD_COMPUTE) == pytest.approx(backward)
    # Reduce-scatter of all outputs: 3/4 of 1000 rows at 80 GB/s.
    assert seconds(found, Phase.FWD_COMMS) == pytest.approx(1000 * ROW * 0.75 / 0.8e11)
    # Every row shard is told the length of every bag.
    ids = IDS / 4 * 8 + 1000 * 8
    assert seconds(found, Phase.INPUT_DIST) == pytest.approx(ids * 0.75 / 0.8e11)


def test_row_shard_over_a_host() -> None:
    """Partial sums are reduced in the host, then 1/4 of them goes to all ranks."""
    found = prices(
        shard(rows=250_000, row_share=0.25, is_partial=True, scope=Scope.HOST),
        topology=TWO_HOSTS,
    )
    # 1000 rows of outputs: 3/4 over NVLink at 80 GB/s, then half of a quarter over
    # the rank's NIC at 5 GB/s.
    expected = 1000 * ROW * (0.75 / 0.8e11 + 0.25 * 0.5 / 5e9)
    assert seconds(found, Phase.FWD_COMMS) == pytest.approx(expected)


def test_row_shard_over_some_ranks() -> None:
    """Ranks that are no group send their partial sums by all-to-all."""
    found = prices(
        shard(rows=500_000, row_share=0.5, is_partial=True), topology=TWO_HOSTS
    )
    assert seconds(found, Phase.FWD_COMMS) == pytest.approx(1000 * ROW * 0.5 / 5e9)


def test_sequence_table_sends_rows_and_not_sums() -> None:
    """An unpooled row shard answers its own ids only, by all-to-all."""
    table = {**TABLE, "is_pooled": False}
    found = prices(
        shard(rows=250_000, row_share=0.25, is_partial=True, scope=Scope.ALL), table
    )
    per_byte = 0.75 / 0.8e11
    # Two passes over the vectors on each side of the exchange.
    passes = 4 * IDS / 4 * ROW / FORWARD_BW
    assert seconds(found, Phase.FWD_COMMS) == pytest.approx(
        IDS / 4 * ROW * per_byte + passes
    )
    # Ids are cut, exchanged and ordered in 72 bytes each, then looked up.
    forward = IDS / 4 * (72 + 8 + ROW) + IDS / 4 * (8 + ROW)
    assert seconds(found, Phase.FWD_COMPUTE) == pytest.approx(forward / FORWARD_BW)


def test_a_copy_of_sequences_expands_what_it_looked_up() -> None:
    """A rank looks its different ids up, and copies their vectors to all; or back."""
    curve = [[100, 100], [2500, 400]]
    table = {**TABLE, "is_pooled": False, "unique_ids": curve}
    copy = shard(kernel="dense", is_replicated=True, scope=Scope.ALL)
    plain, once = (prices(copy, table, dedup=dedup) for dedup in (False, True))
    own = IDS / 4

    def saved(phase: Phase) -> float:
        return seconds(plain, phase) - seconds(once, phase)

    lookups = (own - 400) * (8 + ROW + 8 + ROW) / FORWARD_BW
    expanded = (400 + own) * ROW / FORWARD_BW + own * SORT
    assert saved(Phase.FWD_COMPUTE) == pytest.approx(lookups - expanded)
    gradients = (own - 400) * (ROW / BACKWARD_BW + SORT)
    summed = 400 * ROW / FORWARD_BW + 2 * own * ROW / BACKWARD_BW
    assert saved(Phase.BWD_COMPUTE) == pytest.approx(gradients - summed)
    assert seconds(once, Phase.FWD_COMMS) == seconds(once, Phase.INPUT_DIST) == 0


def test_caches_miss_as_often_where_ids_are_sent_once() -> None:
    """What is sent once would have hit the next time."""
    table = {**TABLE, "access": {"kind": "zipf", "alpha": 1.0}, "is_pooled": False}
    cached = shard(kernel="fused_uvm_caching", hbm_share=0.9)
    plain, once = (prices(cached, table, dedup=dedup) for dedup in (False, True))
    upkeep = seconds(plain, Phase.PREFETCH_COMPUTE) - seconds(
        once, Phase.PREFETCH_COMPUTE
    )
    usage = TableUsage.of(workload(table, dedup=True), 4)
    per_id = COST_MODEL.host_memory.cache_upkeep_s_per_id.value
    assert upkeep == pytest.approx((IDS - usage.num_sent[0]) * per_id)


def test_replicated_table() -> None:
    """A rank works on its own quarter of the batch and all ranks add up gradients."""
    rows = 1000
    table = {"num_embeddings": rows}
    found = prices(
        shard(kernel="dense", rows=rows, is_replicated=True, scope=Scope.ALL),
        table,
        optimizer="adagrad",
    )
    forward = 250 * (8 + ROW) + 250 * (8 + ROW)
    assert seconds(found, Phase.FWD_COMPUTE) == pytest.approx(forward / FORWARD_BW)
    # Gradients of the touched rows are added up; the optimizer reads and writes all
    # rows and states, after zeroing and before reading all gradients.
    touched = rows * (1 - (1 - 1 / rows) ** 250)
    update = 250 * ROW + 2 * touched * ROW + rows * (2 * ROW + 2 * (ROW + ROW))
    backward = update / BACKWARD_BW + 250 * SORT
    assert seconds(found, Phase.BWD_COMPUTE) == pytest.approx(backward)
    # All-reduce: 2 * 3/4 of 1000 rows at 80 GB/s; nothing else is sent.
    all_reduce = 2 * rows * ROW * 0.75 / 0.8e11
    assert seconds(found, Phase.BWD_COMMS) == pytest.approx(all_reduce)
    assert seconds(found, Phase.INPUT_DIST) == seconds(found, Phase.FWD_COMMS) == 0
    # Weights, state and gradients of all rows, ids of 2 batches, outputs twice.
    stored = rows * (ROW + ROW + ROW) + 2 * 250 * 8 + 2 * 250 * ROW
    assert found.tier_bytes[0].tolist() == [stored, 0, 0]


def test_gradients_of_a_replicated_table_in_fewer_bits() -> None:
    """The all-reduce uses the dense type of messages."""
    copy = shard(kernel="dense", is_replicated=True, scope=Scope.ALL)
    half = prices(copy, comm_dtypes={"dense": "bf16"})
    assert seconds(half, Phase.BWD_COMMS) == pytest.approx(
        seconds(prices(copy), Phase.BWD_COMMS) / 2
    )


def test_rows_in_host_memory() -> None:
    """UVM reads rows over the rank's share of PCIe; outputs are in HBM."""
    found = prices(shard(kernel="fused_uvm", hbm_share=0.0, ddr_share=1.0))
    hbm = IDS * 8 + 1000 * (8 + ROW)
    # Each of 100 multiprocessors fetches the distinct rows of its 100 ids.
    fetched = 100 * 1e6 * (1 - (1 - 1e-6) ** 100)
    expected = hbm / FORWARD_BW + fetched * ROW / 4e9
    assert seconds(found, Phase.FWD_COMPUTE) == pytest.approx(expected)
    backward = IDS * ROW / BACKWARD_BW + UNIQUE * ROW / 5e9 + IDS * SORT
    assert seconds(found, Phase.BWD_COMPUTE) == pytest.approx(backward)
    buffers = 2 * IDS * 8 + 2 * 1000 * ROW
    assert found.tier_bytes[0].tolist() == [buffers, 1e6 * ROW, 0]


def test_cache_of_rows() -> None:
    """A cache of a tenth of uniform rows serves about a tenth of the ids."""
    found = prices(shard(kernel="fused_uvm_caching", hbm_share=0.1, ddr_share=1.0))
    whole = prices(shard())
    for phase in (Phase.FWD_COMPUTE, Phase.BWD_COMPUTE, Phase.FWD_COMMS):
        assert seconds(found, phase) == seconds(whole, phase)
    # Uniform: every row is as likely, so h = C / E exactly; 9000 missed ids are
    # fewer than the distinct rows, and cross PCIe at 4 GB/s; upkeep is 2 ns per id.
    expected = 9000 * ROW / 4e9 + IDS * 2e-9
    assert seconds(found, Phase.PREFETCH_COMPUTE) == pytest.approx(expected, rel=1e-3)
    # Slots of a row and 16 bytes, 4 bytes for every row of the table, buffers.
    hbm = 1e5 * (ROW + 16) + 1e6 * 4 + 2 * IDS * 8 + 2 * 1000 * ROW
    np.testing.assert_allclose(found.tier_bytes[0], [hbm, 1e6 * ROW, 0])


@pytest.mark.parametrize(
    ("optimizer", "per_element", "per_row"),
    [
        ("sgd", 0, 0),
        ("rowwise_adagrad", 0, 4),
        ("adagrad", 512, 0),
        ("adam", 1024, 0),
        ("partial_rowwise_adam", 512, 4),
    ],
)
def test_state_of_rows_in_host_memory(
    optimizer: str, per_element: float, per_row: float
) -> None:
    """State per element is in host memory, updated in place; per row, in HBM."""
    cached = shard(kernel="fused_uvm_caching", hbm_share=0.1, ddr_share=1.0)
    in_place = shard(kernel="fused_uvm", hbm_share=0.0, ddr_share=1.0)
    for some, over_link in ((cached, per_element), (in_place, ROW + per_element)):
        found, plain = prices(some, optimizer=optimizer), prices(some, optimizer="sgd")
        hbm, ddr, _ = found.tier_bytes[0] - plain.tier_bytes[0]
        assert (hbm, ddr) == pytest.approx((1e6 * per_row, 1e6 * per_element))
        # Neither fetched into a cache nor read by lookups.
        for phase in (Phase.PREFETCH_COMPUTE, Phase.FWD_COMPUTE):
            assert seconds(found, phase) == seconds(plain, phase)
        rows = ROW if some is cached else 0.0
        in_hbm = IDS * ROW + 2 * UNIQUE * (rows + per_row)
        expected = in_hbm / BACKWARD_BW + UNIQUE * over_link / 5e9 + IDS * SORT
        assert seconds(found, Phase.BWD_COMPUTE) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("optimizer", "with_row", "on_device"),
    [("rowwise_adagrad", 0, 4), ("adam", 1024, 0), ("partial_rowwise_adam", 516, 0)],
)
def test_state_of_rows_on_ssd(
    optimizer: str, with_row: float, on_device: float
) -> None:
    """State per row alone is on the device; other state goes with its row."""
    some = shard(kernel="key_value", hbm_share=0.1, ddr_share=0.2)
    found, plain = prices(some, optimizer=optimizer), prices(some, optimizer="sgd")
    expected = 1e6 * np.array([0.1 * with_row + on_device, 0.2 * with_row, with_row])
    np.testing.assert_allclose(found.tier_bytes[0] - plain.tier_bytes[0], expected)


def test_repeats_come_from_the_cache() -> None:
    """Rows and gradients that were read before come at the rate of the L2."""
    lookup = COST_MODEL.lookup
    rates = {
        f"l2_{name}_efficiency": lookup.forward_efficiency.replace(value=value)
        for name, value in (("forward", 0.5), ("backward", 0.25))
    }
    model = COST_MODEL.replace(lookup=lookup.replace(**rates))
    # 64 KB for 128 rows of 512 bytes, at 8 TB/s * 0.5 and 0.25.
    device = {**host_group()["device"], "l2_bytes": 65536}
    cluster = Cluster.of(topology(device={**device, "l2_bw": 8e12}))
    table = {"num_embeddings": 1000, "pooling_factor": 100.0}
    usage = TableUsage.of(workload(table), cluster.world_size)
    found = price(shard(rows=1000), usage, ClassRates.of(cluster, model))
    # 100,000 ids of 1000 rows: 12.8 % hit the cache, and so do gradients of 1000 bags.
    hits = 1e5 * 128 / 1000
    hbm = 1e5 * 8 + (1e5 - hits) * ROW + 1000 * (8 + ROW)
    expected = hbm / FORWARD_BW + hits * ROW / 4e12
    assert seconds(found, Phase.FWD_COMPUTE) == pytest.approx(expected)
    moved = (1e5 - hits) * ROW + 2 * 1000 * ROW
    expected = moved / BACKWARD_BW + hits * ROW / 2e12 + 1e5 * SORT
    assert seconds(found, Phase.BWD_COMPUTE) == pytest.approx(expected)
    # As large a cache as all rows need leaves one read of each.
    device["l2_bytes"] = 10**6
    cluster = Cluster.of(topology(device={**device, "l2_bw": 8e12}))
    found = price(shard(rows=1000), usage, ClassRates.of(cluster, model))
    hbm = 1e5 * 8 + 1000 * ROW + 1000 * (8 + ROW)
    expected = hbm / FORWARD_BW + (1e5 - 1000) * ROW / 4e12
    assert seconds(found, Phase.FWD_COMPUTE) == pytest.approx(expected)


def test_low_precision_rows_with_a_full_precision_cache() -> None:
    """E rows in int8 behind a cache of f * E rows in fp32 with their state."""
    found = prices(
        shard(kernel="fused_uvm_caching", dtype="int8", hbm_share=0.1, ddr_share=1.0),
        optimizer="rowwise_adagrad",
    )
    # Low: 128 + 8 of scale and bias. Full: 512. State per row is on the device.
    buffers = 2 * IDS * 8 + 2 * 1000 * ROW
    hbm = 1e5 * (512 + 16) + 1e6 * 4 + 1e6 * 4 + buffers
    np.testing.assert_allclose(found.tier_bytes[0], [hbm, 1e6 * 136, 0])
    # Lookups read the cached rows in full; only the fetched ones are small.
    full = prices(
        shard(kernel="fused_uvm_caching", hbm_share=0.1, ddr_share=1.0),
        optimizer="rowwise_adagrad",
    )
    assert seconds(found, Phase.FWD_COMPUTE) == seconds(full, Phase.FWD_COMPUTE)
    assert seconds(found, Phase.BWD_COMPUTE) == seconds(full, Phase.BWD_COMPUTE)
    expected = 9000 * 136 / 4e9 + IDS * 2e-9
    assert seconds(found, Phase.PREFETCH_COMPUTE) == pytest.approx(expected, rel=1e-3)


def test_static_split() -> None:
    """The hottest tenth of the rows is in HBM only, the others in DDR only."""
    table = {**TABLE, "access": {"kind": "cdf", "points": [[0.1, 0.8]]}}
    found = prices(shard(kernel="fused_uvm_split", hbm_share=0.1, ddr_share=0.9), table)
    # 80 % of the ids hit HBM; 20 % read rows over PCIe at 4 GB/s.
    hbm = IDS * 8 + 0.8 * IDS * ROW + 1000 * (8 + ROW)
    expected = hbm / FORWARD_BW + 0.2 * IDS * ROW / 4e9
    assert seconds(found, Phase.FWD_COMPUTE) == pytest.approx(expected, rel=1e-6)
    buffers = 2 * IDS * 8 + 2 * 1000 * ROW
    # 8 bytes for every row say where it is.
    stored = [1e6 * (0.1 * ROW + 8) + buffers, 0.9e6 * ROW, 0]
    np.testing.assert_allclose(found.tier_bytes[0], stored)
    assert seconds(found, Phase.PREFETCH_COMPUTE) == 0


def test_split_of_everything_and_of_nothing() -> None:
    """All rows in HBM cost what `fused` costs, none what UVM does."""
    ends = {1.0: shard(), 0.0: shard(kernel="fused_uvm", hbm_share=0.0)}
    for share, same in ends.items():
        some = shard(kernel="fused_uvm_split", hbm_share=share, ddr_share=1 - share)
        np.testing.assert_allclose(prices(some).cost, prices(same).cost)


def test_cold_rows_of_a_split_are_at_most_those_in_host_memory() -> None:
    """Many ids touch every row, but only a tenth of the rows is cold."""
    table = {"num_embeddings": 1000, "pooling_factor": 100.0}
    some = shard(kernel="fused_uvm_split", rows=1000, hbm_share=0.9, ddr_share=0.1)
    found = prices(some, table)
    backward = (1e5 * ROW + 2 * 900 * ROW) / BACKWARD_BW + 100 * ROW / 5e9 + 1e5 * SORT
    assert seconds(found, Phase.BWD_COMPUTE) == pytest.approx(backward, rel=1e-6)


def test_rows_on_ssd() -> None:
    """A miss in both caches reads a block and writes a row; DDR holds its cache."""
    found = prices(shard(kernel="key_value", hbm_share=0.1, ddr_share=0.2))
    # h(0.1) = 0.1 and h(0.3) = 0.3: 9000 rows cross PCIe, 7000 come from the SSD.
    # Half of 400,000 reads/s over 4 ranks is 50,000/s, slower than 500 MB/s / 4096.
    expected = 9000 * ROW / 4e9 + IDS * 2e-9 + 7000 / 5e4 + 7000 * ROW / 2.5e8
    assert seconds(found, Phase.PREFETCH_COMPUTE) == pytest.approx(expected, rel=1e-3)
    hbm = 1e5 * (ROW + 16) + 1e6 * 4 + 2 * IDS * 8 + 2 * 1000 * ROW
    np.testing.assert_allclose(found.tier_bytes[0], [hbm, 0.2e6 * ROW, 1e6 * ROW])


@pytest.mark.parametrize(
    ("optimizer", "state"),
    [("sgd", 0), ("rowwise_adagrad", 4), ("adagrad", 512), ("adam", 1024)],
)
def test_optimizer_states(optimizer: str, state: float) -> None:
    """States are stored with the rows, and read and written with them."""
    found = prices(shard(), optimizer=optimizer)
    buffers = 2 * IDS * 8 + 2 * 1000 * ROW
    assert found.tier_bytes[0, 0] == 1e6 * (ROW + state) + buffers
    backward = (IDS * ROW + 2 * UNIQUE * (ROW + state)) / BACKWARD_BW + IDS * SORT
    assert seconds(found, Phase.BWD_COMPUTE) == pytest.approx(backward)


@pytest.mark.parametrize(
    ("dtype", "row"),
    [
        ("fp32", 512),
        ("fp16", 256),
        ("bf16", 256),
        ("fp8", 128),
        ("int8", 136),
        ("int4", 80),
        ("mxfp8", 132),
        ("mxfp6", 100),
        ("mxfp4", 68),
    ],
)
def test_every_row_type(dtype: str, row: int) -> None:
    """Rows are stored in their type and read in whole sectors of 32 bytes."""
    found = prices(shard(dtype=dtype))
    buffers = 2 * IDS * 8 + 2 * 1000 * ROW
    assert found.tier_bytes[0, 0] == 1e6 * row + buffers
    sectors = -(-row // 32) * 32
    forward = IDS * (8 + sectors) + 1000 * (8 + ROW)
    assert seconds(found, Phase.FWD_COMPUTE) == pytest.approx(forward / FORWARD_BW)


@pytest.mark.parametrize(
    ("pipeline", "depth"),
    [("none", 1), ("sparse_dist", 2), ("prefetch_sparse_dist", 3)],
)
def test_buffers_grow_with_the_pipeline(pipeline: str, depth: int) -> None:
    """Every batch in flight keeps its ids; outputs exist once, with gradients."""
    found = prices(shard(), pipeline=pipeline)
    assert found.tier_bytes[0, 0] == 1e6 * ROW + depth * IDS * 8 + 2 * 1000 * ROW


def test_weights_travel_with_ids() -> None:
    """A weighted id has 12 bytes instead of 8, in messages and in memory."""
    found = prices(shard(), {**TABLE, "is_weighted": True})
    per_byte = 0.75 / 0.8e11
    expected = (IDS * 12 + 1000 * 8) * per_byte
    assert seconds(found, Phase.INPUT_DIST) == pytest.approx(expected)
    assert found.tier_bytes[0, 0] == 1e6 * ROW + 2 * IDS * 12 + 2 * 1000 * ROW


def test_cpu_ranks_keep_rows_in_host_memory() -> None:
    """On a CPU everything that HBM would hold is in DDR."""
    found = prices(shard(), topology=CLUSTERS["cpu"])
    stored = 1e6 * ROW + 2 * IDS * 8 + 2 * 1000 * ROW
    assert found.tier_bytes[0].tolist() == [0, stored, 0]


def test_classes_of_ranks_have_their_own_prices() -> None:
    """A class of half the memory bandwidth takes twice as long."""
    cost = prices(shard(), topology=CLUSTERS["mixed"]).cost[0]
    forward = PHASES.index(Phase.FWD_COMPUTE)
    assert cost[1, forward] == pytest.approx(2 * cost[0, forward])


@pytest.mark.parametrize("kernel", ["fused", "fused_uvm", "fused_uvm_caching"])
@pytest.mark.parametrize("scope", SCOPES)
def test_one_rank_knows_no_cuts(kernel: str, scope: Scope) -> None:
    """On a single rank a table cut by rows costs exactly what a whole one does."""
    options = {"kernel": kernel, "hbm_share": 0.2, "ddr_share": 1.0}
    one_rank = CLUSTERS["one_rank"]
    whole = prices(shard(**options), topology=one_rank)
    cut = prices(shard(**options, scope=scope, is_partial=True), topology=one_rank)
    assert whole.cost.tolist() == cut.cost.tolist()
    assert whole.tier_bytes.tolist() == cut.tier_bytes.tolist()


SHARD_KINDS = st.fixed_dictionaries(
    {
        "kernel": st.sampled_from([k for k in ComputeKernel if k != "dense"]),
        "dtype": st.sampled_from([d for d in DType if d != "tf32"]),
        "scope": st.sampled_from(SCOPES),
        "hbm_share": st.floats(0.01, 0.5),
        "ddr_share": st.floats(0.0, 0.5),
        "row_share": st.floats(0.01, 1.0),
        "is_partial": st.booleans(),
    }
)


@settings(max_examples=60, deadline=None)
@given(SHARD_KINDS, st.integers(1, 32), st.integers(1, 10**6), st.booleans())
def test_prices_grow_with_bytes(
    kind: dict[str, Any], width: int, rows: int, is_pooled: bool
) -> None:
    """More columns or more rows of one penalty class never cost less anything."""
    changes = {"is_pooled": is_pooled, "num_embeddings": 10**6}
    kind["rows"] = rows

    def found(**more: Any) -> ShardPrices:
        return prices(shard(**{**kind, **more}), {**TABLE, **changes})

    base = found(columns=64 + 4 * width)
    wider, taller = (
        found(columns=132 + 4 * width),
        found(columns=64 + 4 * width, rows=10**6),
    )
    for more in (wider, taller):
        assert (more.cost >= base.cost * (1 - 1e-12)).all()
        assert (more.tier_bytes >= base.tier_bytes * (1 - 1e-12)).all()


RATES = ["forward_bw", "backward_bw", "uvm_forward_bw", "uvm_backward_bw", "miss_bw"]
RATES += ["ssd_iops", "ssd_read_bw", "ssd_write_bw"]


@settings(max_examples=60, deadline=None)
@given(SHARD_KINDS, st.sampled_from(RATES), st.floats(1.0, 100.0))
def test_prices_fall_with_bandwidth(
    kind: dict[str, Any], rate: str, factor: float
) -> None:
    """A faster memory never makes any phase slower, and changes no bytes."""
    cluster = Cluster.of(CLUSTERS["mixed"])
    usage = TableUsage.of(workload(TABLE), cluster.world_size)
    rates = ClassRates.of(cluster, COST_MODEL)
    faster = replace(rates, **{rate: getattr(rates, rate) * factor})
    base, found = (price(shard(**kind), usage, r) for r in (rates, faster))
    assert (found.cost <= base.cost * (1 + 1e-12)).all()
    assert (found.cost >= base.cost / factor * (1 - 1e-12)).all()
    assert found.tier_bytes.tolist() == base.tier_bytes.tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(SHARD_KINDS, min_size=2, max_size=6))
def test_shards_are_priced_one_by_one(kinds: list[dict[str, Any]]) -> None:
    """The price of a shard does not depend on the shards beside it."""
    shards = [shard(**kind) for kind in kinds]
    names = ShardArrays.__dataclass_fields__
    together = ShardArrays(
        **{n: np.concatenate([getattr(s, n) for s in shards]) for n in names}
    )
    found = prices(together)
    for index, one in enumerate(shards):
        alone = prices(one)
        # 1e-6: the searches for hit rates stop at a tolerance.
        np.testing.assert_allclose(found.cost[index], alone.cost[0], rtol=1e-6)
        np.testing.assert_allclose(found.tier_bytes[index], alone.tier_bytes[0])
    assert len(together.take(np.array([0]))) == 1
