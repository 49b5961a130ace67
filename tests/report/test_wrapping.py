"""Folding keeps numbers with their units; shortening keeps both ends of a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from shardplan.report.wrapping import longest_token, shorten, tokens, wrap


def test_numbers_stay_with_their_units() -> None:
    """A number, also in brackets or with a sign, holds on to the word after it."""
    text = "HBM 80.0 GB (74.5 GiB) at (+0.0448 ms), 1,024 ranks, -3 % of cat_19 rows"
    found = tokens(text)
    assert found[1:5] == ["80.0 GB", "(74.5 GiB)", "at", "(+0.0448 ms),"]
    assert found[5:8] == ["1,024 ranks,", "-3 %", "of"]
    assert tokens("(NCCL 2.27.3, 8 us)") == ["(NCCL", "2.27.3,", "8 us)"]
    assert tokens("2 16 GB") == ["2", "16 GB"]
    assert longest_token("80.0 GB or (14,305.1 GiB)") == len("(14,305.1 GiB)")


def test_wrap_at_every_width() -> None:
    """No line is too long, no number parts from its unit, nothing is lost."""
    text = "rank 6 takes 1.029 ms of 30.7 TB (28,610.2 GiB) and 17.2 % of the rest"
    for width in range(14, 90):
        lines = wrap(text, width)
        assert " ".join(lines) == text
        assert all(len(line) <= width for line in lines)
        for token in ("1.029 ms", "30.7 TB", "(28,610.2 GiB)", "17.2 %"):
            assert any(token in line for line in lines)


def test_lists_of_ranks_break_at_commas() -> None:
    """A long list is folded between ranks, not inside of one."""
    ranks = ",".join(str(rank) for rank in range(100, 400, 2))
    lines = wrap(ranks, 30)
    assert "".join(lines) == ranks
    assert all(line.endswith(",") for line in lines[:-1])


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=99)
)
def test_words_without_a_place_to_break(word: str) -> None:
    """Any word, also of wide characters, is folded without loss."""
    lines = wrap(word, 7)
    assert "".join(lines) == word
    assert all(cell_len(line) <= 7 for line in lines)


@given(st.text(max_size=60), st.integers(min_value=5, max_value=40))
def test_shorten(name: str, width: int) -> None:
    """A short name is left alone, a long one keeps its ends and fits."""
    found = shorten(name, width)
    assert cell_len(found) <= width
    if cell_len(name) <= width:
        assert found == name
    else:
        head, _, tail = found.partition("…")
        assert name.startswith(head)
        assert name.endswith(tail)


def test_shorten_leaves_out_the_middle() -> None:
    """What names often differ in, their beginning and end, stays."""
    assert shorten("user_history_clicks_table_17", 13) == "user_h…ble_17"


@pytest.mark.parametrize("text", ["", "a  b", "1", "1 "])
def test_spaces_survive(text: str) -> None:
    """Spaces are text as any other."""
    assert wrap(text, 40) == [text]
