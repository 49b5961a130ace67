"""Sets of pieces that one rank can hold, found at prices: a beam search."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.solvers.pack.params import PACK_DEFAULTS, PackParams
from shardplan.solvers.tolerances import (
    NEW_PATTERN,
    NO_PRICE,
    NO_SECONDS,
    NO_SHARE,
    ROUNDOFF,
)

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats, Ints


class Rivals(NamedTuple):
    """How many pieces of a group one rank may hold; by kind of piece (K,).

    Attributes
    ----------
    group, most : int arrays (K,)
    """

    group: Ints
    most: Ints


class Filling(NamedTuple):
    """Kinds of pieces on one rank, in order, and how many of each."""

    kinds: tuple[int, ...]
    copies: tuple[int, ...]


def dear_patterns(
    prices: Floats,
    rank_price: float,
    load: Floats,
    room: Floats,
    rivals: Rivals,
    params: PackParams = PACK_DEFAULTS,
) -> list[Filling]:
    """Find patterns whose pieces together cost more than a rank.

    Parameters
    ----------
    prices : float array (K,)
        Of each kind of piece.
    load : float array (K, E)
        Load of each kind of piece on the rank.
    room : float array (E,)
        What the rank can hold.
    rivals : Rivals
        Pieces that may not all be on one rank.

    Notes
    -----
    Patterns grow by one piece at a time, in order of price per share of the room. Of
    those with equally many pieces the best stay: by price less what the fullest
    dimension would cost if the rank were sold by it.
    """
    share = load / np.maximum(room, NO_SECONDS)
    fullest = share.max(axis=1)
    useful = np.flatnonzero((prices > NO_PRICE) & (fullest <= 1.0 + ROUNDOFF))
    order = np.argsort(-prices[useful] / np.maximum(fullest[useful], NO_SHARE))
    kinds = useful[order]
    price, share = prices[kinds], share[kinds]
    group, most = rivals.group[kinds], rivals.most[kinds]
    crowd = np.zeros((1, len(kinds)), dtype=np.int64)
    used, worth = np.zeros((1, share.shape[1])), np.zeros(1)
    held, found = np.zeros((1, 0), dtype=np.int64), dict[Filling, float]()
    for _ in range(params.most_pieces):
        then = used[:, None] + share
        full = then.max(axis=2)
        fits = full <= 1.0 + ROUNDOFF
        fits &= crowd < most
        if held.shape[1]:
            fits &= np.arange(len(kinds)) >= held[:, -1:]
        gain = worth[:, None] + price
        score = np.where(fits, gain - rank_price * full, -np.inf)
        best = np.argsort(-score, axis=None)[: params.beam]
        best = best[np.isfinite(score.ravel()[best])]
        if not len(best):
            break
        row, column = np.unravel_index(best, score.shape)
        held = np.column_stack([held[row], column])
        crowd = crowd[row] + (group[column][:, None] == group)
        used, worth = then[row, column], gain[row, column]
        for index in np.flatnonzero(worth > rank_price + NEW_PATTERN).tolist():
            found[_pattern(kinds[held[index]])] = float(worth[index])
    return sorted(found, key=lambda pattern: -found[pattern])[: params.most_found]


def _pattern(pieces: Ints) -> Filling:
    kinds, copies = np.unique(pieces, return_counts=True)
    return Filling(tuple(kinds.tolist()), tuple(copies.tolist()))
