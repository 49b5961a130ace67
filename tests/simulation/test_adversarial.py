"""A seeded search for whole steps that break what must hold for every step.

Random clusters (rails, leafs, meshes, shared PCIe links and NICs, domains over
hosts), random plans, pipelines, compression and runtimes. Efficiencies are 1, so that
line rates are bounds. hypothesis shrinks the seed of what fails; the examples are
derandomised, so that the search is the same in every run.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardplan.simulation import SimulationSettings, simulate
from tests.simulation import conftest as tiny

SEARCH = settings(max_examples=60, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**31)
ROUNDING = 1 + 1e-9


def wild_topology(rng, local, hosts):
    """Return a cluster of equal hosts with random links."""
    group = tiny.host_group(num_hosts=hosts, ranks=local)
    kind = str(rng.choice(["switch", "mesh", "none", "pairs", "wide"]))
    if kind == "none" or local == 1:
        group["scale_up"] = {"kind": "none"}
    else:
        size = {"pairs": 2 if local % 2 == 0 else local, "wide": 2 * local}
        shape = "mesh" if kind == "mesh" else "switch"
        size = size.get(kind, local)
        group["scale_up"] = {"kind": shape, "domain_size": size, "bw": 4e9}
    divisors = [n for n in (1, 2, 4) if local % n == 0]
    group["scale_out"] = {
        "nics_per_host": int(rng.choice(divisors)),
        "nic_bw": float(rng.choice([2e8, 1e9])),
        "rail_optimized": bool(rng.integers(2)),
        "latency_s": 1e-6,
    }
    group["host"]["ranks_per_pcie_link"] = int(rng.choice(divisors))
    group["host"]["pcie_bw"] = float(rng.choice([5e8, 4e9]))
    base = tiny.topology(group)
    fabric = base.fabric.replace(
        hosts_per_leaf=int(rng.integers(0, 3)),
        oversubscription=float(rng.choice([1.0, 3.0])),
        in_network_reduction=bool(rng.integers(2)),
    )
    return base.replace(fabric=fabric)


def wild_plan(seed, *, slowdown=0.0, separate=None, **coefficients):
    """Return a random plan on a random cluster."""
    rng = np.random.default_rng(seed)
    local, hosts = int(rng.choice([1, 2, 4])), int(rng.integers(1, 5))
    plan = tiny.random_plan(seed, classes=1)
    tables = [
        table.model_dump(exclude={"name"}, exclude_unset=True)
        for table in plan.inputs.workload.tables
    ]
    if rng.integers(2):
        tables[0]["access"] = {"kind": "zipf", "alpha": 1.1}
    work = tiny.workload(
        tables,
        batch=64 * local * hosts,
        pipeline=plan.inputs.workload.pipeline,
        dense=plan.inputs.workload.dense.model_dump(),
    )
    if rng.integers(3) == 0:
        packed = {"method": "dct", "ratio": 5, "threshold_bytes": 10_000, "passes": 1}
        work = work.replace(comm_dtypes={"backward_compression": packed})
    values = {"latency_s": 1e-5, "exponent": 0.6, "floor_s": 2e-5, "launch_s": 4e-6}
    values |= {"overhead_s": 3e-4, "slowdown": slowdown, **coefficients}
    model = tiny.cost_model(**values)
    own = bool(rng.integers(2)) if separate is None else separate
    model = model.replace(runtime=model.runtime.replace(separate_all_reduce=own))
    places = [tiny.random_placement(rng, t, hosts, local) for t in range(len(tables))]
    return tiny.make_plan(work, wild_topology(rng, local, hosts), model, places)


def changed(plan, **inputs):
    """Return the same placements for other inputs."""
    old = plan.inputs
    named = {
        name: getattr(old, name) for name in ("workload", "topology", "cost_model")
    }
    return tiny.make_plan(**{**named, **inputs}, placements=plan.tables)


def faster(topology, factor):
    """Multiply every rate of a cluster, and divide its latencies."""
    (group,) = topology.host_groups
    device, host = group.device, group.host
    flops = {
        name: getattr(device.peak_flops, name) * factor
        for name in type(device.peak_flops).model_fields
    }
    rates = ("ddr_bw", "pcie_bw", "ssd_read_bw", "ssd_write_bw", "ssd_read_iops")
    new = group.replace(
        device=device.replace(hbm_bw=device.hbm_bw * factor, peak_flops=flops),
        host=host.replace(**{name: getattr(host, name) * factor for name in rates}),
        scale_up=group.scale_up.replace(bw=group.scale_up.bw * factor),
        scale_out=group.scale_out.replace(
            nic_bw=group.scale_out.nic_bw * factor,
            latency_s=group.scale_out.latency_s / factor,
        ),
    )
    return topology.replace(host_groups=(new,))


def one_faster(topology, part, name, factor=1.5):
    """Multiply one rate of a cluster."""
    (group,) = topology.host_groups
    old = getattr(group, part)
    new = old.replace(**{name: getattr(old, name) * factor})
    return topology.replace(host_groups=(group.replace(**{part: new}),))


@SEARCH
@given(seed=SEEDS)
def test_no_link_carries_more_than_its_line_rate(seed):
    """The step is never below the bound of any link or stream.

    A copy that takes hardly longer than the step lags behind for so long until it
    holds up a batch that four batches do not show it: up to 1 % are let pass.
    """
    simulation = simulate(wild_plan(seed))
    links = simulation.links
    for use in (links.scale_up_use, links.nic_use, links.uplink_use):
        assert use.max(initial=0.0) <= ROUNDING
    step = simulation.step_time_s
    for stream in {phase.stream for phase in simulation.phases}:
        alone = [
            run.operation.seconds
            for run in simulation.timeline.steady_runs
            if run.operation.stream is stream
        ]
        assert np.sum(alone, axis=0).max() <= step * 1.01
    assert simulation.breakdown.total_s == pytest.approx(step, rel=1e-9)


@SEARCH
@given(seed=SEEDS, power=st.integers(-2, 4))
def test_everything_faster_by_a_factor(seed, power):
    """All rates times k, all latencies and costs over k: the step over k."""
    factor = 2.0**power
    model = {"latency_s": 1e-5, "floor_s": 2e-5, "launch_s": 4e-6, "overhead_s": 3e-4}
    plan = wild_plan(seed, **model)
    other = wild_plan(seed, **{name: v / factor for name, v in model.items()})
    upkeep = other.inputs.cost_model.host_memory
    per_id = upkeep.cache_upkeep_s_per_id
    cost_model = other.inputs.cost_model.replace(
        host_memory=upkeep.replace(
            cache_upkeep_s_per_id=per_id.replace(value=per_id.value / factor)
        )
    )
    quick = changed(
        other, topology=faster(plan.inputs.topology, factor), cost_model=cost_model
    )
    expected = simulate(plan).step_time_s / factor
    assert simulate(quick).step_time_s == pytest.approx(expected, rel=1e-9)


RATES = [
    *(("scale_out", "nic_bw"), ("scale_up", "bw"), ("host", "pcie_bw")),
    *(("host", "ddr_bw"), ("device", "hbm_bw")),
]


@SEARCH
@given(seed=SEEDS, which=st.integers(0, len(RATES) - 1))
def test_more_bandwidth_never_hurts(seed, which):
    """Without sharing between streams, exactly; with it, the next test."""
    plan = wild_plan(seed, separate=False)
    quick = changed(plan, topology=one_faster(plan.inputs.topology, *RATES[which]))
    alone = SimulationSettings(links=False)
    before = simulate(plan, alone).step_time_s
    assert simulate(quick, alone).step_time_s <= before * ROUNDING


@SEARCH
@given(seed=SEEDS, which=st.integers(0, len(RATES) - 1))
def test_more_bandwidth_hardly_hurts_with_sharing(seed, which):
    """A faster link may bring operations together that were apart, as in reality."""
    plan = wild_plan(seed, slowdown=0.15)
    quick = changed(plan, topology=one_faster(plan.inputs.topology, *RATES[which]))
    assert simulate(quick).step_time_s <= simulate(plan).step_time_s * 1.05


@SEARCH
@given(seed=SEEDS, factor=st.integers(2, 5))
def test_a_larger_batch_takes_longer_and_is_no_worse_per_sample(seed, factor):
    """Time grows with the batch, but not faster: overheads and latencies spread."""
    plan = wild_plan(seed, separate=False)
    work = plan.inputs.workload
    larger = work.replace(global_batch_size=work.global_batch_size * factor)
    alone = SimulationSettings(links=False)
    before = simulate(plan, alone).step_time_s
    after = simulate(changed(plan, workload=larger), alone).step_time_s
    assert before <= after * ROUNDING
    assert after <= before * factor * ROUNDING


@SEARCH
@given(seed=SEEDS)
def test_fewer_tables_take_no_longer(seed):
    """Leaving out a table of a plan."""
    plan = wild_plan(seed, separate=False)
    tables = plan.inputs.workload.tables
    if len(tables) == 1:
        return
    # The width of the interaction is the dense part's business, not the plan's.
    alone = SimulationSettings(links=False, dense=False)
    fewer = tiny.make_plan(
        plan.inputs.workload.replace(tables=tables[:-1]),
        plan.inputs.topology,
        plan.inputs.cost_model,
        plan.tables[:-1],
    )
    before = simulate(plan, alone).step_time_s
    assert simulate(fewer, alone).step_time_s <= before * ROUNDING


@SEARCH
@given(seed=SEEDS)
def test_the_order_of_tables_does_not_matter(seed):
    """Neither in the workload nor in the plan."""
    plan = wild_plan(seed, slowdown=0.15)
    order = np.random.default_rng(seed).permutation(len(plan.tables))
    tables = plan.inputs.workload.tables
    other = tiny.make_plan(
        plan.inputs.workload.replace(tables=tuple(tables[i] for i in order)),
        plan.inputs.topology,
        plan.inputs.cost_model,
        [plan.tables[i] for i in order],
    )
    expected = simulate(plan).step_time_s
    assert simulate(other).step_time_s == pytest.approx(expected, rel=1e-9)


def moved_bytes(plan):
    """Return all bytes that leave ranks in a step."""
    runs = simulate(plan, SimulationSettings(dense=False)).timeline.steady_runs
    return sum(
        float(run.operation.traffic.by_rank[:, 0].sum())
        for run in runs
        if run.operation.traffic is not None
    )


@SEARCH
@given(seed=SEEDS)
def test_splitting_a_table_moves_no_fewer_bytes(seed):
    """Two column shards move the same outputs and twice the ids of the whole."""
    plan = wild_plan(seed)
    world = plan.world_size
    rng = np.random.default_rng(seed)
    first, second = rng.integers(world, size=2).tolist()
    work = plan.inputs.workload
    work = work.replace(tables=work.tables[:1], comm_dtypes={})
    (whole, cut) = (
        tiny.make_plan(work, plan.inputs.topology, plan.inputs.cost_model, [place])
        for place in (
            tiny.placement(0, [first]),
            tiny.placement(0, [[first], [second]], "column_wise"),
        )
    )
    assert moved_bytes(cut) >= moved_bytes(whole) / ROUNDING


@SEARCH
@given(seed=SEEDS)
def test_more_latency_never_helps(seed):
    """Of collectives, and of the runtime."""
    before = simulate(wild_plan(seed, separate=False), SimulationSettings(links=False))
    for change in ({"latency_s": 3e-5}, {"overhead_s": 6e-4}, {"floor_s": 5e-5}):
        plan = wild_plan(seed, separate=False, **change)
        after = simulate(plan, SimulationSettings(links=False))
        assert after.step_time_s >= before.step_time_s / ROUNDING
