"""Small workloads and clusters for the tests with TorchRec."""

from __future__ import annotations

from typing import Any

from shardplan.io.catalog import load_cost_model
from shardplan.plans.evaluation import evaluate
from shardplan.plans.plan import Outcome, Plan
from shardplan.plans.realize import tier_split
from shardplan.records.fingerprint import fingerprints
from shardplan.records.inputs import Inputs
from shardplan.records.placement import ColumnBlock, TablePlacement
from shardplan.records.sharding import ComputeKernel, Objective, ShardingType, Target
from shardplan.records.topology import Topology
from shardplan.records.torchrec_cost_model import TorchRecCostModel
from shardplan.records.workload import Workload
from shardplan.version import VERSION

KINDS = {kind.value: kind for kind in ShardingType}


def cost_model(**memory: Any) -> TorchRecCostModel:
    """TorchRec's constants; parameters carry no optimizer unless asked for."""
    model = load_cost_model("torchrec")
    assert isinstance(model, TorchRecCostModel)
    changes = {"counts_optimizer": False, **memory}
    return model.replace(memory=model.memory.replace(**changes))


def cluster(hosts: int = 1, local: int = 4, **changes: Any) -> Topology:
    """GPUs, or CPUs with ``kind="cpu"``."""
    is_cpu = changes.pop("kind", "gpu") == "cpu"
    values: dict[str, Any] = {
        "hbm_bytes": 10**9,
        "hbm_bw": 2e12,
        "ddr_bytes": 64 * 10**9,
        "ddr_bw": 4e11,
        "pcie_bw": 5e10,
        "intra": 3e11,
        "nic_bw": 2.5e10,
        "nics": local,
        "ssd_bytes": 10**12,
        "ssd_bw": 8e9,
        **changes,
    }
    device: dict[str, Any] = {"name": "cpu", "kind": "cpu"}
    if not is_cpu:
        device = {
            "name": "gpu",
            "hbm_bytes": values["hbm_bytes"],
            "hbm_bw": values["hbm_bw"],
        }
    group = {
        "name": "hosts",
        "num_hosts": hosts,
        "local_world_size": local,
        "device": device,
        "host": {
            "ddr_bytes": values["ddr_bytes"],
            "ddr_bw": values["ddr_bw"],
            "pcie_bw": values["pcie_bw"],
            "ssd_bytes": values["ssd_bytes"],
            "ssd_read_bw": values["ssd_bw"],
            "ssd_write_bw": values["ssd_bw"],
            "ssd_read_iops": 1e6,
        },
        "scale_up": {"kind": "switch", "domain_size": local, "bw": values["intra"]},
        "scale_out": {"nics_per_host": values["nics"], "nic_bw": values["nic_bw"]},
    }
    return Topology.model_validate(
        {"schema_version": 1, "name": "toy", "host_groups": [group]}
    )


def workload(*tables: dict[str, Any], **changes: Any) -> Workload:
    """Make a workload of 64 samples per rank."""
    rows = [
        {"name": f"t{i}", "num_embeddings": 1000, "embedding_dim": 64, **table}
        for i, table in enumerate(tables)
    ]
    return Workload.model_validate(
        {
            "schema_version": 1,
            "name": "toy",
            "batch_size": 64,
            "tables": rows,
            **changes,
        }
    )


def inputs_of(
    work: Workload, topology: Topology, model: TorchRecCostModel | None = None
) -> Inputs:
    """Join inputs."""
    return Inputs(workload=work, topology=topology, cost_model=model or cost_model())


def plan_of(inputs: Inputs, *placements: TablePlacement) -> Plan:
    """Make the plan of some placements."""
    plan = Plan(
        schema_version=1,
        shardplan_version=VERSION,
        target=Target.TORCHREC,
        objective=Objective.MAX_RANK,
        outcome=_outcome(0.0),
        fingerprints=fingerprints(inputs),
        tables=placements,
        inputs=inputs,
    )
    value = evaluate(plan).value(plan.objective)
    return plan.model_copy(update={"outcome": _outcome(value)})


def _outcome(value: float) -> Outcome:
    return Outcome(
        solver="test",
        seed=0,
        status="feasible",
        objective_s=value,
        lower_bound_s=0.0,
        gap=None,
    )


def place(
    inputs: Inputs,
    table: int,
    kind: str,
    *,
    kernel: str | None = None,
    start: int = 0,
    parts: int = 2,
    load_factor: float = 0.2,
    widths: tuple[int, ...] | None = None,
) -> TablePlacement:
    """Place a table in the usual shape of a sharding type.

    Parameters
    ----------
    start : int
        First rank (or host, for types that use whole hosts).
    parts : int
        Column shards.
    """
    record, topology = inputs.workload.tables[table], inputs.topology
    world, local = topology.world_size, topology.host_groups[0].local_world_size
    dim = record.embedding_dim
    host = tuple(range(local * start, local * (start + 1)))
    if widths is None:
        units, cut = (
            dim // 4,
            kind in ("column_wise", "table_column_wise", "grid_shard"),
        )
        count = min(parts, units) if cut else 1
        base, more = divmod(units, count)
        widths = tuple(4 * (base + (i < more)) for i in range(count)) if cut else (dim,)
    ranks: list[tuple[int, ...]] = []
    for index in range(len(widths)):
        ranks.append(
            {
                "data_parallel": tuple(range(world)),
                "row_wise": tuple(range(world)),
                "table_wise": ((start + index) % world,),
                "column_wise": ((start + index) % world,),
                "table_column_wise": (
                    (start + index) % local + local * (start // local),
                ),
                "table_row_wise": host,
                "grid_shard": tuple((rank + local * index) % world for rank in host),
            }[kind]
        )
    offsets = [sum(widths[:i]) for i in range(len(widths))]
    use = kernel or ("dense" if kind == "data_parallel" else "fused")
    hbm = {"fused_uvm": 0.0, "fused_uvm_caching": load_factor, "key_value": load_factor}
    ddr = {"fused_uvm": 1.0, "fused_uvm_caching": 1.0, "key_value": 0.1}
    return TablePlacement(
        name=record.name,
        sharding_type=KINDS[kind],
        compute_kernel=ComputeKernel(use),
        dtype=record.dtype,
        tiers=tier_split(
            ComputeKernel(use),
            hbm.get(use, 1.0),
            ddr.get(use, 0.0),
            is_cpu=topology.host_groups[0].device.kind == "cpu",
        ),
        blocks=tuple(
            ColumnBlock(column_offset=offset, num_columns=width, ranks=on)
            for offset, width, on in zip(offsets, widths, ranks, strict=True)
        ),
    )
