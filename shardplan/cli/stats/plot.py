"""``shardplan stats plot``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import PICTURES

if TYPE_CHECKING:
    from shardplan.records.log_statistics import LogStatistics, TableStatistics


@click.command(
    "plot",
    cls=Command,
    examples="""
    shardplan stats plot statistics -o curves.svg
    shardplan stats plot statistics --table user -o user.png
    """,
)
@click.argument("folder", type=click.Path())
@click.option(
    "--table",
    "names",
    metavar="NAME",
    multiple=True,
    help="Draw this table; may be given again (default: the 8 with most lookups).",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=click.Path(),
    callback=console.place,
    help="Write the picture to FILE.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice([ending[1:] for ending in PICTURES]),
    help="Kind of picture (default: by the ending of FILE).",
)
def command(folder: str, names: tuple[str, ...], output: str, form: str | None) -> None:
    """Draw what was measured of tables: access, unique rows, and misses of LRU caches.

    Beside unique rows and misses is what they would be if lookups were independent,
    with the same access curve: where both differ, a distribution says too little. If
    days were compared, a fourth picture has the share of the lookups that moved.
    """
    from shardplan.io.atomic import write_bytes_atomically
    from shardplan.report.plot import require_matplotlib
    from shardplan.report.statistics_plot import statistics_plot
    from shardplan.statistics.folder import load_statistics

    form = form or _kind(output)
    require_matplotlib()
    found = load_statistics(folder)
    tables = _chosen(found, names, folder)
    write_bytes_atomically(output, statistics_plot(tables, found.name, form))


def _kind(output: str) -> str:
    """Return the kind of picture that the name of a file asks for.

    Raises
    ------
    click.BadParameter
        If it asks for none.
    """
    for ending in PICTURES:
        if output.lower().endswith(ending):
            return ending[1:]
    known = " or ".join(PICTURES)
    rule = f"{output!r} does not end in {known}: end it so, or give --format"
    raise click.BadParameter(rule, param_hint="'-o' / '--output'")


def _chosen(
    found: LogStatistics, names: tuple[str, ...], folder: str
) -> list[TableStatistics]:
    """Return the tables to draw, which have lookups.

    Raises
    ------
    InputError
        If there are none, or none of a name.
    """
    from shardplan.errors import InputError
    from shardplan.io.wording import suggest
    from shardplan.report.statistics_plot import MOST_TABLES

    tables = {each.name: each for each in found.tables if each.lookups}
    for name in names:
        if name not in tables:
            rule = f"is no table with lookups{suggest(name, tables)}"
            raise InputError.single(folder, "", name, rule)
    if not tables:
        raise InputError.single(folder, "", None, "no table has lookups to draw")
    if names:
        return [tables[name] for name in dict.fromkeys(names)]
    return sorted(tables.values(), key=lambda t: (-t.lookups, t.name))[:MOST_TABLES]
