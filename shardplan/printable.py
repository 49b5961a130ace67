"""Make text safe to show: what a terminal would obey or hide is written as an escape.

Names and descriptions come from files of others. Control characters (C0 and C1, such
as the ESC that colours, moves or renames a terminal), characters that turn the
direction of text, and invisible ones are shown as Python's `repr` shows them.

References
----------
Boucher and Anderson 2023, Trojan Source: Invisible Vulnerabilities, USENIX Security.
"""

from __future__ import annotations


def one_line(text: str) -> str:
    r"""Return `text` with an escape such as ``\x1b`` for all that is not printable."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def printable(text: str) -> str:
    """Do as `one_line`, but leave line breaks."""
    return "\n".join(map(one_line, text.split("\n")))
