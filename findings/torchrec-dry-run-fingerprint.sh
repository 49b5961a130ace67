#!/usr/bin/env bash
# Expected: the fingerprint of a dry-run request, which keys its cache of plans, is another one for other tables.
# Seen:     neither the model nor its tables are part of it: a table of a thousand rows and one of two million have one
#           fingerprint; another batch size has its own.
# Matters:  a plan made for one model is handed out for the next. A key of plans has to contain the tables.
# TorchRec 1.9.2, seen on 2026-11-29, Python 3.11.
source "$(dirname "$0")/venv.sh"
torchrec venv
"$work/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import sys

import torch
import torchrec
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.planner.dry_run.types import DryRunRequest
from torchrec.distributed.planner.types import TrainingFramework


def fingerprint(rows, batch_size=512):
    table = torchrec.EmbeddingBagConfig(name="t", embedding_dim=64, num_embeddings=rows, feature_names=["f"])
    tables = torchrec.EmbeddingBagCollection(device=torch.device("meta"), tables=[table])
    request = DryRunRequest(
        model=torch.nn.ModuleDict({"tables": tables}),
        sharders=[EmbeddingBagCollectionSharder()],
        world_size=8,
        local_world_size=8,
        batch_size=batch_size,
        training_framework=TrainingFramework.APF,
        sku_list=["H100"],
    )
    return request.fingerprint("H100")


print("TorchRec", torchrec.__version__)
few, many, batch = fingerprint(1000), fingerprint(2_000_000), fingerprint(1000, 1024)
print(f"1,000 rows {few}, 2,000,000 rows {many}, another batch size {batch}")
if few == many != batch:
    print("as described")
else:
    sys.exit("changed: see above")
PY
