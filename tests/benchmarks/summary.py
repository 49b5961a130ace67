"""Results as lines, tables, CSV and a plot."""

from __future__ import annotations

import csv
import os
import platform
from importlib.metadata import version
from math import inf, isfinite, isnan, nan
from statistics import median
from typing import TYPE_CHECKING, Any

from shardplan.records.sharding import Objective
from shardplan.version import VERSION
from tests.benchmarks.families import Family

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.cases import Case, Goal

    Result = dict[str, Any]
    Results = list[tuple[Case, Result]]

TIMES_S = (1.0, 10.0, 60.0)
EXPERTS = ("size", "dim", "lookup", "size-lookup")
_RIVALS = ("ldm", "ilp", *EXPERTS, "neuroshard")
_SAME = 1e-9
_OPTIMAL = 1e-8
_KEYS = ("case", "family", "tables", "ranks", "objective", "options", "build_s", "seed")
_VALUES = ("solver", "status", "limit_s", "value_s", "bound_s", "gap", "gap_1s")
_MORE = ("gap_10s", "gap_60s", "to_greedy", "step_s", "solve_s", "cpu_s", "proof_s")
_LAST = ("memory_gib", "error")


def runs(result: Result) -> dict[str, Any]:
    """Runs of one problem by solver."""
    return {run["solver"]: run for run in result["runs"]}


def gap(result: Result, at_s: float = inf, solver: str = "auto") -> float:
    """Gap of a solver's best plan by a time, against the bound of `auto`'s run.

    Infinite without a plan, not a number without a bound.
    """
    bound = runs(result)["auto"]["bound_s"]
    progress = runs(result)[solver]["progress"]
    value = min((v for t, v in progress if t <= at_s), default=inf)
    return value / bound - 1.0 if bound > 0 else nan


def to_greedy(result: Result, solver: str) -> float | None:
    """Value of a solver's plan over greedy's; infinite if only greedy has one."""
    found = runs(result)
    if solver not in found or found["greedy"]["value_s"] is None:
        return None
    value = found[solver]["value_s"]
    return inf if value is None else float(value / found["greedy"]["value_s"])


def beaten_by(result: Result) -> list[str]:
    """Solvers whose plan is better than that of `auto`."""
    found = runs(result)
    own = found["auto"]["value_s"] or inf
    return [
        name
        for name, run in found.items()
        if run["value_s"] is not None and run["value_s"] < own * (1.0 - _SAME)
    ]


def line(case: Case, result: Result) -> str:
    """One line per problem: the gap of `auto`, and all values over greedy's."""
    ratios = (f"{n} {_ratio(to_greedy(result, n))}" for n in ("auto", *_RIVALS))
    own = runs(result)["auto"]
    bad = [r for r in result["runs"] if r["error"]]
    errors = "".join(f"; {r['solver']}: {r['error']}" for r in bad)
    return (
        f"{case.name}, seed {result['seed']}: gap {_percent(gap(result))} after "
        f"{own['solve_s']:.1f} s, {own['memory_gib']:.2f} GiB; to greedy: "
        f"{', '.join(ratios)}{errors}"
    )


def text(results: Results) -> str:
    """Return all tables as Markdown."""
    parts = (
        ("Targets", _goals(results)),
        ("Objective `time`", _timed(results)),
        ("Gap of auto by time", _gaps(results)),
        ("Against other planners", _ratios(results)),
    )
    return "\n\n".join(f"## {title}\n\n{body}" for title, body in parts)


def write(results: Results, folder: Path) -> None:
    """Write ``solver.csv``, ``solver.md`` and ``solver.svg``."""
    from tests.benchmarks.plot import draw

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "solver.csv").open("w", newline="") as file:
        rows = csv.DictWriter(
            file, (*_KEYS, *_VALUES, *_MORE, *_LAST), lineterminator="\n"
        )
        rows.writeheader()
        for case, result in results:
            rows.writerows(_rows(case, result))
    draw(results, folder / "solver.svg")
    page = _PAGE.format(machine=_machine(results), tables=text(results))
    (folder / "solver.md").write_text(page, encoding="utf-8")


def grouped(results: Results) -> dict[Case, list[Result]]:
    """Results of each case."""
    groups: dict[Case, list[Result]] = {}
    for case, result in results:
        groups.setdefault(case, []).append(result)
    return groups


def _rows(case: Case, result: Result) -> list[dict[str, Any]]:
    common = {
        "case": case.name,
        "family": case.name.split()[0],
        "tables": case.num_tables,
        "ranks": case.num_ranks,
        "objective": str(case.objective),
        "options": result["options"],
        "build_s": f"{result['build_s']:.2f}",
        "seed": result["seed"],
    }
    rows = []
    for name, run in runs(result).items():
        gaps = {
            f"gap_{t:.0f}s": _figure(gap(result, t, name))
            for t in TIMES_S
            if t <= run["limit_s"]
        }
        rows.append(
            {
                **common,
                **gaps,
                "solver": name,
                "status": run["status"],
                "limit_s": f"{run['limit_s']:g}",
                "value_s": _figure(run["value_s"]),
                "bound_s": _figure(run["bound_s"] or None),
                "gap": _figure(gap(result, inf, name)),
                "to_greedy": _figure(to_greedy(result, name)),
                "step_s": _figure(run["step_s"]),
                "solve_s": f"{run['solve_s']:.3f}",
                "cpu_s": f"{run['cpu_s']:.3f}",
                "proof_s": f"{run['proof_s']:.3f}",
                "memory_gib": f"{run['memory_gib']:.3f}",
                "error": run["error"],
            }
        )
    return rows


def _goals(results: Results) -> str:
    """Target and what was reached, side by side."""
    rows = []
    for case, some in grouped(results).items():
        if case.goal is None:
            continue
        goal, gaps = case.goal, [_reached(case, case.goal, r) for r in some]
        memory = max(runs(r)["auto"]["memory_gib"] for r in some)
        met = (
            median(gaps) <= goal.gap
            and max(gaps) <= goal.worst
            and all(isfinite(g) for g in gaps)
            and memory <= goal.memory_gib
        )
        seconds = max(runs(r)["auto"]["solve_s"] for r in some)
        share = median(_cpu_share(runs(r)["auto"]) for r in some)
        cells = (
            case.name,
            f"{goal.at_s:g} s",
            _wanted(case),
            _percent(median(gaps)),
            _percent(max(gaps)),
            f"{seconds:.1f} s",
            f"{100 * share:.0f} %",
            f"{memory:.1f} GiB",
            str(len(some)),
            "yes" if met else "**no**",
        )
        rows.append(cells)
    head = "case|limit|target|median gap|worst gap|time|cpu|memory|problems|met"
    return _table(head, rows) + "\n\n" + _speed(results) + "\n\n" + _phases(results)


def _cpu_share(run: dict[str, Any]) -> float:
    """Share of its time that a solver had a core; less than 1 on a busy machine."""
    return float(run["cpu_s"] / max(run["solve_s"], 1e-9))


def _reached(case: Case, goal: Goal, result: Result) -> float:
    """Gap of `auto` in time; where optimality is wanted, 0 if `ilp` proved it.

    What comes at the very end of a run counts; how long it took is beside it.
    """
    exact = runs(result).get("ilp")
    if goal.gap <= _OPTIMAL and exact and exact["status"] == "optimal":
        return 0.0
    return gap(result, inf if goal.at_s >= case.limit_s else goal.at_s)


def _wanted(case: Case) -> str:
    assert case.goal is not None
    if not isfinite(case.goal.gap):
        return "a plan"
    if case.goal.gap <= _OPTIMAL:
        return "optimal (`auto` or `ilp`)"
    worst = f", worst {_percent(case.goal.worst)}" if case.goal.worst < 0.01 else ""
    memory = f", {case.goal.memory_gib:g} GiB" if case.goal.memory_gib < inf else ""
    return f"{_percent(case.goal.gap)}{worst}{memory}"


def _speed(results: Results) -> str:
    """How long greedy takes on the largest problems, against its targets."""
    rows = []
    for (tables, ranks), target in {(10_000, 128): 1.0, (10_000, 4096): 5.0}.items():
        for case, some in grouped(results).items():
            is_hbm = case.source == Family.HBM
            if not is_hbm or (case.num_tables, case.num_ranks) != (tables, ranks):
                continue
            seconds = median(_first(r, "greedy") for r in some)
            met = "yes" if seconds < target else "**no**"
            rows.append((case.name, f"{target:g} s", _seconds(seconds), met))
    return _table("first plan of greedy|target|reached|met", rows)


def _phases(results: Results) -> str:
    """How much worse plans for `max-rank` are under `step`, on the same problems."""
    step = {
        (c.source, c.num_tables, c.num_ranks, r["seed"]): runs(r)["auto"]
        for c, r in results
        if c.objective is Objective.STEP
    }
    ratios: dict[str, list[float]] = {}
    for case, result in results:
        key = (case.source, case.num_tables, case.num_ranks, result["seed"])
        other = runs(result)["auto"]["other_s"]
        if case.objective is not Objective.MAX_RANK or other is None:
            continue
        if key in step and step[key]["value_s"]:
            name = case.name.rsplit(" ", 1)[0]
            ratios.setdefault(name, []).append(other / step[key]["value_s"] - 1.0)
    rows = [
        (name, f"{median(v):+.1%}", f"{min(v):+.1%}", str(len(v)))
        for name, v in ratios.items()
    ]
    return _table(
        "`step` value of plans made for `max-rank`|median|least|problems", rows
    )


def _timed(results: Results) -> str:
    """Plans for `time` beside those for `step`, on the same problems."""
    own: dict[tuple[object, ...], dict[Objective, dict[str, Any]]] = {}
    for case, result in results:
        key = (case.source, case.num_tables, case.num_ranks, result["seed"])
        own.setdefault(key, {})[case.objective] = runs(result)["auto"]
    rows = []
    for case, some in grouped(results).items():
        if case.objective is not Objective.TIME:
            continue
        pairs = [
            own[case.source, case.num_tables, case.num_ranks, r["seed"]] for r in some
        ]
        timed = [pair[Objective.TIME] for pair in pairs]
        others = [pair.get(Objective.STEP, {}).get("step_s") for pair in pairs]
        ratios = [
            run["step_s"] / other
            for run, other in zip(timed, others, strict=True)
            if run["step_s"] and other
        ]
        cells = (
            case.name.rsplit(" ", 1)[0],
            _percent(median(gap(result) for result in some)),
            _milliseconds([run["value_s"] for run in timed]),
            _milliseconds([run["step_s"] for run in timed]),
            f"{median(ratios):.3f}" if ratios else "-",
            str(len(some)),
        )
        rows.append(cells)
    head = "case|gap|value|simulated step|over that of the plan for `step`|problems"
    return "Medians, of plans of `auto`.\n\n" + _table(head, rows)


def _milliseconds(seconds: list[float | None]) -> str:
    known = [value for value in seconds if value is not None]
    return f"{1e3 * median(known):.3f} ms" if known else "-"


def _gaps(results: Results) -> str:
    """Gap over time, time and memory of `auto`."""
    rows = []
    for case, some in grouped(results).items():
        gaps = [
            _percent(median(gap(r, t) for r in some))
            if t <= case.limit_s or t == TIMES_S[0]
            else ""
            for t in TIMES_S
        ]
        own = [runs(r)["auto"] for r in some]
        cells = (
            case.name,
            f"{median(r['options'] for r in some):,.0f}",
            f"{median(r['build_s'] for r in some):.1f} s",
            _seconds(median(_first(r, "auto") for r in some)),
            *gaps,
            _percent(median(gap(r) for r in some)),
            f"{median(r['solve_s'] for r in own):.1f} s",
            f"{median(r['proof_s'] for r in own):.1f} s",
            f"{max(r['memory_gib'] for r in own):.1f} GiB",
        )
        rows.append(cells)
    return _table(
        "case|options|menu|first plan|gap at 1 s|at 10 s|at 60 s|at the end|solve"
        "|proof|memory",
        rows,
    )


def _ratios(results: Results) -> str:
    """Values over greedy's, and where `auto` is beaten."""
    rows = []
    for case, some in grouped(results).items():
        cells = [case.name]
        for name in ("auto", *_RIVALS):
            found = [to_greedy(r, name) for r in some]
            known = [ratio for ratio in found if ratio is not None]
            cells.append(_ratio(median(known) if known else None))
        beaten = sorted({name for r in some for name in beaten_by(r)})
        rows.append((*cells, ", ".join(beaten) or "-"))
    lost = sum(bool(beaten_by(result)) for _, result in results)
    return (
        "Values over those of `greedy` on the same problem, medians: below 1 is\n"
        "better. Empty if not run, or if greedy has no plan; 'no plan' if the solver\n"
        "has none. Another planner beat `auto` on "
        f"{lost} of {len(results)} problems.\n\n"
        + _table(f"case|auto|{'|'.join(_RIVALS)}|better than auto", rows)
    )


def _table(head: str, rows: list[tuple[str, ...]]) -> str:
    names = head.split("|")
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _first(result: Result, solver: str) -> float:
    """When a solver had its first plan [s]; infinite for never."""
    progress = runs(result)[solver]["progress"]
    return float(progress[0][0]) if progress else inf


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if isfinite(value) else "no plan"


def _percent(value: float) -> str:
    if isnan(value):
        return "no bound"
    if not isfinite(value):
        return "no plan"
    return f"{100 * value:.3f} %" if value < 0.01 else f"{100 * value:.2f} %"


def _ratio(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isfinite(value) else "no plan"


def _figure(value: float | None) -> str:
    return f"{value:.9g}" if value is not None and isfinite(value) else ""


def _machine(results: Results) -> str:
    versions = ", ".join(f"{n} {version(n)}" for n in ("numpy", "scipy", "highspy"))
    load = median(result["system_load"] for _, result in results)
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), Python "
        f"{platform.python_version()}, {versions}, shardplan\n{VERSION}; median load "
        f"average {load:.1f}, the benchmark included"
    )


_PAGE = """# Benchmark of the solvers

Written by `make bench-solver`; how it works is on
[its page](../development/benchmarking.md), every run is in [solver.csv](solver.csv).
Values are medians over the problems of a case, drawn from seeds that nothing was
tuned on. Gaps are against the bound that the run of `auto` certified. The time to build
the menu comes on top of the time limit, and so does that to prove the bound, but under
`time`, where the limit is divided between both as `solve` does it; "cpu" is the share
of its time that `auto` had a core for itself, the rest went to other programs.

Machine: {machine}.

![Gap of auto over time](solver.svg)

{tables}
"""
