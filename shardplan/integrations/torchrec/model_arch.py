"""TorchRec's `ModelArch`, a model without its weights, in a file and out of it."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError
from shardplan.integrations.torchrec.planner_api import require_planner_api
from shardplan.io.atomic import write_text_atomically
from shardplan.io.json_file import read_json
from shardplan.io.validate import validate
from shardplan.records.model_arch import ModelArchFile
from shardplan.records.record import dump

if TYPE_CHECKING:
    from shardplan.records.model_arch import ArchTable

_PARAMETERS = (
    *("optimizer", "learning_rate", "eps", "weight_decay"),
    *("weight_decay_mode", "beta1", "beta2"),
)


def write_model_arch(arch: Any, path: str | os.PathLike[str]) -> None:
    """Write a `ModelArch`, such as `extract_model_arch(model, sharders)` returns.

    Raises
    ------
    InputError
        For TorchRec 1.8, which has none; if the file cannot be written.
    """
    require_planner_api("ModelArch")
    record = validate(ModelArchFile, {"schema_version": 1, **asdict(arch)}, "ModelArch")
    text = json.dumps(dump(record), indent=1, allow_nan=False) + "\n"
    write_text_atomically(path, text)


def read_model_arch(path: str | os.PathLike[str]) -> Any:
    """Read a `ModelArch`; what was written comes back equal.

    Raises
    ------
    InputError
        For TorchRec 1.8, which has none; with everything that is wrong with the file.
    """
    require_planner_api("ModelArch")
    from torchrec.distributed.planner.types import ModelArch, SharderArch, TableArch

    where = os.fspath(path)
    record = validate(ModelArchFile, read_json(Path(where), where), where)
    return ModelArch(
        tables=tuple(TableArch(**dict(table)) for table in record.tables),
        sharder_types=record.sharder_types,
        sharders=tuple(SharderArch(**dict(sharder)) for sharder in record.sharders),
    )


def build_model_arch(arch: Any) -> tuple[Any, list[Any]]:
    """Build a model on the meta device, and its sharders, that have a `ModelArch`.

    Its modules are named by their sharders; a `ModelArch` has neither the modules'
    paths nor whether they are weighted, and of tables that share their name and
    sharder it has one.

    Returns
    -------
    model : Module
    sharders : list of ModuleSharder
        With the optimizers of the file.

    Raises
    ------
    InputError
        For sharders of other modules than bags and sequences of embeddings, and
        optimizers that FBGEMM does not have.
    """
    require_planner_api("ModelArch")
    from torch import nn

    data = {"schema_version": 1, **asdict(arch)}
    record = validate(ModelArchFile, data, "ModelArch")
    known = _sharder_types()
    wanted = [*record.sharder_types, *(t.sharder_type for t in record.tables)]
    unknown = sorted({str(name) for name in wanted} - set(known))
    if unknown:
        rule = f"a model can be built for {', '.join(known)}"
        raise InputError.single("ModelArch", "sharder_types", ", ".join(unknown), rule)
    by_sharder: dict[str, list[ArchTable]] = defaultdict(list)
    for table in record.tables:
        by_sharder[str(table.sharder_type)].append(table)
    model = nn.Module()
    for name, tables in by_sharder.items():
        model.add_module(name.removesuffix("Sharder"), _collection(name, tables))
    configs = {config.sharder_type: config for config in record.sharders}
    sharders = [
        known[name](fused_params=_fused_params(configs.get(name)) or None)
        for name in record.sharder_types
    ]
    return model, sharders


def _sharder_types() -> dict[str, Any]:
    from torchrec.distributed.embedding import EmbeddingCollectionSharder
    from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder

    kinds = (EmbeddingBagCollectionSharder, EmbeddingCollectionSharder)
    return {kind.__name__: kind for kind in kinds}


def _collection(sharder: str, tables: list[ArchTable]) -> Any:
    import torch
    from torchrec.modules import embedding_configs as configs
    from torchrec.modules.embedding_modules import (
        EmbeddingBagCollection,
        EmbeddingCollection,
    )

    is_bag = sharder == "EmbeddingBagCollectionSharder"
    make = configs.EmbeddingBagConfig if is_bag else configs.EmbeddingConfig
    made = []
    for table in tables:
        pooling = {"pooling": configs.PoolingType[table.pooling or "SUM"]}
        made.append(
            make(
                name=table.name,
                num_embeddings=table.num_embeddings,
                embedding_dim=table.embedding_dim,
                feature_names=list(table.feature_names),
                data_type=configs.DataType[table.data_type or "FP32"],
                **(pooling if is_bag else {}),
            )
        )
    collection = EmbeddingBagCollection if is_bag else EmbeddingCollection
    return collection(tables=made, device=torch.device("meta"))


def _fused_params(config: Any) -> dict[str, Any]:
    """Return the parameters of an optimizer that are set, as FBGEMM takes them."""
    from fbgemm_gpu.split_embedding_configs import EmbOptimType
    from fbgemm_gpu.split_table_batched_embeddings_ops_training import WeightDecayMode

    given = {name: getattr(config, name, None) for name in _PARAMETERS}
    given = {name: value for name, value in given.items() if value is not None}
    enums = {"optimizer": EmbOptimType, "weight_decay_mode": WeightDecayMode}
    problems = []
    for name in enums.keys() & given.keys():
        try:
            given[name] = enums[name](given[name])
        except ValueError:
            rule = f"must be one of {', '.join(str(m.value) for m in enums[name])}"
            place = f"sharders[{config.sharder_type}].{name}"
            problems.append(Fault("ModelArch", place, str(given[name]), rule))
    if problems:
        raise InputError(problems)
    return given
