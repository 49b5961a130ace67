"""Cost models take the workloads that they can price, and refuse others by name."""

from __future__ import annotations

import pytest

from shardplan.costs.cluster import Cluster
from shardplan.costs.pricer import make_pricer
from shardplan.costs.usage import TableUsage
from shardplan.errors import InputError
from shardplan.io.catalog import load_cost_model
from tests.helpers import COST_MODEL, ONE_HOST, workload


def test_stashed_tables_are_for_torchrecs_cost_model() -> None:
    """Ours would leave out a copy of all rows, down and up, in each step."""
    stashed = {"torchrec": {"stash_weights": True}}
    usage = TableUsage.of(workload(stashed, {}, stashed), ONE_HOST.world_size)
    cluster = Cluster.of(ONE_HOST)
    with pytest.raises(InputError) as caught:
        make_pricer(cluster, usage, COST_MODEL)
    assert [(p.where, p.key) for p in caught.value.problems] == [
        ("t0", "stash_weights"),
        ("t2", "stash_weights"),
    ]
    assert f"cost model {COST_MODEL.name}" in caught.value.problems[0].rule
    theirs = make_pricer(cluster, usage, load_cost_model("torchrec"))
    assert len(theirs.capacity().rank_hbm) == ONE_HOST.world_size
