"""Solve one problem with some limits, in a process with the release on ``PYTHONPATH``.

Uses only what every release has. Limits are in seconds of the processor, except where
HiGHS looks at its own clock.
"""

import json
import sys
import time
from pathlib import Path

import scipy.optimize  # noqa: F401  its import counts for none of the runs

# Before anything is imported that keeps a reference to them.
time.monotonic = time.perf_counter = time.process_time

import shardplan  # noqa: E402


def main() -> None:
    """Read the problem; write the plan of each limit."""
    path = Path(sys.argv[1])
    given = json.loads(path.read_text(encoding="utf-8"))
    inputs = (
        shardplan.Workload.model_validate(given["workload"]),
        shardplan.load_topology(given["topology"], given["num_hosts"]),
        shardplan.load_cost_model(given["cost_model"]),
    )
    shardplan.solve(*inputs, solver="greedy")  # imports and caches
    for number, limit_s in enumerate(given["limits_s"]):
        before = time.process_time()
        found = shardplan.solve(
            *inputs, objective=given["objective"], time_limit_s=limit_s
        )
        cpu_s = time.process_time() - before
        plan = path.with_name(f"plan{number}.json")
        found.plan.save(plan)
        line = {"limit_s": limit_s, "cpu_s": cpu_s, "plan": str(plan)}
        sys.stdout.write("\n" + json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
