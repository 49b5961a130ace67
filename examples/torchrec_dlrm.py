"""Plan a DLRM with shardplan and train it with TorchRec, on GPUs or on CPU.

    torchrun --nproc-per-node 8 examples/torchrec_dlrm.py
    torchrun --nproc-per-node 4 examples/torchrec_dlrm.py --cpu

Rank 0 plans, all ranks train some steps on random data. With ``--plan FILE`` the plan
is the export of another machine (``shardplan export plan.json --to torchrec``).
"""

from __future__ import annotations

import argparse
import logging
import os

import torch
import torch.distributed as dist
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.models.dlrm import DLRM
from torchrec.modules.embedding_configs import EmbeddingBagConfig
from torchrec.modules.embedding_modules import EmbeddingBagCollection
from torchrec.optim.optimizers import in_backward_optimizer_filter
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from shardplan.integrations.torchrec import ShardplanPlanner, load_sharding_plan

NUM_TABLES, NUM_ROWS, DIM, DENSE = 26, 100_000, 64, 13


def make_model() -> DLRM:
    """Build the model on the meta device: no weights before they are sharded."""
    tables = [
        EmbeddingBagConfig(
            name=f"t{i}",
            num_embeddings=NUM_ROWS * (1 + i % 5),
            embedding_dim=DIM,
            feature_names=[f"f{i}"],
        )
        for i in range(NUM_TABLES)
    ]
    return DLRM(
        EmbeddingBagCollection(tables=tables, device=torch.device("meta")),
        dense_in_features=DENSE,
        dense_arch_layer_sizes=[512, 256, DIM],
        over_arch_layer_sizes=[512, 256, 1],
    )


def random_batch(
    size: int, device: torch.device
) -> tuple[torch.Tensor, KeyedJaggedTensor, torch.Tensor]:
    """Draw dense features, one id per feature and sample, and labels."""
    ids = torch.randint(0, NUM_ROWS, (NUM_TABLES * size,), device=device)
    features = KeyedJaggedTensor(
        keys=[f"f{i}" for i in range(NUM_TABLES)],
        values=ids,
        lengths=torch.ones(NUM_TABLES * size, dtype=torch.int32, device=device),
    )
    labels = torch.randint(0, 2, (size,), device=device).float()
    return torch.rand(size, DENSE, device=device), features, labels


def main() -> None:
    """Plan, shard and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--plan")
    parser.add_argument("--plan-seconds", type=float, default=20.0)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=512)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("shardplan").setLevel(logging.INFO)

    local_rank = int(os.environ["LOCAL_RANK"])
    device = torch.device("cpu") if arguments.cpu else torch.device("cuda", local_rank)
    if not arguments.cpu:
        torch.cuda.set_device(device)
    dist.init_process_group("gloo" if arguments.cpu else "nccl")

    model = make_model()
    fused = {"optimizer": EmbOptimType.EXACT_ROWWISE_ADAGRAD, "learning_rate": 0.05}
    sharders = [EmbeddingBagCollectionSharder(fused_params=fused)]
    if arguments.plan:
        plan = load_sharding_plan(arguments.plan, model, sharders=sharders)
    else:
        planner = ShardplanPlanner(
            batch_size=arguments.batch_size, timeout_seconds=arguments.plan_seconds
        )
        plan = planner.collective_plan(model, sharders)
    parallel = DistributedModelParallel(
        module=model, device=device, plan=plan, sharders=sharders
    )
    rest = dict(in_backward_optimizer_filter(parallel.named_parameters()))
    optimizer = torch.optim.Adagrad(rest.values(), lr=0.001)
    for step in range(arguments.steps):
        dense, features, labels = random_batch(arguments.batch_size, device)
        optimizer.zero_grad()
        logits = parallel(dense, features).squeeze(-1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        loss.backward()
        optimizer.step()
        if dist.get_rank() == 0:
            print(f"step {step}: loss {float(loss):.4f}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
