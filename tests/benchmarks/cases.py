"""The grid: which problems, for how long, and what must be reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shardplan.records.sharding import Objective, Target
from tests.benchmarks.families import Family, family_problem, shipped_problem

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem

STEP, MAX_RANK, TIME = Objective.STEP, Objective.MAX_RANK, Objective.TIME
ANY, HUGECTR = Target.ANY, Target.HUGECTR


@dataclass(frozen=True)
class Goal:
    """What `auto` must reach: a certified gap after so long.

    Attributes
    ----------
    at_s : float
        After this long [s].
    gap : float
        Median over the seeds; infinite if any plan will do.
    worst : float
        Largest over the seeds.
    memory_gib : float
        Most memory [GiB].
    """

    at_s: float
    gap: float
    worst: float = float("inf")
    memory_gib: float = float("inf")


@dataclass(frozen=True)
class Case:
    """One cell of the grid: a kind of problem, over several seeds.

    Attributes
    ----------
    source : Family or (workload, topology, hosts, target)
    limit_s : float
        Time limit of `auto` [s].
    seeds : int
        How many problems are drawn; a shipped one is solved once.
    exact : bool
        Run `ilp` too.
    is_quick : bool
        Part of ``--quick``.
    """

    source: Family | tuple[str, str, int | None, Target]
    num_tables: int
    num_ranks: int
    objective: Objective
    limit_s: float
    seeds: int = 3
    goal: Goal | None = None
    exact: bool = False
    is_quick: bool = False

    @property
    def name(self) -> str:
        """Of the problem, and the objective last."""
        size = f"{self.num_tables}x{self.num_ranks}"
        if isinstance(self.source, Family):
            return f"{self.source} {size} {self.objective}"
        workload, topology, _, target = self.source
        wanted = "" if target is ANY else f" {target}"
        return f"{workload} {topology} {size}{wanted} {self.objective}"

    def problem(self, seed: int) -> Problem:
        """Draw or load the problem."""
        if isinstance(self.source, Family):
            return family_problem(
                self.source, seed, self.num_tables, self.num_ranks, self.objective
            )
        return shipped_problem(*self.source, self.objective)


def _grid() -> list[Case]:
    f, quick = Family, {"is_quick": True}
    small = {"exact": True}
    must = [
        Case(f.HBM, 200, 16, MAX_RANK, 3, goal=Goal(3, 1e-3, 2e-3), **quick),
        Case(f.HBM, 856, 32, MAX_RANK, 3, goal=Goal(3, 1e-3, 2e-3)),
        Case(f.HBM, 856, 128, MAX_RANK, 10, goal=Goal(10, 1e-3, 2e-3)),
        Case(f.HBM, 2000, 512, MAX_RANK, 20, goal=Goal(20, 8e-3), seeds=2),
        Case(f.HBM, 10_000, 512, MAX_RANK, 60, goal=Goal(60, 3e-3), seeds=1),
        Case(
            f.HBM, 10_000, 4096, MAX_RANK, 60, goal=Goal(60, 0.015, 1.0, 1.0), seeds=1
        ),
        Case(f.DDR, 200, 32, MAX_RANK, 10, goal=Goal(10, 3e-3)),
        Case(f.DDR, 856, 128, MAX_RANK, 10, goal=Goal(10, 3e-3)),
        Case(f.DDR, 10_000, 128, MAX_RANK, 60, goal=Goal(60, 7e-3), seeds=1),
        Case(f.DDR, 10_000, 4096, MAX_RANK, 60, goal=Goal(60, 0.04), seeds=1),
        Case(f.HBM, 200, 16, STEP, 10, goal=Goal(10, 0.01)),
        Case(f.HBM, 856, 128, STEP, 10, goal=Goal(10, 0.02)),
        Case(f.HBM, 10_000, 4096, STEP, 60, goal=Goal(60, 0.03), seeds=1),
        Case(f.HBM, 26, 8, MAX_RANK, 60, seeds=2, goal=Goal(60, 0.015), **small),
        Case(f.HBM, 26, 16, MAX_RANK, 60, seeds=2, goal=Goal(60, 0.03), **small),
        Case(f.HBM, 16, 4, MAX_RANK, 10, goal=Goal(10, 1e-8), **small, **quick),
        Case(f.TIGHT, 100, 8, STEP, 5, goal=Goal(5, float("inf")), **quick),
        Case(f.TIGHT, 856, 32, STEP, 5, goal=Goal(5, float("inf"))),
        Case(f.TIGHT, 2000, 128, STEP, 5, goal=Goal(5, float("inf"))),
    ]
    others = [
        Case(f.HBM, 10_000, 128, MAX_RANK, 10, 1),
        Case(f.HBM, 26, 8, STEP, 10, 2, **small),
        Case(f.TIGHT, 200, 16, MAX_RANK, 10, 2),
        Case(f.DDR, 200, 32, STEP, 10, 2, **quick),
        Case(f.DDR, 856, 128, STEP, 10, 1),
        Case(f.SSD, 200, 32, STEP, 10, 2, **quick),
        Case(f.SSD, 856, 128, STEP, 10, 1),
        Case(f.SSD, 856, 128, MAX_RANK, 10, 1),
        Case(f.GIANT, 200, 16, STEP, 10, 2, **quick),
        Case(f.GIANT, 856, 128, STEP, 10, 1),
        Case(f.HOT_SMALL, 200, 16, STEP, 10, 2, **quick),
        Case(f.HOT_SMALL, 856, 128, STEP, 10, 1),
        Case(f.EQUAL, 100, 16, STEP, 10, 2, **quick),
        Case(f.EQUAL, 1000, 128, STEP, 10, 1),
    ]
    timed = [
        Case(f.HBM, 26, 8, TIME, 60, 2, Goal(60, 0.02)),
        Case(f.HBM, 200, 16, TIME, 10, goal=Goal(10, 0.006)),
        Case(f.HBM, 856, 128, TIME, 10, goal=Goal(10, 0.015)),
        Case(f.HBM, 10_000, 4096, TIME, 60, 1, Goal(60, 0.04, 1.0, 1.0)),
        Case(f.SSD, 200, 32, TIME, 10, goal=Goal(10, 0.15)),
        Case(f.SSD, 856, 128, TIME, 10, goal=Goal(10, 0.15)),
        Case(f.HOT_SMALL, 200, 16, TIME, 10, 2),
    ]
    return [*must, *others, *timed, *_shipped()]


def _shipped() -> list[Case]:
    few = [
        Case(
            ("dlrm-dcnv2", topology, hosts, HUGECTR), 26, ranks, objective, 10, 1, goal
        )
        for topology, hosts, ranks in (
            *(("dgx-h100", 2**n, 8 * 2**n) for n in (1, 2, 3, 4)),
            ("gb200-nvl72", 16, 64),
        )
        for objective, goal in ((STEP, None), (TIME, Goal(10, 0.02)))
    ]
    gb200 = ("dlrm-dcnv2", "gb200-nvl72", 16, ANY)
    colossal = ("merlin-colossal", "zionex", 16, ANY)
    timed = [
        *few,
        Case(gb200, 26, 64, TIME, 60, 1, Goal(60, 0.06)),
        Case(colossal, 2002, 128, TIME, 20, 1, Goal(20, 0.1)),
        Case(("dlrm-dcnv2", "dgx-h100", 1, ANY), 26, 8, TIME, 10, 1, is_quick=True),
        Case(("dlrm-dcnv2", "dgx-h100", 8, ANY), 26, 64, STEP, 10, 1),
        Case(("dlrm-dcnv2", "dgx-h100", 8, ANY), 26, 64, TIME, 10, 1),
        Case(("criteo-tb", "dgx-a100-40", 2, ANY), 26, 16, TIME, 10, 1),
        Case(("hugectr-200", "dgx-h100", 2, ANY), 200, 16, TIME, 10, 1),
        Case(("neo-i", "zionex", 16, ANY), 512, 128, TIME, 10, 1),
    ]
    return [
        *timed,
        Case(("dlrm-dcnv2", "dgx-h100", 1, ANY), 26, 8, STEP, 10, 1, is_quick=True),
        Case(("criteo-tb", "dgx-a100-40", 2, ANY), 26, 16, STEP, 10, 1),
        Case(("hugectr-200", "dgx-h100", 2, ANY), 200, 16, STEP, 10, 1),
        Case(("merlin-colossal", "dgx-a100-80", 16, ANY), 2002, 128, STEP, 10, 1),
        Case(("neo-i", "zionex", 16, ANY), 512, 128, STEP, 10, 1),
        Case(("neo-a", "zionex", 16, ANY), 4096, 128, STEP, 10, 1),
    ]


GRID = _grid()
