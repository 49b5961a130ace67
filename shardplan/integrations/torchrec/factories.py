"""Call what a user's module builds: models, clusters and constraints of TorchRec."""

from __future__ import annotations

import inspect
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError, PluginError
from shardplan.integrations.torchrec.versions import require_torchrec
from shardplan.io.plugins import foreign_words
from shardplan.io.wording import suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

_INSTALL = "see docs/guides/install-torchrec.md"


def require_torch() -> None:
    """Make sure that torch and TorchRec are there, before a user's module needs them.

    Raises
    ------
    InputError
        If they are not installed, or cannot be imported.
    """
    require_torchrec()
    try:
        import_module("torchrec")
    except (ImportError, OSError) as error:
        rule = f"cannot be imported: {error}; {_INSTALL}"
        raise InputError.single("torchrec", "", None, rule) from error


def build(place: str, kind: type, offered: Mapping[str, Any] | None = None) -> Any:
    """Call a factory and return what it makes.

    Parameters
    ----------
    place : str
        ``module:factory``; the current folder is searched for the module, too.
    kind : type
        What it must make.
    offered : mapping, optional
        Keyword arguments for those parameters that the factory has.

    Raises
    ------
    InputError
        If there is no such factory, if it needs other arguments, or makes something
        else.
    PluginError
        If its module or the factory itself raises; that is the cause.
    """
    factory = _load(place)
    given = _arguments(place, factory, offered or {})
    try:
        made = factory(**given)
    except (Exception, SystemExit) as error:
        raise PluginError(place, [f"raised {foreign_words(error)}"]) from error
    if not isinstance(made, kind):
        rule = f"must return a {kind.__name__}"
        raise InputError.single(place, "", type(made).__name__, rule)
    return made


def _load(place: str) -> Any:
    module, _, path = place.partition(":")
    if not module or not path:
        rule = "must be given as MODULE:FACTORY, such as my_model:make_model"
        raise InputError.single("factory", "", place, rule)
    if module.endswith(".py") or os.sep in module:
        rule = "is a file: give the name of its module, such as my_model:make_model"
        raise InputError.single("factory", "", place, rule)
    found: Any = _import(module)
    at = module
    for name in path.split("."):
        if not hasattr(found, name):
            rule = f"{at} has no attribute {name!r}{suggest(name, dir(found))}"
            raise InputError.single(place, "", None, rule)
        found, at = getattr(found, name), f"{at}.{name}"
    if not callable(found):
        rule = f"{at} is a {type(found).__name__}, not a function that makes one"
        raise InputError.single(place, "", None, rule)
    return found


def _import(module: str) -> Any:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as `python -m` does
    try:
        return import_module(module)
    except (Exception, SystemExit) as error:
        missing = getattr(error, "name", None) or ""
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(
            f"{missing}."
        ):
            rule = f"no module {missing!r} in {folder}, PYTHONPATH or what is installed"
            raise InputError.single("factory", "", module, rule) from None
        text = f"importing it raised {foreign_words(error)}"
        raise PluginError(module, [text]) from error


def _arguments(place: str, factory: Any, offered: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that a factory takes of those offered."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # some of C's have none
        return {}
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = {p.name for p in parameters if p.kind in plain}
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty
        and p.kind not in variable
        and not (p.kind in plain and p.name in offered)
    ]
    if needed:
        known = f", or with {', '.join(offered)}" if offered else ""
        rule = (
            f"needs {', '.join(needed)}; it is called without arguments{known}: "
            "wrap it in a function"
        )
        raise InputError.single(place, "", None, rule)
    return {name: value for name, value in offered.items() if name in named}
