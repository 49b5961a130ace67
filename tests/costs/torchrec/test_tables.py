"""Tables as TorchRec's estimators see them."""

from __future__ import annotations

import pytest

from shardplan.costs.torchrec.tables import TorchRecTables
from shardplan.costs.usage import TableUsage
from shardplan.io.catalog import load_cost_model
from shardplan.records.torchrec_cost_model import TorchRecCostModel
from tests.helpers import workload


@pytest.mark.parametrize(
    ("optimizer", "ratio"),
    [
        ("sgd", 0),
        ("adam", 2),
        ("rowwise_adagrad", 1 / 128),
        ("adagrad", 1),
        # TorchRec counts every other class as one, also those that keep more.
        ("lamb", 1),
        ("partial_rowwise_adam", 1),
        ("lars_sgd", 1),
    ],
)
def test_state_is_what_torchrec_counts(optimizer: str, ratio: float) -> None:
    """The cost model `torchrec` keeps TorchRec's number, true or not."""
    model = load_cost_model("torchrec")
    assert isinstance(model, TorchRecCostModel)
    usage = TableUsage.of(workload({}, optimizer=optimizer), 4)
    assert TorchRecTables.of(usage, 4, model).state_ratio.tolist() == [ratio]


def test_a_table_with_its_own_batch() -> None:
    """Ids and outputs of a rank are those of whole samples of the table's batch."""
    model = load_cost_model("torchrec")
    assert isinstance(model, TorchRecCostModel)
    table = {"pooling_factor": 50.0, "batch_factor": 0.3}
    tables = TorchRecTables.of(TableUsage.of(workload(table, {}), 4), 4, model)
    # 1000 samples over 4 ranks; 0.3 of 250
    assert tables.inputs.tolist() == [75 * 50, 250]
    assert tables.outputs.tolist() == [75, 250]
