"""Measure one pair: a pool of plans, all simulated, and the plan that is returned."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import scipy.optimize  # noqa: F401  its import counts for none of the runs

from shardplan.records.placement import TablePlacement
from shardplan.records.sharding import Objective
from tests.benchmarks.bench_parts.clock import planner_on_processor_clock
from tests.benchmarks.bench_step.pool import Pool

if TYPE_CHECKING:
    from pathlib import Path

    from shardplan.records.inputs import Inputs

Found = dict[str, Any]
_SHARES = (0.1, 0.3)
"""Limits of `auto` for the pool, over the limit of the plan that is returned."""
_SEEDS = (1, 2)


def measure(pair: str, inputs: Inputs, limit_s: float, folder: Path) -> Found:
    """Measure a pair on the processor's clock; returns JSON.

    Parameters
    ----------
    limit_s : float
        Of `auto` under `time`, whose plan is compared with the best of the pool [s].
    folder : Path
        Keeps the best plan of every pair, which joins the pool of the next run.
    """
    pool = Pool(inputs)
    with planner_on_processor_clock():
        returned = pool.add_auto(Objective.TIME, limit_s, 0)
        pool.add_solvers()
        for objective in Objective:
            for share in _SHARES:
                for seed in _SEEDS:
                    pool.add_auto(objective, share * limit_s, seed)
    pool.add_halves()
    path = folder / f"{pair.replace('/', '_').replace(' ', '_')}.json"
    _add_kept(pool, path)
    pool.add_changed()
    folder.mkdir(parents=True, exist_ok=True)
    pool.best.plan.save(path)
    rows = [
        {"source": one.source, "step_s": one.step_s, **one.value_s}
        for one in pool.rated
    ]
    found: Found = {"pair": pair, "limit_s": limit_s, "plans": rows, "returned": None}
    if returned is not None:
        rated = pool.add("returned", returned.tables)
        assert rated is not None
        found["returned"] = {"step_s": rated.step_s, "value_s": rated.value_s["time"]}
        found["bound_s"] = returned.outcome.lower_bound_s or None
    return found


def _add_kept(pool: Pool, path: Path) -> None:
    """Add the best plan of an earlier run, if it is still valid for these inputs."""
    if not path.exists():
        return
    # Placements alone: drawn inputs need not be what a plan file may hold.
    data = json.loads(path.read_text(encoding="utf-8"))
    tables = tuple(TablePlacement.model_validate(table) for table in data["tables"])
    if [t.name for t in tables] == [t.name for t in pool.inputs.workload.tables]:
        pool.add("kept", tables)
