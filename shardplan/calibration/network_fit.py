"""A network model from benchmarks, and what the fit owes its reader."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shardplan.calibration.operations import BenchSetting, errors_of, fit_operation
from shardplan.calibration.sources import coefficient
from shardplan.errors import Fault, InputError
from shardplan.io.catalog import load_network
from shardplan.io.validate import validate
from shardplan.records.network import LinkModel, NetworkModel
from shardplan.units import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.calibration.nccl_tests import Benchmark
    from shardplan.calibration.operations import Error, FittedOperation

_DOMAIN = {
    "all_to_all": "all_to_all",
    "all_gather": "reduce",
    "reduce_scatter": "reduce",
    "all_reduce": "all_reduce",
}
_HOSTS = _DOMAIN | {"all_reduce": "reduce"}
"""Which operation of a network a collective belongs to."""
_MOST_OF_LINE = 1.25
"""What a rank may send of its line rate; more is a wrong rate."""
INSIDE = "nvlink4"
"""The network inside hosts where none is named."""
_NEEDED = ("all_to_all", "reduce")


@dataclass(frozen=True)
class Calibration:
    """A network that was fitted.

    Attributes
    ----------
    like : NetworkModel or None
        The parent, which has what was kept.
    operations : dict of str to FittedOperation
        What was measured.
    errors : dict of str to list of Error
        Of the whole network, by operation.
    """

    network: NetworkModel
    like: NetworkModel | None
    setting: BenchSetting
    benchmarks: tuple[Benchmark, ...]
    operations: dict[str, FittedOperation]
    errors: dict[str, list[Error]]


def fit_network(
    name: str,
    benchmarks: Sequence[Benchmark],
    like: NetworkModel | None = None,
    line_bw: float | None = None,
    inside: NetworkModel | None = None,
) -> Calibration:
    """Fit a network to benchmarks.

    Parameters
    ----------
    benchmarks : sequence of Benchmark
        All of single hosts (or domains), which gives curves by ranks, or all of
        several hosts.
    like : NetworkModel, optional
        Gives what was not measured, and what measurements do not tell.
    line_bw : float, optional
        Of one rank and direction; without it that of the curves of `like` [bytes/s].
    inside : NetworkModel, optional
        The network inside hosts, ``nvlink4`` by default.

    Raises
    ------
    InputError
        If both kinds are mixed, the line rate is unknown, or something is left open
        that nothing gives.
    """
    in_domain = _is_domain(benchmarks)
    rate = line_bw or _rate(like, in_domain=in_domain)
    if rate is None:
        rule = "is needed: the line rate of one rank and one direction"
        raise InputError.single("--line-bw", "", None, rule)
    _require_rate(benchmarks, rate)
    measured: dict[str, list[Benchmark]] = defaultdict(list)
    for one in benchmarks:
        measured[(_DOMAIN if in_domain else _HOSTS)[one.collective]].append(one)
    missing = [operation for operation in _NEEDED if operation not in measured]
    if missing and like is None:
        rule = f"is needed: the network to keep {' and '.join(missing)} from, which"
        raise InputError.single("--like", "", None, f"{rule} no file measured")
    setting = BenchSetting(rate, inside or load_network(INSIDE))
    found = _fitted(measured, like, setting)
    network = _network(name, found, like)
    errors = {
        operation: errors_of(network, own, setting)
        for operation, own in measured.items()
    }
    return Calibration(network, like, setting, tuple(benchmarks), found, errors)


def _is_domain(benchmarks: Sequence[Benchmark]) -> bool:
    """Tell whether all are of single hosts; refuse both kinds at once."""
    inside = [one.where for one in benchmarks if one.num_hosts == 1]
    between = [one.where for one in benchmarks if one.num_hosts > 1]
    if inside and between:
        rule = (
            f"{between[0]} is of several hosts, and this of one: what is inside hosts "
            "and what is between them are two networks, fitted one by one"
        )
        raise InputError.single(inside[0], "", None, rule)
    return bool(inside)


def _rate(like: NetworkModel | None, *, in_domain: bool) -> float | None:
    if like is None or not in_domain:
        return None
    return next((curve.line_bw for curve in like.all_to_all.curves), None)


def _require_rate(benchmarks: Sequence[Benchmark], rate: float) -> None:
    """Refuse a line rate that cannot be that of what was measured."""
    for one in benchmarks:
        most = max(
            size / time
            for size, time in zip(one.message_bytes, one.time_s, strict=True)
        )
        # What has to leave a rank at least: a host may send for all of its ranks, and
        # switches that add up need each byte once.
        inside = one.ranks_per_host if one.num_hosts > 1 else 1
        share = 1.0
        if one.collective != "all_reduce":
            share -= inside / one.num_ranks
        if one.collective != "all_to_all":
            share /= inside
        if share * most > _MOST_OF_LINE * rate:
            shown = f"{share * most:.3g} bytes/s in {one.where}"
            rule = f"is slower than what a rank sends: {shown}; bytes or bits?"
            raise InputError.single("--line-bw", "", f"{rate:g}", rule)


def _fitted(
    measured: dict[str, list[Benchmark]],
    like: NetworkModel | None,
    setting: BenchSetting,
) -> dict[str, FittedOperation]:
    found, problems = {}, []
    for operation, own in measured.items():
        parent = None if like is None else getattr(like, operation)
        try:
            found[operation] = fit_operation(operation, own, setting, parent, _DRAFT)
        except ValueError as error:
            files = ", ".join(dict.fromkeys(one.where for one in own))
            advice = "" if parent else ", or name with --like a network that has it"
            problems.append(Fault(files, operation, "", f"{error}{advice}"))
    if problems:
        raise InputError(problems)
    return found


def _network(
    name: str, found: dict[str, FittedOperation], like: NetworkModel | None
) -> NetworkModel:
    """Put what was fitted in the place of what the parent has."""
    links: dict[str, LinkModel | None] = {op: one.link for op, one in found.items()}
    for operation in ("all_to_all", "reduce", "all_reduce"):
        if operation not in links and like is not None:
            links[operation] = getattr(like, operation)
    rest = f"; the rest is that of {like.name}" if like else ""
    data = {
        "schema_version": 1,
        "name": name,
        "description": f"Fitted to {plural(len(found), 'operation')}{rest}",
        "latency_growth": None if like is None else like.latency_growth,
        **links,
    }
    return validate(NetworkModel, data, "network fit")


_ANY = LinkModel(
    **{name: coefficient(name, 1.0, "trial") for name in ("bw_efficiency", "exponent")},
    latency_s=coefficient("latency_s", 1e-6, "trial"),
)
_DRAFT = NetworkModel(schema_version=1, name="trial", all_to_all=_ANY, reduce=_ANY)
"""A network whose operations are replaced one by one."""
