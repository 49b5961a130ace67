"""Tiny distributions with entry points, as an installer leaves them."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def install(
    site: Path,
    kind: str,
    entries: str,
    source: str | None = None,
    *,
    name: str = "their-package",
    module: str = "theirs",
) -> Path:
    """Put a distribution of release 1.2 into a folder of packages.

    Parameters
    ----------
    kind : str
        ``solvers`` or ``exporters``.
    entries : str
        Lines such as ``mine = theirs:Mine``.
    source : str, optional
        Code of its module; without, there is none.
    """
    info = site / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    facts = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n"
    (info / "METADATA").write_text(facts, encoding="utf-8")
    text = f"[shardplan.{kind}]\n{dedent(entries)}\n"
    (info / "entry_points.txt").write_text(text, encoding="utf-8")
    if source is not None:
        (site / f"{module}.py").write_text(dedent(source), encoding="utf-8")
    return site
