"""The folder that measured statistics lie in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from shardplan.errors import InputError
from shardplan.io.folders import folder_draft, require_replaceable
from shardplan.io.json_file import read_json
from shardplan.io.validate import validate
from shardplan.records.log_statistics import LogStatistics
from shardplan.records.record import dump

if TYPE_CHECKING:
    import os

_KIND = "statistics of a log"
_FILE = "statistics.json"


def require_folder(path: str | os.PathLike[str]) -> None:
    """Refuse a folder that may not be replaced, before anything is measured."""
    require_replaceable(path, _KIND)


def write_statistics(found: LogStatistics, path: str | os.PathLike[str]) -> None:
    """Write statistics into a folder, whole or not at all.

    Raises
    ------
    InputError
        If the folder has something else, or cannot be written.
    """
    with folder_draft(path, _KIND) as folder:
        text = json.dumps(dump(found), indent=1, allow_nan=False) + "\n"
        (folder / _FILE).write_text(text, encoding="utf-8")


def load_statistics(path: str | os.PathLike[str]) -> LogStatistics:
    """Read the statistics of a folder.

    Raises
    ------
    InputError
        With everything that is wrong in its file; if it has none.
    """
    where, file = str(path) or "''", Path(path) / _FILE
    if not str(path) or not file.is_file():
        rule = f"has no {_FILE}: shardplan stats writes one"
        raise InputError.single(where, "", None, rule)
    return validate(LogStatistics, read_json(file, str(file)), str(file))
