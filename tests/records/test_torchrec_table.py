"""What TorchRec knows of a table: what no plan can have is refused where it is read."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shardplan.records.record import dump
from shardplan.records.torchrec_table import TorchRecTable


def test_virtual_tables_are_refused() -> None:
    """Nobody knows how many rows they will have; the message says what to do."""
    with pytest.raises(ValidationError, match="give it a number of rows that is kept"):
        TorchRecTable(use_virtual_table=True)
    assert TorchRecTable(use_virtual_table=False) == TorchRecTable()


def test_what_a_file_says_of_a_table_comes_back() -> None:
    """Stashing and means are written; what is as usual is not."""
    table = TorchRecTable(stash_weights=True, pooling="MEAN")
    assert dump(table) == {"stash_weights": True, "pooling": "MEAN"}
    assert TorchRecTable.model_validate(dump(table)) == table
    assert dump(TorchRecTable(stash_weights=False, pooling="SUM")) == {}
    with pytest.raises(ValidationError, match="'SUM' or 'MEAN'"):
        TorchRecTable.model_validate({"pooling": "NONE"})
