"""Problems so small that all their plans can be tried, with what is best."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.io import catalog
from shardplan.records.sharding import Objective
from tests.helpers import CLUSTERS, COST_MODEL, Instance, host_group, topology, workload
from tests.solvers.helpers import brute_force

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem

_WIDE = {"kind": "switch", "domain_size": 4, "bw": 1e11}
_TINY = {
    "one host": topology(local_world_size=3),
    "two hosts": topology(num_hosts=2, local_world_size=2),
    "wide": topology(num_hosts=2, local_world_size=2, scale_up=_WIDE),
    "mixed": topology(
        host_group("new", local_world_size=2),
        host_group("old", 0.4, local_world_size=1),
    ),
    "one rank": CLUSTERS["one_rank"],
}
_LIMITS = (
    ["table_wise", "row_wise", "data_parallel"],
    ["table_row_wise", "table_wise"],
    ["table_row_wise"],
    ["data_parallel", "table_wise"],
)


class Tiny(NamedTuple):
    """A problem and its shortest step [s]."""

    problem: Problem
    best_s: float


@cache
def tiny(seed: int, row_routing: str | None = None) -> Tiny:
    """Draw two to four tables on one to four ranks, with hot rows if routed."""
    rng = np.random.default_rng(seed)
    cluster = list(_TINY.values())[seed % len(_TINY)]
    tables = [
        {
            "num_embeddings": int(10 ** rng.uniform(3, 6)),
            "embedding_dim": 64,
            "pooling_factor": float(rng.uniform(1, 60)),
            "constraints": {"compute_kernels": ["fused", "dense"]},
        }
        for _ in range(2 + seed % 2)
    ]
    dense = {"num_dense": 4, "bottom_mlp": [64, 64], "top_mlp": [512, 1]}
    model = workload(
        *tables,
        global_batch_size=int(rng.choice([512, 16_384])),
        pipeline=str(rng.choice(["none", "sparse_dist", "prefetch_sparse_dist"])),
        dense=dense if rng.random() < 0.5 else {},
        constraints={"sharding_types": _LIMITS[seed % len(_LIMITS)]},
        access={"kind": "zipf", "alpha": 1.05} if row_routing else {"kind": "uniform"},
        row_routing=row_routing,
    )
    cost_model = COST_MODEL if seed % 2 else catalog.load_cost_model("h100")
    runtime = cost_model.runtime.replace(async_weight_gradients=seed % 3 == 0)
    instance = Instance(model, cluster, cost_model.replace(runtime=runtime))
    problem = instance.problem(objective=Objective.TIME)
    best_s, _ = brute_force(problem)
    return Tiny(problem, best_s)
