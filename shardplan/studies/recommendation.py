"""Which cluster trains a workload at a wanted rate: a search over host counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError
from shardplan.io.catalog import load_topology, split_hosts
from shardplan.io.settings import changed
from shardplan.io.wording import suggest
from shardplan.records.brief import Brief
from shardplan.studies.runner import run
from shardplan.studies.search import lines_from
from shardplan.studies.sizes import RATE, ClusterSizes, impossible_counts
from shardplan.studies.spec import StudySpec
from shardplan.units import plural

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from shardplan.io.settings import Setting
    from shardplan.planning.interrupts import Interrupts
    from shardplan.studies.session import RunObserver
    from shardplan.studies.study import Study

MOST_HOSTS = 4096
"""Host counts that are searched."""
_WHERE = "recommend"


@dataclass(frozen=True, eq=False, repr=False)
class Recommendation(Brief):
    """The answer of `recommend`.

    Attributes
    ----------
    study : Study
        All sizes that were run or implied.
    throughput : float
        The wanted rate [samples/s].
    sort : str
        What decides between topologies: ``world_size`` or ``cost_per_hour``.
    sizes : tuple of ClusterSizes
        For each topology; those that reach the rate first, best first.
    """

    study: Study
    throughput: float
    sort: str
    sizes: tuple[ClusterSizes, ...]

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        best = self.best
        found = "none reaches it"
        if best is not None:
            assert best.smallest is not None
            hosts = best.smallest.values["hosts"]
            found = f"{best.topology}: {plural(hosts, 'host')}"
        return {
            "wanted": f"{self.throughput:,.0f} samples/s",
            "recommended": found,
        }

    @property
    def best(self) -> ClusterSizes | None:
        """The topology to take; None where none reaches the rate."""
        return self._reaching[0] if self._reaching else None

    @property
    def runner_up(self) -> ClusterSizes | None:
        """The next one."""
        return self._reaching[1] if len(self._reaching) > 1 else None

    @property
    def refusal(self) -> str:
        """Say that no topology reaches the rate, and what comes nearest."""
        nearest = self.sizes[0]
        row = nearest.nearest
        hosts = plural(row.values["hosts"], "host")
        return (
            f"no size that was searched meets {', '.join(self._conditions)}; nearest: "
            f"{nearest.topology} with {hosts}: {nearest.why_not(row)}"
        )

    @property
    def _conditions(self) -> list[str]:
        return [str(condition) for condition in self.sizes[0].line.conditions]

    @property
    def _reaching(self) -> list[ClusterSizes]:
        return [sizes for sizes in self.sizes if sizes.smallest is not None]

    @cached_property
    def global_batch_size(self) -> int | None:
        """Samples of a step at every size; None where it grows with the ranks."""
        spec = self.study.spec
        point = self.study.rows[0].point
        workload = spec.sources.workloads[point.base.workload]
        return changed(workload, "workload", point.settings).global_batch_size

    def to_frame(self) -> pd.DataFrame:
        """One row per topology, best first, units in ``attrs["units"]``."""
        import pandas as pd

        rows = [_summary(sizes) for sizes in self.sizes]
        frame = pd.DataFrame(rows, columns=list(_UNITS))
        frame.attrs["units"] = dict(_UNITS)
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON-able data."""
        base = self.study.spec.file.base
        best, second = self.best, self.runner_up
        return {
            "workload": base.workload,
            "solver": base.solver,
            "wanted_samples_per_s": self.throughput,
            "global_batch_size": self.global_batch_size,
            "conditions": self._conditions,
            "sort": self.sort,
            "recommended": None if best is None else best.topology,
            "runner_up": None if second is None else second.topology,
            "topologies": [sizes.to_dict() for sizes in self.sizes],
        }


def recommend(
    workload: str | os.PathLike[str],
    topologies: Sequence[str | os.PathLike[str]],
    throughput: float,
    *,
    hosts_max: int = 64,
    cost_model: str | os.PathLike[str] | None = None,
    settings: Sequence[Setting] = (),
    solver: str = "greedy",
    work_limit: int | None = None,
    hbm_fill: float | None = None,
    prices: Mapping[str, float] | None = None,
    cheapest: bool = False,
    directory: str | os.PathLike[str] | None = None,
    workers: int = 1,
    observer: RunObserver | None = None,
    interrupts: Interrupts | None = None,
) -> Recommendation:
    """Find the smallest, or cheapest, cluster that trains at a wanted rate.

    Parameters
    ----------
    workload : shipped name or path
        Its global batch stays the same at every size, unless it has one per rank.
    topologies : sequence of shipped names or paths
    throughput : float
        The wanted rate, of simulated steps [samples/s].
    hosts_max : int
        Host counts from 1 to this are searched.
    cost_model : shipped name or path, optional
        By default those that the topologies name.
    settings : sequence of Setting
        Changes of the inputs.
    solver : str
    work_limit : int, optional
        For solver ``auto``, which needs one.
    hbm_fill : float, optional
        The most of the HBM of any rank that may be used, a share.
    prices : mapping of str to float, optional
        By topology what a host costs for an hour [currency/h].
    cheapest : bool
        Choose between topologies by the price of an hour, not by ranks.
    directory : path, optional
        Where results are kept, as by `run`; the next call there goes on.
    workers : int
        Processes of this machine.
    observer : RunObserver, optional
    interrupts : Interrupts, optional

    Returns
    -------
    Recommendation
        Of each topology the fewest hosts that reach the rate, and its neighbours.

    Raises
    ------
    InputError
        For wrong files or arguments.

    Notes
    -----
    It is a study with a search along ``hosts``: what that assumes and notices is in
    docs/how-it-works/studies.md.
    """
    names = [str(name) for name in topologies]
    prices = dict(prices or {})
    _refuse(
        (
            *_wrong_numbers(throughput, hosts_max, hbm_fill),
            *_wrong_names(names, prices, cheapest=cheapest),
            *(fault for setting in settings for fault in _wrong_setting(setting)),
        )
    )
    impossible = _impossible(names, hosts_max)
    conditions = [f"{RATE} >= {throughput:.15g}"]
    conditions += [] if hbm_fill is None else [f"hbm_fill <= {hbm_fill:.15g}"]
    base = {"workload": str(workload), "topology": names[0], "solver": solver}
    base |= {} if cost_model is None else {"cost_model": str(cost_model)}
    data = {
        "schema_version": 1,
        "name": _WHERE,
        "base": {**base, "work_limit": work_limit},
        "axes": {
            "topology": names,
            "hosts": {"linear": [1, hosts_max], "step": 1},
            **{setting.path: _axis(setting) for setting in settings},
        },
        "exclude": _excluded(impossible),
        "search": {"minimise": "hosts", "subject_to": conditions},
        "prices": {name: {"per_host_hour": price} for name, price in prices.items()},
    }
    study = run(
        StudySpec.of(data, where=_WHERE),
        directory,
        workers=workers,
        observer=observer,
        interrupts=interrupts,
    )
    sort = "cost_per_hour" if cheapest else "world_size"
    lines = {
        str(line.points[0].values["topology"]): line
        for line in lines_from(study.spec, study.rows)
    }
    sizes = [ClusterSizes(lines[name], throughput, impossible[name]) for name in names]
    sizes.sort(key=lambda found: _rank(found, sort))
    return Recommendation(study, throughput, sort, tuple(sizes))


def _impossible(names: Sequence[str], hosts_max: int) -> dict[str, dict[int, str]]:
    """Return for each topology the host counts that it cannot have.

    Raises
    ------
    InputError
        If it can have none, or a file is wrong.
    """
    found = {name: impossible_counts(load_topology(name), hosts_max) for name in names}
    _refuse(
        Fault(_WHERE, "topology", repr(name), f"has no size to search: {reasons[1]}")
        for name, reasons in found.items()
        if len(reasons) == hosts_max
    )
    return found


def _excluded(impossible: Mapping[str, Mapping[int, str]]) -> list[dict[str, object]]:
    """Return what leaves impossible sizes out of a study."""
    return [
        {"topology": name, "hosts": list(found)}
        for name, found in impossible.items()
        if found
    ]


def _refuse(faults: Iterable[Fault]) -> None:
    """Raise `InputError` if there are faults."""
    found = list(faults)
    if found:
        raise InputError(found)


def _rank(sizes: ClusterSizes, sort: str) -> tuple[float, ...]:
    """Return what sorts topologies: those that reach the rate, then the fastest."""
    row = sizes.smallest
    if row is not None:
        return (0.0, row.values[sort], row.values["world_size"], row.values["hosts"])
    return (1.0, -(sizes.nearest.values[RATE] or 0.0))


def _axis(setting: Setting) -> object:
    """Return an axis of one value, as a study file has it."""
    return {"scale": [setting.value]} if setting.scales else [setting.value]


def _wrong_numbers(
    throughput: float, hosts_max: int, hbm_fill: float | None
) -> Iterator[Fault]:
    if not 0 < throughput < math.inf:
        rule = "must be a number of samples per second above 0"
        yield Fault(_WHERE, "throughput", repr(throughput), rule)
    if not 1 <= hosts_max <= MOST_HOSTS:
        rule = f"must be a whole number from 1 to {MOST_HOSTS}"
        yield Fault(_WHERE, "hosts_max", repr(hosts_max), rule)
    if hbm_fill is not None and not 0 < hbm_fill <= 1:
        rule = "must be a share above 0, at most 1"
        yield Fault(_WHERE, "hbm_fill", repr(hbm_fill), rule)


def _wrong_names(
    names: list[str], prices: Mapping[str, float], *, cheapest: bool
) -> Iterator[Fault]:
    if not names:
        yield Fault(_WHERE, "topologies", "", "needs at least one")
    for name in dict.fromkeys(names):
        _, hosts = split_hosts(name)
        if names.count(name) > 1:
            yield Fault(_WHERE, "topology", repr(name), "is given twice")
        if hosts is not None:
            rule = "host counts are searched: leave the number after ':' out"
            yield Fault(_WHERE, "topology", repr(name), rule)
        if cheapest and name not in prices:
            rule = f"the cheapest cannot be told without a price for {name}"
            yield Fault(_WHERE, "prices", "", rule)
    for name, price in prices.items():
        if name not in names:
            known = suggest(name, names) or f"; given: {', '.join(names)}"
            yield Fault(
                _WHERE, "prices", repr(name), f"is none of the topologies{known}"
            )
        if not 0 <= price < math.inf:
            rule = f"the price of {name} must be a number of at least 0"
            yield Fault(_WHERE, "prices", repr(price), rule)


def _wrong_setting(setting: Setting) -> Iterator[Fault]:
    if setting.adds:
        rule = "cannot add to a list here: give the whole list with '='"
        yield Fault(_WHERE, setting.path, "", rule)
    if setting.steps[-1] == "num_hosts":
        rule = "host counts are searched: use hosts_max for the most"
        yield Fault(_WHERE, setting.path, "", rule)


_UNITS = {
    "topology": "",
    "hosts": "hosts",
    "world_size": "ranks",
    "throughput_samples_per_s": "samples/s",
    "step_time_s": "s",
    "bottleneck": "",
    "cost_per_hour": "currency/h",
    "cost_per_1e9_samples": "currency",
    "smaller_hosts": "hosts",
    "why_not_smaller": "",
    "gain_per_host": "samples/s/host",
    "warning": "",
}
"""Columns of the frame; the ones of results are those of the smallest size."""


def _summary(sizes: ClusterSizes) -> dict[str, Any]:
    """Return a topology's row of the frame; empty where it does not reach the rate."""
    row, smaller = sizes.smallest, sizes.smaller
    found = {} if row is None else {k: v for k, v in row.values.items() if k in _UNITS}
    return {
        **found,
        "topology": sizes.topology,
        "smaller_hosts": None if smaller is None else smaller.values["hosts"],
        "why_not_smaller": None if smaller is None else sizes.why_not(smaller),
        "gain_per_host": sizes.gain_per_host,
        "warning": sizes.line.warning or None,
    }
