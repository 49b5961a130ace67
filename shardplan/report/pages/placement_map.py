"""The map of ranks and tables: a small picture of which table lies on which rank."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.records.placement import parse_ranks
from shardplan.records.sharding import ShardingType
from shardplan.report.pages.palette import COLOURS

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_COLUMNS = 2048
MOST_ROWS = 1000
_TYPES = [kind.value for kind in ShardingType]
TYPE_COLOURS = dict(zip(_TYPES, (7, 0, 1, 2, 3, 4, 5), strict=True))
"""Number of each sharding type's colour; copies everywhere are grey."""


@dataclass(frozen=True, eq=False)
class PlacementMap:
    """Ranks from left to right, tables from the dearest down.

    Attributes
    ----------
    cells : array of bytes (rows, columns)
        Number of the sharding type, plus 1; 0 where nothing lies. Where a cell stands
        for several tables, it is that of the dearest.
    num_ranks, num_tables : int
        What columns and rows stand for.
    """

    cells: np.ndarray[Any, np.dtype[np.uint8]]
    num_ranks: int
    num_tables: int

    @classmethod
    def of(cls, tables: Sequence[dict[str, Any]], num_ranks: int) -> PlacementMap:
        """Draw tables, the dearest first; see `plan_data.tables_data`."""
        count = len(tables)
        columns, rows = min(num_ranks, MOST_COLUMNS), max(min(count, MOST_ROWS), 1)
        cells = np.zeros((rows, columns), dtype=np.uint8)
        for index in range(count - 1, -1, -1):
            table = tables[index]
            row = cells[index * rows // count]
            for place in table["places"]:
                ranks = np.array(parse_ranks(place["ranks"]))
                row[ranks * columns // num_ranks] = code(table["sharding_type"])
        return cls(cells, num_ranks, count)

    def data_url(self) -> str:
        """Return the picture as a URL that holds it: a PNG with a palette."""
        from PIL import Image

        rows, columns = self.cells.shape
        picture = Image.frombytes("P", (columns, rows), self.cells.tobytes())
        picture.putpalette(_palette())
        target = io.BytesIO()
        picture.save(target, "PNG", optimize=True, transparency=0)
        return f"data:image/png;base64,{base64.b64encode(target.getvalue()).decode()}"


def code(sharding_type: str) -> int:
    """Return the number of a sharding type in the picture; 0 is none."""
    return _TYPES.index(sharding_type) + 1


def _palette() -> bytes:
    """Return red, green and blue of nothing, and of every sharding type."""
    chosen = [COLOURS[TYPE_COLOURS[name]] for name in _TYPES]
    return bytes(3) + b"".join(bytes.fromhex(colour[1:]) for colour in chosen)
