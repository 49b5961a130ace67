"""Plans become sharding plans and come back; what TorchRec cannot run is refused."""

from __future__ import annotations

import copy
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from torchrec.distributed.embedding import EmbeddingCollectionSharder
from torchrec.distributed.planner import EmbeddingShardingPlanner
from torchrec.distributed.planner.storage_reservations import (
    FixedPercentageStorageReservation,
)
from torchrec.modules.feature_processor_ import FeatureProcessorsCollection
from torchrec.modules.fp_embedding_modules import (
    FeatureProcessedEmbeddingBagCollection,
)

from shardplan.errors import InputError
from shardplan.exporters import export
from shardplan.exporters.torchrec import export as to_document
from shardplan.integrations.torchrec import (
    ShardplanLoader,
    build_constraints,
    build_model,
    build_topology,
    load_sharding_plan,
    rate,
    read_plan,
    read_workload,
    to_sharding_plan,
    versions,
)
from shardplan.integrations.torchrec.tables import default_sharders
from shardplan.records.placement import ColumnBlock
from shardplan.records.sharding import ShardingType
from tests.integrations.torchrec.instances import (
    cluster,
    inputs_of,
    place,
    plan_of,
    workload,
)
from tests.integrations.torchrec.test_import import bags

if TYPE_CHECKING:
    from pathlib import Path

    from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

    from shardplan.plans.plan import Plan

TYPES = [kind.value for kind in ShardingType]
KERNELS = ["fused", "fused_uvm", "fused_uvm_caching", "key_value"]


def one(kind: str, kernel: str | None = None, **table: Any) -> Plan:
    """Make the plan of one table on two hosts of two ranks."""
    inputs = inputs_of(workload(table), cluster(2, 2, hbm_bytes=10**11))
    factor = 0.02 if kernel == "key_value" else 0.2
    return plan_of(inputs, place(inputs, 0, kind, kernel=kernel, load_factor=factor))


@pytest.mark.parametrize("kind", TYPES)
def test_round_trip_of_types(kind: str) -> None:
    """Plan to TorchRec and back is the same plan, for every sharding type."""
    plan = one(kind)
    assert read_plan(to_sharding_plan(plan), plan.inputs).tables == plan.tables


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", ["table_wise", "row_wise", "grid_shard"])
def test_round_trip_of_kernels(kind: str, kernel: str) -> None:
    """Kernels keep their tiers and caches."""
    plan = one(kind, kernel, num_embeddings=10**7)
    assert read_plan(to_sharding_plan(plan), plan.inputs).tables == plan.tables


def test_round_trip_through_a_file(tmp_path: Path) -> None:
    """The exported JSON gives the sharding plan that the plan gives itself."""
    plan = one("column_wise")
    path = tmp_path / "sharding.json"
    path.write_text(json.dumps(export(plan, "torchrec")))
    assert str(load_sharding_plan(path)) == str(to_sharding_plan(plan))


@pytest.mark.parametrize("local", [2, 4])
def test_torchrecs_own_plan_has_its_own_number(local: int) -> None:
    """A plan of TorchRec's planner is read, and rated as TorchRec rates it."""
    work = workload(*({"embedding_dim": 64 * (1 + i % 3)} for i in range(6)))
    topology = cluster(2, local)
    inputs = inputs_of(work, topology)
    planner = EmbeddingShardingPlanner(
        topology=build_topology(topology),
        batch_size=64,
        constraints=build_constraints(work),
        storage_reservation=FixedPercentageStorageReservation(0.15),
        stats=[],
    )
    theirs = planner.plan(build_model(work), default_sharders())
    plan = read_plan(theirs, inputs)
    rating = planner._perf_model.rate(planner._best_plan) / 1000
    assert plan.outcome.objective_s == pytest.approx(rating, rel=1e-9)
    assert rate(plan).rating_s == pytest.approx(rating, rel=1e-12)
    assert rate(plan).fits


def test_caches_are_exported() -> None:
    """Load factors are the plan's; what the model sets otherwise is kept."""
    plan = one(
        "table_wise",
        "fused_uvm_caching",
        torchrec={
            "module": "m.ebc",
            "cache": {"algorithm": "LFU"},
            "enforce_hbm": True,
        },
    )
    sharding = to_sharding_plan(plan).plan["m.ebc"]["t0"]
    assert sharding.cache_params.load_factor == 0.2
    assert sharding.cache_params.algorithm.name == "LFU"
    assert sharding.enforce_hbm is True


def test_key_value_caches_have_sizes() -> None:
    """10^7 rows of 64 fp32 are 2.56 GB: 2 % in HBM is 49 MiB, 10 % in DDR one GiB."""
    plan = one("table_wise", "key_value", num_embeddings=10**7)
    params = to_sharding_plan(plan).plan["ebc"]["t0"].key_value_params
    assert (params.max_l1_cache_size, params.l2_cache_size) == (49, 1)


def with_block(plan: Plan, **changes: Any) -> Plan:
    """Change the first block of the first table."""
    placement = plan.tables[0]
    blocks = (placement.blocks[0].replace(**changes), *placement.blocks[1:])
    changed = placement.model_copy(update={"blocks": blocks})
    return plan_of(plan.inputs, changed, *plan.tables[1:])


REFUSED = {
    "uneven rows": (
        with_block(one("row_wise"), row_sizes=(400, 200, 200, 200)),
        "train on wrong rows",
    ),
    "rows on some ranks": (
        with_block(one("row_wise"), ranks=(0, 1, 2)),
        "row_wise uses all ranks in order",
    ),
    "rows across hosts": (
        with_block(one("table_row_wise"), ranks=(1, 2)),
        "host",
    ),
    "empty ranks": (one("row_wise", num_embeddings=3), "gets no row of any"),
    "narrow table": (one("table_wise", embedding_dim=6), "multiples of 4"),
    "cut sequence": (one("table_row_wise", is_pooled=False), "sequence embeddings"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_plans_that_cannot_run_are_refused(case: str) -> None:
    """The error names the table and the rule."""
    plan, rule = REFUSED[case]
    with pytest.raises(InputError, match=rule) as caught:
        to_sharding_plan(plan)
    assert "t0" in str(caught.value)


def test_other_row_types_are_refused() -> None:
    """A sharding plan cannot change the type of a model's rows."""
    plan = one("table_wise", constraints={"dtypes": ["fp16"]})
    placement = plan.tables[0].replace(dtype="fp16")
    with pytest.raises(InputError, match="keep the type of the model"):
        to_sharding_plan(plan_of(plan.inputs, placement))


def test_unfit_column_widths_are_refused() -> None:
    """Column shards of 6 and 58 columns do not run."""
    inputs = inputs_of(workload({}), cluster(2, 2))
    placement = place(inputs, 0, "column_wise", widths=(6, 58))
    with pytest.raises(InputError, match="multiples of 4, got 6"):
        to_sharding_plan(plan_of(inputs, placement))


def test_edited_plans_are_refused() -> None:
    """A plan that was changed by hand no longer has the objective it claims."""
    plan = one("table_wise")
    block = ColumnBlock(num_columns=60, ranks=(0,))
    edited = plan.tables[0].model_copy(update={"blocks": (block,)})
    with pytest.raises(InputError, match="columns 60-63 are on no rank"):
        to_sharding_plan(plan.model_copy(update={"tables": (edited,)}))


def document() -> dict[str, Any]:
    return export(one("column_wise"), "torchrec")


BROKEN: dict[str, tuple[Any, str]] = {
    "other file": ({"plan": {}}, "is not a TorchRec export"),
    "newer": ({"format_version": 9}, "format_version"),
    "no modules": ({"modules": 3}, "modules: must be dict"),
    "no tables": ({"modules": {"ebc": 3}}, r"modules\[ebc\]: must be dict"),
    "device": ({"compute_device": "tpu"}, "must be cpu or cuda"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_documents(case: str) -> None:
    """A file that is something else says so."""
    changes, rule = BROKEN[case]
    data = changes if case == "other file" else {**document(), **changes}
    with pytest.raises(InputError, match=rule):
        load_sharding_plan(data)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"ranks": [0, 9]}, "ranks are from 0 to 3"),
        ({"sharding_type": "diagonal"}, "diagonal"),
        ({"shards": []}, "do not cover"),
        ({"shards": [{"rank": 0}]}, "broken"),
        ({"compute_kernel": "magic"}, "magic"),
    ],
)
def test_edited_documents(changes: dict[str, Any], rule: str) -> None:
    """A table whose shards are not what they were is named."""
    data = copy.deepcopy(document())
    data["modules"]["ebc"]["t0"].update(changes)
    with pytest.raises(InputError, match=rule) as caught:
        load_sharding_plan(data)
    assert "modules[ebc].t0" in str(caught.value)


def uneven(entry: dict[str, Any]) -> None:
    first, second, *_ = entry["shards"]
    first["size"][0] += 5
    second["offset"][0] += 5
    second["size"][0] -= 5


@pytest.mark.parametrize(
    ("kind", "edit"),
    [
        ("row_wise", uneven),
        ("column_wise", lambda entry: entry["shards"][1].update(offset=[0, 0])),
        ("column_wise", lambda entry: entry.update(compute_kernel="dense")),
        ("table_wise", lambda entry: entry.update(stochastic_rounding=True)),
    ],
)
def test_edits_that_look_right_are_refused(kind: str, edit: Any) -> None:
    """An export is proven when it is written; what is changed later is not."""
    data = export(one(kind), "torchrec")
    edit(data["modules"]["ebc"]["t0"])
    with pytest.raises(InputError, match="the file was edited"):
        load_sharding_plan(data)
    data.pop("digest")
    with pytest.raises(InputError, match="the file was edited"):
        load_sharding_plan(data)


def test_plan_for_another_row_type() -> None:
    """A model whose rows have another type is another model."""
    model = build_model(workload({"dtype": "fp16"}))
    with pytest.raises(InputError, match=r"\(1000, 64, 'fp16'\) rows, columns"):
        load_sharding_plan(document(), model)


def test_plan_for_another_model() -> None:
    """Missing, extra and reshaped tables are all named at once."""
    data = document()
    model = build_model(workload({"embedding_dim": 32}, {}))
    with pytest.raises(InputError) as caught:
        load_sharding_plan(data, model)
    message = str(caught.value)
    assert "the model has this table, the plan does not" in message
    assert "the model's table has (1000, 32, 'fp32') rows, columns" in message
    with pytest.raises(InputError, match="the plan has this table, the model does not"):
        load_sharding_plan(data, build_model(workload({"name": "other"})))


@pytest.mark.parametrize("planned", [False, True])
def test_plan_for_ids_that_are_sent_once(
    planned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that sends ids otherwise runs, with a warning."""
    work = workload({"is_pooled": False}).replace(dedup=planned)
    inputs = inputs_of(work, cluster(2, 2))
    data = export(plan_of(inputs, place(inputs, 0, "table_wise")), "torchrec")
    for actual in (False, True):
        caplog.clear()
        sharders = [EmbeddingCollectionSharder(use_index_dedup=actual)]
        load_sharding_plan(data, build_model(work), sharders=sharders)
        warned = f"made for use_index_dedup = {planned}" in caplog.text
        assert warned is (actual is not planned)


def test_plan_for_another_world_size() -> None:
    """A job of another size is told before it hangs."""
    with pytest.raises(InputError, match="for 4 ranks, the job has 8"):
        load_sharding_plan(document(), world_size=8)


def test_sharding_plan_of_another_model() -> None:
    """Reading names what is missing and what is too much."""
    plan = one("table_wise")
    inputs = inputs_of(workload({"name": "other"}), cluster(2, 2))
    with pytest.raises(InputError) as caught:
        read_plan(to_sharding_plan(plan), inputs)
    assert "has no such table" in str(caught.value)
    assert "the workload has no such table" in str(caught.value)


@pytest.mark.parametrize("release", ["1.7.2", "0.9.0.dev1", "unknown"])
def test_an_older_release_is_refused(
    release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A TorchRec whose planner and plans are others is an error, not a surprise."""
    monkeypatch.setattr(versions, "version", lambda _: release)
    with pytest.raises(InputError, match=r"must be 1\.8 or newer"):
        to_sharding_plan(one("table_wise"))


@pytest.mark.parametrize("release", ["1.10.0", "2.0.0+cpu"])
def test_a_newer_release_is_a_warning(
    release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TorchRec has a release every other month; a new one is tried, not refused."""
    monkeypatch.setattr(versions, "version", lambda _: release)
    with pytest.warns(UserWarning, match=r"is tested with \(1\.8 to 1\.9\)"):
        to_sharding_plan(one("table_wise"))


@pytest.mark.parametrize("release", ["1.8.0", "1.9.2", "1.9.0+cu130"])
def test_known_releases_pass(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the bridge is tested with need no word."""
    monkeypatch.setattr(versions, "version", lambda _: release)
    to_sharding_plan(one("table_wise"))


def test_loader_hands_the_plan_to_torchrecs_planner() -> None:
    """TorchRec's planner takes the loaded shards instead of searching."""
    inputs = inputs_of(workload({}, {}), cluster(2, 2))
    plan = plan_of(
        inputs, place(inputs, 0, "row_wise"), place(inputs, 1, "table_wise", start=3)
    )
    limits = build_constraints(inputs.workload)
    planner = EmbeddingShardingPlanner(
        topology=build_topology(inputs.topology),
        batch_size=64,
        constraints=limits,
        storage_reservation=FixedPercentageStorageReservation(0.15),
        stats=[],
        plan_loader=ShardplanLoader(plan, constraints=limits),
    )
    loaded = planner.plan(build_model(inputs.workload), default_sharders())
    assert read_plan(loaded, inputs).tables == plan.tables


def test_a_large_plan_is_exported_quickly() -> None:
    """2,000 tables become a sharding plan in under 2 s."""
    inputs = inputs_of(
        workload(*({} for _ in range(2000))), cluster(2, 4, hbm_bytes=10**11)
    )
    kinds = ("table_wise", "column_wise", "row_wise", "data_parallel")
    plan = plan_of(inputs, *(place(inputs, i, kinds[i % 4]) for i in range(2000)))
    start = time.process_time()
    sharding_plan = to_sharding_plan(plan)
    assert time.process_time() - start < 2.0
    assert len(sharding_plan.plan["ebc"]) == 2000


class Weighing(FeatureProcessorsCollection):
    """Gives every id a weight."""

    def forward(self, features: KeyedJaggedTensor) -> KeyedJaggedTensor:
        return features


def test_feature_processed_tables_are_rated_as_torchrec_rates_them() -> None:
    """TorchRec's planner does not see the weights that feature processors make."""
    inner = bags("t0", "t1", weighted=True, num_embeddings=10_000, embedding_dim=64)
    model = FeatureProcessedEmbeddingBagCollection(inner, Weighing())
    sharders = default_sharders()
    topology = cluster(2, 2)
    found = read_workload(model, batch_size=64, sharders=sharders)
    assert [table.is_weighted for table in found.tables] == [True, True]
    planner = EmbeddingShardingPlanner(
        topology=build_topology(topology),
        batch_size=64,
        storage_reservation=FixedPercentageStorageReservation(0.15),
        stats=[],
    )
    plan = read_plan(planner.plan(model, sharders), inputs_of(found, topology))
    rating = planner._perf_model.rate(planner._best_plan) / 1000
    assert plan.outcome.objective_s == pytest.approx(rating, rel=1e-9)
    own = rate(plan, model=model, sharders=sharders)
    assert own.rating_s == pytest.approx(rating, rel=1e-12)
    assert rate(plan).rating_s == pytest.approx(rating, rel=1e-12)


def test_built_feature_processors_are_found_again() -> None:
    """What is read of a model with them is the workload it was built from."""
    extra = {"module": "processed", "is_weighted": False}
    table = {"is_weighted": True, "torchrec": extra}
    built = build_model(workload(table, {"torchrec": {"module": "plain"}}))
    assert isinstance(built.processed, FeatureProcessedEmbeddingBagCollection)
    first, second = read_workload(built, batch_size=64).tables
    assert (first.is_weighted, second.is_weighted) == (True, False)
    assert first.torchrec is not None
    assert first.torchrec.is_weighted is False
    assert (first.torchrec_module, second.torchrec_module) == ("processed", "plain")


def test_bf16_survives_a_round_trip() -> None:
    """A model of bf16 rows loads its plan, and is planned with bf16 again."""
    plan = one("table_wise", dtype="bf16")
    model = build_model(plan.inputs.workload)
    load_sharding_plan(export(plan, "torchrec"), model, world_size=4)
    again = read_workload(model, batch_size=64)
    assert [table.dtype for table in again.tables] == ["bf16"]


def test_row_types_that_cannot_run_are_refused_before_a_job_starts() -> None:
    """No TorchRec kernel trains int8 rows, and none on CPUs bf16 rows."""
    with pytest.raises(InputError, match="rows are trained as bf16, fp16, fp32"):
        export(one("table_wise", dtype="int8"), "torchrec")
    inputs = inputs_of(workload({"dtype": "bf16"}), cluster(1, 2, kind="cpu"))
    plan = plan_of(inputs, place(inputs, 0, "table_wise"))
    with pytest.raises(InputError, match="rows are trained as fp16, fp32"):
        export(plan, "torchrec")


def test_an_export_names_the_module_of_a_model() -> None:
    """Tables that do not say where they live are in the module that is given."""
    plan = one("table_wise")
    found = load_sharding_plan(to_document(plan, "sparse.ebc"), world_size=4)
    assert set(found.plan) == {"sparse.ebc"}
    named = one("table_wise", torchrec={"module": "own"})
    assert set(to_document(named, "sparse.ebc")["modules"]) == {"own"}


def test_one_module_cannot_hold_every_kind_of_table() -> None:
    """Pooled tables and sequences need modules of their own."""
    inputs = inputs_of(workload({}, {"is_pooled": False}), cluster(2, 2))
    plan = plan_of(
        inputs, place(inputs, 0, "table_wise"), place(inputs, 1, "table_wise")
    )
    with pytest.raises(InputError, match="give each table its module"):
        to_document(plan, "ebc")


def test_a_plan_for_gpus_is_loaded_on_cpus() -> None:
    """Shards are on the devices that are asked for."""
    document = export(one("table_wise"), "torchrec")
    found = load_sharding_plan(document, world_size=4, device="cpu")
    (shard,) = found.plan["ebc"]["t0"].sharding_spec.shards
    assert shard.placement.device().type == "cpu"
    with pytest.raises(InputError, match="must be one of cpu, cuda"):
        load_sharding_plan(document, world_size=4, device="tpu")


def test_what_cpus_cannot_run_is_refused_before_it_is_tried_there() -> None:
    """Rows of bf16, rows on SSD, and tables that leave a rank without a row."""
    inputs = inputs_of(
        workload({"dtype": "bf16"}, {}, {"num_embeddings": 5}, {}),
        cluster(2, 2, hbm_bytes=10**11),
    )
    plan = plan_of(
        inputs,
        place(inputs, 0, "table_wise"),
        place(inputs, 1, "table_wise", kernel="key_value", load_factor=0.02),
        place(inputs, 2, "row_wise"),
        place(inputs, 3, "row_wise"),
    )
    document = export(plan, "torchrec")
    load_sharding_plan(document, world_size=4)
    with pytest.raises(InputError) as caught:
        load_sharding_plan(document, world_size=4, device="cpu")
    assert [(p.key, p.value) for p in caught.value.problems] == [
        ("modules[ebc].t0.dtype", "bf16"),
        ("modules[ebc].t1.compute_kernel", "key_value"),
        ("modules[ebc].t2.shards", ""),
    ]
    assert "ranks [3] get no row" in str(caught.value)


def test_sequences_are_not_replicated_on_cpus() -> None:
    """A plan for GPUs may: FBGEMM pools them on CPUs, wrongly or with an error."""
    plan = one("data_parallel", is_pooled=False)
    document, model = export(plan, "torchrec"), build_model(plan.inputs.workload)
    load_sharding_plan(document, model, world_size=4)
    with pytest.raises(InputError, match="on CPUs FBGEMM pools sequences"):
        load_sharding_plan(document, model, world_size=4, device="cpu")
    pooled = one("data_parallel")
    model = build_model(pooled.inputs.workload)
    load_sharding_plan(export(pooled, "torchrec"), model, world_size=4, device="cpu")
