"""What a search along an axis has found, for every combination of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.studies.search import lines_from

if TYPE_CHECKING:
    from shardplan.report.pages.study.subject import PageSubject
    from shardplan.studies.search import SearchLine


def search_answers(subject: PageSubject) -> dict[str, Any] | None:
    """Return the table of answers; None for a study without a search."""
    spec = subject.study.spec
    if spec.file.search is None:
        return None
    key = spec.file.search.minimise or spec.file.search.maximise
    others = [axis for axis in subject.axes if axis.name != key]
    lines = [line for line in lines_from(spec, subject.study.rows) if line.rows]
    return {
        "key": key,
        "others": others,
        "lines": [
            {
                "cells": [axis.text_of(_value(line, axis.name)) for axis in others],
                **_answer(line, subject),
                "warning": line.warning,
            }
            for line in lines
        ],
    }


def _value(line: SearchLine, name: str) -> Any:
    return line.points[0].values[name]


def _answer(line: SearchLine, subject: PageSubject) -> dict[str, Any]:
    """Say which value is best, and why the next better one is not."""
    found = line.answer
    if found is None:
        tried = max(line.rows)
        failed = f"{line.value(tried)} {line.missed(tried)}"
        return {"value": "none", "number": None, "page": None, "failed": failed}
    number = line.points[found].number
    better = [at for at in line.rows if at < found]
    failed = "-"
    if better:
        failed = f"{line.value(max(better))} {line.missed(max(better))}"
    return {
        "value": str(line.value(found)),
        "number": number,
        "page": subject.hrefs.get(number),
        "failed": failed,
    }
