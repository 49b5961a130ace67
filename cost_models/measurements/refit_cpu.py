"""Refit the lookups of CPU sockets from measured steps.

Run it to print the coefficients; `tests/catalogues/test_refit.py` compares them with
the committed file. No plan was published with these steps, so they are those that
`greedy` finds. One number is fitted, the share of the memory's bandwidth that lookups
reach: the backward pass keeps its assumed ratio to the forward pass. It holds whatever
else a step of PyTorch on CPUs costs and no other coefficient has.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from shardplan import load_cost_model, load_topology, load_workload, solve
from shardplan.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shardplan.records.cost_model import CostModel
    from shardplan.records.topology import Topology
    from shardplan.records.workload import Workload

Floats = NDArray[np.float64]
HERE = Path(__file__).resolve().parent
BACKWARD_OVER_FORWARD = 0.5 / 0.6
"""Of the assumed efficiencies."""


def steps() -> list[dict[str, str]]:
    """Return the measured steps."""
    with (HERE / "cpu_steps.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def topology(step: Mapping[str, str]) -> Topology:
    """Return the hosts of a step: `cpu-host` with its sockets, cores and memory."""
    base = load_topology("cpu-host")
    (group,) = base.host_groups
    sockets, memory_bw = int(step["sockets"]), float(step["ddr_bw_per_socket"])
    peaks = {t: float(step[f"peak_{t}"]) for t in ("fp32", "bf16")}
    device = group.device.replace(
        num_sms=int(step["num_cores"]),
        peak_flops=group.device.peak_flops.replace(**peaks),
    )
    host = group.host.replace(ddr_bw=sockets * memory_bw, pcie_bw=memory_bw)
    group = group.replace(
        num_hosts=int(step["num_hosts"]),
        local_world_size=sockets,
        device=device,
        host=host,
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


def with_lookups(efficiency: float) -> CostModel:
    """Return the cost model `cpu` with another efficiency of lookups."""
    model = load_cost_model("cpu")
    values = {
        "forward_efficiency": efficiency,
        "backward_efficiency": efficiency * BACKWARD_OVER_FORWARD,
    }
    changes = {
        name: getattr(model.lookup, name).replace(value=value)
        for name, value in values.items()
    }
    return model.replace(lookup=model.lookup.replace(**changes))


def predicted(model: CostModel) -> Floats:
    """Return the simulated time of every step [s]."""
    return np.array(
        [
            simulate(
                solve(workload(step), topology(step), model, solver="greedy").plan
            ).step_time_s
            for step in steps()
        ]
    )


def fit() -> float:
    """Return the efficiency of forward lookups: least mean square of log errors."""
    measured = np.array([float(step["step_s"]) for step in steps()])

    def error(efficiency: float) -> float:
        ratio = predicted(with_lookups(efficiency)) / measured
        return float((np.log(ratio) ** 2).mean())

    found = minimize_scalar(
        error, bounds=(0.02, 0.6), method="bounded", options={"xatol": 1e-3}
    )
    return float(found.x)


def main() -> None:
    """Print the fitted coefficients."""
    efficiency = fit()
    sys.stdout.write(f"forward_efficiency: {efficiency:.3g}\n")
    sys.stdout.write(f"backward_efficiency: {efficiency * BACKWARD_OVER_FORWARD:.3g}\n")


if __name__ == "__main__":
    main()
