"""What the frameworks that run plans can do: one record of facts for each target."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from shardplan.errors import InputError
from shardplan.records.optimizers import FACTS
from shardplan.records.sharding import ComputeKernel, ShardingType, Target
from shardplan.records.tables import DType
from shardplan.records.workload import Optimizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shardplan.records.workload import Workload

E = TypeVar("E", bound=StrEnum)

VECTOR_COLUMNS = 4
"""Column shards are multiples of this many columns (FBGEMM's vector width)."""
_EVERY_TYPE = frozenset(ShardingType)
_EVERY_KERNEL = frozenset(ComputeKernel)
_EVERY_DTYPE = frozenset(DType)
# What TorchRec averages are the tensors that tables live in (torchrec/distributed/
# model_parallel.py (1.9.2), DMPCollection): rows that a cache in front of them has
# changed are not written back before, and tables on SSD are not among them.
_AVERAGED = frozenset(
    {ComputeKernel.DENSE, ComputeKernel.FUSED, ComputeKernel.FUSED_UVM}
)


@dataclass(frozen=True)
class Runtime:
    """What a framework runs; the defaults limit nothing.

    Attributes
    ----------
    name : str
        As its makers write it.
    sharding_types, sequence_types : frozenset of ShardingType
        Ways to cut a table, and those of tables of sequence embeddings.
    kernels : frozenset of ComputeKernel
    averaged_kernels : frozenset of ComputeKernel
        Those whose copies in other sharding groups can be averaged.
    averaged_types : frozenset of ShardingType
        Ways to cut a table of which sharding groups have copies.
    averaged_optimizers : frozenset of Optimizer
        Those whose states are averaged among copies.
    row_types : frozenset of DType
        Types in which rows can be stored and trained.
    optimizers : mapping of Optimizer to Optimizer, or None
        What is run for each optimizer of a workload; those that are missing are
        refused. None runs each as it is.
    cuts_narrow_rows : bool
        Rows of any width may be sharded, not only those of a multiple of 4 columns.
    cuts_rows_anywhere : bool
        Rows may be cut over any ranks or a scale-up domain, not only over all ranks or
        those of one host.
    cuts_rows_unevenly : bool
        Row shards of a table may have different numbers of rows.
    slices_evenly : bool
        Column shards are k equal slices, one after the other on k runs of equally many
        ranks in ascending order; rows are cut inside a run.
    equal_columns : bool
        Column shards of a table are equally wide.
    keeps_keys : bool
        A shard stores an id beside each of its rows.
    runs_fbgemm : bool
        Rows are looked up and updated by FBGEMM, which has not every optimizer
        everywhere.
    keeps_buckets : bool
        Row shards of tables whose ids are hashed into buckets have whole ones.
    cpu_row_types : frozenset of DType
        Those of `row_types` that ranks on CPUs have, too.
    cpu_sequence_types : frozenset of ShardingType
        Those of `sequence_types` that ranks on CPUs have, too.
    """

    name: str
    sharding_types: frozenset[ShardingType] = _EVERY_TYPE
    sequence_types: frozenset[ShardingType] = _EVERY_TYPE
    kernels: frozenset[ComputeKernel] = _EVERY_KERNEL
    averaged_kernels: frozenset[ComputeKernel] = _AVERAGED
    averaged_types: frozenset[ShardingType] = _EVERY_TYPE
    averaged_optimizers: frozenset[Optimizer] = frozenset(Optimizer)
    row_types: frozenset[DType] = _EVERY_DTYPE
    optimizers: Mapping[Optimizer, Optimizer] | None = field(default=None, hash=False)
    cuts_narrow_rows: bool = True
    cuts_rows_anywhere: bool = True
    cuts_rows_unevenly: bool = True
    slices_evenly: bool = False
    equal_columns: bool = False
    keeps_keys: bool = False
    runs_fbgemm: bool = False
    keeps_buckets: bool = False
    cpu_row_types: frozenset[DType] = _EVERY_DTYPE
    cpu_sequence_types: frozenset[ShardingType] = _EVERY_TYPE

    def optimizer(self, wanted: Optimizer) -> Optimizer | None:
        """Return what is run for a workload's optimizer, None if nothing is."""
        return wanted if self.optimizers is None else self.optimizers.get(wanted)


_ANY = Runtime("shardplan")
_TORCHREC = Runtime(
    "TorchRec",
    # torchrec/distributed/types.py (1.8.0), ShardingType
    sharding_types=frozenset(
        {
            ShardingType.DATA_PARALLEL,
            ShardingType.TABLE_WISE,
            ShardingType.COLUMN_WISE,
            ShardingType.ROW_WISE,
            ShardingType.TABLE_ROW_WISE,
            ShardingType.TABLE_COLUMN_WISE,
            ShardingType.GRID_SHARD,
        }
    ),
    # torchrec/distributed/embedding.py (1.8.0), create_embedding_sharding
    sequence_types=frozenset(
        {
            ShardingType.DATA_PARALLEL,
            ShardingType.TABLE_WISE,
            ShardingType.COLUMN_WISE,
            ShardingType.ROW_WISE,
        }
    ),
    # FBGEMM 1.8.0's dense kernel for CPUs pools what is to be a sequence: an error, or
    # wrong rows where there are as many as samples.
    cpu_sequence_types=frozenset(
        {ShardingType.TABLE_WISE, ShardingType.COLUMN_WISE, ShardingType.ROW_WISE}
    ),
    kernels=_EVERY_KERNEL - {ComputeKernel.FUSED_UVM_SPLIT},
    # torchrec/distributed/utils.py (1.9.2), create_global_tensor_shape_stride_from_
    # metadata: a group's ranks without a shard of such a table stop. Columns may be on
    # the same ranks as column_wise.
    averaged_types=_EVERY_TYPE - {ShardingType.TABLE_COLUMN_WISE},
    # model_parallel.py (1.9.2), _cache_sync_tensors: DMPCollection averages the state
    # "sum", asks for it where there is any, and has no other.
    averaged_optimizers=frozenset(
        {
            Optimizer.SGD,
            Optimizer.ADAGRAD,
            Optimizer.ROWWISE_ADAGRAD,
            Optimizer.EMAINPLACE_ROWWISE_ADAGRAD,
        }
    ),
    # Without an update, FBGEMM asks for `total_unique_indices`, which TorchRec's
    # kernels do not pass (torchrec/distributed/batched_embedding_kernel.py).
    optimizers={known: known for known in Optimizer if FACTS[known].updates},
    runs_fbgemm=True,
    # FBGEMM asserts local_cols % 4 == 0; github.com/meta-pytorch/torchrec/issues/1612
    cuts_narrow_rows=False,
    cuts_rows_anywhere=False,
    # torchrec/distributed/sharding/rw_sharding.py (1.9.2): ids go to ranks by blocks of
    # ceil(rows / ranks); shards of other sizes train other rows.
    cuts_rows_unevenly=False,
    # torchrec/distributed/embeddingbag.py (1.9.2): `load_state_dict` gives every local
    # shard the width of the first one, so that others train but do not resume.
    equal_columns=True,
    # torchrec/distributed/embedding_types.py (1.8.0), compute_kernel_to_embedding_
    # location, and modules/embedding_configs.py: data types that are trained. Weights
    # of FBGEMM's CPU kernels are float, Half or uint8
    # (codegen/training/backward/embedding_backward_split_host_cpu_template.cpp).
    row_types=frozenset({DType.FP32, DType.FP16, DType.BF16}),
    cpu_row_types=frozenset({DType.FP32, DType.FP16}),
    # torchrec/distributed/planner/enumerators.py (1.8.0), _get_num_buckets
    keeps_buckets=True,
)
# NVIDIA-Merlin/HugeCTR at 2f2016f: static tables of an embedding collection.
_HUGECTR = Runtime(
    "HugeCTR",
    # HugeCTR/src/embeddings/embedding_collection.cpp,
    # split_column_wise_sharding_config: ev_size and the number of GPUs that list the
    # table must divide by the number of slices; not for "dp".
    sharding_types=frozenset(
        {
            ShardingType.DATA_PARALLEL,
            ShardingType.TABLE_WISE,
            ShardingType.COLUMN_WISE,
            ShardingType.ROW_WISE,
            ShardingType.GRID_SHARD,
        }
    ),
    slices_evenly=True,
    cuts_rows_unevenly=False,
    kernels=frozenset({ComputeKernel.DENSE, ComputeKernel.FUSED}),
    averaged_kernels=frozenset(),
    # HugeCTR/embedding_storage/ragged_static_embedding.cu: `emb_table_` is of type
    # Float, `keys_` has an id for every local row (github.com/NVIDIA-Merlin/HugeCTR/
    # issues/330), and `update` knows SGD, AdaGrad (one fp32 for each element; there is
    # no row-wise form) and Ftrl, and stops at all others.
    row_types=frozenset({DType.FP32}),
    keeps_keys=True,
    optimizers={
        Optimizer.SGD: Optimizer.SGD,
        Optimizer.ADAGRAD: Optimizer.ADAGRAD,
        Optimizer.ROWWISE_ADAGRAD: Optimizer.ADAGRAD,
    },
)
RUNTIMES = {
    Target.ANY: _ANY,
    Target.TORCHREC: _TORCHREC,
    Target.HUGECTR: _HUGECTR,
}


def averaging_rule(runtime: Runtime) -> str:
    """Say which kernels may have copies in other sharding groups."""
    if not runtime.averaged_kernels:
        return f"{runtime.name} keeps no copies of sharding groups equal"
    return (
        "copies in other sharding groups are averaged for kernels "
        f"{listed(runtime.averaged_kernels)} only: rows in caches and on SSD would "
        "drift apart"
    )


def listed(members: Iterable[E]) -> str:
    """List members in the order of their enumeration."""
    found = set(members)
    kinds = type(next(iter(found)))
    return ", ".join(member.value for member in kinds if member in found)


def optimizer_rule(workload: Workload, target: Target, replicas: int = 1) -> str | None:
    """Say why a framework cannot run a workload's optimizer; None if it can.

    Parameters
    ----------
    replicas : int
        Sharding groups with a copy of the tables each.
    """
    runtime = RUNTIMES[target]
    planned = runtime.optimizer(workload.optimizer)
    if planned is not None and replicas > 1:
        averaged = runtime.averaged_optimizers
        if planned not in averaged:
            known = listed(averaged)
            return (
                f"{runtime.name} averages copies in sharding groups only with {known}"
            )
    if planned is not None:
        return _batches_rule(workload, runtime)
    assert runtime.optimizers is not None
    known = ", ".join(optimizer.value for optimizer in runtime.optimizers)
    return f"{runtime.name} has no such optimizer for its tables, only {known}"


def _batches_rule(workload: Workload, runtime: Runtime) -> str | None:
    """Say where tables that are looked up together have batches of several sizes."""
    if not runtime.runs_fbgemm or FACTS[workload.optimizer].own_batches:
        return None
    factors: dict[str, float] = {}
    for table in workload.tables:
        first = factors.setdefault(table.torchrec_module, table.batch_factor)
        if table.batch_factor != first:
            usable = [o for o in FACTS if FACTS[o].own_batches and runtime.optimizer(o)]
            known = ", ".join(o.value for o in usable)
            return (
                f"FBGEMM looks up tables of several batches together ({table.name!r} "
                f"has batch_factor {table.batch_factor:g}, others {first:g}) only with "
                f"{known}"
            )
    return None


def require_optimizer(workload: Workload, target: Target, replicas: int = 1) -> None:
    """Raise an error if a framework cannot run a workload's optimizer."""
    rule = optimizer_rule(workload, target, replicas)
    if rule is not None:
        raise InputError.single(
            workload.name, "optimizer", workload.optimizer.value, rule
        )


def optimizer_notice(workload: Workload, target: Target) -> str | None:
    """Say which optimizer is planned for instead of a workload's, if one is."""
    runtime, wanted = RUNTIMES[target], workload.optimizer
    planned = runtime.optimizer(wanted)
    if planned in (None, wanted):
        return None
    return (
        f"{runtime.name} has no {wanted.value}: state and times are those of "
        f"{planned}, which it runs instead."
    )
