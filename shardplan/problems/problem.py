"""The planning problem: options, pools and constraints as arrays for the solvers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.prepared import prepare
from shardplan.costs.pricer import ModelPricer
from shardplan.costs.scopes import SCOPES, Scope
from shardplan.problems.bundling import Bundles
from shardplan.problems.loads import Loads
from shardplan.problems.options.menu import enumerate_options
from shardplan.problems.pins import allowed_ranks
from shardplan.records.brief import Brief
from shardplan.records.sharding import Objective, Target
from shardplan.records.targets import require_optimizer
from shardplan.records.torchrec_cost_model import measured
from shardplan.steps.pricing import StepPricer
from shardplan.units import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.costs.cluster import Cluster
    from shardplan.costs.memory.capacity import Capacity
    from shardplan.costs.pricer import Pricer
    from shardplan.costs.usage import TableUsage
    from shardplan.problems.options.arrays import Options
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.records.topology import Topology
    from shardplan.records.torchrec_cost_model import AnyCostModel
    from shardplan.records.workload import Workload


_SLACK = 1e-9
"""Share of a pool left free, so that another order of summation still fits."""


@dataclass(frozen=True, eq=False)
class Assignment:
    """One solution.

    Attributes
    ----------
    option : int array (B,)
        The option that each bundle takes, an index into `Problem.options`.
    places : tuple of B int arrays
        Where each bundle's items go, the wider item first: groups of the option's
        scope, by their number in `Cluster.groups`; empty for scope `ALL`.
    """

    option: Ints
    places: tuple[Ints, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Problem(Brief):
    """Everything a solver needs, and nothing else.

    A bundle is a group of tables that stay together (`colocate`), most often one
    table. Solvers choose one option per bundle and a place for each of its items.

    Attributes
    ----------
    objective : Objective
        What to minimise; `value` knows how.
    target : Target
        The framework that is to run the plan.
    cluster : Cluster
        The topology as arrays over ranks and hosts.
    usage : TableUsage
        What the tables do in a step, as arrays.
    pricer : Pricer
        What made the prices.
    capacity : Capacity
        Bytes of every memory pool; `Loads.fits` compares with it.
    options : Options
        The menu; its `table` is the index of the bundle.
    bundles : Bundles
        From bundles back to tables.
    allowed : dict of int to bool array (W,)
        Ranks that a bundle may use; a bundle that is missing may use all.
    conflicts : dict of int to frozenset of int
        Bundles that may not share a rank with this one (`separate`).
    all_tiers : bool
        Whether the menu offers DDR and SSD to every table.
    """

    objective: Objective
    target: Target
    cluster: Cluster
    usage: TableUsage
    pricer: Pricer
    capacity: Capacity
    options: Options
    bundles: Bundles
    allowed: dict[int, Bools]
    conflicts: dict[int, frozenset[int]]
    all_tiers: bool = False

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        return {
            "workload": self.usage.workload.name,
            "topology": f"{self.cluster.topology.name}: "
            f"{plural(self.world_size, 'rank')}",
            "menu": plural(len(self.options), "option"),
        }

    @property
    def num_bundles(self) -> int:
        """Number of bundles B."""
        return len(self.bundles)

    @property
    def world_size(self) -> int:
        """Number of ranks W."""
        return self.cluster.world_size

    @property
    def num_phases(self) -> int:
        """Phases P in which options are priced."""
        return int(self.options.item_cost.shape[2])

    def bundle_names(self) -> list[str]:
        """Name of each bundle: its tables joined by ``+``."""
        tables = self.usage.workload.tables
        return ["+".join(tables[i].name for i in m) for m in self.bundles.members]

    @cached_property
    def everyone(self) -> Bools:
        """The mask that allows every rank."""
        return np.ones(self.world_size, dtype=bool)

    @cached_property
    def apart(self) -> Bools:
        """Options whose shards all have places of their own, bool array (O,).

        For TorchRec all blocks of columns, too: two on one rank would read each id
        twice, where one of both widths reads it once.
        """
        menu = self.options
        is_cut = menu.scope != Scope.ALL
        return menu.apart | is_cut if self.target is Target.TORCHREC else menu.apart

    @property
    def rooms(self) -> tuple[Floats, Floats, Floats]:
        """Bytes up to which solvers fill the pools of each tier.

        Sums of fractions may come out larger in another order, so a little is left
        free. Sums of whole bytes are exact: what fills a pool to the last byte fits,
        and half a byte more keeps shares of it off the limit.
        """
        found = []
        for tier, is_whole in enumerate(self.options.has_whole_bytes):
            pools = self.capacity.of_tier(tier)
            exact = np.where(pools > 0.0, np.floor(pools) + 0.5, 0.0)
            found.append(exact if is_whole else pools * (1.0 - _SLACK))
        hbm, ddr, ssd = found
        return hbm, ddr, ssd

    def allowed_ranks(self, bundle: int) -> Bools:
        """Ranks that a bundle may use, bool array (W,)."""
        return self.allowed.get(bundle, self.everyone)

    @property
    def limited(self) -> Bools:
        """Bundles with pins or conflicts, bool array (B,)."""
        limited = np.zeros(self.num_bundles, dtype=bool)
        limited[[*self.allowed, *self.conflicts]] = True
        return limited

    def place_ranks(self, scope: int, place: int) -> slice:
        """Ranks of one place of a scope; they are always consecutive."""
        groups = self.cluster.groups(scope)
        first = int(groups.first_rank[place])
        return slice(first, first + int(groups.num_ranks[place]))

    def group_places(self, bundle: int, option: int) -> Ints:
        """Places that an option's items may take, by constraints and sizes alone."""
        menu = self.options
        whose = bundle if bundle in self.allowed else -1
        key = whose, menu.scope.item(option), menu.row_shards.item(option)
        found = self._group_places.get(key)
        if found is None:
            found = self._group_places[key] = self._find_places(*key)
        return found

    @cached_property
    def _group_places(self) -> dict[tuple[int, int, int], Ints]:
        return {}

    def _find_places(self, bundle: int, scope: int, size: int) -> Ints:
        groups = self.cluster.groups(scope)
        usable = np.logical_and.reduceat(self.allowed_ranks(bundle), groups.first_rank)
        if Scope(scope).types:
            fitting = groups.of_size(size)
            return np.asarray(fitting[usable[fitting]])
        return np.flatnonzero(usable)

    def loads(self, assignment: Assignment) -> Loads:
        """Add up what an assignment puts on every rank and host."""
        menu = self.options
        loads = Loads.empty(self.cluster, self.capacity.rank_pool, self.num_phases)
        item, place = self._instances(assignment)
        scope = menu.scope[menu.item_option[item]]
        for kind in SCOPES:
            chosen = np.flatnonzero(scope == kind)
            items = item[chosen]
            if kind == Scope.ALL:
                loads.add_everywhere(menu.item_cost[items], menu.item_bytes[items])
                continue
            which, rank = self.ranks_of(kind, place[chosen])
            some = items[which]
            loads.add(rank, menu.item_cost[some], menu.item_bytes[some])
        return loads

    def value(self, assignment: Assignment) -> float:
        """Value of an assignment under the problem's objective [s]."""
        return self.value_of(self.loads(assignment))

    def value_of(self, loads: Loads) -> float:
        """Value of loads under the problem's objective [s]."""
        if isinstance(self.pricer, StepPricer) and self.objective is Objective.TIME:
            return self.pricer.predict(loads.cost).step_s
        return loads.value(self.objective)

    def _instances(self, assignment: Assignment) -> tuple[Ints, Ints]:
        """List every placed item: item index and place (-1 for scope ALL)."""
        menu = self.options
        first = menu.item_start[assignment.option]
        sizes = menu.item_start[assignment.option + 1] - first
        items = np.repeat(first - np.r_[0, np.cumsum(sizes)[:-1]], sizes)
        items = items + np.arange(len(items))
        item = np.repeat(items, menu.item_count[items])
        everywhere = menu.scope[assignment.option] == Scope.ALL
        none = np.array([-1])
        places = [
            none if every else place
            for place, every in zip(assignment.places, everywhere, strict=True)
        ]
        return item, np.concatenate(places)

    def ranks_of(self, scope: int, place: Ints) -> tuple[Ints, Ints]:
        """Expand places to ranks: index of the place, and rank, for every rank."""
        groups = self.cluster.groups(scope)
        if groups.even_size:
            which = np.repeat(np.arange(len(place)), groups.even_size)
            offset = np.arange(groups.even_size)
            return which, (groups.first_rank[place][:, None] + offset).ravel()
        sizes = groups.num_ranks[place]
        offset = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        which = np.repeat(np.arange(len(place)), sizes)
        return which, np.repeat(groups.first_rank[place], sizes) + offset

    def ranks_used(self, scope: int, places: Ints) -> Bools:
        """Ranks that items at places of a scope are on, bool array (W,)."""
        used = np.full(self.world_size, scope == Scope.ALL)
        used[self.ranks_of(scope, places)[1]] = True
        return used


def build_problem(
    workload: Workload,
    topology: Topology,
    cost_model: AnyCostModel,
    *,
    target: Target = Target.ANY,
    objective: Objective = Objective.STEP,
    all_tiers: bool = False,
    go_on: Callable[[], None] = lambda: None,
) -> Problem:
    """Enumerate and price the options and collect pools and constraints.

    Parameters
    ----------
    workload : Workload
        The tables.
    topology : Topology
        The cluster.
    cost_model : CostModel or TorchRecCostModel
        What software achieves on it.
    target : Target
        The framework that is to run the plan: which options there are.
    objective : Objective
        What plans are compared by.
    all_tiers : bool
        Offer DDR and SSD to every table, not only where memory could run short.
    go_on : callable
        Is called now and then, for this may take long; raises to end it.

    Returns
    -------
    Problem
        With options that have places; a bundle may have none.

    Raises
    ------
    InputError
        If constraints name ranks or hosts that the topology does not have, the
        target lacks the workload's optimizer, or `time` is asked of a cost model that
        cannot time a step.
    """
    require_optimizer(workload, target, topology.replicas)
    inputs = prepare(workload, topology, cost_model, target)
    pricer = inputs.pricer
    if objective is Objective.TIME:
        measured(cost_model)
        assert isinstance(pricer, ModelPricer)
        pricer = StepPricer(pricer)
    menu = enumerate_options(
        inputs.usage,
        inputs.cluster,
        pricer,
        inputs.capacity,
        target,
        objective,
        all_tiers=all_tiers,
        go_on=go_on,
    )
    bundles, options = Bundles.of(workload, menu)
    allowed = allowed_ranks(workload, inputs.cluster, bundles, target)
    conflicts = separated(workload, bundles)
    return only_placeable(
        Problem(
            objective=objective,
            target=target,
            cluster=inputs.cluster,
            usage=inputs.usage,
            pricer=pricer,
            capacity=inputs.capacity,
            options=options,
            bundles=bundles,
            allowed=allowed,
            conflicts=conflicts,
            all_tiers=all_tiers,
        )
    )


def separated(workload: Workload, bundles: Bundles) -> dict[int, frozenset[int]]:
    """Which bundles may not share a rank."""
    conflicts: dict[int, set[int]] = defaultdict(set)
    bundle_of = {
        workload.tables[index].name: bundle
        for bundle, members in enumerate(bundles.members)
        for index in members
    }
    for group in workload.separate:
        some = {bundle_of[name] for name in group}
        for bundle in some:
            conflicts[bundle] |= some - {bundle}
    return {bundle: frozenset(others) for bundle, others in conflicts.items()}


def only_placeable(problem: Problem) -> Problem:
    """Leave out the options that have no places."""
    keep = np.flatnonzero(_is_placeable(problem))
    return replace(
        problem,
        options=problem.options.select(keep, problem.num_bundles),
        bundles=replace(problem.bundles, sources=problem.bundles.sources[keep]),
    )


def _is_placeable(problem: Problem) -> Bools:
    """Whether sizes, pinned and separated bundles leave an option its places (O,)."""
    menu = problem.options
    rivals = [bundle for bundle, others in problem.conflicts.items() if others]
    found = ~(np.isin(menu.table, rivals) & (menu.scope == Scope.ALL))
    needed = np.where(problem.apart, menu.num_copies, 1)
    pinned = [b for b, mask in problem.allowed.items() if not mask.all()]
    some = np.isin(menu.table, pinned) | (problem.apart & (menu.scope != Scope.RANK))
    options = np.flatnonzero(some)
    kinds = np.stack([menu.table, menu.scope, menu.row_shards], axis=1)[options]
    _, first, kind = np.unique(kinds, axis=0, return_index=True, return_inverse=True)
    places = [
        len(problem.group_places(int(menu.table[option]), int(option)))
        for option in options[first]
    ]
    found[options] &= needed[options] <= np.array(places, dtype=np.int64)[kind.ravel()]
    return np.asarray(found)
