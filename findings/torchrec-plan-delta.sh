#!/usr/bin/env bash
# Expected: `output_sharding_plans_delta(old, new)` returns the tables whose shards change, for `reshard` to move, and with
#           `return_data_volume` how much moves.
# Seen:     it compares the lists of ranks and nothing else. Other widths of column shards, other rows per shard, rows
#           instead of columns, or host memory instead of HBM on the same ranks are "no change". Of a table with one shard
#           that moves and one that stays it counts both, and 4 bytes per element whatever the type of the rows.
# Matters:  who re-plans by this delta keeps part of the old plan without a word; who limits what moves by this volume
#           counts the wrong bytes. The delta has to be computed from the shards.
# TorchRec 1.9.2, seen on 2026-11-29, Python 3.11.
source "$(dirname "$0")/venv.sh"
torchrec venv
"$work/venv/bin/python" -W ignore - <<'PY'
import sys

import torchrec
from torch.distributed._shard.sharding_spec import EnumerableShardingSpec, ShardMetadata
from torchrec.distributed.sharding.dynamic_sharding import output_sharding_plans_delta
from torchrec.distributed.types import EmbeddingModuleShardingPlan, ParameterSharding


def plan(kind, kernel, shards):
    """Place a table of 1,000 x 64; shards are (row, column, rows, columns, rank)."""
    metadata = [
        ShardMetadata(shard_offsets=[row, column], shard_sizes=[rows, columns], placement=f"rank:{rank}/cpu")
        for row, column, rows, columns, rank in shards
    ]
    sharding = ParameterSharding(
        sharding_type=kind,
        compute_kernel=kernel,
        ranks=[shard[-1] for shard in shards],
        sharding_spec=EnumerableShardingSpec(metadata),
    )
    return {"module": EmbeddingModuleShardingPlan({"table": sharding})}


halves = plan("column_wise", "fused", [(0, 0, 1000, 32, 0), (0, 32, 1000, 32, 1)])
changes = {
    "columns 48 + 16": plan("column_wise", "fused", [(0, 0, 1000, 48, 0), (0, 48, 1000, 16, 1)]),
    "rows 500 + 500": plan("row_wise", "fused", [(0, 0, 500, 64, 0), (500, 0, 500, 64, 1)]),
    "host memory": plan("column_wise", "fused_uvm", [(0, 0, 1000, 32, 0), (0, 32, 1000, 32, 1)]),
    "second half to rank 2": plan("column_wise", "fused", [(0, 0, 1000, 32, 0), (0, 32, 1000, 32, 2)]),
}
print("TorchRec", torchrec.__version__)
seen = {}
for name, new in changes.items():
    megabytes, delta = output_sharding_plans_delta(halves, new, return_data_volume=True)["module"]
    seen[name] = (list(delta), round(megabytes * 2**20))
    print(f"{name}: changed {list(delta)}, {seen[name][1]} bytes move")
moved = (["table"], 1000 * 64 * 4)
if list(seen.values()) == [([], 0), ([], 0), ([], 0), moved]:
    print("as described")
else:
    sys.exit("changed: see above")
PY
