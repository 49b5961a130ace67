"""What copies of sharding groups ask of a plan: that they can be kept equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.checking.violation import Violation
from shardplan.records.targets import RUNTIMES, averaging_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.plans.plan import Plan
    from shardplan.records.sharding import Target


def check_replicas(plan: Plan, target: Target) -> Iterator[Violation]:
    """Refuse kernels whose copies would drift apart, and shards that have none."""
    if plan.inputs.topology.replicas == 1:
        return
    runtime = RUNTIMES[target]
    for placement in plan.tables:
        if placement.compute_kernel not in runtime.averaged_kernels:
            kernel = placement.compute_kernel.value
            message = f"kernel {kernel!r}: {averaging_rule(runtime)}"
            yield Violation(f"target {target.value}", placement.name, message)
        kind = placement.sharding_type
        if kind not in runtime.averaged_types:
            message = f"{runtime.name} has no {kind.value} in sharding groups"
            yield Violation(f"target {target.value}", placement.name, message)
