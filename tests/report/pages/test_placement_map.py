"""The map has a dot where a table lies."""

import base64
import io

import numpy as np
from PIL import Image

from shardplan.report.pages.palette import COLOURS
from shardplan.report.pages.placement_map import (
    MOST_COLUMNS,
    MOST_ROWS,
    TYPE_COLOURS,
    PlacementMap,
    code,
)


def table(kind: str, ranks: str) -> dict[str, object]:
    return {"sharding_type": kind, "places": [{"ranks": ranks, "share": 1.0}]}


def test_cells() -> None:
    tables = [table("row_wise", "0-3"), table("table_wise", "2")]
    found = PlacementMap.of(tables, 4)
    row, whole = code("row_wise"), code("table_wise")
    assert found.cells.tolist() == [[row] * 4, [0, 0, whole, 0]]


def test_the_picture_is_small_and_transparent() -> None:
    """Colours are those of the legend, and nothing is drawn where nothing lies."""
    url = PlacementMap.of([table("table_wise", "1")], 2).data_url()
    kind, _, content = url.partition(",")
    assert kind == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA")
    pixels = np.array(picture)[0]
    assert pixels[0][3] == 0
    shown = COLOURS[TYPE_COLOURS["table_wise"]]
    assert "#" + bytes(pixels[1][:3].tolist()).hex() == shown


def test_many_are_joined_in_the_colour_of_the_dearest() -> None:
    count, world = 2 * MOST_ROWS, 2 * MOST_COLUMNS
    tables = [table("table_wise", "0"), *[table("row_wise", f"0-{world - 1}")] * count]
    found = PlacementMap.of(tables[:count], world)
    assert found.cells.shape == (MOST_ROWS, MOST_COLUMNS)
    assert found.cells[0, :2].tolist() == [code("table_wise"), code("row_wise")]
    assert (found.cells[1] == code("row_wise")).all()
    assert found.data_url() == PlacementMap.of(tables[:count], world).data_url()
