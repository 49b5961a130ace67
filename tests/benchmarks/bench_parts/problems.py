"""Families of fresh problems for the benchmark of the parts, small ones included.

Families of `tests.benchmarks.families` in several sizes, few tables on many ranks
(the sizes of Criteo's, perturbed), small problems, problems for frameworks, and
shipped workloads on clusters. A seed draws the size, the objective and the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.io import catalog
from shardplan.problems.problem import build_problem
from shardplan.records.sharding import Objective, Target
from tests.benchmarks.families import Family, family_inputs, family_problem
from tests.benchmarks.frozen import frozen_cost_model, frozen_topology

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.problems.problem import Problem
    from shardplan.records.workload import Workload


@dataclass(frozen=True)
class Drawn:
    """A fresh problem.

    Attributes
    ----------
    name : str
        Its size, or the shipped inputs.
    objective : Objective
    problem : Problem
    """

    name: str
    objective: Objective
    problem: Problem


_SIZES = ((40, 8), (100, 8), (100, 16), (200, 16), (200, 32))
_SMALL_TABLES, _SMALL_RANKS = (4, 8, 12, 20, 30), (2, 4, 8, 16)
_FEW_RANKS = (8, 16, 32, 64)
_FEW_WORKLOADS = ("dlrm-dcnv2", "criteo-tb")
_MANY_RANKS = ((60, 32), (128, 64))
_LARGE = ((856, 128), (2000, 128), (856, 256))
_SHIPPED = (
    ("hugectr-200", "dgx-h100", 2),
    ("merlin-medium", "dgx-a100-80", 1),
    ("dlrm-dcnv2", "dgx-h100", 1),
    ("neo-i", "zionex", 16),
    ("deeprecsys-rm1", "dgx-a100-40", 1),
    ("criteo-tb", "dgx-a100-40", 2),
    ("merlin-small", "hgx-h100-mesh4", 1),
    ("torcheasyrec-dlrm", "h100-pcie", 1),
)
_SPREAD = 0.4
"""Standard deviation of the logarithm of what shipped rows are multiplied by."""


def _objective(seed: int) -> Objective:
    return (Objective.STEP, Objective.MAX_RANK)[seed % 2]


def _of_family(family: Family) -> Callable[[int], Drawn]:
    def draw(seed: int) -> Drawn:
        tables, ranks = _SIZES[seed // 2 % len(_SIZES)]
        return _drawn(family, seed, tables, ranks)

    return draw


def _drawn(family: Family, seed: int, tables: int, ranks: int) -> Drawn:
    objective = _objective(seed)
    problem = family_problem(family, seed, tables, ranks, objective)
    return Drawn(f"{family} {tables}x{ranks}", objective, problem)


def _small(seed: int) -> Drawn:
    """Draw 4 to 30 tables on 2 to 16 ranks, with slower tiers for every third seed."""
    rng = np.random.default_rng(seed)
    tables, ranks = int(rng.choice(_SMALL_TABLES)), int(rng.choice(_SMALL_RANKS))
    return _drawn(Family.DDR if seed % 3 == 0 else Family.HBM, seed, tables, ranks)


def _few(seed: int) -> Drawn:
    """Draw the tables of Criteo on 8 to 64 A100, or 60 to 128 tables on 32 to 64."""
    if seed // 2 % 3 == 2:
        return _drawn(Family.HBM, seed, *_MANY_RANKS[seed // 6 % 2])
    rng = np.random.default_rng(seed)
    name, ranks = _FEW_WORKLOADS[seed // 2 % 3], int(rng.choice(_FEW_RANKS))
    return _shipped_on(seed, name, "dgx-a100-40", ranks // 8)


def _large(seed: int) -> Drawn:
    family = (Family.HBM, Family.DDR)[seed // 2 % 2]
    return _drawn(family, seed, *_LARGE[seed // 4 % len(_LARGE)])


def _shipped(seed: int) -> Drawn:
    return _shipped_on(seed, *_SHIPPED[seed // 2 % len(_SHIPPED)])


def _shipped_on(seed: int, workload: str, topology: str, hosts: int) -> Drawn:
    """Build a shipped workload with rows and lookups perturbed by the seed."""
    objective = _objective(seed)
    cluster = frozen_topology(topology, hosts)
    problem = build_problem(
        perturbed(catalog.load_workload(workload), seed),
        cluster,
        frozen_cost_model(str(cluster.cost_model)),
        objective=objective,
    )
    return Drawn(f"{workload} on {hosts} {topology}", objective, problem)


def perturbed(workload: Workload, seed: int) -> Workload:
    rng = np.random.default_rng(seed)
    tables = [
        table.model_copy(
            update={
                "num_embeddings": max(
                    2, int(table.num_embeddings * np.exp(rng.normal(-0.1, _SPREAD)))
                ),
                "pooling_factor": table.pooling_factor
                * (1.0 if table.pooling_factor == 1.0 else rng.uniform(0.7, 1.4)),
            }
        )
        for table in workload.tables
    ]
    return workload.model_copy(update={"tables": tuple(tables)})


def _for_frameworks(seed: int) -> Drawn:
    """Draw a problem for TorchRec or HugeCTR."""
    target = (Target.TORCHREC, Target.HUGECTR)[seed // 2 % 2]
    tables, ranks = _SIZES[seed // 4 % len(_SIZES)]
    objective = _objective(seed)
    workload, topology = family_inputs(Family.HBM, seed, tables, ranks)
    cost_model = frozen_cost_model(str(topology.cost_model))
    problem = build_problem(
        workload, topology, cost_model, objective=objective, target=target
    )
    return Drawn(f"{target} {tables}x{ranks}", objective, problem)


FAMILIES: dict[str, Callable[[int], Drawn]] = {
    "small": _small,
    "few": _few,
    **{family.value: _of_family(family) for family in Family},
    "shipped": _shipped,
    "frameworks": _for_frameworks,
    "large": _large,
}
"""By name, what draws a problem from a seed; even seeds are for `step`."""
