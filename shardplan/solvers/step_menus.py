"""What is drawn from in a move: options of a bundle, and what is fixed of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import SCOPES, Scope

if TYPE_CHECKING:
    from shardplan.problems.options.arrays import Options
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.step_state import StepState


_MOST = 32
"""Options of a bundle that are looked at in one move."""
_DRAWS = 3
"""Times that each option of a larger bundle is in one of the samples to draw from."""

_WHOLE = "whole", 0


class ScopeOptions(NamedTuple):
    """N options of one scope, on distinct places that are free to choose.

    Attributes
    ----------
    scope : int
    rows : int array (N,)
        Which of the menu's options.
    options : int array (N,)
    number : int array (N,)
        Places of each.
    items : int array
        What is on the places, one option's after another's.
    takes : two int arrays or None
        Which row takes which of its best places; None where each option has one.
    forbidden : bool array (N, G) or None
        Places that constraints or sizes do not allow, if any.
    """

    scope: int
    rows: Ints
    options: Ints
    number: Ints
    items: Ints
    takes: tuple[Ints, Ints] | None
    forbidden: Bools | None


class MoveMenu(NamedTuple):
    """Options of a bundle that are judged together.

    Attributes
    ----------
    options : int array (N,)
    one_place : float array (N, K)
        What one place costs, to tell which ranks an option wants: its wider item.
    needs : tuple of (int, float array (N, 1))
        Tiers, HBM first, and what one place needs of a pool; DDR and SSD if any does.
    parts : tuple of ScopeOptions
    in_one_host : list of int
        Those whose places must be in one host.
    everywhere : int array
        Those on all ranks.
    most_ranks : int
        That one of the others is on.
    """

    options: Ints
    one_place: Floats
    needs: tuple[tuple[int, Floats], ...]
    parts: tuple[ScopeOptions, ...]
    in_one_host: list[int]
    everywhere: Ints
    most_ranks: int


class MoveMenus:
    """Keeps the menus of all bundles.

    Attributes
    ----------
    everywhere : float array (O, C, K)
        What options over all ranks add to those of each class.
    """

    def __init__(self, state: StepState, rng: np.random.Generator) -> None:
        self._state, self._rng = state, rng
        problem = state.problem
        self._problem, menu = problem, problem.options
        self._one_place = state.item_load.max(axis=1)[menu.item_start[:-1]]
        groups = [problem.cluster.groups(scope) for scope in SCOPES]
        self._number = np.array([len(each.first_rank) for each in groups])
        self._largest = np.array([each.num_ranks.max() for each in groups])
        fits = menu.num_copies <= self._number[menu.scope]
        self._many = fits & ~menu.same_host & (menu.scope != Scope.ALL)
        self._sharing = int(np.bincount(problem.capacity.rank_pool).min())
        each = np.add.reduceat(state.item_load, menu.item_start[:-1], axis=0)
        self.everywhere = each if (menu.scope == Scope.ALL).any() else each[:0]
        self._legal: dict[tuple[int, int, int], Bools] = {}
        self._banned: Bools | None = None
        self._kept: dict[tuple[str, int], dict[int, list[MoveMenu]]] = {_WHOLE: {}}
        self._menus = self._kept[_WHOLE]

    @property
    def is_whole(self) -> bool:
        """Whether no option is banned."""
        return self._banned is None

    def ban(self, banned: Bools, name: tuple[str, int]) -> None:
        """Leave some options out (O,) from now on; one name always means the same."""
        self._banned, self._menus = banned, self._kept.setdefault(name, {})

    def allow_all(self) -> None:
        """Leave no option out any more."""
        self._banned, self._menus = None, self._kept[_WHOLE]

    def of(self, bundle: int) -> MoveMenu | None:
        """Return options of a bundle, not always the same; None if all are banned."""
        found = self._menus.get(bundle)
        if found is None:
            found = self._menus[bundle] = self._make(bundle)
        if len(found) > 1:
            return found[self._rng.integers(len(found))]
        return found[0] if found else None

    def _make(self, bundle: int) -> list[MoveMenu]:
        """Make menus of a bundle: of all of its options, or of samples of many."""
        menu = self._problem.options
        options = np.arange(menu.start.item(bundle), menu.start.item(bundle + 1))
        if self._banned is not None:
            options = options[~self._banned[options]]
        if not len(options):
            return []
        if len(options) <= _MOST:
            return [self._menu(bundle, options)]
        parts = -(-len(options) // _MOST)
        return [
            self._menu(bundle, np.sort(some))
            for _ in range(_DRAWS)
            for some in np.array_split(self._rng.permutation(options), parts)
        ]

    def _menu(self, bundle: int, options: Ints) -> MoveMenu:
        menu = self._problem.options
        many, scope = self._many[options], menu.scope[options]
        rows = [np.flatnonzero(many & (scope == kind)) for kind in SCOPES]
        ranks = (menu.num_copies[options] * self._largest[scope])[scope != Scope.ALL]
        return MoveMenu(
            options,
            self._one_place[options],
            self._needs(options),
            tuple(
                self.part(bundle, int(kind), some, options[some])
                for kind, some in zip(SCOPES, rows, strict=True)
                if len(some)
            ),
            np.flatnonzero(~many & (scope != Scope.ALL)).tolist(),
            np.flatnonzero(scope == Scope.ALL),
            int(ranks.max(initial=1)),
        )

    def _needs(self, options: Ints) -> tuple[tuple[int, Floats], ...]:
        """Return what one place needs of a rank's HBM, and of the pools it shares."""
        menu = self._problem.options
        found = [(0, menu.largest_hbm_bytes[options])]
        # Items of ranks need the pool once each; those of wider scopes for many ranks.
        wide = menu.scope[options] != Scope.RANK
        times = np.where(wide, np.minimum(menu.row_shards[options], self._sharing), 1)
        each = menu.item_bytes[menu.item_start[options]]
        found += [
            (tier, times * each[:, tier]) for tier in (1, 2) if each[:, tier].any()
        ]
        return tuple((tier, need[:, None]) for tier, need in found)

    def part(
        self,
        bundle: int,
        scope: int,
        rows: Ints,
        options: Ints,
        kept: Bools | None = None,
    ) -> ScopeOptions:
        """Put options of one scope together, or those of them that are kept."""
        if kept is not None:
            rows, options = rows[kept], options[kept]
        count = self._problem.options.num_copies[options]
        row = np.repeat(np.arange(len(count)), count)
        first = np.cumsum(count) - count
        return ScopeOptions(
            scope,
            rows,
            options,
            count,
            np.concatenate([self._state.copies(one) for one in options.tolist()]),
            (row, np.arange(len(row)) - first[row]) if (count > 1).any() else None,
            self._forbidden(bundle, scope, options),
        )

    def _forbidden(self, bundle: int, scope: int, options: Ints) -> Bools | None:
        """Return places that constraints or sizes do not allow (N, G), if any."""
        problem, menu = self._problem, self._problem.options
        if scope == Scope.RANK:
            if bundle not in problem.allowed:
                return None
            return np.tile(~problem.allowed[bundle], (len(options), 1))
        whose = bundle if bundle in problem.allowed else -1
        legal = np.zeros((len(options), self._number[scope]), dtype=bool)
        for row, option in zip(legal, options.tolist(), strict=True):
            key = whose, scope, menu.row_shards.item(option)
            found = self._legal.get(key)
            if found is None:
                found = self._legal[key] = np.zeros(len(row), dtype=bool)
                found[problem.group_places(bundle, option)] = True
            row[:] = found
        return None if legal.all() else ~legal


def ways_to_cut(menu: Options) -> Ints:
    """Return a number for the way that each option cuts its table in (O,).

    Options of one sharding type, scope and number of shards cut alike.
    """
    ways = menu.sharding_type, menu.scope, menu.num_copies
    code = np.ravel_multi_index(ways, [int(way.max(initial=0)) + 1 for way in ways])
    found: Ints = np.unique(code, return_inverse=True)[1].reshape(-1)
    return found
