#!/usr/bin/env bash
# Expected: TorchRec's planner plans a table whose ids an `MCHManagedCollisionModule` keeps, over any number of ranks.
# Seen:     "Table 't' has uneven buckets per rank (1 buckets across 8 ranks)": the planner asks every module of collisions for
#           its buckets, these have 1 unless told otherwise, and it stops where ranks do not divide them. One rank works, and so
#           does `buckets=8`.
# Matters:  models with such tables cannot be planned with the defaults; explicit plans of them are not stopped.
# TorchRec 1.9.2 with fbgemm-gpu-cpu 1.8.0, seen on 2026-12-01, Python 3.11. Nothing is allocated: tables are on `meta`.
source "$(dirname "$0")/venv.sh"
torchrec venv
"$work/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import sys

import torch
import torchrec
from torchrec.distributed.mc_embedding import ManagedCollisionEmbeddingCollectionSharder
from torchrec.distributed.planner import Topology
from torchrec.distributed.planner.enumerators import EmbeddingEnumerator
from torchrec.modules.mc_embedding_modules import ManagedCollisionEmbeddingCollection
from torchrec.modules.mc_modules import (
    LFU_EvictionPolicy,
    ManagedCollisionCollection,
    MCHManagedCollisionModule,
)

META = torch.device("meta")


def kinds(ranks, **settings):
    """The ways to shard the table that the planner finds, or how it fails."""
    table = torchrec.EmbeddingConfig(name="t", embedding_dim=8, num_embeddings=800, feature_names=["f"])
    kept = MCHManagedCollisionModule(
        zch_size=800, device=META, eviction_policy=LFU_EvictionPolicy(), eviction_interval=1, **settings
    )
    model = ManagedCollisionEmbeddingCollection(
        torchrec.EmbeddingCollection(tables=[table], device=META),
        ManagedCollisionCollection(managed_collision_modules={"t": kept}, embedding_configs=[table]),
    )
    topology = Topology(world_size=ranks, local_world_size=ranks, compute_device="cuda")
    try:
        found = EmbeddingEnumerator(topology, batch_size=8).enumerate(
            model, [ManagedCollisionEmbeddingCollectionSharder()]
        )
    except ValueError as error:
        return str(error).partition(",")[0]
    return sorted({option.sharding_type for option in found})


print("TorchRec", torchrec.__version__)
seen = [kinds(1), kinds(8), kinds(8, buckets=8)]
for what, result in zip(("1 rank", "8 ranks", "8 ranks, buckets=8"), seen, strict=True):
    print(f"{what}: {result}")
if seen == [["row_wise"], "Table 't' has uneven buckets per rank (1 buckets across 8 ranks)", ["row_wise"]]:
    print("as described")
else:
    sys.exit("changed: see above")
PY
