"""What holds for every plan, on seeded random ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from shardplan.plans.evaluation import evaluate
from shardplan.plans.sparse_work import sparse_work
from shardplan.records.sharding import PHASES, Objective
from shardplan.simulation import SimulationSettings, simulate

SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_bare_step_equals_the_objective(tiny, seed):
    """Without all that the objective leaves out, the step is the objective."""
    plan = tiny.random_plan(seed)
    expected = evaluate(plan).value(Objective.STEP)
    simulation = simulate(plan, SimulationSettings.bare())
    assert simulation.step_time_s == pytest.approx(expected, rel=1e-12)
    assert simulation.breakdown.total_s == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_kinds_of_work_add_up_to_the_loads(tiny, seed):
    """Split by kind and added up by phase, the seconds are those of `evaluate`."""
    evaluation = evaluate(tiny.random_plan(seed))
    work = sparse_work(evaluation)
    rates, rank_class = evaluation.rates, evaluation.cluster.rank_class
    exchanges = [
        exchange.whole * rates.all_to_all[rank_class]
        + sum(
            array
            * (rates.reduce_scatter[scope] + rates.across_groups[scope])[rank_class]
            for scope, array in exchange.sums.items()
        )
        + exchange.encode
        for exchange in (work.outputs, work.gradients)
    ]
    all_reduce = 2.0 * work.replica_bytes * rates.all_reduce[rank_class]
    phases = [
        (work.length_bytes + work.id_bytes) * rates.all_to_all[rank_class],
        work.prefetch,
        work.forward + work.replicated_forward,
        exchanges[0],
        exchanges[1] + all_reduce + work.replica_sync,
        work.backward + work.replicated_backward,
    ]
    assert len(phases) == len(PHASES)
    np.testing.assert_allclose(
        np.transpose(phases), evaluation.loads.cost, rtol=1e-12, atol=1e-20
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_breakdown_and_chain_add_up_to_the_step(tiny, seed):
    """The parts of the breakdown are the step; so is the chain, without gaps."""
    simulation = simulate(tiny.random_plan(seed))
    step = simulation.step_time_s
    assert simulation.breakdown.total_s == pytest.approx(step, rel=1e-9)
    links = simulation.critical.links
    edges = [0.0, *(link.end_s for link in links)]
    np.testing.assert_allclose([link.start_s for link in links], edges[:-1], atol=1e-15)
    assert edges[-1] == pytest.approx(step, rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_four_batches_reach_the_steady_state(tiny, seed):
    """More batches give the same step."""
    plan = tiny.random_plan(seed)
    few = simulate(plan).step_time_s
    many = simulate(plan, SimulationSettings(num_batches=12)).step_time_s
    assert few == pytest.approx(many, rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_pipelining_never_slows(tiny, seed):
    """Each further pipeline takes at most as long as the one before."""
    times = [
        simulate(tiny.random_plan(seed, pipeline=pipeline)).step_time_s
        for pipeline in ("none", "sparse_dist", "prefetch_sparse_dist")
    ]
    assert times[1] <= times[0] * (1 + 1e-9)
    assert times[2] <= times[1] * (1 + 1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_monotone_in_bandwidth_and_latency(tiny, seed):
    """Faster hardware shortens the step, latency does not."""
    still = {"slowdown": 0.0}
    base = simulate(tiny.random_plan(seed, **still)).step_time_s
    faster = simulate(tiny.random_plan(seed, scale=2.0, **still)).step_time_s
    later = simulate(tiny.random_plan(seed, latency_s=1e-4, **still)).step_time_s
    slowed = simulate(tiny.random_plan(seed)).step_time_s
    assert faster < base
    assert later >= base * (1 - 1e-12)
    assert slowed >= base * (1 - 1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_rank_names_do_not_matter(tiny, seed):
    """Exchanging equal ranks leaves the step and the breakdown as they are."""
    plan = tiny.random_plan(seed, classes=1)
    world = plan.world_size
    local = plan.inputs.topology.host_groups[0].local_world_size
    rng = np.random.default_rng(seed)
    hosts = rng.permutation(world // local)
    new = (hosts[:, None] * local + np.arange(local)).ravel()

    def renamed(block):
        return block.replace(ranks=tuple(int(new[rank]) for rank in block.ranks))

    tables = [
        table.replace(blocks=tuple(renamed(block) for block in table.blocks))
        for table in plan.tables
    ]
    inputs = plan.inputs
    other = tiny.plan(inputs.workload, inputs.topology, inputs.cost_model, tables)
    before, after = simulate(plan), simulate(other)
    assert after.step_time_s == pytest.approx(before.step_time_s, rel=1e-12)
    assert after.breakdown.idle_s == pytest.approx(before.breakdown.idle_s, abs=1e-12)
    np.testing.assert_allclose(
        after.rank_busy_s()[new], before.rank_busy_s(), rtol=1e-9
    )


@pytest.mark.parametrize("seed", range(5))
def test_to_dict_is_json(tiny, seed):
    """Results are JSON, with the same keys for every plan."""
    simulation = simulate(tiny.random_plan(seed))
    result = json.loads(json.dumps(simulation.to_dict(per_rank=True)))
    assert list(result) == [
        "step_time_s",
        "throughput_samples_per_s",
        "global_batch_size",
        "world_size",
        "settings",
        "phases",
        "breakdown",
        "critical",
        "links",
        "memory",
        "rank_busy_s",
    ]
    assert len(result["rank_busy_s"]["compute"]) == simulation.to_dict()["world_size"]
