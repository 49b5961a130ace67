"""What solvers of plug-ins do wrong while they run, or return, names them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.errors import InputError, PluginError
from shardplan.io.plugins import Plugin
from shardplan.problems.problem import Assignment
from shardplan.records.certificate import Case, Certificate
from shardplan.solvers.base import Silent, SolverResult, SolveStatus, Stop
from shardplan.solvers.contract import PluginSolver, at_fault, result_faults
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.registry import load_solver
from tests.helpers import SOLVERS_HERE
from tests.solvers.helpers import brute_force, two_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers import Instance

PLUGIN = Plugin("solver", "mine", "theirs:Mine", "their-package 1.2")
WHO = "solver plug-in 'mine' (their-package 1.2, theirs:Mine): "
PROBLEM = two_tables()
VALUE, BEST = brute_force(PROBLEM)
assert BEST is not None
GOOD = SolverResult(BEST, VALUE / 2, SolveStatus.FEASIBLE)


class Mine:
    """Returns, or does, whatever a test wants."""

    def __init__(self, do: Callable[[Any], Any]) -> None:
        self.do = do

    def solve(self, problem: Any, stop: Stop, seed: int, observer: Any) -> Any:
        return self.do(problem)


def solved(do: Callable[[Any], Any]) -> SolverResult:
    return PluginSolver(PLUGIN, Mine(do)).solve(PROBLEM, Stop(), 0, Silent())


@pytest.mark.parametrize("name", SOLVERS_HERE)
def test_built_in_solvers_keep_to_the_contract(name: str, two_tables: Instance) -> None:
    """What plug-ins are asked for is what our own solvers do."""
    problem = two_tables.problem()
    result = load_solver(name).solve(problem, Stop(work_limit=1e3), 0, Silent())
    assert result_faults(problem, result) == []


@pytest.mark.parametrize(
    "result",
    [
        GOOD,
        replace(GOOD, status=SolveStatus.TIME_LIMIT, lower_bound_s=0),
        replace(GOOD, status=SolveStatus.OPTIMAL, lower_bound_s=VALUE),
        replace(GOOD, lower_bound_s=np.float64(VALUE)),
        replace(GOOD, lower_bound_s=VALUE * (1 + 1e-7)),
        replace(GOOD, status=SolveStatus.OPTIMAL, lower_bound_s=VALUE * (1 - 5e-5)),
        SolverResult(None, 0.0, SolveStatus.NOT_FOUND),
        SolverResult(None, 1.0, SolveStatus.INFEASIBLE),
    ],
)
def test_good_results(result: SolverResult) -> None:
    """They are passed on as they are."""
    assert solved(lambda problem: result) is result


BOUND = "its lower_bound_s = {} must be a finite number of at least 0, and 0 if nothing"
TAKES = f"its plan takes {VALUE:.6g} s, its lower_bound_s is "


@pytest.mark.parametrize(
    ("result", "fault"),
    [
        (
            None,
            "`solve` returned None, must return a SolverResult: end it with `return",
        ),
        (BEST, "`solve` returned a Assignment, must return a SolverResult"),
        (replace(GOOD, lower_bound_s=np.nan), BOUND.format("nan")),
        (replace(GOOD, lower_bound_s=np.inf), BOUND.format("inf")),
        (replace(GOOD, lower_bound_s=-1e-9), BOUND.format("-1e-09")),
        (replace(GOOD, lower_bound_s=None), BOUND.format("None")),
        (replace(GOOD, lower_bound_s="1"), BOUND.format("'1'")),
        (replace(GOOD, status="optimal"), "its status = 'optimal' must be a Solve"),
        (
            replace(GOOD, assignment=None),
            "its status is feasible, but its assignment is None",
        ),
        (
            replace(GOOD, status=SolveStatus.INFEASIBLE),
            "its status is infeasible, but it has an assignment",
        ),
        (
            replace(GOOD, status=SolveStatus.NOT_FOUND),
            "its status is not_found, but it has an assignment",
        ),
        (
            replace(GOOD, certificate={"cases": []}),
            "its certificate is a dict, not a Certificate",
        ),
        (
            replace(GOOD, assignment=[0, 1]),
            "its assignment is a list, must be an Assignment or None",
        ),
        (
            replace(GOOD, assignment=Assignment(np.array([0.0, 4.0]), ())),
            "`option` is of shape (2,) and dtype float64, must be an int array",
        ),
        (
            replace(GOOD, lower_bound_s=VALUE * 1.01),
            f"{TAKES}{VALUE * 1.01:.6g}: a bound must hold for every assignment",
        ),
        (
            replace(GOOD, status=SolveStatus.OPTIMAL),
            f"its status is optimal, but {TAKES}{VALUE / 2:.6g}: return the bound",
        ),
    ],
)
def test_wrong_results(result: Any, fault: str) -> None:
    """The error names the plug-in, the rule, and what to do."""
    with pytest.raises(PluginError) as caught:
        solved(lambda problem: result)
    assert str(caught.value).startswith(WHO + fault)


def test_many_faults() -> None:
    """All of them are there, the first ones are shown."""
    option = np.full(len(BEST.option), -1)
    with pytest.raises(PluginError) as caught:
        solved(lambda problem: replace(GOOD, assignment=Assignment(option, ())))
    assert str(caught.value).splitlines() == [
        f"{WHO}2 faults",
        "- bundle 0 (t0): option -1 is not its own, which are 0 to 3",
        "- bundle 1 (t1): option -1 is not its own, which are 4 to 6",
    ]
    error = PLUGIN.error(*map(str, range(100)))
    assert str(error).splitlines()[-2:] == ["- 9", "- and 90 more"]
    assert len(error.faults) == 100


def test_a_changed_problem() -> None:
    """Prices that are no numbers any more come from the solver, too."""
    problem = two_tables()

    def spoil(given: Any) -> SolverResult:
        given.options.item_cost[:] = np.nan
        return GOOD

    with pytest.raises(PluginError, match="takes nan s: `solve` must not change the"):
        PluginSolver(PLUGIN, Mine(spoil)).solve(problem, Stop(), 0, Silent())


def test_what_is_raised() -> None:
    """The words of the exception, its line, and itself as the cause."""

    def fail(problem: Any) -> None:
        problem.loads(Assignment(np.array([99, 99]), ()))

    with pytest.raises(PluginError) as caught:
        solved(fail)
    cause = caught.value.__cause__
    assert isinstance(cause, IndexError)
    assert str(caught.value).startswith(f"{WHO}`solve` raised IndexError: {cause} (")
    assert "test_contract.py:" in str(caught.value)


def test_a_refusal() -> None:
    """A solver says by `InputError` that it is not for this problem."""

    def refuse(problem: Any) -> None:
        raise InputError.single("mine", "objective", "step", "must be max-rank")

    with pytest.raises(InputError, match="objective = 'step': must be max-rank"):
        solved(refuse)


def test_the_user_stops_everything() -> None:
    """A second Ctrl-C is not the solver's fault."""

    def interrupt(problem: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solved(interrupt)


def test_whose_fault() -> None:
    """A plug-in is named; a wrong result of one of ours is a bug."""
    theirs = at_fault(PluginSolver(PLUGIN, Mine(len)), "it is wrong")
    assert str(theirs) == f"{WHO}it is wrong"
    ours = at_fault(Greedy(), "it is wrong", "it is late")
    assert isinstance(ours, AssertionError)
    assert str(ours) == "Greedy: it is wrong; it is late"


def use(do: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from shardplan.planning import planner

    solver = PluginSolver(PLUGIN, Mine(do))
    monkeypatch.setattr(planner, "load_solver", lambda *_: solver)


def greedy(problem: Any) -> SolverResult:
    return Greedy().solve(problem, Stop(), 0, Silent())


def test_a_plan_that_does_not_fit(
    tiered: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rule that its plan breaks is listed, in the words of `check`."""

    def overfull(problem: Any) -> SolverResult:
        menu = problem.options
        option = np.arange(problem.num_bundles)
        hbm = menu.item_bytes[menu.item_start[:-1], 0]
        for bundle, (start, end) in enumerate(
            zip(menu.start[:-1], menu.start[1:], strict=True)
        ):
            whole = np.where(menu.column_shards * menu.row_shards == 1, hbm, 0.0)
            option[bundle] = start + np.argmax(whole[start:end])
        counts = [menu.num_places(int(o)) for o in option]
        places = tuple(np.zeros(count, dtype=np.int64) for count in counts)
        return replace(GOOD, assignment=Assignment(option, places), lower_bound_s=0.0)

    use(overfull, monkeypatch)
    # Enough tables that their caches alone are more than a rank has.
    tables = [
        table.replace(name=f"{table.name}.{copy}")
        for table in tiered.workload.tables
        for copy in range(3)
    ]
    many = tiered.with_workload(tables=tables)
    with pytest.raises(PluginError) as caught:
        many.solve()
    assert str(caught.value).startswith(WHO)
    assert "its plan breaks a rule: capacity: HBM of rank 0 holds" in str(caught.value)


def test_a_certificate_of_another_menu(
    two_tables: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is the verifier's."""
    other = Certificate(num_options=1, cases=(Case(),))
    use(lambda problem: replace(greedy(problem), certificate=other), monkeypatch)
    with pytest.raises(PluginError) as caught:
        two_tables.solve()
    what = "its certificate proves nothing: it is for a menu of 1 options, but"
    assert str(caught.value).startswith(WHO + what)


def test_claims_are_noted(
    two_tables: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """'optimal' without a certificate that shows it is a claim."""

    def claim(problem: Any) -> SolverResult:
        found = greedy(problem)
        assert found.assignment is not None
        value = problem.value(found.assignment)
        return replace(found, status=SolveStatus.OPTIMAL, lower_bound_s=value)

    use(claim, monkeypatch)
    result = two_tables.solve()
    assert result.status == "optimal"
    assert result.plan.outcome.claimed_bound_s is not None
    assert result.verdict.optimality == "claimed"
    assert result.bound == "proven"


def test_infeasible_without_proof(
    two_tables: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plug-in's word is no proof."""
    from shardplan.errors import InfeasibleError

    use(lambda _: SolverResult(None, 0.0, SolveStatus.INFEASIBLE), monkeypatch)
    with pytest.raises(InfeasibleError) as caught:
        two_tables.solve()
    assert not caught.value.proven
    who = WHO.removesuffix(": ")
    text = f"no plan found: {who} says that none exists, without proof"
    assert str(caught.value).startswith(text)


def test_a_limit_that_is_not_heard(
    two_tables: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A solver that goes on after its limit is late, not lost."""
    import time

    def late(problem: Any) -> SolverResult:
        time.sleep(0.3)
        return greedy(problem)

    use(late, monkeypatch)
    result = two_tables.solve(time_limit_s=0.1)
    assert result.verdict.violations == ()
    assert result.runtime_s > 0.3
