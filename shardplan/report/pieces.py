"""What the number of pieces on a rank costs, where tables are few beside ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.report.predicted import predicted_step
from shardplan.steps.operation import Stage
from shardplan.units import format_seconds

if TYPE_CHECKING:
    from shardplan.plans.evaluation import Evaluation
    from shardplan.records.arrays import Ints

_FEW = 4.0
"""Pieces per rank on the mean above which their number says little."""
_EXCHANGES = (Stage.FWD_COMMS.value, Stage.BWD_COMMS.value)


def pieces_data(evaluation: Evaluation) -> dict[str, Any] | None:
    """Say what a further piece costs on the rank that the longest path passes.

    A piece sends outputs of all samples, however finely its table is cut: where ranks
    hold a few, their number decides, and means of loads do not show it.

    Returns
    -------
    dict or None
        The exchange, its rank, pieces there and on the mean of the ranks, and what the
        shortest of them takes [s]; None where pieces are many, or one on that rank.
    """
    found, count = predicted_step(evaluation), _pieces_per_rank(evaluation)
    if found is None or count.mean() > _FEW:
        return None
    parts = [
        part
        for part in found.path
        if part.stage in _EXCHANGES
        and part.rank is not None
        and np.count_nonzero(part.tables_s) > 1
    ]
    if not parts:
        return None
    part = max(parts, key=lambda part: part.path_s)
    return {
        "operation": part.operation,
        "rank": part.rank,
        "pieces": int(count[part.rank]),
        "mean_pieces": float(count.mean()),
        "shortest_s": float(part.tables_s[part.tables_s > 0].min()),
    }


def _pieces_per_rank(evaluation: Evaluation) -> Ints:
    """Count shards that are not on all ranks alike (W,)."""
    ranks = [s.ranks for s in evaluation.shards if s.scope != Scope.ALL]
    flat = np.array([rank for some in ranks for rank in some], dtype=np.int64)
    return np.bincount(flat, minlength=evaluation.cluster.world_size)


def pieces_sentences(data: dict[str, Any] | None) -> list[str]:
    """Say what a further piece on a rank costs."""
    if data is None:
        return []
    return [
        f"Pieces count here: rank {data['rank']} holds {data['pieces']}, the mean of "
        f"the ranks is {data['mean_pieces']:.1f}. In {data['operation']} the shortest "
        f"of them takes {format_seconds(data['shortest_s'])}: about so much does one "
        "piece more cost a rank."
    ]
