"""Refit coefficients of the shipped cost models from the measurements here.

Run it to print the values; `tests/catalogues/test_refit.py` compares them with the
committed files. Peaks are those of the shipped topologies.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from shardplan.costs.memory.access import row_bins, unique_rows
from shardplan.records.tables import ZipfAccess

Floats = NDArray[np.float64]
HERE = Path(__file__).resolve().parent

HBM_BW = {"a100": 2.039e12, "h100": 3.35e12, "b200": 8e12, "b300": 7.75e12}
"""Peak of the devices that were measured, of A100 that with 80 GB [bytes/s]."""
PEAK_BF16 = {"a100": 312e12, "h100": 989.4e12, "b200": 2250e12, "b300": 2250e12}
"""Dense peak [FLOP/s]."""
NUM_SMS = {"a100": 108, "h100": 132, "b200": 148, "b300": 148}
L2_BW = 9.7e12
"""Last-level cache of Hopper: te42kyfo/gpu-benches, gpu-l2-cache [bytes/s]."""
PCIE5_BW = 63e9
"""PCIe 5.0 x16, one direction [bytes/s]."""
SIMAI_USABLE_NIC_BW = 48.5e9
"""What SimAI's efficiencies refer to; the NIC's line rate is 50e9 [bytes/s]."""
NIC_BW = 50e9
"""Line rate of a 400 Gb/s NIC, one direction [bytes/s]."""
GEMM_TILE = 128
SORT_S_PER_ID = 0.25e-9
ID_BYTES, OFFSET_BYTES = 8, 8
ROW_BYTES = 128 * 4
ALPHA = 1.05
"""Power law of the ids of `lookups.csv`."""


def read(name: str) -> list[dict[str, str]]:
    """Return the rows of one of the CSV files of this folder."""
    with (HERE / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def p_norm(link_bytes: Floats, latency: float, bw: float, exponent: float) -> Floats:
    """Return t = (alpha^p + (V / beta)^p)^(1 / p) [s]."""
    both = latency**exponent + (link_bytes / bw) ** exponent
    return np.asarray(both ** (1.0 / exponent))


def fit_p_norm(link_bytes: Floats, time_s: Floats) -> tuple[float, float, float]:
    """Fit latency [s], bandwidth [bytes/s] and exponent by least squares of log t."""

    def residuals(x: Floats) -> Floats:
        model = p_norm(link_bytes, np.exp(x[0]), np.exp(x[1]), np.exp(x[2]))
        return np.asarray(np.log(model / time_s))

    start = [np.log(time_s.min()), np.log((link_bytes / time_s).max()), np.log(0.8)]
    latency, bw, exponent = np.exp(least_squares(residuals, start).x)
    return float(latency), float(bw), float(exponent)


def fit_scale_out() -> tuple[float, float, float]:
    """Return latency [s], efficiency of the line rate and exponent for NICs.

    SimAI gives efficiencies of the NIC; the time is bytes through one rank's NIC over
    efficiency * usable rate. An all-to-all sends (N - 1) / N of the message through it.
    """
    sent, times = [], []
    for row in read("simai"):
        hosts, size = int(row["num_hosts"]), float(row["message_bytes"])
        sent.append(size * (hosts - 1) / hosts)
        times.append(sent[-1] / (float(row["nic_efficiency"]) * SIMAI_USABLE_NIC_BW))
    latency, bw, exponent = fit_p_norm(np.array(sent), np.array(times))
    return latency, bw / NIC_BW, exponent


def gemm_time(
    shape: Floats, device: str, efficiency: float, launch_s: float, memory: float
) -> Floats:
    """Return the time of bf16 GEMMs: waves of tiles, or memory, plus launch [s]."""
    m, n, k = shape
    tiles = np.ceil(m / GEMM_TILE) * np.ceil(n / GEMM_TILE)
    waves = np.ceil(tiles / NUM_SMS[device])
    fill = tiles / (waves * NUM_SMS[device])
    compute = 2 * m * n * k / (PEAK_BF16[device] * efficiency * fill)
    moved = 2 * (m * k + k * n + m * n) / (memory * HBM_BW[device])
    return np.asarray(np.maximum(compute, moved) + launch_s)


def fit_gemm(device: str, memory: float = 0.86) -> tuple[float, float]:
    """Return efficiency of the dense peak and launch time [s]."""
    rows = [r for r in read("gemm") if r["device"] == device]
    shape = np.array([[float(r[c]) for r in rows] for c in "mnk"])
    time_s = np.array([float(r["time_s"]) for r in rows])

    def residuals(x: Floats) -> Floats:
        model = gemm_time(shape, device, np.exp(x[0]), np.exp(x[1]), memory)
        return np.asarray(np.log(model / time_s))

    efficiency, launch = np.exp(least_squares(residuals, np.log([0.7, 4e-6])).x)
    return float(efficiency), float(launch)


def lookup_coefficients() -> dict[str, float]:
    """Return the coefficients of the H100 lookup kernels.

    Two kernels give the rates of device memory and of the last-level cache in a forward
    pass: one whose ids rarely repeat, and one of bags over tables that fit the cache.
    Every other coefficient comes from one measurement, less what the rest of the model
    says about it.
    """
    rows = {row["placement"]: row for row in read("lookups")}
    hbm, cached, uvm = rows["hbm"], rows["uvm_caching"], rows["uvm"]
    ids, forward, l2 = _forward_rates(hbm)
    update = float(hbm["unique_rows"]) * ROW_BYTES
    sort = SORT_S_PER_ID * ids
    gradients = ids * ROW_BYTES
    summed = float(hbm["backward_s"]) - sort
    backward = (gradients + 2 * update) / summed
    fetched = _rows_of_multiprocessors(uvm) * ROW_BYTES
    in_hbm = (ids * ID_BYTES + _outputs(ids)) / forward
    updated = float(uvm["unique_rows"]) * ROW_BYTES
    in_place = float(uvm["backward_s"]) - sort - gradients / backward
    repeats = ids - float(cached["unique_rows"])
    looked_up = (ids * (ID_BYTES + ROW_BYTES) - repeats * ROW_BYTES) / forward
    looked_up += _outputs(ids) / forward + repeats * ROW_BYTES / l2
    return {
        "forward_efficiency": forward / HBM_BW["h100"],
        "backward_efficiency": backward / HBM_BW["h100"],
        "l2_forward_efficiency": l2 / L2_BW,
        "uvm_forward_efficiency": (
            fetched / (float(uvm["forward_s"]) - in_hbm) / PCIE5_BW
        ),
        "uvm_backward_efficiency": updated / in_place / PCIE5_BW,
        "cache_upkeep_s_per_id": (float(cached["forward_s"]) - looked_up) / ids,
    }


def _outputs(num_outputs: float) -> float:
    """Bytes of outputs that are written, with the offsets that say where [bytes]."""
    return num_outputs * (OFFSET_BYTES + ROW_BYTES)


def _forward_rates(hbm: dict[str, str]) -> tuple[float, float, float]:
    """Return ids of the first kernel, and the rates of memory and cache [bytes/s]."""
    bags = next(row for row in read("pooled_lookups") if row["embedding_dim"] == "128")
    ids = float(hbm["num_tables"]) * float(hbm["lookups_per_table"])
    outputs = float(bags["num_tables"]) * float(bags["num_bags"])
    pooled = outputs * float(bags["ids_per_bag"])
    held = float(bags["num_tables"]) * float(bags["num_embeddings"])
    unique = float(hbm["unique_rows"])
    memory = [
        ids * ID_BYTES + unique * ROW_BYTES + _outputs(ids),
        pooled * ID_BYTES + held * ROW_BYTES + _outputs(outputs),
    ]
    again = [(ids - unique) * ROW_BYTES, (pooled - held) * ROW_BYTES]
    seconds = [float(hbm["forward_s"]), float(bags["forward_s"])]
    slopes = np.linalg.solve(np.array([memory, again]).T, np.array(seconds))
    return ids, float(1 / slopes[0]), float(1 / slopes[1])


def _rows_of_multiprocessors(uvm: dict[str, str]) -> float:
    """Rows that cross the link if each multiprocessor fetches its own distinct ones."""
    tables, ids = float(uvm["num_tables"]), float(uvm["lookups_per_table"])
    bins = row_bins([int(uvm["num_embeddings"])], [ZipfAccess(alpha=ALPHA)])
    sms = NUM_SMS["h100"]
    return tables * sms * float(unique_rows(bins, np.array([ids / sms]))[0])


def show(what: str, values: tuple[float, ...]) -> None:
    """Print a line of three significant digits."""
    sys.stdout.write(f"{what}: {', '.join(f'{value:.3g}' for value in values)}\n")


def main() -> None:
    """Print every fitted coefficient."""
    for device in PEAK_BF16:
        show(f"{device} gemm", fit_gemm(device))
    show("scale out all_to_all", fit_scale_out())
    for name, value in lookup_coefficients().items():
        show(f"h100 {name}", (value,))


if __name__ == "__main__":
    main()
