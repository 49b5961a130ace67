"""Solvers by name, and how those of plug-ins are made."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from shardplan.errors import InputError, PluginError
from shardplan.planning.solver_params import load_params
from shardplan.solvers.contract import PluginSolver
from shardplan.solvers.registry import SOLVERS, load_solver, solver_names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    PlugIn = Callable[..., Path]

WHO = "solver plug-in 'mine' (their-package 1.2, theirs:Mine): "
CALL = "must be called with (problem, stop, seed, observer)"


@pytest.mark.parametrize("name", SOLVERS)
def test_built_in_solvers(name: str) -> None:
    """Every built-in name can be loaded and has a solve method."""
    solver = load_solver(name)
    assert callable(solver.solve)
    assert not isinstance(solver, PluginSolver)
    assert name in solver_names()


def test_unknown_solver() -> None:
    """The message lists what there is."""
    with pytest.raises(InputError, match="greedy, ldm, ilp"):
        load_solver("simulated_annealing")


def test_a_solver_of_another_package(plug_in: PlugIn) -> None:
    """A class, or a function that makes one."""
    source = """\
        from shardplan.solvers.greedy import Greedy as Mine

        def made():
            return Mine()
    """
    plug_in("solvers", "mine = theirs:Mine\nother = theirs:made", source)
    assert solver_names() == [*SOLVERS, "mine", "other"]
    assert isinstance(load_solver("mine"), PluginSolver)
    assert isinstance(load_solver("other"), PluginSolver)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (
            "class Mine:\n def __init__(self, size): pass",
            "theirs:Mine takes (size), must be called with (): "
            "missing a required argument: 'size'",
        ),
        (
            "class Mine:\n def __init__(self): raise OSError('no licence')",
            "making the solver raised OSError: no licence (theirs.py:2)",
        ),
        ("Mine = 3", "theirs:Mine is a int, must be called with ()"),
        ("import json as Mine", "theirs:Mine is a module, must be called with ()"),
        (
            "class Mine: pass",
            f"the method `solve` of its Mine is missing, {CALL}",
        ),
        (
            "class Mine:\n solve = 'ilp'",
            f"the method `solve` of its Mine is a str, {CALL}",
        ),
        (
            "class Mine:\n def solve(self, problem): pass",
            f"the method `solve` of its Mine takes (problem), {CALL}: "
            "too many positional arguments",
        ),
        (
            "class Mine:\n def solve(problem, stop, seed, observer): pass",
            f"the method `solve` of its Mine takes (stop, seed, observer), {CALL}: "
            "too many positional arguments",
        ),
        (
            "class Mine:\n Params = dict\n def __init__(self, params): pass",
            "its `Params` is dict, must extend `Record`",
        ),
        (
            "from shardplan.solvers import Record\n"
            "class Mine:\n class Params(Record): pass",
            "theirs:Mine takes (), must be called with (params=params): "
            "got an unexpected keyword argument 'params'",
        ),
        (
            "from shardplan.solvers import Record\n"
            "class Mine:\n class Params(Record): size: int\n"
            " def __init__(self, params): pass",
            "making its `Params` raised ValidationError: 1 validation error for Params",
        ),
    ],
)
def test_what_is_no_solver(plug_in: PlugIn, source: str, fault: str) -> None:
    """It is refused before anything is read or searched."""
    plug_in("solvers", "mine = theirs:Mine", source)
    with pytest.raises(PluginError) as caught:
        load_solver("mine")
    assert str(caught.value).startswith(WHO + fault)


TUNED = """\
    from shardplan.solvers import Record
    from shardplan.solvers.greedy import Greedy

    class Mine(Greedy):
        class Params(Record):
            size: int = 3

        seen = []

        def __init__(self, params):
            super().__init__()
            self.seen.append(params.size)
"""


def test_parameters(plug_in: PlugIn) -> None:
    """A solver gets the section of its name, or its defaults."""
    plug_in("solvers", "first-fit = theirs:Mine", TUNED)
    load_solver("first-fit")
    params = load_params({"first-fit": {"size": 7}, "auto": {"ldm": False}})
    load_solver("first-fit", params)
    from theirs import Mine  # type: ignore[import-not-found]

    assert Mine.seen == [3, 7]


def test_a_section_that_is_taken(plug_in: PlugIn) -> None:
    """A solver with parameters cannot be called as a section of ours."""
    plug_in("solvers", "search = theirs:Mine", TUNED)
    with pytest.raises(PluginError, match="is a section of built-in parameters"):
        load_solver("search")


def test_lists_of_names_are_quick() -> None:
    """Completion of names needs neither numpy nor pydantic."""
    code = (
        "from shardplan.solvers.registry import solver_names; import sys;"
        "solver_names(); print([m for m in ('numpy', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
