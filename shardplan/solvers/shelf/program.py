"""Choose options and layers so that no zone, at its longest pieces, is slow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.certify.highs import End, Highs
from shardplan.costs.scopes import Scope
from shardplan.solvers.tolerances import ABSOLUTE_GAP, FEASIBILITY_TOLERANCE

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from scipy.sparse import csr_array

    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.base import Stop
    from shardplan.solvers.shelf.takes import Takes
    from shardplan.solvers.shelf.zones import Zones


class Aims(NamedTuple):
    """What is minimised: the largest of N weighted sums of the loads of ranks.

    Attributes
    ----------
    weight : float array (N, P)
        Of each dimension of time.
    rest_s : float array (N,)
        What is added to each sum [s].
    most_s : float
        Only what is below this is of use [s].
    unit_s : float
        The unit of time: about the value of a plan [s].
    """

    weight: Floats
    rest_s: Floats
    most_s: float
    unit_s: float


@dataclass(frozen=True, eq=False)
class ShelfProgram:
    """Ways to take options, on shelves: a layer of a zone holds one piece per rank.

    Attributes
    ----------
    problem : Problem
    zones : Zones
    takes : Takes
    layers : int
        Shelves of each zone.
    """

    problem: Problem
    zones: Zones
    takes: Takes
    layers: int

    def solve(self, aims: Aims, gap: float, stop: Stop) -> tuple[Ints, Ints] | None:
        """Choose a way for each bundle (B,), and its layer (B,).

        Parameters
        ----------
        aims : Aims
        gap : float
            How near to the optimum it ends, relatively.

        Returns
        -------
        tuple of int arrays, or None
            None if there is no way, or none was found before the stop.
        """
        model = self._model(aims, gap)
        end = model.run(is_over=stop.now)
        if end is End.FAILED or not model.has_values:
            return None
        chosen = np.flatnonzero(model.values[: len(self._way)] > 0.5)
        bundle = self._bundle[chosen]
        if not np.array_equal(np.sort(bundle), np.arange(self.problem.num_bundles)):
            return None
        order = np.argsort(bundle)
        return self._way[chosen[order]], self._layer[chosen[order]]

    @cached_property
    def _way(self) -> Ints:
        """The way of each binary: one in each layer, or one for scope `ALL` (N,)."""
        layered = self.takes.pieces.any(axis=1)
        return np.repeat(np.arange(len(self.takes)), np.where(layered, self.layers, 1))

    @cached_property
    def _layer(self) -> Ints:
        """The layer of each binary (N,)."""
        first = np.r_[True, np.diff(self._way) > 0]
        start = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
        return np.arange(len(first)) - start

    @cached_property
    def _bundle(self) -> Ints:
        return self.problem.options.table[self.takes.option[self._way]]

    @property
    def num_columns(self) -> int:
        """Number of binaries."""
        return len(self._way)

    def _model(self, aims: Aims, gap: float) -> Highs:
        """Minimise the largest of the sums.

        Columns are binaries, the longest piece of each layer, zone and dimension, the
        largest load of each dimension of time, and the largest sum.
        """
        takes, binaries = self.takes, self.num_columns
        shelves = self.layers * len(self.zones) * takes.load.shape[2]
        slowest = binaries + shelves
        cost = np.r_[np.zeros(slowest + takes.num_times), 1.0]
        endless = np.full(len(cost) - binaries - 1, np.inf)
        upper = np.r_[self._is_legal, endless, aims.most_s / aims.unit_s]
        model = Highs(
            "the program of shelves",
            cost,
            0.0,
            upper,
            integer=np.arange(len(cost)) < binaries,
            mip_rel_gap=gap,
            mip_abs_gap=ABSOLUTE_GAP,
            primal_feasibility_tolerance=FEASIBILITY_TOLERANCE,
            mip_feasibility_tolerance=FEASIBILITY_TOLERANCE,
        )
        load = takes.load[self._way].copy()
        load[:, :, : takes.num_times] /= aims.unit_s
        size = len(cost)
        model.add_rows(1.0, 1.0, _rows(self._bundle, np.arange(binaries), 1.0, size))
        for most, matrix in (self._ranks(size), self._groups(size)):
            model.add_rows(-np.inf, most, matrix)
        model.add_rows(-np.inf, 0.0, self._longest(load, size))
        most, matrix = self._loads(load, size)
        model.add_rows(-np.inf, most, matrix)
        aim, dimension = np.nonzero(aims.weight)
        number = len(aims.weight)
        matrix = _rows(
            np.r_[aim, np.arange(number)],
            np.r_[slowest + dimension, np.full(number, size - 1)],
            np.r_[aims.weight[aim, dimension], np.full(number, -1.0)],
            size,
        )
        model.add_rows(-np.inf, -aims.rest_s / aims.unit_s, matrix)
        return model

    @cached_property
    def _is_legal(self) -> Bools:
        """Binaries that may be taken (N,): bundles in conflict share a layer."""
        rivals = np.isin(
            self._bundle, [b for b, o in self.problem.conflicts.items() if o]
        )
        return np.asarray((self._layer == 0) | ~rivals)

    def _ranks(self, size: int) -> tuple[Floats, csr_array]:
        """Pieces of a layer have ranks of their own in each zone."""
        pieces = self.takes.pieces[self._way]
        column, zone = np.nonzero(pieces)
        shelf = self._layer[column] * len(self.zones) + zone
        used = pieces[column, zone] * self.takes.width[self._way[column]]
        most = np.tile(self.zones.size, self.layers).astype(float)
        return most, _rows(shelf, column, used, size, len(most))

    def _groups(self, size: int) -> tuple[Floats, csr_array]:
        """Of a zone's ranks only whole groups hold the pieces of groups."""
        takes, way = self.takes, self._way
        scope = self.problem.options.scope[takes.option[way]]
        wide = (scope != Scope.RANK)[:, None] & (takes.pieces[way] > 0)
        column, zone = np.nonzero(wide)
        keys = np.stack(
            [self._layer[column], zone, scope[column], takes.width[way[column]]]
        )
        kinds, shelf = np.unique(keys, axis=1, return_inverse=True)
        shelf = shelf.ravel()
        most = np.zeros(kinds.shape[1])
        np.maximum.at(most, shelf, takes.slots[way[column], zone])
        used = takes.pieces[way[column], zone]
        return most, _rows(shelf, column, used, size, len(most))

    def _longest(self, load: Floats, size: int) -> csr_array:
        """Per bundle, as it takes one option: its own piece is at most the longest."""
        there = (self.takes.pieces[self._way] > 0)[:, :, None] & (load > 0)
        column, zone, dimension = np.nonzero(there)
        shelf = self._shelf(self._layer[column], zone, dimension)
        keys = np.stack([self._bundle[column], shelf])
        kinds, row = np.unique(keys, axis=1, return_inverse=True)
        number = kinds.shape[1]
        longest = self.num_columns + kinds[1]
        return _rows(
            np.r_[row.ravel(), np.arange(number)],
            np.r_[column, longest],
            np.r_[load[column, zone, dimension], np.full(number, -1.0)],
            size,
        )

    def _loads(self, load: Floats, size: int) -> tuple[Floats, csr_array]:
        """Add what is everywhere and the longest of each layer: the largest load."""
        times, zones, dims = self.takes.num_times, len(self.zones), load.shape[2]
        everywhere = np.asarray(~self.takes.pieces[self._way].any(axis=1))
        base = np.where(everywhere[:, None, None], load, 0.0)
        column, zone, dimension = np.nonzero(base)
        row = zone * dims + dimension
        layer, z, d = np.indices((self.layers, zones, dims)).reshape(3, -1)
        shelf = self.num_columns + self._shelf(layer, z, d)
        timed = d[: zones * dims] < times
        own = np.flatnonzero(timed)
        slowest = self.num_columns + self.layers * zones * dims + own % dims
        matrix = _rows(
            np.r_[row, z * dims + d, own],
            np.r_[column, shelf, slowest],
            np.r_[base[base > 0], np.ones(len(shelf)), np.full(len(own), -1.0)],
            size,
            zones * dims,
        )
        return np.where(timed, 0.0, 1.0), matrix

    def _shelf(self, layer: Ints, zone: Ints, dimension: Ints) -> Ints:
        dims = self.takes.load.shape[2]
        return np.asarray((layer * len(self.zones) + zone) * dims + dimension)


def _rows(
    row: Ints, column: Ints, value: ArrayLike, size: int, number: int | None = None
) -> csr_array:
    """Make a matrix of rows of a program with so many columns."""
    from scipy.sparse import coo_array

    values = np.broadcast_to(np.asarray(value, dtype=np.float64), row.shape)
    number = int(row.max(initial=-1)) + 1 if number is None else number
    return coo_array((values, (row, column)), (number, size)).tocsr()
