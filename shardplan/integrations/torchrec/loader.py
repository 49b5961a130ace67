"""Hand a plan to TorchRec's own planner through its `PlanLoader`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchrec.distributed.planner.types import PlanLoader

from shardplan.exporters.runnable import require_runnable
from shardplan.integrations.torchrec.build import (
    build_constraints,
    build_rated_model,
    build_topology,
)
from shardplan.integrations.torchrec.rating import local_batch, sharding_options
from shardplan.integrations.torchrec.tables import default_sharders
from shardplan.plans.plan import Plan
from shardplan.records.sharding import Target

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping


class ShardplanLoader(PlanLoader):  # type: ignore[misc, unused-ignore]
    """Gives TorchRec's `EmbeddingShardingPlanner` a plan instead of a search.

    TorchRec matches loaded options with those it enumerates itself, by module, table,
    sharding type, kernel and number of shards: a plan with other column widths than
    its own is refused by its planner. `ShardplanPlanner` and `load_sharding_plan`
    have no such limit.

    Parameters
    ----------
    plan : Plan or path
    constraints : mapping of table name to ParameterConstraints, optional
        Those of the planner; by default built from the plan's workload.
    context_hash : str, optional
        The planner's `hash_planner_context_inputs_str` to insist on.

    Raises
    ------
    InputError
        If TorchRec cannot run the plan, with every table and rule.
    """

    def __init__(
        self,
        plan: Plan | str | os.PathLike[str],
        *,
        constraints: Mapping[str, Any] | None = None,
        context_hash: str | None = None,
    ) -> None:
        self._plan = plan if isinstance(plan, Plan) else Plan.load(plan)
        require_runnable(self._plan, Target.TORCHREC)
        self._constraints = constraints
        self._context_hash = context_hash

    def load(self) -> dict[int, Any]:
        """Return TorchRec's options of the plan by their storage hash."""
        inputs, samples = self._plan.inputs, local_batch(self._plan)
        options = sharding_options(
            self._plan,
            topology=build_topology(inputs.topology),
            model=build_rated_model(inputs.workload),
            constraints=self._constraints
            or build_constraints(inputs.workload, samples),
            sharders=default_sharders(),
            batch_size=samples,
        )
        return {option.storage_hash(): option for option in options}

    def plan_context_hash(self) -> str | None:
        """Return the hash to insist on, if any."""
        return self._context_hash

    def get_plan_id(self) -> str:
        """Name the plan in TorchRec's log."""
        return self._plan.fingerprints.workload[:12]
