#!/usr/bin/env bash
# Expected: a table without rows takes no part in training on CPUs, wherever it stands.
# Seen:     FBGEMM's backward for CPUs tells tables apart by their row counts alone, so that a table without rows is a feature
#           of the one after it: the gradient of that one is read, and its rows are found, in the width of the empty table.
#           Both of the same width train as they should; an empty table of 4 columns before one of 8 trains wrong numbers,
#           without a message.
# Matters:  TorchRec fuses tables of all widths; a row-wise plan of small tables trains wrong on CPUs and not on GPUs.
# fbgemm-gpu-cpu 1.8.0 (codegen/training/backward/embedding_backward_split_cpu_template.cpp, `table_to_feature_offset` and
# `get_hash_size`), seen on 2026-12-01, Python 3.11; 1.9.0 trains the same wrong numbers.
source "$(dirname "$0")/venv.sh"
torchrec venv
"$work/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import sys
from importlib.metadata import version

import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
    ComputeDevice,
    EmbeddingLocation,
    SplitTableBatchedEmbeddingBagsCodegen,
)


def trained(*tables):
    """Update rows 0 and 1 of the last table, which begins with zeros, by their gradients 1, 2, 3 ..., with rate 1."""
    specs = [(*table, EmbeddingLocation.HOST, ComputeDevice.CPU) for table in tables]
    module = SplitTableBatchedEmbeddingBagsCodegen(specs, optimizer=EmbOptimType.EXACT_SGD, learning_rate=1.0)
    rows = module.split_embedding_weights()[-1]
    rows.data.zero_()
    lengths = torch.tensor([0, 0] * (len(tables) - 1) + [1, 1])
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    out = module(torch.tensor([0, 1]), offsets)[:, -tables[-1][1] :]
    gradient = torch.arange(1.0, out.numel() + 1).view_as(out)
    (out * gradient).sum().backward()
    return (0.0 - module.split_embedding_weights()[-1]).tolist()


print("fbgemm-gpu-cpu", version("fbgemm-gpu-cpu"))
seen = {"alone": trained((3, 8)), "after 0 x 8": trained((0, 8), (3, 8)), "after 0 x 4": trained((0, 4), (3, 8))}
for name, rows in seen.items():
    print(f"3 x 8 {name}:")
    for row in rows:
        print("  ", *(f"{value:4.0f}" for value in row))
right = [[*range(1, 9)], [*range(9, 17)], [0] * 8]
wrong = [[1, 2, 3, 4, 9, 10, 11, 12], [0] * 8, [0] * 8]
if list(seen.values()) == [right, right, wrong]:
    print("as described")
else:
    sys.exit("changed: see above")
PY
