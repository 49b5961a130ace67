"""Options that change the inputs of a command: --set and its short forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from shardplan.cli.options import QuantityRange, complete_words
from shardplan.records.sharding import ShardingType
from shardplan.units import Dimension

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.io.settings import Setting

F = TypeVar("F", bound="Callable[..., Any]")

_OPTIONS = ("set", "batch_size", "pin", "forbid")


def change_options(command: F) -> F:
    """Add --set, --batch-size, --pin and --forbid."""
    for option in reversed(_PLACEMENTS):
        command = option(command)
    return input_options(command)


def input_options(command: F) -> F:
    """Add --set and --batch-size."""
    for option in reversed(_VALUES):
        command = option(command)
    return command


def settings_of(arguments: dict[str, Any]) -> list[Setting]:
    """Take the change options out of a command's arguments and return the settings.

    Short forms come after what --set says.
    """
    given = {name: arguments.pop(name, ()) for name in _OPTIONS}
    settings = [_general(text) for text in given["set"]]
    if given["batch_size"] is not None:
        settings.append(_of_workload("batch_size", value=given["batch_size"]))
    settings += [_pinned(text) for text in given["pin"]]
    settings += [_forbidden(text) for text in given["forbid"]]
    return settings


def _general(text: str) -> Setting:
    from shardplan.io.settings import parse_setting

    try:
        return parse_setting(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--set") from None


def _pinned(text: str) -> Setting:
    from shardplan.records.placement import parse_ranks

    table, sign, ranks = text.rpartition("=")
    try:
        if not (table and sign):
            raise ValueError(f"{text!r} must look like TABLE=RANKS, such as user=0-3,8")
        value = list(parse_ranks(ranks))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--pin") from None
    return _of_workload("tables", table, "constraints", "ranks", value=value)


def _forbidden(text: str) -> Setting:
    table, _, kind = text.rpartition(":")
    known = [member.value for member in ShardingType]
    if not table or kind not in known:
        from shardplan.io.wording import suggest

        near = suggest(kind, known) or f": {', '.join(known)}"
        rule = f"{text!r} must look like TABLE:TYPE with a sharding type{near}"
        raise click.BadParameter(rule, param_hint="--forbid")
    path = ("tables", table, "constraints", "forbidden_sharding_types")
    return _of_workload(*path, value=[kind], adds=True)


def _of_workload(*keys: str, value: object, adds: bool = False) -> Setting:
    from shardplan.io.settings import Setting

    return Setting(("workload", *keys), value, adds=adds)


def _complete_forbidden(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[str]:
    """Complete the sharding type behind the last colon."""
    table, colon, kind = incomplete.rpartition(":")
    if not colon:
        return []
    types = [member.value for member in ShardingType]
    return [f"{table}:{word}" for word in complete_words(types, kind)]


_VALUES = (
    click.option(
        "--set",
        metavar="PATH=VALUE",
        multiple=True,
        help="Change a value of an input, such as "
        "workload.tables.user.embedding_dim=64, topology.host_groups[0].num_hosts=4 or "
        "workload.tables.*.dtype=fp16; += adds to a list, *= multiplies a number. May "
        "be repeated.",
    ),
    click.option(
        "--batch-size",
        metavar="N",
        type=QuantityRange(Dimension.COUNT, is_whole=True, min=1, max=2**31),
        help="Samples per step and rank instead of the workload's batch size.",
    ),
)
_PLACEMENTS = (
    click.option(
        "--pin",
        metavar="TABLE=RANKS",
        multiple=True,
        help="Shards of this table may only be on these ranks, such as user=0-3,8; * "
        "stands for any part of the name. May be repeated.",
    ),
    click.option(
        "--forbid",
        metavar="TABLE:TYPE",
        multiple=True,
        shell_complete=_complete_forbidden,
        help="This table may not be sharded this way, such as user:row_wise; * stands "
        "for any part of the name. May be repeated.",
    ),
)
