"""Predict what a measurement measured."""

from __future__ import annotations

from functools import partial, singledispatch
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.layers.gemm import gemm_time
from shardplan.costs.layers.times import DenseDevice
from shardplan.costs.memory.storage import element_bytes
from shardplan.errors import InputError
from shardplan.io.catalog import (
    load_cost_model,
    load_network,
    load_topology,
    load_workload,
)
from shardplan.plans.evaluation import evaluate
from shardplan.records.host_group import ScaleUp
from shardplan.records.inputs import Inputs
from shardplan.records.sharding import CACHING_KERNELS, PHASES, ComputeKernel, Phase
from shardplan.records.tables import EmbeddingTable, ZipfAccess
from shardplan.records.torchrec_cost_model import measured
from shardplan.records.workload import Pipeline, Workload
from shardplan.simulation import SimulationSettings, simulate, step_range
from shardplan.simulation.collective_times import collective_seconds
from shardplan.validation.plans import HostTables, MeasuredPlan
from shardplan.validation.records import (
    BandwidthMeasurement,
    CapacityMeasurement,
    CollectiveMeasurement,
    DedupMeasurement,
    GemmMeasurement,
    LookupMeasurement,
    StepMeasurement,
    System,
)

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan
    from shardplan.records.cost_model import CostModel
    from shardplan.records.host_group import HostGroup
    from shardplan.records.topology import Topology


class Value(NamedTuple):
    """One predicted and measured value: seconds, or bytes per second.

    Attributes
    ----------
    range : (low, high) or None
        What the prediction may be where the description of a system leaves it open.
    """

    label: str
    predicted: float
    measured: float
    range: tuple[float, float] | None = None

    @property
    def error(self) -> float:
        """Signed relative error of the prediction, or of the nearest of its range."""
        if self.range is None:
            return self.predicted / self.measured - 1.0
        low, high = self.range
        return min(max(self.measured, low), high) / self.measured - 1.0


def system_topology(system: System) -> Topology:
    """Return the topology of a system with its differences."""
    topology = load_topology(system.topology)
    if system.ranks_per_host is not None:
        topology = topology.changed(partial(_with_ranks, ranks=system.ranks_per_host))
    if system.network is not None:
        fabric = topology.fabric.replace(network=load_network(system.network))
        topology = topology.replace(fabric=fabric)
    if system.in_network_reduction:
        fabric = topology.fabric.replace(in_network_reduction=True)
        topology = topology.replace(fabric=fabric)
    return topology


def _with_ranks(group: HostGroup, ranks: int) -> HostGroup:
    """Return hosts of fewer ranks, with no more of them in a domain."""
    size = min(group.scale_up.domain_size, ranks)
    if ranks > group.local_world_size or ranks % size:
        rule = f"hosts of {group.name} have {group.local_world_size} ranks"
        if group.local_world_size % group.scale_up.domain_size == 0:
            rule += f" in domains of {group.scale_up.domain_size}"
        raise InputError.single("system", "ranks_per_host", ranks, rule)
    joined = size > 1 or group.scale_up.kind == "none"
    up = group.scale_up.replace(domain_size=size) if joined else _NO_SCALE_UP
    return group.replace(local_world_size=ranks, scale_up=up)


_NO_SCALE_UP = ScaleUp(kind="none")


def system_cost_model(system: System, topology: Topology) -> CostModel:
    """Return the cost model of a system."""
    name = system.cost_model or topology.cost_model or "h100"
    return measured(load_cost_model(name))


@singledispatch
def predict(measurement: object) -> list[Value]:
    """Return predicted and measured values of a measurement.

    Raises
    ------
    InputError
        If a name or a plan does not fit.
    """
    raise TypeError(f"cannot predict a {type(measurement).__name__}")


def measured_plan(step: StepMeasurement) -> Plan:
    """Return the plan that a step was measured with."""
    topology = system_topology(step.system)
    workload = load_workload(step.workload)
    changes: dict[str, object] = {
        "global_batch_size": step.global_batch_size,
        "batch_size": None,
    }
    if step.num_embeddings:
        changes["tables"] = tuple(
            table.replace(num_embeddings=rows)
            for table, rows in zip(workload.tables, step.num_embeddings, strict=True)
        )
    if step.dense_dtype is not None:
        changes["dense"] = workload.dense.replace(dtype=step.dense_dtype)
    if step.dedup is not None:
        changes["dedup"] = step.dedup
    if step.comm_dtype is not None:
        parts = dict.fromkeys(("forward", "backward", "dense"), step.comm_dtype)
        changes["comm_dtypes"] = workload.comm_dtypes.replace(**parts)
    inputs = Inputs(
        workload=workload.replace(**changes),
        topology=topology,
        cost_model=system_cost_model(step.system, topology),
    )
    return step.plan.to_plan(inputs)


def step_settings(step: StepMeasurement) -> SimulationSettings:
    """Return what a simulation of a measured step takes into account."""
    return SimulationSettings(
        runtime=step.system.runtime,
        input_copy=step.input_copy,
        id_exchange=step.id_exchange,
    )


def with_cost_model(plan: Plan, model: CostModel) -> Plan:
    """Return a plan that is priced with another cost model."""
    inputs = Inputs(
        workload=plan.inputs.workload,
        topology=plan.inputs.topology,
        cost_model=model,
    )
    return plan.model_copy(update={"inputs": inputs})


@predict.register
def _(measurement: StepMeasurement) -> list[Value]:
    plan, settings = measured_plan(measurement), step_settings(measurement)
    step = simulate(plan, settings).step_time_s
    return [Value("step", step, measurement.step_s, step_range(plan, settings))]


@predict.register
def _(measurement: DedupMeasurement) -> list[Value]:
    plain, once = (predict(measurement.step(dedup=dedup))[0] for dedup in (False, True))
    saved = plain.predicted - once.predicted
    return [Value("saved", saved, plain.measured - once.measured)]


@predict.register
def _(measurement: CollectiveMeasurement) -> list[Value]:
    topology = system_topology(measurement.system)
    model = system_cost_model(measurement.system, topology)
    sizes = measurement.message_bytes
    seconds = collective_seconds(topology, model, measurement.operation, sizes)
    return [
        Value(f"{size} B", float(predicted), time)
        for size, predicted, time in zip(
            sizes, seconds, measurement.time_s, strict=True
        )
    ]


@predict.register
def _(measurement: GemmMeasurement) -> list[Value]:
    topology = system_topology(measurement.system)
    model = system_cost_model(measurement.system, topology).dense
    device = DenseDevice.of(topology.host_groups[0], measurement.dtype)
    m, n, k = np.array(measurement.shapes_mnk, dtype=float).T
    seconds = gemm_time(
        m,
        n,
        k,
        element_bytes=element_bytes(measurement.dtype),
        peak_flops=device.peak_flops * measurement.clock_ratio,
        efficiency=model.gemm_efficiency.value,
        tile=model.gemm_tile.value,
        num_sms=device.num_sms,
        memory_bw=device.memory_bw,
        memory_efficiency=model.memory_efficiency.value,
        launch_s=model.gemm_launch_s.value,
    )
    labels = ["x".join(map(str, shape)) for shape in measurement.shapes_mnk]
    times = measurement.time_s
    return [
        Value(label, float(predicted), time)
        for label, predicted, time in zip(labels, seconds, times, strict=True)
    ]


@predict.register
def _(measurement: LookupMeasurement) -> list[Value]:
    cost = evaluate(_lookup_plan(measurement)).loads.cost[0]
    seconds = dict(zip(PHASES, cost.tolist(), strict=True))
    forward = seconds[Phase.FWD_COMPUTE] + seconds[Phase.PREFETCH_COMPUTE]
    values = []
    if measurement.forward_s is not None:
        values.append(Value("forward", forward, measurement.forward_s))
    if measurement.backward_s is not None:
        backward = seconds[Phase.BWD_COMPUTE]
        values.append(Value("backward", backward, measurement.backward_s))
    return values


def _lookup_plan(measurement: LookupMeasurement) -> Plan:
    """Return a plan of all tables on one rank."""
    system = measurement.system.replace(ranks_per_host=1)
    topology = system_topology(system)
    pooling = measurement.pooling_factor
    tables = tuple(
        EmbeddingTable(
            name=f"t{index}",
            num_embeddings=measurement.num_embeddings,
            embedding_dim=width,
            dtype=measurement.dtype,
            is_pooled=pooling is not None,
            pooling_factor=pooling or 1.0,
            is_weighted=measurement.weighted,
        )
        for index, width in enumerate(measurement.widths)
    )
    workload = Workload(
        schema_version=1,
        name=measurement.id,
        global_batch_size=round(measurement.lookups_per_table / (pooling or 1.0)),
        optimizer=measurement.optimizer,
        pipeline=Pipeline.NONE,
        access=ZipfAccess(alpha=measurement.alpha),
        tables=tables,
    )
    cost_model = system_cost_model(system, topology)
    inputs = Inputs(workload=workload, topology=topology, cost_model=cost_model)
    matrix = MeasuredPlan(
        ranks=(tuple(range(measurement.num_tables)),),
        host_tables=_host_tables(measurement),
    )
    return matrix.to_plan(inputs)


def _host_tables(measurement: LookupMeasurement) -> tuple[HostTables, ...]:
    kernel = measurement.compute_kernel
    if kernel in (ComputeKernel.FUSED, ComputeKernel.DENSE):
        return ()
    cached = kernel in CACHING_KERNELS
    return (
        HostTables(
            tables=tuple(range(measurement.num_tables)),
            compute_kernel=kernel,
            cache_load_factor=measurement.cache_load_factor or 0.2 if cached else None,
        ),
    )


@predict.register
def _(measurement: BandwidthMeasurement) -> list[Value]:
    topology = system_topology(measurement.system)
    model = system_cost_model(measurement.system, topology)
    group = topology.host_groups[0]
    if measurement.link == "hbm":
        rate = group.device.hbm_bw * model.dense.memory_efficiency.value
    else:
        rate = group.host.pcie_bw * model.host_memory.miss_efficiency.value
    return [Value(measurement.link, rate, measurement.bytes_per_s)]


@predict.register
def _(measurement: CapacityMeasurement) -> list[Value]:
    device = system_topology(measurement.system).host_groups[0].device
    return [Value("device memory", float(device.hbm_bytes), measurement.num_bytes)]
