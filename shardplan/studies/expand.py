"""From a study to its points."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

from shardplan.records.fingerprint import fingerprint
from shardplan.records.record import dump
from shardplan.studies.point import RESULTS_VERSION, StudyPoint
from shardplan.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shardplan.io.settings import Setting
    from shardplan.records.study import StudyBase
    from shardplan.studies.axes import Choice
    from shardplan.studies.spec import StudySpec


def axis_names(spec: StudySpec) -> tuple[str, ...]:
    """Return the columns of the axes, in the order in which points have them."""
    if spec.file.codesign:
        return tuple(spec.file.codesign.knobs)
    return tuple(name for axis in spec.axes for name in axis.columns)


def expand(spec: StudySpec) -> tuple[StudyPoint, ...]:
    """Return all points in the order of nested loops, the last axis innermost.

    A co-design has none: its points are chosen while it runs.
    """
    return () if spec.file.codesign else tuple(iterate(spec))


def iterate(spec: StudySpec) -> Iterator[StudyPoint]:
    """Yield the points of `expand`."""
    maker = PointMaker(spec)
    for number, choices in enumerate(combinations(spec)):
        yield maker.join(number, choices)


def combinations(
    spec: StudySpec, allowed: Sequence[Sequence[int]] | None = None
) -> Iterator[tuple[Choice, ...]]:
    """Yield what each point chooses along every axis; excluded ones are left out.

    Parameters
    ----------
    allowed : sequence of sequences of int, optional
        For each axis the choices to look at; by default all.
    """
    axes = [axis.choices for axis in spec.axes]
    for indices in product(*(allowed or (range(len(choices)) for choices in axes))):
        if not any(
            all(indices[axis] in chosen for axis, chosen in left_out.items())
            for left_out in spec.excluded
        ):
            yield tuple(c[i] for c, i in zip(axes, indices, strict=True))


class PointMaker:
    """Makes points of a study, and their ids from parts that are encoded once."""

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._prints: dict[tuple[str, str | None], str | None] = {}
        self._stem = lru_cache(maxsize=1024)(self._new_stem)

    def make(self, number: int, values: Mapping[str, Any]) -> StudyPoint:
        """Return a point for values that no axis need list; see `StudySpec.choice`.

        Raises
        ------
        InputError
            For a key or value that leads nowhere.
        """
        choices = [self._spec.choice(key, value) for key, value in values.items()]
        return self.join(number, choices)

    def join(self, number: int, choices: Sequence[Choice]) -> StudyPoint:
        """Return the point of some choices."""
        values: dict[str, Any] = {}
        changes: dict[str, Any] = {}
        settings: tuple[Setting, ...] = ()
        codes = []
        for choice in choices:
            values.update(choice.values)
            if choice.base:
                changes.update(choice.base)
            if choice.settings:
                settings += choice.settings
                codes.append(choice.code)
        base = self._spec.file.base
        if changes:
            base = base.model_copy(update=changes)
        software = self._spec.sources.cost_model_name(base, settings)
        text = f"{self._stem(base, software)}{','.join(codes)}]"
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        return StudyPoint(number, values, base, settings, digest)

    def _new_stem(self, base: StudyBase, software: str | None) -> str:
        """Return what of an id does not depend on settings."""
        servers = self._spec.file.parameter_servers
        parts = [
            RESULTS_VERSION,
            VERSION,
            self._print("workloads", base.workload),
            self._print("topologies", base.topology),
            self._print("cost_models", software),
            servers and dump(servers),
            dump(base),
        ]
        return json.dumps(parts, sort_keys=True, separators=(",", ":")) + "["

    def _print(self, kind: str, name: str | None) -> str | None:
        """Return the fingerprint of a source."""
        if name is not None and (kind, name) not in self._prints:
            record = getattr(self._spec.sources, kind)[name]
            self._prints[kind, name] = fingerprint(record)
        return self._prints.get((kind, name))
