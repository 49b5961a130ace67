"""Families of benchmark problems, each drawn from a seed, and shipped workloads.

Documented in docs/development/benchmarking.md; what all families share is in
`instances.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from shardplan.io import catalog
from shardplan.problems.problem import Problem, build_problem
from shardplan.records.sharding import ComputeKernel, Objective, Target
from shardplan.records.tables import EmbeddingTable, TableConstraints
from tests.benchmarks import instances
from tests.benchmarks.frozen import frozen_cost_model, frozen_topology

if TYPE_CHECKING:
    from shardplan.records.topology import Topology
    from shardplan.records.workload import Workload

_HBM = (ComputeKernel.DENSE, ComputeKernel.FUSED)
_DDR = (*_HBM, ComputeKernel.FUSED_UVM_CACHING, ComputeKernel.FUSED_UVM)
_SSD = (*_DDR, ComputeKernel.KEY_VALUE)
_GIANT_EVERY = 50


class Family(StrEnum):
    """What makes a problem hard; see `_SHAPES`."""

    HBM = "hbm"
    TIGHT = "tight"
    DDR = "ddr"
    SSD = "ssd"
    GIANT = "giant"
    HOT_SMALL = "hot-small"
    EQUAL = "equal"


@dataclass(frozen=True)
class Shape:
    """How a family fills memory.

    Attributes
    ----------
    fill : tuple of float
        Range of the bytes of all tables over the HBM of all ranks; where tables may
        leave HBM, over the HBM that buffers leave.
    ddr : float
        DDR over the bytes of all tables; 0 if slower tiers are not offered.
    kernels : tuple of ComputeKernel
    """

    fill: tuple[float, float]
    ddr: float = 0.0
    kernels: tuple[ComputeKernel, ...] = _HBM


_SHAPES = {
    Family.HBM: Shape((0.5, 0.9)),
    Family.TIGHT: Shape((0.98, 0.98)),
    Family.DDR: Shape((1.1, 3.0), 1.5, _DDR),
    Family.SSD: Shape((2.0, 4.0), 0.4, _SSD),
    Family.GIANT: Shape((0.7, 0.9)),
    Family.HOT_SMALL: Shape((0.5, 0.9)),
    Family.EQUAL: Shape((0.5, 0.9)),
}


def family_problem(
    family: Family, seed: int, num_tables: int, num_ranks: int, objective: Objective
) -> Problem:
    """Draw a problem of a family; the objective does not change what is drawn."""
    workload, topology = family_inputs(family, seed, num_tables, num_ranks)
    all_tiers = _SHAPES[family].ddr > 0
    return _build(workload, topology, objective, all_tiers=all_tiers)


def family_inputs(
    family: Family, seed: int, num_tables: int, num_ranks: int
) -> tuple[Workload, Topology]:
    """Draw the inputs of a problem of a family."""
    rng = np.random.default_rng(
        [seed, num_tables, num_ranks, list(Family).index(family)]
    )
    shape = _SHAPES[family]
    workload = instances.random_workload(
        rng,
        num_tables,
        largest=4.0 / num_ranks,
        constraints=TableConstraints(compute_kernels=shape.kernels),
    )
    tables = _reshaped(family, rng, workload.tables, num_ranks)
    workload = workload.model_copy(update={"tables": tables})
    fill = float(rng.uniform(*shape.fill))
    return workload, _sized(workload, num_ranks, fill, shape.ddr)


def shipped_problem(
    workload: str,
    topology: str,
    num_hosts: int | None,
    target: Target,
    objective: Objective,
) -> Problem:
    """Build a problem from a shipped workload and the frozen catalogue."""
    cluster = frozen_topology(topology, num_hosts)
    cost_model = frozen_cost_model(str(cluster.cost_model))
    tables = catalog.load_workload(workload)
    return build_problem(
        tables, cluster, cost_model, objective=objective, target=target
    )


def _build(
    workload: Workload, topology: Topology, objective: Objective, *, all_tiers: bool
) -> Problem:
    cost_model = frozen_cost_model(str(topology.cost_model))
    return build_problem(
        workload, topology, cost_model, objective=objective, all_tiers=all_tiers
    )


def _sized(
    workload: Workload, num_ranks: int, fill: float, ddr_share: float
) -> Topology:
    """Return hosts whose memory the tables fill as wanted, reserves aside."""
    local = min(num_ranks, instances._HOST_RANKS)
    hosts = -(-num_ranks // local)
    plenty = instances._PLENTY
    topology = instances._resized(hosts, local, plenty, plenty)
    roomy = _build(workload, topology, Objective.STEP, all_tiers=False)
    needed = instances._whole_bytes(roomy)
    memory = frozen_cost_model(str(topology.cost_model)).memory
    taken = sum(v for k, v in roomy.capacity.reserved.items() if k != "kept free")
    room = needed / fill
    if ddr_share > 0:  # tables may leave HBM, buffers may not
        stored = float(roomy.usage.stored_bytes.sum())
        room = stored / fill + max(needed - stored, 0.0)
    hbm = (room / num_ranks + taken) / (1.0 - memory.hbm_reserve_fraction.value)
    ddr = ddr_share * needed / hosts / (1.0 - memory.ddr_reserve_fraction.value)
    return instances._resized(hosts, local, int(hbm), max(1, int(ddr)))


def _reshaped(
    family: Family,
    rng: np.random.Generator,
    tables: tuple[EmbeddingTable, ...],
    num_ranks: int,
) -> tuple[EmbeddingTable, ...]:
    """Turn the common tables into those of a family."""
    if family is Family.GIANT:
        return _with_giants(rng, tables, num_ranks)
    if family is Family.HOT_SMALL:
        return _with_hot_small(rng, tables)
    if family is Family.EQUAL:
        common = tables[0].model_copy(
            update={
                "num_embeddings": 1_000_000,
                "embedding_dim": 128,
                "pooling_factor": 10.0,
            }
        )
        return tuple(common.model_copy(update={"name": t.name}) for t in tables)
    return tables


def _with_giants(
    rng: np.random.Generator, tables: tuple[EmbeddingTable, ...], num_ranks: int
) -> tuple[EmbeddingTable, ...]:
    """Let one table in 50 hold 0.8 to 4 times the mean bytes of a rank."""
    chosen = rng.choice(len(tables), max(1, len(tables) // _GIANT_EVERY), replace=False)
    mean = sum(t.num_embeddings * t.embedding_dim for t in tables) / num_ranks
    result = list(tables)
    for index in chosen:
        rows = int(rng.uniform(0.8, 4.0) * mean / tables[index].embedding_dim)
        result[index] = tables[index].model_copy(update={"num_embeddings": rows})
    return tuple(result)


def _with_hot_small(
    rng: np.random.Generator, tables: tuple[EmbeddingTable, ...]
) -> tuple[EmbeddingTable, ...]:
    """Make half of the tables small (1e3 to 1e5 rows) and hot (50 to 200 lookups)."""
    result = list(tables)
    for index in rng.choice(len(tables), len(tables) // 2, replace=False):
        change = {
            "num_embeddings": int(10.0 ** rng.uniform(3.0, 5.0)),
            "pooling_factor": round(float(rng.uniform(50.0, 200.0)), 2),
        }
        result[index] = tables[index].model_copy(update=change)
    return tuple(result)
