#!/usr/bin/env bash
# Expected: TorchRec's planner counts less HBM for a table with `stash_weights=True`: the option that it makes says that "the
#           planner reflects the HBM that stashing frees in its storage estimates".
# Seen:     the flag reaches the option, and nothing reads it there: bytes and times are those of a table that stays.
# Matters:  a job that stashes to fit gets the plan of one that does not, or "insufficient storage"; and a copy of all rows
#           down and up over PCIe in each step is in no estimate: of 40 GB they take 1.25 s at 64 GB/s.
# TorchRec 1.9.2 with fbgemm-gpu-cpu 1.8.0, seen on 2026-12-01, Python 3.11. Nothing is allocated: tables are on `meta`.
source "$(dirname "$0")/venv.sh"
torchrec venv
"$work/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import sys

import torch
import torchrec
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.planner import Topology
from torchrec.distributed.planner.enumerators import EmbeddingEnumerator
from torchrec.distributed.planner.types import ShardingOption


def options(stash):
    """What the planner may choose for one table."""
    table = torchrec.EmbeddingBagConfig(
        name="t", embedding_dim=64, num_embeddings=1_000_000, feature_names=["f"], stash_weights=stash
    )
    model = torch.nn.ModuleDict(
        {"tables": torchrec.EmbeddingBagCollection(device=torch.device("meta"), tables=[table])}
    )
    topology = Topology(world_size=8, local_world_size=8, compute_device="cuda")
    return EmbeddingEnumerator(topology, batch_size=512).enumerate(model, [EmbeddingBagCollectionSharder()])


print("TorchRec", torchrec.__version__)
print([line.strip() for line in ShardingOption.__doc__.splitlines() if "frees in its storage" in line])
stays, leaves = options(False), options(True)
print([option.stash_weights for option in leaves[:2]], leaves[1].sharding_type, leaves[1].total_storage)
flags = not any(option.stash_weights for option in stays) and all(option.stash_weights for option in leaves)
same = all(
    one.total_storage == other.total_storage and one.total_perf == other.total_perf
    for one, other in zip(stays, leaves, strict=True)
)
print("bytes and times of all", len(leaves), "options are the same:", same)
if flags and same:
    print("as described")
else:
    sys.exit("changed: see above")
PY
