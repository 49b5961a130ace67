"""Rate of a study beside a plain loop and a shell loop, of today and of an old commit.

``make bench-study`` runs it. Every figure is from the same sitting; parts take turns,
for other work on the machine changes the clock. Nothing is asserted about the clock,
but the values must be those of the plain loop, point by point.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from math import gcd
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from shardplan import studies
from shardplan.records.record import dump
from shardplan.studies.expand import expand
from shardplan.studies.resolve import Resolver
from shardplan.studies.spec import StudySpec
from tests.benchmarks.frozen import FOLDER

ROOT = Path(__file__).resolve().parents[3]
OLD = "bd3c8a6"
"""The commit before there were studies."""
TOPOLOGY = FOLDER / "topologies" / "dgx-h100.toml"
COST_MODEL = FOLDER / "cost_models" / "h100.toml"
"""Files that the old commit can read as well."""
VALUES = ("objective_s", "lower_bound_s", "step_time_s")


class Rate(NamedTuple):
    """Seconds per point by the clock, and of the processor where it is known."""

    name: str
    wall_s: float
    cpu_s: float | None = None


def main() -> int:
    """Measure, print the table, and say whether the values are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1000, help="of the study")
    parser.add_argument("--loop", type=int, default=60, help="points of each loop")
    parser.add_argument(
        "--shell", type=int, default=6, help="points of each shell loop"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--old", default=OLD, help="commit to compare with; '' for none"
    )
    chosen = parser.parse_args()
    spec = StudySpec.of(study(chosen.points))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_problems(spec, folder / "problems.json", chosen.loop)
        codes = {"today": ROOT}
        if chosen.old:
            codes[chosen.old] = unpacked(chosen.old, folder)
        loops = {name: [loop(code, folder)] for name, code in codes.items()}
        runs = {n: timed_run(spec, folder / f"w{n}", n) for n in chosen.workers}
        for name, code in codes.items():  # once more, on the other side of the study
            loops[name].append(loop(code, folder))
        shells = {
            name: shell(code, folder, chosen.shell) for name, code in codes.items()
        }
    rates = [
        Rate(
            f"plain loop, {name}",
            mean(f["wall_s"] for f in found) / chosen.loop,
            mean(f["cpu_s"] for f in found) / chosen.loop,
        )
        for name, found in loops.items()
    ]
    rates += [Rate(f"shell loop, {name}", wall_s) for name, wall_s in shells.items()]
    rates += [Rate(f"study, {n} worker(s)", s) for n, (s, _) in runs.items()]
    report(
        rates, [f"plain loop, {n}" for n in codes] + [f"shell loop, {n}" for n in codes]
    )
    say(f"memory of the loop of today: {loops['today'][-1]['mib']:.0f} MiB")
    return compare(loops["today"][0]["values"], runs, chosen.loop)


def study(points: int) -> dict[str, Any]:
    """200 tables on 48 to 80 ranks; hosts, NIC, batch and widths vary."""
    nics = max(1, points // 100)
    return {
        "schema_version": 1,
        "name": "bench-study",
        "base": {
            "workload": "hugectr-200",
            "topology": str(TOPOLOGY),
            "cost_model": str(COST_MODEL),
            "solver": "greedy",
        },
        "axes": {
            "hosts": [6, 7, 8, 9, 10],
            "workload.global_batch_size": [16_384, 32_768, 65_536, 131_072],
            "workload.tables.*.embedding_dim": {"scale": [0.5, 1, 1.5, 2, 4]},
            "topology.host_groups.*.scale_out.nic_bw": {
                "scale": [round(0.5 + 1.5 * i / nics, 6) for i in range(nics)]
            },
        },
    }


def write_problems(spec: StudySpec, path: Path, count: int) -> None:
    """Write a sample of the points, evenly over the study, for any release."""
    resolver, points = Resolver(spec), expand(spec)
    data: dict[str, Any] = {"workloads": {}, "topologies": {}, "points": []}
    for number in sample(len(points), count):
        inputs = resolver.resolve(points[number]).inputs
        names = []
        for kind, record in (
            ("workloads", inputs.workload),
            ("topologies", inputs.topology),
        ):
            text = json.dumps(dump(record), sort_keys=True)
            names.append(hashlib.sha256(text.encode()).hexdigest())
            data[kind][names[-1]] = json.loads(text)
        data["points"].append(names)
        data["cost_model"] = str(COST_MODEL)
    path.write_text(json.dumps(data), encoding="utf-8")


def sample(total: int, count: int) -> list[int]:
    """Numbers of some points, with a stride that meets all values of all axes."""
    # A stride without a common factor visits all numbers before it comes back.
    stride = next(
        n for n in range(max(1, total // count), total + 2) if gcd(n, total) == 1
    )
    return [i * stride % total for i in range(count)]


def unpacked(commit: str, folder: Path) -> Path:
    """Return a folder with the files of a commit, run with today's libraries."""
    target = folder / commit
    target.mkdir()
    archive = ["git", "-C", str(ROOT), "archive", commit]
    packed = subprocess.run(archive, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(target)], input=packed, check=True)
    return target


def loop(code: Path, folder: Path) -> dict[str, Any]:
    """Run the plain loop of some code over the sample."""
    script = Path(__file__).with_name("loop.py")
    command = [sys.executable, str(script), str(folder / "problems.json")]
    done = subprocess.run(
        command, env=environment(code), check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def shell(code: Path, folder: Path, count: int) -> float:
    """Seconds per point of one process of the command line for each point."""
    command = [sys.executable, "-m", "shardplan", "solve", "hugectr-200"]
    command += ["--topology", "dgx-h100:8", "--solver", "greedy"]
    began = time.perf_counter()
    for number in range(count):
        plan = ["-o", str(folder / f"{number}.json")]
        subprocess.run(
            [*command, *plan], env=environment(code), check=True, capture_output=True
        )
    return (time.perf_counter() - began) / count


def environment(code: Path) -> dict[str, str]:
    """Return the environment in which the package of some code is imported."""
    return {**os.environ, "PYTHONPATH": str(code)}


def timed_run(spec: StudySpec, folder: Path, workers: int) -> tuple[float, Any]:
    """Run the study; return seconds per point, start of workers included."""
    began = time.perf_counter()
    found = studies.run(spec, folder, workers=workers)
    return (time.perf_counter() - began) / len(found.rows), found


def report(rates: list[Rate], baselines: list[str]) -> None:
    """Print all rates and what the studies gain on each baseline."""
    by_name = {rate.name: rate for rate in rates}
    for rate in rates:
        cpu = f", {rate.cpu_s * 1e3:7.1f} ms of the processor" if rate.cpu_s else ""
        say(f"{rate.name:28} {rate.wall_s * 1e3:8.1f} ms a point{cpu}")
    for rate in rates:
        if rate.name.startswith("study"):
            gains = (f"{by_name[b].wall_s / rate.wall_s:.1f} x {b}" for b in baselines)
            say(f"{rate.name}: {'; '.join(gains)}")


def compare(values: list[list[float]], runs: Any, count: int) -> int:
    """Say whether the studies have the values of the plain loop and of each other."""
    studied = [
        [[row.values[name] for name in VALUES] for row in found.rows]
        for _, found in runs.values()
    ]
    chosen = sample(len(studied[0]), count)
    same = all(rows == studied[0] for rows in studied)
    same = same and [studied[0][number] for number in chosen] == values
    say("values: " + ("the same, point by point" if same else "DIFFERENT"))
    return 0 if same else 1


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
