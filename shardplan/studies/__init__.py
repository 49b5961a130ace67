"""Questions that take more than one plan or system to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.imports import lazily

if TYPE_CHECKING:
    from shardplan.studies.recommendation import recommend as recommend
    from shardplan.studies.runner import load_study as load_study
    from shardplan.studies.runner import run as run
    from shardplan.studies.spec import StudySpec as StudySpec
    from shardplan.studies.spec import load_spec as load_spec
    from shardplan.studies.study import Study as Study

_HOME = {
    "load_spec": "studies.spec",
    "load_study": "studies.runner",
    "recommend": "studies.recommendation",
    "run": "studies.runner",
    "Study": "studies.study",
    "StudySpec": "studies.spec",
}

__all__ = sorted(_HOME)
__getattr__ = lazily(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
