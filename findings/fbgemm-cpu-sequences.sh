#!/usr/bin/env bash
# Expected: a replicated (data_parallel) table of an EmbeddingCollection returns one row for every id, as the table does alone.
# Seen:     on CPUs FBGEMM's dense kernel pools the rows of a sample. TorchRec then cuts the pooled rows as if they were a
#           sequence: an error where there are more or fewer ids than samples, wrong rows without a message where there are
#           as many.
# Matters:  a plan that replicates small tables of sequences cannot be tried on CPUs, and a batch of one id per sample on
#           average may train wrongly.
# TorchRec 1.9.2, fbgemm-gpu-cpu 1.8.0, torch 2.13.0, seen on 2026-12-01, Python 3.11.
source "$(dirname "$0")/venv.sh"
torchrec venv
"$work/venv/bin/python" -W ignore - <<'PY'
import logging
import sys

import torch
import torch.distributed as dist
import torchrec
from torchrec.distributed.embedding import EmbeddingCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.types import EmbeddingModuleShardingPlan, ParameterSharding, ShardingPlan

logging.disable(logging.WARNING)
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        table = torchrec.EmbeddingConfig(name="t", num_embeddings=10, embedding_dim=4, feature_names=["f"])
        self.ec = torchrec.EmbeddingCollection(tables=[table])

    def forward(self, ids):
        return self.ec(ids)["f"].values()


replicated = ParameterSharding(sharding_type="data_parallel", compute_kernel="dense", ranks=[0])
sharded = DistributedModelParallel(
    Model(),
    device=torch.device("cpu"),
    plan=ShardingPlan({"ec": EmbeddingModuleShardingPlan({"t": replicated})}),
    sharders=[EmbeddingCollectionSharder()],
)
weights = sharded.state_dict()["ec.embeddings.t.weight"]
print("TorchRec", torchrec.__version__)
seen = []
for lengths in ([2, 1], [3, 0, 0]):
    ids = torch.tensor([1, 2, 3])
    batch = torchrec.KeyedJaggedTensor(keys=["f"], values=ids, lengths=torch.tensor(lengths))
    try:
        found = sharded(batch)
    except RuntimeError as error:
        seen.append("error")
        print(f"3 ids of {len(lengths)} samples: RuntimeError: {error}")
    else:
        pooled = torch.allclose(found[0], weights[ids].sum(dim=0)) and not found[1:].any()
        seen.append("pooled" if pooled else "right")
        print(f"3 ids of {len(lengths)} samples: {seen[-1]}, no error")
if seen == ["error", "pooled"]:
    print("as described")
else:
    sys.exit("changed: see above")
PY
