"""How good the designs found so far are: the best value, or the hypervolume.

The hypervolume of two objectives is the area that the front dominates, up to a
reference point: it grows with every design that is new on the front.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shardplan.studies.codesign.hypervolume import hypervolume
from shardplan.studies.codesign.worth import Worth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.studies.spec import StudySpec
    from shardplan.studies.study import StudyRow

    Costs = list[tuple[float, ...] | None]


@dataclass(frozen=True)
class DesignProgress:
    """What was known after a batch.

    Attributes
    ----------
    points : int
        Designs so far.
    eligible : int
        Those of them that have a plan and meet all constraints.
    best : float or None
        With one objective its best value, with two the hypervolume, in the units of
        both multiplied; None as long as no design is eligible.
    """

    points: int
    eligible: int
    best: float | None


def history(spec: StudySpec, rows: Sequence[StudyRow]) -> tuple[DesignProgress, ...]:
    """Return what was known after each batch of a co-design.

    Parameters
    ----------
    spec : StudySpec
    rows : sequence of StudyRow
        In the order in which they were proposed.
    """
    assert spec.file.codesign is not None
    worth = Worth.of(spec.file)
    costs = [worth.costs(row.values) for row in rows]
    reference = reference_point(spec, rows)
    batch = spec.file.codesign.batch
    ends = [*range(batch, len(rows), batch), len(rows)] if rows else []
    found = []
    for end in ends:
        eligible = [cost for cost in costs[:end] if cost is not None]
        best = None
        if eligible and reference:
            best = hypervolume(eligible, worth.signed(reference))
        elif eligible:
            best = worth.signed(min(eligible))[0]
        found.append(DesignProgress(end, len(eligible), best))
    return tuple(found)


def reference_point(
    spec: StudySpec, rows: Sequence[StudyRow]
) -> tuple[float, ...] | None:
    """Return the values of both objectives beyond which nothing counts.

    That of the file, or else the worst of each objective in the first batch that has
    an eligible design; None with one objective, and as long as there is no design.
    """
    codesign, worth = spec.file.codesign, Worth.of(spec.file)
    assert codesign is not None
    if len(worth.signs) < 2:
        return None
    if codesign.reference:
        return tuple(codesign.reference[name] for name in worth.signs)
    for start in range(0, len(rows), codesign.batch):
        batch = rows[start : start + codesign.batch]
        eligible = [c for row in batch if (c := worth.costs(row.values)) is not None]
        if eligible:
            worst = [max(column) for column in zip(*eligible, strict=True)]
            return worth.signed(worst)
    return None
