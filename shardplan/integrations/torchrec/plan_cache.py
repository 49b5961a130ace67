"""Plans in a folder, so that the same job need not be planned again."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from shardplan.checking import examine
from shardplan.errors import InputError, ShardplanError
from shardplan.planning.result import PlanResult
from shardplan.plans.plan import Plan
from shardplan.records.fingerprint import fingerprints

if TYPE_CHECKING:
    from shardplan.records.inputs import Inputs

logger = logging.getLogger(__name__)


class PlanCache:
    """Plan files by the key of what they were made for.

    Any number of processes may share the folder, also over a network: an entry is
    written whole or not at all, and of two that are written at once one stays. What
    cannot be read, is not for these inputs or breaks a rule is no plan: that is
    warned of, and the next plan replaces it.

    Parameters
    ----------
    folder : path
        Is made for the first plan: ranks that only receive plans need not reach it.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """Return where the plan of a key is, or would be: an ordinary plan file."""
        return self.folder / f"{key}.json"

    def get(self, key: str, inputs: Inputs) -> PlanResult | None:
        """Return the plan of a key, checked again; None if there is none to trust.

        Parameters
        ----------
        inputs : Inputs
            What the plan must be for.
        """
        start, path = time.perf_counter(), self.path(key)
        if not os.path.lexists(path):
            return None
        try:
            _require_file(path)
            plan = Plan.load(path)
            if fingerprints(plan.inputs) != fingerprints(inputs):
                rule = "is a plan for other inputs"
                raise InputError.single(str(path), "inputs", None, rule)
            verdict = examine(plan)
            if verdict.violations:
                rule = f"does not hold: {verdict.violations[0]}"
                raise InputError.single(str(path), "", None, rule)
        except (ShardplanError, OSError) as error:
            logger.warning("a cached plan is not used, and replaced: %s", error)
            return None
        seconds = time.perf_counter() - start
        return PlanResult(plan, seconds, verdict, (f"read from {path}",))

    def put(self, key: str, plan: Plan) -> None:
        """Write a plan; where that fails, say so and go on without."""
        path = self.path(key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if path.exists():
                _require_file(path)
            plan.save(path)
        except (ShardplanError, OSError) as error:
            logger.warning("a plan is not cached: %s", error)


def _require_file(path: Path) -> None:
    """Refuse a folder, and a pipe: who reads or writes one may wait for ever."""
    if not path.is_file():
        raise InputError.single(str(path), "", None, "is not a file")
