"""Logs of all formats, whole, in parts, out of order and damaged."""

from __future__ import annotations

import csv
import gzip
import io
import os
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.errors import InputError
from shardplan.records.log_mapping import LogMapping
from shardplan.statistics.crew import LocalCrew
from shardplan.statistics.formats import parquet, piece
from shardplan.statistics.measure import measure
from shardplan.statistics.work_folder import WorkFolder
from tests.statistics.logs import ROWS, mutated, sessions

if TYPE_CHECKING:
    from pathlib import Path

    from shardplan.statistics.errands import Errand

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

MAPPING: dict[str, Any] = {
    "schema_version": 1,
    "name": "clicks",
    "tables": [
        {"name": "item", "num_embeddings": ROWS},
        {"name": "user", "num_embeddings": 100},
    ],
    "features": [
        {"column": "seen", "table": "item"},
        {"column": "clicked", "table": "item"},
        {"column": "who", "table": "user"},
    ],
}


def mapping(**changes: Any) -> LogMapping:
    return LogMapping.model_validate({**MAPPING, **changes})


def clicks(size: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 4, size)
    seen = sessions(rng, int(lengths.sum()))
    return pa.table(
        {
            "seen": pa.ListArray.from_arrays(np.append(0, np.cumsum(lengths)), seen),
            "clicked": pa.array(
                rng.integers(0, ROWS, size), mask=rng.random(size) < 0.5
            ),
            "who": rng.integers(-1, 101, size),
            "time": rng.permutation(size),
        }
    )


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "PART_ROWS", 3000)
    monkeypatch.setattr(piece, "PART_ROWS", 3000)


def write(folder: Path, table: Any, rows: int = 1000) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "log.parquet"
    pq.write_table(table, path, row_group_size=rows)
    return path


def test_what_is_counted(tmp_path: Path) -> None:
    """Against plain counts of the same log."""
    table = clicks(5000)
    found = measure([write(tmp_path, table)], mapping())
    item, user = found.tables
    lists = table["seen"].to_pylist()
    each = [
        len(s) + (c is not None)
        for s, c in zip(lists, table["clicked"].to_pylist(), strict=True)
    ]
    who = np.array(table["who"].to_pylist())
    ids = [i for s in lists for i in s] + table["clicked"].drop_null().to_pylist()
    assert found.num_samples == 5000
    assert item.lookups == sum(each)
    assert item.rows_seen == len(set(ids))
    assert item.mean_length == pytest.approx(np.mean(each))
    assert item.mean_square == pytest.approx(np.mean(np.square(each)))
    assert item.coverage == pytest.approx(np.mean(np.array(each) > 0))
    assert item.pooling_factor == pytest.approx(sum(each) / np.sum(np.array(each) > 0))
    assert user.out_of_range == int(((who < 0) | (who > 99)).sum())
    assert user.lookups + user.out_of_range == 5000
    both = np.mean((np.array(each) > 0) & (who >= 0) & (who < 100))
    assert found.together[0][1] == pytest.approx(both)
    assert found.unread == ()


@pytest.mark.usefixtures("small_parts")
def test_samples_are_sorted_by_time(tmp_path: Path) -> None:
    """Whatever their order in the files was; ties keep it."""
    table = clicks(9000)
    ordered = table.sort_by("time")
    a = measure([write(tmp_path / "a", table)], mapping(time="time"))
    b = measure([write(tmp_path / "b", ordered)], mapping(time="time"))
    assert a == b
    unsorted = measure([tmp_path / "a"], mapping())
    assert unsorted.tables[0].lookups == a.tables[0].lookups
    assert unsorted.tables[0].unique_rows != a.tables[0].unique_rows


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".tsv.bz2", ".csv.zst"])
def test_text_says_the_same_as_parquet(tmp_path: Path, suffix: str) -> None:
    """Lists are cells with a separator."""
    table = clicks(3000)
    features = [{**MAPPING["features"][0], "separator": " "}, *MAPPING["features"][1:]]
    delimiter = "," if "csv" in suffix else "\t"
    lines = ["seen who clicked time".replace(" ", delimiter)]
    for row in table.to_pylist():
        clicked = "" if row["clicked"] is None else str(row["clicked"])
        cells = [" ".join(map(str, row["seen"])), str(row["who"]), clicked, "0"]
        lines.append(delimiter.join(cells))
    path = tmp_path / f"log{suffix}"
    kind = {"gz": "gzip", "bz2": "bz2", "zst": "zstd"}.get(suffix.split(".")[-1])
    with pa.output_stream(path, compression=kind) as stream:
        stream.write(("\n".join(lines) + "\n").encode())
    (tmp_path / "p").mkdir()
    expected = measure([write(tmp_path / "p", table, 10**6)], mapping())
    assert measure([path], mapping(features=features)) == expected


def test_criteo(tmp_path: Path) -> None:
    """No header, hexadecimal categories, empty ones missing."""
    lines = [
        "\t".join(["1", *["3"] * 13, *["0000001f"] * 25, ""]),
        "\t".join(["0", *[""] * 13, *["000000ff"] * 26]),
    ]
    path = tmp_path / "day_0.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    found = measure(
        [path],
        mapping(
            format="criteo",
            tables=[{"name": n, "num_embeddings": 100} for n in ("a", "z")],
            features=[
                {"column": "C1", "table": "a", "hash": "hex"},
                {"column": "C26", "table": "z", "hash": "hex"},
            ],
        ),
    )
    assert [t.lookups for t in found.tables] == [2, 1]
    assert [t.coverage for t in found.tables] == [1.0, 0.5]


@pytest.mark.parametrize("damage", ["cut", "noise", "empty"])
def test_a_damaged_file_costs_its_own_rows(tmp_path: Path, damage: str) -> None:
    """It is named; nothing else is lost; strict refuses the log."""
    write(tmp_path / "a", clicks(2000))
    whole = write(tmp_path / "b", clicks(2000, seed=1))
    content = whole.read_bytes()
    wrong = {"cut": content[:-2000], "noise": b"no parquet", "empty": b""}
    whole.write_bytes(wrong[damage])
    found = measure([tmp_path], mapping())
    assert found.num_samples == 2000
    assert [each.path for each in found.unread] == [str(whole)]
    with pytest.raises(InputError, match=r"b/log\.parquet"):
        measure([tmp_path], mapping(), strict=True)
    with pytest.raises(InputError, match=r"b/log\.parquet"):
        measure([whole], mapping())


def test_damage_within_a_file(tmp_path: Path) -> None:
    """Row groups before it count."""
    path = write(tmp_path, clicks(4000), rows=1000)
    data = bytearray(path.read_bytes())
    group = pq.ParquetFile(path).metadata.row_group(2)
    start = group.column(0).data_page_offset
    data[start : start + 4000] = b"\xff" * 4000
    path.write_bytes(data)
    found = measure([path], mapping())
    assert 2000 <= found.num_samples < 4000
    assert found.unread


@pytest.mark.parametrize("form", [".csv", ".tsv"])
def test_a_cut_file_has_the_samples_before(tmp_path: Path, form: str) -> None:
    """A line that is cut is none of them: its id would be another one."""
    comma = "," if form == ".csv" else "\t"
    rng = np.random.default_rng(0)
    rows = rng.integers(10, 99, (5000, 3)).tolist()
    lines = [comma.join(map(str, row)) for row in rows]
    text = "\n".join([comma.join(["seen", "clicked", "who"]), *lines]).encode()
    path = tmp_path / f"log{form}.gz"
    path.write_bytes(gzip.compress(text)[:-500])
    found = measure([path], mapping())
    assert 3000 < found.num_samples < 5000
    assert [t.unreadable + t.out_of_range for t in found.tables] == [0, 0]
    assert ["ended before" in u.reason for u in found.unread] == [True]


def test_a_quote_that_is_not_closed(tmp_path: Path) -> None:
    """It takes no other line into its cell, and is said."""
    path = tmp_path / "log.csv"
    path.write_text('seen,clicked,who\n1,2,3\n4,5,"6\n7,8,9\n')
    found = measure([path], mapping())
    assert found.num_samples == 3
    assert found.tables[1].unreadable == 1
    assert [u.reason for u in found.unread] == [
        "1 lines with a quote that is not closed"
    ]
    path.write_text('seen,clicked,who\n1,2,3\n4,5,"6"\n7,8,9\n')
    assert measure([path], mapping()).unread == ()


def test_lines_with_other_columns_are_counted(tmp_path: Path) -> None:
    """And left out."""
    path = tmp_path / "log.csv"
    path.write_text("seen,clicked,who\n1,2,3\n1,2\n4,,5\n1,2,3,4\n")
    found = measure([path], mapping())
    assert found.num_samples == 2
    assert [u.reason for u in found.unread] == [
        "2 lines with another number of columns"
    ]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("seen,who\n1,2\n", "clicked: is no column of this file"),
        ("seen,clicked,who\n", "the log has no sample"),
        ("seen,clicked,who\na,b,c\n", "hash function of the training job"),
    ],
)
def test_wrong_logs(tmp_path: Path, content: str, rule: str) -> None:
    """The file, the column, and what to do."""
    path = tmp_path / "log.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=rule):
        measure([path], mapping())


def test_files_of_different_types_are_one_log(tmp_path: Path) -> None:
    """Each is read as it is, in the order of names; messages name the one."""
    rows = {"seen": [1, 2], "clicked": [3, 3], "who": [4, 5]}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    narrow = pa.table(rows).cast(pa.schema([(n, pa.int32()) for n in rows]))
    pq.write_table(narrow, tmp_path / "b.parquet")
    (tmp_path / "c.csv").write_text("who,seen,clicked\n6,1,2\n")
    found = measure([tmp_path], mapping())
    assert found.num_samples == 5
    assert [t.lookups for t in found.tables] == [10, 5]
    assert [t.rows_seen for t in found.tables] == [3, 3]
    (tmp_path / "d.csv").write_text("who,seen,clicked\n6,1,x\n")
    (tmp_path / "e.parquet").write_bytes((tmp_path / "a.parquet").read_bytes())
    assert measure([tmp_path], mapping()).tables[0].unreadable == 1


def test_texts_among_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are ids that cannot be read, unless they come first: all are texts then."""
    monkeypatch.setattr("shardplan.statistics.formats.text.PART_BYTES", 1)
    lines = {"a": "1,2,3\n", "b": "1,2,3\n4,5,6\n", "c": "1,x,3\n1,y,3\n"}
    for name, text in lines.items():
        (tmp_path / f"{name}.csv").write_text(f"seen,clicked,who\n{text}")
    found = measure([tmp_path], mapping())
    assert (found.num_samples, found.tables[0].unreadable) == (5, 2)
    (tmp_path / "c.csv").rename(tmp_path / "0.csv")
    with pytest.raises(InputError, match=r"0\.csv: clicked = .*hash function"):
        measure([tmp_path], mapping())


@pytest.mark.parametrize(
    ("suffix", "changes", "rule"),
    [
        (".parquet", {"columns": ["a"]}, "clicks: columns = .*have no use"),
        (".npz", {"columns": ["a"]}, "for npz has names"),
        (".npy", {"separator": " "}, "who.separator = .*no text to divide"),
        (".parquet", {"separator": " "}, "separator = .*who has int64, which no"),
    ],
)
def test_keys_without_a_use(
    tmp_path: Path, suffix: str, changes: dict[str, Any], rule: str
) -> None:
    """They would be taken for something that is done."""
    write(tmp_path, clicks(20)).rename(tmp_path / f"log{suffix}")
    features = [*MAPPING["features"][:2], {**MAPPING["features"][2]}]
    if separator := changes.pop("separator", ""):
        features[2]["separator"] = separator
    with pytest.raises(InputError, match=rule):
        measure([tmp_path], mapping(**changes, features=features))


def test_damage_alone_is_named_where_samples_are_sorted(tmp_path: Path) -> None:
    """Not only that there is no sample."""
    (tmp_path / "log.csv").write_text("seen,clicked,who,time\n1,2\n")
    with pytest.raises(InputError, match="another number of columns"):
        measure([tmp_path], mapping(time="time"))


def test_columns_of_one_name(tmp_path: Path) -> None:
    """Which of them is meant cannot be known."""
    names = ["seen", "clicked", "who", "who"]
    path = tmp_path / "log.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1])] * 4, names=names), path)
    with pytest.raises(InputError, match="who: is the name of several columns"):
        measure([path], mapping())


@pytest.mark.parametrize(
    "times", [pa.array([[1], [2]]), pa.array([{"a": 1}, {"a": 2}])]
)
def test_times_without_an_order(tmp_path: Path, times: Any) -> None:
    """Lists and the like."""
    table = pa.table({"seen": [1, 2], "clicked": [3, 3], "who": [4, 5], "time": times})
    with pytest.raises(InputError, match="cannot be sorted by"):
        measure([write(tmp_path, table)], mapping(time="time"))


def test_files_that_are_none(tmp_path: Path) -> None:
    """Missing ones, folders without logs, and unknown suffixes."""
    (tmp_path / "notes.doc").write_text("x")
    for path, rule in (
        (tmp_path / "no.csv", "there is no such file"),
        (tmp_path, "has no file of a log"),
        (tmp_path / "notes.doc", "give the mapping a format"),
    ):
        with pytest.raises(InputError, match=rule):
            measure([path], mapping())


def test_capital_suffixes(tmp_path: Path) -> None:
    """A folder's files are not passed over for these."""
    text = b"seen,clicked,who\n1,2,3\n"
    (tmp_path / "A.CSV").write_bytes(text)
    (tmp_path / "B.Csv.GZ").write_bytes(gzip.compress(text))
    assert measure([tmp_path], mapping()).num_samples == 2


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    """Results could not name such a file."""
    path = os.fsencode(tmp_path) + b"/\xff.csv"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"seen,clicked,who\n1,2,3\n")
    with pytest.raises(InputError, match=r"udcff\.csv: has a name that is not UTF-8"):
        measure([tmp_path], mapping())


class Shuffled(LocalCrew):
    """Has many errands in hand, and does any of them next."""

    def __init__(self, folder: WorkFolder, ahead: int, seed: int = 0) -> None:
        super().__init__(folder)
        self.ahead, self._draw, self.counted = ahead, random.Random(seed), 0

    def hand_out(self, errand: Errand) -> None:
        super().hand_out(errand)
        assert len(self._waiting) <= self.ahead
        self.counted += errand.what not in ("add", "look")
        self._draw.shuffle(self._waiting)


class Stopped(Exception):
    """The end of a run that was killed."""


def crews(monkeypatch: pytest.MonkeyPatch, ahead: int, stop_after: int = 0) -> Any:
    """Let runs be done by a crew; it may end in the middle."""
    made: list[Shuffled] = []

    class Killed(Shuffled):
        def finished(self) -> list[str]:
            if stop_after and self.counted > stop_after:
                raise Stopped
            return super().finished()

    def make(folder: WorkFolder, *others: Any) -> Shuffled:
        made.append(Killed(folder, ahead, len(made)))
        return made[-1]

    monkeypatch.setattr("shardplan.statistics.measure.make_crew", make)
    return made


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("time", ["", "time"])
def test_any_order_gives_the_same(
    tmp_path: Path, time: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is counted first; files of the folder are few at any time."""
    path = write(tmp_path, clicks(30_000))
    expected = measure([path], mapping(time=time))
    for ahead in (2, 3, 8):
        crews(monkeypatch, ahead)
        folder = WorkFolder(tmp_path / "work")
        folder.path.mkdir(exist_ok=True)
        assert measure([path], mapping(time=time), folder=folder) == expected
        assert len(folder.names(".part")) <= 4
        assert not folder.names(".sorted")
        folder.remove()


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("time", ["", "time"])
def test_what_was_counted_is_not_counted_again(
    tmp_path: Path, time: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a run in pieces is that of a quiet one."""
    path = write(tmp_path / "log", clicks(30_000))
    expected = measure([path], mapping(time=time))
    folder = WorkFolder(tmp_path / "work")
    folder.path.mkdir()
    counted = 0
    while True:
        made = crews(monkeypatch, 3, stop_after=4)
        try:
            found = measure([path], mapping(time=time), folder=folder)
        except Stopped:
            counted += made[0].counted
            continue
        break
    assert found == expected
    parts = 10 * (2 if time else 1)
    assert counted + made[0].counted <= parts + 4 * 10
    made = crews(monkeypatch, 3)
    assert measure([path], mapping(time=time), folder=folder) == expected
    assert made[0].counted == 0


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("suffix", [".run", ".order"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_sorted_samples_that_are_damaged_are_sorted_again(
    tmp_path: Path, suffix: str, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be counted otherwise: no library tells a bit that flipped."""
    path = write(tmp_path / "log", clicks(9000))
    expected = measure([path], mapping(time="time"))
    folder = WorkFolder(tmp_path / "work")
    folder.path.mkdir()
    crews(monkeypatch, 1, stop_after=3)
    with pytest.raises(Stopped):
        measure([path], mapping(time="time"), folder=folder)
    file = folder.file(sorted(folder.names(suffix))[1])
    content = bytearray(file.read_bytes())
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    made = crews(monkeypatch, 1)
    assert measure([path], mapping(time="time"), folder=folder) == expected
    assert made[0].counted == 1 + 3


@pytest.mark.usefixtures("small_parts")
def test_what_has_changed_is_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept, or all after a change of a file or the mapping."""
    for number in range(4):
        write(tmp_path / f"log{number}", clicks(6000, seed=number))
    paths = [tmp_path / f"log{number}" for number in range(4)]
    folder = WorkFolder(tmp_path / "work")
    folder.path.mkdir()

    def counted(mapping: LogMapping) -> int:
        made = crews(monkeypatch, 2)
        found = measure(paths, mapping, folder=folder)
        monkeypatch.undo()
        monkeypatch.setattr(parquet, "PART_ROWS", 3000)
        assert found == measure(paths, mapping)
        return made[0].counted

    assert counted(mapping()) == 8
    assert counted(mapping(name="other")) == 0
    [whole] = folder.names(".part")
    content = bytearray(folder.file(whole).read_bytes())
    content[len(content) // 2] ^= 1
    folder.file(whole).write_bytes(content)
    assert counted(mapping()) == 8
    crews(monkeypatch, 1, stop_after=7)
    write(tmp_path / "log3", clicks(6000, seed=9))
    with pytest.raises(Stopped):
        measure(paths, mapping(), folder=folder)
    write(tmp_path / "log3", clicks(6000, seed=10))
    assert counted(mapping()) == 8
    assert counted(mapping(features=MAPPING["features"][1:])) == 8


def test_a_file_that_changes_meanwhile_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was counted of it may be of either."""
    path = write(tmp_path, clicks(1000))
    made = crews(monkeypatch, 1)
    run = Shuffled.finished

    def finished(crew: Shuffled) -> list[str]:
        os.utime(path, (1, 1))
        return run(crew)

    monkeypatch.setattr(Shuffled, "finished", finished)
    found = measure([path], mapping())
    assert made
    assert [u.reason for u in found.unread] == ["has changed while it was measured"]


def test_samples_without_a_time_come_last(tmp_path: Path) -> None:
    """First those whose time is no number; files may have numbers of other kinds."""
    times = [3.0, None, 1.0, float("nan"), 2.0, None, float("nan"), 1.0]
    count = len(times)
    ids = list(range(count))
    one = {"seen": ids, "clicked": ids, "who": ids}
    for name, kind in (("a", pa.float64()), ("b", pa.int32())):
        time = pa.array([None if t != t else t for t in times], kind, from_pandas=True)
        time = pa.array(times, kind) if name == "a" else time
        pq.write_table(pa.table({**one, "time": time}), tmp_path / f"{name}.parquet")
    order = [2, 7, 2, 7, 4, 4, 0, 0, 3, 6, 1, 5, 1, 3, 5, 6]
    rows = {name: [ids[k] for k in order] for name in one}
    (tmp_path / "sorted").mkdir()
    expected = write(tmp_path / "sorted", pa.table(rows))
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    assert measure(paths, mapping(time="time")) == measure([expected], mapping())


@pytest.mark.usefixtures("small_parts")
def test_parts_in_order_are_left_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever files are called; only those whose times overlap are written anew."""
    table = clicks(30_000).sort_by("time")
    for name, start in (("c", 0), ("b", 9000), ("a", 18_000)):
        write(tmp_path / name, table.slice(start, 9000))
    expected = measure([write(tmp_path / "all", table.slice(0, 27_000))], mapping())
    written: list[str] = []
    draft = WorkFolder.draft

    def noted(folder: WorkFolder, name: str) -> Any:
        written.append(name)
        return draft(folder, name)

    monkeypatch.setattr(WorkFolder, "draft", noted)
    paths = [tmp_path / name for name in "abc"]
    assert measure(paths, mapping(time="time")) == expected
    assert not [name for name in written if name.endswith(".run")]
    moved = table.slice(9000, 9000).sort_by([("time", "descending")])
    write(tmp_path / "b", moved)
    assert measure(paths, mapping(time="time")) == expected
    assert len([name for name in written if name.endswith(".run")]) == 3


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
def test_nothing_is_lost_in_silence(tmp_path: Path, suffix: str) -> None:
    """Of logs with random damage: all that can be known to be lost is named.

    Of plain text that is the csv module's lines of another number of cells; a line
    that is gone leaves no trace.
    """
    size, draw = 200, random.Random(1)
    rows = [(k % 97, k * k % 89, k % 31) for k in range(size)]
    table = pa.table(
        dict(zip(("seen", "clicked", "who"), zip(*rows, strict=True), strict=True))
    )
    whole = write(tmp_path, table, rows=50).read_bytes()
    if suffix != ".parquet":
        lines = [f'{a},{b},"{c}"' for a, b, c in rows]
        whole = "\n".join(["seen,clicked,who", *lines, ""]).encode()
    path = tmp_path / f"log{suffix}"
    outcomes: Counter[str] = Counter()
    for _ in range(150):
        is_gzip = suffix == ".csv.gz"
        base = gzip.compress(whole, mtime=0) if is_gzip else whole
        content = mutated(draw, base)
        path.write_bytes(content)
        try:
            found = measure([path], mapping())
        except InputError:
            outcomes["refused"] += 1
            continue
        outcomes["named" if found.unread else "whole"] += 1
        if suffix == ".csv" and not found.unread:
            text = io.StringIO(content.decode(), newline="")
            left = [cells for cells in csv.reader(text) if cells][1:]
            assert [len(cells) for cells in left] == [3] * found.num_samples
        elif not found.unread:
            assert found.num_samples == size
    assert outcomes["named"] > 20
