#!/usr/bin/env bash
# Expected: DMPCollection's copies of a table are equal when training begins, a plan that it was given stays as it is, every
#           sharding type of TorchRec runs, and so does every optimizer that TorchRec fuses.
# Seen:     (1) each rank draws its own first weights: copies differ, and the first sync() averages them to a spread that is
#           smaller by the square root of the copies. (2) The ranks of the plan are renamed in place, so that a second model
#           from the same plan is on other ranks, or on ones that do not exist. (3) table_column_wise stops on ranks of a
#           group without a shard: create_global_tensor_shape_stride_from_metadata does not know it. (4) With Adam, which has
#           no state named "sum", the constructor ends with KeyError.
# Matters:  a job that begins with random weights trains from others than it drew; plans have to be copied; (3) and (4) have
#           to be refused while planning.
# TorchRec 1.9.2, fbgemm-gpu-cpu 1.8.0, torch 2.13.0, seen on 2026-12-01, Python 3.11: 4 processes on CPU, two groups of
# two. Assertions are off (-O), because DMPCollection asserts that devices are no CPUs.
source "$(dirname "$0")/venv.sh"
torchrec venv
cat > "$work/job.py" <<'PY'
import logging
import os
import sys

import torch
import torch.distributed as dist
import torchrec
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from torch.distributed.remote_device import _remote_device
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DMPCollection
from torchrec.distributed.types import (
    EmbeddingModuleShardingPlan,
    EnumerableShardingSpec,
    ParameterSharding,
    ShardingPlan,
    ShardMetadata,
)

rank = int(sys.argv[1])
logging.disable(logging.WARNING)
dist.init_process_group("gloo", store=dist.FileStore(sys.argv[2], 4), rank=rank, world_size=4)
torch.manual_seed(rank)


class OnCpus(DMPCollection):
    """Devices of CPUs have no number, and gloo no average."""

    def _remap_sharding_plan(self, plan, **options):
        super()._remap_sharding_plan(plan, **options)
        for shard in plan.plan[""]["t"].sharding_spec.shards:
            shard.placement = _remote_device(f"rank:{shard.placement.rank()}/cpu")


def average(group, tensors):
    for tensor in tensors:
        dist.all_reduce(tensor, group=group)
        tensor /= group.size()


def plan_of(kind):
    """Put a whole table on the second rank of a group."""
    shard = ShardMetadata(shard_offsets=[0, 0], shard_sizes=[1000, 16], placement="rank:1/cpu")
    spec = EnumerableShardingSpec([shard])
    table = ParameterSharding(sharding_type=kind, compute_kernel="fused", ranks=[1], sharding_spec=spec)
    return ShardingPlan({"": EmbeddingModuleShardingPlan({"t": table})})


def collection(plan, optimizer=EmbOptimType.EXACT_SGD):
    table = torchrec.EmbeddingBagConfig(name="t", num_embeddings=1000, embedding_dim=16, feature_names=["f"])
    model = OnCpus(
        module=torchrec.EmbeddingBagCollection(tables=[table], device=torch.device("meta")),
        device=torch.device("cpu"),
        plan=plan,
        world_size=4,
        sharding_group_size=2,
        node_group_size=2,
        global_pg=dist.group.WORLD,
        sharders=[EmbeddingBagCollectionSharder(fused_params={"optimizer": optimizer})],
    )
    model.set_all_reduce_hook(average)
    return model


seen = {}
plan = plan_of("table_wise")
model = collection(plan)
seen["ranks of the plan"] = plan.plan[""]["t"].ranks
weights = [w for own in model._default_ctx.weights_by_dtype.values() for w in own]
before = [float(w.std()) for w in weights]
copies = [None, None]
dist.all_gather_object(copies, before, group=model._default_ctx.replica_pg)
model.sync()
after = [float(w.std()) for w in weights]
if weights:
    seen["copies are equal"] = copies[0] == copies[1]
    seen["spread after the first sync"] = round(after[0] / before[0], 2)
for name, made in {
    "table_column_wise": lambda: collection(plan_of("table_column_wise")),
    "adam": lambda: collection(plan_of("table_wise"), EmbOptimType.ADAM),
}.items():
    try:
        made()
        seen[name] = "runs"
    except Exception as error:
        seen[name] = f"{type(error).__name__}: {error}"
if rank in (0, 2):
    print(f"rank {rank}: {seen}", flush=True)
if rank == 2:
    right = (
        seen["ranks of the plan"] == [2]
        and not seen["copies are equal"]
        and seen["spread after the first sync"] < 0.75
        and seen["adam"] == "KeyError: 'sum'"
    )
elif rank == 0:
    right = seen["table_column_wise"].startswith("RuntimeError: ('Found shape:None")
else:
    right = True
dist.barrier()
os._exit(0 if right else 1)
PY
pids=()
for rank in 0 1 2 3; do
  LOCAL_WORLD_SIZE=4 timeout 120 "$work/venv/bin/python" -O -W ignore "$work/job.py" "$rank" "$work/store" &
  pids+=($!)
done
for pid in "${pids[@]}"; do
  wait "$pid" || { echo "changed: see above"; exit 1; }
done
echo "as described"
