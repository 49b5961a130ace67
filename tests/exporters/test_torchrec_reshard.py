"""From one plan to another: what moves, and what TorchRec's `reshard` cannot do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import InputError
from shardplan.exporters import export
from shardplan.exporters.torchrec_reshard import export as export_reshard
from shardplan.records.fingerprint import fingerprint
from shardplan.records.sharding import Target
from tests.integrations.torchrec.instances import (
    cluster,
    inputs_of,
    place,
    plan_of,
    workload,
)

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan

TABLES: tuple[dict[str, Any], ...] = ({}, {"embedding_dim": 16}, {"dtype": "fp16"})
Shape = tuple[str, dict[str, Any]]
BASE: tuple[Shape, ...] = (
    ("table_wise", {"start": 0}),
    ("row_wise", {}),
    ("column_wise", {"start": 0}),
)


def plan(
    *shapes: Shape,
    tables: tuple[dict[str, Any], ...] = TABLES,
    hosts: int = 1,
    **work: Any,
) -> Plan:
    """Place t0 (1,000 x 64), t1 (1,000 x 16) and t2 (1,000 x 64, fp16)."""
    inputs = inputs_of(workload(*tables, **work), cluster(hosts))
    placements = (
        place(inputs, i, kind, **how) for i, (kind, how) in enumerate(shapes or BASE)
    )
    return plan_of(inputs, *placements)


def changed(**shapes: Shape) -> tuple[Shape, ...]:
    """Return the shapes of the old plan with some replaced, by table."""
    return tuple(shapes.get(f"t{i}", shape) for i, shape in enumerate(BASE))


def on_ranks(old: Plan, *ranks: int) -> Plan:
    """Put the column shards of t2 on other ranks."""
    blocks = tuple(
        block.replace(ranks=(rank,))
        for block, rank in zip(old.tables[2].blocks, ranks, strict=True)
    )
    return plan_of(old.inputs, *old.tables[:2], old.tables[2].replace(blocks=blocks))


T0_TO_3 = changed(t0=("table_wise", {"start": 3}))


def test_document() -> None:
    """It has the whole old plan, the shards of changed tables, and bytes by rank."""
    old = plan()
    new = plan(
        *changed(t0=("table_wise", {"start": 3}), t2=("column_wise", {"start": 1}))
    )
    found = export_reshard(new, old)
    assert json.loads(json.dumps(found)) == found
    assert found["modules"] == export(old, "torchrec")["modules"]
    assert found["from"]["plan"] == fingerprint(old)
    assert found["to"]["plan"] == fingerprint(new)
    assert found["to"]["workload"] == new.fingerprints.workload
    half = {"size": [1000, 32], "bytes": 1000 * (32 * 2 + 4)}
    assert found["changes"] == {
        "ebc": {
            "t0": {
                "moved_bytes": 1000 * (64 * 4 + 4),
                "shards": [
                    {
                        "from": 0,
                        "to": 3,
                        "offset": [0, 0],
                        "size": [1000, 64],
                        "bytes": 1000 * (64 * 4 + 4),
                    }
                ],
            },
            "t2": {
                "moved_bytes": 2 * half["bytes"],
                "shards": [
                    {"from": 0, "to": 1, "offset": [0, 0], **half},
                    {"from": 1, "to": 2, "offset": [0, 32], **half},
                ],
            },
        }
    }
    assert found["moved_bytes"] == 260_000 + 2 * 68_000
    sent = [rank["sent_bytes"] for rank in found["ranks"]]
    received = [rank["received_bytes"] for rank in found["ranks"]]
    assert sent == [260_000 + 68_000, 68_000, 0, 0]
    assert received == [0, 68_000, 68_000, 260_000]
    rows_of_t1 = 250 * (16 * 4 + 4)
    extra = [rank["extra_bytes"] - rows_of_t1 for rank in found["ranks"]]
    assert extra == received


def test_what_stays_is_no_move() -> None:
    """A shard that keeps its rank costs nothing, and the table is in the file."""
    found = export_reshard(on_ranks(plan(), 0, 3), plan())
    assert found["changes"]["ebc"]["t2"]["moved_bytes"] == 68_000
    shards = found["changes"]["ebc"]["t2"]["shards"]
    assert [(shard["from"], shard["to"]) for shard in shards] == [(0, 0), (1, 3)]


def test_nothing_changes() -> None:
    """Plans for another load with all tables in place have nothing to move."""
    found = export_reshard(plan(batch_size=128), plan())
    assert found["changes"] == {}
    assert found["moved_bytes"] == 0
    assert {rank["extra_bytes"] for rank in found["ranks"]} == {0}


def test_module_is_named() -> None:
    """Tables that do not say where they live are where the caller says."""
    found = export_reshard(plan(*T0_TO_3), plan(), "model.ebc")
    assert list(found["changes"]) == list(found["modules"]) == ["model.ebc"]


CANNOT: dict[str, tuple[Shape, Shape, str]] = {
    "type": (
        ("table_wise", {}),
        ("column_wise", {}),
        r"table_wise -> column_wise: reshard cannot change a sharding type: solve "
        r"again with constraints.sharding_types",
    ),
    "row type": (
        ("row_wise", {}),
        ("table_wise", {}),
        "row_wise -> table_wise: reshard cannot change",
    ),
    "kernel": (
        ("table_wise", {}),
        ("table_wise", {"kernel": "fused_uvm", "start": 1}),
        "fused -> fused_uvm: nobody has seen",
    ),
    "rows": (
        ("table_row_wise", {}),
        ("table_row_wise", {"start": 1}),
        "table_row_wise on other ranks: reshard moves table_wise and column_wise",
    ),
    "columns in a host": (
        ("table_column_wise", {}),
        ("table_column_wise", {"start": 2}),
        "table_column_wise on other ranks",
    ),
    "cut": (
        ("column_wise", {"parts": 2}),
        ("column_wise", {"parts": 4}),
        "its columns are cut in another way",
    ),
    "cache": (
        ("table_wise", {"kernel": "fused_uvm_caching"}),
        ("table_wise", {"kernel": "fused_uvm_caching", "load_factor": 0.4}),
        "cache_params changes: reshard keeps the settings",
    ),
}


@pytest.mark.parametrize("name", CANNOT)
def test_what_reshard_cannot_do(name: str) -> None:
    """A change is refused by table, with the reason and what to do."""
    before, after, rule = CANNOT[name]
    old = plan(*changed(t0=before), hosts=2)
    new = plan(*changed(t0=after), hosts=2)
    with pytest.raises(InputError, match=r"plan: modules\[ebc\].t0: " + rule):
        export_reshard(new, old)


def test_two_shards_on_a_rank() -> None:
    """The receiving side has room for one."""
    with pytest.raises(InputError, match=r"t2: two of its shards come to one rank"):
        export_reshard(on_ranks(plan(), 3, 3), plan())
    assert export_reshard(plan(), on_ranks(plan(), 3, 3))["moved_bytes"] == 136_000


NEIGHBOURS: dict[str, tuple[Shape, str]] = {
    "data_parallel": (("data_parallel", {}), "is data_parallel, and reshard stops"),
    "cached": (
        ("table_wise", {"kernel": "fused_uvm_caching"}),
        "is fused_uvm_caching, and rows that its cache has changed",
    ),
    "uneven": (
        ("column_wise", {"widths": (12, 4)}),
        r"has column shards of \[4, 12\] columns",
    ),
}


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_neighbours_that_reshard_would_break(name: str) -> None:
    """All tables of a module are made anew, so that one of them keeps all in place."""
    shape, rule = NEIGHBOURS[name]
    new = changed(t0=("table_wise", {"start": 3}), t1=shape)
    with pytest.raises(InputError, match=rf"modules\[ebc\].t1: {rule}"):
        export_reshard(plan(*new), plan(*changed(t1=shape)))
    same = changed(t1=shape)
    assert export_reshard(plan(*same), plan(*same))["changes"] == {}


def test_neighbours_in_other_modules() -> None:
    """Modules that do not change may have what they like."""
    tables = ({}, {"is_weighted": True}, {"dtype": "fp16"})
    shapes = changed(t1=("data_parallel", {}))
    new = (T0_TO_3[0], *shapes[1:])
    found = export_reshard(plan(*new, tables=tables), plan(*shapes, tables=tables))
    assert list(found["changes"]) == ["ebc"]


def test_sequences_stay() -> None:
    """An EmbeddingCollection has no `reshard`."""
    tables = ({"is_pooled": False}, {}, {})
    with pytest.raises(InputError, match=r"modules\[ec64\].t0: .* no sequences"):
        export_reshard(plan(*T0_TO_3, tables=tables), plan(tables=tables))


def test_second_states_are_lost() -> None:
    """Adam has two; there is nothing to say against plans that move nothing."""
    with pytest.raises(InputError, match=r"plan: optimizer = adam: .* is lost"):
        export_reshard(plan(*T0_TO_3, optimizer="adam"), plan(optimizer="adam"))
    same = plan(optimizer="adam")
    assert export_reshard(same, same)["changes"] == {}


def test_plans_of_other_jobs() -> None:
    """Ranks, optimizers and tables must be those of the job; all is said at once."""
    other = ({"num_embeddings": 2000}, {"name": "new"}, {"dtype": "fp16"})
    with pytest.raises(InputError) as caught:
        export_reshard(plan(tables=other, hosts=2, optimizer="sgd"), plan())
    said = [(fault.key, fault.rule) for fault in caught.value.problems]
    assert said == [
        ("world_size", "the plan of --from has 4: it is for another job"),
        (
            "optimizer",
            "the plan of --from has rowwise_adagrad: state cannot change its form",
        ),
        (
            "modules[ebc].new",
            "the plan of --from has no such table: it is of another model",
        ),
        (
            "modules[ebc].t0",
            "the plan of --from has [1000, 64, 'fp32'] rows, columns and row type",
        ),
        (
            "modules[ebc].t1",
            "only the plan of --from has this table: it is of another model",
        ),
    ]


def test_plans_for_others() -> None:
    """A plan for HugeCTR, and an old plan that TorchRec cannot run, are told apart."""
    ours = plan()
    theirs = ours.model_copy(update={"target": Target.HUGECTR})
    rule = "target = 'hugectr': the plan is for another framework"
    with pytest.raises(InputError, match=f"^- --from: {rule}"):
        export_reshard(ours, theirs)
    with pytest.raises(InputError, match=f"^- plan: {rule}"):
        export_reshard(theirs, ours)
    broken = ours.model_copy(update={"tables": ours.tables[:2]})
    with pytest.raises(InputError, match=r"^- --from: t2"):
        export_reshard(ours, broken)
