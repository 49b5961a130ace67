"""One operation of a network, from the benchmarks of its collectives."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shardplan.calibration.curves import measured_curve
from shardplan.calibration.p_norm import LIMITS, PNorm, fit_p_norm
from shardplan.calibration.sources import STEPS, coefficient, newest, source_of
from shardplan.records.network import LinkCurve, LinkModel
from shardplan.simulation.collective_times import Bench, bench_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shardplan.calibration.nccl_tests import Benchmark
    from shardplan.records.arrays import Floats
    from shardplan.records.network import NetworkModel

_EXPONENT = 0.8
"""Where fits of the exponent begin."""
_HOP_S = 5e-6
"""Where fits of steps between hosts begin [s]."""


class BenchSetting(NamedTuple):
    """What benchmarks do not say.

    Attributes
    ----------
    line_bw : float
        Of one rank and direction [bytes/s].
    inside : NetworkModel
        The network inside hosts.
    """

    line_bw: float
    inside: NetworkModel


class Error(NamedTuple):
    """Prediction over measurement, less one, of a point."""

    value: float
    benchmark: Benchmark
    message_bytes: float


@dataclass(frozen=True)
class FittedOperation:
    """An operation as it was fitted.

    Attributes
    ----------
    ranges : dict of str to (float, float)
        95 % of each coefficient that was fitted.
    kept : tuple of str
        Coefficients that the measurements do not tell.
    """

    link: LinkModel
    ranges: dict[str, tuple[float, float]]
    kept: tuple[str, ...]


def fit_operation(
    operation: str,
    benchmarks: Sequence[Benchmark],
    setting: BenchSetting,
    parent: LinkModel | None,
    draft: NetworkModel,
) -> FittedOperation:
    """Fit an operation; on one host its curves are kept as well.

    Parameters
    ----------
    parent : LinkModel or None
        What is kept where measurements do not tell.
    draft : NetworkModel
        A network whose other operations take no part.

    Raises
    ------
    ValueError
        If measurements do not tell a coefficient, and there is no parent.
    """
    in_domain = benchmarks[0].num_hosts == 1
    most = max(one.num_ranks for one in benchmarks)
    fitted = [one for one in benchmarks if not in_domain or one.num_ranks == most]
    times = np.concatenate([one.time_s for one in fitted])
    has_steps = (
        operation == "reduce"
        and not in_domain
        and (parent is None or parent.hop_s is not None)
    )
    kept = _kept(parent, has_steps=has_steps)
    link_latency = None if parent is None else parent.link_latency_s

    def predict(values: Mapping[str, float]) -> Floats:
        made = {name: coefficient(name, v, "trial") for name, v in values.items()}
        link = LinkModel(**made, link_latency_s=link_latency)
        trial = draft.replace(**{operation: link})
        return np.concatenate([_predicted(trial, one, setting) for one in fitted])

    start = _start(fitted, setting.line_bw, has_steps=has_steps)
    found = fit_p_norm(predict, times, start, kept)
    link = _link(found, fitted, parent)
    if in_domain:
        link = link.replace(curves=_curves(benchmarks, setting.line_bw, found))
    left = tuple(name for name in start if name not in found.ranges)
    return FittedOperation(link, found.ranges, left)


def errors_of(
    network: NetworkModel, benchmarks: Sequence[Benchmark], setting: BenchSetting
) -> list[Error]:
    """Return how far a network is from every point."""
    return [
        Error(float(predicted / measured - 1.0), one, size)
        for one in benchmarks
        for predicted, measured, size in zip(
            _predicted(network, one, setting),
            one.time_s,
            one.message_bytes,
            strict=True,
        )
    ]


def _predicted(network: NetworkModel, one: Benchmark, setting: BenchSetting) -> Floats:
    bench = Bench(one.num_hosts, one.ranks_per_host, *setting)
    return bench_seconds(network, bench, one.collective, one.message_bytes)


def _kept(parent: LinkModel | None, *, has_steps: bool) -> dict[str, float]:
    """Return what stays where times do not tell; steps leave no latency of its own."""
    if parent is None:
        return {"latency_s": 0.0} if has_steps else {}
    found = {name: getattr(parent, name) for name in LIMITS}
    return {name: one.value for name, one in found.items() if one is not None}


def _start(
    benchmarks: Sequence[Benchmark], line_bw: float, *, has_steps: bool
) -> dict[str, float]:
    """Begin at the least time, and the rate of the largest message."""
    least = min(min(one.time_s) for one in benchmarks)
    rate = max(
        size / time
        for one in benchmarks
        for size, time in zip(one.message_bytes, one.time_s, strict=True)
    )
    rest = {"bw_efficiency": min(rate / line_bw, 1.0), "exponent": _EXPONENT}
    if has_steps:
        return {"latency_s": 1e-6, "hop_s": _HOP_S, **rest}
    return {"latency_s": least, **rest}


def _link(
    found: PNorm, benchmarks: Sequence[Benchmark], parent: LinkModel | None
) -> LinkModel:
    """Write sources and ranges to what was fitted; the rest is the parent's."""
    made: dict[str, Any] = {}
    for name, value in found.values.items():
        if name in found.ranges:
            low, high = found.ranges[name]
            fit = f"p-norm fit, 95 % {low:.3g} to {high:.3g}"
            source = source_of(benchmarks, fit)
            made[name] = coefficient(name, value, source, newest(benchmarks))
        else:
            own = None if parent is None else getattr(parent, name)
            made[name] = own or coefficient(name, value, STEPS)
    link_latency = None if parent is None else parent.link_latency_s
    return LinkModel(**made, link_latency_s=link_latency)


def _curves(
    benchmarks: Sequence[Benchmark], line_bw: float, found: PNorm
) -> tuple[LinkCurve, ...]:
    """Return the measured curves, by ranks."""
    by_ranks = defaultdict(list)
    for one in benchmarks:
        by_ranks[one.num_ranks].append(one)
    return tuple(
        _curve(ranks, by_ranks[ranks], line_bw, found) for ranks in sorted(by_ranks)
    )


def _curve(
    ranks: int, benchmarks: Sequence[Benchmark], line_bw: float, found: PNorm
) -> LinkCurve:
    """Average the logarithms of times of one size, over files and collectives."""
    logs = defaultdict(list)
    for one in benchmarks:
        bus = (2.0 if one.collective == "all_reduce" else 1.0) * (ranks - 1) / ranks
        for size, time in zip(one.message_bytes, one.time_s, strict=True):
            logs[size * bus].append(float(np.log(time)))
    if len(logs) < 2:
        raise ValueError(f"has one size on {ranks} ranks: a curve needs two")
    sent = np.array(sorted(logs))
    means = np.array([np.mean(logs[size]) for size in sent])
    curve = measured_curve(sent, means, line_bw)
    share = curve.bw_efficiency
    if "bw_efficiency" not in found.ranges:
        # Messages are too small to tell: links are no slower than what was kept.
        share = max(share, found.values["bw_efficiency"])
    return LinkCurve(
        num_ranks=ranks,
        line_bw=line_bw,
        bw_efficiency=_rounded(share),
        sent_bytes=tuple(map(_rounded, curve.sent_bytes)),
        time_s=tuple(map(_rounded, curve.time_s)),
        source=source_of(benchmarks, "measured"),
        date=newest(benchmarks),
    )


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
