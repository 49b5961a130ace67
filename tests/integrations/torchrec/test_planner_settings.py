"""Settings are followed, or named."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pytest

pytest.importorskip(
    "torchrec.distributed.planner.provider",
    reason="TorchRec 1.8 has no planner API",
)
from torchrec.distributed.planner.types import (
    ParameterConstraints,
    PlannerConfig,
    PlannerVariant,
    ProposerConfig,
    ProposerGroup,
)

from shardplan.errors import InputError
from shardplan.integrations.torchrec.planner_settings import (
    limit_widths,
    require_search,
    unmet,
)
from shardplan.integrations.torchrec.tables import (
    default_sharders,
    find_tables,
)
from tests.integrations.torchrec.test_import import bags

FOLLOWED: list[dict[str, Any]] = [
    {},
    {"planner_variant": PlannerVariant.OSS},
    {"timeout_seconds": 5, "pipeline_type": "train_base"},
    {"bwd_compute_multiplier": 3.0, "use_hardware_based_compute": True},
    {"use_hardware_based_bandwidth": True},
    {"proposer_config": ProposerConfig(kind="default", min_col_dim=32)},
    {"proposer_config": ProposerConfig(groups=(ProposerGroup("t", min_col_dim=32),))},
]
UNMET: list[tuple[dict[str, Any], list[str]]] = [
    ({"debug": True}, ["debug = True"]),
    (
        {"planner_variant": PlannerVariant.LINEAR_PROGRAMMING},
        ["planner_variant = 'linear_programming'"],
    ),
    ({"proposer_type": "greedy"}, ["proposer_type = 'greedy'"]),
    (
        {"proposer_config": ProposerConfig("uniform", max_proposals=3)},
        ["proposer_config.kind = 'uniform'", "proposer_config.max_proposals = 3"],
    ),
    (
        {
            "proposer_config": ProposerConfig(
                groups=(
                    ProposerGroup("a", step_size=4),
                    ProposerGroup("b", step_size=4),
                )
            )
        },
        ["proposer_config.groups.step_size = 4"],
    ),
    (
        {"partitioner_type": "memory_balanced", "memory_balanced_tolerance": 0.1},
        ["partitioner_type = 'memory_balanced'", "memory_balanced_tolerance = 0.1"],
    ),
    ({"performance_model": "storage"}, ["performance_model = 'storage'"]),
    ({"dense_tensor_estimate": 7}, ["dense_tensor_estimate = 7"]),
]


@pytest.mark.parametrize("settings", FOLLOWED)
def test_nothing_is_said_of_what_is_followed(settings: dict[str, Any]) -> None:
    """Nor of defaults."""
    assert unmet(PlannerConfig(**settings)) == []


@pytest.mark.parametrize(("settings", "named"), UNMET)
def test_all_else_is_named(settings: dict[str, Any], named: list[str]) -> None:
    """With its value."""
    assert unmet(PlannerConfig(**settings)) == named


def test_something_else_may_follow_a_setting() -> None:
    """As a storage reservation does."""
    assert (
        unmet(PlannerConfig(dense_tensor_estimate=7), {"dense_tensor_estimate"}) == []
    )


def test_settings_of_later_releases_are_named() -> None:
    """A field that is not known cannot be dropped in silence."""

    @dataclass(frozen=True)
    class Later(PlannerConfig):  # type: ignore[misc, unused-ignore]
        """A config with one more field."""

        later: int = 0

    assert unmet(Later(later=1)) == ["later = 1"]
    assert len(fields(PlannerConfig)) > 20


def test_plans_of_a_store_are_refused() -> None:
    """They are not searched for."""
    require_search(PlannerConfig(planner_variant=PlannerVariant.LINEAR_PROGRAMMING))
    with pytest.raises(InputError, match="planner_variant = 'manifold'"):
        require_search(PlannerConfig(planner_variant=PlannerVariant.MANIFOLD))


def widths(config: Any, **own: Any) -> dict[str, int | None]:
    """Narrowest columns of three tables, of 64, 64 and 16 columns."""
    tables = find_tables(bags("t1", "t2", embedding_dim=64), default_sharders())
    tables += find_tables(bags("small", embedding_dim=16), default_sharders())
    return {
        name: limit.min_partition
        for name, limit in limit_widths(own, config, tables).items()
    }


def test_columns_are_as_wide_as_was_asked() -> None:
    """The table's own limit goes first, then its group's, then that of all."""
    groups = (ProposerGroup("t1", min_col_dim=48), ProposerGroup("t", min_col_dim=8))
    config = ProposerConfig(min_col_dim=32, groups=groups)
    assert widths(config) == {"t1": 48, "t2": 8, "small": 16}
    assert widths(ProposerConfig(min_col_dim=32)) == {"t1": 32, "t2": 32, "small": 16}
    own = ParameterConstraints(min_partition=4, sharding_types=["column_wise"])
    assert widths(config, t1=own) == {"t1": 4, "t2": 8, "small": 16}


def test_without_limits_constraints_stay() -> None:
    """Also where a config says nothing of widths."""
    assert widths(None) == {}
    assert widths(ProposerConfig()) == {}


def test_broken_expressions_are_refused() -> None:
    """With what is wrong with them."""
    with pytest.raises(InputError, match="no regular expression"):
        widths(ProposerConfig(groups=(ProposerGroup("("),)))
