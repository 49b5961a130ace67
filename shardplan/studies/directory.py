"""The folder of a study's results, and who may write there.

::

    study.toml        the file as it was when the study last ran
    inputs.json       the study and all inputs that it names: results need nothing else
    journal.jsonl     finished points
    lock              held while a run is at work
    results.csv       the table, made from the journal at the end of a run
    results.parquet   the same with units, where pyarrow is installed
"""

from __future__ import annotations

import os
import platform
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from shardplan.errors import InputError
from shardplan.io.atomic import write_bytes_atomically, write_text_atomically
from shardplan.io.json_file import read_json
from shardplan.io.locks import try_lock
from shardplan.studies.journal import Journal, is_cut_header
from shardplan.studies.packing import pack, unpack
from shardplan.studies.table import has_parquet, to_csv, to_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.studies.spec import StudySpec
    from shardplan.studies.study import Study

_JOURNAL, _LOCK = "journal.jsonl", "lock"
_MOST_OWNER = 200
_HEAD = len('{"journal": ')


class ResultFolder:
    """A folder with the results of one study.

    Parameters
    ----------
    path : path
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @property
    def journal_path(self) -> Path:
        """Where finished points are."""
        return self.path / _JOURNAL

    @contextmanager
    def to_write(self) -> Iterator[None]:
        """Make the folder if need be, and hold its lock within the block.

        Raises
        ------
        InputError
            If it has other files, cannot be written, or another run is at work.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._refuse_others()
            lock = (self.path / _LOCK).open("a+b")
        except OSError as error:
            raise self._refusal(error) from error
        with lock:
            self._lock(lock)
            yield

    def require(self) -> None:
        """Raise `InputError` for a folder that holds no study."""
        if not self.journal_path.is_file():
            rule = "holds no results of a study; `study run FILE -o DIR` makes them"
            raise InputError.single(str(self.path), "", None, rule)

    def journal(self) -> Journal:
        """Return the finished points."""
        return Journal.read(self.journal_path)

    def spec(self) -> StudySpec:
        """Return the study with its inputs as they were when it last ran."""
        where = str(self.path / "inputs.json")
        return unpack(read_json(Path(where), where), where)

    def write_study(self, spec: StudySpec) -> None:
        """Keep the study: the results can be read without the files that it names."""
        file = Path(spec.where)
        if file.suffix == ".toml" and file.is_file():
            text = file.read_text(encoding="utf-8")
            write_text_atomically(self.path / "study.toml", text)
        write_text_atomically(self.path / "inputs.json", pack(spec))

    def write_table(self, study: Study) -> None:
        """Write the table from the finished points, unless it is there."""
        columns, rows = study.columns, [row.values for row in study.rows]
        text, parquet = to_csv(columns, rows), self.path / "results.parquet"
        if has_parquet():
            if self._has_table(text) and parquet.exists():
                return
            write_bytes_atomically(parquet, to_parquet(columns, rows))
        else:
            parquet.unlink(missing_ok=True)
        write_text_atomically(self.path / "results.csv", text)

    def _has_table(self, text: str) -> bool:
        """Whether the last run wrote this table: the CSV is written last."""
        try:
            return (self.path / "results.csv").read_bytes() == text.encode()
        except OSError:
            return False

    def owner(self) -> str:
        """Say who holds the lock; empty if nobody does."""
        try:
            with (self.path / _LOCK).open("rb") as file:
                if try_lock(file):
                    return ""
                return file.read(_MOST_OWNER).decode("utf-8", "replace").strip()
        except OSError:
            return ""

    def _lock(self, file: BinaryIO) -> None:
        if not try_lock(file):
            file.seek(0)
            owner = file.read(_MOST_OWNER).decode("utf-8", "replace").strip()
            rule = f"another run is at work there ({owner or 'it has just begun'})"
            raise InputError.single(str(self.path), "", None, rule)
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}\n".encode())
            file.flush()
        except OSError as error:
            raise self._refusal(error) from error

    def _refuse_others(self) -> None:
        """Refuse a folder with files of somebody else; drafts may be left of ours."""
        if self.journal_path.exists() and self._has_own_journal():
            return
        others = {entry.name for entry in self.path.iterdir()} - {_LOCK}
        others = {name for name in others if not name.endswith(".tmp")}
        if others:
            rule = f"has files, such as {min(others)}, but no results of a study: name "
            rule += "a new folder"
            raise InputError.single(str(self.path), "", None, rule)

    def _has_own_journal(self) -> bool:
        """Whether the journal is, or was, ours: others use that name as well."""
        if (self.path / "inputs.json").exists():
            return True
        with self.journal_path.open("rb") as file:
            return is_cut_header(file.read(_HEAD))

    def _refusal(self, error: OSError) -> InputError:
        rule = f"cannot be written: {error.strerror or error}"
        return InputError.single(str(self.path), "", None, rule)
