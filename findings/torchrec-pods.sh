#!/usr/bin/env bash
# Expected: where TOPOLOGY_DOMAIN_MULTIPLE=2 makes pods of two hosts, the planner and the job cut rows over the same ranks.
# Seen:     the planner cuts rows of `table_row_wise` over the ranks of a pod (`intra_group_size`, 4 of 2 ranks a host). The job
#           goes by another variable, TORCHREC_RESOLVED_POD_SIZE, which nothing in TorchRec sets, and counts 2 ranks. And
#           `pod_size`, which counts hosts, is compared with ranks: 16 on 32 ranks of 8 a host is taken, and rows are cut into 128 shards.
# Matters:  a plan of TorchRec's own planner cannot run as soon as there are pods; other planners must say what the job needs.
# TorchRec 1.9.2 with fbgemm-gpu-cpu 1.8.0, seen on 2026-12-01, Python 3.11; 1.8.0 does the same.
source "$(dirname "$0")/venv.sh"
torchrec venv
export LOCAL_WORLD_SIZE=2 WORLD_SIZE=4 TOPOLOGY_DOMAIN_MULTIPLE=2
"$work/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import os
import sys

import torch
import torchrec
from torchrec.distributed import comm
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.planner import EmbeddingShardingPlanner, ParameterConstraints
from torchrec.distributed.planner.types import Topology
from torchrec.distributed.planner.enumerators import EmbeddingEnumerator

config = torchrec.EmbeddingBagConfig(name="t", num_embeddings=1000, embedding_dim=64, feature_names=["f"])
model = torchrec.EmbeddingBagCollection(tables=[config], device=torch.device("meta"))
only = {"t": ParameterConstraints(sharding_types=["table_row_wise"], compute_kernels=["fused"])}
sharders = [EmbeddingBagCollectionSharder()]


def topology(world, local, pod):
    return Topology(world, "cuda", local_world_size=local, pod_size=pod, created_by_factory=True)


given = topology(4, 2, comm.get_topology_domain_multiple())
planner = EmbeddingShardingPlanner(topology=given, constraints=only, stats=[])
ranks = planner.plan(model, sharders).plan[""]["t"].ranks
job = comm.get_topology_group_world_size(4)
os.environ["TORCHREC_RESOLVED_POD_SIZE"] = "2"
told = comm.get_topology_group_world_size(4)
(option,) = EmbeddingEnumerator(topology(32, 8, 16), batch_size=64, constraints=only).enumerate(model, sharders)
print("TorchRec", torchrec.__version__)
print("ranks of the plan:", ranks)
print("ranks over which the job cuts rows:", job)
print("the same with TORCHREC_RESOLVED_POD_SIZE=2:", told)
print("shards with pod_size 16 on 32 ranks:", len(option.shards))
if (ranks, job, told, len(option.shards)) == ([0, 1, 2, 3], 2, 4, 128):
    print("as described")
else:
    sys.exit("changed: see above")
PY
