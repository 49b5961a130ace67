"""Columns that follow from a row and from the user's own prices and failures.

They are no part of a point's key: they are worked out whenever a table is made. What
is not given stays empty, and `why_empty` says what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.costs import economics
from shardplan.errors import InputError
from shardplan.io.catalog import split_hosts
from shardplan.io.settings import changed, parse_path
from shardplan.studies.fields import read_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from shardplan.records.study import HostPrice
    from shardplan.studies.point import StudyPoint
    from shardplan.studies.spec import StudySpec

_MISSING = {
    "hosts": "the number of hosts is not known",
    "step_time_s": "there is no step to price",
    "throughput_samples_per_s": "there is no step to price",
    "checkpoint_bytes": "there are no tables to save",
}
"""Why results that these columns rest on are empty."""
_KINDS = {"cost": "per_host_hour", "watts": "watts_per_host"}
"""Quantity of the cluster to the field of a price that gives it per host."""


class _EmptyError(Exception):
    """Something that a column needs is not given; the text says what."""


def derive(
    spec: StudySpec, point: StudyPoint, values: Mapping[str, Any]
) -> dict[str, float | None]:
    """Return the derived columns of a row; None where something is not given.

    Parameters
    ----------
    spec : StudySpec
        With prices and failures.
    point : StudyPoint
    values : mapping
        Its results by column.
    """
    row = _Row(spec, point, values)
    found: dict[str, float | None] = {}
    for name, formula in _FORMULAS.items():
        try:
            found[name] = float(formula(row))
        except _EmptyError:
            found[name] = None
    return found


def why_empty(
    spec: StudySpec, point: StudyPoint, values: Mapping[str, Any]
) -> dict[str, str]:
    """Return the derived columns that stay empty, each with what is missing."""
    row = _Row(spec, point, values)
    reasons: dict[str, str] = {}
    for name, formula in _FORMULAS.items():
        try:
            formula(row)
        except _EmptyError as error:
            reasons[name] = str(error)
    return reasons


class _Row:
    """What formulas read of a row; each attribute raises where it is not given."""

    def __init__(
        self, spec: StudySpec, point: StudyPoint, values: Mapping[str, Any]
    ) -> None:
        self._spec, self._point, self._values = spec, point, values

    def result(self, name: str) -> float:
        """Return a column of the results."""
        value = self._values.get(name)
        if value is None:
            raise _EmptyError(_MISSING[name])
        return float(value)

    def of_cluster(self, kind: str) -> float:
        """Return the price of an hour [currency], or the power [W], of all hosts."""
        return self.result("hosts") * self._per_host(_KINDS[kind])

    def _per_host(self, field: str) -> float:
        name, price = self._price()
        fixed = None if price is None else getattr(price, field)
        if price is None or fixed is None:
            raise _EmptyError(f'[prices."{name}"] has no {field}')
        more: Mapping[str, float] = getattr(price, f"{field}_per")
        numbers = {key: _number(self._spec, self._point, key) for key in more}
        return float(fixed) + sum(more[key] * numbers[key] for key in more)

    def _price(self) -> tuple[str, HostPrice | None]:
        """Return the price of the topology, by the name that the study has for it."""
        base = self._point.base
        written, _ = split_hosts(base.topology)
        own = self._spec.sources.topologies[base.topology].name
        prices = self._spec.file.prices
        names = [name for name in (base.topology, written, own) if name in prices]
        return (names[0], prices[names[0]]) if names else (written, None)

    @property
    def mtbf_s(self) -> float:
        """Mean time between failures of the cluster [s]."""
        host_s = self._failures("mtbf_hours_per_host") * economics.S_PER_HOUR
        return float(economics.cluster_mtbf(host_s, self.result("hosts")))

    @property
    def checkpoint_s(self) -> float:
        """Time of a checkpoint [s]."""
        bandwidth = self._failures("checkpoint_bw")
        saved = self.result("checkpoint_bytes")
        return float(economics.checkpoint_time(saved, bandwidth))

    @property
    def interval_s(self) -> float:
        """Training between checkpoints [s]."""
        return float(economics.daly_interval(self.checkpoint_s, self.mtbf_s))

    @property
    def goodput(self) -> float:
        """Share of the time that trains."""
        return float(
            economics.goodput(
                *(self.interval_s, self.checkpoint_s, self.mtbf_s),
                self._failures("restart_s"),
            )
        )

    def _failures(self, field: str) -> float:
        failures = self._spec.file.failures
        if failures is None:
            raise _EmptyError("[failures] is not given")
        return float(getattr(failures, field))


def _number(spec: StudySpec, point: StudyPoint, key: str) -> float:
    """Return the number that a point has at a key, in base units."""
    steps = parse_path(key)
    scales = any(s.scales and s.steps == steps for s in point.settings)
    try:
        if key in point.values and not scales:
            return read_number(key, point.values[key])
        found = set(_at(_inputs(spec, point, str(steps[0])), steps[1:]))
    except (InputError, ValueError) as error:
        raise _EmptyError(f"{key}: {error}") from error
    if len(found) != 1:
        raise _EmptyError(f"{key} is not one number")
    return found.pop()


def _inputs(spec: StudySpec, point: StudyPoint, root: str) -> object:
    """Return the input that a path begins with, changed as the point has it."""
    base, sources = point.base, spec.sources
    if root == "topology":
        return changed(sources.topology_of(base), root, point.settings)
    if root == "workload":
        return changed(sources.workloads[base.workload], root, point.settings)
    if root == "cost_model":
        name = sources.cost_model_name(base, point.settings)
        return (
            None
            if name is None
            else changed(sources.cost_models[name], root, point.settings)
        )
    return None


def _at(place: object, steps: tuple[int | str, ...]) -> Iterator[float]:
    """Yield the numbers at the end of a path."""
    if not steps:
        if isinstance(place, (int, float)) and not isinstance(place, bool):
            yield place
    elif not isinstance(place, tuple):
        yield from _at(getattr(place, str(steps[0]), None), steps[1:])
    else:
        for number, entry in enumerate(place):
            if steps[0] in ("*", number, getattr(entry, "name", None)):
                yield from _at(entry, steps[1:])


def _per_step(row: _Row, kind: str) -> float:
    """Return the cost [currency], or the energy [kWh], of a step."""
    formula = economics.cost_per_step if kind == "cost" else economics.kwh_per_step
    return float(formula(row.of_cluster(kind), row.result("step_time_s")))


def _per_samples(row: _Row, kind: str) -> float:
    """Return the same of 10^9 samples."""
    per_step = _per_step(row, kind)
    samples = row.result("throughput_samples_per_s") * row.result("step_time_s")
    return float(economics.per_1e9_samples(per_step, samples))


def _per_kept_samples(row: _Row, kind: str) -> float:
    """Return the same of 10^9 samples that no failure takes back."""
    if row.goodput == 0.0:
        raise _EmptyError("goodput is 0: failures leave no time to train")
    return _per_samples(row, kind) / row.goodput


_FORMULAS: dict[str, Callable[[_Row], float]] = {
    "cost_per_hour": lambda row: row.of_cluster("cost"),
    "cost_per_step": lambda row: _per_step(row, "cost"),
    "cost_per_1e9_samples": lambda row: _per_samples(row, "cost"),
    "cost_per_1e9_goodput_samples": lambda row: _per_kept_samples(row, "cost"),
    "watts": lambda row: row.of_cluster("watts"),
    "kwh_per_step": lambda row: _per_step(row, "watts"),
    "kwh_per_1e9_samples": lambda row: _per_samples(row, "watts"),
    "kwh_per_1e9_goodput_samples": lambda row: _per_kept_samples(row, "watts"),
    "checkpoint_s": lambda row: row.checkpoint_s,
    "checkpoint_interval_s": lambda row: row.interval_s,
    "goodput": lambda row: row.goodput,
    "goodput_samples_per_s": lambda row: (
        row.result("throughput_samples_per_s") * row.goodput
    ),
}
"""Every derived column. One without `goodput` in its name knows of no failures."""
