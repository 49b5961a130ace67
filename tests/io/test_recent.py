"""Files are read once for each content."""

from __future__ import annotations

import pytest

from shardplan.io.recent import by_content


def test_by_content() -> None:
    """The same content at the same place gives the same object, another does not."""

    @by_content
    def made(name: str, content: bytes, where: str) -> list[str]:
        return [name, content.decode(), where]

    first = made("a.toml", b"x", "a.toml")
    assert made("a.toml", b"x", "a.toml") is first
    assert made("a.toml", b"y", "a.toml") == ["a.toml", "y", "a.toml"]
    assert made("a.toml", b"x", "./a.toml") is not first
    assert made("a.toml", b"x", "a.toml") is first


def test_errors_and_large_files_are_not_kept() -> None:
    """They come again every time."""
    calls = []

    @by_content
    def made(name: str, content: bytes, where: str) -> int:
        calls.append(name)
        return 1 // (len(content) - 1)

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            made("a", b"1", "a")
        made("b", b"1" * 10**6, "b")
    assert calls == ["a", "b", "a", "b"]
