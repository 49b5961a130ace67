"""TorchRec's planner and shardplan on the same inputs, by TorchRec's estimator.

``python tests/benchmarks/torchrec_head_to_head.py --limit 60 -o page.md`` runs every
case and variant in a process of its own, one at a time, and writes a table.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.catalog import load_topology, load_workload
from shardplan.torchrec_cost_model import TorchRecCostModel
from shardplan.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.topology import Topology

ROOT = Path(__file__).resolve().parents[2]
RESERVE = 0.15
OURS = {"shardplan": "max-rank", "shardplan step": "step"}
GRACE_S = 30.0

Inputs = tuple[Workload, "Topology"]


def shipped(workload: str, topology: str, hosts: int) -> Callable[[], Inputs]:
    """Use a shipped workload with 4,096 samples per rank."""

    def make() -> Inputs:
        work = load_workload(workload)
        local = work.replace(global_batch_size=None, batch_size=4096)
        return local, load_topology(topology, hosts)

    return make


def synthetic(
    num_tables: int,
    topology: Topology,
    *,
    rows: tuple[float, float] = (1e4, 1e7),
    pooling: float = 20.0,
    seed: int = 0,
) -> Inputs:
    """Draw tables: rows log-uniform, lookups exponential, four widths."""
    rng = np.random.default_rng(seed)
    sizes = np.exp(rng.uniform(np.log(rows[0]), np.log(rows[1]), num_tables))
    tables = [
        {
            "name": f"t{i}",
            "num_embeddings": int(sizes[i]),
            "embedding_dim": int(rng.choice([32, 64, 96, 128])),
            "pooling_factor": round(float(1 + rng.exponential(pooling)), 2),
        }
        for i in range(num_tables)
    ]
    data = {"schema_version": 1, "name": "synthetic", "batch_size": 1024}
    return Workload.model_validate({**data, "tables": tables}), topology


def with_hbm(topology: Topology, num_bytes: int, **host: int) -> Topology:
    """Change the memory of a cluster's devices and hosts."""
    groups = tuple(
        group.replace(
            device=group.device.replace(hbm_bytes=num_bytes),
            host=group.host.replace(**host) if host else group.host,
        )
        for group in topology.host_groups
    )
    return topology.replace(host_groups=groups)


def tight() -> Inputs:
    """Make HBM 12 % larger than what 60 tables need."""
    work, topology = synthetic(60, load_topology("dgx-a100-40"), rows=(1e5, 1e7))
    stored = sum(t.num_embeddings * t.embedding_dim * 4 for t in work.tables)
    room = stored / 8 / (1 - RESERVE) * 1.12
    return work, with_hbm(topology, int(room) + 2**28)


def tiered() -> Inputs:
    """Make HBM hold a third of the tables; the rest goes to host memory."""
    work, topology = synthetic(40, load_topology("dgx-a100-40"), rows=(1e6, 1e7))
    stored = sum(t.num_embeddings * t.embedding_dim * 4 for t in work.tables)
    return work, with_hbm(topology, int(stored / 8 / 3))


def uneven_hosts() -> Inputs:
    """Give the second host half of the ranks of the first."""
    work, topology = synthetic(40, load_topology("dgx-a100-40"))
    first = topology.host_groups[0]
    out = first.scale_out
    half = first.replace(
        name="half",
        local_world_size=4,
        scale_up=first.scale_up.replace(domain_size=4),
        scale_out=out.replace(nics_per_host=out.nics_per_host // 2),
        host=first.host.replace(
            ddr_bw=first.host.ddr_bw / 2, ssd_read_bw=first.host.ssd_read_bw / 2
        ),
    )
    return work, topology.replace(host_groups=(first, half))


def binpack() -> Inputs:
    """Cut 8 full ranks into 4 uncuttable tables each: 99.5 % of HBM, a known plan."""
    rng = np.random.default_rng(3)
    unit, tables = 4_000, []
    for _ in range(8):
        parts = np.sort(rng.choice(np.arange(100, 900), 3, replace=False))
        for share in np.diff([0, *parts.tolist(), 1000]):
            rows = int(share * unit)
            limits = {"sharding_types": ["table_wise"], "compute_kernels": ["fused"]}
            tables.append(
                {"num_embeddings": rows, "embedding_dim": 64, "constraints": limits}
            )
    order = rng.permutation(len(tables))
    named = [{"name": f"t{i}", **tables[k]} for i, k in enumerate(order)]
    data = {"schema_version": 1, "name": "binpack", "batch_size": 64, "tables": named}
    room = 1000 * unit * 64 * 4 / (1 - RESERVE) / 0.995
    topology = with_hbm(load_topology("dgx-a100-40"), int(room))
    return Workload.model_validate(data), topology


CASES: dict[str, Callable[[], Inputs]] = {
    "dlrm-dcnv2, 8 H100": shipped("dlrm-dcnv2", "dgx-h100", 1),
    "dlrm-dcnv2, 16 A100": shipped("dlrm-dcnv2", "dgx-a100-80", 2),
    "dlrm-v1, 64 H100": shipped("dlrm-v1", "dgx-h100", 8),
    "criteo-kaggle, 8 V100": shipped("criteo-kaggle", "zion-v100", 1),
    "merlin-small, 16 A100": shipped("merlin-small", "dgx-a100-80", 2),
    "torcheasyrec-dlrm, 8 H100": shipped("torcheasyrec-dlrm", "dgx-h100", 1),
    "hot and small, 16 A100": lambda: synthetic(
        64, load_topology("dgx-a100-40", 2), rows=(1e3, 1e5), pooling=60
    ),
    "tight HBM, 8 A100": tight,
    "tiered, 8 A100": tiered,
    "uneven hosts, 12 A100": uneven_hosts,
    "packed to 99.5 %, 8 A100": binpack,
    "200 tables, 16 A100": lambda: synthetic(200, load_topology("dgx-a100-40", 2)),
    "hugectr-200, 64 H100": shipped("hugectr-200", "dgx-h100", 8),
}


def proposers() -> dict[str, tuple[list[Any] | None, Any]]:
    """TorchRec's variants: proposers and partitioner; None is its default."""
    from torchrec.distributed.planner.partitioners import (
        GreedyPerfPartitioner,
        MemoryBalancedPartitioner,
        SortBy,
    )
    from torchrec.distributed.planner.proposers import (
        DynamicProgrammingProposer,
        GreedyProposer,
        GridSearchProposer,
        UniformProposer,
    )

    by_perf = GreedyPerfPartitioner(sort_by=SortBy.PERF)
    return {
        "default": (None, None),
        "default, sorted by perf": (None, by_perf),
        "grid": ([GridSearchProposer()], None),
        "greedy": ([GreedyProposer()], by_perf),
        "greedy by sum": ([GreedyProposer(use_depth=False)], by_perf),
        "uniform": ([UniformProposer()], None),
        "memory balanced": ([GreedyProposer()], MemoryBalancedPartitioner()),
        "dynamic programming": ([DynamicProgrammingProposer()], None),
        "dynamic programming by perf": ([DynamicProgrammingProposer()], by_perf),
    }


VARIANTS = (
    "default",
    "default, sorted by perf",
    "grid",
    "greedy",
    "greedy by sum",
    "uniform",
    "memory balanced",
    "dynamic programming",
    "dynamic programming by perf",
)


def run_torchrec(case: str, variant: str, limit_s: float) -> dict[str, Any]:
    """Plan with a variant of TorchRec's planner and rate what it finds."""
    from torchrec.distributed.planner import EmbeddingShardingPlanner
    from torchrec.distributed.planner.storage_reservations import (
        FixedPercentageStorageReservation,
    )
    from torchrec.distributed.planner.types import PlannerError

    from shardplan.integrations.torchrec.build import (
        build_constraints,
        build_model,
        build_topology,
    )
    from shardplan.integrations.torchrec.rating import rate_options
    from shardplan.integrations.torchrec.tables import default_sharders

    work, topology = CASES[case]()
    given = build_topology(topology)
    chosen, partitioner = proposers()[variant]
    world = topology.world_size
    planner = EmbeddingShardingPlanner(
        topology=given,
        batch_size=work.batch_over(world) // world,
        constraints=build_constraints(work),
        storage_reservation=FixedPercentageStorageReservation(RESERVE),
        proposer=chosen,
        partitioner=partitioner,
        stats=[],
        timeout_seconds=int(limit_s),
    )
    model, sharders = build_model(work), default_sharders()
    start = time.perf_counter()
    try:
        planner.plan(model, sharders)
    except PlannerError:
        return {"time_s": time.perf_counter() - start}
    elapsed = time.perf_counter() - start
    return _found(elapsed, rate_options(planner._best_plan, given, RESERVE))


def run_shardplan(case: str, variant: str, limit_s: float) -> dict[str, Any]:
    """Plan with shardplan and rate the plan by TorchRec's estimator."""
    from shardplan.catalog import load_cost_model
    from shardplan.errors import InfeasibleError, LimitError
    from shardplan.planner import solve

    work, topology = CASES[case]()
    model = load_cost_model("torchrec")
    assert isinstance(model, TorchRecCostModel)
    memory = model.memory.replace(counts_optimizer=False)
    start = time.perf_counter()
    try:
        result = solve(
            work,
            topology,
            model.replace(memory=memory),
            target="torchrec",
            objective=OURS[variant],
            time_limit_s=limit_s,
        )
    except (InfeasibleError, LimitError):
        return {"time_s": time.perf_counter() - start}
    elapsed = time.perf_counter() - start
    peak = _peak_mib()
    from shardplan.integrations.torchrec import rate

    found = _found(elapsed, rate(result.plan, reserve_fraction=RESERVE))
    return {**found, "gap": result.gap, "peak_mib": peak}


def _found(elapsed: float, rating: Any) -> dict[str, Any]:
    return {
        "time_s": elapsed,
        "rating_ms": rating.rating_s * 1e3,
        "path_ms": rating.critical_path_s * 1e3,
        "fits": rating.fits,
        "peak_mib": _peak_mib(),
    }


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_process(case: str, variant: str, limit_s: float) -> dict[str, Any]:
    """Run one variant in a process of its own, and end it when it takes too long."""
    command = [sys.executable, __file__, "--worker", case, variant]
    command += ["--limit", str(limit_s)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=limit_s + GRACE_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": "did not stop", "time_s": limit_s + GRACE_S}
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["?"]
        return {"error": last[0][:80]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(cases: list[str], limit_s: float, ours_s: float) -> dict[str, Any]:
    """Run all cases and variants."""
    results: dict[str, Any] = {}
    for case in cases:
        results[case] = {}
        for variant in (*OURS, *VARIANTS):
            seconds = ours_s if variant in OURS else limit_s
            found = in_process(case, variant, seconds)
            results[case][variant] = found
            sys.stderr.write(f"{case} | {variant} | {found}\n")
            sys.stderr.flush()
    return results


def page(results: dict[str, Any], limit_s: float, ours_s: float) -> str:
    """Write the table of all cases."""
    lines = [
        "| case | shardplan | gap | TorchRec default | best variant | / default "
        "| / best | path / best path | time, ours | time, default | MiB, ours "
        "| MiB, default |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    ratios: dict[str, list[float]] = {"default": [], "best": [], "path": []}
    for case, found in results.items():
        lines.append(_row(case, found, ratios))
    means = {
        name: math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan
        for name, values in ratios.items()
    }
    lines += [
        "",
        f"Geometric means: {means['default']:.3f} of TorchRec's default, "
        f"{means['best']:.3f} of its best variant, {means['path']:.3f} of its best "
        "critical path. "
        f"Limits: {limit_s:g} s for each variant of TorchRec, {ours_s:g} s for "
        f"shardplan. Machine: {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}.",
        "",
    ]
    return "\n".join(lines)


def _row(case: str, found: dict[str, Any], ratios: dict[str, list[float]]) -> str:
    ours, step = found["shardplan"], found["shardplan step"]
    theirs = {v: found[v] for v in VARIANTS if found[v].get("fits")}
    default = found["default"]
    best = min(theirs, key=lambda v: theirs[v]["rating_ms"], default=None)
    path = min((f["path_ms"] for f in theirs.values()), default=None)
    mine = ours.get("rating_ms") if ours.get("fits") else None

    def ratio(name: str, value: float | None, other: float | None) -> str:
        if value is None or other is None:
            return "-"
        ratios[name].append(value / other)
        return f"{value / other:.3f}"

    usual = default.get("rating_ms") if default.get("fits") else None
    top = theirs[best]["rating_ms"] if best else None
    mine_path = step.get("path_ms") if step.get("fits") else None
    gap = ours.get("gap")
    cells = [
        case,
        _ms(mine),
        "-" if gap is None else f"{gap:.1%}",
        _ms(usual),
        "no plan" if best is None else f"{_ms(top)} ({best})",
        ratio("default", mine, usual),
        ratio("best", mine, top),
        ratio("path", mine_path, path),
        f"{ours.get('time_s', math.nan):.1f} s",
        f"{default.get('time_s', math.nan):.1f} s",
        f"{ours.get('peak_mib', math.nan):.0f}",
        f"{default.get('peak_mib', math.nan):.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _ms(value: float | None) -> str:
    return "no plan" if value is None else f"{value:.3f} ms"


def main() -> None:
    """Run as a worker, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", nargs=2, metavar=("CASE", "VARIANT"))
    parser.add_argument("--limit", type=float, default=60.0)
    parser.add_argument("--ours", type=float, default=10.0)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    if arguments.worker:
        warnings.simplefilter("ignore")
        case, variant = arguments.worker
        run = run_shardplan if variant in OURS else run_torchrec
        sys.stdout.write(json.dumps(run(case, variant, arguments.limit)) + "\n")
        return
    results = compare(arguments.cases, arguments.limit, arguments.ours)
    text = page(results, arguments.limit, arguments.ours)
    sys.stdout.write(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
