"""Lines of libffm: fields are columns."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("pyarrow")

from shardplan.errors import InputError
from shardplan.records.log_mapping import LogMapping
from shardplan.statistics.measure import measure
from tests.real_logs import FOLDER
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


CRITEO = FOLDER / "small_train.txt"


@pytest.mark.skipif(not CRITEO.exists(), reason="make test-data fetches it")
def test_real_rows_of_criteo() -> None:
    """xLearn's sample, against what plain Python counts of its lines."""
    samples: list[dict[str, list[int]]] = []
    for line in CRITEO.read_text(encoding="ascii").splitlines():
        found: dict[str, list[int]] = {}
        for word in line.split()[1:]:
            field, feature, _ = word.split(":")
            found.setdefault(field, []).append(int(feature))
        samples.append(found)
    fields = sorted({field for sample in samples for field in sample}, key=int)
    assert len(fields) == 18
    given = {
        "schema_version": 1,
        "name": "criteo",
        "format": "libffm",
        "tables": [{"name": field, "num_embeddings": 10_000} for field in fields],
        "features": [{"column": field, "table": field} for field in fields],
    }
    log = measure([CRITEO], LogMapping.model_validate(given))
    assert (log.num_samples, log.unread) == (len(samples), ())
    for field, table in zip(fields, log.tables, strict=True):
        lists = [sample[field] for sample in samples if field in sample]
        counts = Counter(feature for each in lists for feature in each)
        assert table.lookups == counts.total()
        assert (table.rows_seen, table.rows_seen_error) == (len(counts), 0.0)
        assert (table.out_of_range, table.unreadable) == (0, 0)
        assert table.coverage == len(lists) / len(samples)
        assert table.max_length == max(map(len, lists))
        squares = sum(len(each) ** 2 for each in lists)
        assert table.mean_square == squares / len(samples)
        hottest = [count for _, count in counts.most_common()]
        for rows, share in table.access:
            exact = sum(hottest[: int(rows)]) / counts.total()
            assert share == pytest.approx(exact, abs=1e-6)
    for field, shares in zip(fields, log.together, strict=True):
        both = [
            sum(field in sample and other in sample for sample in samples)
            for other in fields
        ]
        assert shares == pytest.approx([n / len(samples) for n in both])
