"""Train the same model on CPU workers with parameter servers, and on a cluster.

Workers compute the dense layers; servers hold the tables, look up and pool, and
update. The earlier systems that Neo was compared with worked like this.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.costs.cluster import Cluster
from shardplan.costs.communication.networks import collectives_on
from shardplan.costs.communication.staleness import (
    asynchronous_step_time,
    bounded_staleness_step_time,
    parameter_server_worker_time,
    synchronous_step_time,
)
from shardplan.costs.layers.times import (
    DenseDevice,
    dense_backward_time,
    dense_forward_time,
    dense_parameters,
)
from shardplan.costs.memory import lookup, storage
from shardplan.costs.rates import ClassRates
from shardplan.costs.usage import TableUsage
from shardplan.records.torchrec_cost_model import measured
from shardplan.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.plans.plan import Plan
    from shardplan.records.inputs import Inputs
    from shardplan.records.workload import Workload

SCHEMA_VERSION = 1
"""Of the JSON of the study."""


@dataclass(frozen=True)
class ServerSetup:
    """Workers and servers.

    Attributes
    ----------
    num_workers, num_servers : int
        Hosts of each kind.
    batch_size : int
        Samples per step and worker.
    noise : float
        Standard deviation of a worker's step over its mean [-].
    overlaps : bool
        The next batch is pulled while this one is computed.
    """

    num_workers: int
    num_servers: int
    batch_size: int
    noise: float = 0.1
    overlaps: bool = True


@dataclass(frozen=True)
class WorkerStep:
    """What a worker's step is made of, by itself [s] and [bytes].

    Attributes
    ----------
    compute_s : dense layers, forward and backward
    pulled_bytes, pushed_bytes : outputs and weights, ids and gradients
    worker_nic_s, server_nic_s : the exchange on either side's NICs
    server_memory_s : lookups and updates of all workers on the servers
    step_s : the mean step
    bound_by : the longest of these
    """

    compute_s: float
    pulled_bytes: float
    pushed_bytes: float
    worker_nic_s: float
    server_nic_s: float
    server_memory_s: float
    step_s: float
    bound_by: str


@dataclass(frozen=True)
class SystemRow:
    """One system of the comparison.

    Attributes
    ----------
    system : str
        ``synchronous``, ``bounded_staleness``, ``asynchronous`` or ``shardplan``.
    staleness : int or None
        Steps that a worker may be ahead, for bounded staleness.
    samples_per_step : int
    step_time_s : float
        Mean time of a step of all workers or ranks [s].
    throughput_samples_per_s : float
    speedup : float
        Over the asynchronous parameter servers [-].
    """

    system: str
    staleness: int | None
    samples_per_step: int
    step_time_s: float
    throughput_samples_per_s: float
    speedup: float


def compare(
    plan: Plan, hosts: Inputs, setup: ServerSetup, staleness: Sequence[int] = (1, 8)
) -> dict[str, Any]:
    """Compare a plan's simulated step with parameter servers.

    Parameters
    ----------
    plan : Plan
        Of the workload on its cluster.
    hosts : Inputs
        The same workload on one CPU host: workers and servers are such hosts.
    setup : ServerSetup
    staleness : sequence of int
        Bounds to list.

    Returns
    -------
    dict
        JSON-able; see docs/how-it-works/parameter-servers.md.
    """
    worker = worker_step(hosts, setup)
    systems: list[tuple[str, int | None]] = [("synchronous", None)]
    systems += [("bounded_staleness", bound) for bound in staleness]
    systems.append(("asynchronous", None))
    steps = [
        (mode, bound, mean_step_time(worker, setup, mode, bound))
        for mode, bound in systems
    ]
    samples = setup.num_workers * setup.batch_size
    base = samples / steps[-1][2]
    rows = [
        SystemRow(name, bound, samples, step, samples / step, samples / step / base)
        for name, bound, step in steps
    ]
    simulation = simulate(plan)
    speed = simulation.throughput_samples_per_s
    rows.append(
        SystemRow(
            *("shardplan", None, simulation.batch_size),
            *(simulation.step_time_s, speed, speed / base),
        )
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "workload": plan.inputs.workload.name,
        "topology": plan.inputs.topology.name,
        "world_size": plan.world_size,
        "host_topology": hosts.topology.name,
        "setup": asdict(setup),
        "worker": asdict(worker),
        "systems": [asdict(row) for row in rows],
    }


def mean_step_time(
    worker: WorkerStep, setup: ServerSetup, mode: str, staleness: int | None = None
) -> float:
    """Return the mean time of a step of all workers, which are equal [s].

    Parameters
    ----------
    mode : str
        ``synchronous``, ``bounded_staleness`` or ``asynchronous``.
    staleness : int, optional
        Steps that a worker may be ahead, for bounded staleness.
    """
    times = np.full(setup.num_workers, worker.step_s)
    sigma = setup.noise * worker.step_s
    if mode == "synchronous":
        return synchronous_step_time(times, sigma)
    if mode == "bounded_staleness":
        return bounded_staleness_step_time(times, sigma, staleness or 0)
    return asynchronous_step_time(times)


def worker_step(hosts: Inputs, setup: ServerSetup) -> WorkerStep:
    """Return the step of one worker among equal ones.

    Notes
    -----
    ``max(own NIC, servers' NICs, servers' memory)`` of the exchange, added to the
    computation or beside it. Servers send pooled outputs and weights, and receive
    ids and gradients; each direction of a NIC has its own.
    """
    pulled, pushed = _exchanged_bytes(hosts.workload, setup)
    out = hosts.topology.host_groups[0].scale_out
    model = collectives_on(hosts.topology, measured(hosts.cost_model))
    nic = out.nics_per_host * out.nic_bw
    nic *= model.all_to_all_scale_out.bw_efficiency.value
    busier = max(pulled, pushed)
    memory_s = _server_memory_s(hosts, setup)
    parts = {
        "compute": _compute_s(hosts, setup),
        "worker NIC": busier / nic,
        "server NIC": setup.num_workers * busier / (setup.num_servers * nic),
        "server memory": memory_s,
    }
    step = parameter_server_worker_time(
        np.full(setup.num_workers, parts["compute"]),
        np.full(setup.num_workers, busier),
        worker_bw=nic,
        server_bw=nic,
        num_servers=setup.num_servers,
        server_memory_s=memory_s,
        overlaps=setup.overlaps,
    )
    return WorkerStep(
        compute_s=parts["compute"],
        pulled_bytes=pulled,
        pushed_bytes=pushed,
        worker_nic_s=parts["worker NIC"],
        server_nic_s=parts["server NIC"],
        server_memory_s=memory_s,
        step_s=float(step[0]),
        bound_by=max(parts, key=lambda name: parts[name]),
    )


def _usage(workload: Workload, batch_size: int) -> TableUsage:
    """Return what one worker's batch asks of the tables."""
    changes = {"global_batch_size": batch_size, "batch_size": None}
    return TableUsage.of(workload.replace(**changes), 1)


def _exchanged_bytes(workload: Workload, setup: ServerSetup) -> tuple[float, float]:
    """Bytes that a worker receives and sends in a step."""
    usage = _usage(workload, setup.batch_size)
    types = workload.comm_dtypes
    elements = float(usage.num_outputs @ usage.embedding_dim)
    weights = dense_parameters(workload.dense, *usage.sample_shape)
    dense = float(weights) * storage.element_bytes(types.dense)
    ids = float(usage.num_lookups @ usage.id_bytes)
    lengths = float(usage.num_lengths.sum()) * workload.index_bytes
    pulled = elements * storage.element_bytes(types.forward) + dense
    gradients = elements * storage.element_bytes(types.backward)
    return pulled, gradients + dense + ids + lengths


def _compute_s(hosts: Inputs, setup: ServerSetup) -> float:
    """Seconds of the dense layers of a worker's batch over its host's sockets."""
    workload, group = hosts.workload, hosts.topology.host_groups[0]
    model = measured(hosts.cost_model)
    shape = _usage(workload, setup.batch_size).sample_shape
    share = setup.batch_size / group.local_world_size
    device = DenseDevice.of(group, workload.dense.dtype)
    common = (workload.dense, *shape, share, device, model.dense)
    parts = (*dense_forward_time(*common), *dense_backward_time(*common))
    return float(sum(parts)) + model.runtime.step_overhead_s.value


def _server_memory_s(hosts: Inputs, setup: ServerSetup) -> float:
    """Seconds that the servers' memory needs for a step of all workers."""
    rates = ClassRates.of(Cluster.of(hosts.topology), measured(hosts.cost_model))
    usage = _usage(hosts.workload, setup.batch_size)
    tables = hosts.workload.tables
    dims = usage.embedding_dim.astype(float)
    row = np.array([float(storage.row_bytes(t.dtype, t.embedding_dim)) for t in tables])
    state = storage.state_bytes(hosts.workload.optimizer, dims)
    output = dims * storage.FP32_BYTES
    ids = usage.num_lookups
    read = lookup.forward_bytes(
        ids, usage.id_bytes, ids, row, usage.num_outputs, output
    )
    written = lookup.backward_bytes(ids, output, usage.unique_rows * (row + state))
    ranks = setup.num_servers * hosts.topology.host_groups[0].local_world_size
    forward = float(read.sum()) / float(rates.forward_bw[0])
    backward = float(written.sum()) / float(rates.backward_bw[0])
    return setup.num_workers * (forward + backward) / ranks
