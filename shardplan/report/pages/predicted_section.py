"""The section of a plan's page on its predicted step."""

from __future__ import annotations

from typing import Any

from shardplan.report.explain import counted_sentences
from shardplan.report.layout import percent
from shardplan.report.predicted_view import (
    PATH_HEADINGS,
    part_rows,
    path_rows,
    path_sentences,
)
from shardplan.report.quality import is_by_time
from shardplan.units import format_seconds

_LONGEST = 200
"""Characters of a table's name in a list of the dearest."""


def predicted_section(data: dict[str, Any]) -> dict[str, Any]:
    """Lay out what the step consists of, beside the phases that are priced.

    What the objective counts is said where it is shown: of `time` with the step, of
    sums with the phases.

    Parameters
    ----------
    data : dict
        Of `plan_data.plan_page_data`.
    """
    counted, by_time = counted_sentences(data), is_by_time(data)
    prediction = data["prediction"]
    return {
        "counted": [] if by_time else counted,
        "phase_share": "#of all phases" if by_time else "#of objective",
        "predicted": None
        if prediction is None
        else _predicted(prediction, counted if by_time else []),
    }


def _predicted(prediction: dict[str, Any], counted: list[str]) -> dict[str, Any]:
    total = prediction["step_s"]
    operation, *numbers, tables = PATH_HEADINGS
    return {
        "step": format_seconds(total),
        "parts": [
            (
                part,
                (format_seconds(seconds), seconds),
                (percent(seconds / total if total else 0.0), seconds),
            )
            for part, seconds in part_rows(prediction)
        ],
        "headings": [operation, *(f"#{name}" for name in numbers), tables],
        "path": list(path_rows(prediction, _LONGEST)),
        "sentences": [*counted, *path_sentences(prediction)],
    }
