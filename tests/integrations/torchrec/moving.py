"""Train a small DLRM while its plan changes: one process of a gloo group.

``python moving.py FOLDER`` takes every ``CASE-OPTIMIZER`` in a folder: it trains with
``old.json``, applies ``way.json`` to the live model, goes on, and writes what it found
to ``<R>.result``. The reference is the unsharded model, trained on the batches of all
ranks together.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import warnings
from datetime import timedelta
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
from torchrec.optim.apply_optimizer_in_backward import (  # noqa: E402
    apply_optimizer_in_backward,
)
from torchrec.optim.optimizers import in_backward_optimizer_filter  # noqa: E402
from torchrec.optim.rowwise_adagrad import RowWiseAdagrad  # noqa: E402

from shardplan.errors import InputError  # noqa: E402
from shardplan.integrations.torchrec import (  # noqa: E402
    load_sharding_plan,
    reshard,
)
from tests.integrations.torchrec import processes, training  # noqa: E402

LATER_RATE = 0.3
"""Learning rate of the tables after the first steps."""
SECONDS = 120
EPS = 1e-4


class RowWise:
    """Row-wise Adagrad, with a state per row for each half of the last table's columns.

    state += mean of squared gradients; weight -= rate * gradient / (sqrt(state) + eps)
    """

    def __init__(self, tables: list[torch.nn.Parameter]) -> None:
        self.rate = training.RATE
        self.parts = [(table, slice(None)) for table in tables[:-1]]
        half = training.DIM // 2
        self.parts += [(tables[-1], slice(half)), (tables[-1], slice(half, None))]
        self.states = [torch.zeros(len(table)) for table, _ in self.parts]

    def step(self) -> None:
        with torch.no_grad():
            for (table, columns), state in zip(self.parts, self.states, strict=True):
                grad = table.grad[:, columns]
                state += grad.square().mean(dim=1)
                table[:, columns] -= self.rate * grad / (state.sqrt() + EPS)[:, None]


class Descent:
    """Plain gradient descent."""

    def __init__(self, tables: list[torch.nn.Parameter]) -> None:
        self.rate = training.RATE
        self.tables = tables

    def step(self) -> None:
        with torch.no_grad():
            for table in self.tables:
                table -= self.rate * table.grad


class Plain:
    """The unsharded model."""

    def __init__(self, optimizer: str) -> None:
        self.model = training.make_model()
        tables = list(self.model.sparse_arch.parameters())
        ids = set(map(id, tables))
        dense = [p for p in self.model.parameters() if id(p) not in ids]
        self.dense = torch.optim.SGD(dense, lr=training.RATE)
        self.tables = (Descent if optimizer == "sgd" else RowWise)(tables)

    def step(self, batch: Any) -> None:
        self.model.zero_grad()
        loss_of(self.model, batch).backward()
        self.tables.step()
        self.dense.step()

    def set_rate(self, rate: float) -> None:
        self.tables.rate = rate


class Sharded:
    """The model with a plan."""

    def __init__(self, optimizer: str, plan_file: Path) -> None:
        model = training.make_model()
        plan = load_sharding_plan(plan_file, model)
        kinds: Any = {
            "sgd": (torch.optim.SGD, EmbOptimType.EXACT_SGD),
            "rowwise_adagrad": (RowWiseAdagrad, EmbOptimType.EXACT_ROWWISE_ADAGRAD),
        }
        kind, fused = kinds[optimizer]
        more = {"eps": EPS} if optimizer == "rowwise_adagrad" else {}
        apply_optimizer_in_backward(
            kind, model.sparse_arch.parameters(), {"lr": training.RATE, **more}
        )
        params = {"optimizer": fused, "learning_rate": training.RATE, **more}
        self.model = DistributedModelParallel(
            module=model,
            device=torch.device("cpu"),
            plan=plan,
            sharders=[EmbeddingBagCollectionSharder(fused_params=params)],
        )
        training.copy_weights(
            self.model.state_dict(), training.make_model().state_dict()
        )
        rest = dict(in_backward_optimizer_filter(self.model.named_parameters()))
        self.dense = torch.optim.SGD(rest.values(), lr=training.RATE)

    def step(self, batch: Any) -> None:
        self.dense.zero_grad()
        loss_of(self.model, batch).backward()
        self.dense.step()

    def set_rate(self, rate: float) -> None:
        for group in self.model.fused_optimizer.param_groups:
            group["lr"] = rate
        self.model.fused_optimizer.step()


def loss_of(model: Any, batch: Any) -> torch.Tensor:
    """Loss of a batch."""
    dense, ids, labels = batch
    logits = model(dense, ids).squeeze(-1)
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)


def train(model: Plain | Sharded, ranks: list[int], steps: range) -> None:
    """Train some steps on the batches of some ranks."""
    for step in steps:
        model.step(training.joined([training.batch_of(step, rank) for rank in ranks]))


def run(folder: Path, optimizer: str) -> dict[str, Any]:
    """Train, reshard, train, be refused, train; compare with the reference."""
    plain = Plain(optimizer)
    sharded = Sharded(optimizer, folder / "old.json")
    both(plain, sharded, range(3))
    for model in (plain, sharded):
        model.set_rate(LATER_RATE)
    both(plain, sharded, range(3, 4))
    moved = reshard(sharded.model, folder / "way.json")
    at_once, places = worst(sharded, plain)
    both(plain, sharded, range(4, 7))
    after, _ = worst(sharded, plain)
    refused = {
        name: said(sharded.model, source)
        for name, source in wrong_sources(folder).items()
    }
    refused["bare module"] = said(sharded.model.module, folder / "way.json")
    both(plain, sharded, range(7, 8))
    return {
        "moved_bytes": moved,
        "error_at_once": at_once,
        "error_after": after,
        "error_at_the_end": worst(sharded, plain)[0],
        "places": places,
        "refused": refused,
    }


def both(plain: Plain, sharded: Sharded, steps: range) -> None:
    """Train both models: the plain one on the batches of all ranks together."""
    train(plain, list(range(dist.get_world_size())), steps)
    train(sharded, [dist.get_rank()], steps)


def worst(sharded: Sharded, plain: Plain) -> tuple[float, Any]:
    """Compare weights; also list the shards of this rank."""
    return training.compare(sharded.model.state_dict(), plain.model.state_dict())


def wrong_sources(folder: Path) -> dict[str, Any]:
    """What `reshard` must refuse, on all ranks; some is wrong on one of them only."""
    good = json.loads((folder / "way.json").read_text())
    on_2 = dist.get_rank() == 2
    return {
        "applied before": good,
        "another plan": folder / "other.json",
        "missing on rank 2": folder / ("none.json" if on_2 else "back.json"),
        "other on rank 2": folder / ("nothing.json" if on_2 else "back.json"),
        "edited": {**good, "world_size": 4, "moved_bytes": 0.0},
        "a sharding plan": folder / "old.json",
        "no json": folder / "torn.json",
        "shard stays": folder / "stays.json",
    }


def said(model: Any, source: Any) -> str:
    """Return what `reshard` says against a source."""
    try:
        reshard(model, source)
    except InputError as error:
        return str(error)
    return ""


def main(folder: Path) -> None:
    """Run every case, each in a folder of its own."""
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    dist.init_process_group("gloo", timeout=timedelta(seconds=SECONDS // 2))
    for own in sorted(folder.iterdir()):
        found = run(own, own.name.partition("-")[2])
        (own / f"{dist.get_rank()}.result").write_text(json.dumps(found))
    processes.leave()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
