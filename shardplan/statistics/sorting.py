"""A log in the order of time, cut into parts to count: on disks, not in memory."""

from __future__ import annotations

from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError
from shardplan.statistics.crew import work
from shardplan.statistics.errands import Errand
from shardplan.statistics.formats import piece
from shardplan.statistics.log_files import read_part
from shardplan.statistics.merging import TimeRun, merged, overlapping
from shardplan.statistics.time_order import (
    Times,
    cannot_be_sorted,
    read_run,
    read_times,
    write_run,
)
from shardplan.statistics.work_folder import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shardplan.records.log_mapping import LogMapping
    from shardplan.statistics.crew import Workforce
    from shardplan.statistics.formats.piece import Damage
    from shardplan.statistics.log_files import Part
    from shardplan.statistics.work_folder import WorkFolder


class Sorting:
    """Orders the parts of a log, and merges them.

    Parameters
    ----------
    folder : WorkFolder
    parts : sequence of Part
    keys : list of str
        Of the parts.
    mapping : LogMapping
    """

    def __init__(
        self,
        folder: WorkFolder,
        parts: Sequence[Part],
        keys: list[str],
        mapping: LogMapping,
    ) -> None:
        self._folder, self._mapping = folder, mapping
        self._parts = dict(zip(keys, parts, strict=True))
        self._times: dict[str, Times] = {}
        self._runs: list[TimeRun] = []
        self._schema: Any = None
        self._sorted_key = digest(*keys)
        # What an earlier run left may be damaged: a crash of a machine loses pages.
        self._unknown = [k for k in keys if read_times(folder, k, check=True) is None]

    def order(self, crew: Workforce, advance: Callable[[], None]) -> None:
        """Find the times of all parts; sort those that do not lie in order.

        Raises
        ------
        InputError
            If times have no order, or their types differ.
        """

        def done(key: str) -> list[Errand]:
            advance()
            return []

        work(crew, (self._errand(key) for key in self._unknown), done)
        self._read()
        in_the_way = overlapping(self._runs)
        keys = [key for key, times in self._times.items() for _ in range(_runs(times))]
        again = {keys[k] for k in in_the_way if not self._times[keys[k]].runs}
        work(crew, (self._errand(key, spill=True) for key in sorted(again)), done)
        self._read()

    def unknown(self) -> int:
        """Return how many parts are to be looked at."""
        return len(self._unknown)

    def damaged(self) -> list[Damage]:
        """Return what could not be read."""
        return [damage for times in self._times.values() for damage in times.damaged]

    def kept(self) -> set[str]:
        """Return the names of the files that are needed."""
        orders = {f"{key}.order" for key in self._parts}
        return orders.union(*(times.runs for times in self._times.values()))

    def leaves(self, hot: str) -> list[str]:
        """Return the keys of the parts of the sorted log, counted with hot rows."""
        rows = sum(run.rows for run in self._runs)
        parts = -(-rows // piece.PART_ROWS)
        return [digest(hot, self._sorted_key, number) for number in range(parts)]

    def errands(
        self, leaves: Sequence[str], log: str, missing: Sequence[int]
    ) -> Iterator[Errand]:
        """Write parts of the sorted log one after the other, each to be counted."""
        wanted = set(missing)
        for number, part in groupby(self._numbered(), key=itemgetter(0)):
            if number in wanted:
                with self._folder.draft(f"{leaves[number]}.sorted") as draft:
                    write_run(draft, self._schema, (table for _, table in part))
                yield Errand("count_sorted", leaves[number], (log,))
                wanted.remove(number)
            if not wanted:
                return

    def _errand(self, key: str, *, spill: bool = False) -> Errand:
        part = [list(piece) for piece in self._parts[key]]
        return Errand("order", key, (part, spill))

    def _read(self) -> None:
        """Read what is known of all parts, and compare their times."""
        import pyarrow as pa
        import pyarrow.compute as pc

        for key in self._parts:
            times = read_times(self._folder, key)
            assert times is not None
            self._times[key] = times
        each = self._times.values()
        try:
            bounds = pa.concat_tables(
                [times.bounds.replace_schema_metadata() for times in each],
                promote_options="permissive",
            )
            self._schema = pa.unify_schemas(
                [times.schema for times in each], promote_options="permissive"
            ).remove_metadata()
            both = pa.chunked_array(
                [*bounds["first"].chunks, *bounds["last"].chunks], bounds["last"].type
            )
            times = both.combine_chunks()
            if not len(times):
                return
            ranks = pc.rank(times, tiebreaker="dense").to_pylist()
        except pa.ArrowException as error:
            raise cannot_be_sorted(self._mapping, error) from error
        valid, nans, rows = (bounds[n].to_pylist() for n in ("valid", "nans", "rows"))
        readers = chain.from_iterable(map(self._readers, self._parts))
        size = bounds.num_rows
        each_run = zip(valid, nans, rows, readers, strict=True)
        self._runs = [
            TimeRun(place, ranks[place], ranks[size + place], *found)
            for place, found in enumerate(each_run)
        ]

    def _readers(self, key: str) -> list[Callable[[int], Iterator[Any]]]:
        """Return what reads the runs of a part, or the part where it lies."""
        times, folder = self._times[key], self._folder

        def read_here(start: int) -> Iterator[Any]:
            return read_part(self._parts[key], self._mapping, [])

        def reader(name: str) -> Callable[[int], Iterator[Any]]:
            return lambda start: read_run(folder.file(name), "", start)

        return [reader(name) for name in times.runs] or [read_here] * _runs(times)

    def _numbered(self) -> Iterator[tuple[int, Any]]:
        """Yield all samples in the order of time, with the numbers of their parts."""
        import pyarrow as pa

        start, size = 0, piece.PART_ROWS
        try:
            for table in merged(self._runs, self._mapping.time, self._schema):
                done = 0
                while done < table.num_rows:
                    rows = size - start % size
                    yield start // size, table.slice(done, rows)
                    rows = min(rows, table.num_rows - done)
                    done, start = done + rows, start + rows
        except (pa.ArrowException, OSError) as error:
            rule = f"cannot be read: {error}; remove this folder, and run again"
            where = str(self._folder.path)
            raise InputError.single(where, "", None, rule) from error


def _runs(times: Times) -> int:
    """Return how many runs a part has; it may be one itself."""
    return int(times.bounds.num_rows)
