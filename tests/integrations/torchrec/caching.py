"""One of several processes that plan the same model with one cache.

``python caching.py FOLDER KEY...``: prints the key, whether the plan is from the cache,
and the digest of the plan, as JSON. The order in which parts are made is by hash.
"""

from __future__ import annotations

import hashlib
import json
import sys
import warnings

warnings.simplefilter("ignore")

from torchrec.distributed.planner.types import ParameterConstraints  # noqa: E402

from shardplan.integrations.torchrec import ShardplanPlanner  # noqa: E402
from shardplan.integrations.torchrec.tables import default_sharders  # noqa: E402
from tests.integrations.torchrec.test_import import bags, torchrec_topology  # noqa: E402


def main(folder: str) -> None:
    """Plan, and say what came of it."""
    names = ["t0", "t1", "t2"]
    limits = {
        name: ParameterConstraints(sharding_types=["table_wise", "row_wise"])
        for name in set(names)
    }
    planner = ShardplanPlanner(
        torchrec_topology(),
        batch_size=64,
        constraints=limits,
        timeout_seconds=2,
        gap=0.5,
        plan_cache=folder,
    )
    model, sharders = bags(*names), default_sharders()
    plan = planner.plan(model, sharders)
    said = {
        "key": planner.key(model, list(set(sharders))),
        "hit": planner.cache_hit,
        "plan": hashlib.sha256(str(plan).encode()).hexdigest(),
    }
    print(json.dumps(said))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
