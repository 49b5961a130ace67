"""Switches of the solvers: each leaves its part out, and plans stay legal."""

from __future__ import annotations

import ast
from copy import deepcopy
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np
import pytest
from pydantic import ValidationError

import shardplan
from shardplan.records.record import Record
from shardplan.records.sharding import SUMS, Objective
from shardplan.solvers import auto
from shardplan.solvers.auto import Auto
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.params import SolverParams
from shardplan.solvers.search.anneal import Annealer
from shardplan.solvers.search.limits import Limits
from shardplan.solvers.search.moves.recut import Recutter
from shardplan.solvers.search.moves.variants import VariantChanger
from shardplan.solvers.search.neighbourhood import Neighbourhood
from shardplan.solvers.search.perturbation import Perturbation
from shardplan.solvers.search.portfolio import Portfolio
from shardplan.solvers.search.starts import Starts
from tests.solvers.helpers import Hosts, toy_problem
from tests.solvers.search_helpers import assert_legal

if TYPE_CHECKING:
    from collections.abc import Iterator

SOME = {"work_limit": 3e4}
LITTLE = {"time_limit_s": 1.5}
SHORT = {"work_limit": 3e5}
QUICK = {"search": {"race_rounds": 2, "cycle_rounds": 2, "patience": 1}}
PARTS_ONLY = {"auto": {"exact_first": False, "exact": False, "search": False}}


class Part(NamedTuple):
    """A function that runs only if a switch is on, and what lets it run."""

    owner: Any
    name: str
    limit: dict[str, float] = SOME
    objective: Objective = Objective.STEP
    base: dict[str, Any] | None = None


PARTS = {
    "auto.ldm": Part(auto, "LargestDifferencing"),
    "auto.uniform": Part(auto, "Uniform"),
    "auto.pack": Part(auto, "Packer", LITTLE, Objective.MAX_RANK),
    "auto.shelf": Part(auto, "Shelves", LITTLE),
    "auto.search": Part(auto, "Portfolio"),
    "auto.max_rank_first": Part(Portfolio, "run_briefly"),
    "auto.neighbourhoods": Part(Neighbourhood, "improve", LITTLE, base=PARTS_ONLY),
    "auto.strengthen": Part(auto, "strengthen", LITTLE),
    "search.limits": Part(Limits, "best"),
    "search.settled_race": Part(Annealer, "keep_options", SHORT, Objective.MAX_RANK),
    "search.cut_finer": Part(Perturbation, "_finer", SHORT, base=QUICK),
    "search.restarts": Part(Starts, "draw", SHORT, base=QUICK),
    "search.anneal.random_groups": Part(Annealer, "_random_groups"),
    "search.anneal.worst_groups": Part(Annealer, "_worst_groups"),
    "search.anneal.pairs": Part(Annealer, "_random_pairs"),
    "search.anneal.variants": Part(VariantChanger, "make"),
    "search.anneal.recut": Part(Recutter, "recut"),
    "search.anneal.descent": Part(Annealer, "_descend", {"work_limit": 1e5}),
}


def without(switch: str, base: dict[str, Any] | None = None) -> SolverParams:
    """Return parameters with a switch off."""
    data = deepcopy(base or {})
    *sections, name = switch.split(".")
    reduce(lambda inner, key: inner.setdefault(key, {}), sections, data)[name] = False
    return SolverParams.model_validate(data)


def solve(objective: Objective, stop: Stop, params: SolverParams) -> float:
    """Value of what `auto` finds, which must be legal."""
    rng = np.random.default_rng(4)
    problem = toy_problem(rng, 10, [Hosts(2, 2, 2)], fill=0.3, objective=objective)
    found = Auto(params).solve(problem, stop, 0, Silent())
    assert found.assignment is not None
    assert_legal(problem, found.assignment)
    return problem.value(found.assignment)


def count(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the calls of a function."""
    original, calls = getattr(owner, name), list[str]()

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(name)
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, counted)
    return calls


@pytest.mark.parametrize("switch", PARTS)
def test_switches(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default the part runs; without, it does not."""
    part = PARTS[switch]
    calls = count(part.owner, part.name, monkeypatch)
    by_default = SolverParams.model_validate(part.base or {})
    for params, runs in ((by_default, True), (without(switch, part.base), False)):
        calls.clear()
        solve(part.objective, Stop(**part.limit), params)
        assert bool(calls) is runs


def test_exact_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """The integer program runs before the search, after it, or not at all."""
    calls = list[str]()
    monkeypatch.setattr(Auto, "_is_proven", lambda *_: bool(calls.append("a call")))
    for first, after, expected in ((1, 1, 3), (1, 0, 1), (0, 1, 2), (0, 0, 0)):
        calls.clear()
        switches = {"exact_first": bool(first), "exact": bool(after)}
        params = SolverParams.model_validate({"auto": switches})
        solve(Objective.STEP, Stop(**LITTLE), params)
        assert len(calls) == expected


@pytest.mark.parametrize("switch", ["auto.greedy", "search.idle_time", "search.race"])
def test_other_ways(switch: str) -> None:
    """Without its first plan, a share of its costs or its race the search ends well."""
    values = [
        solve(Objective.STEP, Stop(work_limit=1e5), params)
        for params in (SolverParams(), without(switch))
    ]
    assert values[1] == pytest.approx(values[0], rel=0.1)


def _records(record: type[Record]) -> Iterator[type[Record]]:
    """Yield a record and all that it is made of."""
    yield record
    for field in record.model_fields.values():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, Record):
                yield from _records(part)


def test_every_number_is_read() -> None:
    """The code of solvers and bounds looks at each field of the records."""
    package = Path(shardplan.__file__).parent
    files = [
        path
        for room in ("solvers", "certify", "planning")
        for path in (package / room).rglob("*.py")
        if path.stem != "params"
    ]
    read = {
        node.attr
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    for record in _records(SolverParams):
        assert set(record.model_fields) <= read, record


BOUNDED = {
    "group": 1025,
    "pair_units": 17,
    "batch": 1025,
    "tried": 257,
    "exchange_shares": [],
    "starts": [],
    "attempts": [],
    "power": 17,
    "cold": 0,
    "greedy_size": -1,
    "neighbourhood_tables": 0,
    "quick_share": 1.1,
}
"""Values that would end in errors or in memory that no machine has."""


@pytest.mark.parametrize("name", BOUNDED)
def test_numbers_are_bounded(name: str) -> None:
    """What no search could run with is refused."""
    owners = list({r for r in _records(SolverParams) if name in r.model_fields})
    assert len(owners) == 1
    others = {"item_share": 1.0, "fill": 1.0} if name == "power" else {}
    with pytest.raises(ValidationError):
        owners[0].model_validate({**others, name: BOUNDED[name]})


def least(record: type[Record]) -> Record:
    """Make a record with every count at the least that is allowed."""
    values: dict[str, Any] = {}
    for name, field in record.model_fields.items():
        default = field.get_default()
        if isinstance(default, Record):
            values[name] = least(type(default))
        elif field.annotation is int:
            values[name] = min(
                bound.ge
                for part in field.metadata
                for bound in (part, *getattr(part, "metadata", ()))
                if hasattr(bound, "ge")
            )
    return record.model_validate(values)


@pytest.mark.parametrize("objective", SUMS)
def test_least_counts(objective: Objective) -> None:
    """A solver that may hardly do anything still ends with a legal plan."""
    params = least(SolverParams)
    assert isinstance(params, SolverParams)
    assert params.search.anneal.group == params.auto.neighbourhood_tables == 1
    assert params.auto.exact_size == params.search.patience == 0
    sizes = {"greedy_size": 10_000, "ldm_size": 10_000, "exact_size": 10_000}
    auto_params = params.auto.replace(**sizes)
    for given in (params, params.replace(auto=auto_params)):
        for limit in ({"work_limit": 3e3}, {"time_limit_s": 0.5}):
            solve(objective, Stop(**limit), given)
