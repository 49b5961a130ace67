"""One log in all formats: whole, guessed, in parts, and with random damage."""

from __future__ import annotations

import random
from collections import Counter

import pytest

pytest.importorskip("pyarrow")

from typing import TYPE_CHECKING

from shardplan.errors import InputError
from shardplan.statistics.count import KeptRows, count_part, folded
from shardplan.statistics.formats import arrays, batch, npy, npz, piece
from shardplan.statistics.log_files import list_parts
from shardplan.statistics.mapping_file import guess_mapping
from shardplan.statistics.measure import measure
from tests.statistics.formats import files
from tests.statistics.logs import mutated

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 200
LOG = files.ids(SIZE)
CONTENTS = files.contents(LOG)
SUFFIXES = list(CONTENTS)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_all_formats_say_the_same(tmp_path: Path, suffix: str) -> None:
    """Tables of one id are those of the CSV file, and so are all others."""
    (tmp_path / "log.csv").write_bytes(CONTENTS[".csv"])
    expected = measure([tmp_path / "log.csv"], files.mapping(".csv"))
    path = tmp_path / f"log{suffix}"
    path.write_bytes(CONTENTS[suffix])
    found = measure([path], files.mapping(suffix), strict=True)
    assert found.num_samples == SIZE
    assert found.tables == expected.tables[: len(found.tables)]


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".packed.npz", ".pt"])
def test_parts_and_blocks(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any size of them gives the same counts."""
    path = tmp_path / f"log{suffix}"
    path.write_bytes(CONTENTS[suffix])
    whole = measure([path], files.mapping(suffix))
    for module in (npy, npz, batch, piece):
        monkeypatch.setattr(module, "PART_ROWS", 64)
    monkeypatch.setattr(arrays, "BLOCK_ROWS", 17)
    found = measure([path], files.mapping(suffix), strict=True)
    for one, other in zip(whole.tables, found.tables, strict=True):
        assert one.access == other.access
        assert one.length_quantiles == other.length_quantiles


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_guesses_can_be_used(tmp_path: Path, suffix: str) -> None:
    """As they are, but for cells with several ids."""
    path = tmp_path / f"log{suffix}"
    path.write_bytes(CONTENTS[suffix])
    guess = guess_mapping(path)
    assert [t.num_embeddings for t in guess.tables][:1] == [int(LOG["a"].max()) + 1]
    found = measure([path], guess, strict=True)
    assert found.tables[0].lookups == SIZE


def _damage(folder: Path, suffix: str, draws: int) -> Counter[str]:
    """Read damaged files; return how often what was said of them."""
    draw = random.Random(suffix)
    path = folder / f"log{suffix}"
    outcomes: Counter[str] = Counter()
    mapping = files.mapping(suffix)
    for _ in range(draws):
        path.write_bytes(mutated(draw, CONTENTS[suffix]))
        try:
            parts, named = list_parts([path], mapping)
            kept = KeptRows(mapping)
            each = (count_part(part, mapping, kept) for part in parts)
            found = folded(each, mapping, kept)
        except InputError:
            outcomes["refused"] += 1
            continue
        lost = SIZE - found.tallies["a"].lengths.num_samples
        named += found.damaged
        assert named or not lost or suffix in (".csv", ".tsv", ".ffm")
        outcomes["named" if named else "whole"] += 1
    return outcomes


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damage_is_named(tmp_path: Path, suffix: str) -> None:
    """Samples that a format knows of are counted or named; nothing is a traceback.

    Of plain text a line that is gone leaves no trace.
    """
    assert _damage(tmp_path, suffix, 40)["named"] > 5


@pytest.mark.long
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_much_damage_is_named(tmp_path: Path, suffix: str) -> None:
    """The same."""
    assert _damage(tmp_path, suffix, 1000)["named"] > 200
