"""Lines of libffm: fields are columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("pyarrow")

from shardplan.errors import InputError
from shardplan.statistics.measure import measure
from tests.statistics.formats.files import mapping

if TYPE_CHECKING:
    from pathlib import Path


def test_lines(tmp_path: Path) -> None:
    """Fields several times or never, other spaces; wrong lines are counted."""
    path = tmp_path / "log.ffm"
    path.write_text(
        "1 0:5:0.1 1:7:1 1:8:1\n\n0\t1:9:1 \n-1\n"
        "1 0:5\n0:5:1 1:2:3\n1 0:6:1:1\n0 0:x:1\n"
    )
    found = measure([path], mapping(".ffm"))
    a, b = found.tables
    assert found.num_samples == 4
    assert (a.lookups, a.unreadable, b.lookups, b.max_length) == (1, 1, 3, 2)
    assert [u.reason for u in found.unread] == [
        "3 lines that are no label field:feature:value ..."
    ]


def test_fields_that_are_not_there(tmp_path: Path) -> None:
    """A number may just not occur, which is said; a name cannot."""
    path = tmp_path / "log.ffm"
    path.write_text("1 0:5:1\n")
    found = measure([path], mapping(".ffm"))
    assert [u.reason for u in found.unread] == ["no line has field 1"]
    named = [{"column": "x", "table": "a"}, {"column": "1", "table": "b"}]
    with pytest.raises(InputError, match="x: columns of libffm are the numbers"):
        measure([path], mapping(".ffm", features=named))
