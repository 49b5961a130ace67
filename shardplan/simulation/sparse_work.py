"""What the embedding tables of a plan ask of every rank, by kind of work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs.pricing import compressed, fetched_bytes
from shardplan.costs.scopes import SCOPES, Scope
from shardplan.costs.shards import volumes_of
from shardplan.records.sharding import CACHING_KERNELS, PHASES, Phase

if TYPE_CHECKING:
    from shardplan.plans.evaluation import Evaluation
    from shardplan.records.arrays import Bools, Floats


@dataclass(frozen=True, eq=False)
class Exchange:
    """Seconds of the outputs' or gradients' exchange by bandwidth alone, (W,) each.

    Attributes
    ----------
    all_to_all : float array (W,)
        Whole outputs to the ranks that own the samples.
    reduce : dict of Scope to float array (W,)
        Partial sums inside the groups of each scope but single ranks.
    across : dict of Scope to float array (W,)
        Sums of a group to the ranks that own the samples.
    encode : float array (W,)
        Compressing and restoring what goes by all-to-all.
    """

    all_to_all: Floats
    reduce: dict[Scope, Floats]
    across: dict[Scope, Floats]
    encode: Floats

    @property
    def personal(self) -> Floats:
        """Seconds of everything that goes through an all-to-all."""
        return np.asarray(self.all_to_all + sum(self.across.values()))


@dataclass(frozen=True, eq=False)
class SparseWork:
    """Seconds per rank by kind of work, latencies and floors not included, (W,) each.

    Attributes
    ----------
    lengths, ids : the two parts of the id exchange
    prefetch : filling caches
    prefetch_bytes : what that moves from the host [bytes]
    forward, backward : lookups in sharded tables, and their update
    replicated_forward, replicated_backward : the same for replicated tables
    outputs, gradients : Exchange
    replicated_all_reduce : gradients of replicated tables
    """

    lengths: Floats
    ids: Floats
    prefetch: Floats
    prefetch_bytes: Floats
    forward: Floats
    backward: Floats
    replicated_forward: Floats
    replicated_backward: Floats
    outputs: Exchange
    gradients: Exchange
    replicated_all_reduce: Floats

    @classmethod
    def of(cls, evaluation: Evaluation) -> Self:
        """Split an evaluation's prices by kind of work.

        Notes
        -----
        Summed by phase, the parts are the evaluation's loads.
        """
        holders = _Holders(evaluation)
        cost, shards = evaluation.prices.cost, evaluation.arrays
        copy = shards.is_replicated[:, None]

        def total(phase: Phase, share: Bools) -> Floats:
            return holders.sum(cost[:, :, PHASES.index(phase)] * share)

        ids = holders.sum(np.where(copy, 0.0, _id_seconds(evaluation)))
        return cls(
            lengths=np.maximum(total(Phase.INPUT_DIST, ~copy) - ids, 0.0),
            ids=ids,
            prefetch=total(Phase.PREFETCH_COMPUTE, copy | ~copy),
            prefetch_bytes=_prefetch_bytes(evaluation, holders),
            forward=total(Phase.FWD_COMPUTE, ~copy),
            backward=total(Phase.BWD_COMPUTE, ~copy),
            replicated_forward=total(Phase.FWD_COMPUTE, copy),
            replicated_backward=total(Phase.BWD_COMPUTE, copy),
            outputs=_exchange(evaluation, holders, Phase.FWD_COMMS),
            gradients=_exchange(evaluation, holders, Phase.BWD_COMMS),
            replicated_all_reduce=total(Phase.BWD_COMMS, copy),
        )


class _Holders:
    """Which ranks hold each shard, for sums per rank."""

    def __init__(self, evaluation: Evaluation) -> None:
        shards, self._cluster = evaluation.shards, evaluation.cluster
        sizes = np.array([len(shard.ranks) for shard in shards], dtype=np.int64)
        self._everywhere = sizes == self._cluster.world_size
        some = np.flatnonzero(~self._everywhere)
        self._shard = np.repeat(some, sizes[some])
        self._rank = np.array(
            [rank for i in some for rank in shards[i].ranks], dtype=np.int64
        )

    def sum(self, seconds: Floats) -> Floats:
        """Sum the seconds (N, C) of the shards on every rank (W,)."""
        rank_class = self._cluster.rank_class
        total = seconds[self._everywhere].sum(axis=0)[rank_class]
        own = seconds[self._shard, rank_class[self._rank]]
        return np.asarray(
            total + np.bincount(self._rank, own, minlength=self._cluster.world_size)
        )


def _prefetch_bytes(evaluation: Evaluation, holders: _Holders) -> Floats:
    """Bytes that caches of each rank fetch from its host (W,)."""
    shards, cluster = evaluation.arrays, evaluation.cluster
    if not shards.is_kernel(*CACHING_KERNELS).any():
        return np.zeros(cluster.world_size)
    volumes = volumes_of(shards, evaluation.usage, cluster.world_size)
    fetched = fetched_bytes(shards, volumes, evaluation.usage)
    return holders.sum(np.repeat(fetched[:, None], len(cluster.host_groups), axis=1))


def _id_seconds(evaluation: Evaluation) -> Floats:
    """Seconds to send ids and weights (N, C); the rest of their phase is lengths."""
    usage, shards = evaluation.usage, evaluation.arrays
    ids = usage.num_lookups[shards.table] * shards.row_share
    num_bytes = ids * usage.id_bytes[shards.table]
    return np.asarray(num_bytes[:, None] * evaluation.rates.all_to_all)


def _exchange(evaluation: Evaluation, holders: _Holders, phase: Phase) -> Exchange:
    """Split a communication phase by who exchanges with whom."""
    shards, rates = evaluation.arrays, evaluation.rates
    encode = _encode_seconds(evaluation, phase)
    cost = evaluation.prices.cost[:, :, PHASES.index(phase)] - encode
    pooled = evaluation.usage.is_pooled[shards.table]
    reduces = pooled & shards.is_partial & (shards.scope != Scope.RANK)
    sharded = ~shards.is_replicated

    def total(mask: Bools, share: Floats | float = 1.0) -> Floats:
        return holders.sum(np.where((mask & sharded)[:, None], cost * share, 0.0))

    reduce: dict[Scope, Floats] = {}
    across: dict[Scope, Floats] = {}
    for scope in SCOPES:
        if scope is Scope.RANK:
            continue
        mask = reduces & (shards.scope == scope)
        both = rates.reduce_scatter[scope] + rates.across_groups[scope]
        share = rates.reduce_scatter[scope] / np.where(both > 0, both, 1.0)
        reduce[scope] = total(mask, share)
        across[scope] = total(mask, 1.0 - share)
    return Exchange(total(~reduces), reduce, across, holders.sum(encode))


def _encode_seconds(evaluation: Evaluation, phase: Phase) -> Floats:
    """Seconds to compress and restore each shard's messages (N, C)."""
    shards, usage = evaluation.arrays, evaluation.usage
    if usage.compression(phase) is None:
        return np.zeros((len(shards), len(evaluation.cluster.host_groups)))
    volumes = volumes_of(shards, usage, evaluation.cluster.world_size)
    return compressed(phase, shards, volumes, usage, evaluation.rates).encode_s
