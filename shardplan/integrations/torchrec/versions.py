"""Which TorchRec this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from shardplan.errors import InputError

SUPPORTED = ("1.8",)
"""Releases whose planner and plans this package was tested with."""
_INSTALL = "see docs/guides/install-torchrec.md"


def require_torchrec() -> None:
    """Make sure that a supported TorchRec is installed.

    Raises
    ------
    InputError
        If there is none, or one of another release.
    """
    try:
        found = version("torchrec")
    except PackageNotFoundError:
        rule = f"is not installed; {_INSTALL}"
        raise InputError.single("torchrec", "", None, rule) from None
    if not found.startswith(SUPPORTED):
        rule = f"must be release {' or '.join(SUPPORTED)}; {_INSTALL}"
        raise InputError.single("torchrec", "version", found, rule)
