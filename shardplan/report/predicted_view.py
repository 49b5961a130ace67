"""The predicted step as data and text: its parts, its longest path, the simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.report.layout import bar, bars, number, percent, table
from shardplan.report.predicted import NOTABLE, predicted_step
from shardplan.report.wrapping import shorten
from shardplan.units import format_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from shardplan.plans.evaluation import Evaluation
    from shardplan.report.predicted import PathPart, PredictedStep
    from shardplan.simulation import Simulation

_TOP = 3
"""Tables that are named for every operation, and operations in a short text."""
_SHORT = 24
"""Characters of a table's name within a text."""
_WEIGHTY = 0.01
"""Share of the step from which an operation is told to be on one path only."""
_WORDS = {
    "overhead_s": "overhead",
    "input_copy_s": "input copy",
    "dense_layers_s": "dense layers",
    "latencies_s": "latencies",
    "kernel_floors_s": "least times of kernels",
}


def prediction_data(
    evaluation: Evaluation, simulation: Simulation | None
) -> dict[str, Any] | None:
    """Take the predicted step apart; None where the inputs cannot time one.

    Parameters
    ----------
    simulation : Simulation or None
        Of the same plan with all effects, to compare with; None leaves that out.
    """
    found = predicted_step(evaluation)
    if found is None:
        return None
    names = [record.name for record in evaluation.plan.inputs.workload.tables]
    chain = None if simulation is None else _chain(simulation)
    return {
        "step_s": found.step_s,
        "fixed_s": sum(found.fixed_s.values()),
        "fixed_parts_s": dict(found.fixed_s),
        "balanced_s": found.balanced_s,
        "imbalance_s": found.imbalance_s,
        "critical_rank": found.critical_rank,
        "path": [_part_data(part, found, names, chain) for part in found.path],
        "simulated": None
        if simulation is None or chain is None
        else {
            "step_s": simulation.step_time_s,
            "critical_rank": _critical_rank(simulation),
            "path_s": chain,
        },
    }


def _part_data(
    part: PathPart,
    step: PredictedStep,
    names: list[str],
    chain: dict[str, float] | None,
) -> dict[str, Any]:
    seconds = part.tables_s
    dearest = sorted(seconds.nonzero()[0], key=lambda t: (-seconds[t], names[t]))
    return {
        "operation": part.operation,
        "stage": part.stage,
        "max_s": part.max_s,
        "path_s": part.path_s,
        "share": part.path_s / step.step_s,
        "fixed_s": part.fixed_s,
        "excess_s": part.excess_s,
        "rank": part.rank,
        "on_simulated_path": None if chain is None else part.operation in chain,
        "top_tables": [
            {"table": names[t], "path_s": float(seconds[t])} for t in dearest[:_TOP]
        ],
    }


def _chain(simulation: Simulation) -> dict[str, float]:
    """Add up what the simulated step's critical path passes, pieces as one [s]."""
    found: dict[str, float] = {}
    for link in simulation.critical.links:
        name = link.operation.partition(".")[0]
        found[name] = found.get(name, 0.0) + link.end_s - link.start_s
    return found


def _critical_rank(simulation: Simulation) -> int | None:
    """Return the rank behind the simulated step; None if all take about as long."""
    found, least_s = simulation.critical, NOTABLE * simulation.step_time_s
    mine = [link for link in found.links if link.rank == found.rank]
    return found.rank if any(link.excess_s > least_s for link in mine) else None


def prediction_facts(data: dict[str, Any] | None) -> dict[str, str]:
    """Say in two lines what the predicted step consists of, and what it hangs on."""
    if data is None:
        return {}
    return {
        "predicted step": f"{format_seconds(data['step_s'])}: "
        f"{format_seconds(data['fixed_s'])} fixed, {format_seconds(data['balanced_s'])}"
        f" tables in balance, {format_seconds(data['imbalance_s'])} imbalance",
        "critical": ", ".join(map(_named_part, longest(data)[:_TOP])),
    }


def longest(data: dict[str, Any]) -> list[dict[str, Any]]:
    """List the operations of the path that tables lengthen, the longest first."""
    loaded = [part for part in data["path"] if part["path_s"] > part["fixed_s"]]
    return sorted(loaded, key=lambda part: (-part["path_s"], part["operation"]))


def _named_part(part: dict[str, Any]) -> str:
    rank = part["rank"]
    where = "" if rank is None else f" on rank {rank}"
    return f"{part['operation']}{where} ({percent(part['share'])})"


def part_rows(data: dict[str, Any]) -> list[tuple[str, float]]:
    """List the parts that add up to the predicted step [s]."""
    fixed = [
        (f"fixed: {_WORDS[kind]}", seconds)
        for kind, seconds in data["fixed_parts_s"].items()
        if seconds > 0
    ]
    return [
        *fixed,
        ("work of tables, in balance", data["balanced_s"]),
        ("imbalance of ranks", data["imbalance_s"]),
    ]


def parts_table(data: dict[str, Any]) -> RenderableType:
    """Lay out the parts that add up to the predicted step."""
    total = data["step_s"]
    rows = [
        (
            text,
            format_seconds(seconds),
            percent(seconds / total if total else 0.0),
            bar(max(seconds, 0.0), total),
        )
        for text, seconds in [*part_rows(data), ("predicted step", total)]
    ]
    return table(("part", number("time"), number("share"), bars()), rows)


def path_rows(data: dict[str, Any], length: int) -> Iterable[tuple[str, ...]]:
    """List the longest path as text, names of tables cut to a length."""
    for part in data["path"]:
        rank = part["rank"]
        yield (
            part["operation"],
            "all" if rank is None else str(rank),
            format_seconds(part["path_s"]),
            format_seconds(part["fixed_s"]),
            percent(part["share"]),
            ", ".join(
                f"{shorten(top['table'], length)} {format_seconds(top['path_s'])}"
                for top in part["top_tables"]
            ),
        )


PATH_HEADINGS = (
    *("operation", "rank", "its time", "of it fixed"),
    *("of the step", "dearest tables there"),
)


def path_table(data: dict[str, Any]) -> RenderableType:
    """Lay out the longest path."""
    first, *numbers, last = PATH_HEADINGS
    return table((first, *map(number, numbers), last), path_rows(data, _SHORT))


def path_sentences(data: dict[str, Any]) -> list[str]:
    """Say which rank holds the path up, and how the simulation sees it."""
    found = []
    rank = data["critical_rank"]
    if rank is None:
        found.append("On this path no rank takes notably longer than others.")
    else:
        mine = [part for part in data["path"] if part["rank"] == rank]
        mine.sort(key=lambda part: -part["excess_s"])
        shown = ", ".join(
            f"{part['operation']} (+{format_seconds(part['excess_s'])})"
            for part in mine[:_TOP]
        )
        found.append(
            f"On this path rank {rank} takes longest beyond the mean of the ranks: "
            f"{shown}."
        )
    return [*found, *simulation_sentences(data)]


def simulation_sentences(data: dict[str, Any] | None) -> list[str]:
    """Say whether the simulated step hangs on the same operations and the same rank."""
    if data is None or data["simulated"] is None:
        return []
    simulated = data["simulated"]
    step = f"The simulated step takes {format_seconds(simulated['step_s'])}"
    here = {part["operation"]: part["share"] for part in data["path"]}
    there = {n: s / simulated["step_s"] for n, s in simulated["path_s"].items()}
    gone = [name for name in here if name not in there and here[name] > _WEIGHTY]
    come = [name for name in there if name not in here and there[name] > _WEIGHTY]
    if not gone and not come:
        same = "hangs on the same operations as the predicted one"
        found = [f"{step} and {same}."]
    else:
        ways = [f"passes {', '.join(come)}"] if come else []
        ways += [f"does not wait for {', '.join(gone)}"] if gone else []
        found = [
            f"{step}: there communication slows computing and streams share links, so "
            f"that its critical path {' and '.join(ways)}."
        ]
    ranks = data["critical_rank"], simulated["critical_rank"]
    if ranks[0] != ranks[1] and ranks[1] is not None:
        found.append(f"It names rank {ranks[1]} as the critical one.")
    return found
