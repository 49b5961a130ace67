"""Random planning problems that look like real ones, drawn from a seed.

Tables: row counts are log-normal (median 500,000; sigma 1.9), every fifth table is
a small vocabulary (10 to 10,000 rows); widths 16 to 512; pooling factors are 1 for
half of the tables and log-normal (median 8, sigma 1.2, at most 200) for the others;
accesses are Zipf with alpha 0.6 to 1.2. No table holds more than `largest` times the
mean bytes of a rank. Hosts are those of the frozen `dgx-a100-40`; HBM, and DDR
where tiers are asked for, are scaled so that the tables fill the wanted share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.problem import Problem, build_problem
from shardplan.records.sharding import ComputeKernel, Objective
from shardplan.records.tables import EmbeddingTable, TableConstraints, ZipfAccess
from shardplan.records.workload import Workload
from tests.benchmarks.frozen import frozen_cost_model, frozen_topology

if TYPE_CHECKING:
    from shardplan.records.topology import Topology

_WIDTHS = (16, 32, 64, 96, 128, 192, 256, 512)
_WIDTH_SHARES = (0.1, 0.2, 0.25, 0.1, 0.2, 0.05, 0.07, 0.03)
_BATCH_SIZE = 512
_PLENTY = 10**15
_HOST_RANKS = 8


def random_workload(
    rng: np.random.Generator,
    num_tables: int,
    *,
    largest: float = 1.0,
    constraints: TableConstraints | None = None,
) -> Workload:
    """Draw a workload.

    Parameters
    ----------
    largest : float
        No table holds more than this share of all bytes.
    """
    rows = rng.lognormal(np.log(5e5), 1.9, num_tables)
    small = rng.random(num_tables) < 0.2
    rows = np.where(small, 10.0 ** rng.uniform(1, 4, num_tables), rows)
    width = rng.choice(_WIDTHS, num_tables, p=_WIDTH_SHARES)
    for _ in range(8):
        rows = np.minimum(rows, largest * float(rows @ width) / width)
    skewed = np.clip(rng.lognormal(np.log(8.0), 1.2, num_tables), 1.0, 200.0)
    pooling = np.where(rng.random(num_tables) < 0.5, 1.0, skewed)
    alpha = rng.uniform(0.6, 1.2, num_tables)
    return Workload(
        schema_version=1,
        name="random",
        batch_size=_BATCH_SIZE,
        constraints=constraints or TableConstraints(),
        tables=tuple(
            EmbeddingTable(
                name=f"t{index:05d}",
                num_embeddings=max(10, int(rows[index])),
                embedding_dim=int(width[index]),
                pooling_factor=round(float(pooling[index]), 2),
                access=ZipfAccess(alpha=round(float(alpha[index]), 2)),
            )
            for index in range(num_tables)
        ),
    )


def random_problem(
    seed: int,
    num_tables: int,
    num_ranks: int,
    *,
    fill: float = 0.8,
    tiers: bool = False,
    objective: Objective = Objective.STEP,
) -> Problem:
    """Draw a problem.

    Parameters
    ----------
    fill : float
        Bytes of the tables over the HBM that the buffers of whole tables leave;
        above 1 the rest must go to DDR.
    tiers : bool
        Offer DDR, 1.5 times what the tables fill.
    """
    rng = np.random.default_rng(seed)
    kernels = [ComputeKernel.DENSE, ComputeKernel.FUSED]
    if tiers:
        kernels += [ComputeKernel.FUSED_UVM_CACHING, ComputeKernel.FUSED_UVM]
    workload = random_workload(
        rng,
        num_tables,
        largest=4.0 / num_ranks,
        constraints=TableConstraints(compute_kernels=tuple(kernels)),
    )
    hosts = -(-num_ranks // _HOST_RANKS)
    local = min(num_ranks, _HOST_RANKS)
    topology = _resized(hosts, local, _PLENTY, _PLENTY)
    cost_model = frozen_cost_model(str(topology.cost_model))
    roomy = build_problem(
        workload, topology, cost_model, objective=objective, all_tiers=False
    )
    stored = float(roomy.usage.stored_bytes.sum())
    buffers = max(_whole_bytes(roomy) - stored, 0.0)
    reserve = cost_model.memory
    taken = sum(v for k, v in roomy.capacity.reserved.items() if k != "kept free")
    hbm = (stored / fill + buffers) / num_ranks + taken
    ddr = 1.5 * stored / hosts / (1.0 - reserve.ddr_reserve_fraction.value)
    topology = _resized(
        hosts, local, int(hbm / (1.0 - reserve.hbm_reserve_fraction.value)), int(ddr)
    )
    return build_problem(
        workload, topology, cost_model, objective=objective, all_tiers=tiers
    )


def _whole_bytes(problem: Problem) -> float:
    """Bytes of HBM that all tables take, each whole on one rank."""
    menu = problem.options
    whole = (menu.scope == Scope.RANK) & (menu.column_shards == 1)
    whole &= (menu.row_shards == 1) & (menu.ddr_share == 0)
    return float(menu.item_bytes[menu.item_start[:-1][whole], 0].sum())


def _resized(hosts: int, local: int, hbm_bytes: int, ddr_bytes: int) -> Topology:
    """Return hosts like DGX A100 with other memory."""
    topology = frozen_topology("dgx-a100-40", hosts)
    group = topology.host_groups[0]
    host_ddr = {"ddr_bytes": ddr_bytes}
    scale_up = group.scale_up.model_copy(update={"domain_size": local})
    group = group.model_copy(
        update={
            "local_world_size": local,
            "device": group.device.model_copy(update={"hbm_bytes": hbm_bytes}),
            "host": group.host.model_copy(update=host_ddr),
            "scale_up": scale_up,
        }
    )
    return topology.model_copy(update={"host_groups": (group,)})
