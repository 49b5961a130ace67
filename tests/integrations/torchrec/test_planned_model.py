"""What a planner decided and chose from, as TorchRec's executor reads it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from torchrec.distributed.planner.perf_models import NoopPerfModel
from torchrec.distributed.planner.types import ParameterConstraints

from shardplan.errors import InputError
from shardplan.integrations.torchrec import ShardplanPlanner
from shardplan.plans.evaluation import evaluate
from tests.integrations.torchrec.test_import import bags, torchrec_topology

MODEL = bags("t0", "t1", "t2", num_embeddings=10**5, embedding_dim=64)


def planned(**options: Any) -> ShardplanPlanner:
    """Plan three tables on eight GPUs."""
    given = {"batch_size": 512, "timeout_seconds": 10.0, "gap": 0.05, **options}
    planner = ShardplanPlanner(torchrec_topology(), **given)
    planner.plan(MODEL)
    return planner


def used(options: list[Any]) -> dict[int, int]:
    """Bytes of HBM on each rank."""
    found: dict[int, int] = defaultdict(int)
    for option in options:
        for shard in option.shards:
            found[shard.rank] += shard.storage.hbm
    return found


@pytest.mark.parametrize(
    "pipeline", ["none", "train_sparse_dist", "train_prefetch_sparse_dist"]
)
def test_selected_options_have_the_plans_value_and_bytes(pipeline: str) -> None:
    """TorchRec's own rating of them is the objective; so are the bytes of each rank."""
    planner = planned(pipeline_type=pipeline)
    assert planner.result is not None
    options = planner.get_selected_options()
    rating = NoopPerfModel(torchrec_topology()).rate(options) / 1000
    assert rating == pytest.approx(planner.result.objective_s, rel=1e-9)
    assert {option.name for option in options} == {"t0", "t1", "t2"}
    counted = evaluate(planner.result.plan).loads.hbm
    for rank, hbm in used(options).items():
        assert hbm == pytest.approx(counted[rank], rel=1e-9)


def test_a_pipeline_that_keeps_more_batches_takes_more() -> None:
    """Three batches of ids instead of one, and no outputs, as TorchRec counts."""
    kinds = {
        f"t{i}": ParameterConstraints(sharding_types=["row_wise"]) for i in (0, 1, 2)
    }
    plain, deep = (
        used(planned(pipeline_type=pipeline, constraints=kinds).get_selected_options())
        for pipeline in ("train_sparse_dist", "train_prefetch_sparse_dist")
    )
    ids_of_three_tables = 3 * 512 * 8
    for rank in plain:
        assert deep[rank] - plain[rank] == ids_of_three_tables


def test_unknown_pipelines_are_refused() -> None:
    """On every rank, before anything is planned."""
    with pytest.raises(InputError, match="train_prefetch_sparse_dist"):
        planned(pipeline_type="sparse_dist")


def test_the_search_space_holds_what_was_selected() -> None:
    """Every option has estimates and no ranks; the plan's cuts are among them."""
    planner = planned()
    space = planner.get_search_space()
    assert space is not None
    cuts = set()
    for option in space:
        assert all(shard.rank is None for shard in option.shards)
        assert all(shard.perf.total > 0 for shard in option.shards)
        assert all(shard.storage is not None for shard in option.shards)
        cuts.add((option.name, option.sharding_type, option.compute_kernel))
    for option in planner.get_selected_options():
        assert (option.name, option.sharding_type, option.compute_kernel) in cuts
    assert {option.name for option in space} == {"t0", "t1", "t2"}


def test_before_a_plan_there_is_nothing() -> None:
    """As TorchRec's own planner has it."""
    planner = ShardplanPlanner(torchrec_topology(), batch_size=512)
    assert planner.get_selected_options() == []
    assert planner.get_search_space() is None


def test_a_failed_plan_leaves_no_options_of_an_earlier_one() -> None:
    """Else a report would show options of another model."""
    planner = planned()
    with pytest.raises(InputError):
        planner.plan(bags("t", num_embeddings=10, embedding_dim=8), sharders=[])
    assert planner.get_selected_options() == []
