"""TorchRec: plan the same model with TorchRec's planner and with shardplan.

The model has the tables of MLPerf's DLRM-DCNv2, on the meta device: it needs no memory.
TorchRec's own estimator rates every plan, so both planners are measured with TorchRec's
ruler. Needs [TorchRec](../guides/install-torchrec.md), and no GPU.
"""

import logging
from pathlib import Path

import matplotlib.pyplot as plt
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.planner import EmbeddingShardingPlanner

import shardplan
from shardplan.integrations import torchrec as bridge

logging.disable(logging.WARNING)  # TorchRec warns of its own affairs
plt.style.use(Path(__file__).with_name("gallery.mplstyle"))

# %% A model and a cluster
# You have these already: a model, a `Topology`, constraints. Here they are built from a
# shipped workload and a shipped topology: two hosts with 8 A100 each.

BATCH_SIZE = 4096
workload = shardplan.load_workload("dlrm-dcnv2")
model = bridge.build_model(workload)
topology = bridge.build_topology(shardplan.load_topology("dgx-a100-40:2"))
constraints = bridge.build_constraints(workload, BATCH_SIZE)

# %% Two planners
# `read_workload`, `read_topology` and `read_cost_model` turn TorchRec's objects into
# inputs of shardplan, and `read_plan` does so with a plan. In a training job
# `ShardplanPlanner` does all this in [one line](../guides/switch-from-torchrec.md).

inputs = (
    bridge.read_workload(model, batch_size=BATCH_SIZE, constraints=constraints),
    bridge.read_topology(topology),
    bridge.read_cost_model(topology),
)
settings = {"target": "torchrec", "work_limit": 20_000}
ours = shardplan.solve(*inputs, objective="max-rank", **settings)
path = shardplan.solve(*inputs, objective="step", **settings)
planner = EmbeddingShardingPlanner(
    topology=topology, batch_size=BATCH_SIZE, constraints=constraints
)
found = planner.plan(model, [EmbeddingBagCollectionSharder()])
theirs = bridge.read_plan(found, ours.plan.inputs)

# %% Rated by TorchRec
# TorchRec's planner looks for the smallest rating: the slowest rank's sum of times.
# That is the objective `max-rank`. The critical path adds up the slowest rank of each
# phase, which is the objective `step`. Ask for what you want to be small.

plans = {
    "EmbeddingShardingPlanner": theirs,
    "shardplan, max-rank": ours.plan,
    "shardplan, step": path.plan,
}
print(f"{'':24}  rating     critical path")
for name, plan in plans.items():
    rating = bridge.rate(plan)
    values = f"{rating.rating_s * 1e3:.3f} ms   {rating.critical_path_s * 1e3:.3f} ms"
    print(f"{name:24}  {values}")
print(f"No plan has a rating below {ours.lower_bound_s * 1e3:.3f} ms.")

# %% Where the shards are
# A square for every table and rank, and in it the part of the table that the rank
# holds: all of it, some of its columns, some of its rows. On the right, the seconds of
# the rank.

COLORS = {
    "data_parallel": "#bbbbbb",
    "table_wise": "C0",
    "column_wise": "C1",
    "table_row_wise": "C2",
    "row_wise": "C3",
    "table_column_wise": "C4",
    "grid_shard": "C5",
}
figure, axes = plt.subplots(
    2, 2, figsize=(9, 7.5), sharex="col", gridspec_kw={"width_ratios": [3, 1]}
)
tables = {table.name: table for table in workload.tables}
columns = {name: column for column, name in enumerate(tables)}
for (map_, bars), name in zip(axes, list(plans)[:2], strict=True):
    for shard in plans[name].to_frame().itertuples():
        table, color = tables[shard.table], COLORS[shard.sharding_type]
        width, height = table.embedding_dim / 0.9, table.num_embeddings / 0.9
        x = columns[shard.table] + shard.column_offset / width
        y = shard.rank + shard.row_offset / height
        size = shard.num_columns / width, shard.num_rows / height
        map_.add_patch(plt.Rectangle((x, y), *size, color=color, linewidth=0))
    map_.set(xlim=(0, len(tables)), ylabel="rank", title=name)
    map_.grid(visible=False)
    seconds = plans[name].to_rank_frame()["total_s"] * 1e3
    bars.barh(seconds.index + 0.45, seconds, 0.9, color="#555555")
    bars.axvline(ours.lower_bound_s * 1e3, color="black", linestyle="--", linewidth=1)
    bars.set_title(f"rating {seconds.max():.3f} ms")
    bars.grid(visible=False)
    for axis in (map_, bars):
        axis.set_yticks([rank + 0.45 for rank in range(0, 16, 4)], range(0, 16, 4))
        axis.set_ylim(16, 0)
axes[1, 0].set_xticks([place + 0.45 for place in range(0, 26, 5)], range(0, 26, 5))
axes[1, 0].set_xlabel("table")
axes[1, 1].set_xlabel("time [ms], bound dashed")
used = {shard.sharding_type for shard in (*theirs.tables, *ours.plan.tables)}
shown = [kind for kind in COLORS if kind in used]
patches = [plt.Rectangle((0, 0), 1, 1, color=COLORS[kind]) for kind in shown]
figure.legend(patches, shown, loc="outside lower center", ncols=len(shown))
figure.savefig("compare_torchrec.svg", metadata={"Date": None})
