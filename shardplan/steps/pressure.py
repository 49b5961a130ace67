"""How loads of ranks press on the operations of a step: what a lower bound needs.

An operation takes a time that depends on one number, its pressure: of a collective the
seconds of its fullest link, of a kernel those of its slowest rank. Pressures are at
least linear in the loads, whatever rank has them; these are the factors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.communication.all_reduce import all_reduce_seconds
from shardplan.costs.communication.link_rates import KINDS, UPLINK, nic_ports
from shardplan.costs.communication.links import pcie_links
from shardplan.costs.scopes import SCOPES, Scope
from shardplan.records.memo import by_identity
from shardplan.steps.backward import BackwardPass
from shardplan.steps.pricing import REPLICA_SYNC, REPLICAS
from shardplan.steps.program import build_program, step_parts
from shardplan.steps.settings import SimulationSettings
from shardplan.steps.step_parts import reduce_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shardplan.costs.cluster import Cluster
    from shardplan.costs.communication.link_rates import LinkRates
    from shardplan.costs.communication.routing import Routes
    from shardplan.costs.communication.traffic import Traffic
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.steps.pricing import StepPricer

    Curve = Callable[[Floats], Floats]
    Flow = Callable[..., Traffic]

_LONG_S = 1e3
"""A load beside which latencies and floors are nothing [s]."""
_SHORT_S = 1e-15
"""A load that takes no time by itself [s]."""
_ROUNDOFF = 1e-9
"""Share by which factors differ that are the same."""
_LOCAL = (
    "cache_prefetch",
    "embedding_forward",
    "embedding_backward",
    REPLICA_SYNC,
    "output_encode",
    "gradient_encode",
    "replicated_forward",
    "replicated_backward",
)
"""Operations of single ranks."""


@dataclass(frozen=True, eq=False)
class Pressure:
    """What an operation takes, from below.

    Attributes
    ----------
    operation : str
    meets : bool
        If it runs at all, all ranks begin and end it together.
    columns : int array (J,)
        All columns of a `StepPricer` whose loads may press on it. A load in the first
        one always does.
    mean : float array (C, J)
        Pressure is at least the sum of this times the mean load of a class.
    peak : float array (C, J)
        And at least this times the load of any rank of a class.
    curve : callable or None
        Seconds under a pressure above 0; they rise with it. None: the pressure itself,
        rank by rank.
    idle_s : float
        Seconds without pressure: what it takes for dense layers alone [s].
    """

    operation: str
    meets: bool
    columns: Ints
    mean: Floats
    peak: Floats
    curve: Curve | None = None
    idle_s: float = 0.0

    @property
    def is_local(self) -> bool:
        """Whether it is of single ranks: a kernel or a copy, no collective."""
        return self.operation in _LOCAL


@by_identity
def pressures(pricer: StepPricer) -> tuple[Pressure, ...]:
    """List the operations that depend on tables; the last lists are kept.

    Notes
    -----
    What a collective's links carry is linear in the loads, or convex, and alike for all
    ranks of an even class: the fullest link has at least what it has if all ranks have
    the mean load (Jensen 1906), and at least what a single rank puts on it alone. Where
    ranks are not alike, the latter counts for both. A kernel takes the seconds of its
    rank times its passes, or its least time; a reduction in groups the seconds of its
    links or more.
    """
    return (*_CollectiveProbe(pricer).all(), *_kernels(pricer))


class _CollectiveProbe:
    """Probes what one rank, and all of a class, put on the links of a cluster."""

    def __init__(self, pricer: StepPricer) -> None:
        model = pricer.model
        self._pricer, self._rates = pricer, model.rates
        self._cluster: Cluster = model.cluster
        self._classes = len(model.cluster.host_groups)
        nothing = pricer.work(np.zeros((model.cluster.world_size, len(pricer.phases))))
        parts = step_parts(model, nothing, SimulationSettings.path())
        self._back = BackwardPass(**vars(parts))
        self._network = parts.network
        self._samples, self._even = _samples(model.cluster, parts.network.routes)

    def all(self) -> Iterator[Pressure]:
        """List the collectives that take time on this cluster at all."""
        routes = self._network.routes
        for name in ("length_exchange", "id_exchange"):
            yield from self._all_to_all(name, "", routes.gather)
        yield from self._all_to_all(
            "output_all_to_all", "reduce_scatter", routes.spread
        )
        yield from self._all_to_all("gradient_all_to_all", "all_gather", routes.gather)
        for kind in ("reduce_scatter", "all_gather"):
            for scope, name in reduce_names(kind):
                yield from self._reduction(name, scope)
        yield from self._replicas()

    def _all_to_all(self, name: str, kind: str, flow: Flow) -> Iterator[Pressure]:
        """All ranks to all ranks; groups send on what they have reduced."""
        cluster, links = self._cluster, self._rates.collectives.all_to_all
        own = _Probe(
            cluster, links, partial(flow, inside=Scope.RANK), self._rates.all_to_all
        )
        mean, row = self._mean(own)
        means, names = [mean], [name]
        for scope, reduced in reduce_names(kind) if kind else ():
            if scope is Scope.ALL:  # nothing is left to send
                continue
            names.append(reduced)
            # On a mixed cluster not all of their links add up; they count as nothing.
            if self._classes > 1 or row is None:
                means.append(np.zeros_like(mean))
                continue
            size = cluster.groups(scope).size
            sent = _Probe(
                cluster,
                links,
                partial(_kept, flow=flow, size=size, scope=scope),
                self._rates.reduce_scatter[scope],
            )
            means.append(np.array([sent.rows(cluster.rank_class == 0)[row]]))
        peaks = [self._peak(own), *(np.zeros_like(mean) for _ in names[1:])]
        yield from self._pressure(
            name, names, means, peaks, self._network.all_to_all_time
        )

    def _reduction(self, name: str, scope: Scope) -> Iterator[Pressure]:
        """Reduce-scatter or all-gather: of all ranks, or in groups, rank by rank."""
        links, routes = self._rates.collectives.reduce, self._network.routes
        price = self._rates.reduce_scatter[scope]
        probe = _Probe(self._cluster, links, partial(routes.ring, scope=scope), price)
        peak = self._peak(probe)
        if scope is Scope.ALL:
            time = partial(self._network.reduce_time, scope=scope)
            mean, _ = self._mean(probe)
            yield from self._pressure(name, [name], [mean], [peak], time)
        else:
            yield from self._pressure(name, [name], [peak], [peak], None)

    def _replicas(self) -> Iterator[Pressure]:
        """All-reduce of replicated tables, by itself or with that of dense layers."""
        back, collectives = self._back, self._rates.whole
        joined = back.first_bucket_bytes if back.joins_all_reduces else 0.0
        name = "dense_all_reduce.0" if joined else REPLICAS
        # Of the price of two passes; the slowest class says how many bytes there are.
        price = 2.0 * self._rates.all_reduce.max()

        def time(seconds: Floats) -> Floats:
            return all_reduce_seconds(joined + seconds / price, collectives)

        if price > 0:
            ones = np.ones(self._classes)
            idle_s = float(time(np.zeros(1))[0]) if joined else 0.0
            found = self._pressure(name, [REPLICAS], [ones], [ones], time)
            yield from (replace(one, idle_s=idle_s) for one in found)

    def _pressure(
        self,
        name: str,
        columns: list[str],
        means: list[Floats],
        peaks: list[Floats],
        curve: Curve | None,
    ) -> Iterator[Pressure]:
        index = np.array([self._pricer.phases.index(column) for column in columns])
        mean, peak = np.stack(means, axis=1), np.stack(peaks, axis=1)
        if mean.any():
            yield Pressure(name, curve is not None, index, mean, peak, curve)

    def _mean(self, probe: _Probe) -> tuple[Floats, int | None]:
        """Pressure of one second on all ranks of each class (C,), and by which link."""
        peak = self._peak(probe)
        if not self._even.any():
            return peak, None
        rank_class = self._cluster.rank_class
        rows = np.array([probe.rows(rank_class == c) for c in range(self._classes)])
        rows[:, ~self._even] = 0.0
        mean = rows.max(axis=1)
        if (mean < peak * (1.0 - _ROUNDOFF)).any():  # uneven links are the slowest
            return np.maximum(mean, peak), None
        return mean, int(rows[0].argmax())

    def _peak(self, probe: _Probe) -> Floats:
        """Least pressure of one second on a single rank of each class (C,)."""
        world, least = self._cluster.world_size, np.full(self._classes, np.inf)
        for rank in self._samples:
            alone = probe.rows(np.arange(world) == rank).max()
            which = self._cluster.rank_class[rank]
            least[which] = min(least[which], alone)
        return least


@dataclass(frozen=True)
class _Probe:
    """Loads of one second on some ranks, and the seconds of the links they fill."""

    cluster: Cluster
    links: LinkRates
    flow: Callable[[Floats], Traffic]
    price: Floats

    def rows(self, ranks: Bools) -> Floats:
        """Seconds of the fullest link of every kind and direction (2 K,)."""
        price = self.price[self.cluster.rank_class]
        array = np.where(ranks & (price > 0), 1.0, 0.0) / np.where(
            price > 0, price, 1.0
        )
        return np.asarray(self.links.seconds_each_way(self.flow(array)).max(axis=1))


def _kept(array: Floats, flow: Flow, size: Ints, scope: Scope) -> Traffic:
    """Send what each rank of a group is left with after a reduction."""
    return flow(array / size, inside=scope)


def _kernels(pricer: StepPricer) -> Iterator[Pressure]:
    """List kernels and copies: rank by rank, or alike on all ranks of one class."""
    world, classes = pricer.model.cluster.world_size, pricer.model.cluster.class_ranks
    loads = np.ones((world, len(pricer.phases)))
    long, short = (_seconds(pricer, share * loads) for share in (_LONG_S, _SHORT_S))
    for name in (name for name in _LOCAL if name in pricer.phases):
        index = pricer.phases.index(name)
        passes = long[name] / _LONG_S
        slopes = np.full((len(classes), 1), passes)
        is_uniform = name.startswith("replicated") and len(classes) == 1
        floor = partial(np.maximum, short[name]) if is_uniform else None
        yield Pressure(name, False, np.array([index]), slopes, slopes, floor)


def _seconds(pricer: StepPricer, loads: Floats) -> dict[str, float]:
    """Return what every operation takes on its fastest rank [s]."""
    program = build_program(pricer.model, pricer.work(loads), SimulationSettings.path())
    return {operation.name: float(operation.seconds.min()) for operation in program}


def _samples(cluster: Cluster, routes: Routes) -> tuple[Ints, Bools]:
    """Return a rank of every kind, and the links on which those of a class are alike.

    Of `_Probe.rows`: all of them, all but uplinks, or none.

    Notes
    -----
    Ranks are alike if each class is cut evenly by whatever ranks share: a PCIe link, a
    NIC, a host, a domain, a leaf, and shares each with as many ranks of every class: a
    leaf with faster hosts has a faster uplink. Parts are of consecutive ranks, so that
    some permutation takes any rank to any other and links to links. What other links
    carry does not depend on leafs, so that ranks may be alike on them with a leaf that
    is not full.
    """
    leafs = (routes.leaf, routes.leaf_group.ids)
    parts = (
        pcie_links(cluster)[0],
        nic_ports(cluster)[0],
        cluster.rank_host,
        cluster.rank_domain,
        *(cluster.groups(scope).of_rank for scope in SCOPES),
    )
    # One leaf of each rail crosses hosts, all the others nest.
    shares, is_even = _alike(cluster, (*leafs, *parts), 1)
    _, first = np.unique(np.c_[routes.position, shares], axis=0, return_index=True)
    is_uplink = np.array([kind == UPLINK for kind in (*KINDS, *KINDS)])
    even = is_even | (_alike(cluster, parts)[1] & ~is_uplink)
    return np.sort(first), even


def _alike(
    cluster: Cluster, parts: Sequence[Ints], crossing: int = 0
) -> tuple[Ints, bool]:
    """Return who shares with how many (W, ...), and whether parts are even.

    Parameters
    ----------
    parts : sequence of int array (W,)
        Partitions of the ranks; all but the `crossing` first ones must nest.
    """
    rank_class = cluster.rank_class
    members = np.eye(int(rank_class.max()) + 1)[rank_class].T
    sizes = np.array([[np.bincount(part, m)[part] for m in members] for part in parts])
    shares = np.c_[rank_class, sizes.reshape(-1, len(rank_class)).T]
    shapes = np.unique(shares, axis=0)
    sums = sizes[crossing:].sum(axis=1).T
    nested = np.sort(np.unique(sums, axis=0), axis=1)
    divides = nested[:, 1:] % nested[:, :-1] == 0
    return shares, len(shapes) == len(cluster.host_groups) and bool(divides.all())
