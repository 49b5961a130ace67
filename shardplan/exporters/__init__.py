"""Write plans in the words of the program that runs them.

An exporter is a function from a checked plan to JSON-able data. None needs the
framework that it writes for. Others come by entry point in group
``shardplan.exporters``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, cast

from shardplan.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.plans.plan import Plan

    Exporter = Callable[[Plan], dict[str, Any]]
    """Takes a plan, checks what its framework can run, and returns JSON-able data."""

EXPORTERS = {
    "torchrec": "shardplan.exporters.torchrec:export",
    "hugectr": "shardplan.exporters.hugectr:export",
    "manifest": "shardplan.exporters.manifest:export",
    "sbp": "shardplan.exporters.sbp:export",
}
"""Built-in exporters."""


def exporter_names() -> list[str]:
    """Names of all exporters, built-in ones first."""
    plugins = sorted(p.name for p in entry_points(group="shardplan.exporters"))
    return [*EXPORTERS, *(name for name in plugins if name not in EXPORTERS)]


def export(plan: Plan, to: str) -> dict[str, Any]:
    """Export a plan.

    Parameters
    ----------
    plan : Plan
        With the inputs that it was made for.
    to : str
        Name of an exporter: ``torchrec``, ``hugectr``, ``manifest``, ``sbp``, or that
        of a plug-in.

    Returns
    -------
    dict
        What the framework reads, JSON-able.

    Raises
    ------
    InputError
        For an unknown name, and for a plan that is not valid or that the framework
        cannot run, with every table and rule.
    """
    return load_exporter(to)(plan)


def load_exporter(name: str) -> Exporter:
    """Import an exporter by name.

    Parameters
    ----------
    name : str
        Name of an exporter.

    Returns
    -------
    Exporter
        A function from a plan to JSON-able data.

    Raises
    ------
    InputError
        For an unknown name; lists the known ones.
    """
    if name in EXPORTERS:
        module, _, attribute = EXPORTERS[name].partition(":")
        return cast("Exporter", getattr(import_module(module), attribute))
    for plugin in entry_points(group="shardplan.exporters", name=name):
        return cast("Exporter", plugin.load())
    known = ", ".join(exporter_names())
    raise InputError.single("export", "to", name, f"must be one of: {known}")
