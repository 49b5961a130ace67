"""Statistics of a part as bytes."""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np
import pytest

from shardplan.statistics.count import PartStatistics
from shardplan.statistics.formats.piece import Damage
from shardplan.statistics.packing import pack, unpack
from shardplan.statistics.tally import Keeping, Tally


def part() -> PartStatistics:
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 4, 500)
    ids = rng.integers(0, 1000, int(lengths.sum()))
    tally = Tally.of(ids, lengths, 1000, Keeping(64))
    found = PartStatistics({"item": tally}, np.eye(1))
    found.unreadable["item"] = 3
    found.damaged.append(Damage("a.csv", "cut"))
    return found


def test_it_comes_back() -> None:
    """All of it, and it adds up as before."""
    found = unpack(pack(part()))
    assert found is not None
    assert pack(found) == pack(part())
    assert found.damaged == part().damaged
    assert found.unreadable == part().unreadable
    assert pack(found + found) == pack(part() + part())


def test_damage_is_seen() -> None:
    """A bit anywhere, and an end that is missing."""
    content = pack(part())
    for place in range(0, len(content), 997):
        wrong = bytearray(content)
        wrong[place] ^= 4
        assert unpack(bytes(wrong)) is None
        assert unpack(content[:place]) is None
    assert unpack(content) is not None


@pytest.mark.parametrize(
    "kind", [["os", "system"], ["shardplan.statistics.packing", "pack"]]
)
def test_nothing_else_is_made(kind: list[str]) -> None:
    """A file can name nothing but statistics."""
    text = json.dumps({"class": kind, "of": {"dict": []}}).encode()
    head = struct.pack("<II", zlib.crc32(text), len(text))
    with pytest.raises(ValueError, match="is no statistics"):
        unpack(b"shardplan part 1\n" + head + text)
