"""Fit text into a width without cutting a number or parting it from its unit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBER = re.compile(r"[(\[]?[+-]?\d(?:[\d.,/]*\d)?")
"""A word that is a number alone: what follows is its unit or noun, if no number."""
_PIECE = re.compile(r"[^,;/_.:-]*[,;/_.:-]|[^,;/_.:-]+")
_ELLIPSIS = "…"


def tokens(text: str) -> list[str]:
    """Split at spaces, but not between a number and the word after it."""
    found: list[str] = []
    for word in text.split(" "):
        if found and _NUMBER.fullmatch(found[-1]) and not _NUMBER.match(word):
            found[-1] = f"{found[-1]} {word}"
        else:
            found.append(word)
    return found


def wrap(text: str, width: int) -> list[str]:
    """Break text into lines of at most `width` cells; nothing is left out.

    Lines break between tokens. A longer word, such as a name or a list of ranks, is
    broken after a comma, slash or the like, or anywhere if it has none.
    """
    return [line for part in text.split("\n") for line in _wrap_line(part, width)]


def _wrap_line(text: str, width: int) -> list[str]:
    lines, current = [], ""
    for token in tokens(text):
        joined = f"{current} {token}" if current else token
        if cell_len(joined) <= width:
            current = joined
            continue
        if current:
            lines.append(current)
        *full, current = _break(token, width)
        lines += full
    return [*lines, current]


def _break(token: str, width: int) -> list[str]:
    """Break a token that is too long for a line."""
    lines = [""]
    for piece in _PIECE.findall(token):
        for part in _chop(piece, width):
            if cell_len(lines[-1] + part) <= width:
                lines[-1] += part
            else:
                lines.append(part)
    return lines if lines[0] else lines[1:]


def _chop(text: str, width: int) -> Iterator[str]:
    """Cut what has no place to break into pieces of at most `width` cells."""
    start = 0
    while start < len(text):
        end = start + 1
        while end < len(text) and cell_len(text[start : end + 1]) <= width:
            end += 1
        yield text[start:end]
        start = end


def shorten(text: str, width: int) -> str:
    """Leave out the middle of a name, so that it takes at most `width` cells."""
    if cell_len(text) <= width:
        return text
    head = next(_chop(text, width // 2))
    tail = next(_chop(text[::-1], width - cell_len(_ELLIPSIS) - cell_len(head)))[::-1]
    return f"{head}{_ELLIPSIS}{tail}"


def longest_token(text: str) -> int:
    """Cells of the longest token with a number in it, which cannot be broken."""
    numbers = [token for token in tokens(text) if _NUMBER.match(token)]
    return max(map(cell_len, numbers), default=0)


def longest_word(text: str) -> int:
    """Cells of the longest word."""
    return max(map(cell_len, text.split(" ")), default=0)
