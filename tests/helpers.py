"""Tiny instances made of records, random assignments, and what makes a plan valid."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pulp

from shardplan.certify.dual import lower_bound
from shardplan.certify.verify import verify
from shardplan.checking import check
from shardplan.costs.scopes import IN_GROUPS, SCOPES, Scope, add_scope
from shardplan.planning.claims import Proof, make_plan
from shardplan.planning.planner import solve
from shardplan.problems.problem import Assignment, Problem, build_problem
from shardplan.records.cost_model import CostModel
from shardplan.records.inputs import Inputs
from shardplan.records.sharding import ReplicaLayout, ShardingType, Target
from shardplan.records.targets import RUNTIMES
from shardplan.records.topology import Topology
from shardplan.records.workload import Workload
from shardplan.solvers.base import SolverResult, SolveStatus
from shardplan.solvers.registry import SOLVERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from shardplan.costs.cluster import Cluster
    from shardplan.planning.result import PlanResult
    from shardplan.plans.evaluation import Evaluation
    from shardplan.plans.plan import Plan


HAS_CBC = bool({"COIN_CMD", "PULP_CBC_CMD"} & set(pulp.listSolvers(onlyAvailable=True)))
"""PuLP 4 brings no CBC of its own."""
SOLVERS_HERE = tuple(sorted(name for name in SOLVERS if name != "cbc" or HAS_CBC))
"""The built-in solvers whose programs are installed."""


class Instance(NamedTuple):
    """Inputs of one solve."""

    workload: Workload
    topology: Topology
    cost_model: CostModel

    def with_workload(self, **changes: Any) -> Instance:
        """Change the workload."""
        return self._replace(workload=self.workload.replace(**changes))

    def problem(self, **options: Any) -> Problem:
        """Build the planning problem."""
        return build_problem(*self, **options)

    def solve(self, objective: str = "step", **options: Any) -> PlanResult:
        """Find a plan, by default for the sum that can be worked out by hand."""
        return solve(*self, objective=objective, **options)


def number(value: float, unit: str = "fraction") -> dict[str, Any]:
    """Make a coefficient."""
    return {"value": value, "unit": unit, "source": "made up for tests"}


def _link(efficiency: float) -> dict[str, Any]:
    return {
        "latency_s": number(1e-5, "s"),
        "bw_efficiency": number(efficiency),
        "exponent": number(0.6, "exponent"),
    }


COST_MODEL = CostModel.model_validate(
    {
        "schema_version": 1,
        "name": "round-numbers",
        "lookup": {
            "forward_efficiency": number(0.8),
            "backward_efficiency": number(0.5),
            "narrow_rows": [
                {"max_dim": 32, "ratio": number(1.5, "ratio")},
                {"max_dim": 64, "ratio": number(1.25, "ratio")},
            ],
            "sort_s_per_id": number(2.5e-10, "s/id"),
            "forward_floor_s": number(2e-5, "s"),
            "backward_floor_s": number(6e-5, "s"),
        },
        "host_memory": {
            "uvm_forward_efficiency": number(0.8),
            "uvm_backward_efficiency": number(0.5),
            "cache_upkeep_s_per_id": number(2e-9, "s/id"),
            "miss_efficiency": number(0.4),
            "ddr_efficiency": number(0.8),
            "ssd_block_bytes": number(4096, "bytes"),
            "ssd_efficiency": number(0.5),
        },
        "collectives": {
            "all_to_all_scale_up": _link(0.8),
            "all_to_all_scale_out": _link(0.5),
            "reduce_scale_up": _link(0.8),
            "reduce_scale_out": _link(0.5),
        },
        "dense": {
            "gemm_efficiency": number(0.5),
            "gemm_tile": number(128, "count"),
            "gemm_launch_s": number(1e-6, "s"),
            "memory_efficiency": number(0.5),
        },
        "runtime": {
            "step_overhead_s": number(3e-4, "s"),
            "overlap_slowdown_scale_up": number(0.15),
            "overlap_slowdown_scale_out": number(0.02),
        },
        "memory": {
            "hbm_reserve_fraction": number(0.1),
            "hbm_reserve_bytes": number(1e9, "bytes"),
            "ddr_reserve_fraction": number(0.2),
            "cache_metadata_bytes_per_row": number(4, "bytes"),
            "cache_metadata_bytes_per_slot": number(16, "bytes"),
            "split_metadata_bytes_per_row": number(8, "bytes"),
        },
    }
)


def host_group(name: str = "gpu", speed: float = 1.0, **changes: Any) -> dict[str, Any]:
    """Make a group of one host of four ranks.

    A rank has 10 GB of HBM at 1 TB/s, 100 GB/s to the other ranks and a NIC of
    10 GB/s; two ranks share a PCIe link of 20 GB/s; a host has 100 GB of DDR at
    80 GB/s, and 1 TB of SSD: 400,000 reads/s, 4 GB/s in and 2 GB/s out.
    """
    device = {
        "name": name,
        "hbm_bytes": 10**10,
        "hbm_bw": 1e12 * speed,
        "num_sms": 100,
        "peak_flops": {"fp32": 1e13, "bf16": 1e14},
    }
    host = {
        "ddr_bytes": 10**11,
        "ddr_bw": 8e10,
        "ssd_bytes": 10**12,
        "ssd_read_bw": 4e9,
        "ssd_write_bw": 2e9,
        "ssd_read_iops": 4e5,
        "pcie_bw": 2e10,
        "ranks_per_pcie_link": 2,
    }
    local = changes.get("local_world_size", 4)
    group = {
        "name": name,
        "num_hosts": 1,
        "local_world_size": local,
        "device": device,
        "host": host,
        "scale_up": {"kind": "switch", "domain_size": local, "bw": 1e11 * speed},
        "scale_out": {"nics_per_host": local, "nic_bw": 1e10},
    }
    return {**group, **changes}


def topology(
    *groups: dict[str, Any], fabric: dict[str, Any] | None = None, **changes: Any
) -> Topology:
    """Make a topology of host groups, or of one group with changes."""
    return Topology.model_validate(
        {
            "schema_version": 1,
            "name": "toy",
            "host_groups": list(groups) or [host_group(**changes)],
            "fabric": fabric or {},
        }
    )


def workload(*tables: dict[str, Any], **changes: Any) -> Workload:
    """Make a workload of 1,000 samples; tables are named t0, t1, ... by default."""
    base = {"num_embeddings": 1000, "embedding_dim": 128}
    return Workload.model_validate(
        {
            "schema_version": 1,
            "name": "toy",
            "global_batch_size": 1000,
            "optimizer": "sgd",
            **changes,
            "tables": [
                {"name": f"t{index}", **base, **table}
                for index, table in enumerate(tables)
            ],
        }
    )


ONE_HOST = topology()
TWO_HOSTS = topology(num_hosts=2)
MIXED = topology(
    host_group("new"),
    host_group("old", 0.5, num_hosts=2, local_world_size=2),
)
CPU_DEVICE = {"name": "cpu", "kind": "cpu", "peak_flops": {"fp32": 1e12}}
CLUSTERS = {
    "one_rank": topology(local_world_size=1, host={**host_group()["host"]}),
    "one_host": ONE_HOST,
    "two_hosts": TWO_HOSTS,
    "mixed": MIXED,
    "pairs": topology(
        num_hosts=2, scale_up={"kind": "switch", "domain_size": 2, "bw": 1e11}
    ),
    "wide": topology(
        num_hosts=2,
        local_world_size=2,
        scale_up={"kind": "switch", "domain_size": 4, "bw": 1e11},
    ),
    "cut_off": topology(
        num_hosts=3,
        local_world_size=2,
        scale_up={"kind": "switch", "domain_size": 4, "bw": 1e11},
    ),
    "cpu": topology(num_hosts=2, device=CPU_DEVICE, scale_up={"kind": "none"}),
    "copies": TWO_HOSTS.sharding_group(4, ReplicaLayout.INSIDE, 2),
    "copied hosts": TWO_HOSTS.sharding_group(4, ReplicaLayout.ACROSS),
}
"""One cluster per way that ranks can be joined."""


def halves(cluster: Cluster) -> np.ndarray:
    """Group the ranks of each half of a host."""
    position = (
        np.arange(cluster.world_size) - cluster.host_first_rank[cluster.rank_host]
    )
    in_second = 2 * position >= cluster.host_num_ranks[cluster.rank_host]
    return 2 * cluster.rank_host + in_second


def racks(cluster: Cluster) -> np.ndarray:
    """Group the ranks of each two hosts."""
    return cluster.rank_host // 2


@contextmanager
def added_scope(
    name: str,
    grouping: Callable[[Cluster], np.ndarray],
    types: Iterable[ShardingType] = IN_GROUPS,
) -> Iterator[Scope]:
    """Have one more scope for a while."""
    scope = add_scope(name, grouping, types)
    try:
        yield scope
    finally:
        SCOPES.remove(scope)


def two_tables() -> Instance:
    """A large and a small table on one host."""
    tables = workload(
        {"name": "large", "num_embeddings": 1_000_000, "pooling_factor": 10.0},
        {"name": "small", "embedding_dim": 16},
    )
    return Instance(tables, ONE_HOST, COST_MODEL)


def one_host() -> Instance:
    """Six tables of falling size on four ranks."""
    tables = [
        {"num_embeddings": 10**6 // (i + 1), "pooling_factor": 10.0 / (i + 1)}
        for i in range(6)
    ]
    return Instance(workload(*tables), ONE_HOST, COST_MODEL)


def two_hosts() -> Instance:
    """The tables of `one_host` on two hosts of four ranks."""
    return one_host()._replace(topology=TWO_HOSTS)


def mixed_cluster() -> Instance:
    """The tables of `one_host` on one fast host and two hosts of half the speed."""
    return one_host()._replace(topology=MIXED)


def tiered() -> Instance:
    """Three tables of 20 GB with hot rows: twice what the HBM of one host holds."""
    table = {
        "num_embeddings": 40_000_000,
        "pooling_factor": 5.0,
        "access": {"kind": "zipf", "alpha": 1.05},
    }
    return Instance(workload(table, table, table), ONE_HOST, COST_MODEL)


def dlrm_like() -> Instance:
    """26 tables of 10 to 10^7 rows with a dense part on two hosts."""
    rows = np.geomspace(10, 10_000_000, 26).astype(int)
    tables = [
        {"num_embeddings": int(n), "embedding_dim": 64, "pooling_factor": 1.0 + i % 3}
        for i, n in enumerate(rows)
    ]
    model = workload(
        *tables,
        global_batch_size=65_536,
        optimizer="rowwise_adagrad",
        access={"kind": "zipf", "alpha": 1.05},
        dense={
            "num_dense": 13,
            "bottom_mlp": [512, 64],
            "top_mlp": [512, 1],
            "interaction": "dot",
        },
    )
    return Instance(model, TWO_HOSTS, COST_MODEL)


def varied(cluster: Topology, **changes: Any) -> Instance:
    """Tables of every kind: kernels, low precision, sequences, weights, groups."""
    hosts = ["fused_uvm", "fused_uvm_caching", "fused_uvm_split", "key_value"]
    kernels = ["dense", "fused", *([] if cluster == CLUSTERS["cpu"] else hosts)]
    zipf = {"kind": "zipf", "alpha": 1.1}
    tables = [
        {"num_embeddings": 5000, "embedding_dim": 24, "access": zipf},
        {"is_pooled": False, "pooling_factor": 7.5, "coverage": 0.5, "dtype": "fp16"},
        {
            "num_outputs": 3,
            "pooling_factor": 12.0,
            "is_weighted": True,
            "constraints": {"dtypes": ["int8", "mxfp4"], "compute_kernels": kernels},
        },
        {"num_embeddings": 77, "embedding_dim": 10},
        {"num_embeddings": 900, "embedding_dim": 64, "dtype": "fp8"},
        {"num_embeddings": 90_000, "embedding_dim": 24, "pooling_factor": 2.0},
    ]
    changes = {
        "optimizer": "rowwise_adagrad",
        "constraints": {"compute_kernels": kernels},
        "colocate": [["t0", "t5"]],
        "comm_dtypes": {"forward": "fp16", "backward": "mxfp8"},
        **changes,
    }
    return Instance(workload(*tables, **changes), cluster, COST_MODEL)


def runnable(cluster: Topology, target: Target, **changes: Any) -> Instance:
    """Tables of every kind that a target has: others become fp32."""
    instance = varied(cluster, **changes)
    types = RUNTIMES[target].row_types
    if cluster.host_groups[0].device.kind == "cpu":
        types &= RUNTIMES[target].cpu_row_types
    tables = []
    for table in instance.workload.tables:
        changes = {} if table.dtype in types else {"dtype": "fp32"}
        if target is Target.TORCHREC and table.constraints.dtypes:
            kept = tuple(d for d in table.constraints.dtypes if d in types)
            changes["constraints"] = table.constraints.replace(dtypes=kept)
        tables.append(table.replace(**changes))
    return instance.with_workload(tables=tuple(tables))


def random_assignment(problem: Problem, rng: np.random.Generator) -> Assignment:
    """Draw an option and legal places for every bundle, whatever fits."""
    menu = problem.options
    choice = [
        int(rng.integers(menu.start[b], menu.start[b + 1]))
        for b in range(problem.num_bundles)
    ]
    places = tuple(
        random_places(problem, bundle, option, rng)
        for bundle, option in enumerate(choice)
    )
    return Assignment(np.array(choice), places)


def random_places(
    problem: Problem, bundle: int, option: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw legal places for all items of an option."""
    menu = problem.options
    legal = problem.group_places(bundle, option)
    if menu.scope[option] == Scope.ALL:
        return np.zeros(0, dtype=np.int64)
    if menu.same_host[option]:
        host = problem.cluster.rank_host[legal]
        legal = legal[host == rng.choice(host)]
    size = menu.num_places(option)
    return rng.choice(legal, size, replace=not problem.apart[option])


def plan_of(instance: Instance, problem: Problem, assignment: Assignment) -> Plan:
    """Make the plan of an assignment, with the problem's bound."""
    inputs = Inputs(
        workload=instance.workload,
        topology=instance.topology,
        cost_model=instance.cost_model,
    )
    result = SolverResult(assignment, 0.0, SolveStatus.FEASIBLE)
    proof = proof_of(problem)
    return make_plan(problem, result, inputs, solver="by_hand", seed=0, proof=proof)


@cache
def proof_of(problem: Problem) -> Proof:
    """Prove a bound once for all plans of a problem."""
    certificate = lower_bound(problem).certificate
    return Proof(certificate, verify(problem, certificate))


def assert_plan_valid(plan: Plan) -> None:
    """Fail with everything that `check` finds, or cells that no shard holds."""
    assert [str(violation) for violation in check(plan)] == []
    for table, placement in zip(plan.inputs.workload.tables, plan.tables, strict=True):
        assert table.name == placement.name
    assert_tiles(plan)


def assert_tiles(plan: Plan) -> None:
    """Fail unless the shards of every table cover every cell exactly once."""
    tables = {table.name: table for table in plan.inputs.workload.tables}
    for placement in plan.tables:
        table = tables[placement.name]
        copies = plan.world_size if placement.compute_kernel == "dense" else 1
        cells = 0
        columns = np.zeros(table.embedding_dim, dtype=int)
        for block in placement.blocks:
            end = block.column_offset + block.num_columns
            columns[block.column_offset : end] += 1
            if copies > 1 or placement.compute_kernel == "dense":
                cells += table.num_embeddings * block.num_columns * len(block.ranks)
                continue
            rows = -(-table.num_embeddings // len(block.ranks))
            starts = [
                min(i * rows, table.num_embeddings) for i in range(len(block.ranks) + 1)
            ]
            sizes = block.row_sizes or np.diff([*starts[:-1], table.num_embeddings])
            assert min(sizes) > 0
            cells += sum(int(size) for size in sizes) * block.num_columns
        assert (columns == 1).all()
        assert cells == copies * table.num_embeddings * table.embedding_dim


def assert_same_loads(
    evaluation: Evaluation, problem: Problem, assignment: Assignment
) -> None:
    """Fail unless a plan and the assignment it came from put the same everywhere."""
    loads = problem.loads(assignment)
    for name in ("cost", "hbm", "ddr", "ssd"):
        # 1e-12: the same numbers added in another order.
        np.testing.assert_allclose(
            getattr(evaluation.loads, name), getattr(loads, name), rtol=1e-12, atol=0
        )
