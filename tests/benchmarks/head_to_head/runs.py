"""Run one case: shardplan and every variant of TorchRec, each in its own process."""

from __future__ import annotations

import json
import math
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.benchmarks.head_to_head.cases import CASES, RESERVE
from tests.benchmarks.head_to_head.steps import plan_for_step

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]
OURS = {"shardplan": "max-rank", "shardplan step": "step"}
TIMED = "shardplan time"
"""Our plan for the step by our own cost model, which TorchRec does not rate."""
DEFAULT = "default"
VARIANTS = (
    DEFAULT,
    "default, sorted by perf",
    "grid",
    "greedy by perf",
    "greedy by sum",
    "uniform",
    "memory balanced",
    "dynamic programming",
    "dynamic programming by perf",
)
BATCHES = (
    (DEFAULT,),
    ("default, sorted by perf", "memory balanced"),
    ("dynamic programming", "dynamic programming by perf"),
    ("grid", "uniform"),
    ("greedy by perf", "greedy by sum"),
)
"""What runs at the same time; the default, whose time counts, runs alone."""
PARTS = {
    DEFAULT: ("grid", "uniform"),
    "default, sorted by perf": ("greedy by perf", "greedy by sum"),
}
"""Proposers that a default runs one after the other: no better, unless it is cut."""
WHEN_LARGE = (DEFAULT, "uniform", "dynamic programming by perf")
LARGE, VERY_LARGE = 3200, 8000
"""Tables times ranks from which only these variants, or only the default, are run."""
GRACE_S = 30.0
"""What a variant gets beyond its limit: it is looked at between proposals only."""
TOO_LONG = "did not stop"

Found = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """Seconds for each variant of TorchRec, for shardplan, and for a longer default.

    Attributes
    ----------
    long_cases : tuple of str
        Cases where TorchRec's default may take `long_s`.
    """

    theirs_s: float
    ours_s: float
    long_s: float
    long_cases: tuple[str, ...]

    def of(self, case: str, variant: str) -> float:
        """Limit of one run [s]."""
        if variant == DEFAULT and case in self.long_cases:
            return self.long_s
        return self.theirs_s


def run_case(case: str, limits: Limits) -> dict[str, Found]:
    """Run everything on one case; shardplan and TorchRec's default run alone."""
    results: dict[str, Found] = {}
    with tempfile.TemporaryDirectory() as folder:
        for variant in OURS:
            results[variant] = _ours_apart(case, variant, limits.ours_s, Path(folder))
        results[TIMED] = _ours_apart(case, TIMED, limits.ours_s, Path(folder))
        results |= _theirs_apart(case, limits, Path(folder))
    return results


def _ours_apart(case: str, variant: str, limit_s: float, folder: Path) -> Found:
    done = _python("ours", case, variant, str(limit_s), str(folder))
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["?"])[-1][:80]}
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def _theirs_apart(case: str, limits: Limits, folder: Path) -> dict[str, Found]:
    """Run all variants of TorchRec, and rate our plans, with TorchRec loaded once."""
    seconds = {variant: limits.of(case, variant) for variant in VARIANTS}
    done = _python("theirs", case, json.dumps(seconds), str(folder))
    found = [json.loads(x) for x in done.stdout.splitlines() if x.startswith("[")]
    if not found:
        sys.stderr.write(done.stderr[-2000:])
    return dict(found)


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.benchmarks.head_to_head.runs", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        check=False,
    )


class History:
    """Notes when each better plan was found."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.found: list[tuple[float, float]] = []

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        """Keep seconds since the start and the objective [ms], if there is a plan."""
        if objective_s < float("inf"):
            elapsed = time.perf_counter() - self._start
            self.found.append((elapsed, objective_s * 1e3))


def plan_ours(case: str, variant: str, limit_s: float, folder: Path) -> Found:
    """Plan with shardplan, in a process without torch."""
    from shardplan.errors import InfeasibleError, LimitError
    from shardplan.planning.planner import solve
    from shardplan.records.torchrec_cost_model import TorchRecCostModel
    from tests.benchmarks.frozen import frozen_cost_model

    work, topology = CASES[case]()
    model = frozen_cost_model("torchrec")
    assert isinstance(model, TorchRecCostModel)
    memory = model.memory.replace(counts_optimizer=False)
    before, history, start = peak_mib(), History(), time.perf_counter()
    found: Found = {"tables": len(work.tables)}
    try:
        result = solve(
            work,
            topology,
            model.replace(memory=memory),
            target="torchrec",
            objective=OURS[variant],
            time_limit_s=limit_s,
            observer=history,
        )
    except (InfeasibleError, LimitError) as error:
        return {**found, "time_s": time.perf_counter() - start, "error": str(error)}
    found |= {"time_s": time.perf_counter() - start, "history": history.found}
    found |= {"peak_mib": peak_mib(), "own_mib": peak_mib() - before}
    result.plan.save(folder / f"{variant}.json")
    return {**found, "gap": result.gap, "status": result.status}


def plan_theirs(case: str, seconds: dict[str, float], folder: Path) -> None:
    """Rate our plans and plan with every variant of TorchRec; print JSON lines."""
    from shardplan.integrations.torchrec import build_model, rate
    from shardplan.plans.plan import Plan

    work, topology = CASES[case]()
    model = build_model(work)
    for variant in OURS:
        path = folder / f"{variant}.json"
        if path.exists():
            rating = rate(Plan.load(path), model=model, reserve_fraction=RESERVE)
            _print(f"{variant} rated", rated(rating))
    wanted = variants_of(len(work.tables) * topology.world_size)
    ended: set[str] = set()
    for batch in BATCHES:
        chosen = [v for v in batch if v in wanted and not _is_part(v, ended)]
        runs = {
            v: partial(plan_one, work, topology, model, v, seconds[v]) for v in chosen
        }
        forks = {v: Fork.start(run, seconds[v]) for v, run in runs.items()}
        for variant, fork in forks.items():
            found = fork.answer()
            if found.get("time_s", math.inf) < seconds[variant]:
                ended.add(variant)
            _print(variant, found)


def _is_part(variant: str, ended: set[str]) -> bool:
    """Whether a default that ended has run these proposers already."""
    return any(variant in PARTS.get(whole, ()) for whole in ended)


def variants_of(size: int) -> tuple[str, ...]:
    """Return the variants that are run on so many tables times ranks."""
    if size >= VERY_LARGE:
        return (DEFAULT,)
    return WHEN_LARGE if size >= LARGE else VARIANTS


def _print(name: str, found: Found) -> None:
    sys.stdout.write(json.dumps([name, found]) + "\n")
    sys.stdout.flush()


def rated(rating: Any) -> Found:
    """Give the numbers of a rating."""
    return {
        "rating_ms": rating.rating_s * 1e3,
        "path_ms": rating.critical_path_s * 1e3,
        "fits": rating.fits,
    }


class Fork(NamedTuple):
    """A child process that runs a variant, and is ended when it takes too long."""

    pid: int
    reader: int
    deadline: float
    limit_s: float

    @classmethod
    def start(cls, run: Callable[[], Found], limit_s: float) -> Fork:
        """Begin to run; the answer comes through a pipe."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                answer = json.dumps(run())
            except BaseException as error:  # the parent reports it
                answer = json.dumps({"error": f"{type(error).__name__}: {error}"[:200]})
            os.write(writer, answer.encode())
            os._exit(0)
        os.close(writer)
        return cls(child, reader, time.monotonic() + limit_s + GRACE_S, limit_s)

    def answer(self) -> Found:
        """Wait for what was found."""
        left = max(0.0, self.deadline - time.monotonic())
        ready, _, _ = select.select([self.reader], [], [], left)
        if not ready:
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        with os.fdopen(self.reader, "rb") as pipe:
            text = pipe.read()
        if not text:
            return {"error": TOO_LONG, "time_s": self.limit_s + GRACE_S}
        found: Found = json.loads(text)
        return found


def plan_one(
    work: Any, topology: Any, model: Any, variant: str, limit_s: float
) -> Found:
    """Plan with one variant and rate what it finds."""
    from torchrec.distributed.planner import EmbeddingShardingPlanner
    from torchrec.distributed.planner.storage_reservations import (
        FixedPercentageStorageReservation,
    )
    from torchrec.distributed.planner.types import PlannerError

    from shardplan.integrations.torchrec.build import build_constraints, build_topology
    from shardplan.integrations.torchrec.rating import rate_options
    from shardplan.integrations.torchrec.tables import default_sharders

    given = build_topology(topology)
    chosen, partitioner = proposers(variant)
    world = topology.world_size
    planner = EmbeddingShardingPlanner(
        topology=given,
        batch_size=work.batch_over(world) // world,
        constraints=build_constraints(work),
        storage_reservation=FixedPercentageStorageReservation(RESERVE),
        proposer=chosen,
        partitioner=partitioner,
        stats=[],
        timeout_seconds=int(limit_s),
    )
    before, start = peak_mib(), time.perf_counter()
    try:
        planner.plan(model, default_sharders())
    except PlannerError as error:
        return {"time_s": time.perf_counter() - start, "error": error.error_type.value}
    found = {"time_s": time.perf_counter() - start}
    found |= {"peak_mib": peak_mib(), "own_mib": peak_mib() - before}
    return found | rated(rate_options(planner._best_plan, given, RESERVE))


def proposers(variant: str) -> tuple[list[Any] | None, Any]:
    """Proposers and partitioner of a variant; None is TorchRec's default."""
    from torchrec.distributed.planner import partitioners, proposers

    def by_perf() -> Any:
        sort = partitioners.SortBy.PERF
        return partitioners.GreedyPerfPartitioner(sort_by=sort)

    greedy, dynamic = proposers.GreedyProposer, proposers.DynamicProgrammingProposer
    made: dict[str, Callable[[], tuple[list[Any] | None, Any]]] = {
        DEFAULT: lambda: (None, None),
        "default, sorted by perf": lambda: (None, by_perf()),
        "grid": lambda: ([proposers.GridSearchProposer()], None),
        "greedy by perf": lambda: ([greedy()], by_perf()),
        "greedy by sum": lambda: ([greedy(use_depth=False)], by_perf()),
        "uniform": lambda: ([proposers.UniformProposer()], None),
        "memory balanced": lambda: (
            [greedy()],
            partitioners.MemoryBalancedPartitioner(),
        ),
        "dynamic programming": lambda: ([dynamic()], None),
        "dynamic programming by perf": lambda: ([dynamic()], by_perf()),
    }
    return made[variant]()


def peak_mib() -> float:
    """Largest resident memory of this process so far [MiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments: list[str]) -> None:
    """Be one of the processes."""
    warnings.simplefilter("ignore")
    if arguments[0] == "ours":
        case, variant, limit, folder = arguments[1:]
        if variant == TIMED:
            ruler = Path(folder) / "shardplan.json"
            found = plan_for_step(case, float(limit), ruler)
        else:
            found = plan_ours(case, variant, float(limit), Path(folder))
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        case, seconds, folder = arguments[1:]
        plan_theirs(case, json.loads(seconds), Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
