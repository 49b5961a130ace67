"""Train a small DLRM from exported plans: one process of a gloo group.

``python training.py FOLDER`` loads every ``*.json`` plan of a folder, trains some
steps with it, and writes what it found to ``<plan>.rank<R>.result``. The reference is
the same model on one process, trained on the batches of all ranks together.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from fbgemm_gpu.split_embedding_configs import EmbOptimType  # noqa: E402
from torchrec.distributed.embeddingbag import (  # noqa: E402
    EmbeddingBagCollectionSharder,
)
from torchrec.distributed.model_parallel import DistributedModelParallel  # noqa: E402
from torchrec.models.dlrm import DLRM  # noqa: E402
from torchrec.modules.embedding_configs import EmbeddingBagConfig  # noqa: E402
from torchrec.modules.embedding_modules import EmbeddingBagCollection  # noqa: E402
from torchrec.optim.apply_optimizer_in_backward import (  # noqa: E402
    apply_optimizer_in_backward,
)
from torchrec.optim.optimizers import in_backward_optimizer_filter  # noqa: E402
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor  # noqa: E402

from tests.integrations.torchrec import processes  # noqa: E402

ROWS = (7, 101, 4, 50)
"""Over 4 ranks, the first and third give every rank a row or two."""
DIM, DENSE, BATCH, STEPS, RATE = 16, 5, 6, 3, 0.1
PATH = "sparse_arch.embedding_bag_collection"


def make_model(device: str = "cpu") -> DLRM:
    """A DLRM of four tables; the same weights every time."""
    torch.manual_seed(0)
    tables = [
        EmbeddingBagConfig(
            name=f"t{i}",
            num_embeddings=rows,
            embedding_dim=DIM,
            feature_names=[f"f{i}"],
        )
        for i, rows in enumerate(ROWS)
    ]
    return DLRM(
        EmbeddingBagCollection(tables=tables, device=torch.device(device)),
        dense_in_features=DENSE,
        dense_arch_layer_sizes=[8, DIM],
        over_arch_layer_sizes=[8, 1],
    )


def batch_of(
    step: int, rank: int
) -> tuple[torch.Tensor, list[list[int]], torch.Tensor]:
    """Dense features, ids of every bag (feature by feature) and labels."""
    random = torch.Generator().manual_seed(1000 * step + rank)
    dense = torch.rand(BATCH, DENSE, generator=random)
    bags = [
        torch.randint(0, rows, (int(length),), generator=random).tolist()
        for rows in ROWS
        for length in torch.randint(0, 4, (BATCH,), generator=random)
    ]
    return dense, bags, torch.randint(0, 2, (BATCH,), generator=random).float()


def joined(batches: list[Any]) -> tuple[torch.Tensor, KeyedJaggedTensor, torch.Tensor]:
    """Join the batches of some ranks to one."""
    bags = [
        bag
        for feature in range(len(ROWS))
        for _, all_bags, _ in batches
        for bag in all_bags[feature * BATCH : (feature + 1) * BATCH]
    ]
    ids = KeyedJaggedTensor(
        keys=[f"f{i}" for i in range(len(ROWS))],
        values=torch.tensor([i for bag in bags for i in bag], dtype=torch.long),
        lengths=torch.tensor([len(bag) for bag in bags], dtype=torch.int32),
    )
    dense = torch.cat([batch[0] for batch in batches])
    return dense, ids, torch.cat([batch[2] for batch in batches])


def train(
    model: Any, optimizer: torch.optim.Optimizer, ranks: list[int]
) -> list[float]:
    """Train on the batches of some ranks; return the loss of every step."""
    losses = []
    for step in range(STEPS):
        dense, ids, labels = joined([batch_of(step, rank) for rank in ranks])
        optimizer.zero_grad()
        logits = model(dense, ids).squeeze(-1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return losses


def reference(world: int) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Train the unsharded model."""
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    losses = train(model, optimizer, list(range(world)))
    return losses, model.state_dict()


class _Heard(logging.Handler):
    """Keeps warnings of the log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def sharded(plan_file: Path, expected: tuple[list[float], Any]) -> dict[str, Any]:
    """Train with an exported plan and compare with the reference."""
    from shardplan.integrations.torchrec import load_sharding_plan

    rank, world = dist.get_rank(), dist.get_world_size()
    heard = _Heard()
    logging.getLogger().addHandler(heard)
    model = make_model()
    plan = load_sharding_plan(plan_file, model)
    apply_optimizer_in_backward(
        torch.optim.SGD, model.sparse_arch.parameters(), {"lr": RATE}
    )
    fused = {"optimizer": EmbOptimType.EXACT_SGD, "learning_rate": RATE}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        parallel = DistributedModelParallel(
            module=model,
            device=torch.device("cpu"),
            plan=plan,
            sharders=[EmbeddingBagCollectionSharder(fused_params=fused)],
        )
    logging.getLogger().removeHandler(heard)
    copy_weights(parallel.state_dict(), make_model().state_dict())
    rest = dict(in_backward_optimizer_filter(parallel.named_parameters()))
    losses = train(parallel, torch.optim.SGD(rest.values(), lr=RATE), [rank])
    mean = torch.tensor(losses)
    dist.all_reduce(mean)
    worst, places = compare(parallel.state_dict(), expected[1])
    said = [*heard.messages, *(str(w.message) for w in caught)]
    return {
        "loss_error": float((mean / world - torch.tensor(expected[0])).abs().max()),
        "weight_error": worst,
        "places": places,
        "warnings": [text for text in said if "plan" in text.lower()],
    }


def copy_weights(state: dict[str, Any], whole: dict[str, torch.Tensor]) -> None:
    """Start sharded tables, which TorchRec initialises anew, from the same weights."""
    with torch.no_grad():
        for name, value in state.items():
            if not hasattr(value, "local_shards"):
                value.copy_(whole[name])
                continue
            for shard in value.local_shards():
                shard.tensor.copy_(part_of(whole[name], shard))


def part_of(whole: torch.Tensor, shard: Any) -> torch.Tensor:
    """Cut out the rectangle of a shard."""
    (row, column), (height, width) = (
        shard.metadata.shard_offsets,
        shard.metadata.shard_sizes,
    )
    return whole[row : row + height, column : column + width]


def compare(
    state: dict[str, Any], expected: dict[str, torch.Tensor]
) -> tuple[float, Any]:
    """Compare local shards with the reference; list where they are."""
    worst, places = 0.0, {}
    for name, value in state.items():
        whole = expected[name]
        if not hasattr(value, "local_shards"):
            worst = max(worst, float((value - whole).abs().max()))
            continue
        places[name.split(".")[-2]] = found = []
        for shard in value.local_shards():
            meta = shard.metadata
            found.append([*meta.shard_offsets, *meta.shard_sizes])
            part = part_of(whole, shard)
            if part.numel():
                worst = max(worst, float((shard.tensor - part).abs().max()))
    return worst, places


def main(folder: Path) -> None:
    """Train with every plan of a folder."""
    dist.init_process_group("gloo")
    expected = reference(dist.get_world_size())
    for plan_file in sorted(folder.glob("*.json")):
        found = sharded(plan_file, expected)
        path = plan_file.with_suffix(f".rank{dist.get_rank()}.result")
        path.write_text(json.dumps(found))
    processes.leave()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
