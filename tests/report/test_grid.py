"""What gives way in a table that is too wide, in this order."""

from __future__ import annotations

from shardplan.report import layout

NAME = "a_table_with_a_rather_long_name_for_a_column"
ROWS = [
    (NAME, "kept whole in HBM of one rank", "1.234 ms", "10.0 GB (9.3 GiB)", "#####")
]
COLUMNS = (
    *(layout.named("table"), "decision", layout.number("time")),
    *(layout.number("bytes per host"), layout.bars()),
)


def shown(width: int) -> str:
    return layout.to_text(layout.table(COLUMNS, ROWS), width)


def test_all_of_a_wide_table() -> None:
    """With room there are bars and whole texts; a name of 40 characters at most."""
    text = shown(140)
    assert "#####" in text
    assert "kept whole in HBM of one rank" in text
    assert NAME[:20] in text
    assert "…" in text
    assert NAME not in text


def test_bars_go_first() -> None:
    """Where bars have no room, nothing else has changed yet."""
    text = shown(110)
    assert "#####" not in text
    assert "kept whole in HBM of one rank" in text
    assert NAME[:20] in text


def test_texts_fold_and_names_shrink() -> None:
    """Then texts fold, names shrink and headings fold; numbers are untouched."""
    text = shown(80)
    assert "kept whole in HBM of one rank" not in text
    assert NAME[:20] not in text
    assert "1.234 ms" in text
    assert "10.0 GB (9.3 GiB)" in text
    assert text.count(" table ") == 1


def test_columns_go_below() -> None:
    """What still has no place goes below, beside the first column."""
    text = shown(48)
    assert text.count(" table ") == 2
    assert text.index("1.234 ms") < text.index("10.0 GB (9.3 GiB)")
    assert max(map(len, text.splitlines())) <= 48


def test_no_page_is_narrower_than_a_number() -> None:
    """However narrow the terminal says it is."""
    assert shown(5) == shown(40)
    assert "10.0 GB (9.3 GiB)" in shown(5)


def test_empty_tables() -> None:
    """A table without rows has its headings."""
    assert "decision" in layout.to_text(layout.table(COLUMNS, []), 60)


def test_all_that_tells_rows_apart_is_repeated() -> None:
    """As many of the first columns as it takes, while half of the page is left."""
    columns = [layout.named("gpu"), layout.number("hosts"), *map(layout.number, "abc")]
    rows = [("h100", str(n), *["123,456,789"] * 3) for n in (1, 2)]
    text = layout.to_text(layout.table(columns, rows, keys=2), 45)
    assert (text.count("gpu"), text.count("hosts")) == (2, 2)
    assert max(map(len, text.splitlines())) <= 45
    wide = [("a_rather_long_name", str(n), *["123,456,789"] * 3) for n in (1, 2)]
    text = layout.to_text(layout.table(columns, wide, keys=2), 40)
    assert (text.count("gpu"), text.count("hosts")) == (3, 1)
