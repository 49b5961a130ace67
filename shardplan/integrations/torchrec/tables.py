"""Find the embedding tables of a live model, as TorchRec's planner does."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from shardplan.errors import InputError, ShardplanError
from shardplan.integrations.torchrec.decisions import unknown_settings
from shardplan.records.tables import DType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from torchrec.distributed.types import ModuleSharder

DATA_TYPES = {"FP32": DType.FP32, "FP16": DType.FP16, "BF16": DType.BF16}
"""TorchRec's names of the row types that it trains, and ours."""
_PARAMETERS = {
    "torch.float32": "FP32",
    "torch.float16": "FP16",
    "torch.bfloat16": "BF16",
}
_PROCESSED = "FeatureProcessedEmbeddingBagCollection"


class FoundTable(NamedTuple):
    """A shardable parameter of a model.

    Attributes
    ----------
    module : str
        Path of the module that owns it.
    sharding_types : tuple of str
        What the module's sharder can do.
    kernels : tuple of str
        Kernels that it offers for any of them.
    optimizer : type or None
        The class of the optimizer that the parameter carries.
    num_buckets : int or None
        Buckets into which ids are hashed, of which a rank has whole ones.
    collisions : str or None
        The class that manages collisions of its ids, if that knows no buckets.
    tells_weights : bool
        TorchRec's planner asks the module whether it is weighted; else it asks the
        table's constraints.
    is_processed : bool
        Its module weights features: TorchRec's planner cuts rows of such tables only
        where a constraint asks for it, for weights may follow positions.
    is_virtual : bool
        Rows are made when their ids are first seen.
    sends_once : bool
        Ranks send each id of their batch once (`use_index_dedup` of its sharder).
    pooling : str
        How the rows of a bag become one.
    stash_weights : bool
        Rows leave HBM between forward and backward.
    unknown_settings : tuple of str
        Fields of the table's configuration that are set and not followed.
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
    kernels: tuple[str, ...]
    optimizer: type | None
    num_buckets: int | None
    collisions: str | None
    tells_weights: bool
    is_processed: bool
    is_virtual: bool
    sends_once: bool
    pooling: str
    stash_weights: bool
    unknown_settings: tuple[str, ...]


def default_sharders() -> list[ModuleSharder[torch.nn.Module]]:
    """Return the sharders that TorchRec uses where none are given."""
    from torchrec.distributed.sharding_plan import get_default_sharders

    return list(get_default_sharders())


def tables_text(
    model: torch.nn.Module, sharders: Sequence[ModuleSharder[torch.nn.Module]] | None
) -> str:
    """Name the tables of a model, or what is wrong with them, to compare ranks by."""
    try:
        return repr(find_tables(model, sharders or default_sharders()))
    except ShardplanError as error:
        return str(error)


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
        for path, module, sharder in sharded_modules(model, sharders)
        for table in _tables_of(path, module, sharder)
    ]


def sharder_map(sharders: Sequence[Any]) -> dict[str, Any]:
    """Sharders by the name of their module type, as TorchRec looks them up.

    Raises
    ------
    InputError
        For what is no sharder, such as a sharder's class.
    """
    from torchrec.distributed.planner.utils import sharder_name
    from torchrec.distributed.types import ModuleSharder

    for number, sharder in enumerate(sharders):
        if not isinstance(sharder, ModuleSharder):
            rule = "must be a ModuleSharder, as get_default_sharders() returns them"
            raise InputError.single("planner", f"sharders[{number}]", sharder, rule)
    return {sharder_name(sharder.module_type): sharder for sharder in sharders}


def sharded_modules(
    model: torch.nn.Module, sharders: Sequence[Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Yield path, module and sharder of all modules that a sharder is for.

    Raises
    ------
    InputError
        For what is no model, or no sharder.
    """
    import torch
    from torchrec.distributed.planner.utils import sharder_name

    if not isinstance(model, torch.nn.Module):
        rule = f"must be a torch.nn.Module, not {type(model).__name__}"
        raise InputError.single("planner", "model", None, rule)
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
    from torchrec.distributed.planner.utils import sharder_name
    from torchrec.modules.embedding_modules import EmbeddingBagCollectionInterface

    configs = {config.name: config for config in module_configs(module)}
    is_pooled = ShardingOption.module_pooled(module, path)
    is_weighted = module.is_weighted() if hasattr(module, "is_weighted") else None
    processed, (buckets, collisions) = _processed_features(module), _collisions(module)
    tells = not hasattr(module, "is_weighted") or isinstance(
        module, EmbeddingBagCollectionInterface
    )
    types = tuple(sharder.sharding_types("cuda"))
    kernels = {k for kind in types for k in sharder.compute_kernels(kind, "cuda")}
    for name, parameter in sharder.shardable_parameters(module).items():
        rows, columns = parameter.shape
        config = configs.get(name)
        yield FoundTable(
            module=path,
            name=name,
            num_embeddings=int(rows),
            embedding_dim=int(columns),
            dtype=_dtype(name, config, parameter),
            feature_names=tuple(config.feature_names) if config is not None else (),
            is_pooled=is_pooled,
            is_weighted=True if name in processed else is_weighted,
            sharding_types=types,
            kernels=tuple(sorted(kernels)),
            optimizer=getattr(parameter, "_optimizer_classes", [None])[0],
            num_buckets=buckets.get(name),
            collisions=collisions.get(name),
            tells_weights=tells,
            is_processed=_PROCESSED in sharder_name(type(module)),
            is_virtual=bool(getattr(config, "use_virtual_table", False)),
            sends_once=not is_pooled and _sends_once(sharder),
            pooling=_pooling(config),
            stash_weights=bool(getattr(config, "stash_weights", False)),
            unknown_settings=unknown_settings(config),
        )


def module_configs(module: Any) -> list[Any]:
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


def _collisions(module: Any) -> tuple[dict[str, int], dict[str, str]]:
    """Return buckets of tables whose ids are hashed, and other modules of collisions.

    Both are by table; the latter are names of classes.

    References
    ----------
    TorchRec 1.8.0, torchrec/distributed/planner/enumerators.py, `_get_num_buckets`.
    """
    collection = getattr(module, "_managed_collision_collection", None)
    if collection is None:
        return {}, {}
    from torchrec.modules.hash_mc_modules import HashZchManagedCollisionModule
    from torchrec.modules.mc_modules import ManagedCollisionModule

    buckets, others = {}, {}
    for path, owner in collection.named_modules():
        name = path.rpartition(".")[2]
        if isinstance(owner, HashZchManagedCollisionModule):
            buckets[name] = int(owner.buckets())
        elif isinstance(owner, ManagedCollisionModule):
            others[name] = type(owner).__name__
    return buckets, others


def _sends_once(sharder: Any) -> bool:
    """Whether a sharder of sequences has ids sent once; its own, or of all of them."""
    from torchrec.distributed.embedding import get_ec_index_dedup

    own = getattr(sharder, "_e_sharder", sharder)
    return bool(getattr(own, "_use_index_dedup", False) or get_ec_index_dedup())


def _pooling(config: Any) -> str:
    """Return how a bag's rows become one; sequences keep theirs and say nothing."""
    kind = getattr(config, "pooling", None)
    return "MEAN" if kind is not None and kind.name == "MEAN" else "SUM"


def _dtype(name: str, config: Any, parameter: Any) -> DType:
    """Type in which TorchRec trains a table's rows: its configuration's.

    The parameter of an unsharded collection is fp16 for everything but fp32.
    """
    known = getattr(config, "data_type", None)
    kind = known.name if known is not None else _PARAMETERS.get(str(parameter.dtype))
    if kind in DATA_TYPES:
        return DATA_TYPES[kind]
    rule = f"TorchRec trains rows of {', '.join(DATA_TYPES)}: change its data_type"
    raise InputError.single(name, "dtype", kind or str(parameter.dtype), rule)
