"""Explain: what fills the memory, what costs the time, and what would help.

A model of 512 tables does not fit into the HBM of 16 GPUs with 40 GB each, so some
tables go to host memory, with a cache of their hottest rows in HBM. The questions after
a plan: what is every GPU's memory full of, which tables hold the others up, and what
would change it?
"""

import json
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt

import shardplan

plt.style.use(Path(__file__).with_name("gallery.mplstyle"))

# %% A plan
# `neo-i` has the totals of a production model from a paper; its single tables are made
# up. `zionex:2` is two hosts with 8 A100 each.

plan = shardplan.solve("neo-i", "zionex:2", solver="greedy").plan
placed = plan.to_frame().drop_duplicates("table")
print(placed["compute_kernel"].value_counts().to_string())

# %% The memory of every rank
# `evaluate` prices every shard, in seconds and bytes, and `memory_items` says what the
# bytes of a rank are. What else a training job needs is taken off before: the dense
# layers, received embeddings, libraries, and a share that is kept free.

ITEMS = {
    "reserved": "#999999",
    "weights": "C0",
    "optimizer state": "C4",
    "cached rows": "C1",
    "cache metadata": "C6",
    "buffers": "C2",
}
evaluation = shardplan.evaluate(plan)
reserved = sum(shardplan.simulate(plan).memory.reserved_bytes.values())
memory = []
for rank in range(plan.world_size):
    row = {item: 0.0 for item in ITEMS} | {"reserved": reserved}
    for item, num_bytes in evaluation.memory_items(rank)["hbm"].items():
        row[item if item in ITEMS else "buffers"] += num_bytes
    memory.append(row)
fullest = max(memory, key=lambda row: sum(row.values()))
for item, num_bytes in fullest.items():
    print(f"{item:15} {num_bytes / 1e9:5.1f} GB")

figure, axis = plt.subplots(figsize=(9, 3.6))
foot = [0.0] * len(memory)
for item, color in ITEMS.items():
    heights = [row[item] / 1e9 for row in memory]
    axis.bar(range(len(memory)), heights, 0.85, foot, color=color, label=item)
    foot = [low + height for low, height in zip(foot, heights, strict=True)]
hbm_bytes = plan.inputs.topology.host_groups[0].device.hbm_bytes
axis.axhline(hbm_bytes / 1e9, color="black", linestyle="--", linewidth=1, label="HBM")
axis.set(xlabel="rank", ylabel="memory [GB]", title="HBM of every rank")
axis.set_xticks(range(0, len(memory), 2))
handles, labels = axis.get_legend_handles_labels()
figure.legend(handles[::-1], labels[::-1], loc="outside right center")
figure.savefig("explain-memory.svg", metadata={"Date": None})

# %% What binds the plan
# `shardplan explain` gives a report, for people or, with `--format json`, for programs.
# The step is the longest path through its operations. A table costs the plan what it
# adds to them on the ranks where that path goes; elsewhere it costs nothing.

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "plan.json"
    plan.save(path)
    command = [sys.executable, "-m", "shardplan", "explain", str(path)]
    command += ["--format", "json", "--limit", "12"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
report = json.loads(done.stdout)
print(f"tiers that are full: {report['binding_memory']}")
for part in report["prediction"]["path"]:
    dearest = ", ".join(table["table"] for table in part["top_tables"])
    print(f"{part['operation']:20} {part['path_s'] * 1e3:6.1f} ms  {dearest}")

# %% What would help
# The same plan with one thing changed at a time. A faster network would help most. To
# leave a single table out helps little: then another rank is the slowest.

tables, changes = report["tables"][::-1], report["what_if"][:6][::-1]
figure, (left, right) = plt.subplots(1, 2, gridspec_kw={"width_ratios": [1, 1.2]})
names = [f"{row['table']} on rank {row['ranks']}" for row in tables]
left.barh(names, [row["cost_s"] * 1e3 for row in tables])
left.set(xlabel="cost [ms]", title="The tables that cost the most")
names = [textwrap.fill(row["change"], 24) for row in changes]
bars = right.barh(names, [row["objective_s"] * 1e3 for row in changes])
saved = [f"{row['objective_s'] / row['before_s'] - 1:+.1%}" for row in changes]
right.bar_label(bars, saved, padding=-45, color="white")
now = plan.outcome.objective_s * 1e3
right.axvline(now, color="black", linestyle="--", linewidth=1)
right.set(xlabel=f"objective [ms], now {now:.1f}", title="This plan, but")
for axis in (left, right):
    axis.grid(visible=True, axis="x")
    axis.grid(visible=False, axis="y")
figure.savefig("explain-changes.svg", metadata={"Date": None})
