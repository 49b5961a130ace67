"""What is wrong with a topology's file although its record is valid.

Plans hold topologies too; what was loaded once must load again, so these faults are
those of a file that somebody writes, not of the record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.errors import Fault, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.records.topology import Topology


def require_domains(topology: Topology, where: str) -> None:
    """Refuse links of a scale-up domain that joins a rank to nobody.

    Raises
    ------
    InputError
        With every host group whose ranks have such links and no domain_size.
    """
    faults = [
        Fault(
            where,
            f"host_groups[{index}].scale_up.domain_size",
            "1",
            f"kind {group.scale_up.kind!r} joins ranks, so bw needs a domain of "
            f"several: {group.local_world_size} for all ranks of a host; kind 'none' "
            "if peers meet over PCIe",
        )
        for index, group in enumerate(topology.host_groups)
        if group.scale_up.kind != "none"
        and group.scale_up.domain_size == 1 < group.local_world_size
    ]
    if faults:
        raise InputError(faults)


def require_cost_model(
    topology: Topology, where: str, load: Callable[[str], object]
) -> None:
    """Refuse a topology that names a cost model which cannot be loaded.

    Raises
    ------
    InputError
        If the name is unknown, or the file is not there or wrong.
    """
    if topology.cost_model is None:
        return
    try:
        load(topology.cost_model)
    except InputError as error:
        name = repr(topology.cost_model)
        raise InputError(
            [
                fault if fault.key else Fault(where, "cost_model", name, fault.rule)
                for fault in error.problems
            ]
        ) from error
