"""The journal: cut anywhere, overwritten, written twice, on a full disk."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import InputError
from shardplan.studies.journal import Entry, Journal, JournalWriter, header

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = [Entry(f"id{i}", f"key{i}", {"text": '{"id":"x"}', "n": i}) for i in range(4)]


def write(path: Path, *entries: Entry) -> Journal:
    """Append to a journal and return what it then holds."""
    writer = JournalWriter(path, Journal.read(path))
    writer.append(entries)
    writer.close()
    return Journal.read(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_what_is_written_is_read(path: Path) -> None:
    found = write(path, *ENTRIES)
    assert list(found.by_id.values()) == ENTRIES
    assert found.by_key["key2"] == ENTRIES[2]
    assert found.broken == 0
    assert path.read_bytes().startswith(header())


def test_cut_at_every_byte(path: Path) -> None:
    """Lines before the cut are there; the next run appends on a line of its own."""
    write(path, *ENTRIES)
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        complete = sum(end - 1 <= cut for end in ends[1:])
        assert len(Journal.read(path).by_id) == complete
        found = write(path, ENTRIES[3])
        assert list(found.by_id) == [f"id{i}" for i in (*range(min(complete, 3)), 3)]
        is_clean = cut == 0 or cut in ends or cut + 1 in ends
        assert found.broken == (not is_clean)


@pytest.mark.parametrize("garbage", [b"\0" * 50, b"{", b"\xff\xfe\n\n", b'{"id":"'])
def test_garbage_loses_nothing_beside_it(garbage: bytes, path: Path) -> None:
    """In front of a line, and in place of the end of one."""
    write(path, *ENTRIES)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], garbage, *lines[2:]]))
    assert sorted(Journal.read(path).by_id) == ["id0", "id1", "id2", "id3"]
    path.write_bytes(b"".join([*lines[:2], lines[2][:30], garbage, *lines[3:]]))
    found = Journal.read(path)
    assert sorted(found.by_id) == ["id0", "id2", "id3"]
    assert found.broken >= 1


def test_a_changed_byte_is_noticed(path: Path) -> None:
    """A line counts as it was written or not at all."""
    write(path, *ENTRIES)
    whole = path.read_bytes()
    start = whole.index(b'{"id":"id1"')
    for at in range(start, whole.index(b"\n", start)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        found = Journal.read(path)
        assert sorted(found.by_id) == ["id0", "id2", "id3"]
        assert found.broken >= 1


def test_the_last_line_of_a_point_counts(path: Path) -> None:
    again = Entry("id1", "other", {"n": 9})
    found = write(path, *ENTRIES, again)
    assert found.by_id["id1"] == again
    assert found.broken == 0


def test_points_of_other_versions_are_counted(path: Path) -> None:
    write(path, *ENTRIES)
    other = path.read_bytes().replace(header(), b'{"journal": 1, "shardplan": "0.1"}\n')
    path.write_bytes(other)
    assert Journal.read(path).others == {"0.1": 4}
    found = write(path, Entry("new", "new", {}))
    assert found.others == {"0.1": 4}
    assert "new" in found.by_id


def test_a_later_format_is_refused(path: Path) -> None:
    path.write_bytes(b'{"journal": 2, "shardplan": "9.9"}\n')
    with pytest.raises(InputError, match=r"shardplan 9\.9, with a later format"):
        Journal.read(path)


@pytest.mark.parametrize("content", [b"hello\n", b"a,b\n1,2\n", b"{}"])
def test_other_files_are_refused(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match="is no journal of a study"):
        Journal.read(path)
    assert path.read_bytes() == content


def test_a_full_disk_keeps_what_is_finished(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a line that was written is taken back; the next run goes on."""
    writer = JournalWriter(path, Journal.read(path))
    writer.append(ENTRIES[:2])
    before = path.read_bytes()
    write_some = os.write

    def full(file: int, data: Any) -> int:
        if len(data) < 40:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_some(file, data[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(InputError, match="No space left on device; what is finish"):
            writer.append(ENTRIES[2:])
    writer.close()
    assert path.read_bytes() == before
    assert list(write(path, *ENTRIES[2:]).by_id) == ["id0", "id1", "id2", "id3"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        JournalWriter(tmp_path / "missing" / "journal.jsonl", Journal())
