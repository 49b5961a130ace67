"""What was last made of files, by their content: studies read the same ones again.

A file is still opened every time, so that a changed one is noticed whatever its date.
"""

from __future__ import annotations

from functools import lru_cache, wraps
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

V = TypeVar("V")

_KEPT = 16
_LARGE = 500_000
"""Files of more bytes are not kept: some ten thousand tables."""


def by_content(
    function: Callable[[str, bytes, str], V],
) -> Callable[[str, bytes, str], V]:
    """Keep the last results of a function of a file's name, content and place.

    They are shared by all callers: nobody may change them. An error is not kept.
    """
    remembered = lru_cache(maxsize=_KEPT)(function)

    @wraps(function)
    def read(name: str, content: bytes, where: str) -> V:
        if len(content) > _LARGE:
            return function(name, content, where)
        return remembered(name, content, where)

    return read
