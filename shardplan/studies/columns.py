"""The columns of a study's table: names, units, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shardplan.studies.fields import quantity_of

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["number", "whole", "text", "flag"]
Sense = Literal["min", "max"]


@dataclass(frozen=True, slots=True)
class StudyColumn:
    """A column of the table of a study.

    Attributes
    ----------
    name : str
        As in files, constraints and options.
    unit : str
        The base unit; ``1`` for ratios and counts of nothing else, empty for text.
    title : str
        What it holds, in words.
    sense : {"min", "max"}, optional
        Which way is better, if either is.
    kind : {"number", "whole", "text", "flag"}
        What its cells are where they are not empty.
    """

    name: str
    unit: str
    title: str
    sense: Sense | None = None
    kind: Kind = "number"


def _text(name: str, title: str) -> StudyColumn:
    return StudyColumn(name, "", title, None, "text")


RESULTS = (
    _text("status", "feasible, infeasible (proven), not_found, error or implied"),
    StudyColumn("feasible", "", "whether a plan was found", None, "flag"),
    StudyColumn("hosts", "hosts", "hosts, servers included", "min", "whole"),
    StudyColumn(
        "world_size", "ranks", "ranks, or workers of parameter servers", "min", "whole"
    ),
    StudyColumn("objective_s", "s", "objective of the plan", "min"),
    StudyColumn("lower_bound_s", "s", "what no plan of the menu goes below"),
    StudyColumn("gap", "1", "objective over lower bound, less 1", "min"),
    StudyColumn("step_time_s", "s", "simulated step", "min"),
    StudyColumn("throughput_samples_per_s", "samples/s", "simulated throughput", "max"),
    StudyColumn(
        "throughput_per_rank", "samples/s/rank", "throughput over ranks", "max"
    ),
    _text("bottleneck", "stage that takes the most of the step"),
    _text("bottleneck_link", "busiest kind of link: scale_up, nic or uplink"),
    StudyColumn("link_busy", "1", "share of its line rate over the step", "min"),
    StudyColumn("exposed_comm_s", "s", "communication that nothing hides", "min"),
    StudyColumn("hbm_fill", "1", "fullest HBM of a rank, used over usable", "min"),
    StudyColumn("ddr_fill", "1", "fullest pool of DDR, used over usable", "min"),
    StudyColumn("ssd_fill", "1", "fullest pool of SSD, used over usable", "min"),
    StudyColumn(
        "checkpoint_bytes", "bytes", "tables and their optimizer states", "min"
    ),
    _text("plan_sha256", "SHA-256 of the plan file"),
    _text("message", "why there is no plan"),
    _text("shortfall_tier", "tier that is too small: hbm, ddr, ssd, or any of them"),
    StudyColumn("shortfall_bytes", "bytes", "how much is missing there", "min"),
    _text("shortfall_tables", "largest tables that need it"),
)
"""What `evaluate_point` finds, and is kept in the journal."""

DERIVED = (
    StudyColumn("cost_per_hour", "currency/h", "price of the cluster", "min"),
    StudyColumn("cost_per_step", "currency", "price of a step", "min"),
    StudyColumn("cost_per_1e9_samples", "currency", "price of 10^9 samples", "min"),
    StudyColumn(
        "cost_per_1e9_goodput_samples",
        "currency",
        "price of 10^9 samples that no failure takes back",
        "min",
    ),
    StudyColumn("watts", "W", "power of the cluster", "min"),
    StudyColumn("kwh_per_step", "kWh", "energy of a step", "min"),
    StudyColumn("kwh_per_1e9_samples", "kWh", "energy of 10^9 samples", "min"),
    StudyColumn(
        "kwh_per_1e9_goodput_samples",
        "kWh",
        "energy of 10^9 samples that no failure takes back",
        "min",
    ),
    StudyColumn("checkpoint_s", "s", "time to write a checkpoint", "min"),
    StudyColumn("checkpoint_interval_s", "s", "best time between checkpoints"),
    StudyColumn("goodput", "1", "share of time that is not lost to failures", "max"),
    StudyColumn(
        "goodput_samples_per_s", "samples/s", "throughput times goodput", "max"
    ),
)
"""What follows from the results and from the prices and failures of the file."""

COLUMNS = {column.name: column for column in (*RESULTS, *DERIVED)}
"""All columns of results by name, in the order of the table."""

AXIS = "axis"
FACTORS = f"{AXIS} of factors"
"""Title of an axis, and of one of factors of the input's own number."""

_PLAIN_UNITS = {"number": "1", "fraction": "1", "count": "1"}


def axis_column(name: str, values: Sequence[Any], *, scales: bool) -> StudyColumn:
    """Return the column of an axis.

    Parameters
    ----------
    name : str
        A field of [base], a dotted path, or ``scenario``.
    values : sequence of object
        What points have there; text carries its own units.
    scales : bool
        They are factors of the input's own number.
    """
    kind = _kind_of(values)
    quantity = quantity_of(name) if kind in ("number", "whole") else None
    unit = quantity.dimension.value if quantity and not scales else "1"
    known = COLUMNS.get(name)
    return StudyColumn(
        name,
        known.unit if known else _PLAIN_UNITS.get(unit, unit) if quantity else "",
        FACTORS if scales else AXIS,
        known.sense if known else None,
        kind,
    )


def _kind_of(values: Sequence[Any]) -> Kind:
    """Return what all values are; text where they differ."""
    types = {type(value) for value in values}
    if types <= {int}:
        return "whole"
    if types <= {int, float}:
        return "number"
    return "flag" if types == {bool} else "text"
