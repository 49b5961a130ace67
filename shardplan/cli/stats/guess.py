"""``shardplan stats guess``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import file_option, format_option


@click.command(
    "guess",
    cls=Command,
    examples="shardplan stats guess clicks.parquet -o mapping.toml",
)
@click.argument("log", type=click.Path())
@file_option("the mapping to FILE")
@format_option
def command(log: str, output: str, form: str) -> None:
    """Write a first mapping of a log: a table for each column that has ids.

    Rows are one more than the largest id of the first million samples; text gets a
    hash function and a million rows. Edit it: sizes, tables that share rows, the hash
    function and seed of the training job, the column of the time. It is TOML as text.
    """
    from shardplan.statistics.mapping_file import guess_mapping, mapping_text

    mapping = guess_mapping(log)
    is_json = form == "json"
    text = console.record_text(mapping, form) if is_json else mapping_text(mapping)
    console.write(text, output)
