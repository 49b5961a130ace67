"""The constraints of the integer program, one method each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.records.sharding import TIERS, MemoryTier, Objective
from shardplan.solvers.ilp.program import Row
from shardplan.solvers.tolerances import BOUND_ROUNDOFF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Ints
    from shardplan.solvers.ilp.program import Terms, Variable
    from shardplan.solvers.ilp.variables import Term, Variables

    Rows = Iterator[Row]


class Constraints:
    """Rows over the variables of a problem.

    Parameters
    ----------
    problem : Problem
    variables : Variables
    lower_bound_s : float
        A value that the objective cannot go below [s].
    unit_s : float
        Unit of the times in the model [s].
    margin : float
        Share of every memory pool that is left free.
    """

    def __init__(
        self,
        problem: Problem,
        variables: Variables,
        lower_bound_s: float,
        unit_s: float,
        margin: float = 0.0,
    ) -> None:
        self._problem = problem
        self._variables = variables
        self._lower_bound = lower_bound_s / unit_s
        self._room = 1.0 - margin
        copies = copies_per_term(problem)
        cost = problem.options.item_cost / unit_s * copies[:, None, None]
        if problem.objective is Objective.MAX_RANK:
            cost = cost.sum(axis=2, keepdims=True)
        self._cost = cost
        self._bytes = problem.options.item_bytes * copies[:, None]

    def one_option_per_bundle(self) -> Rows:
        """Take exactly one option for every bundle."""
        start = self._problem.options.start
        for bundle in range(self._problem.num_bundles):
            options = self._variables.choose[start[bundle] : start[bundle + 1]]
            terms = [(choose, 1.0) for choose in options]
            yield _equal(terms, 1.0, f"one_option_b{bundle}")

    def every_copy_is_placed(self) -> Rows:
        """Place all copies of an item if its option is taken, else none."""
        menu = self._problem.options
        put = self._places_of_items()
        for item, option in enumerate(menu.item_option.tolist()):
            if menu.scope[option] == Scope.ALL or menu.same_host[option]:
                continue
            terms = [(variable, 1.0) for _, variable in put[item]]
            terms.append(
                (self._variables.choose[option], -float(menu.item_count[item]))
            )
            yield _equal(terms, 0.0, f"placed_i{item}")

    def legal_everywhere(self) -> Rows:
        """Forbid options over all ranks to bundles that must avoid some."""
        problem, menu = self._problem, self._problem.options
        for option in np.flatnonzero(menu.scope == Scope.ALL).tolist():
            if not len(problem.group_places(int(menu.table[option]), option)):
                terms = [(self._variables.choose[option], 1.0)]
                yield _equal(terms, 0.0, f"not_everywhere_o{option}")

    def one_host_per_option(self) -> Rows:
        """Choose one host for an option whose places share a host, if it is taken."""
        hosts: dict[int, Terms] = {}
        for option in np.flatnonzero(self._problem.options.same_host).tolist():
            hosts[option] = [(self._variables.choose[option], -1.0)]
        for (option, _), variable in self._variables.on_host.items():
            hosts[option].append((variable, 1.0))
        for option, terms in hosts.items():
            yield _equal(terms, 0.0, f"one_host_o{option}")

    def copies_share_the_host(self) -> Rows:
        """Place all copies of an item of such an option on the option's host."""
        menu, rank_host = self._problem.options, self._problem.cluster.rank_host
        put = self._places_of_items()
        for (option, host), on_host in self._variables.on_host.items():
            items = menu.items_of(option)
            for item in range(items.start, items.stop):
                terms = [(v, 1.0) for rank, v in put[item] if rank_host[rank] == host]
                terms.append((on_host, -float(menu.item_count[item])))
                name = f"same_host_i{item}_host{host}"
                yield _equal(terms, 0.0, name)

    def shards_are_apart(self) -> Rows:
        """Place the shards of an option on distinct places, where it asks for it.

        Columns of one width are at most once on each by the bound of their variables,
        and these rows would only make the program larger.
        """
        menu, put = self._problem.options, self._places_of_items()
        is_plain = (np.diff(menu.item_start) == 1) & (menu.row_shards == 1)
        several = self._problem.apart & (menu.num_copies > 1) & ~is_plain
        for option in np.flatnonzero(several).tolist():
            items = menu.items_of(option)
            on_place: dict[int, Terms] = {}
            for item in range(items.start, items.stop):
                for place, variable in put[item]:
                    on_place.setdefault(place, []).append((variable, 1.0))
            for place, terms in on_place.items():
                row = [*terms, (self._variables.choose[option], -1.0)]
                yield _at_most(row, 0.0, f"apart_o{option}_place{place}")

    def used_ranks_are_marked(self) -> Rows:
        """Mark every rank that a bundle with conflicts has a shard on."""
        menu = self._problem.options
        tables = menu.table[menu.item_option]
        for (bundle, rank), used in self._variables.uses.items():
            for number, term in enumerate(self._variables.by_rank[rank]):
                if tables[term.items.start] != bundle:
                    continue
                most = term.variable.upper
                terms = [(term.variable, 1.0), (used, -most)]
                name = f"marked_b{bundle}_rank{rank}_{number}"
                yield _at_most(terms, 0.0, name)

    def conflicting_bundles_are_apart(self) -> Rows:
        """Keep two bundles in conflict off each other's ranks."""
        uses = self._variables.uses
        for bundle, others in sorted(self._problem.conflicts.items()):
            for other in sorted(o for o in others if o > bundle):
                for rank in range(self._problem.world_size):
                    terms = [(uses[bundle, rank], 1.0), (uses[other, rank], 1.0)]
                    name = f"conflict_b{bundle}_b{other}_rank{rank}"
                    yield _at_most(terms, 1.0, name)

    def hbm_fits(self) -> Rows:
        """Keep the shards on a rank within its HBM."""
        return self._pools(MemoryTier.HBM, self._variables.by_rank, "rank")

    def ddr_fits(self) -> Rows:
        """Keep shards within the DDR of each host or rank."""
        return self._shared(MemoryTier.DDR)

    def ssd_fits(self) -> Rows:
        """Keep shards within the SSD of each host or rank."""
        return self._shared(MemoryTier.SSD)

    def no_rank_is_slower(self) -> Rows:
        """Keep every rank's load at or below the slowest rank's, phase by phase."""
        for rank, own_class in enumerate(self._problem.cluster.rank_class.tolist()):
            loads = [
                (term.variable, self._cost[term.items, own_class].sum(axis=0))
                for term in self._variables.by_rank[rank]
            ]
            for phase, slowest in enumerate(self._variables.slowest):
                terms = [(v, float(load[phase])) for v, load in loads if load[phase]]
                terms.append((slowest, -1.0))
                name = f"{slowest.name}_rank{rank}"
                yield _at_most(terms, 0.0, name)

    def not_below_the_bound(self) -> Rows:
        """Keep the objective at or above the simple lower bound."""
        terms = [(slowest, 1.0) for slowest in self._variables.slowest]
        least = self._lower_bound * (1.0 - BOUND_ROUNDOFF)
        yield Row("simple_bound", terms, least, math.inf)

    def _places_of_items(self) -> dict[int, list[tuple[int, Variable]]]:
        """List the places and variables of each item."""
        menu = self._problem.options
        put: dict[int, list[tuple[int, Variable]]] = {
            item: [] for item in range(len(menu.item_count))
        }
        for (item, place), variable in self._variables.put.items():
            put[item].append((place, variable))
        return put

    def _shared(self, tier: MemoryTier) -> Rows:
        owner = self._problem.capacity.pool_place
        return self._pools(tier, self._variables.by_pool, owner)

    def _pools(
        self, tier: MemoryTier, terms: dict[int, list[Term]], owner: str
    ) -> Rows:
        """Keep bytes over capacity at most 1; over the largest item, if that is 0."""
        index = TIERS.index(tier)
        size = self._bytes[:, index]
        capacities = self._problem.capacity.of_tier(index).tolist()
        for pool, capacity in enumerate(capacities):
            used = [
                (term.variable, float(size[term.items].sum() * term.times))
                for term in terms[pool]
            ]
            used = [(variable, num_bytes) for variable, num_bytes in used if num_bytes]
            if not used:
                continue
            scale = capacity or max(num_bytes for _, num_bytes in used)
            row = [(variable, num_bytes / scale) for variable, num_bytes in used]
            room = capacity / scale * self._room
            yield _at_most(row, room, f"{tier.value}_{owner}{pool}")


PLACING: tuple[Callable[[Constraints], Rows], ...] = (
    Constraints.one_option_per_bundle,
    Constraints.every_copy_is_placed,
    Constraints.legal_everywhere,
    Constraints.one_host_per_option,
    Constraints.copies_share_the_host,
    Constraints.shards_are_apart,
    Constraints.used_ranks_are_marked,
    Constraints.conflicting_bundles_are_apart,
    Constraints.hbm_fits,
    Constraints.ddr_fits,
    Constraints.ssd_fits,
)
"""What makes a plan, whatever the objective is."""
CONSTRAINTS: tuple[Callable[[Constraints], Rows], ...] = (
    *PLACING,
    Constraints.no_rank_is_slower,
    Constraints.not_below_the_bound,
)
"""All constraints of a sum over phases, in the order of the model."""


def copies_per_term(problem: Problem) -> Ints:
    """Return how often a term counts an item: its count for scope ALL, else once."""
    menu = problem.options
    everywhere = menu.scope[menu.item_option] == Scope.ALL
    return np.where(everywhere, menu.item_count, 1)


def _equal(terms: Terms, value: float, name: str) -> Row:
    return Row(name, terms, value, value)


def _at_most(terms: Terms, most: float, name: str) -> Row:
    return Row(name, terms, -math.inf, most)
