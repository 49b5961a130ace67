"""Train with plans for sharding groups: all processes of a gloo group.

``python -O replicated_training.py FOLDER`` loads every ``*.json`` plan of a folder,
trains some steps with it in processes of its own, and writes what each found to
``<plan>.rank<R>.result``. ``DMPCollection`` asserts that devices are no CPUs: ``-O``
leaves assertions out, so that failures are raised here.

The reference has a copy of the unsharded model for every sharding group. Gradients of
replicated parameters are averaged in every step, the tables of the copies when the
plan says so.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

warnings.simplefilter("ignore")

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from fbgemm_gpu.split_embedding_configs import EmbOptimType  # noqa: E402
from torch import nn  # noqa: E402
from torch.distributed.remote_device import _remote_device  # noqa: E402
from torchrec.distributed.embedding import (  # noqa: E402
    EmbeddingCollectionSharder,
)
from torchrec.distributed.embeddingbag import (  # noqa: E402
    EmbeddingBagCollectionSharder,
)
from torchrec.distributed.model_parallel import DMPCollection  # noqa: E402
from torchrec.modules.embedding_configs import (  # noqa: E402
    EmbeddingBagConfig,
    EmbeddingConfig,
)
from torchrec.modules.embedding_modules import (  # noqa: E402
    EmbeddingBagCollection,
    EmbeddingCollection,
)
from torchrec.optim.optimizers import in_backward_optimizer_filter  # noqa: E402
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor  # noqa: E402

from tests.integrations.torchrec import processes  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

DIM, DENSE, BATCH, STEPS, RATE, EPS = 16, 5, 4, 4, 0.1, 1e-8
BAGS = {"b0": (11, "f0"), "b1": (101, "f1 f2"), "b2": (50, "f3"), "b3": (40, "f4")}
WEIGHTED = {"w0": (60, "f5"), "w1": (33, "f6")}
SEQUENCES = {"s0": (45, "f7"), "s1": (27, "f8"), "s2": (20, "f9")}
TABLES = {**BAGS, **WEIGHTED, **SEQUENCES}
"""Rows and features; ``b1`` is shared by two."""
ROWS = {name: rows for rows, names in TABLES.values() for name in names.split()}
FEATURES = list(ROWS)


class CpuCollection(DMPCollection):
    """Renames ranks as on GPUs, less the number of the device, which CPUs lack.

    Averages without ``ReduceOp.AVG``, which gloo lacks. Hooks for that are not told the
    group in TorchRec 1.8.
    """

    def _remap_sharding_plan(self, plan: Any, *args: Any, **options: Any) -> None:
        super()._remap_sharding_plan(plan, *args, **options)
        for tables in plan.plan.values():
            for table in tables.values():
                for shard in table.sharding_spec.shards if table.sharding_spec else ():
                    place = f"rank:{shard.placement.rank()}/cpu"
                    shard.placement = _remote_device(place)

    def _allreduce_tensors(
        self, ctx: Any, tensors_dict: dict[Any, list[torch.Tensor]], *_: Any
    ) -> None:
        for tensor in (each for own in tensors_dict.values() for each in own):
            dist.all_reduce(tensor, group=ctx.replica_pg)
            tensor /= ctx.replica_pg.size()


class Model(nn.Module):
    """Pooled, weighted and sequence embeddings of one batch, and a dense layer."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__()
        torch.manual_seed(0)
        where = torch.device(device)
        self.ebc = EmbeddingBagCollection(
            _configs(BAGS, EmbeddingBagConfig), device=where
        )
        self.weighted_ebc = EmbeddingBagCollection(
            _configs(WEIGHTED, EmbeddingBagConfig), is_weighted=True, device=where
        )
        self.ec = EmbeddingCollection(_configs(SEQUENCES, EmbeddingConfig), where)
        width = DENSE + DIM * (len(FEATURES) - len(SEQUENCES)) + DIM
        self.dense = nn.Linear(width, 1)

    def forward(self, dense: torch.Tensor, ids: KeyedJaggedTensor) -> torch.Tensor:
        """Return a logit for every sample."""
        plain, weighted, sequences = (
            _ids_of(ids, tables) for tables in (BAGS, WEIGHTED, SEQUENCES)
        )
        rows = self.ec(sequences)
        summed = sum(
            torch.segment_reduce(
                row.values(), "sum", lengths=row.lengths().long(), unsafe=True
            )
            for row in rows.values()
        )
        # Sharded, a collection returns its features in the order of its shardings.
        pooled = [
            found[name]
            for found, ids_of in (
                (self.ebc(plain), plain),
                (self.weighted_ebc(weighted), weighted),
            )
            for name in ids_of.keys()  # noqa: SIM118
        ]
        return self.dense(torch.cat([dense, *pooled, summed], dim=1)).squeeze(-1)


def _configs(tables: dict[str, tuple[int, str]], make: Any) -> list[Any]:
    return [
        make(
            name=name,
            num_embeddings=rows,
            embedding_dim=DIM,
            feature_names=features.split(),
        )
        for name, (rows, features) in tables.items()
    ]


def _ids_of(
    ids: KeyedJaggedTensor, tables: dict[str, tuple[int, str]]
) -> KeyedJaggedTensor:
    names = [name for _, own in tables.values() for name in own.split()]
    found = ids.permute([FEATURES.index(name) for name in names])
    if tables is WEIGHTED:
        return found
    return KeyedJaggedTensor(keys=names, values=found.values(), lengths=found.lengths())


def batch_of(step: int, ranks: list[int]) -> tuple[torch.Tensor, Any, torch.Tensor]:
    """Dense features, weighted ids and labels of some ranks."""
    dense, labels = [], []
    bags: dict[str, list[torch.Tensor]] = {name: [] for name in FEATURES}
    for rank in ranks:
        random = torch.Generator().manual_seed(1000 * step + rank)
        dense.append(torch.rand(BATCH, DENSE, generator=random))
        labels.append(torch.randint(0, 2, (BATCH,), generator=random).float())
        for name, rows in ROWS.items():
            for length in torch.randint(0, 4, (BATCH,), generator=random).tolist():
                bags[name].append(torch.randint(0, rows, (length,), generator=random))
    every = [bag for own in bags.values() for bag in own]
    values = torch.cat(every)
    ids = KeyedJaggedTensor(
        keys=FEATURES,
        values=values,
        weights=0.5 + (values % 3).float(),
        lengths=torch.tensor([len(bag) for bag in every], dtype=torch.int32),
    )
    return torch.cat(dense), ids, torch.cat(labels)


def loss_of(model: nn.Module, step: int, ranks: list[int]) -> torch.Tensor:
    """Return the mean loss over the batches of some ranks."""
    dense, ids, labels = batch_of(step, ranks)
    return nn.functional.binary_cross_entropy_with_logits(model(dense, ids), labels)


def table_of(name: str) -> str | None:
    """Return the table whose weights a parameter is."""
    return next((part for part in name.split(".") if part in TABLES), None)


class Reference:
    """A copy of the whole model for every sharding group.

    ``cuts`` are the first columns and the widths of the shards of each table that is
    not replicated: each has a row-wise state of its own.
    """

    def __init__(
        self, cuts: dict[str, list[tuple[int, int]]], groups: list[list[int]]
    ) -> None:
        self.groups, self.widths = groups, cuts
        self.copies = [Model() for _ in groups]
        self.losses: list[float] = []
        self.sums = [
            {name: torch.zeros(TABLES[name][0], len(own)) for name, own in cuts.items()}
            for _ in groups
        ]

    def train(self, sync_every: int, adagrad: bool) -> None:
        """Train all steps."""
        for step in range(STEPS):
            losses = [
                loss_of(model, step, ranks)
                for model, ranks in zip(self.copies, self.groups, strict=True)
            ]
            self.losses.append(float(sum(losses)) / len(losses))
            for model, loss in zip(self.copies, losses, strict=True):
                model.zero_grad()
                loss.backward()
            self._update(adagrad)
            if (step + 1) % sync_every == 0:
                self._average()

    def _named(self) -> Iterator[tuple[str, list[nn.Parameter]]]:
        everybody = [dict(model.named_parameters()) for model in self.copies]
        for name in everybody[0]:
            yield name, [own[name] for own in everybody]

    @torch.no_grad()
    def _update(self, adagrad: bool) -> None:
        for name, copies in self._named():
            table = table_of(name)
            if table not in self.widths:
                mean = sum(copy.grad for copy in copies) / len(copies)
                for copy in copies:
                    copy -= RATE * mean
                continue
            for copy, sums in zip(copies, self.sums, strict=True):
                for cut, (start, width) in enumerate(self.widths[table]):
                    gradient = copy.grad[:, start : start + width]
                    rate = torch.full((len(gradient), 1), RATE)
                    if adagrad:
                        total = sums[table][:, cut]
                        total += gradient.square().mean(dim=1)
                        rate = RATE / (total.sqrt() + EPS)[:, None]
                    copy[:, start : start + width] -= rate * gradient

    @torch.no_grad()
    def _average(self) -> None:
        for name, copies in self._named():
            if table_of(name) in self.widths:
                _to_mean(list(copies))
        for table in self.widths:
            _to_mean([sums[table] for sums in self.sums])


def _to_mean(tensors: list[torch.Tensor]) -> None:
    mean = sum(tensors) / len(tensors)
    for tensor in tensors:
        tensor.copy_(mean)


def shards_of(state: dict[str, Any]) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """Yield every local tensor with its name and (row, column, rows, columns)."""
    for name, value in state.items():
        if not hasattr(value, "_local_tensor"):
            yield name, value, (0, 0, *value.shape)
            continue
        shards = value._local_tensor.local_shards()
        starts = value._local_tensor.local_offsets() if shards else []
        for tensor, start in zip(shards, starts, strict=True):
            yield name, tensor, (*start, *tensor.shape)


def part_of(whole: torch.Tensor, place: tuple[int, ...]) -> torch.Tensor:
    """Cut out a rectangle; vectors are whole."""
    if whole.dim() == 1:
        return whole
    row, column, rows, columns = place
    return whole[row : row + rows, column : column + columns]


def column_cuts(sharding_plan: Any) -> dict[str, list[tuple[int, int]]]:
    """Return the first columns and widths of the shards of each sharded table."""
    return {
        name: list(
            dict.fromkeys(
                (shard.shard_offsets[1], shard.shard_sizes[1])
                for shard in sharding.sharding_spec.shards
            )
        )
        for tables in sharding_plan.plan.values()
        for name, sharding in tables.items()
        if sharding.sharding_spec is not None
    }


def sharders(adagrad: bool = False) -> list[Any]:
    """Return the sharders of the model's modules."""
    kind = EmbOptimType.EXACT_ROWWISE_ADAGRAD if adagrad else EmbOptimType.EXACT_SGD
    fused = {"optimizer": kind, "learning_rate": RATE, "eps": EPS}
    return [
        EmbeddingBagCollectionSharder(fused_params=fused),
        EmbeddingCollectionSharder(fused_params=fused),
    ]


def collection(found: Any, adagrad: bool = False) -> DMPCollection:
    """Shard the model, with the weights that every model has at first."""
    parallel = CpuCollection(
        module=Model(),
        device=torch.device("cpu"),
        sharders=sharders(adagrad),
        **found.arguments(),
    )
    with torch.no_grad():
        start = Model().state_dict()
        for name, tensor, place in shards_of(parallel.state_dict()):
            tensor.copy_(part_of(start[name], place))
    return parallel


def sharded(plan_file: Path, adagrad: bool) -> dict[str, Any]:
    """Train with an exported plan and compare with the reference."""
    from shardplan.integrations.torchrec import load_replicated_plan

    found = load_replicated_plan(plan_file, Model("meta"))
    parallel = collection(found, adagrad)
    groups = parallel.device_mesh.mesh.tolist()
    reference = Reference(column_cuts(found.sharding_plan), groups)
    reference.train(found.sync_every, adagrad)
    mine = next(i for i, ranks in enumerate(groups) if dist.get_rank() in ranks)
    return {
        "loss_error": loss_error(parallel, found.sync_every, reference.losses),
        **compare(parallel.state_dict(), reference.copies[mine].state_dict()),
        "group": groups[mine],
    }


def loss_error(parallel: nn.Module, sync_every: int, expected: list[float]) -> float:
    """Train; return how far the mean loss of all ranks is from what is expected."""
    losses = _train(parallel, dist.get_rank(), sync_every)
    dist.all_reduce(losses)
    mean = losses / dist.get_world_size()
    return float((mean - torch.tensor(expected)).abs().max())


def _train(parallel: nn.Module, rank: int, sync_every: int) -> torch.Tensor:
    rest = dict(in_backward_optimizer_filter(parallel.named_parameters()))
    optimizer = torch.optim.SGD(rest.values(), lr=RATE)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(parallel, step, [rank])
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
        if (step + 1) % sync_every == 0:
            parallel.sync()
    return torch.tensor(losses)


def compare(state: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Return the largest difference of local weights, and where they are."""
    worst, places = 0.0, {}
    for name, tensor, place in shards_of(state):
        if table_of(name):
            places.setdefault(table_of(name), []).append(list(place))
        if tensor.numel():
            part = part_of(expected[name], place)
            worst = max(worst, float((tensor - part).abs().max()))
    return {"weight_error": worst, "places": places}


def run_rank(rank: int, plan_file: Path) -> None:
    """Train in a process of its own; write what was found, or what went wrong."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    try:
        found = sharded(plan_file, adagrad="adagrad" in plan_file.name)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    path = plan_file.with_suffix(f".rank{rank}.result")
    path.write_text(json.dumps(found))
    processes.leave()


def main(folder: Path) -> None:
    """Train with every plan of a folder."""
    for plan_file in sorted(folder.glob("*.json")):
        local = json.loads(plan_file.read_text())["replication"]["local_world_size"]
        processes.fork(lambda rank, path=plan_file: run_rank(rank, path), 8, local)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
