"""Logs of known truth, and slow, plain ways to measure them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import random

    from shardplan.records.arrays import Floats, Ints

ROWS = 20_000


def shuffled(rng: np.random.Generator, size: int, rows: int = ROWS) -> Ints:
    """Draw lookups independently, by Zipf's law."""
    weight = 1.0 / np.arange(1, rows + 1) ** 0.9
    return rng.permutation(rows)[rng.choice(rows, size, p=weight / weight.sum())]


def sessions(rng: np.random.Generator, size: int, rows: int = ROWS) -> Ints:
    """Let rows come again soon, as users do in the order of time."""
    starts = np.repeat(shuffled(rng, size // 20 + 1, rows), 20)[:size]
    moved = np.arange(size) + rng.normal(0, 200, size)
    return starts[np.argsort(moved, kind="stable")]


def drifting(rng: np.random.Generator, size: int, rows: int = ROWS) -> Ints:
    """Let the hot rows of every tenth of the log be others."""
    shift = np.arange(size) * 10 // size * 977
    return (shuffled(rng, size, rows) + shift) % rows


KINDS = {"shuffled": shuffled, "sessions": sessions, "drifting": drifting}


def lru_distances(ids: Ints) -> Ints:
    """Return distinct rows since the last lookup of each, -1 for first ones.

    A Fenwick tree has a one where a row was looked up last.
    """
    size = len(ids)
    tree = [0] * (size + 1)
    last: dict[int, int] = {}

    def add(place: int, value: int) -> None:
        while place <= size:
            tree[place] += value
            place += place & -place

    def total(place: int) -> int:
        found = 0
        while place > 0:
            found += tree[place]
            place -= place & -place
        return found

    distances = np.empty(size, dtype=np.int64)
    for now, row in enumerate(ids.tolist(), start=1):
        before = last.get(row)
        distances[now - 1] = -1 if before is None else total(now - 1) - total(before)
        if before is not None:
            add(before, -1)
        add(now, 1)
        last[row] = now
    return distances


def exact_misses(ids: Ints, sizes: Floats) -> Floats:
    """Return the share of lookups that LRU caches of some sizes miss."""
    distances = lru_distances(ids)
    again = np.sort(distances[distances >= 0])
    return 1.0 - np.searchsorted(again, sizes) / len(ids)


def exact_window(ids: Ints, width: int) -> float:
    """Return the mean number of distinct rows of all windows of a width.

    A row is missing in the windows that lie between two of its lookups.
    """
    order = np.argsort(ids, kind="stable")
    is_first = np.diff(ids[order], prepend=-1) > 0
    first, last = order[is_first], order[np.append(is_first[1:], True)]
    inner = np.diff(order)[~is_first[1:]]
    gaps = np.concatenate((inner, first + 1, len(ids) - last))
    missing = int(np.maximum(gaps - width, 0).sum())
    return len(first) - missing / (len(ids) - width + 1)


def mutated(draw: random.Random, content: bytes) -> bytes:
    """Change, cut, insert or repeat a few bytes."""
    data = bytearray(content)
    kind = draw.randrange(6)
    for _ in range(draw.choice([1, 3, 10])):
        at = draw.randrange(len(data) + 1)
        if kind == 0:
            data[at : at + 1] = draw.randbytes(1)
        elif kind == 1:
            del data[at : at + draw.randrange(1, 30)]
        elif kind == 2:
            data[at:at] = draw.randbytes(5)
        elif kind == 3:
            data[at:at] = draw.choice([b'"', b"\n", b"\r", b",", b":", b" ", b"\xff"])
        elif kind == 4:
            data[at : at + 8] = draw.choice([b"\xff", b"\0"]) * 8
        else:
            del data[at:]
    return bytes(data)
