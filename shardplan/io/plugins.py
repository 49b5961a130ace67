"""Solvers, exporters and the like by name: built-in ones, and those of plug-ins.

A plug-in is an entry point of another distribution. Names are listed without importing
any. Whatever goes wrong in foreign code is a `PluginError` that names the plug-in.
"""

from __future__ import annotations

import inspect
import sys
import traceback
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError, PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from importlib.metadata import EntryPoint

_PACKAGE = Path(__file__).resolve().parents[1]
_WORDS = 300
"""Characters of a foreign exception's text that are shown."""
_MISSING = object()
_METADATA = (".dist-info", ".egg-info", ".egg")
"""Folders and files from which a distribution is known."""


@dataclass(frozen=True)
class Plugin:
    """One entry point.

    Attributes
    ----------
    kind : str
        What it is, such as ``solver``.
    name : str
        Its own name.
    place : str
        ``module:attribute``.
    distribution : str
        Name and version of what was installed.
    """

    kind: str
    name: str
    place: str
    distribution: str

    def __str__(self) -> str:
        """Render as ``solver plug-in 'x' (its distribution, module:attribute)``."""
        return f"{self.kind} plug-in {self.name!r} ({self.distribution}, {self.place})"

    def error(self, *faults: str) -> PluginError:
        """Make an error that names this plug-in."""
        return PluginError(str(self), faults)

    @contextmanager
    def blamed(
        self, what: str, let: tuple[type[Exception], ...] = ()
    ) -> Iterator[None]:
        """Turn what foreign code raises into a `PluginError`, with it as the cause.

        Parameters
        ----------
        what : str
            What is being done, such as ``solve``.
        let : tuple of exception types
            What the foreign code may raise.
        """
        try:
            yield
        except let:
            raise
        except (Exception, SystemExit) as error:
            # sys.exit() in foreign code would end the program as if all were well.
            raise self.error(f"{what} raised {foreign_words(error)}") from error

    def load(self) -> Any:
        """Import the attribute.

        Raises
        ------
        PluginError
            If its module cannot be imported or lacks the attribute.
        """
        module, _, path = self.place.partition("[")[0].replace(" ", "").partition(":")
        if not module or not path:
            raise self.error("must be given as `module:attribute`")
        with self.blamed(f"importing {module}"):
            found: Any = import_module(module)
        at = module
        for attribute in path.split("."):
            with self.blamed(f"importing {attribute} of {at}"):
                inner = getattr(found, attribute, _MISSING)
            if inner is _MISSING:
                near = _near(attribute, dir(found))
                raise self.error(f"{at} has no attribute {attribute!r}{near}")
            found, at = inner, f"{at}.{attribute}"
        return found

    def require_call(
        self,
        call: object,
        what: str,
        arguments: Sequence[str] = (),
        keywords: Sequence[str] = (),
    ) -> None:
        """Refuse what cannot be called so, before it is called.

        Parameters
        ----------
        what : str
            What `call` is, as the message begins.
        arguments, keywords : sequences of str
            Names of the arguments that are given by position and by name.

        Raises
        ------
        PluginError
            With its own signature and the one that is needed.
        """
        named = {word: word for word in keywords}
        wanted = f"({', '.join([*arguments, *(f'{w}={w}' for w in keywords)])})"
        if not callable(call):
            kind = "missing" if call is None else f"a {type(call).__name__}"
            raise self.error(f"{what} is {kind}, must be called with {wanted}")
        try:
            signature = inspect.signature(call)
        except (TypeError, ValueError):  # some of C's have none
            return
        try:
            signature.bind(*arguments, **named)
        except TypeError as error:
            raise self.error(
                f"{what} takes {signature}, must be called with {wanted}: {error}"
            ) from None


class Registry:
    """What is known of one kind by name; a built-in name cannot be taken.

    Parameters
    ----------
    kind : str
        Such as ``solver``; the entry points' group is ``shardplan.solvers``.
    built_in : mapping of str to str
        ``module:attribute`` by name.
    """

    def __init__(self, kind: str, built_in: Mapping[str, str]) -> None:
        self.kind = kind
        self.built_in = built_in

    def names(self) -> list[str]:
        """Return all names, built-in ones first; imports nothing."""
        others = {found.name for found in self._entry_points()}
        return [*self.built_in, *sorted(others - set(self.built_in))]

    def load(self, name: str) -> tuple[Any, Plugin | None]:
        """Import what a name stands for; with the plug-in that it comes from, if any.

        Raises
        ------
        InputError
            For an unknown name; lists the known ones. For one that two plug-ins have.
        PluginError
            If a plug-in cannot be imported.
        """
        plugins = self._plugins(name)
        if name in self.built_in:
            for hidden in plugins:
                text = f"{hidden} is not used: {name!r} is built in; rename the plug-in"
                warnings.warn(text, UserWarning, stacklevel=3)
            module, _, attribute = self.built_in[name].partition(":")
            return getattr(import_module(module), attribute), None
        if not plugins:
            known = self.names()
            rule = f"must be one of: {', '.join(known)}{_near(name, known)}"
            raise InputError.single(self.kind, "name", name, rule)
        if len(plugins) > 1:
            owners = "; ".join(map(str, plugins))
            rule = f"{len(plugins)} plug-ins have this name, uninstall all but one: "
            raise InputError.single(self.kind, "name", name, rule + owners)
        return plugins[0].load(), plugins[0]

    def _plugins(self, name: str) -> list[Plugin]:
        found = {
            Plugin(self.kind, name, point.value, _distribution(point))
            for point in self._entry_points()
            if point.name == name
        }
        return sorted(found, key=str)

    def _entry_points(self) -> Sequence[EntryPoint]:
        return _entry_points(f"shardplan.{self.kind}s", tuple(map(_state, sys.path)))


@lru_cache(maxsize=16)
def _entry_points(group: str, _: tuple[object, ...]) -> Sequence[EntryPoint]:
    """Return the entry points of a group, for a state of the import path."""
    return tuple(entry_points(group=group))


def _state(path: str) -> tuple[object, ...]:
    """Return what changes when a distribution comes into a folder or goes."""
    try:
        found = Path(path).stat()
        return _distributions(path, found.st_dev, found.st_ino, found.st_mtime_ns)
    except (OSError, ValueError):
        return (path,)


@lru_cache(maxsize=64)
def _distributions(path: str, *state: int) -> tuple[object, ...]:
    """Return what is installed in a folder, for a state of it, or that of a file."""
    if not Path(path).is_dir():
        return path, *state
    inside = [entry for entry in Path(path).iterdir() if entry.suffix in _METADATA]
    return path, *sorted((entry.name, entry.stat().st_mtime_ns) for entry in inside)


def _near(word: str, known: Sequence[str]) -> str:
    from shardplan.io.wording import suggest  # needs pydantic, which lists do not

    return suggest(word, known)


def _distribution(point: EntryPoint) -> str:
    if point.dist is None:
        return "unknown distribution"
    try:
        facts: Any = point.dist.metadata or ()  # a folder may lack them
    except FileNotFoundError:  # what the importlib_metadata of other libraries says
        facts = ()
    found = [facts[key] for key in ("Name", "Version") if key in facts]
    return " ".join(found) or "unknown distribution"


def foreign_words(error: BaseException) -> str:
    """Return an exception's type and text, and the line of foreign code it is from."""
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be shown)"
    text = text if len(text) <= _WORDS else text[: _WORDS - 3] + "..."
    shown = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen ")
        and not Path(frame.filename).resolve().is_relative_to(_PACKAGE)
        and "importlib" not in Path(frame.filename).parts
    ]
    if frames:
        shown += f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})"
    return shown
