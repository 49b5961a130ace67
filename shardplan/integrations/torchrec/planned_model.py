"""What a plan decided, and what there was to choose from, as TorchRec's options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.integrations.torchrec.rating import (
    estimate,
    sharding_option,
    sharding_options,
)
from shardplan.integrations.torchrec.tables import sharder_map
from shardplan.plans.realize import placement_of
from shardplan.problems.problem import build_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch

    from shardplan.plans.plan import Plan
    from shardplan.records.placement import TablePlacement
    from shardplan.records.tables import EmbeddingTable


@dataclass(frozen=True)
class PlannedModel:
    """A plan, and what TorchRec's estimators must know to rate it.

    Attributes
    ----------
    plan : Plan
    model : Module
        The one that was planned, with the same sharders and constraints.
    topology : torchrec.distributed.planner.Topology
        Before anything of it was reserved.
    batch_size : int
        Samples per rank.
    """

    plan: Plan
    model: torch.nn.Module
    sharders: Sequence[Any]
    constraints: Mapping[str, Any]
    topology: Any
    batch_size: int

    def selected_options(self) -> list[Any]:
        """Return one `ShardingOption` per table, with ranks, times and bytes."""
        return sharding_options(
            self.plan,
            topology=self.topology,
            model=self.model,
            constraints=self.constraints,
            sharders=self.sharders,
            batch_size=self.batch_size,
        )

    def search_space(self) -> list[Any]:
        """Return every `ShardingOption` of the menu; their shards have no rank yet.

        Options that could not be better than others of their table are left out, as
        the search leaves them out.
        """
        modules, known = dict(self.model.named_modules()), sharder_map(self.sharders)
        options = []
        for table, placement in _menu(self.plan):
            module = modules[table.torchrec_module]
            option = sharding_option(
                table, placement, module, known, self.constraints, self.batch_size
            )
            for shard in option.shards:
                shard.rank = None
            options.append(option)
        estimate(
            options, self.plan.inputs.cost_model, self.topology, known, self.constraints
        )
        return options


def _menu(plan: Plan) -> Iterator[tuple[EmbeddingTable, TablePlacement]]:
    """Yield the options of each table, on the first places that there are."""
    inputs = plan.inputs
    problem = build_problem(
        inputs.workload,
        inputs.topology,
        inputs.cost_model,
        target=plan.target,
        objective=plan.objective,
    )
    menu = problem.bundles.menu
    for option, index in enumerate(menu.table.tolist()):
        num_groups = len(problem.cluster.groups(int(menu.scope[option])).first_rank)
        places = np.arange(menu.num_places(option)) % num_groups
        table = inputs.workload.tables[index]
        yield table, placement_of(problem, index, option, places)
