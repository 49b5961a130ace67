"""What a log is divided into, and what of it is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from shardplan.records.log_mapping import LogFormat

PART_ROWS = 1 << 20
"""Samples from which on a part of a log is full."""
PART_BYTES = 1 << 26
"""Bytes of files from which on a part is full, where samples are not known."""


class LogPiece(NamedTuple):
    """A file, or what is numbered in one from `first` up to `last`, the end excluded.

    Row groups are numbered in Parquet; text has no numbers.
    """

    path: str
    format: LogFormat
    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class Damage:
    """What of a file could not be read, and why."""

    path: str
    reason: str


def log_errors() -> tuple[type[Exception], ...]:
    """Return what reading a damaged file raises."""
    import pyarrow as pa

    return (pa.ArrowException, OSError, UnicodeDecodeError)


def reason_of(error: Exception) -> str:
    """Return what an error says, in one line."""
    return (str(error) or type(error).__name__).splitlines()[0]
