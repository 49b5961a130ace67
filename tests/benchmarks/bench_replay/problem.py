"""The planning problem of a log: its tables as measured, or with a distribution only.

Logs are small, and so is the cluster: four ranks whose HBM holds a part of the rows.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import shardplan
from shardplan.io.catalog import load_cost_model, load_topology
from shardplan.records.log_mapping import LogMapping
from shardplan.records.workload import Workload
from shardplan.statistics.measure import measure
from shardplan.statistics.workload import with_statistics

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan
    from shardplan.records.cost_model import CostModel
    from shardplan.records.topology import Topology
    from tests.benchmarks.bench_replay.logs import Log

RANKS = 4
BATCH = 256
HELD = 0.35
"""Rows that HBM has room for, over all rows."""
_BUFFERS = 6.0
"""Room for what is looked up in a step, over one copy of it."""
_L2_SHARE = 0.04
WAYS = ("measured", "distribution")


def workloads(log: Log) -> dict[str, Workload]:
    """Return the workload of a log in both ways."""
    model = {
        "schema_version": 1,
        "name": log.name,
        "global_batch_size": BATCH,
        "dedup": True,
        "pipeline": "prefetch_sparse_dist",
        "tables": [
            {
                "name": name,
                "num_embeddings": column.num_rows,
                "embedding_dim": column.width,
                "is_pooled": column.is_pooled,
            }
            for name, column in log.columns.items()
        ],
    }
    tables = [{"name": n, "num_embeddings": c.num_rows} for n, c in log.columns.items()]
    mapping = LogMapping.model_validate(
        {
            "schema_version": 1,
            "name": log.name,
            "tables": tables,
            "features": [{"column": name, "table": name} for name in log.columns],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        log.write(path)
        found = measure([path], mapping)
    measured = with_statistics(Workload.model_validate(model), found)
    return {"measured": measured, "distribution": distribution_only(measured)}


def distribution_only(workload: Workload) -> Workload:
    """Leave out what a distribution does not say."""
    tables = tuple(
        table.replace(unique_ids=(), miss_ratio=(), block_heat=())
        for table in workload.tables
    )
    return workload.replace(tables=tables)


def cluster(log: Log) -> Topology:
    """Return four ranks of a DGX H100 with memory in proportion to a log's rows."""
    rows = sum(4.0 * c.num_rows * c.width for c in log.columns.values())
    vectors = BATCH / log.num_samples
    outputs = sum(4.0 * vectors * len(c.ids) * c.width for c in log.columns.values())
    hbm = int((HELD * rows + _BUFFERS * outputs) / RANKS)
    box = load_topology("dgx-h100")

    def small(group):  # type: ignore[no-untyped-def]
        device = group.device.replace(hbm_bytes=hbm, l2_bytes=int(hbm * _L2_SHARE))
        host = group.host.replace(
            ssd_bytes=0, ssd_read_bw=0.0, ssd_write_bw=0.0, ssd_read_iops=0.0
        )
        return group.replace(local_world_size=RANKS, device=device, host=host)

    return box.changed(small)


def costs() -> CostModel:
    """Return the costs of H100 without what a program takes for itself."""
    model = load_cost_model("h100")
    memory = model.memory.replace(
        hbm_reserve_bytes=model.memory.hbm_reserve_bytes.replace(value=0),
        hbm_reserve_fraction=model.memory.hbm_reserve_fraction.replace(value=0.0),
    )
    runtime = model.runtime.replace(
        step_overhead_s=model.runtime.step_overhead_s.replace(value=0.0)
    )
    return model.replace(memory=memory, runtime=runtime)


def solve(workload: Workload, log: Log, work: float = 20_000) -> Plan:
    """Plan a workload on the cluster of its log."""
    return shardplan.solve(workload, cluster(log), costs(), work_limit=work).plan
