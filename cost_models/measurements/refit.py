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

Floats = NDArray[np.float64]
HERE = Path(__file__).resolve().parent

HBM_BW = {"a100": 2.039e12, "h100": 3.35e12, "b200": 8e12, "b300": 7.75e12}
"""Peak of the devices that were measured, of A100 that with 80 GB [bytes/s]."""
PEAK_BF16 = {"a100": 312e12, "h100": 989.4e12, "b200": 2250e12, "b300": 2250e12}
"""Dense peak [FLOP/s]."""
NUM_SMS = {"a100": 108, "h100": 132, "b200": 148, "b300": 148}
PCIE5_BW = 63e9
"""PCIe 5.0 x16, one direction [bytes/s]."""
SIMAI_USABLE_NIC_BW = 48.5e9
"""What SimAI's efficiencies refer to; the NIC's line rate is 50e9 [bytes/s]."""
NIC_BW = 50e9
"""Line rate of a 400 Gb/s NIC, one direction [bytes/s]."""
GEMM_TILE = 128
SORT_S_PER_ID = 0.25e-9


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
    """Return the coefficients of the H100 lookup kernels, one per measurement."""
    rows = {row["placement"]: row for row in read("lookups")}
    ids = 10 * 104_857
    row_bytes = 128 * 4
    hbm, cached, uvm = (
        {
            key: float(rows[kind][key])
            for key in ("forward_s", "backward_s", "unique_rows")
        }
        for kind in ("hbm", "uvm_caching", "uvm")
    )
    forward = ids * (8 + row_bytes) + ids * (8 + row_bytes)
    backward = ids * row_bytes + 2 * hbm["unique_rows"] * row_bytes
    sort = SORT_S_PER_ID * ids
    return {
        "forward_efficiency": forward / hbm["forward_s"] / HBM_BW["h100"],
        "backward_efficiency": backward / (hbm["backward_s"] - sort) / HBM_BW["h100"],
        "uvm_forward_efficiency": ids * row_bytes / uvm["forward_s"] / PCIE5_BW,
        "uvm_backward_efficiency": (
            uvm["unique_rows"] * row_bytes / uvm["backward_s"] / PCIE5_BW
        ),
        "cache_upkeep_s_per_id": (cached["forward_s"] - hbm["forward_s"]) / ids,
    }


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
