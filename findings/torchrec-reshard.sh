#!/usr/bin/env bash
# Expected: `DistributedModelParallel.reshard` moves a table between steps of training, and training goes on as without it.
# Seen:     1. The learning rate of all tables of the module is again that of the start, whatever a schedule has set since.
#           2. Of a column-wise table with row-wise Adagrad whose two shards are joined on another rank, the weights are
#              right and the state is that of one shard: it trains on wrongly, without an error.
# Matters:  a plan that is applied to a running job must keep rates and the cut of columns by itself.
# TorchRec 1.9.2 with FBGEMM 1.8.0 on CPUs, seen on 2026-12-01, Python 3.11. Tags of messages are Python's hash() of a text,
# so that processes need one PYTHONHASHSEED on gloo.
source "$(dirname "$0")/venv.sh"
torchrec venv
cat > "$work/moves.py" <<'PY'
import os

import torch
import torch.distributed as dist
import torchrec
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from torch.distributed._shard.sharding_spec import EnumerableShardingSpec, ShardMetadata
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.types import EmbeddingModuleShardingPlan, ParameterSharding, ShardingPlan

ROWS, COLUMNS = 20, 16
dist.init_process_group("gloo")
rank = dist.get_rank()


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        config = torchrec.EmbeddingBagConfig(name="t", num_embeddings=ROWS, embedding_dim=COLUMNS, feature_names=["f"])
        self.ebc = torchrec.EmbeddingBagCollection(tables=[config])
        self.dense = torch.nn.Linear(COLUMNS, 1)

    def forward(self, ids):
        return self.dense(self.ebc(ids).values())


def sharding(kind, *ranks):
    """Cut the columns of the table evenly over some ranks."""
    width = COLUMNS // len(ranks)
    shards = [
        ShardMetadata(shard_offsets=[0, i * width], shard_sizes=[ROWS, width], placement=f"rank:{on}/cpu")
        for i, on in enumerate(ranks)
    ]
    table = ParameterSharding(kind, "fused", list(ranks), EnumerableShardingSpec(shards))
    return EmbeddingModuleShardingPlan({"t": table})


def make(plan):
    """Make the model, always with the same weights."""
    torch.manual_seed(0)
    params = {"optimizer": EmbOptimType.EXACT_ROWWISE_ADAGRAD, "learning_rate": 0.1, "eps": 1e-4}
    model = DistributedModelParallel(
        Model(),
        device=torch.device("cpu"),
        plan=ShardingPlan({"ebc": plan}),
        sharders=[EmbeddingBagCollectionSharder(fused_params=params)],
    )
    whole = torch.arange(ROWS * COLUMNS).view(ROWS, COLUMNS) / 100.0
    with torch.no_grad():
        for name, value in model.state_dict().items():
            for shard in value.local_shards() if hasattr(value, "local_shards") else ():
                at, width = shard.metadata.shard_offsets[1], shard.metadata.shard_sizes[1]
                shard.tensor.copy_(whole[:, at : at + width])
    return model


def train(model):
    """Take a step; the dense layer stays."""
    ids = torchrec.KeyedJaggedTensor.from_lengths_sync(["f"], torch.tensor([1, 2, 3]), torch.tensor([2, 1]))
    model(ids).sin().sum().backward()


def table(model):
    """Gather the weights of the table."""
    every = [None] * dist.get_world_size()
    value = next(v for name, v in model.state_dict().items() if hasattr(v, "local_shards"))
    own = [(s.metadata.shard_offsets[1], s.tensor.clone()) for s in value.local_shards()]
    dist.all_gather_object(every, own)
    return torch.cat([part for _, part in sorted((p for parts in every for p in parts), key=lambda p: p[0])], dim=1)


def difference(before, after, rate=None):
    """Largest difference to a model that is not resharded: at once, and a step later."""
    stays, moves = make(before), make(before)
    for model in (stays, moves):
        train(model)
        if rate:
            for group in model.fused_optimizer.param_groups:
                group["lr"] = rate
            model.fused_optimizer.step()
            train(model)
    moves.reshard({"ebc": (0.0, after)}, "ebc")
    found = []
    for _ in range(2):
        found.append(float((table(stays) - table(moves)).abs().max()))
        train(stays)
        train(moves)
    return found


cases = {
    "table to another rank": difference(sharding("table_wise", 0), sharding("table_wise", 1)),
    "the same after a new rate": difference(sharding("table_wise", 0), sharding("table_wise", 1), 0.5),
    "two shards joined": difference(sharding("column_wise", 0, 1), sharding("column_wise", 2)),
}
same = [[value > 1e-6 for value in found] for found in cases.values()] == [[False, False], [False, True], [False, True]]
if rank == 0:
    print("TorchRec", torchrec.__version__)
    for name, found in cases.items():
        print(f"{name}: weights differ by {found[0]:.6f} at once, by {found[1]:.6f} after a step")
    print("as described" if same else "changed: see above", flush=True)
dist.barrier()
os._exit(not same)
PY
PYTHONHASHSEED=0 "$work/venv/bin/python" -W ignore -m torch.distributed.run --nproc-per-node 3 "$work/moves.py" 2> "$work/log" ||
  { tail -20 "$work/log" >&2; exit 1; }
