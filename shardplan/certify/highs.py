"""The one way to HiGHS: quiet, on one thread, every status looked at.

HiGHS keeps one scheduler per thread that calls it, made by the first run; a later run
that asks for another number of threads ends in an error. So every run here makes its
own scheduler and leaves none behind: neither does a caller's own highspy disturb these
runs, nor do these runs disturb the caller's.

`highspy.Highs` logs a banner to standard output when it is made (1.16), before anyone
can turn that off. The binding below it, `highspy._Highs`, does not.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import highspy
import numpy as np
from highspy import HighsBasisStatus, HighsLogType, HighsVarType, _Highs

from shardplan.certify.tolerances import RELATIVE_ROUNDOFF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike
    from scipy.sparse import csr_array

    from shardplan.records.arrays import Floats, Ints

    Improved = Callable[[float, float], None]

_Callback = highspy.cb.HighsCallbackType
_heard: ContextVar[list[str] | None] = ContextVar("failures of HiGHS", default=None)


class End(StrEnum):
    """How a run ended."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


_ENDS = {
    "kOptimal": End.OPTIMAL,
    "kInfeasible": End.INFEASIBLE,
    # No objective here is unbounded.
    "kUnboundedOrInfeasible": End.INFEASIBLE,
    "kTimeLimit": End.TIME_LIMIT,
    "kInterrupt": End.INTERRUPTED,
}
"""By name of HiGHS's model status; all others are failures."""


@contextmanager
def failures() -> Iterator[list[str]]:
    """Within the block, collect what `tell` is told: failures, each text once."""
    heard: list[str] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


def tell(text: str) -> None:
    """Tell the user of a failure that ends nothing: of HiGHS, or of another process.

    Outside a block of `failures` it is a `RuntimeWarning`.
    """
    heard = _heard.get()
    if heard is None:
        warnings.warn(text, RuntimeWarning, stacklevel=3)
    elif text not in heard:
        heard.append(text)


class Highs:
    """A linear or integer program that is minimised: N columns, M rows.

    Parameters
    ----------
    purpose : str
        What it is for, as a message about a failure calls it.
    cost, lower, upper : float arrays (N,)
        Of the columns.
    integer : bool array (N,), optional
        Columns that must be whole numbers.
    **options
        HiGHS's own, by HiGHS's names.

    Notes
    -----
    A call that HiGHS refuses makes every later run fail, so it is enough to look at
    what `run` returns.
    """

    def __init__(
        self,
        purpose: str,
        cost: ArrayLike,
        lower: ArrayLike,
        upper: ArrayLike,
        *,
        integer: ArrayLike | None = None,
        **options: float | str,
    ) -> None:
        self._purpose = purpose
        self._is_integer = integer is not None
        self._ear = _Ear()
        self._failure = ""
        self._raw = _Highs()
        # Output that goes nowhere but to the callback: there HiGHS explains itself.
        own = {"log_to_console": False, "output_flag": True, "threads": 1}
        for name, value in own.items():
            self._try("setOptionValue", name, value)
        self._raw.setCallback(self._ear.hear, None)
        self._raw.startCallback(_Callback.kCallbackLogging)
        for name, given in options.items():
            self._try("setOptionValue", name, given)
        self._add_columns(cost, lower, upper, integer)

    def _add_columns(
        self,
        cost: ArrayLike,
        lower: ArrayLike,
        upper: ArrayLike,
        integer: ArrayLike | None,
    ) -> None:
        program = highspy.HighsLp()
        program.col_cost_ = np.asarray(cost, dtype=np.float64)
        program.num_col_ = size = len(program.col_cost_)
        program.col_lower_ = np.broadcast_to(np.asarray(lower, np.float64), size)
        program.col_upper_ = np.broadcast_to(np.asarray(upper, np.float64), size)
        program.a_matrix_.start_ = np.zeros(size + 1, dtype=np.int32)
        if integer is not None:
            program.integrality_ = [
                HighsVarType.kInteger if is_whole else HighsVarType.kContinuous
                for is_whole in np.broadcast_to(np.asarray(integer, bool), size)
            ]
        self._try("passModel", program)

    def add_row(
        self, lower: float, upper: float, index: ArrayLike, value: ArrayLike
    ) -> None:
        """Add a row with some columns."""
        columns = np.asarray(index, dtype=np.int32)
        values = np.asarray(value, dtype=np.float64)
        self._try("addRow", lower, upper, len(columns), columns, values)

    def add_rows(self, lower: ArrayLike, upper: ArrayLike, matrix: csr_array) -> None:
        """Add a sparse matrix of rows (M, N)."""
        rows = matrix.shape[0]
        self._try(
            "addRows",
            rows,
            np.broadcast_to(np.asarray(lower, np.float64), rows),
            np.broadcast_to(np.asarray(upper, np.float64), rows),
            matrix.nnz,
            matrix.indptr[:-1].astype(np.int32),
            matrix.indices.astype(np.int32),
            matrix.data.astype(np.float64),
        )

    def bound(self, lower: Floats, upper: Floats) -> None:
        """Replace the bounds of the first columns."""
        columns = np.arange(len(lower), dtype=np.int32)
        self._try("changeColsBounds", len(columns), columns, lower, upper)

    def bound_columns(self, columns: Ints, lower: Floats, upper: Floats) -> None:
        """Replace the bounds of some columns."""
        some = np.asarray(columns, dtype=np.int32)
        self._try("changeColsBounds", len(some), some, lower, upper)

    def drop_rows(self, number: int) -> None:
        """Take the last rows off."""
        last = self._raw.getNumRow()
        rows = np.arange(last - number, last, dtype=np.int32)
        self._try("deleteRows", number, rows)

    @property
    def basis(self) -> Any:
        """The basis of the last run, to begin another one with."""
        return self._raw.getBasis()

    def begin_with(self, basis: Any) -> None:
        """Begin the next run with a basis of the same program."""
        self._try("setBasis", basis)

    @property
    def statuses(self) -> list[Any]:
        """Of all columns, then of all rows, in the basis of the last run."""
        basis = self.basis
        return [*basis.col_status, *basis.row_status]

    def begin_near(self, statuses: list[Any]) -> None:
        """Begin the next run with statuses of all columns and rows, None for unknown.

        They need not make a basis: HiGHS completes it.
        """
        lower, basic = HighsBasisStatus.kLower, HighsBasisStatus.kBasic
        size, basis = self._raw.getNumCol(), highspy.HighsBasis()
        basis.col_status = [lower if s is None else s for s in statuses[:size]]
        basis.row_status = [basic if s is None else s for s in statuses[size:]]
        basis.valid = basis.alien = True
        self._try("setBasis", basis)

    def price(self, column: int, cost: float) -> None:
        """Replace the cost of a column."""
        self._try("changeColCost", column, cost)

    def bound_row(self, row: int, lower: float, upper: float) -> None:
        """Replace the bounds of a row."""
        self._try("changeRowBounds", row, lower, upper)

    def start_from(self, values: Floats) -> None:
        """Begin the next run with a feasible solution (N,)."""
        solution = highspy.HighsSolution()
        solution.col_value = values.tolist()
        solution.value_valid = True
        self._try("setSolution", solution)

    def run(
        self,
        *,
        time_limit_s: float = float("inf"),
        is_over: Callable[[], bool] | None = None,
        improved: Improved | None = None,
    ) -> End:
        """Solve.

        Parameters
        ----------
        time_limit_s : float
            For this run [s].
        is_over : function, optional
            Is asked now and then whether to stop.
        improved : function of objective and bound, optional
            Is called with every better solution of an integer program.
        """
        self._try("setOptionValue", "time_limit", time_limit_s)
        self._listen(is_over, improved)
        end = End.FAILED
        if not self._failure:
            status, model = self._run().name, self._raw.getModelStatus().name
            end = _ENDS.get(model, End.FAILED)
            if model == "kUnknown" and self._is_exact_enough():
                end = End.OPTIMAL
            if status == "kError" or end is End.FAILED:
                self._fail(f"run: {status}, model status {model}.")
        self._ear.end()
        if self._failure:
            version = self._raw.version()
            tell(f"HiGHS {version} failed on {self._purpose}: {self._failure}")
            return End.FAILED
        return end

    def _is_exact_enough(self) -> bool:
        """Whether a basis is optimal but for the last digits of large numbers."""
        info = self._raw.getInfo()
        off = (
            info.max_relative_primal_infeasibility,
            info.max_relative_dual_infeasibility,
        )
        return not self._is_integer and all(
            0.0 <= part <= RELATIVE_ROUNDOFF for part in off
        )

    def _run(self) -> Any:
        reset = getattr(self._raw, "resetThreadScheduler", None)
        reset = reset or self._raw.resetGlobalScheduler  # before highspy 1.16
        reset(True)
        try:
            return self._raw.run()
        finally:
            reset(True)

    @property
    def has_values(self) -> bool:
        """Whether there is a feasible solution."""
        feasible = highspy.SolutionStatus.kSolutionStatusFeasible
        return bool(self._raw.getInfo().primal_solution_status == feasible)

    @property
    def values(self) -> Floats:
        """Values of the columns (N,)."""
        return np.array(self._raw.getSolution().col_value)

    @property
    def row_duals(self) -> Floats:
        """Change of the objective per unit of each row's bound (M,)."""
        return np.array(self._raw.getSolution().row_dual)

    @property
    def objective(self) -> float:
        """Value of the solution."""
        return float(self._raw.getInfo().objective_function_value)

    @property
    def lower_bound(self) -> float:
        """What no solution of an integer program goes below; -inf if unknown."""
        return float(self._raw.getInfo().mip_dual_bound)

    def _listen(
        self, is_over: Callable[[], bool] | None, improved: Improved | None
    ) -> None:
        self._ear.is_over, self._ear.improved = is_over, improved
        if is_over is not None:
            self._raw.startCallback(_Callback.kCallbackSimplexInterrupt)
            self._raw.startCallback(_Callback.kCallbackMipInterrupt)
        if improved is not None:
            self._raw.startCallback(_Callback.kCallbackMipImprovingSolution)

    def _try(self, name: str, *arguments: object) -> None:
        """Call HiGHS and remember the first call that it refuses."""
        status = getattr(self._raw, name)(*arguments).name
        if status == "kError" and not self._failure:
            self._fail(f"{name}: {status}.")

    def _fail(self, what: str) -> None:
        """Remember what failed, and what HiGHS has said since the last run."""
        self._failure = " ".join([what, *self._ear.words])


class _Ear:
    """What HiGHS calls back; holds no reference to the model, which holds it."""

    def __init__(self) -> None:
        self.is_over: Callable[[], bool] | None = None
        self.improved: Improved | None = None
        self.words: dict[str, None] = {}
        self._raised: BaseException | None = None

    def end(self) -> None:
        """Forget the words of a run, and raise what was raised in it."""
        raised, self.words, self._raised = self._raised, {}, None
        if raised is not None:
            raise raised

    def hear(self, kind: int, message: str, out: Any, into: Any, data: object) -> None:
        """Take a call; an exception waits until HiGHS has ended."""
        try:
            self._hear(kind, message, out, into)
        except BaseException as error:
            self._raised = self._raised or error
            self.is_over = lambda: True

    def _hear(self, kind: int, message: str, out: Any, into: Any) -> None:
        if kind == int(_Callback.kCallbackLogging):
            if out.log_type in (HighsLogType.kWarning, HighsLogType.kError):
                self.words[" ".join(message.split())] = None
        elif kind == int(_Callback.kCallbackMipImprovingSolution):
            if self.improved is not None:
                self.improved(out.objective_function_value, out.mip_dual_bound)
        elif self.is_over is not None:
            into.user_interrupt = self.is_over()
