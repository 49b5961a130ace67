"""Solve: find a plan, and know how near the best it is.

MLPerf's DLRM-DCNv2 has 26 embedding tables. They are spread over two DGX H100, which
have 16 ranks, by two solvers: `greedy` takes a fraction of a second, and `auto`, which
is the default, goes on from there. Both say how much better another plan could be at
most.
"""

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
    "auto": shardplan.solve("dlrm-dcnv2", "dgx-h100:2", work_limit=3_000_000),
}
for name, result in results.items():
    print(
        f"{name:6}  {result.objective_s * 1e3:.3f} ms,"
        f" at most {result.gap:.1%} above the best possible"
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

# %% Seconds of every rank
# A step has phases, and each phase ends when its slowest rank does. So a plan costs the
# sum of the slowest ranks, the bar on the right: good plans are level in every phase,
# not only in their sum. No plan has a bar on the right that is lower than the line.

PHASES = {
    "input_dist_s": "C5",
    "fwd_compute_s": "C1",
    "fwd_comms_s": "C0",
    "bwd_comms_s": "C4",
    "bwd_compute_s": "C3",
}
figure, axes = plt.subplots(1, 2, sharey=True)
for axis, (name, result) in zip(axes, results.items(), strict=True):
    loads = result.plan.to_rank_frame()[list(PHASES)] * 1e3
    places = [*range(len(loads)), len(loads) + 0.8]
    foot = [0.0] * len(places)
    for phase, color in PHASES.items():
        heights = [*loads[phase], loads[phase].max()]
        axis.bar(places, heights, 0.85, foot, color=color, label=phase[:-2])
        foot = [low + height for low, height in zip(foot, heights, strict=True)]
    axis.axhline(result.lower_bound_s * 1e3, color="black", linestyle="--", linewidth=1)
    axis.set_xticks([*places[:-1:4], places[-1]], [*range(0, len(loads), 4), "step"])
    axis.set_title(f"{name}: {result.objective_s * 1e3:.3f} ms, gap {result.gap:.1%}")
    axis.set_xlabel("rank")
axes[0].set_ylabel("time [ms]")
handles, labels = axes[0].get_legend_handles_labels()
bound = axes[0].lines[0]
figure.legend(
    [*handles[::-1], bound],
    [*labels[::-1], "lower bound"],
    loc="outside right center",
)
figure.savefig("solve.svg", metadata={"Date": None})
