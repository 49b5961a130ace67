"""Tiny systems with round numbers, and random ones from a seed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from shardplan.plans.plan import Outcome, Plan
from shardplan.records.cost_model import CostModel
from shardplan.records.fingerprint import fingerprints
from shardplan.records.inputs import Inputs
from shardplan.records.topology import Topology
from shardplan.records.workload import Workload


def _number(value, unit="fraction"):
    return {"value": value, "unit": unit, "source": "assumed"}


def _link(latency_s=0.0, efficiency=1.0, exponent=1.0):
    return {
        "latency_s": _number(latency_s, "s"),
        "bw_efficiency": _number(efficiency),
        "exponent": _number(exponent, "exponent"),
    }


def cost_model(
    *,
    latency_s=0.0,
    exponent=1.0,
    floor_s=0.0,
    overhead_s=0.0,
    slowdown=0.0,
    launch_s=0.0,
    curve=None,
):
    """Return a cost model in which software reaches all that hardware offers."""
    link = _link(latency_s, exponent=exponent)
    collectives = dict.fromkeys(
        (
            "all_to_all_scale_up",
            "all_to_all_scale_out",
            "reduce_scale_up",
            "reduce_scale_out",
        ),
        link,
    )
    if curve:
        collectives["all_reduce_curve"] = curve
    one = _number(1.0)
    return CostModel.model_validate(
        {
            "schema_version": 1,
            "name": "ideal",
            "lookup": {
                "forward_efficiency": one,
                "backward_efficiency": one,
                "sort_s_per_id": _number(0.0, "s/id"),
                "forward_floor_s": _number(floor_s, "s"),
                "backward_floor_s": _number(2 * floor_s, "s"),
            },
            "host_memory": {
                "uvm_forward_efficiency": one,
                "uvm_backward_efficiency": one,
                "cache_upkeep_s_per_id": _number(1e-9, "s/id"),
                "miss_efficiency": one,
                "ddr_efficiency": one,
                "ssd_block_bytes": _number(4096, "bytes"),
                "ssd_efficiency": one,
            },
            "collectives": collectives,
            "dense": {
                "gemm_efficiency": one,
                "gemm_tile": _number(128, "count"),
                "gemm_launch_s": _number(launch_s, "s"),
                "memory_efficiency": one,
            },
            "runtime": {
                "step_overhead_s": _number(overhead_s, "s"),
                "overlap_slowdown_scale_up": _number(slowdown),
                "overlap_slowdown_scale_out": _number(slowdown),
            },
            "memory": {
                "hbm_reserve_fraction": _number(0.0),
                "hbm_reserve_bytes": _number(0, "bytes"),
                "ddr_reserve_fraction": _number(0.0),
                "cache_metadata_bytes_per_row": _number(4, "bytes"),
                "cache_metadata_bytes_per_slot": _number(16, "bytes"),
                "split_metadata_bytes_per_row": _number(4, "bytes"),
            },
        }
    )


def host_group(
    name="a", *, num_hosts=1, ranks=1, domain=None, scale=1.0, nic_scale=1.0
):
    """Return hosts of GPUs with 1 GB/s everywhere, times `scale`."""
    size = ranks if domain is None else domain
    up = {"kind": "switch", "domain_size": size, "bw": 1e9 * scale}
    return {
        "name": name,
        "num_hosts": num_hosts,
        "local_world_size": ranks,
        "device": {
            "name": "gpu",
            "hbm_bytes": 10**12,
            "hbm_bw": 1e9 * scale,
            "num_sms": 1,
            "peak_flops": {"fp32": 1e12, "bf16": 1e12},
        },
        "host": {
            "ddr_bytes": 10**13,
            "ddr_bw": 1e10 * scale,
            "ssd_bytes": 10**14,
            "ssd_read_bw": 1e9 * scale,
            "ssd_write_bw": 1e9 * scale,
            "ssd_read_iops": 1e5 * scale,
            "pcie_bw": 1e9 * scale,
        },
        "scale_up": {"kind": "none"} if size == 1 else up,
        "scale_out": {"nics_per_host": 1, "nic_bw": 1e9 * scale * nic_scale},
    }


def topology(*groups):
    """Return a cluster of host groups."""
    return Topology.model_validate(
        {"schema_version": 1, "name": "tiny", "host_groups": groups or (host_group(),)}
    )


def workload(tables, *, batch=100, pipeline="none", dense=None, **others):
    """Return a workload of tables given as dictionaries or by pooling factor."""
    listed = [
        {"pooling_factor": t} if isinstance(t, (int, float)) else t for t in tables
    ]
    return Workload.model_validate(
        {
            "schema_version": 1,
            "name": "tiny",
            "global_batch_size": batch,
            "optimizer": "sgd",
            "pipeline": pipeline,
            "dense": dense or {},
            "tables": [
                {"name": f"t{i}", "num_embeddings": 1000, "embedding_dim": 8, **table}
                for i, table in enumerate(listed)
            ],
            **others,
        }
    )


def placement(table, ranks, sharding_type="table_wise", kernel="fused", **changes):
    """Return a placement of all columns of a table of 8 columns."""
    width = 8
    blocks = [{"num_columns": width, "ranks": tuple(ranks)}]
    if sharding_type in ("column_wise", "table_column_wise", "grid_shard"):
        blocks = [
            {"column_offset": 4 * i, "num_columns": 4, "ranks": tuple(part)}
            for i, part in enumerate(ranks)
        ]
    return {
        "name": f"t{table}",
        "sharding_type": sharding_type,
        "compute_kernel": kernel,
        "dtype": "fp32",
        "tiers": {"hbm": 1.0},
        "blocks": blocks,
        **changes,
    }


def make_plan(workload, topology, cost_model, placements):
    """Return a plan by hand; nobody claims that it is good."""
    inputs = Inputs(workload=workload, topology=topology, cost_model=cost_model)
    return Plan(
        schema_version=1,
        shardplan_version="0",
        target="any",
        objective="step",
        outcome=Outcome(
            solver="hand",
            seed=0,
            status="feasible",
            objective_s=1.0,
            lower_bound_s=0.0,
            gap=None,
        ),
        fingerprints=fingerprints(inputs),
        tables=tuple(placements),
        inputs=inputs,
    )


_KINDS = (
    "table_wise",
    "column_wise",
    "row_wise",
    "table_row_wise",
    "grid_shard",
    "data_parallel",
    "some_rows",
)


def random_placement(rng, table, num_hosts, local):
    """Return a random legal placement of one table."""
    world = num_hosts * local
    kind = str(rng.choice(_KINDS))
    hosts = [range(h * local, (h + 1) * local) for h in rng.permutation(num_hosts)]
    kernel = str(rng.choice(["fused", "fused_uvm", "fused_uvm_caching", "key_value"]))
    tiers = {
        "fused": {"hbm": 1.0},
        "fused_uvm": {"ddr": 1.0},
        "fused_uvm_caching": {"hbm": 0.2, "ddr": 1.0},
        "key_value": {"hbm": 0.1, "ddr": 0.2, "ssd": 1.0},
    }[kernel]
    ranks = {
        "table_wise": [int(rng.integers(world))],
        "column_wise": rng.integers(world, size=(2, 1)).tolist(),
        "row_wise": range(world),
        "table_row_wise": hosts[0],
        "grid_shard": [hosts[0], hosts[-1]],
        "some_rows": rng.permutation(world)[: int(rng.integers(1, world + 1))].tolist(),
        "data_parallel": range(world),
    }[kind]
    if kind == "data_parallel":
        return placement(table, ranks, "data_parallel", "dense")
    sharding = "row_wise" if kind == "some_rows" else kind
    return placement(table, ranks, sharding, kernel, tiers=tiers)


def sequence_dense(rng):
    """Return blocks over samples of random lengths, so that ranks differ."""
    mean = float(rng.integers(20, 200))
    sequence = {
        "name": "history",
        "mean": mean,
        "mean_square": mean**2 * float(rng.uniform(1.0, 2.0)),
        "max": int(4 * mean),
        "targets": 1,
    }
    layers = (
        {"kind": "norm", "width": 16},
        {"kind": "linear", "name": "qkv", "inputs": 16, "outputs": 48},
        {"kind": "attention", "heads": 2, "qk": 8, "v": 8},
        {"kind": "linear", "inputs": 16, "outputs": 16, "residual": True},
    )
    blocks = (
        {"name": "bottom", "part": "bottom", "layers": layers[:1]},
        {
            "name": "transformer",
            "part": str(rng.choice(["interaction", "top"])),
            "rows": "history",
            "repeat": int(rng.integers(1, 4)),
            "recompute": ("qkv",) if rng.random() < 0.5 else (),
            "layers": layers,
        },
        {"name": "head", "rows": "history.targets", "layers": layers[3:]},
    )
    return {"num_dense": 4, "sequences": (sequence,), "blocks": blocks}


def random_plan(seed, *, pipeline=None, scale=1.0, classes=None, **coefficients):
    """Return a plan with mixed sharding types on a random cluster."""
    rng = np.random.default_rng(seed)
    local, hosts = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    two_classes = bool(rng.integers(2)) if classes is None else classes == 2
    groups = [host_group(num_hosts=hosts, ranks=local, scale=scale)]
    if two_classes:
        groups.append(host_group("b", num_hosts=1, ranks=local, scale=scale / 2))
        hosts += 1
    num_tables = int(rng.integers(1, 7))
    tables = [
        {
            "num_embeddings": int(rng.integers(10, 100_000)),
            "pooling_factor": float(rng.integers(1, 30)),
            "num_outputs": int(rng.integers(1, 3)),
            "is_pooled": bool(rng.random() < 0.8),
        }
        for _ in range(num_tables)
    ]
    dense = {
        "num_dense": 4,
        "bottom_mlp": (16, 8),
        "top_mlp": (32, 1),
        "interaction": str(rng.choice(["dot", "cat", "none"])),
    }
    if seed % 3 == 2:
        dense = sequence_dense(np.random.default_rng([seed, 1]))
    chosen = pipeline or str(
        rng.choice(["none", "sparse_dist", "prefetch_sparse_dist"])
    )
    placements = [random_placement(rng, t, hosts, local) for t in range(num_tables)]
    model = {
        "latency_s": 1e-5,
        "exponent": 0.6,
        "floor_s": 2e-5,
        "overhead_s": 3e-4,
        "slowdown": 0.15,
        "launch_s": 4e-6,
        **coefficients,
    }
    work = workload(tables, batch=64 * local * hosts, pipeline=chosen, dense=dense)
    return make_plan(work, topology(*groups), cost_model(**model), placements)


@pytest.fixture(scope="session")
def tiny():
    """Return the builders of tiny systems."""
    return SimpleNamespace(
        cost_model=cost_model,
        host_group=host_group,
        topology=topology,
        workload=workload,
        placement=placement,
        plan=make_plan,
        random_plan=random_plan,
    )


@pytest.fixture
def straggler_plan(tiny):
    """Two ranks of a host; rank 0 looks up 30 times as much as rank 1."""
    return tiny.plan(
        tiny.workload([30, 1]),
        tiny.topology(tiny.host_group(ranks=2)),
        tiny.cost_model(),
        [tiny.placement(0, [0]), tiny.placement(1, [1])],
    )
