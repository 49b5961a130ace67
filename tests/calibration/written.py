"""Files as nccl-tests writes them, of times that a network predicts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shardplan.io.catalog import load_network
from shardplan.simulation.collective_times import Bench, Collective, bench_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SIZES = [float(2**power) for power in range(10, 33, 2)]
PROGRAMS: dict[Collective, str] = {
    "all_to_all": "alltoall",
    "all_gather": "all_gather",
    "reduce_scatter": "reduce_scatter",
    "all_reduce": "all_reduce",
}


def rows(
    network: str, bench: Bench, collective: Collective, sizes: Sequence[float]
) -> list[tuple[int, float, float, float]]:
    """Size [bytes], time [us], algbw and busbw [GB/s]."""
    times = bench_seconds(load_network(network), bench, collective, sizes)
    ranks = bench.num_hosts * bench.ranks_per_host
    bus = (2.0 if collective == "all_reduce" else 1.0) * (ranks - 1) / ranks
    rates = [size / time / 1e9 for size, time in zip(sizes, times, strict=True)]
    return [
        (int(size), float(time) * 1e6, rate, rate * bus)
        for size, time, rate in zip(sizes, times, rates, strict=True)
    ]


def as_text(
    network: str,
    bench: Bench,
    collective: Collective,
    sizes: Sequence[float] = SIZES,
) -> str:
    """Return what the program prints, with what mpirun prints before."""
    ranks = bench.num_hosts * bench.ranks_per_host
    head = [
        "Warning: Permanently added 'node0' to the list of known hosts.",
        "# nccl-tests version 2.17.6 nccl-headers=22808 nccl-library=22808",
        f"# Collective test starting: {PROGRAMS[collective]}_perf",
        "# nThread 1 nGpus 1 minBytes 1024 maxBytes 4294967296 step: 4(factor) "
        "warmup iters: 5 iters: 20 agg iters: 1 validation: 1 graph: 0",
        "#",
        "# Using devices",
        *(
            f"#  Rank {rank:2} Group  0 Pid {900 + rank} on node"
            f"{rank // bench.ranks_per_host} device {rank % bench.ranks_per_host:2} "
            "[0000:06:00] NVIDIA H100 80GB HBM3"
            for rank in range(ranks)
        ),
        "NCCL version 2.28.8+cuda13.0",
        "#",
        "#                                                              out-of-place",
        "#       size         count      type   redop    root     time   algbw   busbw "
        " #wrong     time   algbw   busbw  #wrong",
        "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)",
    ]
    redop = "sum" if "reduce" in collective else "none"
    table = [
        f"{size:12} {size // 4:12} float {redop} -1 {time:8.2f} {alg:.2f} {bus:.2f} 0 "
        f"{time * 1.1:8.2f} {alg / 1.1:.2f} {bus / 1.1:.2f} N/A"
        for size, time, alg, bus in rows(network, bench, collective, sizes)
    ]
    tail = ["# Out of bounds values : 0 OK", "# Avg bus bandwidth    : 100.5", "#"]
    return "\n".join([*head, *table, *tail]) + "\n"


def as_json(
    network: str,
    bench: Bench,
    collective: Collective,
    sizes: Sequence[float] = SIZES,
) -> dict[str, Any]:
    """Return what the program writes with -J, one process per host."""
    timed = [
        (size, {"time": time, "alg_bw": alg, "bus_bw": bus, "nwrong": 0.0})
        for size, time, alg, bus in rows(network, bench, collective, sizes)
    ]
    return {
        "version": 3,
        "start_time": "2026-10-05 12:13:14",
        "args": [f"/opt/nccl-tests/build/{PROGRAMS[collective]}_perf", "-J", "x.json"],
        "env": ["HOME=/root"],
        "nccl_version": 22808,
        "config": {
            "nthreads": 1,
            "ngpus": bench.ranks_per_host,
            "blocking_collectives": "false",
            "devices": [
                {
                    "rank": host * bench.ranks_per_host,
                    "group": 0,
                    "pid": 900 + host,
                    "hostname": f"node{host}",
                    "device": 0,
                }
                for host in range(bench.num_hosts)
            ],
        },
        "results": [
            {
                "size": size,
                "count": size // 4,
                "type": "float",
                "redop": "none",
                "root": "    -1",
                "out_of_place": one,
                "in_place": {**one, "nwrong": "nan"},
            }
            for size, one in timed
        ],
        "out_of_bounds": {"count": 0, "okay": "true"},
        "end_time": "2026-10-05 12:14:00",
    }


def write(
    folder: Path, name: str, network: str, bench: Bench, collective: Collective
) -> str:
    """Write one file, as JSON or text by the end of its name."""
    path = folder / name
    if name.endswith(".json"):
        text = json.dumps(as_json(network, bench, collective))
    else:
        text = as_text(network, bench, collective)
    path.write_text(text, encoding="utf-8")
    return str(path)
