"""What the user of a plan should hear, in sentences: only what can be told for sure.

Nothing here searches for long: what is counted is the plan's own, and the few other
plans that are made, for half of the hosts and for wider tables, are those of `greedy`
for small problems.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.errors import ShardplanError
from shardplan.planning.padding import padding_that_pays
from shardplan.planning.quick_plan import is_small, quick_plan
from shardplan.plans.cache_groups import reserved_memory
from shardplan.plans.evaluation import evaluate
from shardplan.records.sharding import QUANTITY, Objective, Target
from shardplan.records.targets import RUNTIMES, optimizer_notice
from shardplan.records.torchrec_table import STASHING
from shardplan.simulation import simulate
from shardplan.units import format_bytes, format_seconds, plural

if TYPE_CHECKING:
    from shardplan.planning.result import PlanResult
    from shardplan.plans.evaluation import Evaluation
    from shardplan.plans.plan import Plan

_NAMED = 3
"""Tables that are named."""
_WIDE = 0.02
"""A gap from which it is worth asking whose fault it is."""
_FEW = 3.0
"""Shards per rank below which the bound is weak; see `_bound_is_weak`."""
_USUAL = {
    Objective.STEP: ", of up to about 10 %",
    Objective.MAX_RANK: ", of some percent",
    Objective.TIME: ", of up to about 10 %",
}
"""Gaps that good plans have, where that was measured."""
_SEARCHES = ("auto", "ilp", "cbc")
"""Solvers that improve a plan until they find no better one."""
_FASTER = 0.99
"""A step has to be shorter by this factor to be called faster."""


def notices(result: PlanResult) -> tuple[str, ...]:
    """Say what stands out about a plan that was just found; nothing if nothing does."""
    evaluation = evaluate(result.plan)
    plan = result.plan
    found = (
        *result.remarks,
        optimizer_notice(plan.inputs.workload, plan.target),
        _stashed(plan),
        _outside_hbm(evaluation),
        _separate_caches(plan),
        _bound_is_weak(result),
        _fewer_hosts(result.plan),
        _wider_rows(evaluation),
    )
    return tuple(text for text in found if text)


def _stashed(plan: Plan) -> str:
    """Say what stashing tables does to the plan."""
    found = [
        table.name
        for table in plan.inputs.workload.tables
        if table.torchrec is not None and table.torchrec.stash_weights
    ]
    if not found:
        return ""
    more = ", ..." if len(found) > _NAMED else ""
    tables = plural(len(found), "table")
    return f"{tables} ({', '.join(found[:_NAMED])}{more}): {STASHING}."


def _outside_hbm(evaluation: Evaluation) -> str:
    """Name the tables that have rows in DDR or on SSD."""
    plan, loads = evaluation.plan, evaluation.loads
    sizes = {
        t.name: t.num_embeddings * t.embedding_dim for t in plan.inputs.workload.tables
    }
    outside = [p.name for p in plan.tables if p.tiers.ddr > 0 or p.tiers.ssd > 0]
    if evaluation.cluster.is_cpu or not outside:
        return ""
    outside.sort(key=lambda name: (-sizes[name], name))
    amounts = ((loads.ddr, "in DDR"), (loads.ssd, "on SSD"))
    where = [f"{format_bytes(b.sum())} {tier}" for b, tier in amounts if b.any()]
    named = ", ".join(outside[:_NAMED])
    more = ", ..." if len(outside) > _NAMED else ""
    return (
        f"{len(outside):,} of {plural(len(plan.tables), 'table')} leave HBM ({named}"
        f"{more}): {' and '.join(where)}, which is slower than HBM."
    )


def _separate_caches(plan: Plan) -> str:
    """Say that TorchRec would fuse caches if the export did not keep them apart."""
    apart = reserved_memory(plan) if plan.target is Target.TORCHREC else {}
    if not apart:
        return ""
    return (
        f"Cached tables differ in width or share: {1 + len(set(apart.values()))} kinds "
        "of caches, which `export` keeps apart by their reserved_memory. TorchRec "
        "would fuse them into one as wide as the widest table."
    )


def _bound_is_weak(result: PlanResult) -> str:
    """Say if a gap is the bound's, or may well be.

    Notes
    -----
    A solver that claims a much better bound knows that the certificate is weak. Without
    one there is the shape of the problem: prices of seconds and bytes see sums, not how
    whole shards share ranks. With three shards per rank, those on all ranks left out,
    gaps of good plans are about 1 % (`max-rank`) and up to 10 % (`step`); see
    docs/how-it-works/bound.md, "What it cannot see".
    """
    plan, gap = result.plan, result.gap
    if gap is None or gap < _WIDE:
        return ""
    shown = f"{100 * gap:.1f} % in the {QUANTITY[plan.objective]}"
    claimed = plan.outcome.claimed_bound_s
    if claimed and plan.outcome.objective_s / claimed - 1.0 < gap / 2.0:
        left = plan.outcome.objective_s / claimed - 1.0
        return (
            f"Most of the gap of {shown} is the bound's fault, not the plan's: by the "
            f"solver's own bound, {format_seconds(claimed)}, which no certificate "
            f"proves, it is {100 * left:.1f} %."
        )
    per_rank = _shards_per_rank(plan)
    if plan.outcome.solver not in _SEARCHES or not 0 < per_rank < _FEW:
        return ""
    return (
        f"Part of the gap of {shown} may be the bound's fault, not the plan's: with "
        f"{per_rank:.1f} shards per rank the bound does not see how whole shards share "
        f"ranks, and even the best plan often has a gap{_USUAL[plan.objective]}."
    )


def _shards_per_rank(plan: Plan) -> float:
    """Return the mean number of shards on a rank, without those on all ranks."""
    world = plan.world_size
    sizes = [len(block.ranks) for p in plan.tables for block in p.blocks]
    return sum(size for size in sizes if size < world) / world


def _fewer_hosts(plan: Plan) -> str:
    """Say if a plan for half of the hosts has a shorter step for the same samples.

    The other plan is made and simulated, so what is said of it is so; that nothing is
    said means nothing, for it may not be a good one.
    """
    topology, workload = plan.inputs.topology, plan.inputs.workload
    hosts = topology.whole.num_hosts
    fewer = hosts // 2
    if workload.global_batch_size is None or not fewer or len(topology.host_groups) > 1:
        return ""
    try:
        smaller = topology.with_hosts(fewer)
    except ValueError:  # sharding groups that do not fit, HBM listed rank by rank
        return ""
    inputs = plan.inputs.replace(topology=smaller)
    if not is_small(inputs):
        return ""
    try:
        now_s = simulate(plan).step_time_s
        other = quick_plan(plan, inputs)
        then_s = simulate(other).step_time_s if other else now_s
    except ShardplanError:  # pins to hosts that are gone, a cluster without rates
        return ""
    if then_s >= now_s * _FASTER:
        return ""
    return (
        f"{plural(fewer, 'host')} instead of {hosts:,} would be faster: a plan of "
        f"solver greedy for {fewer:,} takes {format_seconds(then_s)} per simulated "
        f"step of as many samples, this one {format_seconds(now_s)}."
    )


def _wider_rows(evaluation: Evaluation) -> str:
    """Say if tables that are copied for their width would pay with wider rows."""
    plan, found = evaluation.plan, padding_that_pays(evaluation)
    if not found:
        return ""
    now = format_seconds(evaluation.value(plan.objective))
    tries = ", ".join(
        f"{format_seconds(padded.objective_s)} with {padded.change}" for padded in found
    )
    return (
        f"{RUNTIMES[plan.target].name} only copies tables whose width is no multiple "
        f"of 4: a plan of solver greedy takes {tries}, this one {now}."
    )
