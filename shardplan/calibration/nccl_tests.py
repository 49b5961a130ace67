"""Read what nccl-tests wrote: its text, or its JSON (``-J``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shardplan.calibration.nccl_json import json_run
from shardplan.calibration.nccl_text import text_runs
from shardplan.errors import Fault, InputError
from shardplan.io.json_file import parse_json
from shardplan.io.text import read_text

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable

    from shardplan.calibration.runs import NcclRun
    from shardplan.simulation.collective_times import Collective

COLLECTIVES: dict[str, Collective] = {
    "alltoall": "all_to_all",
    "alltoallv": "all_to_all",
    "all_to_all": "all_to_all",
    "all_gather": "all_gather",
    "reduce_scatter": "reduce_scatter",
    "all_reduce": "all_reduce",
}
"""Names of nccl-tests' programs, without ``_perf``, and of collectives."""
_FACTOR_SLACK = 0.03
_RATE_SLACK = 0.05
_LEAST_RATE = 1.0
"""Rates below have too few digits to check anything by them [GB/s]."""


@dataclass(frozen=True)
class Benchmark:
    """Times of one collective on one set of ranks.

    Attributes
    ----------
    where : str
        The file.
    message_bytes, time_s : tuple of float
        In nccl-tests' sense [bytes], out of place where that was measured [s].
    left_out : dict of str to int
        How many points were left out, by reason.
    nccl_version : str
        Empty if unknown.
    """

    where: str
    collective: Collective
    num_hosts: int
    ranks_per_host: int
    message_bytes: tuple[float, ...]
    time_s: tuple[float, ...]
    left_out: dict[str, int]
    nccl_version: str
    date: datetime.date | None

    @property
    def num_ranks(self) -> int:
        """All ranks."""
        return self.num_hosts * self.ranks_per_host


def read_all(
    specs: Iterable[str],
    num_ranks: int | None = None,
    ranks_per_host: int | None = None,
) -> list[Benchmark]:
    """Read files as `read_benchmarks` does, and tell what is wrong with any.

    Raises
    ------
    InputError
        With the problems of all files.
    """
    found: list[Benchmark] = []
    problems: list[Fault] = []
    for spec in specs:
        try:
            found += read_benchmarks(spec, num_ranks, ranks_per_host)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return found


def read_benchmarks(
    spec: str, num_ranks: int | None = None, ranks_per_host: int | None = None
) -> list[Benchmark]:
    """Read a file of nccl-tests.

    Parameters
    ----------
    spec : str
        A path, or ``COLLECTIVE=PATH`` for a file that does not say what it measures.
    num_ranks : int, optional
        For a file that does not list them.
    ranks_per_host : int, optional
        In place of what the file says; for a domain that spans hosts, its ranks.

    Raises
    ------
    InputError
        If the file is damaged, contradicts itself, or does not say enough.
    """
    name, path = _split(spec)
    text = read_text(Path(path), path)
    if text.lstrip()[:1] == "{":
        runs = [json_run(parse_json(text, path), path)]
    else:
        runs = text_runs(text, path)
    return [_benchmark(run, path, name, num_ranks, ranks_per_host) for run in runs]


def _split(spec: str) -> tuple[str, str]:
    name, sign, path = spec.partition("=")
    return (name, path) if sign and name in COLLECTIVES else ("", spec)


def _benchmark(
    run: NcclRun,
    where: str,
    name: str,
    num_ranks: int | None,
    ranks_per_host: int | None,
) -> Benchmark:
    collective = _collective(run, where, name)
    ranks, hosts = _cluster(run, where, num_ranks, ranks_per_host)
    _check_rates(run, where, collective, ranks)
    used = [point for point in run.points if not point.fault]
    left_out: dict[str, int] = {}
    for point in run.points:
        if point.fault:
            left_out[point.fault] = left_out.get(point.fault, 0) + 1
    if not used:
        rule = f"{len(run.points)} points, none of which can be used"
        told = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise InputError.single(where, "", None, f"{rule}: {told}" if told else rule)
    return Benchmark(
        where=where,
        collective=collective,
        num_hosts=hosts,
        ranks_per_host=ranks // hosts,
        message_bytes=tuple(point.message_bytes for point in used),
        time_s=tuple(point.time_s for point in used),
        left_out=left_out,
        nccl_version=run.nccl_version,
        date=run.date,
    )


def _collective(run: NcclRun, where: str, name: str) -> Collective:
    said = re.sub(r"_perf.*$", "", run.program.rpartition("/")[2])
    if name and said and COLLECTIVES.get(said) != COLLECTIVES[name]:
        rule = f"the file says that it measures {said}"
        raise InputError.single(where, "", name, rule)
    found = name or said
    if not found:
        rule = "does not say which collective it measured: give it as all_reduce=FILE"
        raise InputError.single(where, "", None, rule)
    if found not in COLLECTIVES:
        known = ", ".join(dict.fromkeys(COLLECTIVES.values()))
        rule = f"measures {found}, which no network has: leave it out (has: {known})"
        raise InputError.single(where, "", None, rule)
    return COLLECTIVES[found]


def _cluster(
    run: NcclRun, where: str, num_ranks: int | None, ranks_per_host: int | None
) -> tuple[int, int]:
    """Return ranks and hosts."""
    ranks = len(run.hosts) or num_ranks
    if ranks is None:
        rule = "does not list its ranks: give their number with --ranks"
        raise InputError.single(where, "", None, rule)
    if ranks < 2:
        rule = "one rank sends nothing: measure two or more (MPI builds: make MPI=1)"
        raise InputError.single(where, "", None, rule)
    counts = {host: run.hosts.count(host) for host in run.hosts}
    if ranks_per_host is None and len(set(counts.values())) > 1:
        shown = ", ".join(f"{count} on {host}" for host, count in counts.items())
        rule = f"hosts have different numbers of ranks: {shown}"
        raise InputError.single(where, "", None, rule)
    if ranks_per_host is None and not counts:
        rule = "does not list its hosts: give the ranks of each with --ranks-per-host"
        raise InputError.single(where, "", None, rule)
    per_host = min(ranks_per_host or next(iter(counts.values())), ranks)
    if ranks % per_host:
        rule = f"{ranks} ranks are no multiple of the {per_host} of --ranks-per-host"
        raise InputError.single(where, "", None, rule)
    return ranks, ranks // per_host


def _check_rates(run: NcclRun, where: str, collective: Collective, ranks: int) -> None:
    """Refuse bandwidths that belong to other times, collectives or ranks."""
    expected = (2.0 if collective == "all_reduce" else 1.0) * (ranks - 1) / ranks
    for point in run.points:
        if point.fault:
            continue
        rate = point.message_bytes / point.time_s / 1e9
        if rate < _LEAST_RATE and 0.0 <= point.alg_bw < _LEAST_RATE:
            continue
        # "not <=" refuses NaN, too
        if not abs(rate - point.alg_bw) <= _RATE_SLACK * point.alg_bw:
            rule = (
                f"{point.message_bytes:.0f} bytes in {point.time_s:g} s are "
                f"{rate:.4g} GB/s, not the {point.alg_bw:g} of the file: it is damaged"
            )
            raise InputError.single(where, point.at, None, rule)
        factor = point.bus_bw / point.alg_bw
        if not abs(factor / expected - 1.0) <= _FACTOR_SLACK:
            rule = (
                f"busbw / algbw is {factor:.3g}, but {expected:.3g} for {collective} "
                f"on {ranks} ranks: collective or ranks are others"
            )
            raise InputError.single(where, point.at, None, rule)
