"""What the predicted step of a plan consists of, and which operations it hangs on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.errors import InputError
from shardplan.plans.evaluation import add_up
from shardplan.records.memo import by_identity
from shardplan.steps.operation import Stage
from shardplan.steps.pricing import REPLICAS, StepPricer
from shardplan.steps.step_parts import reduce_names

if TYPE_CHECKING:
    from shardplan.costs.pricing import ShardPrices
    from shardplan.plans.evaluation import Evaluation
    from shardplan.records.arrays import Floats, Ints
    from shardplan.steps.model import Prediction


_TINY = 1e-6
"""Share of the loads at which operations take no more than their fixed times."""
NOTABLE = 1e-3
"""Share of the step from which a rank that is slower than others is named."""
_ALIKE = 1e-9
"""Relative difference below which times are equal."""
KINDS = {
    "overhead_s": (Stage.OVERHEAD,),
    "input_copy_s": (Stage.INPUT_COPY,),
    "dense_layers_s": (Stage.DENSE_FORWARD, Stage.DENSE_BACKWARD, Stage.DENSE_SYNC),
    "latencies_s": (Stage.INPUT_DIST, Stage.FWD_COMMS, Stage.BWD_COMMS),
    "kernel_floors_s": (
        *(Stage.PREFETCH_COMPUTE, Stage.FWD_COMPUTE, Stage.BWD_COMPUTE),
    ),
}
"""Kinds of fixed time, and the stages that have it."""


class PathPart(NamedTuple):
    """An operation on the longest path; the pieces of one count as one.

    Attributes
    ----------
    max_s : float
        What it takes on its slowest rank [s].
    path_s : float
        What it adds to the step, on the ranks where the path passes it, as often as
        the path does [s].
    fixed_s, excess_s : float
        Of `path_s`: what it takes without any load of tables, and what lies above the
        mean of the ranks [s].
    rank : int or None
        Where the path passes it, the slowest of ranks that meet; None if all are alike.
    tables_s : float array (T,)
        Of `path_s` what each table adds [s]: all but `fixed_s`, in proportion to what
        they ask of the rank.
    """

    operation: str
    stage: str
    max_s: float
    path_s: float
    fixed_s: float
    excess_s: float
    rank: int | None
    tables_s: Floats

    def joined(self, other: PathPart) -> PathPart:
        """Add another piece; the rank is that of the longer one."""
        longer = max(self, other, key=lambda part: part.path_s)
        sums = ("max_s", "path_s", "fixed_s", "excess_s", "tables_s")
        added = {key: getattr(self, key) + getattr(other, key) for key in sums}
        return longer._replace(**added)


@dataclass(frozen=True, eq=False)
class PredictedStep:
    """The predicted step of a plan, taken apart in two ways.

    Attributes
    ----------
    step_s : float
        The value of objective `time` [s].
    fixed_s : dict of str to float
        The step without any load of tables, by kind: dense layers, overhead, and what
        collectives and kernels that are in use take at least [s].
    balanced_s, imbalance_s : float
        What the loads add if each operation has their mean on every rank, and what they
        add as they are [s]. The three add up to the step.
    path : tuple of PathPart
        What the longest path passes, in order of issue; adds up to the step, too.
    """

    step_s: float
    fixed_s: dict[str, float]
    balanced_s: float
    imbalance_s: float
    path: tuple[PathPart, ...]

    @property
    def tables_s(self) -> Floats:
        """What each table adds to the longest path (T,) [s]."""
        return np.asarray(sum(part.tables_s for part in self.path))

    @property
    def critical_rank(self) -> int | None:
        """The rank with the most time above the mean on the path; None without one."""
        excess: dict[int, float] = {}
        for part in self.path:
            if part.rank is not None:
                excess[part.rank] = excess.get(part.rank, 0.0) + part.excess_s
        rank = max(excess, key=lambda r: excess[r], default=None)
        is_notable = rank is not None and excess[rank] > NOTABLE * self.step_s
        return rank if is_notable else None


@partial(by_identity, most=2)
def predicted_step(evaluation: Evaluation) -> PredictedStep | None:
    """Take the predicted step apart; None where the inputs cannot time one."""
    try:
        return _parts(evaluation).found()
    except InputError:
        return None


def step_without(evaluation: Evaluation, table: int) -> float:
    """Return the predicted step if a table asked nothing of any rank [s]."""
    parts = _parts(evaluation)
    return parts.pricer.predict(parts.loads(without=table)).step_s


@dataclass(frozen=True, eq=False)
class _Parts:
    """Predictions of one plan under several loads."""

    evaluation: Evaluation

    @cached_property
    def pricer(self) -> StepPricer:
        """Prices in operations of the step."""
        return StepPricer(self.evaluation.measured_pricer)

    @cached_property
    def prices(self) -> ShardPrices:
        """What each shard asks of the operations, N shards."""
        return self.pricer.price(self.evaluation.arrays)

    @cached_property
    def holders(self) -> tuple[Ints, Ints]:
        """Which shard lies on which rank: two int arrays of equal length."""
        shards = self.evaluation.shards
        sizes = [len(shard.ranks) for shard in shards]
        ranks = np.fromiter(
            (rank for shard in shards for rank in shard.ranks), np.int64, sum(sizes)
        )
        return np.repeat(np.arange(len(shards)), sizes), ranks

    def loads(self, without: int | None = None) -> Floats:
        """Seconds of all shards, or of all but those of a table (W, R)."""
        found = self.evaluation
        prices = self.prices
        if without is not None:
            kept = (found.arrays.table != without)[:, None, None]
            prices = replace(prices, cost=prices.cost * kept)
        pools = found.capacity.rank_pool
        return add_up(found.shards, prices, found.cluster, pools).cost

    def found(self) -> PredictedStep:
        """Predict the step with no load, balanced loads and all loads."""
        loads = self.loads()
        fixed = self.pricer.predict(loads * _TINY)
        mean = np.broadcast_to(loads.mean(axis=0), loads.shape)
        balanced_s = self.pricer.predict(mean).step_s
        whole = self.pricer.predict(loads)
        more_s = whole.step_s - balanced_s
        return PredictedStep(
            step_s=whole.step_s,
            fixed_s=_by_kind(fixed),
            balanced_s=balanced_s - fixed.step_s,
            imbalance_s=more_s if abs(more_s) > _ALIKE * whole.step_s else 0.0,
            path=self._path(whole, fixed),
        )

    def _path(self, whole: Prediction, fixed: Prediction) -> tuple[PathPart, ...]:
        """List what the longest path passes; pieces (``.1``, ``.2``) as one."""
        found: dict[str, PathPart] = {}
        for index in np.flatnonzero((whole.passes * whole.rank_seconds).any(axis=1)):
            part = self._part(int(index), whole, fixed)
            before = found.get(part.operation)
            found[part.operation] = part if before is None else before.joined(part)
        return tuple(found.values())

    def _part(self, index: int, whole: Prediction, fixed: Prediction) -> PathPart:
        name = whole.names[index].partition(".")[0]
        seconds, passes = whole.rank_seconds[index], whole.passes[index]
        least = np.minimum(fixed.rank_seconds[index], seconds)
        rank, longest = int(passes.argmax()), float(seconds.max())
        return PathPart(
            operation=name,
            stage=whole.stages[index].value,
            max_s=longest,
            path_s=float(passes @ seconds),
            fixed_s=float(passes @ least),
            excess_s=float(passes @ (seconds - seconds.mean())),
            rank=rank if seconds.min() < longest * (1.0 - _ALIKE) else None,
            tables_s=float(passes @ (seconds - least)) * self._shares(name, rank),
        )

    def _shares(self, operation: str, rank: int) -> Floats:
        """Share of each table in the load of an operation on a rank (T,).

        Where that rank has none, as it only receives, in the load of all ranks.
        """
        column = self._column(operation)
        price = column[:, self.evaluation.cluster.rank_class[rank]]
        shard, holder = self.holders
        asked = price * np.bincount(shard[holder == rank], minlength=len(price))
        if not asked.any():
            asked = price * np.bincount(shard, minlength=len(price))
        num_tables = len(self.evaluation.usage.num_embeddings)
        tables = self.evaluation.arrays.table
        total = np.bincount(tables, asked, minlength=num_tables)
        return np.asarray(total / total.sum() if total.any() else total)

    def _column(self, operation: str) -> Floats:
        """Seconds of each shard in an operation, by class of ranks (N, C).

        An all-to-all also has what groups exchange that reduced before it, and the
        all-reduce of dense gradients those of replicated tables, if it is joined.
        """
        by_operation = np.moveaxis(self.prices.cost, 2, 0)
        cost = dict(zip(self.pricer.phases, by_operation, strict=True))
        found = cost[operation if operation in cost else REPLICAS]
        reduction = _REDUCED_BEFORE.get(operation)
        rates = self.pricer.model.rates
        for scope, name in reduce_names(reduction) if reduction else ():
            price = rates.reduce_scatter[scope]
            if scope is not Scope.ALL:
                num_bytes = cost[name] / np.where(price > 0, price, 1.0)
                found = found + num_bytes * rates.across_groups[scope]
        return np.asarray(found)


@partial(by_identity, most=2)
def _parts(evaluation: Evaluation) -> _Parts:
    """Price the shards once for all that is predicted of a plan."""
    return _Parts(evaluation)


_REDUCED_BEFORE = {
    "output_all_to_all": "reduce_scatter",
    "gradient_all_to_all": "all_gather",
}


def _by_kind(fixed: Prediction) -> dict[str, float]:
    """Add up the longest path of a step without loads by kind of time."""
    seconds = (fixed.passes * fixed.rank_seconds).sum(axis=1).tolist()
    passed = list(zip(fixed.stages, seconds, strict=True))
    return {
        kind: sum(seconds for stage, seconds in passed if stage in stages)
        for kind, stages in KINDS.items()
    }
