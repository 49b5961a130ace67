"""A fixed tree of sums over the parts of a log, whoever counts them and when.

Parts are the leaves; each inner node is the sum of a pair of neighbours. What has no
neighbour in the end is added from the right. Only sums that no larger one has yet stay
in the folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.statistics.errands import Errand
from shardplan.statistics.work_folder import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.statistics.count import PartStatistics
    from shardplan.statistics.work_folder import WorkFolder

    Node = tuple[int, int]


class Summing:
    """The tree, and how much of it is there.

    Parameters
    ----------
    folder : WorkFolder
    leaves : sequence of str
        Keys of consecutive parts.
    log : str
        Key of the log's hot rows.

    Attributes
    ----------
    missing : list of int
        Leaves that are to be counted; an earlier run has counted the others.
    """

    def __init__(self, folder: WorkFolder, leaves: Sequence[str], log: str) -> None:
        self._folder, self._log = folder, log
        self._levels = [list(leaves)]
        while len(below := self._levels[-1]) > 1:
            pairs = zip(below[::2], below[1::2], strict=False)
            self._levels.append([digest(*pair) for pair in pairs])
        self._nodes = {
            key: (level, index)
            for level, keys in enumerate(self._levels)
            for index, key in enumerate(keys)
        }
        self._there: set[Node] = set()
        self.missing: list[int] = []
        known = folder.names(".part")
        for root in self._roots():
            self._look(root, known)

    def kept(self) -> set[str]:
        """Return the names of the files that are there and needed."""
        return {f"{self._key(node)}.part" for node in self._there}

    def begun(self) -> list[Errand]:
        """Return the sums that can be made of what is there from the start."""
        found = (self._sum_above(node) for node in sorted(self._there))
        return list({e.key: e for each in found for e in each}.values())

    def done(self, key: str) -> list[Errand]:
        """Take note of a node that is there now; return the sum that it makes possible.

        What it is the sum of goes.
        """
        level, index = node = self._nodes[key]
        self._there.add(node)
        if level:
            for child in ((level - 1, 2 * index), (level - 1, 2 * index + 1)):
                self._there.discard(child)
                self._folder.file(f"{self._key(child)}.part").unlink(missing_ok=True)
        return self._sum_above(node)

    def total(self) -> PartStatistics | None:
        """Return the sum of all leaves; None if there is none.

        Raises
        ------
        InputError
            If what was counted is not there any more.
        """
        found: PartStatistics | None = None
        for root in reversed(self._roots()):
            before = self._folder.require_part(self._key(root))
            found = before if found is None else before + found
        return found

    def _roots(self) -> list[Node]:
        """Return the nodes that are in no sum of a pair, from left to right."""
        levels = reversed(list(enumerate(self._levels)))
        return [(level, len(keys) - 1) for level, keys in levels if len(keys) % 2]

    def _key(self, node: Node) -> str:
        return self._levels[node[0]][node[1]]

    def _look(self, node: Node, known: set[str]) -> None:
        """Find what is there of a sum: itself, or parts of it."""
        level, index = node
        key = self._key(node)
        if f"{key}.part" in known and self._folder.part(key) is not None:
            self._there.add(node)
        elif not level:
            self.missing.append(index)
        else:
            self._look((level - 1, 2 * index), known)
            self._look((level - 1, 2 * index + 1), known)

    def _sum_above(self, node: Node) -> list[Errand]:
        """Return the sum with a node's neighbour, if both are there."""
        level, index = node
        pair = (level, index & ~1), (level, index | 1)
        if not self._there.issuperset(pair):
            return []
        above = self._key((level + 1, index // 2))
        return [Errand("add", above, (*map(self._key, pair), self._log))]
