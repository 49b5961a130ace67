"""Refit what CPU hosts reach from measured steps.

Run it to print the constants; `tests/catalogues/test_refit.py` compares them with the
committed file. No plan was published with these steps, so they are those that `greedy`
finds. Two numbers are fitted, to the steps of the program that uses the hosts best:

- the share of the memory's bandwidth that its lookups reach, where one kernel does all
  tables; the backward pass keeps its assumed ratio to it;
- the overhead of a step. It does not shrink with more hosts, so it decides how steps
  scale.

Programs with a kernel per table (Intel's of 2020 and 2021, MLPerf's TorchRec reference)
took two to three times as long. They decide nothing: the spread of lookups covers them.
Exchanges between hosts use all ports that the submissions name.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shardplan import load_cost_model, load_topology, load_workload, solve
from shardplan.records.inputs import Inputs
from shardplan.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shardplan.plans.plan import Plan
    from shardplan.records.cost_model import CostModel
    from shardplan.records.topology import Topology
    from shardplan.records.workload import Workload

Floats = NDArray[np.float64]
HERE = Path(__file__).resolve().parent
BACKWARD_OVER_FORWARD = 0.5 / 0.6
"""Of the assumed efficiencies."""
ROUNDS = 3
"""Of fits, each with the plans of the one before."""


def steps() -> list[dict[str, str]]:
    """Return the measured steps."""
    with (HERE / "cpu_steps.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def topology(step: Mapping[str, str]) -> Topology:
    """Return the hosts of a step: `cpu-host` with its sockets, cores, memory, ports."""
    base = load_topology("cpu-host")
    (group,) = base.host_groups
    sockets, memory_bw = int(step["sockets"]), float(step["ddr_bw_per_socket"])
    peaks = {t: float(step[f"peak_{t}"]) for t in ("fp32", "bf16")}
    device = group.device.replace(
        num_sms=int(step["num_cores"]),
        peak_flops=group.device.peak_flops.replace(**peaks),
    )
    host = group.host.replace(ddr_bw=sockets * memory_bw, pcie_bw=memory_bw)
    out = group.scale_out.replace(nics_per_host=int(step["nics_per_host"]))
    group = group.replace(
        num_hosts=int(step["num_hosts"]),
        local_world_size=sockets,
        device=device,
        host=host,
        scale_out=out,
    )
    return base.replace(host_groups=(group,))


def workload(step: Mapping[str, str]) -> Workload:
    """Return a step's model: dense layers and exchanges in bf16, SGD for DLRM v1."""
    model = load_workload(step["workload"])
    changes = {"global_batch_size": int(step["global_batch_size"])}
    if step["workload"] == "dlrm-dcnv2":
        return model.replace(**changes)
    wire = dict.fromkeys(("forward", "backward", "dense"), "bf16")
    return model.replace(
        **changes,
        optimizer="sgd",
        dense=model.dense.replace(dtype="bf16"),
        comm_dtypes=model.comm_dtypes.replace(**wire),
    )


def constants(model: CostModel) -> Floats:
    """Return efficiency of lookups, and overhead [s]."""
    efficiency, took = model.lookup.forward_efficiency, model.runtime.step_overhead_s
    return np.array([efficiency.value, took.value])


def with_constants(values: Sequence[float]) -> CostModel:
    """Return the cost model `cpu` with others."""
    efficiency, overhead = map(float, values)
    model = load_cost_model("cpu")
    lookup = {
        "forward_efficiency": efficiency,
        "backward_efficiency": efficiency * BACKWARD_OVER_FORWARD,
    }
    rates = {n: getattr(model.lookup, n).replace(value=v) for n, v in lookup.items()}
    took = model.runtime.step_overhead_s.replace(value=overhead)
    return model.replace(
        lookup=model.lookup.replace(**rates),
        runtime=model.runtime.replace(step_overhead_s=took),
    )


def plans(model: CostModel, of: Sequence[Mapping[str, str]]) -> list[Plan]:
    """Return the plans that `greedy` finds with a cost model."""
    return [
        solve(workload(step), topology(step), model, solver="greedy").plan
        for step in of
    ]


def times(model: CostModel, found: Sequence[Plan]) -> Floats:
    """Return the simulated step times of plans with a cost model [s]."""
    seconds = []
    for plan in found:
        inputs = Inputs(
            workload=plan.inputs.workload,
            topology=plan.inputs.topology,
            cost_model=model,
        )
        priced = plan.model_copy(update={"inputs": inputs})
        seconds.append(simulate(priced).step_time_s)
    return np.array(seconds)


def fit() -> Floats:
    """Return the constants of least mean square of log errors."""
    fitted = [step for step in steps() if step["fitted"] == "yes"]
    measured = np.array([float(step["step_s"]) for step in fitted])
    values = constants(load_cost_model("cpu"))
    for _ in range(ROUNDS):
        model = with_constants(values.tolist())
        found = plans(model, fitted)
        errors = np.log(times(model, found) / measured)
        slopes = np.empty((len(measured), len(values)))
        for column in range(len(values)):
            changed = values.copy()
            changed[column] *= 1.05
            at = times(with_constants(changed.tolist()), found)
            slopes[:, column] = (np.log(at / measured) - errors) / np.log(1.05)
        change, *_ = np.linalg.lstsq(slopes, -errors, rcond=None)
        values = values * np.exp(np.clip(change, -0.5, 0.5))
    return values


def main() -> None:
    """Print the fitted constants."""
    efficiency, overhead = fit()
    sys.stdout.write(f"forward_efficiency: {efficiency:.3g}\n")
    sys.stdout.write(f"backward_efficiency: {efficiency * BACKWARD_OVER_FORWARD:.3g}\n")
    sys.stdout.write(f"step_overhead_s: {overhead:.3g}\n")


if __name__ == "__main__":
    main()
