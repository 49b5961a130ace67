#!/usr/bin/env bash
# Expected: TorchRec's planner counts where the rows of a virtual table are kept: in DDR with `dram_virtual_table`, on SSD with
#           `ssd_virtual_table`; and a shard has its part of the cache in HBM.
# Seen:     0 bytes of DDR and 0 of SSD for each of the three kernels, which github.com/meta-pytorch/torchrec/pull/3052 set for a while;
#           and every shard is billed the cache of the whole table: 8 row shards count it 8 times.
# Matters:  hosts are planned as if such tables were not there; with `max_l1_cache_size` HBM may be called too small for them.
# TorchRec 1.9.2 with fbgemm-gpu-cpu 1.8.0, seen on 2026-12-01, Python 3.11. Nothing is allocated: tables are on `meta`.
source "$(dirname "$0")/venv.sh"
torchrec venv
"$work/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import sys

import torch
import torchrec
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.planner import ParameterConstraints, Topology
from torchrec.distributed.planner.enumerators import EmbeddingEnumerator
from torchrec.distributed.types import KeyValueParams

ROWS, COLUMNS, MIB = 1_000_000, 64, 2**20


def stored(kernel, cache):
    """HBM, DDR and SSD of all shards of one row-wise table, by a cache of some MiB."""
    table = torchrec.EmbeddingBagConfig(
        name="t",
        embedding_dim=COLUMNS,
        num_embeddings=ROWS,
        feature_names=["f"],
        use_virtual_table=True,
        total_num_buckets=8,
    )
    model = torch.nn.ModuleDict(
        {"tables": torchrec.EmbeddingBagCollection(device=torch.device("meta"), tables=[table])}
    )
    limits = ParameterConstraints(
        sharding_types=["row_wise"],
        compute_kernels=[kernel],
        use_virtual_table=True,
        key_value_params=KeyValueParams(max_l1_cache_size=cache),
    )
    topology = Topology(world_size=8, local_world_size=8, compute_device="cuda", ssd_cap=10**12)
    (option,) = EmbeddingEnumerator(topology, batch_size=1, constraints={"t": limits}).enumerate(
        model, [EmbeddingBagCollectionSharder()]
    )
    total = option.total_storage
    return total.hbm, total.ddr, total.ssd


print("TorchRec", torchrec.__version__)
seen = {}
for kernel in ("ssd_virtual_table", "dram_virtual_table", "dram_ssd_virtual_table"):
    without, with_cache = stored(kernel, 0), stored(kernel, 10)
    seen[kernel] = ((with_cache[0] - without[0]) / MIB, *with_cache[1:])
    print(f"{kernel}: {ROWS * COLUMNS * 4:,} bytes of rows, a cache of 10 MiB:", end=" ")
    print("{:g} MiB of HBM, {} bytes of DDR, {} bytes of SSD".format(*seen[kernel]))
if set(seen.values()) == {(80, 0, 0)}:
    print("as described")
else:
    sys.exit("changed: see above")
PY
