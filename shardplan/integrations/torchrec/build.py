"""Build TorchRec's objects from our records: model, constraints, topology."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from shardplan.costs.torchrec.bandwidths import inter_host_bw, intra_host_bw
from shardplan.costs.torchrec.tables import feature_pooling_factors, own_batch
from shardplan.errors import InputError
from shardplan.integrations.torchrec.tables import DATA_TYPES
from shardplan.records.record import dump
from shardplan.records.torchrec_table import TorchRecTable

if TYPE_CHECKING:
    import torch
    from torchrec.modules.embedding_modules import EmbeddingBagCollection

    from shardplan.records.tables import EmbeddingTable
    from shardplan.records.topology import Topology
    from shardplan.records.workload import Workload

_MS_PER_S = 1000.0
_MOST_POSITIONS = 1000
"""Ids of a bag that a feature processor has weights for."""
_DATA_TYPES = {dtype: name for name, dtype in DATA_TYPES.items()}


def feature_names(table: EmbeddingTable) -> list[str]:
    """Names of a table's features: those of the model, or made-up ones."""
    if table.torchrec is not None and table.torchrec.feature_names:
        return list(table.torchrec.feature_names)
    return [f"{table.name}_f{index}" for index in range(table.num_outputs)]


def build_model(workload: Workload, device: str = "meta") -> torch.nn.Module:
    """Build modules with a workload's tables, at the paths that the tables name.

    Raises
    ------
    InputError
        For rows of a type that TorchRec's modules do not have.
    """
    from torch import nn

    by_module: dict[str, list[EmbeddingTable]] = defaultdict(list)
    for table in workload.tables:
        if table.dtype not in _DATA_TYPES:
            rule = f"TorchRec trains rows of {', '.join(_DATA_TYPES)}"
            raise InputError.single(table.name, "dtype", table.dtype.value, rule)
        by_module[table.torchrec_module].append(table)
    if list(by_module) == [""]:
        return _collection(by_module[""], device)
    model = nn.Module()
    for path, tables in by_module.items():
        *parents, last = path.split(".")
        owner = model
        for name in parents:
            if not hasattr(owner, name):
                owner.add_module(name, nn.Module())
            owner = getattr(owner, name)
        owner.add_module(last, _collection(tables, device))
    return model


def build_rated_model(workload: Workload) -> torch.nn.Module:
    """Build modules that tell TorchRec's planner of weights what the model's told it.

    It does not see those that feature processors make: `is_weighted` of a table's
    `torchrec` is what it sees.
    """
    seen = tuple(
        table
        if table.torchrec is None or table.torchrec.is_weighted is None
        else table.replace(is_weighted=table.torchrec.is_weighted)
        for table in workload.tables
    )
    return build_model(workload.replace(tables=seen))


def _collection(tables: list[EmbeddingTable], device: str) -> torch.nn.Module:
    """Make the collection of one module's tables."""
    import torch
    from torchrec.modules.embedding_configs import (
        DataType,
        EmbeddingBagConfig,
        EmbeddingConfig,
    )
    from torchrec.modules.embedding_modules import (
        EmbeddingBagCollection,
        EmbeddingCollection,
    )

    pooled = tables[0].is_pooled
    make = EmbeddingBagConfig if pooled else EmbeddingConfig
    configs = [
        make(
            name=table.torchrec_name,
            num_embeddings=table.num_embeddings,
            embedding_dim=table.embedding_dim,
            data_type=DataType[_DATA_TYPES[table.dtype]],
            feature_names=feature_names(table),
            **_settings(table),
        )
        for table in tables
    ]
    where = torch.device(device)
    if not pooled:
        return EmbeddingCollection(tables=configs, device=where)
    bags = EmbeddingBagCollection(
        tables=configs, is_weighted=tables[0].is_weighted, device=where
    )
    return _processed(bags, device) if _has_processors(tables) else bags


def _has_processors(tables: list[EmbeddingTable]) -> bool:
    """Whether weights come from feature processors, which TorchRec prices as none."""
    extra = tables[0].torchrec
    return tables[0].is_weighted and extra is not None and extra.is_weighted is False


def _processed(bags: EmbeddingBagCollection, device: str) -> torch.nn.Module:
    """Give every feature of a weighted collection a processor that weighs positions."""
    import torch
    from torchrec.modules.feature_processor_ import PositionWeightedModuleCollection
    from torchrec.modules.fp_embedding_modules import (
        FeatureProcessedEmbeddingBagCollection,
    )

    names = [
        name for table in bags.embedding_bag_configs() for name in table.feature_names
    ]
    weights = PositionWeightedModuleCollection(
        max_feature_lengths=dict.fromkeys(names, _MOST_POSITIONS),
        device=torch.device(device),
    )
    return FeatureProcessedEmbeddingBagCollection(bags, weights)


def _settings(table: EmbeddingTable) -> dict[str, Any]:
    """Return what keeps tables of a module apart on a rank."""
    from torchrec.modules.embedding_configs import PoolingType

    extra = table.torchrec or TorchRecTable()
    found: dict[str, Any] = {"stash_weights": extra.stash_weights}
    if table.is_pooled:
        found["pooling"] = PoolingType[extra.pooling]
    return found


def build_constraints(
    workload: Workload, batch_size: int | None = None
) -> dict[str, Any]:
    """Return TorchRec's constraints for every table, by its name in its module.

    Parameters
    ----------
    batch_size : int, optional
        Samples per rank; the workload's own if it gives them.

    Raises
    ------
    InputError
        If a table has its own batch and the samples per rank are not known.
    """
    samples = batch_size or workload.batch_size
    return {
        t.torchrec_name: _constraints(workload, t, samples) for t in workload.tables
    }


def _batch_sizes(
    table: EmbeddingTable, batch_size: int | None, num_inputs: int
) -> list[int] | None:
    """Return the samples of each input if the table has its own batch, else None."""
    if table.batch_factor == 1.0:
        return None
    if batch_size is None:
        rule = "needs the samples per rank: give batch_size"
        raise InputError.single(table.name, "batch_factor", table.batch_factor, rule)
    return [int(own_batch(table, batch_size))] * num_inputs


def _constraints(
    workload: Workload, table: EmbeddingTable, batch_size: int | None
) -> Any:
    from torchrec.distributed.planner.types import ParameterConstraints
    from torchrec.modules.embedding_configs import DataType

    own = workload.table_constraints(table)
    extra = table.torchrec or TorchRecTable()
    factors = extra.pooling_factors or feature_pooling_factors(table)
    given = dump(extra.cache) if extra.cache else {}
    if own.cache_load_factor:
        given["load_factor"] = own.cache_load_factor
    is_limited = own.sharding_types or own.forbidden_sharding_types
    return ParameterConstraints(
        sharding_types=[k.value for k in own.usable_types] if is_limited else None,
        compute_kernels=[kind.value for kind in own.compute_kernels] or None,
        min_partition=own.min_column_width,
        pooling_factors=list(factors),
        num_poolings=list(extra.num_poolings) or None,
        batch_sizes=list(extra.batch_sizes)
        or _batch_sizes(table, batch_size, len(factors)),
        is_weighted=table.is_weighted
        if extra.is_weighted is None
        else extra.is_weighted,
        cache_params=cache_params(given) if given else None,
        enforce_hbm=extra.enforce_hbm,
        stochastic_rounding=extra.stochastic_rounding,
        bounds_check_mode=bounds_check_mode(extra.bounds_check_mode),
        feature_names=list(extra.feature_names) or None,
        output_dtype=DataType[extra.output_dtype] if extra.output_dtype else None,
        device_group=extra.device_group,
        key_value_params=key_value_params(extra.key_value),
    )


def cache_params(given: dict[str, Any]) -> Any:
    """Make `CacheParams` from the data of a `TorchRecCache`."""
    import torch
    from fbgemm_gpu.split_table_batched_embeddings_ops_common import (
        CacheAlgorithm,
        MultiPassPrefetchConfig,
    )
    from torchrec.distributed.planner.shard_estimators import EmbeddingOffloadStats
    from torchrec.distributed.types import CacheParams
    from torchrec.modules.embedding_configs import DataType

    algorithm, precision = given.get("algorithm"), given.get("precision")
    stats, passes = given.get("stats"), given.get("num_passes")
    size = given.get("min_splitable_pass_size")
    config = None
    if passes is not None:
        limits = {} if size is None else {"min_splitable_pass_size": size}
        config = MultiPassPrefetchConfig(num_passes=passes, **limits)
    return CacheParams(
        algorithm=CacheAlgorithm[algorithm] if algorithm else None,
        load_factor=given.get("load_factor"),
        reserved_memory=given.get("reserved_memory"),
        precision=DataType[precision] if precision else None,
        prefetch_pipeline=given.get("prefetch_pipeline"),
        stats=EmbeddingOffloadStats(
            cacheability=stats["cacheability"],
            expected_lookups=stats["expected_lookups"],
            mrc_hist_counts=torch.tensor(stats["histogram"]),
            height=stats["height"],
        )
        if stats
        else None,
        multipass_prefetch_config=config,
    )


def key_value_params(given: dict[str, Any]) -> Any:
    """Make `KeyValueParams` from its fields that are set; None without any."""
    from torchrec.distributed.types import KeyValueParams

    if not given:
        return None
    hosts = given.get("ps_hosts")
    fixed = {"ps_hosts": tuple(tuple(host) for host in hosts)} if hosts else {}
    return KeyValueParams(**{**given, **fixed})


def bounds_check_mode(name: str | None) -> Any:
    """Return the member of `BoundsCheckMode` of a name, if any."""
    from torchrec.distributed.types import BoundsCheckMode

    return BoundsCheckMode[name] if name else None


def build_topology(topology: Topology) -> Any:
    """Build TorchRec's `Topology` from ours; bytes/s become bytes/ms.

    DDR and SSD of a host are divided over its ranks. Bandwidths of collectives that
    a cost model replaces are not part of it.

    Raises
    ------
    InputError
        For a mixed cluster, which TorchRec cannot describe.
    """
    from torchrec.distributed.planner.types import CustomTopologyData
    from torchrec.distributed.planner.types import Topology as TorchRecTopology

    groups = topology.host_groups
    first = groups[0]
    if any(_rates(group) != _rates(first) for group in groups):
        rule = "TorchRec has one bandwidth for all ranks"
        raise InputError.single(topology.name, "host_groups", None, rule)
    caps = {
        "hbm_cap": list(topology.rank_hbm_bytes)
        or [g.device.hbm_bytes for g in groups for _ in range(g.world_size)],
        "ddr_cap": _per_rank(topology, "ddr_bytes"),
        "ssd_cap": _per_rank(topology, "ssd_bytes"),
    }
    custom = any(len(set(values)) > 1 for values in caps.values())
    memory, link, ssd, intra, inter = (rate / _MS_PER_S for rate in _rates(first))
    is_cpu = first.device.kind == "cpu"
    bandwidths = {} if is_cpu else {"hbm_mem_bw": memory}
    if is_cpu:
        bandwidths["ddr_mem_bw"] = memory
    return TorchRecTopology(
        world_size=topology.world_size,
        compute_device="cpu" if is_cpu else "cuda",
        local_world_size=max(group.local_world_size for group in groups),
        **({} if custom else {name: values[0] for name, values in caps.items()}),
        custom_topology_data=CustomTopologyData(caps, topology.world_size)
        if custom
        else None,
        hbm_to_ddr_mem_bw=link,
        ssd_mem_bw=ssd,
        intra_host_bw=intra,
        inter_host_bw=inter,
        created_by_factory=True,
        **bandwidths,
    )


def _rates(group: Any) -> tuple[float, ...]:
    """Memory, link to the host, SSD, scale-up and scale-out of a rank [bytes/s]."""
    host, local = group.host, group.local_world_size
    memory = group.device.hbm_bw or host.ddr_bw / local
    return (
        memory,
        host.pcie_bw / host.ranks_per_pcie_link,
        host.ssd_read_bw / local,
        intra_host_bw(group),
        inter_host_bw(group),
    )


def _per_rank(topology: Topology, name: str) -> list[int]:
    """Divide a capacity of each host over its ranks."""
    return [
        getattr(group.host, name) // group.local_world_size
        for group in topology.host_groups
        for _ in range(group.world_size)
    ]
