"""``shardplan import``."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from shardplan.cli import console
from shardplan.cli.base import Command, Group
from shardplan.cli.options import (
    CatalogueEntry,
    WholeRange,
    file_option,
    format_option,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


_LOGGER = "shardplan.integrations.torchrec"


@click.command(
    "torchrec",
    cls=Command,
    examples="""
    shardplan import torchrec my_model:make_model -o workload.json
    shardplan import torchrec my_model:make_model --constraints my_model:limits
    shardplan import torchrec job:model --topology job:topology --topology-output c.json
    """,
)
@click.argument("factory", metavar="MODULE:FACTORY")
@click.option(
    "--batch-size",
    type=WholeRange(min=1),
    default=512,
    help="Samples per rank (default: 512, as TorchRec's planner).",
)
@click.option(
    "--constraints",
    metavar="MODULE:FACTORY",
    help="A function that returns a dict of TorchRec's ParameterConstraints by table.",
)
@click.option(
    "--topology",
    metavar="MODULE:FACTORY",
    help="A function that returns TorchRec's Topology; needs --topology-output.",
)
@click.option(
    "--topology-output",
    metavar="FILE",
    type=click.Path(),
    callback=console.place_json,
    help="Write the topology to FILE.json.",
)
@file_option("the workload to FILE.json", console.place_json)
@format_option
def torchrec(
    factory: str,
    batch_size: int,
    constraints: str | None,
    topology: str | None,
    topology_output: str | None,
    output: str,
    form: str,
) -> None:
    """Describe a TorchRec model as a workload that solve takes.

    FACTORY is a function without arguments, or with one named device, that returns the
    model; it is called on the meta device, so that tables take no memory. MODULE is
    searched in the current folder, too. Needs torch and TorchRec. Files are JSON,
    indented as text. Exit code 1: no such module or function, its code raises, it
    returns something else, no tables.
    """
    if (topology is None) != (topology_output is None):
        raise click.UsageError("--topology and --topology-output need each other")
    from shardplan.integrations.torchrec.factories import require_torch

    require_torch()
    from shardplan.integrations.torchrec.imported_model import (
        import_model,
        import_topology,
    )

    with _logged(), console.strays_to_stderr():
        model = import_model(factory, batch_size=batch_size, constraints=constraints)
        cluster = None if topology is None else import_topology(topology)
    for note in model.notes:
        console.warn(note)
    if cluster is not None and topology_output is not None:
        console.write(console.record_text(cluster, form), topology_output)
    console.write(console.record_text(model.workload, form), output)


@click.command(
    "fbgemm",
    cls=Command,
    examples="shardplan import fbgemm tbe_data_config.json -o workload.json",
)
@click.argument("config", type=click.Path())
@file_option("the workload to FILE.json", console.place_json)
@format_option
def fbgemm(config: str, output: str, form: str) -> None:
    """Describe the lookups that a running job of FBGEMM wrote down as a workload.

    CONFIG is a TBEDataConfig in JSON: rows and columns of tables, batch, lookups of a
    sample, and how hot the hottest rows and all others are. Dense layers are not in it.
    Files are JSON, indented as text. Exit code 1: another file.
    """
    from shardplan.statistics.tbe_config import import_tbe_config

    found = import_tbe_config(config)
    for note in found.notes:
        console.warn(note)
    console.write(console.record_text(found.workload, form), output)


@click.command(
    "sparsecore",
    cls=Command,
    examples="""
    shardplan import sparsecore fdo_stats_*.csv --model model.toml -o workload.json
    """,
)
@click.argument("feedback", nargs=-1, required=True, type=click.Path())
@click.option(
    "--model",
    metavar="WORKLOAD",
    required=True,
    type=CatalogueEntry("workloads"),
    help="Tables of the model by the names of the job, the batch, dense layers.",
)
@file_option("the workload to FILE.json", console.place_json)
@format_option
def sparsecore(feedback: tuple[str, ...], model: str, output: str, form: str) -> None:
    """Add what a job on SparseCores has seen of its tables to a workload.

    FEEDBACK are the files that jax-tpu-embedding's CSVFileFDOClient writes, one of each
    process: the most ids, and unique ids, that a core sends to each partition. For each
    table of the job the workload gets unique ids of a core's batch, and the skew of
    rows dealt out modulo the partitions. Files are JSON, indented as text. Exit code 1:
    other files, or those of another model.
    """
    from shardplan.io.catalog import load_workload
    from shardplan.statistics.sparsecore_feedback import with_feedback

    workload, notes = with_feedback(load_workload(model), feedback)
    for note in notes:
        console.warn(note)
    console.write(console.record_text(workload, form), output)


@contextmanager
def _logged() -> Iterator[None]:
    """Show what is warned of a model's tables."""

    class Shown(logging.Handler):
        """Writes warnings as those of other commands are written."""

        def emit(self, record: logging.LogRecord) -> None:
            console.warn(record.getMessage())

    handler = Shown(logging.WARNING)
    logger = logging.getLogger(_LOGGER)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


command = Group(
    "import",
    help="Describe a model and a cluster of another program.",
    examples="shardplan import torchrec my_model:make_model -o workload.json",
)
command.add_command(torchrec)
command.add_command(fbgemm)
command.add_command(sparsecore)
