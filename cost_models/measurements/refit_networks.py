"""Make the curves of network models from the NCCL measurements here.

Run it with the name of a network to print its operations as TOML;
`tests/catalogues/test_refit.py` compares them with the committed files.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from shardplan.calibration.curves import MeasuredCurve, measured_curve
from shardplan.costs.cluster import Cluster
from shardplan.costs.communication.all_reduce import all_reduce_seconds
from shardplan.costs.communication.collectives import Collectives
from shardplan.io.catalog import load_network
from shardplan.validation import load_measurements
from shardplan.validation.predict import system_cost_model, system_topology

if TYPE_CHECKING:
    from shardplan.records.network import NetworkModel
    from shardplan.validation.records import CollectiveMeasurement

Floats = NDArray[np.float64]
HERE = Path(__file__).resolve().parent
REPOSITORY = "ai-dynamo/aiconfigurator@095f58a51c4c"
DATE = "2026-11-30"


class Measured(NamedTuple):
    """What one network's curves come from.

    Attributes
    ----------
    line_bw : float
        Of one rank, one direction [bytes/s].
    systems : dict of int to list of str
        Systems that were measured, by ranks; the geometric mean of them is taken.
    """

    line_bw: float
    systems: dict[int, list[str]]


_BLACKWELL = ["b200", "b300"]
_GRACE = ["gb200", "gb300"]
_HOPPER = ["h100", "h200"]
NETWORKS = {
    "nvlink3": Measured(300e9, {n: ["a100"] for n in (2, 4, 8)}),
    "nvlink4": Measured(450e9, {n: _HOPPER for n in (2, 4, 8)}),
    "nvlink5": Measured(900e9, {n: _BLACKWELL for n in (2, 4, 8)}),
    "nvlink5-nvl72": Measured(900e9, {2: _GRACE, 4: _GRACE, 8: _BLACKWELL}),
    "pcie4": Measured(31.5e9, {n: ["l40s"] for n in (2, 4, 8)}),
    "pcie5": Measured(63e9, {n: ["rtx-pro-6000"] for n in (2, 4, 8)}),
}
MESHES = {"infinity-fabric-mi300": Measured(448e9, {8: ["mi300x"]})}
"""Meshes of which all-reduces alone were measured: they are what `reduce` follows."""
COLLECTIVES = {
    "all_to_all": ("all_to_all",),
    "reduce": ("all_gather", "reduce_scatter"),
    "all_reduce": ("all_reduce",),
}
"""Collectives behind each operation of a network model."""


def read() -> dict[tuple[str, str, int], tuple[Floats, Floats]]:
    """Return sizes [bytes] and times [s] by system, collective and ranks."""
    found: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
    with (HERE / "nccl.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            key = (row["system"], row["collective"], int(row["num_ranks"]))
            point = float(row["message_bytes"]), float(row["time_s"])
            found.setdefault(key, []).append(point)
    return {
        key: (np.array(points)[:, 0], np.array(points)[:, 1])
        for key, points in found.items()
    }


def curve(network: str, operation: str, num_ranks: int) -> MeasuredCurve:
    """Return the times of an operation, none below that of fewer bytes.

    Notes
    -----
    Systems and collectives are averaged, then made monotone by isotonic regression,
    both in the logarithm. No point of the curve is faster than its bandwidth.
    """
    measured, points = (NETWORKS | MESHES)[network], read()
    kinds = COLLECTIVES[operation]
    found = [
        points[system, kind, num_ranks]
        for system in measured.systems[num_ranks]
        for kind in kinds
    ]
    logs = np.mean([np.log(times) for _, times in found], axis=0)
    bus = (2 if operation == "all_reduce" else 1) * (num_ranks - 1) / num_ranks
    sent = found[0][0] * bus
    return measured_curve(sent, logs, measured.line_bw)


def p_norm(network: str, operation: str) -> tuple[float, float, float]:
    """Return latency [s], efficiency and exponent that follow the largest curve."""
    measured = (NETWORKS | MESHES)[network]
    sent, times, share = curve(network, operation, max(measured.systems))
    bw = share * measured.line_bw

    def residuals(x: Floats) -> Floats:
        latency, exponent = np.exp(x)
        both = latency**exponent + (sent / bw) ** exponent
        return np.asarray(np.log(both ** (1.0 / exponent) / times))

    start = [np.log(times[0]), np.log(0.8)]
    latency, exponent = np.exp(least_squares(residuals, start).x)
    return float(latency), share, float(exponent)


def reduction_between_hosts() -> tuple[float, float]:
    """Return efficiency and exponent of reductions between hosts on rails.

    Least squares of log t over the all-reduces on several hosts that are not of low
    confidence, each curve with the same weight; latencies are the network's own.
    """
    network = load_network("infiniband-rail")
    curves = [
        one
        for one in load_measurements()
        if one.group == "nccl-hosts"
        and one.operation == "all_reduce"
        and one.confidence != "low"
        and one.system.network is None
    ]

    def residuals(x: Floats) -> Floats:
        share, exponent = x
        reduce = network.reduce.replace(
            bw_efficiency=network.reduce.bw_efficiency.replace(value=share),
            exponent=network.reduce.exponent.replace(value=exponent),
        )
        changed = network.replace(reduce=reduce)
        return np.concatenate([_log_errors(one, changed) for one in curves])

    bounds = ([0.3, 0.3], [1.0, 2.0])
    fit = least_squares(residuals, [0.9, 0.5], bounds=bounds, loss="soft_l1")
    return float(fit.x[0]), float(fit.x[1])


def _log_errors(one: CollectiveMeasurement, network: NetworkModel) -> Floats:
    topology = system_topology(one.system)
    fabric = topology.fabric.replace(network=network)
    cluster = Cluster.of(topology.replace(fabric=fabric))
    model = system_cost_model(one.system, topology)
    sizes = np.array(one.message_bytes, float)
    predicted = all_reduce_seconds(sizes, Collectives.of(cluster, model))
    return np.log(predicted / one.time_s) / np.sqrt(len(sizes))


def main() -> None:
    """Print the operations of a network as TOML."""
    network = sys.argv[1]
    if network == "infiniband-rail":
        share, exponent = reduction_between_hosts()
        sys.stdout.write(f"reduce: {share:.3g} of the line rate, p {exponent:.3g}\n")
        return
    for operation, kinds in COLLECTIVES.items():
        ranks = NETWORKS[network].systems
        names = ", ".join(kinds)
        systems = " and ".join(dict.fromkeys(s for n in ranks.values() for s in n))
        source = f"{REPOSITORY}, nccl-tests of {systems}, {names}"
        latency, share, exponent = p_norm(network, operation)
        fit = f"{max(ranks)} ranks, p-norm fit"
        out = [f"[{operation}]"]
        for name, value, unit in (
            ("latency_s", latency, "s"),
            ("bw_efficiency", share, "ratio" if share > 1 else "fraction"),
            ("exponent", exponent, "exponent"),
        ):
            out.append(
                f"{name} = {{ value = {value:.3g}, unit = {unit!r}, "
                f'source = "{source}, {fit}", date = {DATE} }}'.replace("'", '"')
            )
        for num_ranks, systems_of in ranks.items():
            one = curve(network, operation, num_ranks)
            out += [
                f"\n[[{operation}.curves]]",
                f"num_ranks = {num_ranks}",
                f"line_bw = {NETWORKS[network].line_bw:g}",
                f"bw_efficiency = {one.bw_efficiency:.4g}",
                f"sent_bytes = {_numbers(one.sent_bytes)}",
                f"time_s = {_numbers(one.time_s)}",
                f'source = "{REPOSITORY}, nccl-tests of {" and ".join(systems_of)}, '
                f'{names}, lower quartile of versions"',
                f"date = {DATE}",
            ]
        sys.stdout.write("\n".join(out) + "\n\n")


def _numbers(values: Floats) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"


if __name__ == "__main__":
    main()
