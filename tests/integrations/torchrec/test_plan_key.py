"""One key for one job, in every process; another for all that decides otherwise."""

from __future__ import annotations

import enum
from typing import Any

import pytest
import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.planner.storage_reservations import (
    FixedPercentageStorageReservation,
)
from torchrec.distributed.planner.types import ParameterConstraints
from torchrec.distributed.types import CacheParams
from torchrec.modules.embedding_configs import DataType, PoolingType

from shardplan.integrations.torchrec import ShardplanPlanner, plan_key
from shardplan.integrations.torchrec.plan_key import plain
from tests.integrations.torchrec.test_import import bags, torchrec_topology

SHARDERS = [EmbeddingBagCollectionSharder()]


def key(
    model: Any = None,
    sharders: list[Any] | None = None,
    topology: dict[str, Any] | None = None,
    **options: Any,
) -> str:
    """Return the key of two tables on eight GPUs."""
    given = {"batch_size": 64, **options}
    planner = ShardplanPlanner(torchrec_topology(**(topology or {})), **given)
    made = model() if model is optimized else model or bags("a", "b")
    return planner.key(made, sharders or SHARDERS)


def optimized() -> torch.nn.Module:
    """Two tables whose parameters carry an optimizer."""
    from torch.distributed.optim import (
        _apply_optimizer_in_backward as apply_optimizer_in_backward,
    )

    model = bags("a", "b")
    apply_optimizer_in_backward(torch.optim.SGD, model.parameters(), {"lr": 0.1})
    return model


BASE = key()


def nested() -> torch.nn.Module:
    """Two tables in a module of their own."""
    model = torch.nn.Module()
    model.sparse = bags("a", "b")
    return model


def limits(**fields: Any) -> dict[str, ParameterConstraints]:
    """Constrain one of the tables."""
    return {"a": ParameterConstraints(**fields)}


OTHERS: dict[str, dict[str, Any]] = {
    "rows": {"model": bags("a", "b", num_embeddings=101)},
    "columns": {"model": bags("a", "b", embedding_dim=32)},
    "row type": {"model": bags("a", "b", data_type=DataType.FP16)},
    "pooling": {"model": bags("a", "b", pooling=PoolingType.MEAN)},
    "features": {"model": bags("a", "b", feature_names=["x"])},
    "weights": {"model": bags("a", "b", weighted=True)},
    "names": {"model": bags("a", "c")},
    "modules": {"model": nested()},
    "optimizer": {"model": optimized},
    "constraints": {"constraints": limits(sharding_types=["row_wise"])},
    "pooling factors": {"constraints": limits(pooling_factors=[3.0])},
    "caches": {"constraints": limits(cache_params=CacheParams(load_factor=0.5))},
    "what the kernel does": {"constraints": limits(stochastic_rounding=True)},
    "sharders": {
        "sharders": [
            EmbeddingBagCollectionSharder(
                fused_params={"optimizer": EmbOptimType.EXACT_SGD}
            )
        ]
    },
    "ranks": {"topology": {"world_size": 16}},
    "hosts": {"topology": {"local_world_size": 8}},
    "memory": {"topology": {"hbm_cap": 33 * 2**30}},
    "bandwidth": {"topology": {"inter_host_bw": 1e7}},
    "reserved": {"storage_reservation": FixedPercentageStorageReservation(0.2)},
    "batch": {"batch_size": 65},
    "time": {"timeout_seconds": 7.0},
    "objective": {"objective": "step"},
    "estimates": {"cost_model": "h100"},
    "pipeline": {"pipeline_type": "train_sparse_dist"},
    "seed": {"seed": 1},
    "groups": {"sharding_group": 4},
    "where groups lie": {"sharding_group": 4, "replicas": "across"},
    "how often groups meet": {"sharding_group": 4, "sync_every": 5},
}


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
def test_whatever_decides_is_in_the_key(changes: dict[str, Any]) -> None:
    """Each change alone gives another key."""
    assert key(**changes) != BASE


def test_no_two_changes_share_a_key() -> None:
    """All of them differ from each other."""
    assert len({key(**changes) for changes in OTHERS.values()}) == len(OTHERS)


def test_what_does_not_decide_is_not_in_the_key() -> None:
    """Dense layers, weights and the order of things."""
    assert key(bags("a", "b")) == BASE
    assert key(sharders=[EmbeddingBagCollectionSharder()]) == BASE
    names = {"a": ParameterConstraints(min_partition=8), "b": ParameterConstraints()}
    turned = dict(reversed(list(names.items())))
    assert key(constraints=names) == key(constraints=turned)
    dense = nested()
    dense.top = torch.nn.Linear(3, 3, device="meta")
    assert key(dense) == key(nested())


def test_another_release_has_keys_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its plans may be better."""
    monkeypatch.setattr(plan_key, "VERSION", "99.0")
    assert key() != BASE


class Odd:
    """An object that only an address tells apart by `repr`."""

    def __init__(self, value: object) -> None:
        self.value = value


class Colour(enum.Enum):
    """Members by name."""

    RED = 1


def test_any_object_becomes_plain_data() -> None:
    """Never by its address; cycles end."""
    assert plain(Odd(3)) == plain(Odd(3)) != plain(Odd(4))
    assert plain({2: "b", 1: "a"}) == plain({1: "a", 2: "b"})
    assert plain({"x", "y"}) == plain({"y", "x"})
    assert plain(Colour.RED)[1] == "RED"
    assert plain(torch.float16) == "torch.float16"
    assert plain(plain) == "shardplan.integrations.torchrec.plan_key.plain"
    circle = Odd(None)
    circle.value = circle
    assert "Odd" in str(plain(circle))
