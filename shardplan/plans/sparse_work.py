"""Add up what the shards of a plan ask of every rank, by kind of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs import messages
from shardplan.costs.pricing import fetched_bytes
from shardplan.costs.replica_sync import sync_seconds
from shardplan.costs.scopes import Scope
from shardplan.costs.shards import volumes_of
from shardplan.records.sharding import CACHING_KERNELS, PHASES, Phase
from shardplan.steps.sparse_work import Exchange, SparseWork

if TYPE_CHECKING:
    from shardplan.plans.evaluation import Evaluation
    from shardplan.records.arrays import Bools, Floats


def sparse_work(evaluation: Evaluation) -> SparseWork:
    """Split what a plan asks of its ranks by kind of work.

    Notes
    -----
    Bytes at their prices, and seconds, add up to the evaluation's loads.
    """
    holders = _Holders(evaluation)
    cost, shards = evaluation.prices.cost, evaluation.arrays
    usage, world = evaluation.usage, evaluation.cluster.world_size
    copy = shards.is_replicated[:, None]
    replicas = messages.replica_bytes(shards, usage)
    volumes = volumes_of(shards, usage, world)

    def seconds(phase: Phase, share: Bools) -> Floats:
        return holders.sum(cost[:, :, PHASES.index(phase)] * share)

    return SparseWork(
        length_bytes=holders.sum_bytes(messages.length_bytes(shards, usage)),
        id_bytes=holders.sum_bytes(messages.id_bytes(shards, usage, world)),
        prefetch=seconds(Phase.PREFETCH_COMPUTE, copy | ~copy),
        prefetch_bytes=_prefetch_bytes(evaluation, holders),
        forward=seconds(Phase.FWD_COMPUTE, ~copy),
        backward=seconds(Phase.BWD_COMPUTE, ~copy),
        replicated_forward=seconds(Phase.FWD_COMPUTE, copy),
        replicated_backward=seconds(Phase.BWD_COMPUTE, copy),
        outputs=_exchange(evaluation, holders, Phase.FWD_COMMS),
        gradients=_exchange(evaluation, holders, Phase.BWD_COMMS),
        replica_bytes=float(holders.sum_bytes(replicas).max()),
        replica_sync=holders.sum(sync_seconds(shards, volumes, evaluation.rates)),
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
        return self._added(seconds[self._shard, rank_class[self._rank]], total)

    def sum_bytes(self, num_bytes: Floats) -> Floats:
        """Sum the bytes (N,) of the shards on every rank (W,)."""
        total = num_bytes[self._everywhere].sum()
        return self._added(num_bytes[self._shard], total)

    def _added(self, own: Floats, everywhere: Floats) -> Floats:
        """Add what single ranks have to what all have."""
        ranks = np.bincount(self._rank, own, minlength=self._cluster.world_size)
        return np.asarray(everywhere + ranks)


def _prefetch_bytes(evaluation: Evaluation, holders: _Holders) -> Floats:
    """Bytes that caches of each rank fetch from its host (W,)."""
    shards, cluster = evaluation.arrays, evaluation.cluster
    if not shards.is_kernel(*CACHING_KERNELS).any():
        return np.zeros(cluster.world_size)
    volumes = volumes_of(shards, evaluation.usage, cluster.world_size)
    return holders.sum_bytes(fetched_bytes(shards, volumes, evaluation.usage))


def _exchange(evaluation: Evaluation, holders: _Holders, phase: Phase) -> Exchange:
    """Split outputs or gradients by who exchanges with whom."""
    shards, usage = evaluation.arrays, evaluation.usage
    sent = messages.output_bytes(phase, shards, usage, evaluation.rates)
    is_sum = messages.reduces(shards, usage)
    return Exchange(
        whole=holders.sum_bytes(np.where(is_sum, 0.0, sent.num_bytes)),
        sums={
            Scope(scope): holders.sum_bytes(
                np.where(is_sum & (shards.scope == scope), sent.num_bytes, 0.0)
            )
            for scope in np.unique(shards.scope[is_sum])
        },
        encode=holders.sum(sent.encode_s),
    )
