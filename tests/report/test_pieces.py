"""What one piece more costs a rank, where ranks hold few."""

from __future__ import annotations

import pytest

import shardplan
from shardplan.plans.evaluation import Evaluation, evaluate
from shardplan.report.pieces import pieces_data, pieces_sentences
from tests.helpers import workload

WHOLE = {"sharding_types": ["table_wise"], "compute_kernels": ["fused"]}


def whole_tables(number: int) -> Evaluation:
    """Equal tables of 16 ids a sample on the 8 ranks of a host, none of them cut."""
    table = {
        "num_embeddings": 100_000,
        "pooling_factor": 16.0,
        "constraints": WHOLE,
    }
    tables = workload(*[table] * number, global_batch_size=65_536)
    found = shardplan.solve(tables, "dgx-h100", solver="greedy", objective="step")
    return evaluate(found.plan)


def test_nine_pieces_on_eight_ranks() -> None:
    """One rank has two of equal length: each takes half of what tables add there."""
    evaluation = whole_tables(9)
    data = pieces_data(evaluation)
    assert data is not None
    assert data["pieces"] == 2
    assert data["mean_pieces"] == pytest.approx(9 / 8)
    step = evaluation.prediction
    longest_s = step.seconds_of(data["operation"])
    assert 0.3 * longest_s < data["shortest_s"] <= 0.5 * longest_s
    (text,) = pieces_sentences(data)
    assert f"rank {data['rank']} holds 2, the mean of the ranks is 1.1." in text


@pytest.mark.parametrize("number", [8, 40])
def test_one_piece_each_or_many_say_nothing(number: int) -> None:
    """With one on each rank there is none to spare; of many, one more is little."""
    data = pieces_data(whole_tables(number))
    assert data is None
    assert pieces_sentences(data) == []
