"""Files of a user's model and cluster, from the functions that make them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from shardplan.errors import InputError
from shardplan.integrations.torchrec import factories
from shardplan.integrations.torchrec.dense_layers import read_dense
from shardplan.integrations.torchrec.tables import (
    default_sharders,
    find_tables,
    sharded_modules,
)
from shardplan.integrations.torchrec.topology import read_topology
from shardplan.integrations.torchrec.workload import read_workload
from shardplan.units import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from shardplan.records.topology import Topology
    from shardplan.records.workload import Workload


class ImportedModel(NamedTuple):
    """A workload, and what its reader must know that is not in it.

    Attributes
    ----------
    notes : tuple of str
        What was assumed or left out, in sentences.
    """

    workload: Workload
    notes: tuple[str, ...]


def import_model(
    factory: str, *, batch_size: int, constraints: str | None = None
) -> ImportedModel:
    """Build a model on the meta device and read its tables.

    Parameters
    ----------
    factory : str
        ``module:function`` that makes the model; is called with ``device``, the meta
        device, if it has such a parameter.
    batch_size : int
        Samples per rank.
    constraints : str, optional
        ``module:function`` that makes a dict of `ParameterConstraints` by table.

    Raises
    ------
    InputError
        If there are no such functions, they make something else, or the model has no
        tables.
    PluginError
        If their code raises.
    """
    factories.require_torch()
    import torch

    meta = torch.device("meta")
    with meta:
        model = factories.build(factory, torch.nn.Module, {"device": meta})
    limits = {} if constraints is None else factories.build(constraints, dict)
    workload = read_workload(
        model,
        batch_size=batch_size,
        constraints=limits,
        name=factory.rpartition(":")[2].rpartition(".")[2],
    )
    dense = read_dense(model)
    if dense is not None:
        workload = workload.replace(dense=dense)
    found = (*_assumed(model, limits), *_left_out(model, has_layers=dense is not None))
    return ImportedModel(workload, found)


def _assumed(model: torch.nn.Module, limits: dict[str, Any]) -> Iterator[str]:
    tables = find_tables(model, default_sharders())
    bare = [table.name for table in tables if table.optimizer is None]
    if len(bare) == len(tables):
        yield "no table carries an optimizer: rowwise_adagrad is assumed"
    elif bare:
        count = plural(len(bare), "table")
        yield f"without an optimizer: {count}; that of the others is counted for all"
    unknown = [table.name for table in tables if table.name not in limits]
    if unknown:
        yield (
            f"without constraints: {plural(len(unknown), 'table')}; one lookup per "
            "feature and sample is assumed unless --constraints has pooling factors"
        )
    paths = defaultdict(list)
    for path, module, _ in sharded_modules(model, default_sharders()):
        paths[id(module)].append(path)
    for shared in paths.values():
        if len(shared) > 1:
            yield (
                f"one module is at {' and '.join(shared)}: its tables are counted "
                "once for each, as TorchRec's planner counts them"
            )


def _left_out(model: torch.nn.Module, *, has_layers: bool) -> Iterator[str]:
    inside = [f"{path}." for path, *_ in sharded_modules(model, default_sharders())]
    dense = [
        parameter.numel()
        for name, parameter in model.named_parameters()
        if not any(prefix == "." or name.startswith(prefix) for prefix in inside)
    ]
    if dense and not has_layers:
        yield (
            f"{sum(dense):,} dense parameters are not described: which layer feeds "
            "which is not known; fill in `dense` for the time of a step"
        )


def import_topology(factory: str) -> Topology:
    """Read the cluster that a function makes.

    Parameters
    ----------
    factory : str
        ``module:function`` that makes TorchRec's `Topology`.

    Raises
    ------
    InputError
        If there is no such function, it makes something else, or plans do not know
        the devices.
    PluginError
        If its code raises.
    """
    factories.require_torch()
    from torchrec.distributed.planner.types import BasicCommsBandwidths
    from torchrec.distributed.planner.types import Topology as TorchRecTopology

    found = factories.build(factory, TorchRecTopology)
    if type(found.comms_bandwidths) is not BasicCommsBandwidths:
        rule = "a topology file has one bandwidth inside hosts and one between them"
        kind = type(found.comms_bandwidths).__name__
        raise InputError.single(factory, "comms_bandwidths", kind, rule)
    name = factory.rpartition(":")[2].rpartition(".")[2]
    return read_topology(found, name)
