"""Solve: find a plan, and know how near the best it is.

MLPerf's DLRM-DCNv2 has 26 embedding tables. They are spread over two DGX H100, which
have 16 ranks, by two solvers: `greedy` takes about a second, and `auto`, which is the
default, goes on from there. Both say how much shorter the step of another plan could be
at most.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import shardplan

plt.style.use(Path(__file__).with_name("gallery.mplstyle"))

# %% Two plans
# Inputs are shipped names or paths of files. A search ends after `time_limit_s`, at a
# `gap`, or, as here, after so many evaluated moves, which gives the same plan on every
# machine.

results = {
    "greedy": shardplan.solve("dlrm-dcnv2", "dgx-h100:2", solver="greedy"),
    "auto": shardplan.solve("dlrm-dcnv2", "dgx-h100:2", work_limit=20_000),
}
for name, result in results.items():
    print(
        f"{name:6}  {result.objective_s * 1e3:.3f} ms,"
        f" at most {result.gap:.1%} above the shortest step"
    )

# %% What a plan says
# `check` reads the plan with code that no solver uses, and a result carries its
# verdict. The bound is proven by prices that the plan carries: anyone can recompute it.

best = results["auto"]
print(best.verdict)
shards = best.plan.to_frame()
for table in ("cat_0", "cat_5", "cat_20"):
    found = shards[shards["table"] == table]
    print(f"{table:6}  {found['sharding_type'].iloc[0]} on {len(found)} ranks")

# %% What the step consists of
# A plan is made for the predicted step. Some of it is fixed, whatever the plan: dense
# layers, overhead, latencies. Tables add what they would take if all ranks had the same
# to do, and imbalance is the rest. No plan of the menu has a bar that ends left of the
# line, the lower bound: what is fixed takes most of the room for improvement away.

PARTS = {"fixed": "#999999", "balanced": "C0", "imbalance": "C3"}


def prediction(plan):
    """Return what `shardplan evaluate` says of a plan's step, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        plan.save(path)
        command = [sys.executable, "-m", "shardplan", "evaluate", str(path)]
        command += ["--format", "json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["prediction"]


figure, axis = plt.subplots(figsize=(8, 3))
for row, (name, result) in enumerate(results.items()):
    step, left = prediction(result.plan), 0.0
    for part, color in PARTS.items():
        width = step[f"{part}_s"] * 1e3
        label = part if row == 0 else None
        axis.barh(row, width, 0.6, left, color=color, label=label)
        left += width
    print(f"{name:6}  {step['imbalance_s'] * 1e6:.0f} us of imbalance")
bound_ms = best.lower_bound_s * 1e3
axis.axvline(bound_ms, color="black", linestyle="--", linewidth=1, label="lower bound")
axis.set_yticks(range(len(results)), results)
axis.invert_yaxis()
axis.set_xlabel("predicted step [ms]")
axis.grid(visible=False, axis="y")
figure.legend(loc="outside right center")
figure.savefig("solve.svg", metadata={"Date": None})
