"""Move tables at random, better moves more often, and cool down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.step_curves import StepCurves
from shardplan.solvers.step_menus import ways_to_cut
from shardplan.solvers.step_moves import StepMoves
from shardplan.solvers.step_state import StepState
from shardplan.solvers.step_swaps import StepSwaps

if TYPE_CHECKING:
    from shardplan.problems.curves import Curves
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Floats, Ints
    from shardplan.solvers.base import Stop

_Note = tuple[int, int, "Ints"]
"""A bundle, its option and its places."""

_HOT, _COLD = 0.05, 0.001
"""First and last temperature, as shares of what the step takes per table."""
_RENEW = 60
"""Moves after which what looked best is predicted exactly."""
_EARLY = (4, 10, 25)
"""Moves after which that is done as well: at first few paths are known."""
_BEND = 5
"""Times of that after which curves are taken at the present plan again."""
_FRUITLESS = 600
"""Moves without a better plan after which the best one is taken up again."""
_MOVES = 20
"""Moves per table of each annealing where nothing limits the search."""
_CRITICAL = 0.6
"""Share of moves of tables that are on the fullest rank of a critical operation."""
_EVEN = 1.0
"""Weight of the loads' norm against that of the fullest rank."""
_GAIN = 1e-6
"""Share of the step by which a plan must be better to count."""
_NEAR = 1.3
"""Times the best step beyond which a plan without a collective is not searched from."""
_ALIKE = 0.3
"""Tables that are moved with all that are cut alike, per one that moves alone."""
_AT_ONCE = 24
"""Tables that are cut in another way at once, at most."""


class StepAnnealing:
    """Searches that share what they learn of curves and paths.

    Parameters
    ----------
    free : int array
        Bundles that may move.
    curves : Curves, optional
        The time that is made shorter; by default the predicted step.

    Attributes
    ----------
    found : list of Assignment
        Each better than the one before.
    best_s : float
        The predicted step of the last one [s].
    enough_s : float
        A step that ends the search [s].
    number : int
        Moves so far.
    """

    def __init__(
        self,
        problem: Problem,
        free: Ints,
        rng: np.random.Generator,
        start: Assignment,
        stop: Stop,
        curves: Curves | None = None,
    ) -> None:
        self._problem, self._free, self._rng, self._stop = problem, free, rng, stop
        self._curves: Curves = curves or StepCurves(problem, problem.loads(start).cost)
        self._state = StepState(problem, self._curves)
        self.moves = StepMoves(self._state, rng)
        # They were measured by the predicted step alone.
        self._swaps = StepSwaps(self._state, free, rng) if curves is None else None
        self.found, self.best_s = [start], self._curves.exact_s
        self.enough_s, self.number = 0.0, 0
        self._hope: Assignment | None = None
        self._way = ways_to_cut(problem.options)
        self.take_up(start)

    def take_up(self, assignment: Assignment) -> None:
        """Go on from an assignment, which counts if it is better."""
        cost = self._state.fill(assignment)
        self._hope, self._hope_s = None, self.best_s
        self._curves.renew(cost)
        self._keep(assignment)
        self._judge()

    @property
    def best(self) -> Assignment:
        """The best plan so far."""
        return self.found[-1]

    def _keep(self, assignment: Assignment) -> bool:
        """Keep what was just predicted exactly if it is better than the best."""
        is_better = self._curves.exact_s < self.best_s
        if is_better:
            self.found.append(assignment)
            self.best_s = self._curves.exact_s
        return is_better

    def present(self) -> Assignment:
        """Return where everything is now."""
        return self._state.assignment()

    def kinds_in_use(self) -> list[int]:
        """Columns of collectives that the present plan uses."""
        return [k for k in self._curves.sent().tolist() if self._fullest[k] > 0]

    def leave(self, kind: int) -> bool:
        """Move all tables from a collective, and ban it; say whether they could."""
        state, menu = self._state, self._problem.options
        uses = self._state.item_load[:, :, kind].max(axis=1) > 0
        banned = np.bincount(menu.item_option, uses, len(menu)) > 0
        users = self._free[banned[state.option[self._free]]]
        fixed = np.setdiff1d(np.flatnonzero(banned[state.option]), users)
        if len(fixed):
            return False
        self.moves.menus.ban(banned, ("without", kind))
        for bundle in users.tolist():
            option, places = int(state.option[bundle]), state.places[bundle]
            state.take(bundle)
            if not self._put_best(bundle):
                state.put(bundle, option, places)
                return False
        if not state.fits():
            return False
        self._judge()
        return True

    def is_near(self) -> bool:
        """Whether the present plan is near the best one, as far as paths are known."""
        return self._now_s < _NEAR * self.best_s

    def run(self, most: float = np.inf, length: float = np.inf) -> None:
        """Anneal for so many moves, or so much work or time, or until the stop says so.

        Parameters
        ----------
        length : float
            As of `Stop.spent`: the last temperature is reached then, whether or not the
            stop lets it come that far. By default all that is left.
        """
        stop, number, moved_alike, found_at = self._stop, 0, 0, 0
        if most == np.inf and stop.is_endless and not stop.is_by_work:
            most = _MOVES * len(self._free)
        begin, length = stop.spent, max(length if length < np.inf else stop.left, 1e-9)
        while number < most and not stop.now() and self.best_s > self.enough_s:
            over = (stop.spent - begin) / length
            if over >= 1.0:
                break
            number += 1
            share = number / most if most < np.inf else over
            heat = _HOT * (_COLD / _HOT) ** share
            heat_s = heat * self.best_s / len(self._free)
            self._move(heat_s)
            self._swap(heat_s)
            if number % _RENEW and number not in _EARLY:
                continue
            if self.moves.menus.is_whole:
                while moved_alike < _ALIKE * number:
                    moved_alike += self._cut_alike(heat_s)
            if self._is_better() or self._sees_better():
                found_at = number
            elif number - found_at > _FRUITLESS and self.moves.menus.is_whole:
                found_at = number
                self._state.fill(self.best)
            if number % (_BEND * _RENEW) == 0:
                self._curves.renew(self._state.fill(self.present()))
            self._judge()
        self._is_better()
        self.number += number

    def _judge(self) -> None:
        """Estimate the present plan afresh."""
        self._fullest, self._powers = self._state.fullest(), self._state.powers()
        self._now_s = float(self._curves.step_s(self._fullest[None])[0])
        self._slopes = self._curves.slopes(self._fullest)

    def _move(self, heat_s: float) -> None:
        """Take a bundle off, draw where it goes, and put it there if it fits."""
        state, bundle = self._state, self._choose()
        before = state.noted(bundle)
        state.take(bundle)
        found = self.moves.draw(bundle, self._slopes)
        self._stop.work += 1
        if found is None:
            state.restore(before)
            return
        self._stop.work += len(found.options) - 1
        steps, drawn = self._energy(found.fullest, found.powers)
        luck = heat_s * self._rng.gumbel(size=len(drawn) + 1)
        drawn -= luck[1:]
        index = int(drawn.argmin())
        if self._present_s(self._slopes) - luck[0] <= drawn[index]:
            state.restore(before)
            return
        state.put(bundle, int(found.options[index]), found.places_of(index))
        if not state.fits():
            state.restore(before)
            return
        self._arrive(float(steps[index]), found.fullest[index], found.powers[index])

    def _swap(self, heat_s: float) -> None:
        """Exchange two shards, or give one away, if that is drawn."""
        if self._swaps is None:
            return
        ranks = self._critical_ranks()
        found = None if ranks is None else self._swaps.draw(ranks)
        self._stop.work += 1
        if found is None or not found.fits.any():
            return
        self._stop.work += len(found.others.item)
        steps, drawn = self._energy(found.fullest, found.powers)
        luck = heat_s * self._rng.gumbel(size=len(drawn) + 1)
        drawn -= luck[1:]
        drawn[~found.fits] = np.inf
        index = int(drawn.argmin())
        if self._present_s(self._slopes) - luck[0] <= drawn[index]:
            return
        state, moves = self._state, found.moves(index)
        back = [(b, slot, int(state.places[b][slot])) for b, slot, _ in moves]
        self._swaps.make(moves)
        if not state.fits():
            self._swaps.make(back)
            return
        self._arrive(float(steps[index]), found.fullest[index], found.powers[index])

    def _arrive(self, step_s: float, fullest: Floats, powers: Floats) -> None:
        """Note what is known of a plan that was drawn."""
        self._fullest, self._powers, self._now_s = fullest, powers, step_s
        self._slopes = self._curves.slopes(fullest)
        self._note_hope()

    def _note_hope(self) -> None:
        if self._now_s < self._hope_s * (1.0 - _GAIN):
            self._hope, self._hope_s = self.present(), self._now_s

    def _cut_alike(self, heat_s: float) -> int:
        """Cut tables that are cut alike in another way, all at once; return how many.

        One by one they would have to pass plans in which both ways fill some ranks.
        """
        self._judge()
        state, slopes = self._state, self._slopes
        first = self._choose()
        own = self._way[state.option[first]]
        alike = self._free[self._way[state.option[self._free]] == own]
        alike = self._rng.permutation(alike)[:_AT_ONCE]
        wanted = self._other_way(first, heat_s * len(alike))
        if wanted is None:
            return 1
        before_s = self._present_s(slopes)
        before = self._noted(alike.tolist())
        fits = self._put_anew(alike, wanted)
        self._judge()
        rise_s = self._present_s(slopes) - before_s
        if fits and rise_s < heat_s * self._rng.exponential():
            self._note_hope()
        else:
            self._undo(before)
        return len(alike)

    def _noted(self, bundles: list[int]) -> list[_Note]:
        state = self._state
        return [(b, int(state.option[b]), state.places[b]) for b in bundles]

    def _put_back(self, before: list[_Note]) -> bool:
        """Put what was taken off where it is best, or else back; whether all fits."""
        fits = True
        for bundle, option, places in before:
            if not (fits and self._put_best(bundle)):
                fits = False
                self._state.put(bundle, option, places)
        return fits and self._state.fits()

    def _undo(self, before: list[_Note]) -> None:
        """Put bundles back to where they were."""
        for bundle, _, _ in before:
            self._state.take(bundle)
        for bundle, option, places in before:
            self._state.put(bundle, option, places)
        self._judge()

    def _other_way(self, bundle: int, heat_s: float) -> int | None:
        """Draw another way to cut a bundle, a better one for it more often."""
        state = self._state
        option, before = int(state.option[bundle]), state.noted(bundle)
        state.take(bundle)
        found = self.moves.draw(bundle, self._slopes)
        state.restore(before)
        if found is None:
            return None
        self._stop.work += len(found.options)
        _, drawn = self._energy(found.fullest, found.powers)
        drawn -= heat_s * self._rng.gumbel(size=len(drawn))
        drawn[self._way[found.options] == self._way[option]] = np.inf
        index = int(drawn.argmin())
        return None if np.isinf(drawn[index]) else int(self._way[found.options[index]])

    def _put_anew(self, bundles: Ints, way: int) -> bool:
        """Take all off, and put each back in a way that is wanted; whether all fit.

        What is not offered in such a way stays where it is.
        """
        state, menu = self._state, self._problem.options
        wanted = self._way == way
        offers = np.logical_or.reduceat(wanted, menu.start[:-1])
        users = bundles[offers[bundles]]
        first_item = menu.item_start[state.option[users]]
        size = state.item_load[first_item].max(axis=1) @ self._slopes
        users = users[size.argsort()[::-1]]
        before = self._noted(users.tolist())
        for bundle in users.tolist():
            state.take(bundle)
        self.moves.menus.ban(~wanted, ("way", way))
        fits = self._put_back(before)
        self.moves.menus.allow_all()
        return fits

    def _put_best(self, bundle: int) -> bool:
        """Put a bundle that was taken off where it is best; False if nowhere."""
        found = self.moves.draw(bundle, self._slopes)
        if found is None:
            return False
        self._stop.work += len(found.options)
        index = int(self._energy(found.fullest, found.powers)[1].argmin())
        self._state.put(bundle, int(found.options[index]), found.places_of(index))
        return True

    def _energy(self, fullest: Floats, powers: Floats) -> tuple[Floats, Floats]:
        """Return the steps of plans, and what they are compared by (N,) [s]."""
        # Of plans with one step, those with fewer full ranks can still get better.
        steps = self._curves.step_s(fullest)
        return steps, steps + self._unevenness(powers) @ self._slopes

    def _present_s(self, slopes: Floats) -> float:
        """Return what the present plan is compared by [s]."""
        return float(self._now_s + self._unevenness(self._powers) @ slopes)

    def _unevenness(self, powers: Floats) -> Floats:
        """Return the loads that ranks have by a norm of high power (..., K)."""
        norm = np.maximum(powers, 0.0)
        norm *= _EVEN**4 / self._problem.world_size
        return np.sqrt(np.sqrt(norm))

    def _choose(self) -> int:
        """Choose a bundle: any, or one on the fullest rank of a critical operation."""
        rng, free = self._rng, self._free
        ranks = self._critical_ranks() if rng.random() < _CRITICAL else None
        if ranks is not None:
            there = free[np.logical_or.reduce(self._state.is_on[ranks], axis=0)[free]]
            if len(there):
                return int(there[rng.integers(len(there))])
        return int(free[rng.integers(len(free))])

    def _critical_ranks(self) -> Ints | None:
        """Draw an operation by its share of the path: ranks of its fullest group."""
        parts = np.cumsum(self._slopes * self._fullest)
        if not parts[-1] > 0:
            return None
        column = int(np.searchsorted(parts, self._rng.random() * parts[-1], "right"))
        return self._state.on_fullest(min(column, len(parts) - 1))

    def _is_better(self) -> bool:
        """Predict exactly what looked best; keep it if it is."""
        hope, self._hope = self._hope, None
        if hope is None:
            self._hope_s = self.best_s
            return False
        self._curves.look_at(self._problem.loads(hope).cost)
        is_better = self._keep(hope)
        self._hope_s = self.best_s
        return is_better

    def _sees_better(self) -> bool:
        """Predict the present plan exactly: what leads away from good ones is learned.

        Its path may be one that no plan took which looked best.
        """
        present = self.present()
        self._curves.look_at(self._problem.loads(present).cost)
        return self._keep(present)
