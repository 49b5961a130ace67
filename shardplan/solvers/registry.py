"""Solvers by name: built-in ones, and those of plug-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from shardplan.io.plugins import Registry

if TYPE_CHECKING:
    from shardplan.solvers.base import Solver
    from shardplan.solvers.params import SolverParams

SOLVERS = {
    "auto": "shardplan.solvers.auto:Auto",
    "greedy": "shardplan.solvers.greedy:Greedy",
    "ldm": "shardplan.solvers.ldm:LargestDifferencing",
    "ilp": "shardplan.solvers.ilp.model:IntegerProgram",
    "cbc": "shardplan.solvers.ilp.cbc:CbcProgram",
}
"""Built-in solvers; others come by entry point in group ``shardplan.solvers``."""
_REGISTRY = Registry("solver", SOLVERS)


def solver_names() -> list[str]:
    """Names of all solvers, built-in ones first; imports none."""
    return _REGISTRY.names()


def solver_type(name: str) -> Any:
    """Import the class of a solver, or whatever makes one, by its name.

    Parameters
    ----------
    name : str
        Name of a solver.

    Returns
    -------
    type or callable
        What makes the solver.

    Raises
    ------
    InputError
        For an unknown name; lists the known ones. For one that two plug-ins have.
    PluginError
        If a plug-in cannot be imported.
    """
    return _REGISTRY.load(name)[0]


def load_solver(name: str, params: SolverParams | None = None) -> Solver:
    """Make a solver by name.

    Parameters
    ----------
    name : str
        Name of a solver.
    params : SolverParams, optional
        Built-in solvers take all of it; a plug-in takes the section of its name, if
        its class has a record `Params`.

    Returns
    -------
    Solver
        That of a plug-in has everything checked that it returns.

    Raises
    ------
    InputError
        For an unknown name; lists the known ones. For one that two plug-ins have.
    PluginError
        If a plug-in cannot be imported, makes no solver, or one that cannot be called.
    """
    make, plugin = _REGISTRY.load(name)
    # Lists of names need none of these.
    from shardplan.solvers.contract import PluginSolver
    from shardplan.solvers.params import DEFAULTS

    if plugin is None:
        return cast("Solver", make(params=params or DEFAULTS))
    return PluginSolver.made(plugin, make, params or DEFAULTS)
