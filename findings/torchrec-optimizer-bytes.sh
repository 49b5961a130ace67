#!/usr/bin/env bash
# Expected: the bytes per row that TorchRec's planner reserves for optimizer state are those that FBGEMM allocates for it.
# Seen:     the planner knows SGD, Adam and row-wise Adagrad; every other class counts as one number per element: LAMB has
#           half of what it takes, the partial row-wise ones lack their number per row. And it multiplies by the bytes of
#           the rows, so that with fp16 rows everything is halved again, while FBGEMM keeps state in fp32.
# Matters:  for 200 million rows of 128 columns in fp16, LAMB takes 205 GB of state where 51 GB are reserved.
# TorchRec 1.9.2 with fbgemm-gpu-cpu 1.8.0, seen on 2026-11-29, Python 3.11. Nothing is allocated: tables are on `meta`.
source "$(dirname "$0")/venv.sh"
torchrec venv
"$work/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import sys

import torch
import torchrec
from fbgemm_gpu.split_embedding_configs import EmbOptimType, SparseType
from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
    ComputeDevice,
    EmbeddingLocation,
    SplitTableBatchedEmbeddingBagsCodegen,
)
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.planner import ParameterConstraints, Topology
from torchrec.distributed.planner.enumerators import EmbeddingEnumerator
from torchrec.modules.embedding_configs import DataType
from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward

ROWS, COLUMNS = 1000, 64
META = torch.device("meta")


def reserved(optimizer, data_type):
    """Bytes of HBM that the planner counts for one whole table."""
    table = torchrec.EmbeddingBagConfig(
        name="t", embedding_dim=COLUMNS, num_embeddings=ROWS, feature_names=["f"], data_type=data_type
    )
    model = torch.nn.ModuleDict({"tables": torchrec.EmbeddingBagCollection(device=META, tables=[table])})
    apply_optimizer_in_backward(optimizer, model.parameters(), {"lr": 0.1})
    whole = {"t": ParameterConstraints(sharding_types=["table_wise"], compute_kernels=["fused"])}
    topology = Topology(world_size=2, compute_device="cuda")
    (option,) = EmbeddingEnumerator(topology, batch_size=1, constraints=whole).enumerate(
        model, [EmbeddingBagCollectionSharder()]
    )
    return option.shards[0].storage.hbm


def allocated(optimizer, precision):
    """Bytes of state per row that FBGEMM makes."""
    spec = (ROWS, COLUMNS, EmbeddingLocation.DEVICE, ComputeDevice.CUDA)
    tables = SplitTableBatchedEmbeddingBagsCodegen(
        [spec], optimizer=optimizer, weights_precision=precision, device=META
    )
    return sum(state.numel() * state.element_size() for state in tables.split_optimizer_states()[0]) / ROWS


optim, kinds = torchrec.optim, EmbOptimType
pairs = {
    "row-wise Adagrad": (optim.RowWiseAdagrad, kinds.EXACT_ROWWISE_ADAGRAD),
    "Adagrad": (optim.Adagrad, kinds.EXACT_ADAGRAD),
    "Adam": (optim.Adam, kinds.ADAM),
    "LAMB": (optim.LAMB, kinds.LAMB),
    "partial row-wise Adam": (optim.PartialRowWiseAdam, kinds.PARTIAL_ROWWISE_ADAM),
}
print("TorchRec", torchrec.__version__)
seen = {}
for rows, (data_type, precision) in {
    "fp32": (DataType.FP32, SparseType.FP32),
    "fp16": (DataType.FP16, SparseType.FP16),
}.items():
    without = reserved(optim.SGD, data_type)
    for name, (planned, made) in pairs.items():
        found = ((reserved(planned, data_type) - without) / ROWS, allocated(made, precision))
        seen[rows, name] = found
        print(f"{rows} rows, {name}: {found[0]:g} bytes a row reserved, {found[1]:g} allocated")
described = {
    ("fp32", "row-wise Adagrad"): (4, 4),
    ("fp32", "Adagrad"): (256, 256),
    ("fp32", "Adam"): (512, 512),
    ("fp32", "LAMB"): (256, 512),
    ("fp32", "partial row-wise Adam"): (256, 260),
    ("fp16", "row-wise Adagrad"): (2, 4),
    ("fp16", "Adagrad"): (128, 256),
    ("fp16", "Adam"): (256, 512),
    ("fp16", "LAMB"): (128, 512),
    ("fp16", "partial row-wise Adam"): (128, 260),
}
if seen == described:
    print("as described")
else:
    sys.exit("changed: see above")
PY
