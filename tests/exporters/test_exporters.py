"""Exports that need no framework: HugeCTR, manifest, SBP, and the TorchRec document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shardplan.checking import check
from shardplan.errors import InputError
from shardplan.exporters import EXPORTERS, export, exporter_names
from shardplan.planning.planner import solve
from shardplan.plans.evaluation import evaluate
from shardplan.plans.plan import Plan
from shardplan.plans.rectangles import rectangles
from shardplan.plans.shard_matrix import ShardMatrix
from shardplan.records.sharding import ReplicaLayout
from tests.helpers import COST_MODEL, ONE_HOST, workload


def planned(target: str, *tables: dict[str, Any]) -> Plan:
    """Plan a few tables on one host of four ranks."""
    rows = tables or ({}, {"num_embeddings": 100_000}, {"embedding_dim": 64})
    work = workload(*rows)
    return solve(work, ONE_HOST, COST_MODEL, target=target, solver="greedy").plan


def only(kind: str, **table: Any) -> dict[str, Any]:
    """Make a table that can be cut in one way."""
    return {"constraints": {"sharding_types": [kind]}, **table}


@pytest.mark.parametrize("name", EXPORTERS)
def test_exports_are_json(name: str) -> None:
    """Every exporter gives data that JSON can write."""
    plan = planned(name if name in ("torchrec", "hugectr") else "any")
    assert json.loads(json.dumps(export(plan, name))) == export(plan, name)


def test_names_are_listed() -> None:
    """An unknown exporter lists the known ones."""
    assert exporter_names()[:4] == list(EXPORTERS)
    with pytest.raises(InputError, match="torchrec, hugectr, manifest, sbp"):
        export(planned("any"), "tensorflow")


def test_hugectr_matrix() -> None:
    """Every rank lists its tables, every strategy its tables."""
    plan = planned("hugectr", only("row_wise"), only("data_parallel"))
    names = [table.name for table in plan.inputs.workload.tables]
    found = export(plan, "hugectr")
    assert found["shard_strategy"] == [["mp", names[:1]], ["dp", names[1:]]]
    assert names[1] in found["shard_matrix"][0]
    ranks = {r for block in plan.tables[0].blocks for r in block.ranks}
    holding = {r for r, own in enumerate(found["shard_matrix"]) if names[0] in own}
    assert holding == ranks


def test_hugectr_slices_columns_evenly() -> None:
    """Slices are pairs of name and number, and read back as the same placements."""
    plan = planned("hugectr", only("column_wise"), only("grid_shard"), {})
    found = export(plan, "hugectr")
    (kind, group), *_ = found["shard_strategy"]
    assert kind == "mp"
    for placement, entry in zip(plan.tables[:2], group, strict=False):
        assert entry == [placement.name, len(placement.blocks)]
    names = [table.name for table in plan.inputs.workload.tables]
    matrix = ShardMatrix.of_strategy(**json.loads(json.dumps(found)), names=names)
    again = matrix.to_plan(plan.inputs)
    assert [p.blocks for p in again.tables] == [p.blocks for p in plan.tables]
    value = evaluate(plan).value(again.objective)
    assert again.outcome.objective_s == pytest.approx(value)
    assert check(again) == ()


def test_hugectr_cannot_cut_columns_unevenly() -> None:
    """The table and the rule are named."""
    plan = planned("any", only("column_wise", embedding_dim=12))
    blocks = [{"column_offset": 0, "num_columns": 4, "ranks": [0]}]
    blocks.append({"column_offset": 4, "num_columns": 8, "ranks": [1]})
    uneven = plan.tables[0].model_dump() | {"blocks": blocks}
    plan = Plan.model_validate(plan.model_dump() | {"tables": [uneven]})
    with pytest.raises(InputError, match=r"t0.*column slices are equal, got \[4, 8\]"):
        export(plan, "hugectr")


def test_manifest_covers_every_cell_once() -> None:
    """Cells of all ranks add up to the tables; copies count once."""
    plan = planned("any", only("row_wise"), only("column_wise"), only("table_wise"))
    found = export(plan, "manifest")
    cells: dict[str, int] = {}
    for rank in found["ranks"]:
        for shard in rank["shards"]:
            size = shard["num_rows"] * shard["num_columns"]
            cells[shard["table"]] = cells.get(shard["table"], 0) + size
    assert cells == {
        t.name: t.num_embeddings * t.embedding_dim for t in plan.inputs.workload.tables
    }


def test_sbp_of_rows_columns_and_copies() -> None:
    """Rows are split, copies broadcast, column shards are tensors of their own."""
    plan = planned("any", only("row_wise"), only("data_parallel"), only("column_wise"))
    rows, copy, columns = export(plan, "sbp")["tables"].values()
    assert rows["tensors"][0]["sbp"] == "split(0)"
    assert rows["tensors"][0]["dtensor"] == "Shard(0)"
    assert copy["tensors"][0]["sbp"] == "broadcast"
    assert len(columns["tensors"]) == len(plan.tables[2].blocks)


def test_torchrec_document_names_modules() -> None:
    """Tables are where TorchRec's usual modules have them."""
    plan = planned("torchrec", {}, {"is_weighted": True}, {"is_pooled": False})
    assert list(export(plan, "torchrec")["modules"]) == ["ebc", "weighted_ebc", "ec128"]


def test_the_job_is_told_to_send_ids_once() -> None:
    """What a plan is priced with is in TorchRec's document."""
    work = workload({"is_pooled": False}, dedup=True)
    plan = solve(work, ONE_HOST, COST_MODEL, target="torchrec", solver="greedy").plan
    assert export(plan, "torchrec")["use_index_dedup"] is True
    assert "use_index_dedup" not in export(planned("torchrec"), "torchrec")


def test_last_row_shard_is_the_rest() -> None:
    """10 rows over 4 ranks are 3, 3, 3 and 1."""
    plan = planned("any", only("row_wise", num_embeddings=10))
    placement = plan.tables[0].model_copy(
        update={"blocks": (plan.tables[0].blocks[0].replace(ranks=(0, 1, 2, 3)),)}
    )
    assert [s.num_rows for s in rectangles(placement, 10)] == [3, 3, 3, 1]


def of_group(target: str) -> Plan:
    """Plan for one of two sharding groups of two ranks."""
    group = ONE_HOST.sharding_group(2, ReplicaLayout.ACROSS, 5)
    work = workload({}, {"num_embeddings": 100_000})
    return solve(work, group, COST_MODEL, target=target, solver="greedy").plan


def test_sharding_groups_are_exported() -> None:
    """TorchRec's document and the manifest say which groups there are."""
    plan = of_group("torchrec")
    found = export(plan, "torchrec")
    assert found["world_size"] == 2
    assert found["replication"] == {
        "world_size": 4,
        "sharding_group_size": 2,
        "node_group_size": 2,
        "local_world_size": 4,
        "use_inter_host_allreduce": True,
        "sync_every": 5,
    }
    assert "replication" not in export(planned("torchrec"), "torchrec")
    manifest = export(plan, "manifest")
    assert manifest["replication"] == {
        "world_size": 4,
        "replicas": 2,
        "layout": "across",
        "sync_every": 5,
    }
    assert len(manifest["ranks"]) == 2


@pytest.mark.parametrize(
    ("name", "rule"), [("sbp", "SBP keeps no copies"), ("hugectr", "keeps no copies")]
)
def test_others_have_no_sharding_groups(name: str, rule: str) -> None:
    """They would train one group, and leave the other ranks idle."""
    with pytest.raises(InputError, match=rule):
        export(of_group("any"), name)
