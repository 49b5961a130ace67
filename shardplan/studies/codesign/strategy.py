"""Walk a co-design: propose a batch, run it, and propose the next from what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.studies.codesign.proposals import DesignTrial, propose
from shardplan.studies.codesign.space import DesignSpace
from shardplan.studies.codesign.worth import Worth
from shardplan.studies.expand import PointMaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.studies.session import Session
    from shardplan.studies.study import StudyRow


def optimised_points(session: Session) -> Sequence[StudyRow]:
    """Ask for the points that the optimiser proposes, a batch at a time.

    A batch depends on the rows before it alone, so a later run of the same study asks
    for the same points, and finds those that it has. A batch of which a point has no
    result that stays ends the walk: the next run tries that point again.
    """
    codesign = session.spec.file.codesign
    assert codesign is not None
    space, worth = DesignSpace.of(codesign), Worth.of(session.spec.file)
    maker = PointMaker(session.spec)
    rows: list[StudyRow] = []
    trials: list[DesignTrial] = []
    while len(rows) < codesign.points:
        count = min(codesign.batch, codesign.points - len(rows))
        designs = propose(space, trials, count, len(worth.signs), codesign.seed)
        points = [
            maker.make(number, space.values(design))
            for number, design in enumerate(designs, len(rows))
        ]
        session.add(points)
        found = session.rows(points)
        rows += found
        if not (points and all(session.is_known(point) for point in points)):
            break
        for design, row in zip(designs, found, strict=True):
            costs = worth.costs(row.values) or (0.0,) * len(worth.signs)
            trials.append(DesignTrial(design, costs, worth.violation(row.values)))
    return rows
