"""The JSON that nccl-tests writes with ``-J``, versions 1 to 3."""

from __future__ import annotations

import datetime
import math
from typing import Any

from shardplan.calibration.runs import NcclRun, TimedSize, nccl_version_text, point_of
from shardplan.errors import InputError
from shardplan.records.record import MAX_RANKS


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
        nccl_version="" if type(version) is not int else nccl_version_text(version),
        date=_date(data.get("start_time")),
    )


def _hosts(data: dict[str, Any], where: str) -> tuple[str, ...]:
    """Return the host of every rank."""
    config = data.get("config")
    config = config if isinstance(config, dict) else {}
    devices = config.get("devices", data.get("devices"))
    if not isinstance(devices, list) or not devices:
        return ()
    found, groups = [], set()
    for index, device in enumerate(devices):
        at = f"config.devices[{index}]"
        host = device.get("hostname") if isinstance(device, dict) else None
        if not isinstance(host, str) or not host:
            raise InputError.single(where, at, None, "needs a rank and a hostname")
        rank = _whole(device.get("rank"), where, f"{at}.rank", 0)
        found.append((rank, host))
        groups.add(_whole(device.get("group", 0), where, f"{at}.group", 0))
    per_process = 1
    for name in ("nthreads", "ngpus"):
        per_process *= _whole(config.get(name, 1), where, f"config.{name}", 1)
    found.sort()
    ranks = [rank for rank, _ in found]
    is_first_only = ranks == [per_process * i for i in range(len(ranks))]
    times = per_process if is_first_only else 1
    if len(ranks) * times > MAX_RANKS:
        rule = f"{len(ranks) * times:,} ranks; at most {MAX_RANKS:,} can be planned for"
        raise InputError.single(where, "config", None, rule)
    require_one_group(ranks, groups, where, "config.devices", times)
    return tuple(host for _, host in found for _ in range(times))


def _whole(value: Any, where: str, key: str, least: int) -> int:
    if type(value) is not int or not least <= value <= MAX_RANKS:
        rule = f"must be a whole number, {least} to {MAX_RANKS}"
        raise InputError.single(where, key, value, rule)
    return value


def require_one_group(
    ranks: list[int], groups: set[int], where: str, key: str = "", step: int = 1
) -> None:
    """Refuse ranks that did not take part in one collective.

    Parameters
    ----------
    step : int
        Ranks of a process, of which only the first is there.

    Raises
    ------
    InputError
        For ranks that are there twice or missing, and for several groups.
    """
    if len(set(ranks)) < len(ranks):
        rule = "ranks are listed twice: every process ran alone (build with MPI=1)"
        raise InputError.single(where, key, None, rule)
    if len(groups) > 1:
        rule = f"{len(groups)} groups ran at once: measure one (no NCCL_TESTS_SPLIT)"
        raise InputError.single(where, key, None, rule)
    missing = sorted(set(range(0, len(ranks) * step, step)) - set(ranks))
    if missing:
        rule = f"rank {missing[0]} is not listed: cut off, or damaged"
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
    unchecked = wrong is None or wrong in ("nan", "N/A")
    return point_of(
        at,
        _number(entry.get("size"), where, f"{at}.size"),
        _number(timed.get("time"), where, f"{at}.time"),
        _number(timed.get("alg_bw"), where, f"{at}.alg_bw"),
        _number(timed.get("bus_bw"), where, f"{at}.bus_bw"),
        0.0 if unchecked else _number(wrong, where, f"{at}.nwrong"),
    )


def _number(value: Any, where: str, key: str) -> float:
    if value == "nan":
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError.single(where, key, value, "must be a number")
    try:
        return float(value)
    except OverflowError:
        rule = "must be a number below 10^308"
        raise InputError.single(where, key, None, rule) from None


def _date(text: Any) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(str(text)[:10])
    except ValueError:
        return None
