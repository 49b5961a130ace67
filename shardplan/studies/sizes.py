"""The sizes of one topology: the smallest that does, and why its neighbours do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from shardplan.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shardplan.records.topology import Topology
    from shardplan.studies.search import SearchLine
    from shardplan.studies.study import StudyRow

RATE = "throughput_samples_per_s"
"""The column that is asked for."""


@dataclass(frozen=True, eq=False)
class ClusterSizes:
    """What is known of the sizes of one topology.

    Attributes
    ----------
    line : SearchLine
        The host counts that were run.
    throughput : float
        The wanted rate [samples/s].
    impossible : dict of int to str
        Host counts that the topology cannot have, each with the reason.
    """

    line: SearchLine
    throughput: float
    impossible: Mapping[int, str]

    @property
    def topology(self) -> str:
        """As it was asked for."""
        return str(self.line.points[0].values["topology"])

    @property
    def smallest(self) -> StudyRow | None:
        """The fewest hosts that reach the rate; None where no number run does."""
        answer = self.line.answer
        return None if answer is None else self.line.rows[answer]

    @property
    def smaller(self) -> StudyRow | None:
        """The next smaller size, which does not; None for the smallest there is."""
        return self._beside(-1)

    @property
    def larger(self) -> StudyRow | None:
        """The next larger size; None for the largest that was asked for."""
        return self._beside(1)

    @property
    def nearest(self) -> StudyRow:
        """The size with the highest rate of those run, else the largest one."""
        rows = list(self._usable.values()) or list(self.errors)
        rated = [row for row in rows if row.values[RATE] is not None]
        return max(rated, key=lambda row: float(row.values[RATE]), default=rows[-1])

    @property
    def gain_per_host(self) -> float | None:
        """What a host more brings [samples/s]; negative where it is slower."""
        here, more = self.smallest, self.larger
        if here is None or more is None or more.values[RATE] is None:
            return None
        rate = float(more.values[RATE]) - float(here.values[RATE])
        return rate / (float(more.values["hosts"]) - float(here.values["hosts"]))

    @property
    def errors(self) -> tuple[StudyRow, ...]:
        """Sizes that cannot be, each with a message."""
        rows = self.line.rows
        return tuple(rows[i] for i in sorted(rows) if rows[i].status == "error")

    @property
    def _usable(self) -> dict[int, StudyRow]:
        rows = self.line.rows
        return {i: rows[i] for i in sorted(rows) if rows[i].status != "error"}

    def _beside(self, step: int) -> StudyRow | None:
        """Return the next size in a direction that can be."""
        answer = self.line.answer
        if answer is None:
            return None
        rows, at = self.line.rows, answer + step
        while at in rows and rows[at].status == "error":
            at += step
        return rows.get(at)

    def why_not(self, row: StudyRow) -> str:
        """Say why a size does not do, and how far that is proven."""
        values = row.values
        if row.status == "error":
            return str(values["message"])
        if row.status != "feasible":
            return _why_nothing_fits(row)
        reasons = []
        for condition in self.line.conditions:
            if condition.holds(values):
                continue
            if condition.column == RATE:
                reasons.append(self._why_too_slow(values))
            else:
                reasons.append(f"misses {condition}")
        return "; ".join(reasons)

    def _why_too_slow(self, values: Mapping[str, Any]) -> str:
        text = f"too slow, {bounded_by(values)}"
        if self.bound_excludes(values):
            bound = format_seconds(values["lower_bound_s"])
            left = format_seconds(self._step_s(values))
            text += (
                f"; the rate leaves {left} for a step, and no plan has an objective "
                f"below {bound} (proven), though a simulated step may, for it hides "
                "some of what the objective counts"
            )
        return text

    def bound_excludes(self, values: Mapping[str, Any]) -> bool:
        """Whether the proven bound on the objective is above the step wanted."""
        bound = values["lower_bound_s"]
        return bound is not None and bound > self._step_s(values)

    def _step_s(self, values: Mapping[str, Any]) -> float:
        """Return the step at which a size with a step would reach the rate [s]."""
        return float(values["step_time_s"] * values[RATE] / self.throughput)

    def to_dict(self) -> dict[str, Any]:
        """Return what is known as JSON-able data."""
        smaller, smallest = self.smaller, self.smallest
        return {
            "topology": self.topology,
            "reached": smallest is not None,
            "smallest": _values(smallest),
            "smaller": _values(smaller),
            "why_not_smaller": None if smaller is None else self.why_not(smaller),
            "bound_excludes_smaller": smaller is not None
            and smaller.status == "feasible"
            and self.bound_excludes(smaller.values),
            "larger": _values(self.larger),
            "gain_per_host": self.gain_per_host,
            "nearest": None if smallest else _values(self.nearest),
            "why_not_nearest": None if smallest else self.why_not(self.nearest),
            "num_run": len(self.line.rows),
            "num_implied": len(self.line.points) - len(self.line.rows),
            "num_errors": len(self.errors),
            "first_error": self.errors[0].values["message"] if self.errors else None,
            "num_impossible": len(self.impossible),
            "why_impossible": next(iter(self.impossible.values()), None),
            "warning": self.line.warning or None,
        }


def impossible_counts(topology: Topology, hosts_max: int) -> dict[int, str]:
    """Return the host counts from 1 that a topology cannot have, with the reasons.

    Notes
    -----
    Domains that span hosts are racks: beyond one, there are whole ones only.
    """
    found = {}
    for hosts in range(1, hosts_max + 1):
        try:
            made = topology.with_hosts(hosts)
        except ValidationError as error:
            found[hosts] = "; ".join(problem["msg"] for problem in error.errors())
            continue
        except ValueError as error:
            found[hosts] = str(error)
            continue
        for group in made.host_groups:
            domain = group.scale_up.domain_size
            if domain < group.world_size and group.world_size % domain:
                span = domain // group.local_world_size
                found[hosts] = f"more than {span} hosts are whole domains of {span}"
    return found


def bounded_by(values: Mapping[str, Any]) -> str:
    """Say how fast a size is and what takes its step."""
    parts = [f"{values[RATE]:,.0f} samples/s"]
    if values["bottleneck"]:
        parts.append(f"{values['bottleneck']} takes the most of the step")
    if values["bottleneck_link"]:
        name, busy = values["bottleneck_link"], values["link_busy"]
        parts.append(f"the busiest link, {name}, is at {100 * busy:.0f} % of its rate")
    return ": ".join(filter(None, (parts[0], ", ".join(parts[1:]))))


def _why_nothing_fits(row: StudyRow) -> str:
    """Say what is missing where there is no plan."""
    values = row.values
    found = "nothing fits (proven)" if row.status == "infeasible" else "no plan found"
    if not (values["shortfall_bytes"] or 0.0) > 0.0:  # no one memory is too small
        return f"{found}: {values['message']}"
    lacks = format_bytes(values["shortfall_bytes"])
    text = f"{found}: {values['shortfall_tier']} lacks {lacks}"
    return f"{text} for {values['shortfall_tables']}"


def _values(row: StudyRow | None) -> dict[str, Any] | None:
    return None if row is None else dict(row.values)
