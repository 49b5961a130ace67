"""What one run of nccl-tests says, before it is checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime


_MOST_US = 3600e6


@dataclass(frozen=True)
class TimedSize:
    """One size: bytes, time [s], the program's own bandwidths [GB/s].

    Attributes
    ----------
    at : str
        Where in the file.
    fault : str
        Why it cannot be used; empty if it can.
    """

    at: str
    message_bytes: float
    time_s: float
    alg_bw: float
    bus_bw: float
    fault: str = ""


@dataclass(frozen=True)
class NcclRun:
    """One table of results.

    Attributes
    ----------
    program : str
        The path or name of the program; empty if unknown.
    hosts : tuple of str
        The host of every rank; empty if unknown.
    """

    program: str
    hosts: tuple[str, ...]
    points: tuple[TimedSize, ...]
    nccl_version: str = ""
    date: datetime.date | None = None


def point_of(
    at: str,
    message_bytes: float,
    time_us: float,
    alg_bw: float,
    bus_bw: float,
    wrong: float,
) -> TimedSize:
    """Make a point, and say what is wrong with it."""
    fault = ""
    if not (math.isfinite(message_bytes) and message_bytes > 0):
        fault = "without bytes"
    elif not (math.isfinite(time_us) and time_us > 0):
        fault = "without a time"
    elif time_us > _MOST_US:
        fault = "over an hour"
    elif wrong > 0:
        fault = "with wrong results"
    return TimedSize(at, message_bytes, time_us * 1e-6, alg_bw, bus_bw, fault)


def nccl_version_text(code: int) -> str:
    """Write a version code of NCCL, such as 22903, as ``2.29.3``; else nothing.

    References
    ----------
    NVIDIA/nccl, nccl.h, NCCL_VERSION: up to 2.8 one digit less for the major version.
    """
    if not 1000 <= code < 1000000:
        return ""
    major, rest = divmod(code, 10000 if code >= 10000 else 1000)
    return f"{major}.{rest // 100}.{rest % 100}"
