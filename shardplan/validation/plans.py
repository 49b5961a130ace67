"""Plans of measured steps: shard matrices, and which tables lay behind a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from shardplan.errors import InputError
from shardplan.plans.shard_matrix import ShardMatrix, TableIndex
from shardplan.records.placement import TierSplit
from shardplan.records.record import Number, Record
from shardplan.records.sharding import CACHING_KERNELS, ComputeKernel

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan
    from shardplan.records.inputs import Inputs

_HOST_KERNELS = (*CACHING_KERNELS, ComputeKernel.FUSED_UVM)


class HostTables(Record):
    """Tables with rows in host memory.

    Attributes
    ----------
    tables : tuple of int
        By position in the workload.
    compute_kernel : ComputeKernel
        ``fused_uvm``, or one with a cache.
    cache_load_factor : float or None
        Cached share of the rows, for kernels with a cache.
    """

    tables: Annotated[tuple[TableIndex, ...], Field(min_length=1)]
    compute_kernel: ComputeKernel
    cache_load_factor: Annotated[Number, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _kernel_fits(self) -> Self:
        if self.compute_kernel not in _HOST_KERNELS:
            names = ", ".join(kernel.value for kernel in _HOST_KERNELS)
            raise ValueError(f"compute_kernel must be one of: {names}")
        cached = self.compute_kernel in CACHING_KERNELS
        if cached != (self.cache_load_factor is not None):
            rule = "needs" if cached else "cannot have"
            raise ValueError(f"{self.compute_kernel} {rule} a cache_load_factor")
        return self

    @property
    def tiers(self) -> TierSplit:
        """Where the rows are."""
        if self.cache_load_factor is None:
            return TierSplit(ddr=1.0)
        return TierSplit(hbm=self.cache_load_factor, ddr=1.0)


class MeasuredPlan(ShardMatrix):
    """A shard matrix, and tables whose rows were in host memory.

    Attributes
    ----------
    host_tables : tuple of HostTables
        All other tables were in device memory.
    """

    host_tables: tuple[HostTables, ...] = ()

    def to_plan(self, inputs: Inputs) -> Plan:
        """Return the plan that was run.

        Raises
        ------
        InputError
            If matrix, workload and topology do not fit each other.
        """
        plan = super().to_plan(inputs)
        placed = list(plan.tables)
        for group in self.host_tables:
            for index in group.tables:
                if index >= len(placed):
                    rule = f"the workload has {len(placed)} tables"
                    raise InputError.single("plan", "host_tables", index, rule)
                placed[index] = placed[index].replace(
                    compute_kernel=group.compute_kernel, tiers=group.tiers
                )
        return plan.replace(tables=tuple(placed))
