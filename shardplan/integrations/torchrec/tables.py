"""Find the embedding tables of a live model, as TorchRec's planner does."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from shardplan.errors import InputError
from shardplan.tables import DType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from torchrec.distributed.types import ModuleSharder

_DTYPES = {
    "torch.float32": DType.FP32,
    "torch.float16": DType.FP16,
    "torch.bfloat16": DType.BF16,
    "torch.float8_e4m3fn": DType.FP8,
    "torch.float8_e5m2": DType.FP8,
}


class FoundTable(NamedTuple):
    """A shardable parameter of a model.

    Attributes
    ----------
    module : str
        Path of the module that owns it.
    sharding_types : tuple of str
        What the module's sharder can do.
    optimizer : type or None
        The class of the optimizer that the parameter carries.
    """

    module: str
    name: str
    num_embeddings: int
    embedding_dim: int
    dtype: DType
    feature_names: tuple[str, ...]
    is_pooled: bool
    is_weighted: bool | None
    sharding_types: tuple[str, ...]
    optimizer: type | None


def default_sharders() -> list[ModuleSharder[torch.nn.Module]]:
    """Return the sharders that TorchRec uses where none are given."""
    from torchrec.distributed.sharding_plan import get_default_sharders

    return list(get_default_sharders())


def find_tables(
    model: torch.nn.Module, sharders: Sequence[ModuleSharder[torch.nn.Module]]
) -> list[FoundTable]:
    """List the tables of all modules that a sharder is for, outermost modules first.

    Raises
    ------
    InputError
        For rows of a type that plans do not know.
    """
    return [
        table
        for path, module, sharder in _sharded_modules(model, sharders)
        for table in _tables_of(path, module, sharder)
    ]


def sharder_map(sharders: Sequence[Any]) -> dict[str, Any]:
    """Sharders by the name of their module type, as TorchRec looks them up."""
    from torchrec.distributed.planner.utils import sharder_name

    return {sharder_name(sharder.module_type): sharder for sharder in sharders}


def _sharded_modules(
    model: torch.nn.Module, sharders: Sequence[Any]
) -> Iterator[tuple[str, Any, Any]]:
    from torchrec.distributed.planner.utils import sharder_name

    known = sharder_map(sharders)
    queue: deque[tuple[str, Any]] = deque([("", model)])
    while queue:
        path, module = queue.popleft()
        sharder = known.get(sharder_name(type(module)))
        if sharder is not None:
            yield path, module, sharder
            continue
        prefix = f"{path}." if path else ""
        queue.extend((prefix + name, child) for name, child in module.named_children())


def _tables_of(path: str, module: Any, sharder: Any) -> Iterator[FoundTable]:
    from torchrec.distributed.planner.types import ShardingOption

    configs = {config.name: config for config in _configs(module)}
    is_pooled = ShardingOption.module_pooled(module, path)
    is_weighted = module.is_weighted() if hasattr(module, "is_weighted") else None
    processed = _processed_features(module)
    for name, parameter in sharder.shardable_parameters(module).items():
        rows, columns = parameter.shape
        features = tuple(configs[name].feature_names) if name in configs else ()
        yield FoundTable(
            module=path,
            name=name,
            num_embeddings=int(rows),
            embedding_dim=int(columns),
            dtype=_dtype(name, parameter),
            feature_names=features,
            is_pooled=is_pooled,
            is_weighted=True if name in processed else is_weighted,
            sharding_types=tuple(sharder.sharding_types("cuda")),
            optimizer=getattr(parameter, "_optimizer_classes", [None])[0],
        )


def _configs(module: Any) -> list[Any]:
    """Find the configurations of a module's tables, also inside a wrapper."""
    for owner in (module, *module.children()):
        for name in ("embedding_bag_configs", "embedding_configs"):
            found = getattr(owner, name, None)
            if callable(found):
                return list(found())
    return []


def _processed_features(module: Any) -> set[str]:
    processor = getattr(module, "_feature_processor", None)
    modules = getattr(processor, "feature_processor_modules", None)
    return set(modules.keys()) if modules is not None else set()


def _dtype(name: str, parameter: Any) -> DType:
    try:
        return _DTYPES[str(parameter.dtype)]
    except KeyError:
        rule = f"rows must be one of {', '.join(_DTYPES)}"
        raise InputError.single(name, "dtype", str(parameter.dtype), rule) from None
