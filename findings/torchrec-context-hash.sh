#!/usr/bin/env bash
# Expected: the hash of a planner's context, which a plan loader compares before it reuses a plan, tells GPUs of 16, 32, 40
#           and 48 GiB apart.
# Seen:     capacities enter the hash rounded to whole 100 GiB, so all four are the same, as 80 GiB and 140 GiB are.
# Matters:  a stored plan is taken for a cluster on which it does not fit: the fit is not looked at again. A cache of plans
#           needs a key of its own.
# TorchRec 1.9.2, seen on 2026-11-29, Python 3.11.
source "$(dirname "$0")/venv.sh"
torchrec venv
"$work/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import sys

import torch
import torchrec
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.planner import EmbeddingShardingPlanner, Topology


class Model(torch.nn.Module):
    """One table of 256 MB."""

    def __init__(self):
        super().__init__()
        table = torchrec.EmbeddingBagConfig(name="t", embedding_dim=64, num_embeddings=10**6, feature_names=["f"])
        self.tables = torchrec.EmbeddingBagCollection(device=torch.device("meta"), tables=[table])


def hash_of(gibibytes):
    topology = Topology(world_size=2, compute_device="cuda", hbm_cap=gibibytes * 2**30)
    planner = EmbeddingShardingPlanner(topology=topology)
    planner.plan(Model(), [EmbeddingBagCollectionSharder()])
    return planner.hash_planner_context_inputs() % 10**6


print("TorchRec", torchrec.__version__)
seen = {size: hash_of(size) for size in (16, 32, 40, 48, 80, 140)}
print("last digits of the hash by GiB of HBM:", seen)
if len({seen[size] for size in (16, 32, 40, 48)}) == 1 and seen[80] == seen[140] != seen[48]:
    print("as described")
else:
    sys.exit("changed: see above")
PY
