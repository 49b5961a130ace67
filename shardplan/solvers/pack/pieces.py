"""What is to be packed: shards of equal load are one kind of piece, ranks likewise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.solvers.pack.patterns import Rivals
from shardplan.solvers.search.state import State
from shardplan.solvers.tolerances import LEAST_EXCESS, PIECE_DIGITS

if TYPE_CHECKING:
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.search.vectors import Vectors


_ANY_NUMBER = 2**31
"""Pieces that need not be apart: no rank holds so many."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """Bundles that may be cut anew, and the pieces of their options.

    The other bundles stay where an assignment has them. A load has D times and, as
    shares of what a rank has, bytes of HBM (and of DDR and SSD, if every rank has its
    own): E dimensions.

    Attributes
    ----------
    bundles : int array (B,)
        Those that are free.
    options : int array (O,)
        Their options that can be packed, as indices into the menu.
    owner : int array (O,)
        Bundle of each option, as index into `bundles`.
    item_option, kind, copies : int arrays (I,)
        Of the items that go to single ranks: the option that each belongs to, its kind
        of piece, and how many there are of it.
    load : float array (K, C, E)
        Of each kind of piece on each class of ranks.
    uniform : float array (O, C, E)
        Load that an option over all ranks puts on each of them; else 0.
    base : float array (W, E)
        What the bundles that stay put on each rank.
    rivals : Rivals
        Pieces of one bundle that must be apart. Kinds that several bundles have may be
        on a rank once for each of them.
    """

    bundles: Ints
    options: Ints
    owner: Ints
    item_option: Ints
    kind: Ints
    copies: Ints
    load: Floats
    uniform: Floats
    base: Floats
    rivals: Rivals

    @classmethod
    def of(
        cls, problem: Problem, assignment: Assignment, vectors: Vectors, grid: int
    ) -> Self:
        """Free all bundles that no constraint, host or shared pool limits."""
        menu = problem.options
        dims = vectors.num_times + (3 if problem.capacity.pool_place == "rank" else 1)
        packable = _packable(problem, dims > vectors.num_times + 1)
        free = packable[assignment.option] & ~problem.limited
        bundles = np.flatnonzero(free)
        options = np.flatnonzero(packable & free[menu.table])
        everywhere = menu.scope[options] == Scope.ALL
        size = np.diff(menu.item_start)[options]
        item_option = np.repeat(np.arange(len(options)), size)
        offset = np.arange(len(item_option)) - np.repeat(np.cumsum(size) - size, size)
        items = menu.item_start[options][item_option] + offset
        load = vectors.of_items(items)[..., :dims]
        uniform = np.zeros((len(options), *load.shape[1:]))
        wide = everywhere[item_option]
        np.add.at(uniform, item_option[wide], load[wide])
        items, item_option, load = items[~wide], item_option[~wide], load[~wide]
        load[..., vectors.num_times :] = _round_up(load[..., vectors.num_times :], grid)
        key = np.round(load, PIECE_DIGITS).reshape(len(load), load.shape[1] * dims)
        _, first, kind = np.unique(key, axis=0, return_index=True, return_inverse=True)
        owner, kind = np.searchsorted(bundles, menu.table[options]), kind.ravel()
        apart = problem.apart[options][item_option]
        return cls(
            bundles=bundles,
            options=options,
            owner=owner,
            item_option=item_option,
            kind=kind,
            copies=menu.item_count[items],
            load=load[first],
            uniform=uniform,
            base=_base(problem, assignment, free, vectors)[:, :dims],
            rivals=_rivals(kind, owner[item_option], apart, len(first)),
        )

    @property
    def num_kinds(self) -> int:
        """Number of kinds of pieces K."""
        return len(self.load)

    def taken(self, assignment: Assignment) -> Bools:
        """Which options an assignment takes (O,)."""
        return np.asarray(assignment.option[self.bundles][self.owner] == self.options)

    def kinds_of(self, option: int) -> Ints:
        """Kind of each piece of an option, in the order of its places."""
        own = self.item_option == option
        return np.repeat(self.kind[own], self.copies[own])


def _packable(problem: Problem, has_own_pools: bool) -> Bools:
    """Options on all ranks, or whose shards may be on any rank each (O,)."""
    menu = problem.options
    free = (menu.scope == Scope.RANK) & ~menu.apart & ~menu.same_host
    packable = free | (menu.scope == Scope.ALL)
    if not has_own_pools:
        shared = (menu.item_bytes[:, 1:] > 0).any(axis=1)
        packable &= ~np.logical_or.reduceat(shared, menu.item_start[:-1])
    return np.asarray(packable)


def _rivals(kind: Ints, owner: Ints, apart: Bools, num_kinds: int) -> Rivals:
    """Group the kinds of pieces that must be apart by the one bundle that has them."""
    pairs = np.unique(np.stack([kind, owner], axis=1), axis=0)
    most = np.bincount(pairs[:, 0], minlength=num_kinds)
    last = np.zeros(num_kinds, dtype=np.int64)
    last[pairs[:, 0]] = pairs[:, 1]
    group = np.where(most == 1, last, -1 - np.arange(num_kinds))
    most[kind[~apart]] = _ANY_NUMBER
    return Rivals(group, most)


def _round_up(share: Floats, grid: int) -> Floats:
    """Round up to parts of the whole, but for what roundoff put above one."""
    return np.asarray(np.ceil(share * grid - LEAST_EXCESS) / grid)


def _base(
    problem: Problem, assignment: Assignment, free: Bools, vectors: Vectors
) -> Floats:
    """Add up what the bundles that stay put on ranks, and in their pools (W, D + 3)."""
    state = State(problem, vectors)
    for bundle in np.flatnonzero(~free).tolist():
        option = int(assignment.option[bundle])
        state.put(bundle, option, assignment.places[bundle])
    return np.concatenate([state.load, state.pool_load[state.rank_pool]], axis=1)
