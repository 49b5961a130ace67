#!/usr/bin/env bash
# Expected: a model whose column-wise table has shards of 12 and 4 columns trains (it does), and `load_state_dict` takes what
#           `state_dict` returns, as with shards of 8 and 8.
# Seen:     `load_state_dict` gives every local shard the width of the table's first one: the rank with 4 columns stops
#           ("shape '[-1, 12]' is invalid", or a size mismatch where that divides), the other one does not.
# Matters:  plans with uneven column shards cannot go on from a checkpoint; `reshard` of any table of the module fails, too.
# TorchRec 1.9.2 with FBGEMM 1.8.0 on CPUs, seen on 2026-12-01, Python 3.11.
source "$(dirname "$0")/venv.sh"
torchrec venv
cat > "$work/columns.py" <<'PY'
import os

import torch
import torch.distributed as dist
import torchrec
from torch.distributed._shard.sharding_spec import EnumerableShardingSpec, ShardMetadata
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.types import EmbeddingModuleShardingPlan, ParameterSharding, ShardingPlan

dist.init_process_group("gloo")
rank = dist.get_rank()


def loads(*widths):
    """Shard a table of 50 x 16 by columns over two ranks and load its own state."""
    config = torchrec.EmbeddingBagConfig(name="t", num_embeddings=50, embedding_dim=16, feature_names=["f"])
    model = torch.nn.ModuleDict({"ebc": torchrec.EmbeddingBagCollection(tables=[config])})
    shards = [
        ShardMetadata(shard_offsets=[0, offset], shard_sizes=[50, width], placement=f"rank:{on}/cpu")
        for on, (offset, width) in enumerate(zip((0, widths[0]), widths))
    ]
    sharding = ParameterSharding("column_wise", "fused", [0, 1], EnumerableShardingSpec(shards))
    plan = ShardingPlan({"ebc": EmbeddingModuleShardingPlan({"t": sharding})})
    sharders = [EmbeddingBagCollectionSharder(fused_params={"learning_rate": 0.1})]
    parallel = DistributedModelParallel(model, device=torch.device("cpu"), plan=plan, sharders=sharders)
    try:
        parallel.load_state_dict(parallel.state_dict())
    except RuntimeError as error:
        said = str(error).splitlines()[-1].strip()
    else:
        said = ""
    every = [None, None]
    dist.all_gather_object(every, said)
    if rank == 0:
        print(f"widths {widths}: " + "; ".join(f"rank {on}: {text or 'loaded'}" for on, text in enumerate(every)))
    return [bool(text) for text in every]


if rank == 0:
    print("TorchRec", torchrec.__version__)
seen = [loads(8, 8), loads(12, 4), loads(4, 12)]
same = seen == [[False, False], [False, True], [False, True]]
if rank == 0:
    print("as described" if same else "changed: see above", flush=True)
dist.barrier()
os._exit(not same)
PY
"$work/venv/bin/python" -W ignore -m torch.distributed.run --nproc-per-node 2 "$work/columns.py" 2> "$work/log" || { tail -20 "$work/log" >&2; exit 1; }
