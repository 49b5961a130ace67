"""Mutants of valid plans: refused, or valid and worth what they say."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from shardplan.checking import examine
from shardplan.errors import InputError
from shardplan.io.validate import validate
from shardplan.plans.evaluation import evaluate
from shardplan.plans.plan import Plan
from shardplan.plans.plan_file import format_plan
from shardplan.records.fingerprint import fingerprints
from shardplan.records.record import dump
from shardplan.records.sharding import ComputeKernel, Objective, ShardingType, Target
from shardplan.records.tables import DType
from tests.checking.conftest import valid_plan
from tests.fuzz.commands import assert_readable, run_commands
from tests.fuzz.mutation import mutate, mutate_text
from tests.fuzz.oracle import faults
from tests.helpers import (
    COST_MODEL,
    ONE_HOST,
    Instance,
    mixed_cluster,
    one_host,
    tiered,
    workload,
)

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

RANKS = ("0-7", "0", "7", "5", "4-7", "0-3", "0,0", "3,1", "1-2", "65535", "")
TABLES = ("columns", "rows", "copy", "first", "second", "apart", "t0", "t1", "new")
WORDS: dict[str, tuple[Any, ...]] = {
    "": (*RANKS, *TABLES, "row_wise", "fused", "fp16", "step"),
    "name": TABLES,
    "sharding_type": tuple(ShardingType),
    "compute_kernel": tuple(ComputeKernel),
    "dtype": tuple(DType),
    "ranks": RANKS,
    "row_sizes": (),
    "target": tuple(Target),
    "objective": tuple(Objective),
    "status": ("optimal", "feasible", "time_limit"),
    "hbm": (),
    "ddr": (),
    "ssd": (),
    "claimed_bound_s": (),
    "column_offset": (),
}


@dataclass(frozen=True)
class Source:
    """A valid plan, and the best value that is known for its inputs [s]."""

    plan: Plan
    data: dict[str, Any]
    text: str
    best_s: float


def _hot() -> Instance:
    """Tables of which a plan cuts the rows where their heat balances."""
    blocks = {"is_pooled": False, "block_heat": [0.7, 0.1, 0.1, 0.1]}
    wide = {"num_embeddings": 500_000, "embedding_dim": 8, "pooling_factor": 50.0}
    return Instance(workload({**wide, **blocks}, {}), ONE_HOST, COST_MODEL)


@cache
def sources() -> tuple[Source, ...]:
    """Plans by hand and by solvers, with and without certificates."""
    solved = (
        one_host().solve(solver="greedy"),
        one_host().solve(solver="auto", work_limit=2000),
        one_host().solve(solver="greedy", target="torchrec", objective="max-rank"),
        mixed_cluster().solve(solver="auto", work_limit=2000),
        tiered().solve(solver="greedy"),
        _sequences().solve(solver="greedy"),
        _hot().solve(solver="greedy"),
    )
    plans = [valid_plan(), *(result.plan for result in solved)]
    alike = [
        [p.outcome.objective_s for p in plans if _question(p) == _question(plan)]
        for plan in plans
    ]
    return tuple(
        Source(plan, dump(plan), format_plan(plan), min(values))
        for plan, values in zip(plans, alike, strict=True)
    )


def _sequences() -> Instance:
    """Make tables of sequences whose ids are sent once, and one of bags."""
    curve = {"unique_ids": [[1000, 300], [20_000, 2500]]}
    long = {"is_pooled": False, "pooling_factor": 40.0, "num_embeddings": 10**6}
    tables = workload({**long, **curve}, {"is_pooled": False}, {}, dedup=True)
    return Instance(tables, ONE_HOST, COST_MODEL)


def _question(plan: Plan) -> tuple[object, ...]:
    return dump(plan.inputs), plan.objective, plan.target


def try_mutant(rng: Random, folder: Path) -> str:
    """Make one mutant, judge it and its judges; raises what should not happen.

    Returns
    -------
    str
        ``refused``, ``violations`` or ``accepted``.
    """
    source = rng.choices(sources(), _SHARES)[0]
    try:
        plan = _mutant(source, rng, folder)
    except InputError as error:
        assert_readable(error)
        return "refused"
    verdict = examine(plan)
    if rng.random() < 0.01:
        run_commands(plan, rng, folder)
    if verdict.violations:
        assert all(str(violation) for violation in verdict.violations)
        return "violations"
    _assert_rightly_accepted(plan, source, verdict.bound)
    return "accepted"


def _mutant(source: Source, rng: Random, folder: Path) -> Plan:
    if rng.random() < 0.1:
        path = folder / "plan.json"
        path.write_text(mutate_text(source.text, rng), errors="surrogatepass")
        return Plan.load(path)
    data = json.loads(json.dumps(source.data))
    part = rng.choices(("tables", "outcome", "inputs", "certificate", ""), _WEIGHTS)[0]
    if part == "tables" and rng.random() < 0.3:
        block = rng.choice(rng.choice(data["tables"])["blocks"])
        block["ranks"] = rng.choice(RANKS)
    else:
        mutate(data.get(part) or data, rng, WORDS)
    plan = validate(Plan, data, "plan.json")
    if part == "inputs" and rng.random() < 0.5:
        plan = plan.replace(fingerprints=fingerprints(plan.inputs))
    return _honest(plan) if rng.random() < 0.5 else plan


_SHARES = (5, 1, 1, 1, 1, 1, 1, 1)
_WEIGHTS = (12, 3, 4, 2, 1)


def _honest(plan: Plan) -> Plan:
    """Let a plan that can be priced claim what it is worth: the rest is then judged."""
    rules = {violation.rule for violation in examine(plan).violations}
    if rules & {"coverage", "tiers"}:
        return plan
    value = evaluate(plan).value(plan.objective)
    if not math.isfinite(value):  # a cluster without a link that the plan needs
        return plan
    bound = min(value, plan.outcome.lower_bound_s)
    bound = bound if bound > 1e-30 else 0.0  # a gap must be finite
    changes = {
        "objective_s": value,
        "lower_bound_s": bound,
        "gap": value / bound - 1 if bound else None,
        "status": "feasible",
        "claimed_bound_s": None,
    }
    return plan.replace(outcome={**dump(plan.outcome), **changes})


def _assert_rightly_accepted(plan: Plan, source: Source, bound: str) -> None:
    assert faults(plan) == []
    value = evaluate(plan).value(plan.objective)
    said = plan.outcome.objective_s
    assert abs(value - said) <= 1e-9 * max(value, said)
    if plan.fingerprints == source.plan.fingerprints:
        assert dump(plan.inputs) == source.data["inputs"], "inputs changed unnoticed"
    if bound == "proven" and _question(plan) == _question(source.plan):
        assert plan.outcome.lower_bound_s <= source.best_s * (1 + 1e-9), "a false proof"
