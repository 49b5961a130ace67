"""The JSON that nccl-tests writes with ``-J``, versions 1 to 3."""

from __future__ import annotations

import datetime
import math
from typing import Any

from shardplan.calibration.runs import NcclRun, TimedSize, nccl_version_text, point_of
from shardplan.errors import InputError


def json_run(data: Any, where: str) -> NcclRun:
    """Return the run of a parsed file.

    Notes
    -----
    Traps of the format: text stands for "nan"; a process lists its first device
    only; bandwidths are 10^9 B/s and times us.

    Raises
    ------
    InputError
        If it is not of nccl-tests, or damaged.

    References
    ----------
    NVIDIA/nccl-tests, src/util.cu.
    """
    if not isinstance(data, dict) or not isinstance(data.get("results"), list):
        rule = "is no JSON of nccl-tests: it has no list of results"
        raise InputError.single(where, "results", None, rule)
    version, args = data.get("nccl_version"), data.get("args")
    program = args[0] if isinstance(args, list) and args else ""
    return NcclRun(
        program=program if isinstance(program, str) else "",
        hosts=_hosts(data, where),
        points=tuple(
            _point(entry, where, f"results[{index}]")
            for index, entry in enumerate(data["results"])
        ),
        nccl_version=nccl_version_text(version) if isinstance(version, int) else "",
        date=_date(data.get("start_time")),
    )


def _hosts(data: dict[str, Any], where: str) -> tuple[str, ...]:
    """Return the host of every rank."""
    config = data.get("config")
    config = config if isinstance(config, dict) else {}
    devices = config.get("devices", data.get("devices"))
    if not isinstance(devices, list) or not devices:
        return ()
    try:
        found = sorted((int(d["rank"]), str(d["hostname"])) for d in devices)
        groups = {int(d.get("group", 0)) for d in devices}
        per_process = int(config.get("nthreads", 1)) * int(config.get("ngpus", 1))
    except (KeyError, TypeError, ValueError):
        rule = "devices need whole numbers for rank, and a hostname"
        raise InputError.single(where, "config.devices", None, rule) from None
    ranks = [rank for rank, _ in found]
    require_one_group(ranks, groups, where, "config.devices")
    is_first_only = ranks == [per_process * i for i in range(len(ranks))]
    times = per_process if is_first_only else 1
    return tuple(host for _, host in found for _ in range(times))


def require_one_group(
    ranks: list[int], groups: set[int], where: str, key: str = ""
) -> None:
    """Refuse ranks that did not take part in one collective.

    Raises
    ------
    InputError
        For ranks that are there twice, and for several groups.
    """
    if len(set(ranks)) < len(ranks):
        rule = "ranks are listed twice: every process ran alone (build with MPI=1)"
        raise InputError.single(where, key, None, rule)
    if len(groups) > 1:
        rule = f"{len(groups)} groups ran at once: measure one (no NCCL_TESTS_SPLIT)"
        raise InputError.single(where, key, None, rule)


def _point(entry: Any, where: str, at: str) -> TimedSize:
    if not isinstance(entry, dict):
        raise InputError.single(where, at, entry, "must be a table of results")
    timed = entry.get("out_of_place") or entry.get("in_place")
    if not isinstance(timed, dict):
        rule = "has neither out_of_place nor in_place"
        raise InputError.single(where, at, None, rule)
    if "time" not in timed and "cpu_time" in timed:
        rule = "is the time of the CPU (-C 1): measure without it"
        raise InputError.single(where, at, None, rule)
    wrong = timed.get("nwrong")
    return point_of(
        at,
        _number(entry.get("size"), where, f"{at}.size"),
        _number(timed.get("time"), where, f"{at}.time"),
        _number(timed.get("alg_bw"), where, f"{at}.alg_bw"),
        _number(timed.get("bus_bw"), where, f"{at}.bus_bw"),
        wrong if isinstance(wrong, (int, float)) else 0.0,
    )


def _number(value: Any, where: str, key: str) -> float:
    if value == "nan":
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError.single(where, key, value, "must be a number")
    return float(value)


def _date(text: Any) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(str(text)[:10])
    except ValueError:
        return None
