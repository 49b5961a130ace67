"""What an accepted plan must be, worked out from the plan file alone.

Nothing here uses the checker, the menu or the records' methods: ranks, shapes and
bytes are counted again, from the rules of `docs/reference/plan-file.md`.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.plans.plan import Plan
    from shardplan.records.placement import ColumnBlock, TablePlacement
    from shardplan.records.tables import EmbeddingTable
    from shardplan.records.topology import Topology

_BITS = {"fp32": 32, "fp16": 16, "bf16": 16, "fp8": 8, "int8": 8, "int4": 4}
_BITS |= {"mxfp8": 8, "mxfp6": 6, "mxfp4": 4}
_ONE_RANK = {"table_wise", "column_wise", "table_column_wise"}
_ONE_BLOCK = {"table_wise", "table_row_wise", "data_parallel"}
_HOME = {"dense": (1, 0, 0), "fused": (1, 0, 0), "fused_uvm": (0, 1, 0)}


def faults(plan: Plan) -> list[str]:
    """Return what is wrong with a plan that was accepted; empty if nothing is."""
    found: list[str] = []
    model = plan.inputs.workload
    places = _Places(plan.inputs.topology)
    tables = {table.name: table for table in model.tables}
    if sorted(tables) != sorted(placement.name for placement in plan.tables):
        return ["tables are missing, strange or placed twice"]
    for placement in plan.tables:
        table = tables[placement.name]
        for fault in (
            *_tiling(placement, table, places),
            *_shape(placement, places),
            *_limits(placement, table, plan, places),
            *_even_rows(placement, table, plan),
        ):
            found.append(f"{placement.name}: {fault}")
    if not found:
        found += _groups(plan)
        found += _memory(plan, tables, places)
    return [*found, *_claims(plan)]


class _Places:
    """Host and scale-up domain of every rank, counted host by host."""

    def __init__(self, topology: Topology) -> None:
        self.host: list[int] = []
        self.domain: list[tuple[int, int]] = []
        self.hbm: list[float] = []
        self.ddr: list[float] = []
        self.ssd: list[float] = []
        for index, group in enumerate(topology.host_groups):
            size = group.scale_up.domain_size
            for rank in range(group.num_hosts * group.local_world_size):
                if rank % group.local_world_size == 0:
                    self.ddr.append(group.host.ddr_bytes)
                    self.ssd.append(group.host.ssd_bytes)
                self.host.append(len(self.ddr) - 1)
                self.domain.append((index, rank // size))
                self.hbm.append(group.device.hbm_bytes)
        self.hbm = list(topology.rank_hbm_bytes) or self.hbm
        self.has_copies = topology.replication is not None
        self.is_cpu = topology.host_groups[0].device.kind == "cpu"

    def is_group(self, ranks: tuple[int, ...]) -> bool:
        """Whether ranks are all those of a host or of a domain, or of several."""
        for label in (self.host, self.domain):
            wanted = {label[rank] for rank in ranks}
            if {r for r, where in enumerate(label) if where in wanted} == set(ranks):
                return True
        return False


def _tiling(
    placement: TablePlacement, table: EmbeddingTable, places: _Places
) -> Iterator[str]:
    columns = sorted(
        (b.column_offset, b.column_offset + b.num_columns) for b in placement.blocks
    )
    ends = [0, *(end for _, end in columns)]
    if [start for start, _ in columns] != ends[:-1] or ends[-1] != table.embedding_dim:
        yield f"columns {columns} do not tile {table.embedding_dim}"
    for block in placement.blocks:
        if len(set(block.ranks)) != len(block.ranks):
            yield "a rank twice"
        if not all(0 <= rank < len(places.host) for rank in block.ranks):
            yield "a rank that does not exist"
        if block.row_sizes is not None and (
            sum(block.row_sizes) != table.num_embeddings
            or len(block.row_sizes) != len(block.ranks)
            or placement.sharding_type == "data_parallel"
        ):
            yield "row sizes do not tile"


def _shape(placement: TablePlacement, places: _Places) -> Iterator[str]:
    kind, blocks = placement.sharding_type.value, placement.blocks
    used = {rank for block in blocks for rank in block.ranks}
    if not used <= set(range(len(places.host))):
        return
    yield from _blocks(kind, [len(block.ranks) for block in blocks])
    if kind == "data_parallel" and len(used) != len(places.host):
        yield "not on every rank"
    if kind == "table_column_wise" and len({places.host[r] for r in used}) != 1:
        yield "on several hosts"
    if kind in ("table_row_wise", "grid_shard") and not all(
        places.is_group(block.ranks) for block in blocks
    ):
        yield "rows not over a whole host or domain"
    kernel, tiers = placement.compute_kernel.value, placement.tiers
    split = (tiers.hbm, tiers.ddr, tiers.ssd)
    home = (0, 1, 0) if places.is_cpu else _HOME.get(kernel)
    if home is not None and split != home:
        yield f"kernel {kernel} has tiers {split}"
    if home is None and math.fsum(split) < 1 - 1e-9:
        yield f"rows are nowhere: {split}"
    if (kernel == "dense") != (kind == "data_parallel"):
        yield f"kernel {kernel} with {kind}"
    if places.has_copies and kernel not in ("dense", "fused", "fused_uvm"):
        yield f"kernel {kernel} has copies that drift apart"


def _blocks(kind: str, num_ranks: list[int]) -> Iterator[str]:
    if kind in _ONE_BLOCK and len(num_ranks) != 1:
        yield "several blocks"
    if kind in _ONE_RANK and any(number != 1 for number in num_ranks):
        yield "rows are cut"
    if kind == "row_wise" and len(num_ranks) > 1 and min(num_ranks) < 2:
        yield "a slice on one rank"


def _limits(
    placement: TablePlacement, table: EmbeddingTable, plan: Plan, places: _Places
) -> Iterator[str]:
    default = plan.inputs.workload.constraints

    def limit(name: str) -> Any:
        own = table.constraints
        return getattr(own if name in own.model_fields_set else default, name)

    for name, value in (
        ("sharding_types", placement.sharding_type),
        ("compute_kernels", placement.compute_kernel),
    ):
        if limit(name) and value not in limit(name):
            yield f"{value} is not among the {name}"
    if placement.dtype not in (table.dtype, *limit("dtypes")):
        yield "rows of another type"
    width = min(limit("min_column_width") or 1, table.embedding_dim)
    if any(block.num_columns < width for block in placement.blocks):
        yield "a column shard is too narrow"
    used = {rank for block in placement.blocks for rank in block.ranks}
    hosts = {places.host[rank] for rank in used if rank < len(places.host)}
    for name, have in (("ranks", used), ("hosts", hosts)):
        if limit(name) and not have <= set(limit(name)):
            yield f"not on the pinned {name}"
    if used & set(limit("forbidden_ranks")):
        yield "on a forbidden rank"


def _even_rows(
    placement: TablePlacement, table: EmbeddingTable, plan: Plan
) -> Iterator[str]:
    """TorchRec cuts rows into equal blocks, HugeCTR within a row of these."""
    slack = {"torchrec": 0, "hugectr": 1}.get(plan.target.value)
    if slack is None:
        return
    for block in placement.blocks:
        sizes, rows = block.row_sizes or (), table.num_embeddings
        each = -(-rows // len(block.ranks))
        even = [min(each, max(0, rows - i * each)) for i in range(len(sizes))]
        if list(sizes) != even and (slack == 0 or max(sizes) - min(sizes) > slack):
            yield f"{plan.target.value} cuts rows evenly, not into {sizes}"


def _groups(plan: Plan) -> Iterator[str]:
    used = {
        p.name: {rank for block in p.blocks for rank in block.ranks}
        for p in plan.tables
    }
    for group in plan.inputs.workload.colocate:
        if any(used[name] != used[group[0]] for name in group):
            yield f"{group} are not together"
    for group in plan.inputs.workload.separate:
        if any(used[one] & used[other] for one, other in combinations(group, 2)):
            yield f"{group} are not apart"


def _memory(
    plan: Plan, tables: dict[str, EmbeddingTable], places: _Places
) -> Iterator[str]:
    """Bare rows, without optimizer states or reserves, fit beside sequences."""
    vectors = _sequence_bytes(plan, tables, places)
    hbm = [0.0 if places.is_cpu else vectors] * len(places.hbm)
    ddr, ssd = [0.0] * len(places.ddr), [0.0] * len(places.ssd)
    for placement in plan.tables:
        table, tiers = tables[placement.name], placement.tiers
        for block in placement.blocks:
            for rank, rows in _rows(placement, block, table.num_embeddings):
                size = rows * block.num_columns * _BITS[placement.dtype.value] / 8
                hbm[rank] += size * tiers.hbm
                ddr[places.host[rank]] += size * tiers.ddr
                ssd[places.host[rank]] += size * tiers.ssd
    pairs = [*zip(hbm, places.hbm, strict=True), *zip(ddr, places.ddr, strict=True)]
    for used, room in [*pairs, *zip(ssd, places.ssd, strict=True)]:
        if used > room:
            yield f"{used} bytes in {room}"


def _sequence_bytes(
    plan: Plan, tables: dict[str, EmbeddingTable], places: _Places
) -> float:
    """What a rank's model reads: fp32 vectors of all ids, however few are sent."""
    model, ranks = plan.inputs.workload, len(places.hbm)
    if places.has_copies:
        return 0.0
    samples = model.batch_size or (model.global_batch_size or 0) / ranks
    ids = [
        samples * t.batch_factor * t.pooling_factor * t.coverage * t.embedding_dim
        for t in tables.values()
        if not t.is_pooled
    ]
    return 4.0 * math.fsum(ids)


def _rows(
    placement: TablePlacement, block: ColumnBlock, rows: int
) -> Iterator[tuple[int, int]]:
    if placement.sharding_type == "data_parallel":
        yield from ((rank, rows) for rank in block.ranks)
        return
    each = -(-rows // len(block.ranks))
    for index, rank in enumerate(block.ranks):
        size = min(each, max(0, rows - index * each))
        yield rank, block.row_sizes[index] if block.row_sizes else size


def _claims(plan: Plan) -> Iterator[str]:
    """Outcome against itself: bound, gap, status."""
    outcome = plan.outcome
    value, bound = outcome.objective_s, outcome.lower_bound_s
    claimed = max(bound, outcome.claimed_bound_s or 0.0)
    if claimed > value * (1 + 1e-8):
        yield "a bound above the value"
    if outcome.status == "optimal" and value > claimed * (1 + 1e-8):
        yield "optimal, with a gap"
    if (outcome.gap is None) != (bound == 0):
        yield "a gap without a bound, or none with one"
    elif bound and abs((outcome.gap or 0.0) - (value / bound - 1)) > 1e-8:
        yield "another gap"
