"""Names that a package imports from its modules on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazily(package: str, home: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package.

    Parameters
    ----------
    package : str
        Its name.
    home : mapping of str to str
        The module of each name, below ``shardplan``; ``module:attribute`` where it has
        another name there.
    """

    def look_up(name: str) -> Any:
        if name in home:
            module, _, attribute = home[name].partition(":")
            return getattr(import_module(f"shardplan.{module}"), attribute or name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return look_up
