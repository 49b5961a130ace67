"""The predicted step near some plans, quick to evaluate for many plans at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.step_columns import StepColumns
from shardplan.problems.weighted import operation_of, step_pricer

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.steps.model import Prediction


_TINY = 1e-6
"""Share of a load at which an operation takes no more than its fixed time."""
_LESS = 0.7
"""Share of a load down to which the slope of a collective is taken."""
_UNUSED = 0.1
"""What a plan does not use is probed at this share of its largest load."""
_NOTHING = 1e-15
"""Loads below this are what rounding left of none [s]."""
_PATHS = 40
"""Paths that are kept: the last ones seen."""


class StepCurves:
    """Estimates the step from the fullest ranks and links: the longest path seen.

    Operations are as long as their curves say: a fixed time if in use, and a slope.

    Parameters
    ----------
    problem : Problem
        Under `time`.
    cost : float array (W, R)
        Loads of a plan to begin with.

    Attributes
    ----------
    columns : StepColumns
        What the operations depend on.
    exact_s : float
        The predicted step of the plan that was last looked at [s].
    """

    def __init__(self, problem: Problem, cost: Floats) -> None:
        self._pricer = step_pricer(problem)
        self.columns = StepColumns(problem)
        self._names, self._chained = self.columns.names, self.columns.chained
        number = len(self._names)
        self._is_kernel = np.arange(number) >= self.columns.num_sent
        self._fixed_s, self._slope = np.zeros(number), np.ones(number)
        self._counts, self._rest_s = np.zeros((0, number)), np.zeros(0)
        self.exact_s = np.inf
        every = np.where(cost.max(axis=0) > 0, cost, _UNUSED * cost.max())
        # Replicas may join the dense all-reduce, which takes time without any.
        self._idle_s = self._seconds(self._pricer.predict(0.0 * cost))
        tiny = self._pricer.predict(_TINY * every)
        self._least_s = self._seconds(tiny) - self._idle_s
        self._bend(every, np.ones(number, dtype=bool))
        self.renew(cost)

    def step_s(self, fullest: Floats) -> Floats:
        """Estimate the steps of N plans (N,) from their fullest groups (N, K) [s]."""
        seconds = self._estimate(self.columns.amounts(fullest))
        paths = seconds @ self._counts.T + self._rest_s
        return np.asarray(np.maximum.reduce(paths, axis=1))

    def slopes(self, fullest: Floats) -> Floats:
        """Return by how much a plan's step grows with its fullest groups (K,)."""
        seconds = self._estimate(self.columns.amounts(fullest))
        paths = self._counts @ seconds + self._rest_s
        slope = self._counts[paths.argmax()] * self._slope
        return self.columns.slopes(fullest, slope)

    def sent(self) -> Ints:
        """Columns of collectives, each of which takes a fixed time if in use."""
        return self.columns.of_collectives()

    def renew(self, cost: Floats) -> None:
        """Take curves and path of a plan with loads (W, R)."""
        found = self._bend(cost, self._amounts(cost) > 0)
        self._keep_path(found, cost)

    def look_at(self, cost: Floats) -> None:
        """Predict a plan exactly; its path joins the others where they miss it."""
        found = self._pricer.predict(cost)
        estimate = self.step_s(self.columns.fullest(cost)[None])
        if found.step_s > estimate[0] * (1.0 + _WORTH):
            self._keep_path(found, cost)
        self.exact_s = found.step_s

    def _bend(self, cost: Floats, which: Bools) -> Prediction:
        """Take fixed times and slopes of some operations at loads (W, R)."""
        here, less = (self._pricer.predict(share * cost) for share in (1.0, _LESS))
        load = self._amounts(cost)
        seconds = self._seconds(here) - self._idle_s
        rise = np.maximum(self._seconds(here) - self._seconds(less), 0.0)
        some = which & (load > 0)
        sent = some & ~self._is_kernel
        self._slope[sent] = rise[sent] / ((1.0 - _LESS) * load[sent])
        self._fixed_s[sent] = seconds[sent] - self._slope[sent] * load[sent]
        kernels = some & self._is_kernel
        self._fixed_s[kernels] = self._least_s[kernels]
        longer = kernels & (seconds > self._least_s)
        self._slope[longer] = seconds[longer] / load[longer]
        self._slope[-1] = self._slope[self._chained].max(initial=0.0)
        return here

    def _keep_path(self, found: Prediction, cost: Floats) -> None:
        """Add the longest path of a plan; what it passes else is as in this plan."""
        shares = found.criticality
        counts = np.array(
            [shares.get(operation_of(name, found.names), 0.0) for name in self._names]
        )
        both = counts[self._chained]
        if len(both) > 1 and both.min() > 0.0 and np.ptp(both) == 0.0:
            counts[self._chained], counts[-1] = 0.0, both[0]
        load = self._amounts(cost)
        rest_s = found.step_s - float(counts @ self._estimate(load))
        others = ~np.isclose(self._counts, counts).all(axis=1)
        self._counts = np.vstack([self._counts[others][-_PATHS:], counts])
        self._rest_s = np.append(self._rest_s[others][-_PATHS:], rest_s)
        self.exact_s = found.step_s

    def _amounts(self, cost: Floats) -> Floats:
        """Return what operations depend on (A,) for loads (W, R)."""
        return self.columns.amounts(self.columns.fullest(cost))

    def _estimate(self, load: Floats) -> Floats:
        """Return what operations take for their amounts (..., A) [s]."""
        number, fixed_s = self.columns.num_sent, self._fixed_s
        seconds = self._slope * load
        seconds[..., :number] += fixed_s[:number]
        kernels = seconds[..., number:]
        np.maximum(kernels, fixed_s[number:], out=kernels)
        seconds *= load > _NOTHING
        return np.asarray(seconds)

    def _seconds(self, found: Prediction) -> Floats:
        names = [operation_of(name, found.names) for name in self._names[:-1]]
        seconds = np.array([found.seconds_of(name) for name in names])
        return np.append(seconds, 0.0)


_WORTH = 1e-4
"""Share by which paths must miss a step for its own one to join them."""
