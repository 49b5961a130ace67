"""The smallest changes that would let a plan exist, found by trying them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.infeasible import memory_proofs
from shardplan.costs.memory.storage import state_bytes
from shardplan.errors import InputError
from shardplan.problems.problem import build_problem
from shardplan.records.record import MAX_BYTES, MAX_RANKS
from shardplan.records.sharding import Objective, ShardingType, Target
from shardplan.records.tables import DType
from shardplan.records.workload import Optimizer
from shardplan.units import format_bytes_both

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shardplan.certify.kelley import Clock
    from shardplan.problems.problem import Problem
    from shardplan.records.host_group import HostGroup
    from shardplan.records.inputs import Inputs
    from shardplan.records.tables import EmbeddingTable, TableConstraints
    from shardplan.records.topology import Topology
    from shardplan.records.workload import Workload

    Attempt = Callable[[Problem], bool]

_MOST_TIMES = 16
_FINENESS = 0.02
_LOW_PRECISION = (DType.FP16, DType.INT8)
_LEAN_OPTIMIZERS = (Optimizer.ROWWISE_ADAGRAD, Optimizer.SGD)
_GB = 10**9
_PERCENT = 100
_MOST_WORK = 2_000_000
"""Options priced, over all changes tried: the same ones are tried on every machine."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A change of the inputs after which a plan was found.

    Attributes
    ----------
    change : str
        ``hosts``, ``hbm``, ``ddr``, ``rows``, ``low_precision``, ``optimizer`` or
        ``row_wise``.
    value : float
        Hosts, bytes per rank, bytes per host, rows over rows, or 0.
    text : str
        In words.
    """

    change: str
    value: float
    text: str


def relaxations(
    inputs: Inputs, target: Target, attempt: Attempt, stop: Clock | None = None
) -> tuple[Relaxation, ...]:
    """Try row-wise sharding, fewer bits, less state, more of everything, fewer rows.

    Each change is tried alone. Numbers are the smallest, up to 16 times of what there
    is and to within 2 %, for which `attempt` finds a plan. Changes that the inputs do
    not allow are left out, and so are those for which no work is left; what is left
    out is the same on every machine.

    Parameters
    ----------
    attempt : callable
        Whether it finds a plan for a problem; a quick heuristic will do.
    stop : Clock, optional
        Ends it sooner; changes that were not tried by then are left out.
    """
    return tuple(_found(_ChangedInputs(inputs, target, attempt, stop)))


def _found(trial: _ChangedInputs) -> Iterator[Relaxation]:
    with suppress(_EnoughError):
        for changes in (_kinds, _hosts, _hbm, _ddr, _rows):
            yield from changes(trial)


class _EnoughError(Exception):
    """No time or work is left."""


@dataclass(eq=False)
class _ChangedInputs:
    """Says whether changed inputs allow a plan."""

    inputs: Inputs
    target: Target
    attempt: Attempt
    stop: Clock | None
    work: int = 0

    def fits(
        self,
        topology: Callable[[], Topology] | None = None,
        workload: Callable[[], Workload] | None = None,
    ) -> bool:
        """Whether a plan is found for the changed inputs; no if they make no sense.

        Raises
        ------
        _EnoughError
            If no time or work is left.
        """
        if self.work > _MOST_WORK or (self.stop and self.stop.now()):
            raise _EnoughError
        try:
            problem = build_problem(
                workload() if workload else self.inputs.workload,
                topology() if topology else self.inputs.topology,
                self.inputs.cost_model,
                target=self.target,
                objective=Objective.STEP,
                all_tiers=True,
            )
        except (ValueError, InputError):
            return False
        self.work += len(problem.options)
        if (np.diff(problem.options.start) == 0).any() or memory_proofs(problem):
            return False
        return self.attempt(problem)


def _kinds(trial: _ChangedInputs) -> Iterator[Relaxation]:
    """Try row-wise sharding, fewer bits per row, and optimizers with less state."""
    workload = trial.inputs.workload
    limits = [workload.table_constraints(table) for table in workload.tables]
    if not all(_allows_rows(some) for some in limits) and trial.fits(
        workload=partial(_changed, workload, _with_rows)
    ):
        yield Relaxation("row_wise", 0.0, "row_wise sharding allowed for all tables")
    for dtype in _LOW_PRECISION:
        change = partial(_with_dtype, dtype=dtype)
        if trial.fits(workload=partial(_changed, workload, change)):
            text = f"rows in {dtype.value} (constraint dtypes)"
            yield Relaxation("low_precision", 0.0, text)
            break
    widest = max(table.embedding_dim for table in workload.tables)
    state = float(state_bytes(workload.optimizer, widest))
    for optimizer in _LEAN_OPTIMIZERS:
        if float(state_bytes(optimizer, widest)) < state and trial.fits(
            workload=partial(workload.replace, optimizer=optimizer)
        ):
            yield Relaxation("optimizer", 0.0, f"optimizer {optimizer.value}")
            break


def _hosts(trial: _ChangedInputs) -> Iterator[Relaxation]:
    topology = trial.inputs.topology
    if len(topology.host_groups) > 1:
        return
    now, ranks = topology.num_hosts, topology.host_groups[0].local_world_size
    number = _smallest(
        now,
        min(_MOST_TIMES * now, MAX_RANKS // ranks),
        lambda number: trial.fits(topology=partial(topology.with_hosts, number)),
    )
    if number is not None:
        text = f"{number} hosts ({number * ranks} ranks) instead of {now}"
        yield Relaxation("hosts", number, text)


def _hbm(trial: _ChangedInputs) -> Iterator[Relaxation]:
    topology = trial.inputs.topology
    devices = [group.device.hbm_bytes for group in topology.host_groups]
    sizes = topology.rank_hbm_bytes or devices
    number = _smallest(
        min(sizes) // _GB,
        min(_MOST_TIMES * max(sizes), MAX_BYTES) // _GB,
        lambda number: trial.fits(
            topology=partial(_with_memory, topology, hbm=number * _GB)
        ),
    )
    if number is not None and max(sizes):
        size = format_bytes_both(number * _GB)
        yield Relaxation("hbm", float(number * _GB), f"ranks with {size} of HBM")


def _ddr(trial: _ChangedInputs) -> Iterator[Relaxation]:
    topology = trial.inputs.topology
    sizes = [group.host.ddr_bytes for group in topology.host_groups]
    most = max(sizes) or max(group.device.hbm_bytes for group in topology.host_groups)
    number = _smallest(
        min(sizes) // _GB,
        min(_MOST_TIMES * most, MAX_BYTES) // _GB,
        lambda number: trial.fits(
            topology=partial(_with_memory, topology, ddr=number * _GB)
        ),
    )
    if number is not None:
        size = format_bytes_both(number * _GB)
        yield Relaxation("ddr", float(number * _GB), f"hosts with {size} of DDR")


def _rows(trial: _ChangedInputs) -> Iterator[Relaxation]:
    """Try all tables with fewer rows, as hashing their ids more coarsely would make."""
    workload = trial.inputs.workload
    number = _smallest(
        _PERCENT,
        _MOST_TIMES * _PERCENT,
        lambda number: trial.fits(
            workload=partial(_with_fewer_rows, workload, number / _PERCENT)
        ),
    )
    if number is not None:
        factor = number / _PERCENT
        text = f"{factor:.2f} times fewer rows in every table (hash ids more coarsely)"
        yield Relaxation("rows", factor, text)


def _smallest(now: int, most: int, fits: Callable[[int], bool]) -> int | None:
    """Find the smallest number above `now`, up to `most`, that fits.

    It is known to within `_FINENESS`; found by doubling and then halving.
    """
    low, high = now, min(max(2 * now, 1), most)
    while high > low and not fits(high):
        low, high = high, min(2 * high, most)
    if high <= low:
        return None
    while high - low > max(1.0, _FINENESS * low):
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _with_memory(topology: Topology, hbm: int = 0, ddr: int = 0) -> Topology:
    """Return the topology with at least so many bytes of HBM per rank, DDR per host."""

    def larger(group: HostGroup) -> HostGroup:
        device, host = group.device, group.host
        more_hbm, more_ddr = max(hbm, device.hbm_bytes), max(ddr, host.ddr_bytes)
        changes = {
            "device": device.model_copy(update={"hbm_bytes": more_hbm}),
            "host": host.model_copy(update={"ddr_bytes": more_ddr}),
        }
        return group.model_copy(update=changes)

    ranks = tuple(max(hbm, own) for own in topology.rank_hbm_bytes)
    return topology.changed(larger).model_copy(update={"rank_hbm_bytes": ranks})


def _changed(
    workload: Workload, change: Callable[[TableConstraints], TableConstraints]
) -> Workload:
    """Return the workload with other constraints of every table."""
    tables = tuple(
        table.replace(constraints=change(workload.table_constraints(table)))
        for table in workload.tables
    )
    return workload.model_copy(update={"tables": tables})


def _with_fewer_rows(workload: Workload, factor: float) -> Workload:
    """Return the workload with so many times fewer rows in every table."""

    def cut(table: EmbeddingTable) -> EmbeddingTable:
        return table.replace(num_embeddings=ceil(table.num_embeddings / factor))

    return workload.replace(tables=tuple(map(cut, workload.tables)))


def _with_dtype(limits: TableConstraints, dtype: DType) -> TableConstraints:
    return limits.replace(dtypes=tuple(dict.fromkeys((*limits.dtypes, dtype))))


def _with_rows(limits: TableConstraints) -> TableConstraints:
    if _allows_rows(limits):
        return limits
    rows = ShardingType.ROW_WISE
    allowed, forbidden = limits.sharding_types, set(limits.forbidden_sharding_types)
    if allowed and rows not in allowed:
        allowed = (*allowed, rows)
    kept = tuple(kind for kind in ShardingType if kind in forbidden - {rows})
    return limits.replace(sharding_types=allowed, forbidden_sharding_types=kept)


def _allows_rows(limits: TableConstraints) -> bool:
    return ShardingType.ROW_WISE in limits.usable_types
