"""Solve and simulate the problems of a file one after the other, as a script would.

Run in a process of its own with the release to measure on ``PYTHONPATH``; uses only
what every release has, and prints one JSON line.
"""

import json
import resource
import sys
import time
from pathlib import Path

import shardplan
from shardplan.simulation import simulate


def main() -> None:
    """Read the problems, then time the plain loop over them."""
    problems = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    workloads = {
        name: shardplan.Workload.model_validate(data)
        for name, data in problems["workloads"].items()
    }
    topologies = {
        name: shardplan.Topology.model_validate(data)
        for name, data in problems["topologies"].items()
    }
    model = shardplan.load_cost_model(problems["cost_model"])
    pairs = [(workloads[w], topologies[t]) for w, t in problems["points"]]

    def run(workload: shardplan.Workload, topology: shardplan.Topology) -> list[float]:
        plan = shardplan.solve(
            workload, topology, model, solver="greedy", objective="step"
        ).plan
        outcome = plan.outcome
        step_s = simulate(plan).step_time_s
        return [outcome.objective_s, outcome.lower_bound_s, step_s]

    run(*pairs[0])  # imports and caches
    wall, cpu = time.perf_counter(), time.process_time()
    values = [run(*pair) for pair in pairs]
    found = {
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "values": values,
    }
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
