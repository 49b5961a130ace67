#!/usr/bin/env bash
# Expected: embedding tables with bf16 rows, all of them in GPU memory, can be made as those with fp16 rows can.
# Seen:     FBGEMM takes the type of its cache from the rows when none is given, as TorchRec does, and refuses bf16 for the
#           cache before it looks whether anything is cached. So no bf16 table starts on a GPU by default; on a CPU, where
#           there is no cache, the same call works. With `cache_precision` fp16 among the fused parameters it does.
# Matters:  a plan that halves memory by bf16 rows fails when the job starts, with a message about a cache that no table uses.
# fbgemm-gpu-cpu 1.8.0, seen on 2026-11-29, Python 3.11; the same with 1.9.0 and torch 2.14.1. Nothing is allocated:
# tables for GPUs are on `meta`.
source "$(dirname "$0")/venv.sh"
torchrec venv
"$work/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import sys
from importlib.metadata import version

import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType, SparseType
from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
    ComputeDevice,
    EmbeddingLocation,
    SplitTableBatchedEmbeddingBagsCodegen,
)


def made(rows, cache=None, gpu=True):
    """Make one uncached table; "ok", or what FBGEMM says."""
    place = (EmbeddingLocation.DEVICE, ComputeDevice.CUDA) if gpu else (EmbeddingLocation.HOST, ComputeDevice.CPU)
    try:
        SplitTableBatchedEmbeddingBagsCodegen(
            [(1000, 64, *place)],
            optimizer=EmbOptimType.EXACT_ROWWISE_ADAGRAD,
            weights_precision=rows,
            cache_precision=cache,
            device=torch.device("meta") if gpu else None,
        )
    except AssertionError as error:
        return str(error)
    return "ok"


print("fbgemm-gpu-cpu", version("fbgemm-gpu-cpu"))
seen = {
    "fp16 rows, GPU": made(SparseType.FP16),
    "bf16 rows, GPU": made(SparseType.BF16),
    "bf16 rows, CPU": made(SparseType.BF16, gpu=False),
    "bf16 rows, fp16 cache, GPU": made(SparseType.BF16, SparseType.FP16),
}
for name, text in seen.items():
    print(f"{name}: {text}")
if list(seen.values()) == ["ok", "cache_precision bf16 not supported!", "ok", "ok"]:
    print("as described")
else:
    sys.exit("changed: see above")
PY
