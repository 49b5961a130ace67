"""Write plans in the words of the program that runs them.

An exporter is a function from a checked plan to JSON-able data. None needs the
framework that it writes for. Others come by entry point in group
``shardplan.exporters``. What an exporter needs beside the plan is imported from here,
on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from shardplan.imports import lazily
from shardplan.io.plugins import Registry

if TYPE_CHECKING:
    from shardplan.exporters.runnable import require_runnable as require_runnable
    from shardplan.plans.plan import Plan as Plan
    from shardplan.plans.rectangles import rectangles as rectangles

_HOME = {
    "Plan": "plans.plan",
    "rectangles": "plans.rectangles",
    "require_runnable": "exporters.runnable",
}

__all__ = [
    "EXPORTERS",
    "Exporter",
    "export",
    "exporter_names",
    "load_exporter",
    *_HOME,
]
__getattr__ = lazily(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__


class Exporter(Protocol):
    """Takes a plan, checks what its framework can run, and returns JSON-able data."""

    def __call__(self, plan: Plan, /) -> dict[str, Any]:
        """Export a plan."""


EXPORTERS = {
    "torchrec": "shardplan.exporters.torchrec:export",
    "hugectr": "shardplan.exporters.hugectr:export",
    "manifest": "shardplan.exporters.manifest:export",
    "sbp": "shardplan.exporters.sbp:export",
}
"""Built-in exporters."""
_REGISTRY = Registry("exporter", EXPORTERS)


def exporter_names() -> list[str]:
    """Names of all exporters, built-in ones first."""
    return _REGISTRY.names()


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
    PluginError
        If a plug-in fails, or returns what is no dict or what JSON cannot hold.
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
        For an unknown name; lists the known ones. For one that two plug-ins have.
    PluginError
        If a plug-in cannot be imported, or is no exporter.
    """
    found, plugin = _REGISTRY.load(name)
    if plugin is None:
        return cast("Exporter", found)
    from shardplan.exporters.contract import checked

    return checked(plugin, found)
