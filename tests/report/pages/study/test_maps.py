"""Maps of two axes."""

from __future__ import annotations

from shardplan.report.pages.study.maps import Maps
from tests.report.pages.study.made import BATCH, BW, made_subject


def test_axes_that_are_not_shown_have_the_values_of_the_best_point() -> None:
    """The map shows the front, not some corner."""
    subject = made_subject()
    best = subject.place[subject.front.rows[-1].point.number]
    maps = Maps.of(subject.columns, ["hbm_fill"], best)
    assert maps.down is not None
    assert (maps.down.name, maps.across.name) == ("hosts", BATCH)
    assert [axis.name for axis in maps.kept] == [BW]
    assert maps.held[BW] == subject.columns[2].cells[best]
    assert maps.maps[0].column.name == "hbm_fill"


def test_cells_say_what_fits_and_link_to_pages() -> None:
    """Two hosts do not hold the large batch."""
    subject = made_subject()
    maps = Maps.of(subject.columns, [], 0)
    status = subject.column("status")
    assert status is not None
    args = (status, subject.numbers, subject.hrefs, subject.on_front)
    rows = maps.cells(maps.maps[0], *args)
    assert [name for name, _ in rows] == ["2", "4", "8", "16"]
    assert rows[0][1][1].text == "does not fit"
    assert rows[0][1][1].kind == "status infeasible"
    assert rows[1][1][1].kind.startswith("level l")
    linked = [cell for _, cells in rows for cell in cells if cell.href]
    assert all(cell.on_front for cell in linked)


def test_levels_run_from_light_to_dark() -> None:
    """The least is 0, the most 9, over all points and not only those shown."""
    subject = made_subject()
    mapped = next(
        m
        for m in Maps.of(subject.columns, [], 0).maps
        if m.column.name == "step_time_s"
    )
    levels = {
        mapped.level(at): value
        for at, value in enumerate(mapped.column.cells)
        if value is not None
    }
    assert min(levels) == 0
    assert max(levels) == 9
    assert levels[0] < levels[9]


def test_axes_that_move_together_are_one() -> None:
    """Else a map of the two would be a diagonal."""
    zipped = {
        "wire": {
            "workload.comm_dtypes.forward": ["fp32", "fp16"],
            "workload.comm_dtypes.backward": ["fp32", "bf16"],
        }
    }
    subject = made_subject({"axes": {"hosts": [2, 4]}, "zip": zipped})
    maps = Maps.of(subject.columns, [], 0)
    assert len(subject.axes) == 3
    assert len(maps.axes) == 2


def test_long_axes_and_single_values_have_no_map() -> None:
    """61 values fill no page; one value is no axis."""
    subject = made_subject({"axes": {"hosts": list(range(1, 62)), BATCH: [16_384]}})
    maps = Maps.of(subject.columns, [], 0)
    assert maps.axes == ()
    assert [axis.name for axis in maps.crowded] == ["hosts"]
