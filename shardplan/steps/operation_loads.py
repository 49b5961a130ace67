"""What each operation of a step takes, as a function of the loads of all ranks.

An operation takes a time that depends on one number, its amount: of a kernel the
seconds of its slowest rank, of a collective those of its fullest link. What a link
carries is a sum of loads of ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.communication.all_reduce import all_reduce_seconds
from shardplan.steps.backward import BackwardPass
from shardplan.steps.link_sharing import all_to_alls
from shardplan.steps.pricing import REPLICA_SYNC, REPLICAS
from shardplan.steps.program import step_parts
from shardplan.steps.settings import SimulationSettings
from shardplan.steps.step_parts import reduce_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shardplan.costs.communication.link_rates import LinkRates
    from shardplan.costs.communication.traffic import Traffic
    from shardplan.costs.scopes import Scope
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.steps.pricing import StepPricer
    from shardplan.steps.sparse_work import SparseWork

    Flow = Callable[[SparseWork], Traffic]

_SHORT_S, _LONG_S = 1e-15, 1e3
"""Loads that take next to no time, and so much that floors are nothing [s]."""
KERNELS = (
    "cache_prefetch",
    "embedding_forward",
    "replicated_forward",
    "output_encode",
    "gradient_encode",
    "replicated_backward",
    "embedding_backward",
    REPLICA_SYNC,
)
"""Operations of single ranks."""


@dataclass(frozen=True, eq=False)
class OperationLoad:
    """One operation that depends on tables; W ranks.

    Attributes
    ----------
    name : str
        As in the program of the step.
    columns : int array (J,)
        Columns of a `StepPricer` that load it.
    share : float array (M, W, J)
        What a second of load of each rank adds to each of M links, or ranks [s].
    curve : callable
        Seconds for amounts above 0; they rise with them.
    kink_s : float
        The amount at which the curve turns sharply; 0 for none [s].
    idle_s : float
        What it takes without any load: for dense layers alone [s].
    """

    name: str
    columns: Ints
    share: Floats
    curve: Callable[[Floats], Floats]
    kink_s: float = 0.0
    idle_s: float = 0.0

    def amount(self, cost: Floats) -> float:
        """Return the amount for loads (W, R) [s]."""
        load = cost[:, self.columns].ravel()
        return float((self.share.reshape(len(self.share), -1) @ load).max())


def operation_loads(pricer: StepPricer, used: Bools) -> list[OperationLoad]:
    """List the operations that some columns load.

    Parameters
    ----------
    pricer : StepPricer
    used : bool array (R,)
        Columns that loads may be in.

    Notes
    -----
    Where messages for other rails are forwarded inside a host, what scale-up links
    carry is a little less than the sum here.
    """
    return [*_kernels(pricer, used), *_Collectives(pricer, used).all()]


class _Collectives:
    """Puts the load of one rank at a time on the links of a cluster."""

    def __init__(self, pricer: StepPricer, used: Bools) -> None:
        self._pricer, self._used = pricer, used
        self._world = pricer.model.cluster.world_size
        nothing = pricer.work(np.zeros((self._world, len(pricer.phases))))
        parts = step_parts(pricer.model, nothing, SimulationSettings.path())
        self._network, self._back = parts.network, BackwardPass(**vars(parts))

    def all(self) -> Iterator[OperationLoad]:
        """List the collectives that are in use."""
        network = self._network
        links, time = network.rates.collectives.all_to_all, network.all_to_all_time
        for exchange in all_to_alls(network):
            names, flow = list(exchange.columns), exchange.carried
            yield from self._carried(exchange.name, names, links, flow, time)
        yield from self._reductions()
        yield from self._replicas()

    def _reductions(self) -> Iterator[OperationLoad]:
        network = self._network
        links = network.rates.collectives.reduce
        for kind, exchange in (
            ("reduce_scatter", "outputs"),
            ("all_gather", "gradients"),
        ):
            for scope, name in reduce_names(kind):

                def flow(
                    work: SparseWork, scope: Scope = scope, exchange: str = exchange
                ) -> Traffic:
                    # A rank that is alone in its group has nothing to reduce.
                    array = getattr(work, exchange).sums.get(scope)
                    if array is None:
                        return network.nothing().traffic
                    return network.reduce(array, scope).traffic

                time = partial(network.reduce_time, scope=scope)
                yield from self._carried(name, [name], links, flow, time)

    def _replicas(self) -> Iterator[OperationLoad]:
        """All-reduce of replicated tables, by itself or with that of dense layers."""
        column = self._pricer.phases.index(REPLICAS)
        collectives, back = self._network.rates.whole, self._back
        # Of the price of two passes; the slowest class says how many bytes there are.
        price = 2.0 * self._network.rates.all_reduce.max()
        if not self._used[column] or price <= 0:
            return
        joined = back.first_bucket_bytes if back.joins_all_reduces else 0.0
        share = np.eye(self._world)[:, :, None]

        def time(seconds: Floats) -> Floats:
            return all_reduce_seconds(joined + seconds / price, collectives)

        yield OperationLoad(
            "dense_all_reduce.0" if joined else REPLICAS,
            np.array([column]),
            share,
            time,
            idle_s=float(time(np.zeros(1))[0]) if joined else 0.0,
        )

    def _carried(
        self,
        operation: str,
        names: list[str],
        links: LinkRates,
        flow: Flow,
        time: Callable[[Floats], Floats],
    ) -> Iterator[OperationLoad]:
        """Make a collective, if there is something to carry."""
        phases = self._pricer.phases
        columns = [phases.index(name) for name in names]
        columns = [column for column in columns if self._used[column]]
        if not columns:
            return
        share = np.stack(
            [
                [self._links_of(links, flow, rank, column) for column in columns]
                for rank in range(self._world)
            ]
        )
        found = _without_idle(np.moveaxis(share, 2, 0))
        if len(found):
            yield OperationLoad(operation, np.array(columns), found, time)

    def _links_of(self, links: LinkRates, flow: Flow, rank: int, column: int) -> Floats:
        """Seconds of every link, each way, for a second of load of one rank (M,)."""
        cost = np.zeros((self._world, len(self._pricer.phases)))
        cost[rank, column] = 1.0
        return links.seconds_each_way(flow(self._pricer.work(cost))).ravel()


def _kernels(pricer: StepPricer, used: Bools) -> Iterator[OperationLoad]:
    """List what single ranks do: the seconds of their passes, or a least time."""
    world = pricer.model.cluster.world_size
    ones = np.ones((world, len(pricer.phases)))
    short, long = (pricer.predict(load * ones) for load in (_SHORT_S, _LONG_S))
    for name in KERNELS:
        if name not in pricer.phases or not used[pricer.phases.index(name)]:
            continue
        column = pricer.phases.index(name)
        floor, passes = short.seconds_of(name), long.seconds_of(name) / _LONG_S
        yield OperationLoad(
            name,
            np.array([column]),
            passes * np.eye(world)[:, :, None],
            partial(np.maximum, floor),
            kink_s=floor,
        )


def _without_idle(share: Floats) -> Floats:
    """Leave out links that are never fuller than another one (M, W, J)."""
    shape = share.shape
    flat = np.unique(share.reshape(len(share), -1), axis=0)
    flat = flat[flat.any(axis=1)]
    # Sorted, a link is covered by one with a larger sum only.
    flat = flat[np.argsort(-flat.sum(axis=1), kind="stable")]
    kept: list[Floats] = []
    for link in flat:
        if not any((other >= link * (1.0 - 1e-12)).all() for other in kept):
            kept.append(link)
    return np.array(kept).reshape(len(kept), *shape[1:])
