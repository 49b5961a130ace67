"""TorchRec's executor and dry run plan with shardplan, on real machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip(
    "torchrec.distributed.planner.provider",
    reason="TorchRec 1.8 has no planner API",
)
from torchrec.distributed.planner.dry_run import (
    CacheConfig,
    DryRunOrchestrator,
    DryRunRequest,
    SkuOverride,
)
from torchrec.distributed.planner.executor import DefaultPlannerExecutor
from torchrec.distributed.planner.perf_models import NoopPerfModel
from torchrec.distributed.planner.provider import PlannerProvider
from torchrec.distributed.planner.storage_reservations import (
    FixedPercentageStorageReservation,
)
from torchrec.distributed.planner.types import (
    ParameterConstraints,
    PlannerConfig,
    PlannerErrorType,
    PlannerSessionContext,
    PlannerVariant,
    ProposerConfig,
    StorageReservationPolicy,
)

from shardplan.integrations.torchrec import ShardplanProvider
from shardplan.integrations.torchrec.tables import default_sharders
from tests.integrations.torchrec import processes, providing
from tests.integrations.torchrec.test_import import bags

GIB = 2**30
MODEL = bags("t0", "t1", "t2", num_embeddings=10**6, embedding_dim=64)
FIXED = {"storage_reservation_policy": StorageReservationPolicy.FIXED_PERCENTAGE}


def dry_run(
    *skus: str,
    provider: ShardplanProvider | None = None,
    config: dict[str, Any] | None = None,
    **changes: Any,
) -> tuple[Any, Any]:
    """Plan three tables on eight ranks of each SKU; return results and the context."""
    given = {"timeout_seconds": 2, **FIXED, **(config or {})}
    request = DryRunRequest(
        **{
            "model": MODEL,
            "sharders": default_sharders(),
            "sku_list": list(skus),
            "training_framework": "apf",
            "world_size": 8,
            "local_world_size": 4,
            "batch_size": 512,
            "planner_config": PlannerConfig(**given),
            **changes,
        }
    )
    ctx = PlannerSessionContext(request=request, results={})
    executor = DefaultPlannerExecutor(provider or ShardplanProvider(gap=0.5))
    return DryRunOrchestrator(executor).plan(request, ctx), ctx


def test_it_is_a_provider_of_torchrec() -> None:
    """It can stand wherever TorchRec expects one."""
    assert isinstance(ShardplanProvider(), PlannerProvider)


def test_skus_have_plans_of_their_own() -> None:
    """Times differ by the machines' bandwidths, where TorchRec's labels do not."""
    results, ctx = dry_run("H100", "A100", "GB200")
    times = {}
    for sku, found in results.items():
        assert found.success
        assert found.planner_failure_reason is None
        assert len(found.sharding_options) == len(MODEL.embedding_bag_configs())
        assert {option.fqn for option in found.sharding_options} == {
            ".t0",
            ".t1",
            ".t2",
        }
        assert found.estimated_max_hbm_bytes > 0
        times[sku] = found.max_rank_perf
    assert times["GB200"] < times["H100"] < times["A100"]
    assert ctx.hw_source["H100"] == "shardplan topology dgx-h100"
    assert ctx.hw_overrides_applied["H100"].hbm_cap_bytes == 85_520_809_984
    assert ctx.warnings == []


def test_the_result_is_what_torchrecs_estimator_says() -> None:
    """The slowest rank of the reported shards, rated on the reported topology."""
    results, ctx = dry_run("H100")
    topology = ctx.topology_cache["H100", 8, 4]
    used: dict[int, float] = {}
    for option in results["H100"].sharding_options:
        for shard in option.shards:
            used[shard.rank] = used.get(shard.rank, 0.0) + shard.perf_total
    assert results["H100"].max_rank_perf == pytest.approx(max(used.values()))
    assert NoopPerfModel(topology).rate([]) == 0
    assert topology.devices[0].storage.hbm == 85_520_809_984


def test_overrides_are_honoured() -> None:
    """Of the SKU before the request's, before the machine's; a GB is 2^30."""
    override = SkuOverride(hbm_gb=10, ddr_gb=20, intra_host_bw=100, inter_host_bw=7)
    _, ctx = dry_run(
        "H100", "A100", per_sku_overrides={"A100": override}, hbm_gb=5, ddr_gb=6
    )
    h100, a100 = (ctx.topology_cache[sku, 8, 4] for sku in ("H100", "A100"))
    assert h100.devices[0].storage.hbm == 5 * GIB
    assert h100.devices[0].storage.ddr == 6 * GIB
    assert a100.devices[0].storage.hbm == 10 * GIB
    assert a100.devices[0].storage.ddr == 20 * GIB
    assert a100.intra_host_bw == pytest.approx(100 * GIB / 1000)
    assert a100.inter_host_bw == pytest.approx(7 * GIB / 1000)


def test_no_room_is_a_result() -> None:
    """With TorchRec's name for it; the other SKUs are planned."""
    none = SkuOverride(hbm_gb=0.05, ddr_gb=0.01)
    results, _ = dry_run("H100", "A100", per_sku_overrides={"A100": none})
    assert results["H100"].success
    failed = results["A100"]
    assert failed.planner_error_type is PlannerErrorType.INSUFFICIENT_STORAGE
    assert "infeasible" in failed.planner_failure_reason


FAILURES: list[tuple[dict[str, Any], str, str]] = [
    (
        {"model": bags("t", weighted=True), "sharders": []},
        "input_validation",
        "no table",
    ),
    (
        {"constraints": {"t0": ParameterConstraints(sharding_types=["nothing"])}},
        "input_validation",
        "nothing",
    ),
    ({"config": {"pipeline_type": "fast"}}, "other", "train_sparse_dist"),
    ({"config": {"planner_variant": PlannerVariant.MANIFOLD}}, "other", "use oss"),
    ({"compute_device": "cpu"}, "other", "are cuda"),
    ({"local_world_size": 8, "pod_size": 2}, "other", "counts hosts"),
]


@pytest.mark.parametrize(("changes", "kind", "reason"), FAILURES)
def test_wrong_requests_are_results(
    changes: dict[str, Any], kind: str, reason: str
) -> None:
    """Each with what is wrong."""
    results, _ = dry_run("H100", **changes)
    failed = results["H100"]
    assert not failed.success
    assert failed.planner_error_type.value == kind
    assert reason in failed.planner_failure_reason


def test_an_unknown_sku_is_refused_with_the_known() -> None:
    """Where TorchRec plans for any label."""
    results, _ = dry_run("XPU9")
    assert "must be one of: A100" in results["XPU9"].planner_failure_reason


def test_what_is_not_followed_is_named() -> None:
    """In a warning and in the session."""
    config = {"proposer_type": "greedy", "dense_tensor_estimate": 5}
    cache = CacheConfig(enabled=True, manifold_bucket="b")
    named = (
        "SKU H100: shardplan does not follow proposer_type = 'greedy', "
        "dense_tensor_estimate = 5, cache_config.manifold_bucket = 'b'"
    )
    with pytest.warns(UserWarning, match="proposer_type = 'greedy'"):
        _, ctx = dry_run("H100", config=config, cache_config=cache)
    assert ctx.warnings == [named]


def test_a_given_reservation_goes_before_the_policy() -> None:
    """And settings of the policy are named then."""
    given = FixedPercentageStorageReservation(0.9)
    with pytest.warns(UserWarning, match="storage_reservation_percentage = 0.5"):
        _, ctx = dry_run(
            "H100",
            config={"storage_reservation_percentage": 0.5},
            storage_reservation=given,
        )
    assert ctx.storage_reservations_used["H100"] is given


def test_a_home_sku_is_the_one_whose_share_is_kept() -> None:
    """15 % of an H200 are kept on an H100."""
    policy = {"storage_reservation_policy": StorageReservationPolicy.SKU_AWARE}
    _, ctx = dry_run("H100", config={**policy, "home_sku": "H200"})
    left = ctx.storage_reservations_used["H100"].last_reserved_topology
    ids = 20 * 3 * 512 * 8
    expected = 85_520_809_984 - int(0.15 * 150_754_820_096) - ids
    assert left.devices[0].storage.hbm == expected
    results, _ = dry_run("H100", config={**policy, "home_sku": "XPU9"})
    assert "must be one of" in results["H100"].planner_failure_reason


def test_no_column_shard_is_narrower_than_asked() -> None:
    """`min_col_dim` of a proposer's configuration."""
    wide = ProposerConfig(min_col_dim=32)
    only = ParameterConstraints(sharding_types=["column_wise"])
    names = ("t0", "t1", "t2")
    for config, widest in ((None, False), (wide, True)):
        results, _ = dry_run(
            "H100",
            config={"proposer_config": config},
            constraints=dict.fromkeys(names, only),
        )
        widths = {
            shard.size[1]
            for option in results["H100"].sharding_options
            for shard in option.shards
        }
        assert (min(widths) >= 32) is widest


def test_estimates_follow_the_backward_multiplier() -> None:
    """TorchRec 1.9.2's own provider drops it."""
    _, ctx = dry_run("H100", config={"bwd_compute_multiplier": 5.0})
    assert ctx.topology_cache["H100", 8, 4].bwd_compute_multiplier == 5.0


def test_compute_of_the_hardware_is_its_cost_model() -> None:
    """Instead of TorchRec's estimates; these are reported all the same."""
    results, ctx = dry_run("H100", config={"use_hardware_based_compute": True})
    assert results["H100"].success
    assert results["H100"].max_rank_perf > 0
    assert ctx.resolved_hw_config["H100"] == "h100"
    _, plain = dry_run("H100")
    assert plain.resolved_hw_config["H100"] == "OSS_DEFAULT"


def test_the_search_space_is_captured_if_asked() -> None:
    """All options of the menu, for all tables."""
    _, ctx = dry_run("H100", capture_search_space=True)
    space = ctx.search_space["H100"]
    assert {option.fqn for option in space} == {".t0", ".t1", ".t2"}
    assert len(space) > 3
    assert all(option.total_perf > 0 for option in space)


def test_plans_may_come_from_a_cache(tmp_path: Path) -> None:
    """The session says so, per SKU; without a cache it says nothing."""
    for hit in (False, True):
        provider = ShardplanProvider(gap=0.5, plan_cache=tmp_path)
        results, ctx = dry_run("H100", "A100", provider=provider)
        assert ctx.cache_hit == {"H100": hit, "A100": hit}
        assert all(found.success for found in results.values())
    assert dry_run("H100")[1].cache_hit == {}


def test_torchrecs_statistics_hear_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails does not lose the plan."""
    from torchrec.distributed.planner.stats import EmbeddingStats

    calls = []
    monkeypatch.setattr(EmbeddingStats, "log", lambda _, **told: calls.append(told))
    results, ctx = dry_run("H100")
    (told,) = calls
    assert told["sharding_plan"] is results["H100"].sharding_plan
    assert told["topology"] is ctx.topology_cache["H100", 8, 4]
    assert len(told["best_plan"]) == 3

    def fail(_: Any, **told: Any) -> None:
        raise RuntimeError(len(told))

    monkeypatch.setattr(EmbeddingStats, "log", fail)
    assert dry_run("H100")[0]["H100"].success


Told = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def ranks() -> tuple[Told, Told]:
    """Plan on two processes; return what each printed, by mode."""
    done = processes.run(Path(providing.__file__), world=2)
    assert [process.returncode for process in done] == [0, 0], done[0].stderr[-2000:]
    first, second = (json.loads(process.stdout.splitlines()[-1]) for process in done)
    return first, second


def test_all_ranks_of_a_job_receive_one_plan(ranks: tuple[Told, Told]) -> None:
    """Rank 0 alone has the options."""
    first, second = (told["good"] for told in ranks)
    assert first["plan"] == second["plan"]
    assert "sparse_arch.embedding_bag_collection" in first["plan"]
    assert first["options"] > 0
    assert second["options"] == 0


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("small", "insufficient_storage"),
        ("wide", "input_validation"),
        ("size", "input_validation"),
    ],
)
def test_a_failure_is_the_same_on_every_rank(
    ranks: tuple[Told, Told], mode: str, kind: str
) -> None:
    """No rank waits for a plan that does not come."""
    first, second = (told[mode] for told in ranks)
    assert first["kind"] == second["kind"] == kind
    assert first["reason"] in second["reason"]


def test_an_unknown_sku_is_refused_on_every_rank(ranks: tuple[Told, Told]) -> None:
    """Before any of them communicates."""
    first, second = (told["sku"] for told in ranks)
    assert first == second
    assert "sku = 'CPU9'" in first["error"]


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("one sku", "sku = 'CPU9'"),
        ("one home", "sku = 'CPU9'"),
        ("one variant", "planner_variant = 'manifold'"),
    ],
)
def test_what_one_rank_cannot_build_is_refused_on_every_rank(
    ranks: tuple[Told, Told], mode: str, text: str
) -> None:
    """The others do not wait for it, and can plan afterwards."""
    first, second = (told[mode] for told in ranks)
    assert text in second["error"]
    assert first["error"].startswith("planning failed on rank 1: InputError")
    assert second["error"] in first["error"]
    assert ranks[0]["again"]["plan"] == ranks[1]["again"]["plan"]


def test_sharders_of_one_rank_that_are_none_are_refused_on_every_rank(
    ranks: tuple[Told, Told],
) -> None:
    """With what differs."""
    for told in ranks:
        assert told["one sharder"]["kind"] == "input_validation"
        assert "other tables than rank 0" in told["one sharder"]["reason"]
