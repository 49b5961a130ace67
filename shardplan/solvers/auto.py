"""The default: fast heuristics, a search, exact methods where small, and a proof."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.dual import lower_bound, strengthen
from shardplan.certify.regrets import Regrets
from shardplan.problems.totals import OptionTotals
from shardplan.records.sharding import Objective
from shardplan.solvers.base import (
    Observer,
    Silent,
    Solver,
    SolverResult,
    SolveStatus,
    Stop,
    finished,
)
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.ldm import LargestDifferencing
from shardplan.solvers.pack.packer import Packer
from shardplan.solvers.params import DEFAULTS, SolverParams
from shardplan.solvers.search.incumbent import Incumbent
from shardplan.solvers.search.neighbourhood import Neighbourhood
from shardplan.solvers.search.portfolio import Portfolio
from shardplan.solvers.shelf.shelves import Shelves
from shardplan.solvers.uniform import Uniform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shardplan.problems.problem import Assignment, Problem


class Auto:
    """Greedy and largest differencing, then annealing from them and other starts.

    On small problems the integer program takes over, whole or for some tables at a
    time. The last part of the time goes into the proof of how good the plan is.

    Parameters
    ----------
    plans : sequence of Assignment
        Plans that are known already, in place of greedy's.
    """

    def __init__(
        self, params: SolverParams = DEFAULTS, plans: Sequence[Assignment] = ()
    ) -> None:
        self._all, self._params, self._plans = params, params.auto, plans

    def knowing(self, plans: Sequence[Assignment]) -> Auto:
        """See `PlanTaker`."""
        return Auto(self._all, plans)

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`."""
        params, proof = self._params, self._all.proof
        bound = lower_bound(problem, stop=stop, params=proof)
        incumbent = Incumbent(problem, bound, stop, observer)
        begins_with_search = self._begins_with_search(problem)
        self._quickly(problem, stop, seed, incumbent)
        # Exact methods stop by the clock; a work limit promises the same everywhere.
        is_timed = not stop.is_by_work
        is_small = is_timed and self._is_small(problem)
        first_s = min(
            params.exact_first_s, params.exact_first_share * stop.remaining_s()
        )
        begins_exactly = params.exact_first and is_small
        is_optimal = begins_exactly and self._is_proven(
            problem, stop, seed, incumbent, first_s
        )
        with stop.sooner(self._proof_start_s(stop, is_small)):
            if params.shelf and is_timed and not is_optimal:
                self._shelve(problem, stop, seed, incumbent)
                incumbent.keep()
            if params.pack and is_timed and not is_optimal:
                self._pack(problem, stop, seed, incumbent)
                incumbent.keep()
            with stop.sooner(self._search_s(stop, is_small)):
                # Not even greedy has made a plan yet where the search comes first.
                is_over = stop.now() and not begins_with_search
                if not (is_optimal or is_over or incumbent.is_close):
                    for _ in self._search(problem, stop, seed, incumbent):
                        pass
                    incumbent.keep()
            if is_small and not (is_optimal or stop.now() or incumbent.is_close):
                with stop.sooner(self._rest_s(stop)):
                    is_optimal = self._exactly(problem, stop, seed, incumbent)
        if params.strengthen:
            self._prove(problem, stop, incumbent)
        return _result(incumbent, stop, is_optimal)

    def plans(
        self, problem: Problem, stop: Stop, seed: int
    ) -> Iterator[Sequence[Assignment]]:
        """See `Resumable`: heuristics and the search alone, without a proof."""
        bound = lower_bound(problem, stop=stop, params=self._all.proof)
        incumbent = Incumbent(problem, bound, stop, Silent())
        self._quickly(problem, stop, seed, incumbent)
        yield incumbent.seen
        for _ in self._search(problem, stop, seed, incumbent):
            incumbent.keep()
            yield incumbent.seen
        incumbent.keep()
        yield incumbent.seen

    def improve_from(
        self, problem: Problem, plan: Assignment, stop: Stop, seed: int
    ) -> Iterator[Assignment]:
        """See `Improver`: cycles of the search, without starts of its own."""
        bound = lower_bound(problem, stop=stop, params=self._all.proof)
        incumbent = Incumbent(problem, bound, stop, Silent())
        incumbent.offer(plan)
        totals, regrets = OptionTotals.of(problem), Regrets.of(problem, bound)
        portfolio = Portfolio(
            problem, totals, regrets, stop, seed, incumbent, params=self._all
        )
        for _ in portfolio.improve(plan):
            if incumbent.assignment is not None:
                yield incumbent.assignment

    def _quickly(
        self, problem: Problem, stop: Stop, seed: int, incumbent: Incumbent
    ) -> None:
        """Run the heuristics; none of them is ever better than the result."""
        if self._is_large(problem):
            return
        for plan in self._plans:
            incumbent.offer(plan)
            incumbent.keep()
        if self._params.greedy and not self._plans:
            found = Greedy(self._all).solve(problem, stop, seed, Silent())
            incumbent.offer(found.assignment)
            incumbent.keep()
        if _size(problem) > self._params.ldm_size:
            return
        share = 1.0 if stop.is_by_work else self._params.quick_share
        for solver in self._quick_solvers(incumbent.value_s):
            if stop.now() and incumbent.assignment is not None:
                return
            with stop.sooner(share * stop.remaining_s()):
                found = solver.solve(problem, stop, seed, Silent())
            incumbent.offer(found.assignment)
            incumbent.keep()

    def _quick_solvers(self, most_s: float) -> Iterator[Solver]:
        """Yield the heuristics after greedy; the last looks below `most_s` only."""
        if self._params.ldm:
            yield LargestDifferencing(self._all, has_plan=np.isfinite(most_s))
        if self._params.uniform:
            yield Uniform(most_s, self._all)

    def _begins_with_search(self, problem: Problem) -> bool:
        """Whether greedy only comes in where the search finds no plan."""
        return not self._params.greedy or self._is_large(problem)

    def _shelve(
        self, problem: Problem, stop: Stop, seed: int, incumbent: Incumbent
    ) -> None:
        """Choose options as if every rank had one piece, where tables are few."""
        shelves = Shelves(incumbent.value_s, self._all)
        if stop.now() or incumbent.is_close or not shelves.suits(problem):
            return
        with stop.sooner(self._params.shelf_share * self._rest_s(stop)):
            found = shelves.solve(problem, stop, seed, Silent())
        incumbent.offer(found.assignment)

    def _pack(
        self, problem: Problem, stop: Stop, seed: int, incumbent: Incumbent
    ) -> None:
        """Pack few large tables anew, before and after a first search."""
        packer = Packer(problem, incumbent.bound.value_s, seed, self._all.pack)
        if incumbent.assignment is None or not packer.suits(incumbent.assignment):
            return
        self._pack_again(packer, stop, incumbent)
        with stop.sooner(self._packing_s(stop)):
            if not (stop.now() or incumbent.is_close):
                for _ in self._search(problem, stop, seed + 1, incumbent):
                    pass
        self._pack_again(packer, stop, incumbent)

    def _pack_again(self, packer: Packer, stop: Stop, incumbent: Incumbent) -> None:
        """Pack until a few trials in a row do not help."""
        fruitless = 0
        with stop.sooner(self._packing_s(stop)):
            while (
                fruitless < self._params.fruitless_packings
                and incumbent.assignment is not None
            ):
                if stop.now() or incumbent.is_close:
                    return
                before = incumbent.value_s
                vary = fruitless > 0
                for better in packer.improve(incumbent.assignment, stop, vary=vary):
                    incumbent.offer(better)
                fruitless = 0 if incumbent.value_s < before else fruitless + 1

    def _search(
        self, problem: Problem, stop: Stop, seed: int, incumbent: Incumbent
    ) -> Iterator[None]:
        """Anneal; for `step` a short run for their sum comes first.

        Yields now and then, see `Portfolio.run`.

        A plan that balances the sum is at times better in every phase than what a
        short search of the phases finds, above all where there are few tables.
        """
        if not self._params.search:
            return
        totals = OptionTotals.of(problem)
        is_few = _size(problem) <= self._params.max_rank_size
        is_step = problem.objective is Objective.STEP
        regrets = Regrets.of(problem, incumbent.bound)
        if self._params.max_rank_first and is_step and is_few:
            self._search_by_sum(problem, totals, regrets, stop, seed, incumbent)

        def greedily() -> None:
            found = Greedy(self._all).solve(problem, stop, seed, Silent())
            incumbent.offer(found.assignment)

        fallback = greedily if self._begins_with_search(problem) else None
        yield from Portfolio(
            problem, totals, regrets, stop, seed, incumbent, fallback, self._all
        ).run()

    def _search_by_sum(
        self,
        problem: Problem,
        totals: OptionTotals,
        regrets: Regrets,
        stop: Stop,
        seed: int,
        incumbent: Incumbent,
    ) -> None:
        """Search for `max-rank` for a moment."""
        by_sum = replace(problem, objective=Objective.MAX_RANK)
        # What is proven of `step` is not proven of `max-rank`, which is less.
        bound = replace(incumbent.bound, value_s=0.0)
        regrets = replace(regrets, priced_s=0.0)
        other = Incumbent(by_sum, bound, stop, Silent())
        Portfolio(
            by_sum, totals, regrets, stop, seed, other, params=self._all
        ).run_briefly()
        incumbent.offer(other.assignment)

    def _prove(self, problem: Problem, stop: Stop, incumbent: Incumbent) -> None:
        """Strengthen the bound: within the time left, or by a budget of work.

        Moves of the search say nothing of the proof, so that it begins where their
        limit is reached, and no clock ends it.
        """
        proof, seconds = self._all.proof, self._rest_s(stop)
        if stop.is_by_work:
            seconds = stop.remaining_s()
            wanted = self._params.proof_work * stop.work_limit
            work = max(self._params.least_proof_work, min(wanted, proof.most_work))
            proof = proof.model_copy(update={"most_work": work})
        with stop.beyond_work(), stop.sooner(seconds):
            if stop.now() or incumbent.is_close:
                return
            value = incumbent.value_s
            better = strengthen(problem, incumbent.bound, value, stop, proof)
        incumbent.raise_bound(better)

    def _exactly(
        self, problem: Problem, stop: Stop, seed: int, incumbent: Incumbent
    ) -> bool:
        """Try parts of the integer program, then all of it; whether it proved it."""
        rng = np.random.default_rng(seed)
        neighbourhood = Neighbourhood(problem, rng, self._all)
        for share in (self._params.neighbourhood_share, 1.0):
            if self._params.neighbourhoods:
                with stop.sooner(share * stop.remaining_s()):
                    self._by_parts(neighbourhood, stop, incumbent)
            if not self._params.exact:
                continue
            share = self._params.exact_share * stop.remaining_s()
            if self._is_proven(problem, stop, seed, incumbent, share):
                return True
        return False

    def _by_parts(
        self, neighbourhood: Neighbourhood, stop: Stop, incumbent: Incumbent
    ) -> None:
        """Solve parts of the integer program until that stops helping."""
        fruitless = 0
        while (
            neighbourhood.is_part and fruitless < self._params.fruitless_neighbourhoods
        ):
            if stop.now() or incumbent.assignment is None or incumbent.is_close:
                return
            before = incumbent.value_s
            incumbent.offer(neighbourhood.improve(incumbent.assignment, stop))
            fruitless = 0 if incumbent.value_s < before else fruitless + 1

    def _is_proven(
        self,
        problem: Problem,
        stop: Stop,
        seed: int,
        incumbent: Incumbent,
        most_s: float,
    ) -> bool:
        """Whether the integer program proves the best assignment soon enough."""
        from shardplan.solvers.ilp.model import IntegerProgram

        if stop.now() or incumbent.is_close:
            return False
        with stop.sooner(most_s):
            program = IntegerProgram(incumbent.assignment, self._all)
            found = program.solve(problem, stop, seed, Silent())
        incumbent.offer(found.assignment)
        return found.status is SolveStatus.OPTIMAL and found.assignment is not None

    def _is_small(self, problem: Problem) -> bool:
        """Whether the integer program is small enough to be tried."""
        from shardplan.solvers.ilp.variables import count_variables, legal_places

        if len(problem.options) * problem.world_size > self._params.exact_size:
            return False
        number = count_variables(problem, legal_places(problem))
        return number <= self._all.ilp.max_variables

    def _is_large(self, problem: Problem) -> bool:
        """Whether the search comes before greedy."""
        return _size(problem) > self._params.greedy_size

    def _proof_start_s(self, stop: Stop, is_small: bool) -> float:
        """Seconds from now after which the proof must begin."""
        params, remaining = self._params, stop.remaining_s()
        share = params.proof_share_exact if is_small else params.proof_share
        proof = max(params.least_proof_s, min(params.most_proof_s, share * remaining))
        return max(remaining - proof, (1.0 - params.most_proof_share) * remaining)

    def _rest_s(self, stop: Stop) -> float:
        """Seconds for exact methods: all that are left, or some without a limit."""
        return self._params.exact_endless_s if stop.is_endless else stop.remaining_s()

    def _search_s(self, stop: Stop, is_small: bool) -> float:
        """Seconds from now after which exact methods take over."""
        remaining = stop.remaining_s()
        return self._params.search_share * remaining if is_small else remaining

    def _packing_s(self, stop: Stop) -> float:
        """Most seconds for packing, and for the search between."""
        return min(
            self._params.packing_s, self._params.packing_share * stop.remaining_s()
        )


def _size(problem: Problem) -> int:
    """Tables times ranks."""
    return problem.num_bundles * problem.world_size


def _result(incumbent: Incumbent, stop: Stop, is_optimal: bool) -> SolverResult:
    bound = incumbent.bound
    value = min(bound.value_s, incumbent.value_s)
    if is_optimal:
        status = SolveStatus.OPTIMAL
        found = SolverResult(incumbent.assignment, value, status, bound.certificate)
    else:
        found = finished(
            incumbent.assignment, incumbent.value_s, value, stop, bound.certificate
        )
    return replace(found, seen=tuple(incumbent.seen))
