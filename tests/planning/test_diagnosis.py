"""Where nothing is left for a table, the message names the rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import InfeasibleError
from shardplan.planning.planner import solve
from tests.helpers import CLUSTERS, COST_MODEL, ONE_HOST, TWO_HOSTS, workload

if TYPE_CHECKING:
    from shardplan.records.topology import Topology

ONE_RANK = CLUSTERS["one_rank"]


def limited(**constraints: Any) -> dict[str, Any]:
    return {"constraints": constraints}


def refusal(
    *tables: dict[str, Any],
    target: str = "any",
    on: Topology = TWO_HOSTS,
    **changes: Any,
) -> InfeasibleError:
    with pytest.raises(InfeasibleError) as caught:
        solve(
            workload(*tables, **changes), on, COST_MODEL, target=target, solver="greedy"
        )
    return caught.value


@pytest.mark.parametrize(
    ("table", "target", "on", "message"),
    [
        (
            {"embedding_dim": 1, **limited(sharding_types=["table_wise"])},
            "torchrec",
            TWO_HOSTS,
            "t0 has 1 column: TorchRec only replicates tables whose width is no "
            "multiple of 4; pad to 4 or allow data_parallel; allowed here: table_wise",
        ),
        (
            limited(
                sharding_types=["table_wise"],
                compute_kernels=["dense", "fused_uvm_split"],
            ),
            "torchrec",
            TWO_HOSTS,
            "t0: kernel dense only exists with data_parallel; allowed here: table_wise",
        ),
        (
            {"embedding_dim": 10, **limited(compute_kernels=["fused"])},
            "torchrec",
            TWO_HOSTS,
            "t0: data_parallel only exists with kernel dense; allowed here: fused",
        ),
        (
            limited(sharding_types=["table_row_wise"]),
            "hugectr",
            TWO_HOSTS,
            "t0: HugeCTR has only data_parallel, table_wise, column_wise, row_wise, "
            "grid_shard; allowed here: table_row_wise",
        ),
        (
            {"is_pooled": False, **limited(sharding_types=["grid_shard"])},
            "torchrec",
            TWO_HOSTS,
            "TorchRec only has data_parallel, table_wise, column_wise, row_wise for "
            "sequence embeddings; allowed here: grid_shard",
        ),
        (
            limited(compute_kernels=["fused_uvm_split"]),
            "torchrec",
            TWO_HOSTS,
            "TorchRec has only kernels dense, fused, fused_uvm_caching, fused_uvm, "
            "key_value; allowed here: fused_uvm_split",
        ),
        (
            limited(compute_kernels=["fused_uvm"]),
            "any",
            CLUSTERS["cpu"],
            "ranks on CPUs have only kernels dense, fused; allowed here: fused_uvm",
        ),
        (
            {"dtype": "fp16"},
            "hugectr",
            TWO_HOSTS,
            "HugeCTR stores rows as fp32 only; set the table's dtype, or allow one "
            "with constraint dtypes; allowed here: fp16",
        ),
        (
            {"dtype": "int4", "embedding_dim": 15},
            "any",
            TWO_HOSTS,
            "t0 has 15 columns: int4 rows need an even number; allowed here: int4",
        ),
        (
            {"embedding_dim": 10, **limited(sharding_types=["column_wise"])},
            "any",
            TWO_HOSTS,
            "t0 has 10 columns: columns are cut in multiples of 4; pad to 12",
        ),
        (
            {"embedding_dim": 4, **limited(sharding_types=["column_wise"])},
            "any",
            TWO_HOSTS,
            "t0 has 4 columns: a column shard has 4 at least",
        ),
        (
            limited(
                sharding_types=["column_wise", "table_row_wise"], min_column_width=65
            ),
            "hugectr",
            TWO_HOSTS,
            "t0 has 128 columns: min_column_width 65 leaves one shard",
        ),
        (
            {"embedding_dim": 44, **limited(sharding_types=["column_wise"])},
            "hugectr",
            TWO_HOSTS,
            "t0 has 44 columns: HugeCTR cuts columns into equal slices, and no number "
            "of them from 2 to 8 (ranks) gives multiples of 4",
        ),
        (
            limited(sharding_types=["row_wise"]),
            "any",
            ONE_RANK,
            "t0: row_wise needs several ranks",
        ),
        (
            limited(sharding_types=["table_row_wise", "table_column_wise"]),
            "any",
            ONE_RANK,
            "t0: table_row_wise needs several ranks in one host or domain; "
            "table_column_wise needs several ranks in one host",
        ),
        (
            {"num_embeddings": 3, **limited(sharding_types=["table_row_wise"])},
            "any",
            ONE_HOST,
            "t0 has 3 rows, fewer than the shards of any cut left",
        ),
        (
            {
                "embedding_dim": 12,
                **limited(sharding_types=["column_wise"], ranks=[0, 1]),
            },
            "hugectr",
            TWO_HOSTS,
            "t0: may use 2 of 8 ranks (ranks, hosts, forbidden_ranks), too few for "
            "what else is allowed: column_wise",
        ),
    ],
)
def test_the_rule_is_named_and_no_memory(
    table: dict[str, Any], target: str, on: Topology, message: str
) -> None:
    """One table, one rule that leaves nothing; memory excluded nothing."""
    error = refusal(table, {}, target=target, on=on)
    assert message in str(error)
    assert str(error).startswith("infeasible: 1 of 2 tables has no legal option: t0")
    assert "GB" not in str(error)
    assert "any one of these" not in str(error)
    assert error.proven
    assert not error.shortfalls


def test_tables_of_one_reason_are_named_together() -> None:
    """Several tables and several reasons."""
    narrow = {"embedding_dim": 2, **limited(sharding_types=["table_wise"])}
    kernels = ["dense", "fused_uvm_split"]
    dense = limited(sharding_types=["table_wise"], compute_kernels=kernels)
    text = str(refusal(narrow, dense, narrow, {}, target="torchrec"))
    assert text.startswith(
        "infeasible: 3 of 4 tables have no legal option:\n- t0, t2 have"
    )
    assert "\n- t1: kernel dense only" in text


def test_colocated_tables_without_a_common_option() -> None:
    """What each may use is listed: 12 columns have 3 equal slices, 8 have 2."""
    columns = limited(sharding_types=["column_wise"], compute_kernels=["fused"])
    text = str(
        refusal(
            {"embedding_dim": 12, **columns},
            {"embedding_dim": 8, **columns},
            target="hugectr",
            colocate=[["t0", "t1"]],
        )
    )
    assert "t0+t1: stay together (colocate), which asks for one way to cut" in text
    assert "t0 column_wise with fused; t1 column_wise with fused" in text
    assert "GB" not in text


def test_a_colocated_table_without_options_is_named() -> None:
    """The rule is that of one member."""
    narrow = {"embedding_dim": 6, **limited(sharding_types=["table_wise"])}
    text = str(refusal({}, narrow, target="torchrec", colocate=[["t0", "t1"]]))
    assert "t0+t1: t1 has 6 columns: TorchRec only replicates" in text


def test_separate_tables_that_take_all_ranks() -> None:
    """TorchRec cuts rows over all ranks, so every other table is met."""
    kinds = limited(sharding_types=["data_parallel", "row_wise"])
    text = str(refusal(kinds, {}, target="torchrec", separate=[["t0", "t1"]]))
    assert "t0: shares no rank with t1 (separate), but what else is allowed" in text
    assert "takes all ranks: data_parallel, row_wise" in text


def test_separate_tables_on_too_few_ranks() -> None:
    """Three tables for two ranks; a search finds nothing, and this is why."""
    pinned = limited(ranks=[0, 1], sharding_types=["table_wise"])
    error = refusal(pinned, pinned, pinned, separate=[["t0", "t1", "t2"]])
    assert "t0, t1, t2 share no rank with each other (separate)" in str(error)
    assert "the 2 ranks that they may use" in str(error)
    assert error.proven


def test_a_dense_part_that_leaves_no_memory_is_named() -> None:
    """Tables are not to blame where layers take all there is."""
    wide = {"num_dense": 10**6, "bottom_mlp": [100_000, 1_000_000]}
    here = limited(compute_kernels=["fused"])
    memory = str(refusal(here, dense=wide)).split("\n")[0]
    assert (
        "a rank has 0 B (0.0 GiB) of HBM for embeddings (dense parameters: " in memory
    )
    assert "context and libraries: " in memory


def test_too_large_tables_keep_their_figures() -> None:
    """Where memory is the reason, sizes are said; other tables keep their rules."""
    large = {"num_embeddings": 10**9, **limited(sharding_types=["table_wise"])}
    narrow = {"embedding_dim": 2, **limited(sharding_types=["table_wise"])}
    error = refusal(large, narrow, target="torchrec")
    rules, memory = str(error).split("\n")[:2]
    assert rules.startswith("infeasible: 1 of 2 tables has no legal option: t1 has 2")
    assert "no legal option that fits, even alone: t0. t0 stores 512.0 GB" in memory
    assert [shortfall.tables for shortfall in error.shortfalls] == [("t0",)]
