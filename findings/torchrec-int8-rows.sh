#!/usr/bin/env bash
# Expected: a training collection takes row types that it can train, or TorchRec's planner refuses the others.
# Seen:     `EmbeddingBagCollection` takes INT8 tables (and makes parameters of fp16 for everything but FP32), and the planner
#           plans them; to shard them fails, for FBGEMM keeps 8 bytes of scale and bias with each row: 72 columns, not 64.
# Matters:  the row types that a plan may use are not those that the configuration, or TorchRec's planner, accepts.
# TorchRec 1.9.2 with fbgemm-gpu-cpu 1.8.0, seen on 2026-12-01, Python 3.11; 1.8.0 does the same.
source "$(dirname "$0")/venv.sh"
torchrec venv
export MASTER_ADDR=localhost MASTER_PORT=29517 RANK=0 WORLD_SIZE=1 LOCAL_RANK=0 LOCAL_WORLD_SIZE=1
"$work/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import os
import sys

import torch
import torch.distributed as dist
import torchrec
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.planner import EmbeddingShardingPlanner, ParameterConstraints
from torchrec.distributed.planner.types import Topology
from torchrec.modules.embedding_configs import DataType

dist.init_process_group("gloo")
fused = {"optimizer": EmbOptimType.EXACT_SGD, "learning_rate": 0.1}
sharders = [EmbeddingBagCollectionSharder(fused_params=fused)]
only = {"t": ParameterConstraints(sharding_types=["table_wise"], compute_kernels=["fused"])}


def tried(data_type):
    """Plan a table and shard it; the type of its parameter, and what became of it."""
    config = torchrec.EmbeddingBagConfig(
        name="t", num_embeddings=1000, embedding_dim=64, feature_names=["f"], data_type=data_type
    )
    model = torch.nn.Sequential(torchrec.EmbeddingBagCollection(tables=[config], device=torch.device("meta")))
    kind = str(next(model.parameters()).dtype).removeprefix("torch.")
    topology = Topology(1, "cpu", created_by_factory=True)
    plan = EmbeddingShardingPlanner(topology=topology, constraints=only, stats=[]).plan(model, sharders)
    try:
        DistributedModelParallel(model, device=torch.device("cpu"), plan=plan, sharders=sharders)
    except ValueError as error:
        return kind, str(error)[:86]
    return kind, "planned and sharded"


print("TorchRec", torchrec.__version__)
seen = {name: tried(DataType[name]) for name in ("FP32", "FP16", "INT8")}
for name, (kind, text) in seen.items():
    print(f"{name}: parameter of {kind}; {text}")
wrong = "Shard tensor size does not match with metadata.shard_lengths! Found shard tensor size:"
described = [("float32", "planned and sharded"), ("float16", "planned and sharded"), ("float16", wrong)]
is_described = list(seen.values()) == described
print("as described" if is_described else "changed: see above", flush=True)
os._exit(not is_described)
PY
