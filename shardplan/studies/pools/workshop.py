"""Runs points one after the other, and remembers what they share."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError
from shardplan.studies.evaluate import error_values, evaluate_point
from shardplan.studies.pools.task import PointOutcome, point_of
from shardplan.studies.resolve import Resolver

if TYPE_CHECKING:
    from collections.abc import Collection

    from shardplan.studies.pools.task import Task
    from shardplan.studies.spec import StudySpec

_KEPT = 1024
"""Results that are kept by their key, for points that come to the same inputs."""


class Workshop:
    """Resolves and evaluates points of one study.

    Parameters
    ----------
    spec : StudySpec
    known : collection of str
        Keys whose values somebody has: such points are not run.
    """

    def __init__(self, spec: StudySpec, known: Collection[str] = ()) -> None:
        self._resolver = Resolver(spec)
        self._known = known
        self._recent: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def run(self, task: Task) -> PointOutcome:
        """Run a point; nothing that goes wrong with it is raised."""
        try:
            resolved = self._resolver.resolve(point_of(task))
        except InputError as error:
            return _outcome(task, "", error_values(error))
        except Exception as error:
            return _outcome(task, "", error_values(error), is_final=False)
        key = resolved.key
        if key in self._known:
            return _outcome(task, key, None)
        if key in self._recent:
            return _outcome(task, key, self._recent[key])
        try:
            values = evaluate_point(resolved)
        except Exception as error:
            return _outcome(task, key, error_values(error), is_final=False)
        self._recent[key] = values
        while len(self._recent) > _KEPT:
            self._recent.popitem(last=False)
        return _outcome(task, key, values)


def _outcome(
    task: Task, key: str, values: dict[str, Any] | None, *, is_final: bool = True
) -> PointOutcome:
    return PointOutcome(id=task["id"], key=key, values=values, is_final=is_final)
