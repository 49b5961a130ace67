"""How far a study is: what `study run` and `study status` report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.studies.directory import ResultFolder
from shardplan.studies.expand import axis_names, expand
from shardplan.studies.runner import study_of
from shardplan.studies.search import lines_from

if TYPE_CHECKING:
    import os

    from shardplan.studies.study import Study

_BEST = ("step_time_s", "throughput_samples_per_s", "bottleneck", "hbm_fill")
"""Columns that are reported of the best point, beside its axes."""


def summary(study: Study) -> dict[str, Any]:
    """Return counts of points, and the best one or the answers of a search."""
    best = None if study.spec.file.search else study.best()
    codesign = study.spec.file.codesign
    goals = (*codesign.minimise, *codesign.maximise) if codesign else ()
    names = tuple(dict.fromkeys((*axis_names(study.spec), *goals, *_BEST)))
    return {
        "study": study.spec.file.name,
        "points": study.num_points,
        "finished": len(study.rows),
        "missing": study.num_points - len(study.rows),
        "counts": study.counts,
        "best": best and {"point": best.point.number, **_chosen(best.values, names)},
        "answers": _answers(study, names),
    }


def _answers(study: Study, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return what a search has found on each of its lines, and why no better value."""
    if study.spec.file.search is None:
        return []
    answers = []
    for line in lines_from(study.spec, study.rows):
        found, tried = line.answer, sorted(line.rows)
        better = [at for at in tried if found is None or at < found]
        row = None if found is None else line.rows[found]
        values = row.values if row else dict.fromkeys(_BEST) | line.points[0].values
        answers.append(
            {
                "point": row and row.point.number,
                **_chosen({**values, line.key: row and values[line.key]}, names),
                "fails": f"{line.value(better[-1])} {line.missed(better[-1])}"
                if better
                else None,
                "warning": line.warning or None,
            }
        )
    return answers


def status(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the same of a folder, and what there is to say of its journal.

    Raises
    ------
    InputError
        If it holds no study.
    """
    folder = ResultFolder(directory)
    folder.require()
    journal = folder.journal()
    spec = folder.spec()
    return {
        **summary(study_of(spec, expand(spec), journal)),
        "folder": str(folder.path),
        "running": folder.owner(),
        "broken_lines": journal.broken,
        "other_versions": journal.others,
    }


def _chosen(values: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names}
