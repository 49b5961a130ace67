"""The exceptions that shardplan raises.

::

    ShardplanError
    ├── InputError        bad file or argument: every problem at once    exit code 1
    ├── PluginError       a plug-in fails, or returns what is wrong      exit code 1
    ├── InfeasibleError   no plan fits: tier, shortfall, tables          exit code 3
    └── LimitError        stopped at a limit without a plan              exit code 4

Exit code 2 (wrong usage of the command line) is click's own.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shardplan.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_MOST_FAULTS = 10
"""Faults of a plug-in that are listed."""


class ShardplanError(Exception):
    """Base of all errors that a user can cause or must know about.

    Attributes
    ----------
    exit_code : int
        That of the command line.
    warnings : tuple of str
        What else failed on the way, such as a library, in its own words.
    """

    exit_code = 1
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an input.

    Attributes
    ----------
    where : str
        File or argument, for example ``my_cluster.toml``.
    key : str
        Key path inside it, for example ``host_groups[0].device.hbm_bytes``.
    value : str
        The offending value, shortened; empty if a value is missing.
    rule : str
        What is required, and where it helps, what to do.
    """

    where: str
    key: str
    value: str
    rule: str

    def __str__(self) -> str:
        """Render as ``file: key = value: rule``, on one line."""
        at = f"{self.where}: {self.key}" if self.key else self.where
        shown = f"{at} = {self.value}" if self.value else at
        return one_line(f"{shown}: {self.rule}")


class InputError(ShardplanError):
    """An input is wrong; `problems` lists everything that is.

    Attributes
    ----------
    problems : tuple of Problem
        Each with `where` (file or argument), `key`, `value` and `rule`.
    """

    exit_code = 1

    def __init__(self, problems: Iterable[Fault]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"- {problem}" for problem in self.problems))

    @classmethod
    def single(cls, where: str, key: str, value: object, rule: str) -> InputError:
        """Make an error of one problem."""
        shown = "" if value is None else shorten(value)
        return cls([Fault(where, key, shown, rule)])


class PluginError(ShardplanError):
    """A plug-in cannot be used, fails, or returns what is wrong.

    An exception of the plug-in itself is the error's ``__cause__``.

    Attributes
    ----------
    plugin : str
        Its kind and name, its distribution, and where its code is.
    faults : tuple of str
        What is wrong: the rules broken, and what to do.
    """

    exit_code = 1

    def __init__(self, plugin: str, faults: Sequence[str]) -> None:
        self.plugin = one_line(plugin)
        self.faults = tuple(map(one_line, faults))
        if len(self.faults) == 1:
            super().__init__(f"{self.plugin}: {self.faults[0]}")
            return
        lines = [f"{self.plugin}: {len(self.faults)} faults"]
        lines += [f"- {fault}" for fault in self.faults[:_MOST_FAULTS]]
        if len(self.faults) > _MOST_FAULTS:
            lines.append(f"- and {len(self.faults) - _MOST_FAULTS} more")
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A memory pool that is too small.

    Attributes
    ----------
    tier : str
        ``hbm``, ``ddr`` or ``ssd``.
    needed_bytes, available_bytes : float
        What the named tables need there at least, and what there is.
    tables : tuple of str
        The tables that cause it, largest first.
    """

    tier: str
    needed_bytes: float
    available_bytes: float
    tables: tuple[str, ...]


class InfeasibleError(ShardplanError):
    """No plan was found that fits; `proven` says whether none exists.

    Attributes
    ----------
    proven : bool
        True when no plan can exist; False when the solver found none.
    shortfalls : tuple of Shortfall
        The memory pools that are too small.
    relaxations : tuple of str
        Changes, one at a time, after which a plan was found.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        shortfalls: Sequence[Shortfall] = (),
        *,
        proven: bool,
        relaxations: Sequence[str] = (),
    ) -> None:
        self.shortfalls = tuple(shortfalls)
        self.relaxations = tuple(relaxations)
        self.proven = proven
        super().__init__(message)


class LimitError(ShardplanError):
    """Time or work ran out, or somebody asked to stop, before there was any plan.

    Attributes
    ----------
    interrupted : bool
        True if somebody asked, by Ctrl-C or SIGTERM; the program then exits with the
        code of the signal.
    """

    exit_code = 4

    def __init__(self, message: str, *, interrupted: bool = False) -> None:
        self.interrupted = interrupted
        super().__init__(message)


def shorten(value: object, limit: int = 60) -> str:
    """Show a value in at most `limit` characters."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python prints
        text = "a number of thousands of digits"
    return text if len(text) <= limit else text[: limit - 3] + "..."


def __getattr__(name: str) -> Any:
    if name == "Problem":  # until release 0.3
        warnings.warn("errors.Problem is errors.Fault now", DeprecationWarning, 2)
        return Fault
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
