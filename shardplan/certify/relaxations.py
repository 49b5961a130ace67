"""The smallest changes that would let a plan exist, found by trying them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.infeasible import memory_proofs
from shardplan.problem import build_problem
from shardplan.sharding import Objective, ShardingType, Target
from shardplan.tables import DType
from shardplan.units import format_bytes_both

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shardplan.certify.kelley import Clock
    from shardplan.plan import Inputs
    from shardplan.problem import Problem
    from shardplan.tables import TableConstraints
    from shardplan.topology import Device, Host, Topology
    from shardplan.workload import Workload

    Attempt = Callable[[Problem], bool]

_MOST_TIMES = 16
_FINENESS = 0.02
_LOW_PRECISION = (DType.FP16, DType.INT8)
_GB = 10**9


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A change of the inputs after which a plan was found.

    Attributes
    ----------
    change : str
        ``hosts``, ``hbm``, ``ddr``, ``low_precision`` or ``row_wise``.
    value : float
        Hosts, bytes per rank, bytes per host, or 0.
    text : str
        In words.
    """

    change: str
    value: float
    text: str


def relaxations(
    inputs: Inputs, target: Target, attempt: Attempt, stop: Clock | None = None
) -> tuple[Relaxation, ...]:
    """Try more hosts, more HBM, more DDR, fewer bits and row-wise sharding.

    Each change is tried alone. Numbers are the smallest, up to 16 times of what there
    is and to within 2 %, for which `attempt` finds a plan.

    Parameters
    ----------
    attempt : callable
        Whether it finds a plan for a problem; a quick heuristic will do.
    stop : Clock, optional
        Changes that were not tried in time are left out.
    """
    trial = _Trial(inputs, target, attempt, stop)
    found = (_hosts(trial), _hbm(trial), _ddr(trial), *_others(trial))
    return tuple(relaxation for relaxation in found if relaxation is not None)


@dataclass(frozen=True, eq=False)
class _Trial:
    """Says whether changed inputs allow a plan."""

    inputs: Inputs
    target: Target
    attempt: Attempt
    stop: Clock | None

    def fits(
        self, topology: Topology | None = None, workload: Workload | None = None
    ) -> bool:
        """Whether a plan is found in time for the changed inputs."""
        if self.stop and self.stop.now():
            return False
        problem = build_problem(
            workload or self.inputs.workload,
            topology or self.inputs.topology,
            self.inputs.cost_model,
            target=self.target,
            objective=Objective.STEP,
            all_tiers=True,
        )
        if (np.diff(problem.options.start) == 0).any() or memory_proofs(problem):
            return False
        return self.attempt(problem)


def _hosts(trial: _Trial) -> Relaxation | None:
    topology = trial.inputs.topology
    if len(topology.host_groups) > 1:
        return None

    def fits(number: int) -> bool:
        return trial.fits(topology=topology.with_hosts(number))

    number = _smallest(topology.num_hosts, fits)
    if number is None:
        return None
    ranks = number * topology.host_groups[0].local_world_size
    return Relaxation(
        "hosts",
        number,
        f"{number} hosts ({ranks} ranks) instead of {topology.num_hosts}",
    )


def _hbm(trial: _Trial) -> Relaxation | None:
    devices = [group.device for group in trial.inputs.topology.host_groups]
    most = max(device.hbm_bytes for device in devices)

    def fits(number: int) -> bool:
        return trial.fits(topology=_with_memory(trial.inputs.topology, hbm=number))

    number = _smallest(-(-most // _GB), fits) if most else None
    if number is None:
        return None
    size = format_bytes_both(number * _GB)
    return Relaxation("hbm", float(number * _GB), f"ranks with {size} of HBM")


def _ddr(trial: _Trial) -> Relaxation | None:
    hosts = [group.host for group in trial.inputs.topology.host_groups]
    most = max(host.ddr_bytes for host in hosts)

    def fits(number: int) -> bool:
        return trial.fits(topology=_with_memory(trial.inputs.topology, ddr=number))

    number = _smallest(-(-most // _GB), fits)
    if number is None:
        return None
    size = format_bytes_both(number * _GB)
    return Relaxation("ddr", float(number * _GB), f"hosts with {size} of DDR")


def _others(trial: _Trial) -> Iterator[Relaxation]:
    """Fewer bits for the rows of all tables, and row-wise sharding of all tables."""
    workload = trial.inputs.workload
    for dtype in _LOW_PRECISION:
        if trial.fits(workload=_changed(workload, partial(_with_dtype, dtype=dtype))):
            text = f"rows in {dtype.value} (constraint dtypes)"
            yield Relaxation("low_precision", 0.0, text)
            break
    limits = [workload.table_constraints(table) for table in workload.tables]
    if all(_allows_rows(some) for some in limits):
        return
    if trial.fits(workload=_changed(workload, _with_rows)):
        yield Relaxation("row_wise", 0.0, "row_wise sharding allowed for all tables")


def _smallest(now: int, fits: Callable[[int], bool]) -> int | None:
    """Find the smallest number above `now` that fits, doubling and then halving."""
    low, high = now, 2 * now
    while not fits(high):
        low, high = high, 2 * high
        if high > _MOST_TIMES * now:
            return None
    while high - low > max(1.0, _FINENESS * low):
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _with_memory(topology: Topology, hbm: int = 0, ddr: int = 0) -> Topology:
    """Return the topology with at least so many GB of HBM per rank, DDR per host."""

    def larger(device: Device, host: Host) -> dict[str, Device | Host]:
        more_hbm, more_ddr = (
            max(hbm * _GB, device.hbm_bytes),
            max(ddr * _GB, host.ddr_bytes),
        )
        return {
            "device": device.model_copy(update={"hbm_bytes": more_hbm}),
            "host": host.model_copy(update={"ddr_bytes": more_ddr}),
        }

    groups = tuple(
        group.model_copy(update=larger(group.device, group.host))
        for group in topology.host_groups
    )
    return topology.model_copy(update={"host_groups": groups})


def _changed(
    workload: Workload, change: Callable[[TableConstraints], TableConstraints]
) -> Workload:
    """Return the workload with other constraints of every table."""
    tables = tuple(
        table.replace(constraints=change(workload.table_constraints(table)))
        for table in workload.tables
    )
    return workload.model_copy(update={"tables": tables})


def _with_dtype(limits: TableConstraints, dtype: DType) -> TableConstraints:
    return limits.replace(dtypes=tuple(dict.fromkeys((*limits.dtypes, dtype))))


def _with_rows(limits: TableConstraints) -> TableConstraints:
    if _allows_rows(limits):
        return limits
    return limits.replace(
        sharding_types=(*limits.sharding_types, ShardingType.ROW_WISE)
    )


def _allows_rows(limits: TableConstraints) -> bool:
    return not limits.sharding_types or ShardingType.ROW_WISE in limits.sharding_types
