"""Validate: how far predictions are from published measurements.

shardplan ships measurements that others published: steps of MLPerf systems,
collectives, matrix products, lookups. `shardplan validate` predicts every one of them.
You can do the same with measurements of your own (`--against FILE`).
"""

import json
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt

plt.style.use(Path(__file__).with_name("gallery.mplstyle"))

# %% Predict everything
# The command gives a report for people or, with `--format json`, for programs.

command = [sys.executable, "-m", "shardplan", "validate", "--format", "json"]
done = subprocess.run(command, check=True, capture_output=True, text=True)
report = json.loads(done.stdout)
for name, group in report["groups"].items():
    mean, worst = group["mean_error"], abs(group["worst_error"])
    errors = f"{mean:6.1%} off on average, {worst:6.1%} at worst"
    print(f"{name:19} {group['values']:4} values, {errors}")

# %% Whole training steps
# Every published step of embedding tables on 1 to 128 ranks, predicted from workload,
# cluster and plan. Dashed lines are 30 % off. Where a description leaves the links of a
# box open, the prediction is a range: a line between its ends, without error inside.

GROUPS = {
    "mlperf-dcnv2": ("C0", "o"),
    "tensorflow": ("C3", "s"),
    "cpu": ("C2", "D"),
    "hstu": ("C1", "^"),
    "sequence-exchange": ("C4", "v"),
}
steps = [found for found in report["measurements"] if found["kind"] == "step"]
steps.sort(key=lambda step: step["values"][0]["measured"])
ends = [1, 1000]
panels = {"width_ratios": [1, 0.8]}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 8), gridspec_kw=panels)
left.plot(ends, ends, color="black", linewidth=1)
for factor in (0.7, 1.3):
    left.plot(ends, [factor * end for end in ends], "--", color="#999999", linewidth=1)
for row, step in enumerate(steps):
    color, marker = GROUPS[step["group"]]
    [value] = step["values"]
    measured, predicted = value["measured"] * 1e3, value["predicted"] * 1e3
    left.plot(measured, predicted, marker, color=color, markersize=7)
    if value["range"] is not None:
        spread = [end * 1e3 for end in value["range"]]
        left.plot([measured] * 2, spread, color=color, linewidth=3, alpha=0.4)
    right.plot([0, value["error"] * 100], [row, row], color=color)
    right.plot(value["error"] * 100, row, marker, color=color, markersize=7)
left.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
left.set(xlabel="measured step [ms]", ylabel="predicted step [ms]")
for scale in (left.xaxis, left.yaxis):
    scale.set_ticks([1, 10, 100, 1000], [1, 10, 100, 1000])
    scale.set_ticks([], minor=True)
for group, (color, marker) in GROUPS.items():
    left.plot([], [], marker, color=color, label=group)
left.legend(loc="upper left")
names = [step["id"].removeprefix("mlperf.dcnv2.") for step in steps]
right.set_yticks(range(len(names)), names)
right.axvline(0, color="black", linewidth=1)
right.tick_params(axis="y", labelsize=8)
right.set(xlabel="error [%]", xlim=(-50, 50))
right.grid(visible=True, axis="x")
right.grid(visible=False, axis="y")
figure.savefig("validate-steps.svg", metadata={"Date": None})

# %% Systems that nobody fitted
# A few constants, such as the overhead of a step, are fitted to these steps. So that no
# system helps its own prediction, they are fitted again without it, or without its
# whole GPU generation, and then predict it. Hollow marks are the shipped constants.

figure, axis = plt.subplots(figsize=(9, 6))
colors = {"system": "C0", "generation": "C1"}
fits = report["leave_one_out"]
fitted = {name for found in fits["system"].values() for name in found["errors"]}
shown = [step for step in steps if step["id"] in fitted]
for row, step in enumerate(shown):
    axis.plot(step["values"][0]["error"] * 100, row, "o", color="black", mfc="none")
    for what, color in colors.items():
        left_out = fits[what].get(step["group"], {"errors": {}})
        if step["id"] in left_out["errors"]:
            error = left_out["errors"][step["id"]] * 100
            axis.plot(error, row, "|", color=color, markersize=11, markeredgewidth=3)
for what, color in colors.items():
    axis.plot([], [], "|", color=color, markeredgewidth=3, label=f"{what} left out")
    for group, left_out in fits[what].items():
        mean, worst = left_out["mean_error"], left_out["worst_error"]
        print(f"{what:10} {group:13} mean {mean:6.1%}, worst {worst:+.1%}")
names = [step["id"].removeprefix("mlperf.dcnv2.") for step in shown]
axis.set_yticks(range(len(names)), names)
axis.tick_params(axis="y", labelsize=8)
axis.axvline(0, color="black", linewidth=1)
axis.set(xlabel="error [%]", xlim=(-50, 50))
axis.grid(visible=True, axis="x")
axis.grid(visible=False, axis="y")
axis.legend(loc="upper left")
figure.savefig("validate-left-out.svg", metadata={"Date": None})

# %% The parts of a step
# Steps are put together from parts that were measured alone: messages between GPUs,
# matrix products, rows of tables, memory. Each dot is one value, such as an all-reduce
# of one size. Matrix products scatter the most. Some constants were fitted to some of
# these values: [Validation](../validation.md) says which, and what is not covered.
# Values of `nccl-hosts` beyond -55 % are of two clouds whose networks nobody described.

figure, axis = plt.subplots(figsize=(9, 3.6))
for row, group in enumerate(report["groups"]):
    found = [m for m in report["measurements"] if m["group"] == group]
    errors = [value["error"] * 100 for m in found for value in m["values"]]
    shifts = [0.6 * (number * 0.618 % 1 - 0.5) for number in range(len(errors))]
    axis.plot(errors, [row + shift for shift in shifts], ".", color="C0", alpha=0.6)
axis.set_yticks(range(len(report["groups"])), report["groups"])
axis.invert_yaxis()
axis.axvline(0, color="black", linewidth=1)
axis.set(xlabel="error [%]", xlim=(-100, 100))
axis.grid(visible=True, axis="x")
axis.grid(visible=False, axis="y")
figure.savefig("validate-errors.svg", metadata={"Date": None})
