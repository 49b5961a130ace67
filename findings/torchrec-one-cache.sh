#!/usr/bin/env bash
# Expected: the load factor that a plan gives a cached table (`fused_uvm_caching`) is that table's, in a cache of its width.
# Seen:     TorchRec fuses cached tables of all widths and load factors of a rank into one operator, which has one cache. Its
#           load factor is the mean by rows: 0.05 and 0.8 run as 0.425. `prefetch_pipeline` keeps widths apart, not load
#           factors. A `cache_reserved_memory` that differs by a byte keeps both apart.
# Matters:  the one cache is as wide as its widest table (FBGEMM, pull request 543), so 50 million cached rows of 16 columns
#           beside a table of 512 take 102 GB where the plan counts 3 GB; and hit rates are not those that were planned.
# TorchRec 1.9.2 with fbgemm-gpu-cpu 1.8.0, seen on 2026-11-29, Python 3.11. Nothing is allocated.
source "$(dirname "$0")/venv.sh"
torchrec venv
"$work/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import sys

import torchrec
from torchrec.distributed.embedding_sharding import group_tables
from torchrec.distributed.embedding_types import EmbeddingComputeKernel, ShardedEmbeddingTable
from torchrec.modules.embedding_configs import DataType, PoolingType


def cached(name, columns, load_factor, **fused_params):
    return ShardedEmbeddingTable(
        name=name,
        num_embeddings=1000,
        local_rows=1000,
        embedding_dim=columns,
        local_cols=columns,
        embedding_names=[name],
        feature_names=[name],
        data_type=DataType.FP32,
        pooling=PoolingType.SUM,
        compute_kernel=EmbeddingComputeKernel.FUSED_UVM_CACHING,
        fused_params={"cache_load_factor": load_factor, **fused_params},
    )


def groups(*tables):
    """Names and load factor of what one rank fuses."""
    return [
        ([table.name for table in group.embedding_tables], round(group.fused_params["cache_load_factor"], 6))
        for group in group_tables([list(tables)])[0]
    ]


ahead = {"prefetch_pipeline": True}
seen = {}
seen["widths 16 and 512"] = groups(cached("narrow", 16, 0.2), cached("wide", 512, 0.2))
seen["widths, prefetched"] = groups(cached("narrow", 16, 0.2, **ahead), cached("wide", 512, 0.2, **ahead))
seen["factors 0.05 and 0.8"] = groups(cached("a", 16, 0.05), cached("b", 16, 0.8))
seen["factors, prefetched"] = groups(cached("a", 16, 0.05, **ahead), cached("b", 16, 0.8, **ahead))
a, b = cached("a", 16, 0.05, cache_reserved_memory=0.0), cached("b", 16, 0.8, cache_reserved_memory=1.0)
seen["factors, a byte apart"] = groups(a, b)
print("TorchRec", torchrec.__version__)
for name, fused in seen.items():
    print(f"{name}: {fused}")
described = [
    [(["narrow", "wide"], 0.2)],
    [(["narrow"], 0.2), (["wide"], 0.2)],
    [(["a", "b"], 0.425)],
    [(["a", "b"], 0.425)],
    [(["a"], 0.05), (["b"], 0.8)],
]
if list(seen.values()) == described:
    print("as described")
else:
    sys.exit("changed: see above")
PY
