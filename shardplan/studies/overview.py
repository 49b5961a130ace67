"""What a study would run, without running it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from shardplan.records.fingerprint import fingerprint
from shardplan.studies.derived import why_empty
from shardplan.studies.expand import iterate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shardplan.studies.axes import StudyAxis
    from shardplan.studies.point import StudyPoint
    from shardplan.studies.spec import StudySpec

SCHEMA_VERSION = 1
"""Of the JSON of `overview`."""
_SOME_RESULTS = {
    "hosts": 1,
    "step_time_s": 1.0,
    "throughput_samples_per_s": 1.0,
    "checkpoint_bytes": 1.0,
}
"""Stand for those of a point that ran."""


def overview(spec: StudySpec) -> dict[str, Any]:
    """Return axes, points, inputs and empty columns of a study.

    Returns
    -------
    dict
        JSON-able. `walk` says which of the points run: ``all``, those that a
        ``search`` asks for, or as many as a ``codesign`` draws itself.
    """
    file = spec.file
    combinations = math.prod(len(axis.choices) for axis in spec.axes)
    points = sum(1 for _ in iterate(spec))
    walk = "search" if file.search else "codesign" if file.codesign else "all"
    return {
        "schema_version": SCHEMA_VERSION,
        "study": file.name,
        "description": file.description,
        "axes": [_axis(axis) for axis in spec.axes],
        "combinations": combinations,
        "excluded": combinations - points,
        "points": file.codesign.points if file.codesign else points,
        "walk": walk,
        "knobs": list(file.codesign.knobs) if file.codesign else [],
        "subject_to": list(spec.conditions),
        "inputs": _inputs(spec),
        "empty_columns": _empty(spec, iterate(spec)),
        "warnings": spec.warnings,
    }


def _axis(axis: StudyAxis) -> dict[str, Any]:
    """Return columns and values of an axis; numbers in lists of one per choice."""
    return {
        "columns": [
            {
                "name": name,
                "factors": any(
                    setting.scales and setting.path == name
                    for setting in axis.choices[0].settings
                ),
            }
            for name in axis.columns
        ],
        "values": [
            [choice.values[name] for name in axis.columns] for choice in axis.choices
        ],
    }


def _inputs(spec: StudySpec) -> list[dict[str, str]]:
    """Return the inputs that the study names, by kind and name."""
    sources = spec.sources
    kinds = {
        "workload": sources.workloads,
        "topology": sources.topologies,
        "cost_model": sources.cost_models,
    }
    return [
        {"kind": kind, "name": name, "fingerprint": fingerprint(record)}
        for kind, records in kinds.items()
        for name, record in records.items()
    ]


def _empty(spec: StudySpec, points: Iterable[StudyPoint]) -> list[dict[str, Any]]:
    """Return columns that stay empty for want of a number in the file, and of which.

    One point of each topology tells: prices go by topology.
    """
    firsts: dict[str, StudyPoint] = {}
    for point in points:
        firsts.setdefault(point.base.topology, point)
    columns: dict[str, list[str]] = {}
    for point in firsts.values():
        for name, reason in why_empty(spec, point, _SOME_RESULTS).items():
            names = columns.setdefault(reason, [])
            names += [name] if name not in names else []
    return [{"reason": why, "columns": names} for why, names in columns.items()]
