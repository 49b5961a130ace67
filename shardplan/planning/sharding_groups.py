"""Two-dimensional parallelism: how many ranks share the tables, and which.

The size of a sharding group and the layout of its copies are given or chosen: every
choice is a problem of its own, and a quick plan of each says which one to solve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from shardplan.errors import Fault, InputError
from shardplan.planning.arguments import member, whole
from shardplan.planning.quick_plan import quick_value
from shardplan.records.record import MAX_RANKS
from shardplan.records.sharding import ReplicaLayout
from shardplan.records.torchrec_cost_model import TorchRecCostModel
from shardplan.units import format_seconds, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.inputs import Inputs
    from shardplan.records.sharding import Objective, Target
    from shardplan.records.topology import Topology
    from shardplan.solvers.base import Stop


MOST_SYNC = 1_000_000
_SHARE = 0.3
"""Of the time, for quick plans of all choices."""


class ShardingGroups(NamedTuple):
    """What is asked of sharding groups.

    Attributes
    ----------
    size : int or None
        Ranks of a group; None compares all divisors of the ranks from 2 on.
    layout : ReplicaLayout or None
        None compares both.
    sync_every : int
        Steps after which copies are averaged.
    """

    size: int | None
    layout: ReplicaLayout | None
    sync_every: int

    @classmethod
    def of(
        cls, size: object, layout: ReplicaLayout | str | None, sync_every: object
    ) -> Self | None:
        """Check the arguments of `solve`; None without groups.

        Raises
        ------
        InputError
            For a size that is neither a number of ranks nor ``auto``, and for what is
            no layout or number of steps.
        """
        every = whole("sync_every", sync_every, MOST_SYNC, least=1)
        if layout is not None:
            layout = member(ReplicaLayout, "replicas", layout)
        if size is None:
            for name, value, default in (
                ("replicas", layout, None),
                ("sync_every", every, 1),
            ):
                if value != default:
                    raise InputError.single(
                        "solve", name, value, "goes with sharding_group"
                    )
            return None
        if size == "auto":
            return cls(None, layout, every)
        return cls(whole("sharding_group", size, MAX_RANKS, least=1), layout, every)


class Grouping(NamedTuple):
    """A choice: ranks of a sharding group, and where copies meet."""

    size: int
    layout: ReplicaLayout


def grouped(
    inputs: Inputs,
    target: Target,
    objective: Objective,
    groups: ShardingGroups | None,
    stop: Stop,
) -> tuple[Inputs, tuple[str, ...]]:
    """Return the inputs of one sharding group, and what was compared to choose it.

    Parameters
    ----------
    groups : ShardingGroups or None
        None leaves the inputs as they are.
    stop : Stop
        Choices are compared in a part of its time; what is left then is not tried.

    Raises
    ------
    InputError
        If ranks cannot be grouped like that, or the cost model cannot compare.
    """
    if groups is None:
        return inputs, ()
    topology, every = inputs.topology, groups.sync_every
    choices = list(_groupings(topology, groups.size, groups.layout))
    if len(choices) > 1 and isinstance(inputs.cost_model, TorchRecCostModel):
        rule = (
            "its estimates know no averaging of copies, so that choices cannot be "
            "compared; give --sharding-group a size and --replicas a layout"
        )
        raise InputError.single(inputs.cost_model.name, "", None, rule)
    found = {
        choice: inputs.replace(
            topology=topology.sharding_group(choice.size, choice.layout, every)
        )
        for choice in choices
    }
    if len(choices) == 1:
        return found[choices[0]], _without_copies(topology, choices[0], groups)
    values = dict(_quick_values(found, target, objective, stop))
    if not values:
        return found[max(choices)], ("no choice of sharding groups had a quick plan",)
    best = min(values, key=lambda choice: values[choice])
    return found[best], (_remark(topology, values, best),)


def _groupings(
    topology: Topology, size: int | None, layout: ReplicaLayout | None
) -> Iterator[Grouping]:
    """List what is legal, largest groups first; raise if nothing is."""
    world = topology.world_size
    sizes = _divisors(world) if size is None else [size]
    layouts = list(ReplicaLayout) if layout is None else [layout]
    reasons, is_any = [], False
    for ranks in sizes:
        for each in layouts[:1] if ranks == world else layouts:
            try:
                topology.sharding_group(ranks, each)
            except ValueError as error:
                reasons.append(str(error))
            else:
                is_any = True
                yield Grouping(ranks, each)
    if not is_any:
        rules = "; ".join(dict.fromkeys(reasons))
        fault = Fault(topology.name, "sharding_group", repr(size or "auto"), rules)
        raise InputError([fault])


def _without_copies(
    topology: Topology, only: Grouping, groups: ShardingGroups
) -> tuple[str, ...]:
    """Say that what was asked of copies has no effect, where there is one."""
    if only.size != topology.world_size or (
        groups.layout is None and groups.sync_every == 1
    ):
        return ()
    return (
        "one sharding group of all ranks: there are no copies to lay out or average",
    )


def _divisors(world: int) -> list[int]:
    return [size for size in range(world, 1, -1) if world % size == 0] or [world]


def _quick_values(
    found: dict[Grouping, Inputs], target: Target, objective: Objective, stop: Stop
) -> Iterator[tuple[Grouping, float]]:
    """Give each choice a quick plan until their share of the time is over."""
    until = stop.elapsed_s() + _SHARE * stop.remaining_s()
    for choice, inputs in found.items():
        if stop.elapsed_s() > until:
            return
        value = quick_value(inputs, target, objective)
        if value is not None:
            yield choice, value


def _remark(topology: Topology, values: dict[Grouping, float], best: Grouping) -> str:
    """Say what quick plans of all choices take."""

    def named(choice: Grouping) -> str:
        if choice.size == topology.world_size:
            return f"all {plural(choice.size, 'rank')}"
        return f"{plural(choice.size, 'rank')} {choice.layout.value}"

    others = ", ".join(
        f"{named(choice)} {format_seconds(value)}"
        for choice, value in sorted(values.items(), key=lambda item: item[1])
        if choice != best
    )
    return (
        f"sharding group: {named(best)}; quick plans take "
        f"{format_seconds(values[best])}, those of other groups {others or 'none fits'}"
    )
