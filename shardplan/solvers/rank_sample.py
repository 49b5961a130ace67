"""Ranks that a move looks at: all, or of many some whole hosts and domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import SCOPES, Scope

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.records.arrays import Ints


_MANY = 512
"""Ranks above which a move looks at some: the best of these is nearly as good."""
_SOME, _ROOM = 256, 4
"""Ranks that it looks at then, and per rank that an option is on, if that is more."""


class RankSample(NamedTuple):
    """Ranks in ascending order, and the groups of each scope that they make up.

    Attributes
    ----------
    ranks : int array (S,)
    groups : list of int array
        By scope, numbers of the groups.
    first : list of int array
        By scope, where the ranks of each group begin.
    is_whole : bool
        Whether these are all ranks.
    """

    ranks: Ints
    groups: list[Ints]
    first: list[Ints]
    is_whole: bool


class RankSampler:
    """Draws ranks of a cluster in blocks that no scope's groups cross."""

    def __init__(self, cluster: Cluster, rng: np.random.Generator) -> None:
        self._rng = rng
        every = [cluster.groups(scope) for scope in SCOPES]
        world = cluster.world_size
        self.whole = RankSample(
            np.arange(world),
            [np.arange(len(groups.first_rank)) for groups in every],
            [groups.first_rank for groups in every],
            is_whole=True,
        )
        some = [scope for scope in SCOPES if scope != Scope.ALL]
        self._sizes = [every[scope].even_size for scope in some]
        block = max(self._sizes)
        nests = all(size and block % size == 0 for size in self._sizes)
        self._block = block if nests and world > _MANY else 0
        self._number = world // max(block, 1)
        self._scopes = [int(scope) for scope in some]

    def draw(self, most: int) -> RankSample:
        """Draw ranks for options that are on at most so many ranks."""
        block = self._block
        number = -(-max(_SOME, _ROOM * most) // block) if block else 0
        if not number or 2 * number > self._number:
            return self.whole
        blocks = self._rng.choice(self._number, number, replace=False)
        blocks.sort()
        none = np.zeros(0, dtype=np.int64)
        groups, first = [none] * len(SCOPES), [none] * len(SCOPES)
        for scope, own in zip(self._scopes, self._sizes, strict=True):
            parts = block // own
            groups[scope] = (blocks[:, None] * parts + np.arange(parts)).ravel()
            first[scope] = np.arange(len(groups[scope])) * own
        return RankSample(groups[Scope.RANK], groups, first, is_whole=False)
