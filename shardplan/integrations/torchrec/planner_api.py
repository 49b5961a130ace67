"""Whether this TorchRec has the planner API of release 1.9."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

from shardplan.errors import InputError
from shardplan.integrations.torchrec.versions import require_torchrec


def require_planner_api(feature: str) -> None:
    """Make sure that requests, executors and providers of plans exist.

    Raises
    ------
    InputError
        For TorchRec 1.8, which has none of them; names what needs them.
    """
    require_torchrec()
    if find_spec("torchrec.distributed.planner.provider") is None:
        rule = f"{feature} needs 1.9 or newer; see docs/guides/install-torchrec.md"
        raise InputError.single("torchrec", "version", version("torchrec"), rule)
