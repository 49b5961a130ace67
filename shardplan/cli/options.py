"""Options and arguments that several commands share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from shardplan.cli import console
from shardplan.units import Dimension, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shardplan.io.catalog import Kind

PICTURES = (".svg", ".png")
"""Endings of pictures that --plot writes."""

F = TypeVar("F", bound="Callable[..., Any]")

DEFAULT_LIMIT = 20
"""Entries that a text report lists unless --limit says otherwise."""


class FiniteRange(click.FloatRange):
    """A range of finite numbers: neither nan nor inf."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Convert text to a number of the range."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class WholeRange(click.IntRange):
    """A range of whole numbers."""

    name = "whole number"


class RanksOrAuto(click.IntRange):
    """A number of ranks, or the word ``auto``."""

    name = "ranks"

    def __init__(self) -> None:
        super().__init__(min=1, max=65_536)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Convert text such as ``8``."""
        if value == "auto":
            return value
        if not str(value).isdecimal():
            self.fail(f"{value!r} is neither a number of ranks nor 'auto'.", param, ctx)
        return super().convert(value, param, ctx)


class QuantityRange(FiniteRange):
    """A range of numbers in a base unit; text with a unit is one, too."""

    name = "quantity"

    def __init__(
        self, dimension: Dimension, *, is_whole: bool = False, **limits: Any
    ) -> None:
        super().__init__(**limits)
        self.dimension = dimension
        self.is_whole = is_whole

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Convert text such as ``90`` or ``10 min`` to a number of the range."""
        try:
            number = float(value)
        except ValueError:
            try:
                number = parse_quantity(value, self.dimension)
            except ValueError as error:
                self.fail(f"{value!r}: {error}", param, ctx)
        number = super().convert(number, param, ctx)
        if not self.is_whole:
            return number
        if number != int(number):
            self.fail(f"{value!r} is not a whole number.", param, ctx)
        return int(number)


def complete_words(words: Iterable[str], incomplete: str) -> list[str]:
    """Return the words that begin as what is typed."""
    return [word for word in words if word.startswith(incomplete)]


def complete_solver(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[str]:
    """Complete the names of solvers, those of plug-ins included."""
    from shardplan.solvers.registry import solver_names

    return complete_words(solver_names(), incomplete)


class CatalogueEntry(click.types.StringParamType):
    """A shipped name or a path; the shell completes both."""

    name = "name or path"

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete shipped names, and files where none fits."""
        from shardplan.io.catalog import names

        known = complete_words(names(self.kind), incomplete)
        if known:
            return [CompletionItem(name) for name in known]
        return [CompletionItem(incomplete, type="file")]


cost_model_option = click.option(
    "--cost-model",
    metavar="NAME",
    type=CatalogueEntry("cost_models"),
    help="A shipped name or a path (default: the one that the topology names).",
)


def report_options(command: F) -> F:
    """Add --format and --output to a command that writes a report."""
    return format_option(output_option(command))


def plot_option(what: str) -> Callable[[F], F]:
    """Add --plot, which also writes one figure to a file."""
    return click.option(
        "--plot",
        metavar="FILE",
        type=click.Path(),
        callback=place_picture,
        help=f"Draw {what}: FILE ends in .svg or .png.",
    )


def place_picture(
    ctx: click.Context, param: click.Parameter, path: str | None
) -> str | None:
    """Check the ending, and where to write, while options are read."""
    if path is None or ctx.resilient_parsing:
        return path
    if not path.lower().endswith(PICTURES):
        known = " or ".join(PICTURES)
        raise click.BadParameter(f"{path!r} does not end in {known}", ctx, param)
    return console.place(ctx, param, path)


def file_option(
    what: str, place: Callable[..., str | None] = console.place
) -> Callable[[F], F]:
    """Add --output for a result that goes to standard output otherwise."""
    return click.option(
        "-o",
        "--output",
        metavar="FILE",
        type=click.Path(),
        default=console.STDOUT,
        callback=place,
        help=f"Write {what} instead of standard output ('-').",
    )


output_option = file_option("the report to FILE")


def format_option(command: F) -> F:
    """Add --format."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["text", "json"]),
        default="text",
        help="Text for people or JSON for programs (default: text).",
    )(command)


def limit_option(what: str) -> Callable[[F], F]:
    """Add --limit for what a report lists."""
    return click.option(
        "--limit",
        metavar="N",
        type=WholeRange(min=1),
        help=f"List at most N {what} (default: {DEFAULT_LIMIT} in text, all in JSON).",
    )


def plan_argument(name: str = "plan") -> Callable[[F], F]:
    """Add a plan file as argument."""
    return click.argument(name, metavar=name.upper(), type=click.Path())


def read_ranks(text: str, world_size: int) -> tuple[int, ...]:
    """Read the ranks of --ranks, such as ``0-3,8``, each once.

    Raises
    ------
    click.BadParameter
        If they are not a list of ranks, or not all below `world_size`.
    """
    from shardplan.records.placement import parse_ranks

    try:
        ranks = parse_ranks(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--ranks") from None
    require_ranks(ranks, world_size, "--ranks")
    return tuple(dict.fromkeys(ranks))


def require_ranks(ranks: Iterable[int], world_size: int, option: str) -> None:
    """Refuse ranks that there are not."""
    last = max(ranks)
    if last >= world_size:
        rule = f"there is no rank {last}: the last one is {world_size - 1}"
        raise click.BadParameter(rule, param_hint=option)


def list_limit(limit: int | None, form: str) -> int | None:
    """Return how many entries to list; None for all."""
    return DEFAULT_LIMIT if limit is None and form == "text" else limit
