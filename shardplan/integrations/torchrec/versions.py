"""Which TorchRec this is."""

from __future__ import annotations

import re
import warnings
from importlib.metadata import PackageNotFoundError, version

from shardplan.errors import InputError

OLDEST, NEWEST = (1, 8), (1, 9)
"""The releases whose planner and plans this package is tested with."""
_INSTALL = "see docs/guides/install-torchrec.md"


def require_torchrec() -> None:
    """Make sure that a TorchRec is installed whose planner and plans are known.

    Warns
    -----
    UserWarning
        For a newer release than was tested.

    Raises
    ------
    InputError
        If there is none, or an older one.
    """
    try:
        found = version("torchrec")
    except PackageNotFoundError:
        rule = f"is not installed; {_INSTALL}"
        raise InputError.single("torchrec", "", None, rule) from None
    numbers = re.match(r"(\d+)\.(\d+)", found)
    release = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    tested = f"{_text(OLDEST)} to {_text(NEWEST)}"
    if release < OLDEST:
        rule = f"must be {_text(OLDEST)} or newer; {_INSTALL}"
        raise InputError.single("torchrec", "version", found, rule)
    if release > NEWEST:
        warnings.warn(
            f"TorchRec {found} is newer than what shardplan is tested with ({tested}): "
            "its planner and plans may differ",
            stacklevel=3,
        )


def _text(release: tuple[int, int]) -> str:
    return ".".join(map(str, release))
