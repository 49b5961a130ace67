"""Workloads, clusters and memory on which the planners meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.io.catalog import load_workload
from shardplan.records.sharding import ReplicaLayout
from shardplan.records.torchrec_table import TorchRecTable
from shardplan.records.workload import Workload
from tests.benchmarks.frozen import frozen_topology

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.records.topology import Topology

RESERVE = 0.15
"""Share of HBM that TorchRec's planner keeps free by default."""

Inputs = tuple[Workload, "Topology"]


def shipped(workload: str, topology: str, hosts: int) -> Callable[[], Inputs]:
    """Use a shipped workload with 4,096 samples per rank."""

    def make() -> Inputs:
        work = load_workload(workload)
        local = work.replace(global_batch_size=None, batch_size=4096)
        return local, frozen_topology(topology, hosts)

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


def of_many_kinds(
    topology: Topology, kinds: list[dict[str, Any]], num_tables: int = 60
) -> Inputs:
    """Give tables of `synthetic` what each kind says, in turn."""
    work, _ = synthetic(num_tables, topology)
    tables = [
        table.replace(**kinds[i % len(kinds)]) for i, table in enumerate(work.tables)
    ]
    return work.replace(tables=tuple(tables)), topology


def in_groups(
    workload: str, topology: str, hosts: int, size: int, layout: ReplicaLayout
) -> Callable[[], Inputs]:
    """Plan one of several sharding groups of a shipped workload's cluster."""

    def make() -> Inputs:
        work, cluster = shipped(workload, topology, hosts)()
        return work, cluster.sharding_group(size, layout)

    return make


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
    work, topology = synthetic(60, frozen_topology("dgx-a100-40"), rows=(1e5, 1e7))
    stored = sum(t.num_embeddings * t.embedding_dim * 4 for t in work.tables)
    room = stored / 8 / (1 - RESERVE) * 1.12
    return work, with_hbm(topology, int(room) + 2**28)


def tiered() -> Inputs:
    """Make HBM hold a third of the tables; the rest goes to host memory."""
    work, topology = synthetic(40, frozen_topology("dgx-a100-40"), rows=(1e6, 1e7))
    stored = sum(t.num_embeddings * t.embedding_dim * 4 for t in work.tables)
    return work, with_hbm(topology, int(stored / 8 / 3))


def uneven_hosts() -> Inputs:
    """Give the second host half of the ranks of the first."""
    work, topology = synthetic(40, frozen_topology("dgx-a100-40"))
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
    topology = with_hbm(frozen_topology("dgx-a100-40"), int(room))
    return Workload.model_validate(data), topology


def spread(sizes: tuple[int, ...], num_ranks: int, room: int) -> Inputs:
    """Make tables of `sizes` rows that cannot be cut, on ranks of `room` rows each."""
    limits = {"sharding_types": ["table_wise"], "compute_kernels": ["fused"]}
    tables = [
        {
            "name": f"t{i}",
            "num_embeddings": 10_000 * rows,
            "embedding_dim": 64,
            "constraints": limits,
        }
        for i, rows in enumerate(sizes)
    ]
    data = {"schema_version": 1, "name": "spread", "batch_size": 64, "tables": tables}
    hbm = int(10_000 * room * 64 * 4 / (1 - RESERVE) * 1.02)
    return Workload.model_validate(data), on_ranks(num_ranks, hbm)


def on_ranks(num_ranks: int, hbm_bytes: int) -> Topology:
    """Use some ranks of one host, each with so much memory."""
    topology = with_hbm(frozen_topology("dgx-a100-40"), hbm_bytes)
    group = topology.host_groups[0]
    scale_up = group.scale_up.replace(domain_size=num_ranks)
    few = group.replace(local_world_size=num_ranks, scale_up=scale_up)
    return topology.replace(host_groups=(few,))


def narrow_cut() -> Inputs:
    """Make a table of 96 columns that fits two ranks only in narrower columns."""
    limits = {
        "sharding_types": ["table_wise", "column_wise"],
        "compute_kernels": ["fused"],
    }
    table = {"num_embeddings": 1_000_000, "embedding_dim": 96, "constraints": limits}
    tables = [{"name": f"t{i}", **table} for i in range(3)]
    data = {"schema_version": 1, "name": "narrow", "batch_size": 64, "tables": tables}
    return Workload.model_validate(data), on_ranks(2, int(760e6))


def _a100(hosts: int, hbm_gb: int = 40) -> Topology:
    return frozen_topology(f"dgx-a100-{hbm_gb}", hosts)


CASES: dict[str, Callable[[], Inputs]] = {
    "dlrm-dcnv2, 8 H100": shipped("dlrm-dcnv2", "dgx-h100", 1),
    "dlrm-dcnv2, 16 A100": shipped("dlrm-dcnv2", "dgx-a100-80", 2),
    "dlrm-dcnv2, 64 H100": shipped("dlrm-dcnv2", "dgx-h100", 8),
    "dlrm-v1, 8 A100": shipped("dlrm-v1", "dgx-a100-40", 1),
    "dlrm-v1, 64 H100": shipped("dlrm-v1", "dgx-h100", 8),
    "dlrm-s, 8 V100": shipped("dlrm-s", "zion-v100", 1),
    "criteo-kaggle, 8 V100": shipped("criteo-kaggle", "zion-v100", 1),
    "criteo-kaggle, 16 A100": shipped("criteo-kaggle", "dgx-a100-40", 2),
    "criteo-tb, 32 A100": shipped("criteo-tb", "dgx-a100-40", 4),
    "avazu, 8 A100": shipped("avazu", "dgx-a100-40", 1),
    "deeprecsys-dien, 8 A100": shipped("deeprecsys-dien", "dgx-a100-40", 1),
    "deeprecsys-din, 8 A100": shipped("deeprecsys-din", "dgx-a100-40", 1),
    "deeprecsys-mtwnd, 16 A100": shipped("deeprecsys-mtwnd", "dgx-a100-40", 2),
    "deeprecsys-ncf, 8 A100": shipped("deeprecsys-ncf", "dgx-a100-40", 1),
    "deeprecsys-rm1, 8 A100": shipped("deeprecsys-rm1", "dgx-a100-40", 1),
    "deeprecsys-rm2, 16 A100": shipped("deeprecsys-rm2", "dgx-a100-40", 2),
    "deeprecsys-rm3, 8 A100": shipped("deeprecsys-rm3", "dgx-a100-40", 1),
    "deeprecsys-wide-and-deep, 8 A100": shipped(
        "deeprecsys-wide-and-deep", "dgx-a100-40", 1
    ),
    "movielens-ncf, 8 A100": shipped("movielens-ncf", "dgx-a100-40", 1),
    "merlin-tiny, 8 A100": shipped("merlin-tiny", "dgx-a100-40", 1),
    "merlin-small, 16 A100": shipped("merlin-small", "dgx-a100-80", 2),
    "torcheasyrec-dlrm, 8 H100": shipped("torcheasyrec-dlrm", "dgx-h100", 1),
    "torcheasyrec-dbmtl, 16 H100": shipped("torcheasyrec-dbmtl", "dgx-h100", 2),
    "hot and small, 16 A100": lambda: synthetic(
        64, _a100(2), rows=(1e3, 1e5), pooling=60
    ),
    "tight HBM, 8 A100": tight,
    "tiered, 8 A100": tiered,
    "uneven hosts, 12 A100": uneven_hosts,
    "packed to 99.5 %, 8 A100": binpack,
    "5 tables, 2 ranks": lambda: spread((3, 3, 2, 2, 2), 2, 6),
    "narrow columns, 2 ranks": narrow_cut,
    "200 tables, 16 A100": lambda: synthetic(200, _a100(2)),
    "sequences, 16 A100": lambda: of_many_kinds(
        _a100(2),
        [
            {"is_pooled": False, "embedding_dim": 64},
            {"is_pooled": False, "embedding_dim": 128},
            {},
        ],
    ),
    "mixed types, 16 A100": lambda: of_many_kinds(
        _a100(2), [{"dtype": "fp32"}, {"dtype": "fp16"}]
    ),
    "feature-processed, 16 A100": lambda: of_many_kinds(
        _a100(2),
        [
            {
                "is_weighted": True,
                "torchrec": TorchRecTable(module="processed", is_weighted=False),
            },
            {},
        ],
    ),
    "dlrm-dcnv2, 4 groups of 16 H100": in_groups(
        "dlrm-dcnv2", "dgx-h100", 8, 16, ReplicaLayout.ACROSS
    ),
    "merlin-small, 2 groups of 32 A100": in_groups(
        "merlin-small", "dgx-a100-80", 8, 32, ReplicaLayout.INSIDE
    ),
    "hugectr-200, 16 H100": shipped("hugectr-200", "dgx-h100", 2),
    "hugectr-200, 64 H100": shipped("hugectr-200", "dgx-h100", 8),
    "merlin-medium, 16 A100": shipped("merlin-medium", "dgx-a100-80", 2),
    "500 tables, 32 A100": lambda: synthetic(500, _a100(4, 80)),
    "1,000 tables, 128 A100": lambda: synthetic(1000, _a100(16, 80)),
    "neo-f, 128 V100": shipped("neo-f", "zionex", 16),
    "neo-i, 128 V100": shipped("neo-i", "zionex", 16),
    "neo-a, 128 V100": shipped("neo-a", "zionex", 16),
    "merlin-colossal, 128 A100": shipped("merlin-colossal", "dgx-a100-80", 16),
}
